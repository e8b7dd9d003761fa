"""The packed executor equals plain Python integers, layer by layer, for every shape, precision and word width."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from workloads.encoded import Codes, EncodedNetwork, Parameters
from workloads.encoding import WORD_TYPES, encode_weights
from workloads.executor import run
from workloads.layers import (
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Layer,
    MatMul,
    Pool,
    Shuffle,
    Slice,
    Upsample,
    sources,
)
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters

FEW = settings(max_examples=250, deadline=None, derandomize=True)


def single(layer: Layer) -> Network:
    """A network of one layer that reads the input map."""
    shape = sources(layer)[0][0]
    if isinstance(layer, Dense) and layer.positions > 1:
        shape = (layer.in_shape[0], 1, layer.positions)
    inputs = ("input",) * len(sources(layer))
    return Network("single", Input(name="input", shape=shape, bits=layer.act_bits), (Node(layer, inputs),))


def random_codes(network: Network, rng: np.random.Generator, images: int) -> np.ndarray:
    """(images, *shape) odd codes."""
    bits = network.input.bits
    codes: np.ndarray = 2 * rng.integers(0, 2**bits, size=(images, *network.input.shape)) - (2**bits - 1)
    return codes


def check(encoded: EncodedNetwork, codes: np.ndarray, width: int = 64, batch: int | None = None) -> None:
    """Every accumulator and every emitted code of every image equals the reference."""
    values = encoded.input_codes.step * codes
    result = run(encoded, values, width=width, keep_integers=True, batch=batch)
    np.testing.assert_array_equal(result.codes["input"], codes)
    for index, image in enumerate(codes):
        sums = reference.infer(encoded, image.tolist())
        for name, wanted in sums.items():
            np.testing.assert_array_equal(result.integers[name][index], reference.as_array(wanted), err_msg=name)


@pytest.mark.parametrize(("act_bits", "weight_bits"), list(product(range(1, 9), range(1, 9))))
def test_all_64_precisions_are_exact(act_bits: int, weight_bits: int) -> None:
    layer = Conv(
        name="conv", in_shape=(5, 4, 3), out_channels=3, kernel=(2, 3), padding=(1, 0, 0, 2),
        act_bits=act_bits, weight_bits=weight_bits, out_bits=None,
    )  # fmt: skip
    rng = np.random.default_rng(8 * act_bits + weight_bits)
    network = single(layer)
    check(random_parameters(network, rng), random_codes(network, rng, 2))


@pytest.mark.parametrize("width", sorted(WORD_TYPES))
@pytest.mark.parametrize("reduction", [1, 31, 32, 33, 63, 64, 65])
@pytest.mark.parametrize("positions", [1, 3])
def test_word_tails_use_the_true_length(reduction: int, width: int, positions: int) -> None:
    layer = Dense(
        name="dense", in_shape=(reduction, 1, 1), out_channels=4, act_bits=3, weight_bits=2, out_bits=None,
        positions=positions,
    )  # fmt: skip
    rng = np.random.default_rng(reduction)
    network = single(layer)
    check(random_parameters(network, rng), random_codes(network, rng, 2), width)


@st.composite
def convolutions(draw: st.DrawFn) -> Conv:
    """Any geometry that fits, masked or filled padding, groups, dilation; from the host or not."""
    small, act_bits = st.integers(1, 3), draw(st.integers(1, 8))
    pair, groups = st.tuples(small, small), draw(st.sampled_from([1, 1, 2, 3]))
    kernel, dilation = draw(pair), draw(pair)
    span = [(kernel[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    size = [draw(st.integers(span[i], span[i] + 3)) for i in (0, 1)]
    code = st.integers(0, 2**act_bits - 1).map(lambda u: 2 * u - (2**act_bits - 1))
    return Conv(
        name="conv", in_shape=(groups * draw(st.sampled_from([1, 2, 7, 9])), size[0], size[1]),
        out_channels=groups * draw(small), kernel=kernel, dilation=dilation, stride=draw(pair),
        padding=draw(st.tuples(*[st.integers(0, 3)] * 4)), pad_code=draw(st.none() | code), groups=groups,
        act_bits=act_bits, out_bits=draw(st.none() | st.integers(1, 4)), from_host=draw(st.booleans()),
        **draw(weight_encodings()),
    )  # fmt: skip


def weight_encodings() -> st.SearchStrategy[dict[str, int | bool]]:
    """Odd codes, codes with an offset, ternary."""
    bits = st.integers(1, 8)
    return st.one_of(
        st.builds(lambda k: {"weight_bits": k}, bits),
        st.builds(lambda k, offset: {"weight_bits": k, "weight_offset": offset}, bits, st.integers(-300, 300)),
        st.just({"weight_bits": 2, "ternary": True}),
    )


@FEW
@given(convolutions(), st.sampled_from(sorted(WORD_TYPES)), st.integers(0, 2**32))
def test_any_convolution(layer: Conv, width: int, seed: int) -> None:
    rng, network = np.random.default_rng(seed), single(layer)
    check(random_parameters(network, rng), random_codes(network, rng, 1), width)


@st.composite
def vector_layers(draw: st.DrawFn) -> Layer:
    """Pools, sums and dense layers over a small map."""
    bits = draw(st.integers(1, 8))
    shape = draw(st.tuples(*[st.integers(2, 5)] * 3))
    kernel = draw(st.tuples(st.integers(1, shape[1]), st.integers(1, shape[2])))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    out, heads = draw(st.none() | st.integers(1, 5)), draw(st.integers(1, 3))
    offsets = draw(st.tuples(*[st.sampled_from([0, 0, -1, 2, 255])] * 2))
    factors = st.integers(-9, 9).filter(bool)
    layers: list[Layer] = [
        Pool(name="pool", kind="average", in_shape=shape, kernel=kernel, stride=stride, act_bits=bits, out_bits=out),
        Pool(
            name="pool", kind="max", in_shape=shape, kernel=kernel, stride=stride, act_bits=bits, out_bits=bits,
            padding=(kernel[0] - 1, 0, kernel[0] // 2, kernel[1] - 1),
        ),
        Add(name="add", in_shape=shape, act_bits=bits, out_bits=out),
        Add(name="add", in_shape=shape, act_bits=bits, out_bits=out, multipliers=draw(st.tuples(*[factors] * 2))),
        Concat(name="cat", in_shape=(3 * shape[0], *shape[1:]), parts=(shape[0],) * 3, act_bits=bits),
        Slice(name="cut", in_shape=shape, out_shape=(1, shape[1], shape[2] - 1), start=(shape[0] - 1, 0, 1), act_bits=bits),
        Shuffle(name="space", in_shape=(4 * shape[0], *shape[1:]), block=2, act_bits=bits),
        Upsample(name="up", kind="nearest", in_shape=shape, factor=kernel, act_bits=bits, out_bits=bits),
        Upsample(
            name="up", kind="linear", in_shape=shape, factor=kernel, act_bits=bits, out_bits=out,
            coordinates=draw(st.sampled_from(["half_pixel", "asymmetric", "align_corners"])),
        ),
        MatMul(
            name="qk", in_shape=(heads * shape[0], 1, shape[1]), other_shape=(heads * shape[0], 1, shape[1]), heads=heads,
            over="channels", act_bits=bits, weight_bits=bits, out_bits=out, act_offset=offsets[0], weight_offset=offsets[1],
        ),
        MatMul(
            name="pv", in_shape=(heads * shape[0], 1, shape[0]), other_shape=(heads * shape[0], 1, shape[0]), heads=heads,
            over="positions", act_bits=bits, weight_bits=bits, out_bits=out, act_offset=offsets[0], weight_offset=offsets[1],
        ),
        Flatten(name="flatten", in_shape=shape, act_bits=bits),
        Dense(name="dense", in_shape=shape, out_channels=3, act_bits=bits, weight_bits=2, out_bits=out),
        Dense(name="dense", in_shape=shape, out_channels=3, act_bits=bits, out_bits=out, from_host=True, **draw(weight_encodings())),
    ]  # fmt: skip
    return draw(st.sampled_from(layers))


@FEW
@given(vector_layers(), st.sampled_from(sorted(WORD_TYPES)), st.integers(0, 2**32))
def test_any_other_layer(layer: Layer, width: int, seed: int) -> None:
    rng, network = np.random.default_rng(seed), single(layer)
    check(random_parameters(network, rng), random_codes(network, rng, 2), width)


def residual_network(bits: int, weight_bits: int) -> Network:
    """Convolution, residual sum over a depthwise convolution, max and average pool, flatten, dense to 3 classes."""
    first = Conv(
        name="first", in_shape=(2, 9, 8), out_channels=6, kernel=(3, 3), stride=(2, 1), padding=(1, 1, 1, 1),
        act_bits=8, weight_bits=weight_bits, out_bits=bits, from_host=True,
    )  # fmt: skip
    depthwise = Conv(
        name="depthwise", in_shape=(6, 5, 8), out_channels=6, kernel=(3, 3), padding=(1, 1, 1, 1), groups=6,
        pad_code=-1, act_bits=bits, weight_bits=weight_bits, out_bits=bits,
    )  # fmt: skip
    add = Add(name="add", in_shape=(6, 5, 8), act_bits=bits, out_bits=bits)
    largest = Pool(
        name="largest", kind="max", in_shape=(6, 5, 8), kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1),
        act_bits=bits, out_bits=bits,
    )  # fmt: skip
    mean = Pool(name="mean", kind="average", in_shape=(6, 3, 4), kernel=(2, 2), act_bits=bits, out_bits=bits)
    flatten = Flatten(name="flatten", in_shape=(6, 2, 3), act_bits=bits)
    head = Dense(name="head", in_shape=(6, 2, 3), out_channels=3, act_bits=bits, weight_bits=weight_bits, out_bits=None)
    nodes = (
        Node(first, ("input",)), Node(depthwise, ("first",)), Node(add, ("depthwise", "first")),
        Node(largest, ("add",)), Node(mean, ("largest",)), Node(flatten, ("mean",)), Node(head, ("flatten",)),
    )  # fmt: skip
    return Network("residual", Input(name="input", shape=(2, 9, 8), bits=8), nodes)


@pytest.mark.parametrize("width", sorted(WORD_TYPES))
@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (2, 3), (4, 2)])
def test_a_whole_network_layer_by_layer(bits: int, weight_bits: int, width: int) -> None:
    network, rng = residual_network(bits, weight_bits), np.random.default_rng(5)
    check(random_parameters(network, rng), random_codes(network, rng, 3), width, batch=2)


@pytest.mark.parametrize("code", [-255, 255])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_extreme_codes_reach_the_bound_and_no_further(code: int, kernel: tuple[int, int]) -> None:
    layer = Conv(
        name="conv", in_shape=(70, 3, 3), out_channels=2, kernel=kernel, act_bits=8, weight_bits=8, out_bits=None
    )  # fmt: skip
    weights = np.full((2, layer.reduction), 255)
    parameters = {"conv": Parameters(weights=encode_weights(weights, 8), acc_bits=layer.acc_bits)}
    encoded = EncodedNetwork(single(layer), Codes(bits=8, step=0.5), parameters)
    result = run(encoded, np.full((1, 70, 3, 3), 0.5 * code), keep_integers=True)
    assert set(result.integers["conv"].ravel().tolist()) == {layer.reduction * code * 255}


def test_a_sum_beyond_32_bits_does_not_wrap() -> None:
    # 40000 * 255 * 255 = 2 601 000 000 > 2^31
    layer = Dense(name="dense", in_shape=(40000, 1, 1), out_channels=1, act_bits=8, weight_bits=8, out_bits=None)
    parameters = {"dense": Parameters(weights=encode_weights(np.full((1, 40000), -255), 8))}
    encoded = EncodedNetwork(single(layer), Codes(bits=8, step=1.0), parameters)
    assert run(encoded, np.full((1, 40000, 1, 1), 255.0)).outputs.tolist() == [[-2601000000.0]]


def test_more_words_than_a_16_bit_count_holds() -> None:
    # 70001 elements, all bits differ: the popcount of one branch is 70001 > 65535
    layer = Dense(name="dense", in_shape=(70001, 1, 1), out_channels=1, act_bits=1, weight_bits=1, out_bits=None)
    parameters = {"dense": Parameters(weights=encode_weights(np.full((1, 70001), -1), 1))}
    encoded = EncodedNetwork(single(layer), Codes(bits=1, step=1.0), parameters)
    for width in WORD_TYPES:
        assert run(encoded, np.ones((1, 70001, 1, 1)), width=width).outputs.tolist() == [[-70001.0]]
