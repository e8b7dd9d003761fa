"""Folding a plane that thresholds fix leaves every output as it was, with one plane fewer to read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.constant_planes import constant_sign, fold_constant_planes
from workloads.encoded import EncodedNetwork, Thresholds
from workloads.executor import run
from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool, Upsample
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters


def network(
    bits: int, *, pad_code: int | None = None, padding: int = 0, offset: int = 0, ternary: bool = False
) -> Network:
    """Convolution, max pool, padded or bare convolution, average pool, flatten, dense."""
    kernel = {"weight_bits": 2, "ternary": ternary} if ternary else {"weight_bits": 2, "weight_offset": offset}
    first = Conv(
        name="first", in_shape=(2, 8, 8), out_channels=5, kernel=(3, 3), act_bits=4, weight_bits=1, out_bits=bits
    )
    pool = Pool(name="pool", kind="max", in_shape=(5, 6, 6), kernel=(2, 2), act_bits=bits, out_bits=bits)
    second = Conv(
        name="second", in_shape=(5, 5, 5), out_channels=3, kernel=(2, 2), act_bits=bits, out_bits=bits,
        padding=(padding,) * 4, pad_code=pad_code, **kernel,  # type: ignore[arg-type]
    )  # fmt: skip
    mean = Pool(name="mean", kind="average", in_shape=second.out_shape, kernel=(2, 2), act_bits=bits, out_bits=bits)
    flat = Flatten(name="flat", in_shape=mean.out_shape, act_bits=bits)
    head = Dense(name="head", in_shape=flat.out_shape, out_channels=4, act_bits=bits, weight_bits=3, out_bits=None)
    layers: list[Layer] = [first, pool, second, mean, flat, head]
    names = ["input", *(layer.name for layer in layers)]
    nodes = tuple(Node(layer, (source,)) for layer, source in zip(layers, names, strict=False))
    return Network("made", Input(name="input", shape=(2, 8, 8), bits=4), nodes)


def with_constant_plane(encoded: EncodedNetwork, name: str, sign: int) -> EncodedNetwork:
    """Half of the thresholds of a layer reached always, or never."""
    own = encoded.parameters[name]
    assert own.thresholds is not None
    layer = next(layer for layer in encoded.network.layers if layer.name == name)
    values, half = own.thresholds.values.copy(), own.thresholds.values.shape[1] // 2
    bound = layer.acc_bound  # type: ignore[union-attr]
    if sign > 0:
        values[:, : half + 1] = -bound - 1
    else:
        values[:, half:] = bound + 1
    changed = replace(own, thresholds=Thresholds(own.thresholds.sign, np.sort(values, axis=1)))
    return replace(encoded, parameters={**encoded.parameters, name: changed})


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(2, 4),
    names=st.sets(st.sampled_from(["first", "second", "mean"]), min_size=1),
    sign=st.sampled_from([-1, 1]),
    offset=st.sampled_from([0, -1, 3]),
    ternary=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_outputs_stay_and_planes_go(
    bits: int, names: set[str], sign: int, offset: int, ternary: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    encoded = random_parameters(network(bits, offset=0 if ternary else offset, ternary=ternary), rng)
    for name in names:
        encoded = with_constant_plane(encoded, name, sign)
    images = rng.uniform(-1, 1, size=(5, 2, 8, 8))
    folded, folds = fold_constant_planes(encoded)
    assert {fold.layer for fold in folds if fold.obstacle is None} >= names
    np.testing.assert_array_equal(run(folded, images).outputs, run(encoded, images).outputs)
    before, after = ({layer.name: layer for layer in item.network.layers} for item in (encoded, folded))
    readers = {"first": ("pool", "second"), "second": ("mean",), "mean": ("flat", "head")}
    for name in names:
        assert before[name].out_bits == bits > (after[name].out_bits or 0)
        assert all(after[reader].act_bits < before[reader].act_bits for reader in readers[name])
    assert folded.network.binary_ops < encoded.network.binary_ops or names == {"second"}
    assert all(constant_sign(folded, fold.layer) is None or after[fold.layer].out_bits == 1 for fold in folds)


def test_pads_with_a_code_of_the_plane_fold_and_masked_ones_do_not() -> None:
    rng, images = np.random.default_rng(4), np.random.default_rng(5).uniform(-1, 1, size=(3, 2, 8, 8))
    for pad_code, obstacle in (
        (1, None),
        (-1, "'second' pads with a code that has the other sign"),
        (None, "masks padded taps"),
    ):
        encoded = with_constant_plane(random_parameters(network(2, pad_code=pad_code, padding=1), rng), "first", 1)
        folded, folds = fold_constant_planes(encoded)
        assert folds[0].layer == "first"
        assert folds[0].obstacle == obstacle or obstacle in str(folds[0].obstacle)
        assert (folded is encoded) == (obstacle is not None)
        np.testing.assert_array_equal(run(folded, images).outputs, run(encoded, images).outputs)


@pytest.mark.parametrize("kind", ["add", "linear", "last"])
def test_what_computes_with_codes_keeps_its_planes(kind: str) -> None:
    first = Conv(name="first", in_shape=(2, 4, 4), out_channels=3, kernel=(1, 1), act_bits=2, weight_bits=1, out_bits=2)
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "add": (Add(name="after", in_shape=(3, 4, 4), act_bits=2, out_bits=None), ("first", "first")),
        "linear": (Upsample(name="after", kind="linear", in_shape=(3, 4, 4), factor=(2, 2), act_bits=2, out_bits=None), ("first",)),
        "last": (Pool(name="after", kind="max", in_shape=(3, 4, 4), kernel=(2, 2), act_bits=2, out_bits=2), ("first",)),
    }  # fmt: skip
    layer, inputs = layers[kind]
    made = Network("made", Input(name="input", shape=(2, 4, 4), bits=2), (Node(first, ("input",)), Node(layer, inputs)))
    encoded = with_constant_plane(random_parameters(made, np.random.default_rng(1)), "first", 1)
    folded, folds = fold_constant_planes(encoded)
    assert folded is encoded
    words = {"last": "its codes leave the network"}.get(kind, "'after' computes with the codes themselves")
    assert [fold.obstacle for fold in folds] == [words]


def test_nothing_to_fold() -> None:
    encoded = random_parameters(network(3), np.random.default_rng(0))
    assert fold_constant_planes(encoded) == (encoded, ())
