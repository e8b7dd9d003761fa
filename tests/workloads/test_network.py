"""Where layers meet: wiring, totals and changed precision of a small residual network."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from workloads.encoded import EncodedNetwork
from workloads.encoding import Codes
from workloads.files import network_from_header, network_header
from workloads.layers import Add, Concat, Conv, Dense, Flatten, Host, Layer, MatMul, Pool
from workloads.network import Input, Network, Node, at_bits, with_bits

FIRST = Conv(
    name="first", in_shape=(2, 5, 4), out_channels=3, kernel=(2, 3), padding=(1, 1, 0, 1), act_bits=8, weight_bits=1,
    out_bits=2, from_host=True,
)  # fmt: skip
SECOND = Conv(name="second", in_shape=(3, 5, 4), out_channels=3, kernel=(1, 1), act_bits=2, weight_bits=1, out_bits=2)
ADD = Add(name="add", in_shape=(3, 5, 4), act_bits=2, out_bits=2)
POOL = Pool(name="pool", kind="max", in_shape=(3, 5, 4), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
FLATTEN = Flatten(name="flatten", in_shape=(3, 2, 2), act_bits=2)
HEAD = Dense(name="head", in_shape=(3, 2, 2), out_channels=5, act_bits=2, weight_bits=1, out_bits=None)
INPUT = Input(name="input", shape=(2, 5, 4), bits=8)
NODES = (
    Node(FIRST, ("input",)),
    Node(SECOND, ("first",)),
    Node(ADD, ("second", "first")),
    Node(POOL, ("add",)),
    Node(FLATTEN, ("pool",)),
    Node(HEAD, ("flatten",)),
)
NETWORK = Network("small", INPUT, NODES)


def test_totals() -> None:
    assert [layer.name for layer in NETWORK.layers] == ["first", "second", "add", "pool", "flatten", "head"]
    assert [layer.name for layer in NETWORK.contractions] == ["first", "second", "head"]
    assert NETWORK.output is HEAD
    assert NETWORK.macs == 720 + 180 + 60  # 20 * 3 * 12, 20 * 3 * 3, 5 * 12
    assert NETWORK.binary_ops == 2 * (720 * 8 + 180 * 2 + 60 * 2)
    assert NETWORK.parameters == 36 + 9 + 60 == NETWORK.weight_storage_bits
    assert NETWORK.precision == "2x1"
    assert NETWORK.max_bits == (8, 1)


def test_precision_of_unlike_layers_is_mixed() -> None:
    assert with_bits(NETWORK, {"head": (2, 3)}).precision == "mixed"


def test_with_bits_changes_producers_with_their_readers() -> None:
    changed = with_bits(NETWORK, {"second": (3, 4), "head": (3, 2)})
    by_name = {layer.name: layer for layer in changed.layers}
    weight_bits = {layer.name: layer.weight_bits for layer in changed.contractions}
    assert changed.input.bits == 8
    assert (by_name["second"].act_bits, weight_bits["second"]) == (3, 4)
    assert by_name["first"].out_bits == 3
    assert by_name["add"].act_bits == 3
    assert by_name["pool"].act_bits == by_name["flatten"].act_bits == by_name["head"].act_bits == 3
    assert weight_bits["head"] == 2
    assert by_name["head"].out_bits is None
    assert with_bits(NETWORK, {}) == NETWORK


def test_padding_with_the_lowest_code_follows_the_bits() -> None:
    first = replace(FIRST, padding=(1, 1, 1, 1), act_bits=3, pad_code=-7)
    assert at_bits(first, 2, 1, 2) == replace(first, act_bits=2, weight_bits=1, out_bits=2, pad_code=-3)
    one = replace(first, pad_code=1)
    assert at_bits(one, 8, 1, 2) == replace(one, act_bits=8, weight_bits=1, out_bits=2)
    with pytest.raises(ValueError, match="pad_code must be an odd integer in"):
        at_bits(replace(first, pad_code=5), 2, 1, 2)


def test_with_bits_refuses_what_does_not_exist_or_disagrees() -> None:
    with pytest.raises(ValueError, match=r"^network 'small': 'third' is not a layer that reduces products"):
        with_bits(NETWORK, {"third": (1, 1)})
    with pytest.raises(ValueError, match=r"^network 'small': the readers of 'first' must agree on M, but want "):
        with_bits(NETWORK, {"second": (3, 1)})


def rewired(index: int, layer: Layer, *inputs: str) -> tuple[Node, ...]:
    return (*NODES[:index], Node(layer, inputs), *NODES[index + 1 :])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "network 'small': at least one layer must be given"),
        (rewired(1, replace(SECOND, name="first"), "first"), "network 'small': layer names must be unique"),
        (rewired(1, replace(SECOND, name="input"), "first"), "network 'small': layer names must be unique"),
        (rewired(2, ADD, "second"), "layer 'add': must read 2 input(s), not 1"),
        (rewired(1, SECOND, "pool"), "layer 'second': its input 'pool' must be the network input or an"),
        (rewired(1, replace(SECOND, act_bits=3), "first"), "layer 'second': act_bits must be 2 as 'first' emits"),
        (rewired(0, replace(FIRST, out_bits=None), "input"), "layer 'second': its input 'first' must emit codes"),
        (rewired(3, replace(POOL, in_shape=(3, 4, 5)), "add"), "layer 'pool': in_shape must be (3, 5, 4) as"),
        (rewired(5, replace(HEAD, in_shape=(3, 2, 3)), "flatten"), "layer 'head': in_shape must be (12, 1, 1)"),
        (rewired(5, replace(HEAD, in_shape=(12, 1, 1), positions=3), "flatten"), "layer 'head': in_shape must be"),
    ],
)
def test_what_a_network_refuses(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Network("small", INPUT, nodes)


def test_a_sequence_meets_its_dense_layer() -> None:
    tokens = Dense(
        name="tokens", in_shape=(6, 1, 1), out_channels=5, act_bits=2, weight_bits=1, out_bits=1, positions=4
    )
    after = Dense(
        name="after", in_shape=(5, 1, 1), out_channels=2, act_bits=1, weight_bits=1, out_bits=None, positions=4
    )
    network = Network(
        "sequence", Input(name="input", shape=(6, 1, 4), bits=2), (Node(tokens, ("input",)), Node(after, ("tokens",)))
    )
    assert network.macs == 4 * 30 + 4 * 10


def attention() -> Network:
    """Two heads of 3 over 4 tokens: scores, the host's softmax, weighted values, joined with the input."""

    def dense(name: str) -> Dense:
        return Dense(name=name, in_shape=(5, 1, 1), out_channels=6, act_bits=4, weight_bits=2, out_bits=4, positions=4)

    scores = MatMul(
        name="scores", in_shape=(6, 1, 4), other_shape=(6, 1, 4), heads=2, over="channels", act_bits=4, weight_bits=4,
        out_bits=8,
    )  # fmt: skip
    softmax = Host(name="softmax", function="softmax", in_shape=(8, 1, 4), out_shape=(8, 1, 4), act_bits=8, out_bits=3)
    mixed = MatMul(
        name="mixed", in_shape=(8, 1, 4), other_shape=(6, 1, 4), heads=2, over="positions", act_bits=3, weight_bits=4,
        out_bits=4,
    )  # fmt: skip
    joined = Concat(name="joined", in_shape=(11, 1, 4), parts=(6, 5), act_bits=4)
    nodes = (
        Node(dense("q"), ("input",)), Node(dense("k"), ("input",)), Node(dense("v"), ("input",)),
        Node(scores, ("q", "k")), Node(softmax, ("scores",)), Node(mixed, ("softmax", "v")), Node(joined, ("mixed", "input")),
    )  # fmt: skip
    return Network("attention", Input(name="input", shape=(5, 1, 4), bits=4), nodes)


def test_products_of_maps_meet_both_their_maps() -> None:
    network = attention()
    assert network.macs == 3 * 4 * 30 + 4 * 8 * 3 + 4 * 6 * 4
    assert (network.parameters, network.precision) == (3 * 30, "4x2")
    nodes = list(network.nodes)
    for changes, words in (
        ({"weight_bits": 3}, "layer 'scores': weight_bits must be 4 as 'k' emits, not 3"),
        ({"other_shape": (6, 1, 5)}, "layer 'scores': other_shape must be (6, 1, 4) as 'k' emits, not (6, 1, 5)"),
    ):
        layer = replace(nodes[3].layer, **changes)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=re.escape(words)):
            Network("attention", network.input, (*nodes[:3], Node(layer, ("q", "k")), *nodes[4:]))


def test_bits_of_a_product_are_those_of_both_its_maps() -> None:
    changed = {layer.name: layer for layer in with_bits(attention(), {"scores": (2, 3)}).layers}
    assert (changed["q"].out_bits, changed["k"].out_bits, changed["v"].out_bits) == (2, 3, 4)
    scores = changed["scores"]
    assert isinstance(scores, MatMul)
    assert (scores.act_bits, scores.weight_bits) == (2, 3)


def test_rows_that_read_maps_of_their_own() -> None:
    other = Input(name="other", shape=(3, 5, 4), bits=2)
    rows = Network("rows", INPUT, (NODES[0], Node(SECOND, ("other",))), (other,))
    assert rows.inputs == (INPUT, other)
    assert network_from_header(json.loads(json.dumps(network_header(rows)))) == rows
    changed = with_bits(rows, {"second": (4, 4)})
    assert [item.bits for item in changed.inputs] == [8, 4]
    assert changed.layers[0] == FIRST
    with pytest.raises(ValueError, match=r"^network 'rows': names of inputs must be unique$"):
        replace(rows, more_inputs=(replace(other, name="input"),))
    with pytest.raises(ValueError, match=r"^layer 'second': act_bits must be 3 as 'other' emits, not 2$"):
        replace(rows, more_inputs=(replace(other, bits=3),))
    with pytest.raises(ValueError, match=r"^network 'rows': must have one input to be encoded, not 2$"):
        EncodedNetwork(rows, Codes(bits=8, step=1.0), {})
