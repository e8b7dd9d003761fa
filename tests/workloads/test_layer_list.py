"""Our layer list: exact both ways for every network of the zoo and every kind of layer, and precise about mistakes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.test_network import FIRST, INPUT, NETWORK
from workloads.layer_list import KINDS, network_toml, read_layer_list
from workloads.layers import (
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Pool,
    Shuffle,
    Slice,
    Upsample,
    sources,
)
from workloads.network import Input, Network, Node
from workloads.zoo import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("m", "k"), [(1, 1), (3, 2), (8, 8)])
def test_round_trip_of_the_zoo(name: str, m: int, k: int) -> None:
    network = NETWORKS[name](m, k)
    text = network_toml(network)
    assert read_layer_list(text) == network
    assert network_toml(read_layer_list(text)) == text


def test_round_trip_of_a_small_network() -> None:
    assert read_layer_list(network_toml(NETWORK)) == NETWORK


SAMPLES = (
    FIRST,
    Dense(name="a", in_shape=(6, 1, 1), out_channels=7, act_bits=1, weight_bits=2, out_bits=4, positions=8, ternary=True),
    MatMul(
        name="a", in_shape=(6, 1, 4), other_shape=(6, 1, 3), heads=2, over="channels", act_bits=4, weight_bits=4, out_bits=None,
        act_offset=1, cached=True,
    ),
    Pool(name="a", kind="average", in_shape=(3, 5, 4), kernel=(2, 2), stride=(2, 1), act_bits=2, out_bits=None),
    Add(name="a", in_shape=(3, 5, 4), act_bits=2, out_bits=3, multipliers=(1, 3)),
    Upsample(
        name="a", kind="linear", in_shape=(3, 5, 4), factor=(2, 3), act_bits=2, out_bits=3, coordinates="align_corners"
    ),
    Concat(name="a", in_shape=(6, 5, 4), parts=(1, 2, 3), act_bits=2),
    Shuffle(name="a", in_shape=(8, 5, 4), block=2, act_bits=2),
    Slice(name="a", in_shape=(8, 5, 4), out_shape=(3, 4, 4), start=(1, 0, 0), act_bits=2),
    Flatten(name="a", in_shape=(3, 2, 2), act_bits=2),
    Host(name="a", function="softmax", in_shape=(8, 1, 4), out_shape=(4, 1, 4), act_bits=8, out_bits=3, operands=2),
)  # fmt: skip


@pytest.mark.parametrize("layer", SAMPLES, ids=lambda layer: type(layer).__name__)
def test_round_trip_of_every_kind(layer: Layer) -> None:
    inputs = [Input(name=f"x{place}", shape=shape, bits=bits) for place, (shape, bits) in enumerate(sources(layer))]
    if isinstance(layer, Dense):
        inputs = [replace(inputs[0], shape=(6, 1, 8))]
    node = Node(layer, tuple(item.name for item in inputs))
    network = Network("one", inputs[0], (node,), tuple(inputs[1:]))
    assert read_layer_list(network_toml(network)) == network


def test_every_kind_has_a_sample() -> None:
    assert {type(layer) for layer in SAMPLES} == set(KINDS.values())
    assert KINDS["matmul"] is MatMul


def test_text_by_hand() -> None:
    conv = Conv(name="a", in_shape=(2, 3, 4), out_channels=5, kernel=(1, 2), act_bits=2, weight_bits=3, out_bits=None)
    dense = Dense(
        name='"b"\x7f', in_shape=(6, 1, 1), out_channels=7, act_bits=1, weight_bits=1, out_bits=4, positions=8
    )
    rows = Network(
        "two",
        Input(name="x", shape=(2, 3, 4), bits=2),
        (Node(conv, ("x",)), Node(dense, ("y",))),
        (Input(name="y", shape=(6, 1, 8), bits=1),),
    )
    text = network_toml(rows)
    assert tomllib.loads(text) == {
        "name": "two",
        "inputs": [{"name": "x", "shape": [2, 3, 4], "bits": 2}, {"name": "y", "shape": [6, 1, 8], "bits": 1}],
        "layers": [
            {"layer": "conv", "name": "a", "inputs": ["x"], "in_shape": [2, 3, 4], "out_channels": 5, "kernel": [1, 2],
             "act_bits": 2, "weight_bits": 3},
            {"layer": "dense", "name": '"b"\x7f', "inputs": ["y"], "in_shape": [6, 1, 1], "out_channels": 7, "act_bits": 1,
             "weight_bits": 1, "out_bits": 4, "positions": 8},
        ],
    }  # fmt: skip
    assert read_layer_list(text) == rows


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda name: name != "input"))
@settings(max_examples=80, deadline=None)
def test_any_name(name: str) -> None:
    network = Network(name, INPUT, (Node(replace(FIRST, name=name), ("input",)),))
    assert read_layer_list(network_toml(network)) == network


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_field_of_a_convolution(data: st.DataObject) -> None:
    small = st.integers(1, 4)
    groups = data.draw(small)
    conv = Conv(
        name="c",
        in_shape=(groups * data.draw(small), data.draw(st.integers(9, 12)), data.draw(st.integers(9, 12))),
        out_channels=groups * data.draw(small),
        kernel=(data.draw(small), data.draw(small)),
        act_bits=3,
        weight_bits=data.draw(st.integers(1, 8)),
        out_bits=data.draw(st.none() | st.integers(1, 8)),
        stride=(data.draw(small), data.draw(small)),
        padding=(data.draw(small), 0, data.draw(small), data.draw(small)),
        dilation=(data.draw(st.integers(1, 2)), 1),
        groups=groups,
        pad_code=data.draw(st.sampled_from([None, -7, 3])),
        from_host=data.draw(st.booleans()),
    )
    network = Network("n", Input(name="x", shape=conv.in_shape, bits=3), (Node(conv, ("x",)),))
    assert read_layer_list(network_toml(network)) == network


TEXT = network_toml(NETWORK)
REFUSED = {
    "syntax": ("name = ", "name == ", "must be TOML, but "),
    "section": ("[[layers]]", "[[layer]]", "'layer' must be one of name, inputs, layers, not 'layer' (did you mean 'layers'?)"),
    "layer kind": ('"conv"', '"convolution"', "layers[0]: layer must be one of conv, dense, "),
    "key": ("out_channels", "out_chanels", "layers[0] 'first': 'out_chanels' must be one of "),
    "key of an input": ("shape =", "shap =", "inputs[0] 'input': 'shap' must be one of name, shape, bits, not 'shap' (did "),
    "missing": ("kernel = [2, 3]\n", "", "layers[0] 'first': kernel must be given"),
    "missing inputs": ('inputs = ["input"]\n', "", "layers[0] 'first': inputs must be given"),
    "text for a number": ("out_channels = 3", 'out_channels = "3"', "layers[0] 'first': out_channels must be an integer, not '3'"),
    "truth for a number": ("out_channels = 3", "out_channels = true", "layers[0] 'first': out_channels must be an integer, not T"),
    "fraction": ("out_channels = 3", "out_channels = 3.0", "layers[0] 'first': out_channels must be an integer, not 3.0"),
    "number for truth": ("from_host = true", "from_host = 1", "layers[0] 'first': from_host must be true or false, not 1"),
    "too short": ("kernel = [2, 3]", "kernel = [2]", "layers[0] 'first': kernel must be a list of 2, not [2]"),
    "list of texts": ("kernel = [2, 3]", 'kernel = [2, "3"]', "layers[0] 'first': kernel[1] must be an integer, not '3'"),
    "kind of pool": ('"max"', '"maximum"', "layers[3] 'pool': kind must be one of max, average, not 'maximum' (did you mean 'max'?)"),
    "zero": ("out_channels = 3", "out_channels = 0", "layer 'first': out_channels must be an integer >= 1, not 0"),
    "bits": ("act_bits = 8", "act_bits = 9", "layer 'first': act_bits must be between 1 and 8, not 9"),
    "shapes that do not meet": ("in_shape = [3, 2, 2]", "in_shape = [3, 2, 3]", "layer 'flatten': in_shape must be (3, 2, 2)"),
    "unknown input": ('inputs = ["first"]', 'inputs = ["frist"]', "layer 'second': its input 'frist' must be the network i"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    old, new, message = REFUSED[case]
    assert old in TEXT
    text = TEXT.replace(old, new) if case == "section" else TEXT.replace(old, new, 1)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_layer_list(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "inputs: at least one [[inputs]] table must be given"),
        ('inputs = 3\nlayers = "x"', "inputs: at least one [[inputs]] table must be given"),
        ("inputs = [1]\nlayers = [2]", "inputs[0]: must be a table, not 1"),
    ],
)
def test_what_is_no_list(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_layer_list(text)


def test_absence_means_one_thing() -> None:
    """A field that may be None must not have another default, or its None could not be written."""
    for kind in KINDS.values():
        for item in fields(kind):
            assert "None" not in str(item.type) or item.default in (None, MISSING), (kind, item.name)
