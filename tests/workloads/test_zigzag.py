"""ZigZag workloads: a small one by hand, every network of the zoo written as one, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.layers import Add, Conv, Dense, Flatten, Layer, MatMul, Pool
from workloads.network import Network
from workloads.zigzag import read_zigzag
from workloads.zoo import NETWORKS

CONV = "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"
SMALL = f"""
- id: 0
  operator_type: Conv
  equation: {CONV}
  dimension_relations: [ix=2*ox+1*fx, iy=2*oy+1*fy]
  loop_dims: [B, K, C, OY, OX, FY, FX]
  loop_sizes: [1, 6, 3, 8, 7, 3, 3]
  operand_precision: {{W: 3, I: 8, O: 16, O_final: 8}}
  operand_source: {{I: 0, W: 0}}
- id: 1
  name: depthwise
  operator_type: Conv
  equation: O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]
  dimension_relations: [ix=1*ox+2*fx, iy=fy+oy]
  loop_dims: [B, K, G, OX, OY, C, FX, FY]
  loop_sizes: [1, 1, 6, 7, 8, 1, 3, 3]
  operand_precision: {{W: 3, I: 2, O: 16, O_final: 8}}
  operand_source: {{I: 0, W: 1}}
  pr_loop_dims: [IX, IY]
  pr_loop_sizes: [7, 8]
  padding: [[2, 2], [1, 1]]
- id: 2
  operator_type: Add
  equation: O[b][g][oy][ox]=W[b][g][oy][ox]+I[b][g][oy][ox]
  loop_dims: [B, G, OY, OX]
  loop_sizes: [1, 6, 8, 7]
  operand_precision: {{W: 2, I: 2, O: 16, O_final: 8}}
  operand_source: {{W: 0, I: 1}}
- id: 3
  operator_type: Pooling
  equation: O[b][g][oy][ox]+=W[fx][fy]*I[b][g][iy][ix]
  dimension_relations: [ix=2*ox+1*fx, iy=2*oy+1*fy]
  loop_dims: [B, G, OY, OX, FX, FY]
  loop_sizes: [1, 6, 4, 4, 3, 3]
  operand_precision: {{W: 0, I: 2, O: 16, O_final: 8}}
  operand_source: {{W: 3, I: 2}}
- id: 4
  operator_type: Gemm
  equation: O[d][k]+=I[d][c]*W[c][k]
  dimension_relations: []
  loop_dims: [C, D, K]
  loop_sizes: [96, 1, 10]
  operand_precision: {{W: 8, I: 2, O: 16, O_final: 16}}
  operand_source: {{I: 3, W: 4}}
"""


def test_small_by_hand() -> None:
    network = read_zigzag(SMALL, "small", None)
    first, depthwise, add, pool, fc = network.layers
    # The windows of the first reach (8-1)*2+3 = 17 by (7-1)*2+3 = 15.
    assert first == Conv(
        name="layer0", in_shape=(3, 17, 15), out_channels=6, kernel=(3, 3), act_bits=8, weight_bits=3, out_bits=2, stride=(2, 2)
    )  # fmt: skip
    assert depthwise == Conv(
        name="depthwise", in_shape=(6, 8, 7), out_channels=6, kernel=(3, 3), act_bits=2, weight_bits=3, out_bits=2,
        padding=(1, 2, 1, 2), dilation=(1, 2), groups=6,
    )  # fmt: skip
    assert add == Add(name="layer2", in_shape=(6, 8, 7), act_bits=2, out_bits=2)
    # 4 windows of 3, 2 apart, reach 9: one beyond 8 rows, before them, and two beyond 7 columns, one on each side.
    assert pool == Pool(
        name="layer3", kind="max", in_shape=(6, 8, 7), kernel=(3, 3), act_bits=2, out_bits=2, stride=(2, 2), padding=(1, 1, 0, 1)
    )  # fmt: skip
    assert fc == Dense(name="layer4", in_shape=(6, 4, 4), out_channels=10, act_bits=2, weight_bits=8, out_bits=None)
    assert [node.inputs for node in network.nodes] == [
        ("layer0.I",), ("layer0",), ("depthwise", "layer0"), ("layer2",), ("layer3",),
    ]  # fmt: skip
    assert [(item.name, item.shape, item.bits) for item in network.inputs] == [("layer0.I", (3, 17, 15), 8)]


def test_given_bits_take_the_place_of_those_in_the_file() -> None:
    network = read_zigzag(SMALL, "small", (4, 5))
    assert {layer.act_bits for layer in network.layers} == {4}
    assert {layer.weight_bits for layer in network.contractions} == {5}
    assert network.output.out_bits is None


def test_layers_without_sources_stand_alone() -> None:
    entries = yaml.safe_load(SMALL)[:2]
    entries[1]["operand_source"] = {}
    network = read_zigzag(yaml.safe_dump(entries), "rows", None)
    assert [(item.name, item.shape) for item in network.inputs] == [
        ("layer0.I", (3, 17, 15)),
        ("depthwise.I", (6, 8, 7)),
    ]
    assert [layer.out_bits for layer in network.layers] == [8, 8]  # O_final


def test_a_sequence() -> None:
    entry = {
        "id": 7, "operator_type": "Gemm", "equation": "O[b][h][d][k]+=I[b][h][d][c]*W[c][k]", "loop_dims": ["C", "D", "K", "B", "H"],
        "loop_sizes": [5, 6, 7, 2, 3], "operand_precision": {"W": 1, "I": 1, "O": 8, "O_final": 4},
    }  # fmt: skip
    (layer,) = read_zigzag(yaml.safe_dump([entry]), "one", None).layers
    assert layer == Dense(
        name="layer7", in_shape=(5, 1, 1), out_channels=7, act_bits=1, weight_bits=1, out_bits=4, positions=36
    )


def attention() -> list[dict[str, Any]]:
    """Two heads of 3 over 5 tokens: Q, K and V from maps of 4 features, scores, weighted values."""

    def gemm(number: int, equation: str, sizes: dict[str, int], sources: dict[str, int]) -> dict[str, Any]:
        return {
            "id": number, "operator_type": "Gemm", "equation": equation, "loop_dims": list(sizes), "loop_sizes": list(sizes.values()),
            "operand_precision": {"W": 2, "I": 4, "O": 16, "O_final": 16}, "operand_source": sources,
        }  # fmt: skip

    projections = [gemm(number, "O[d][k]+=I[d][c]*W[c][k]", {"C": 4, "D": 5, "K": 6}, {}) for number in range(3)]
    product = "O[h][d][k]+=I[h][d][c]*W[h][c][k]"
    scores = gemm(3, product, {"H": 2, "C": 3, "D": 5, "K": 5}, {"I": 0, "W": 1})
    mixed = gemm(4, product, {"H": 2, "C": 5, "D": 5, "K": 3}, {"I": 3, "W": 2})
    return [*projections, scores, mixed]


def test_products_of_two_maps() -> None:
    network = read_zigzag(yaml.safe_dump(attention()), "attention", None)
    scores, mixed = network.layers[3:]
    assert scores == MatMul(
        name="layer3", in_shape=(6, 1, 5), other_shape=(6, 1, 5), heads=2, over="channels", act_bits=4, weight_bits=2, out_bits=4
    )  # fmt: skip
    assert mixed == MatMul(
        name="layer4", in_shape=(10, 1, 5), other_shape=(6, 1, 5), heads=2, over="positions", act_bits=4, weight_bits=2, out_bits=None
    )  # fmt: skip
    assert [layer.out_bits for layer in network.layers[:3]] == [4, 2, 2]
    assert network.nodes[4].inputs == ("layer3", "layer2")
    assert network.macs == 3 * 4 * 5 * 6 + 2 * (2 * 3 * 5 * 5)
    given = read_zigzag(yaml.safe_dump(attention()), "attention", (3, 1))
    assert [(layer.act_bits, layer.weight_bits) for layer in given.contractions] == [(3, 1)] * 3 + [(3, 3)] * 2


def test_a_product_with_a_cache() -> None:
    entry = attention()[3] | {"operand_source": {}}
    network = read_zigzag(yaml.safe_dump([entry]), "cache", None)
    (layer,) = network.layers
    assert isinstance(layer, MatMul)
    assert (layer.cached, layer.over, layer.macs) == (True, "channels", 150)
    assert [item.shape for item in network.inputs] == [(6, 1, 5)]


@pytest.mark.parametrize(
    ("operator", "kind"),
    [("MaxPool", "max"), ("AveragePool", "average"), ("GlobalAveragePool", "average"), ("Pool", "average")],
)
def test_kinds_of_pools(operator: str, kind: str) -> None:
    entry = {
        "id": 0, "operator_type": operator, "equation": "O[b][g][oy][ox]+=W[fx][fy]*I[b][g][iy][ix]",
        "dimension_relations": ["ix=ox+fx", "iy=oy+fy"], "loop_dims": ["G", "OY", "OX", "FY", "FX"], "loop_sizes": [4, 1, 1, 6, 5],
        "operand_precision": {"I": 3, "O": 16, "O_final": 3},
    }  # fmt: skip
    (layer,) = read_zigzag(yaml.safe_dump([entry]), "one", None).layers
    assert layer == Pool(name="layer0", kind=kind, in_shape=(4, 6, 5), kernel=(6, 5), act_bits=3, out_bits=3)  # type: ignore[arg-type]


def entry_of(layer: Layer, number: int, sources: list[int]) -> dict[str, Any]:
    """A layer as ZigZag writes it, its padding unsaid."""
    entry: dict[str, Any] = {"id": number, "name": layer.name, "operand_source": {"I": sources[0], "W": sources[-1]}}
    channels, height, width = layer.out_shape
    if isinstance(layer, Add):
        entry |= {"operator_type": "Add", "equation": "O[b][g][oy][ox]=W[b][g][oy][ox]+I[b][g][oy][ox]"}
        sizes = {"G": channels, "OY": height, "OX": width}
    elif isinstance(layer, Dense):
        entry |= {"operator_type": "Gemm", "equation": "O[d][k]+=I[d][c]*W[c][k]"}
        sizes = {"C": layer.reduction, "D": layer.positions, "K": layer.out_channels}
    else:
        assert isinstance(layer, Conv | Pool)
        steps = zip("yx", layer.stride, layer.dilation if isinstance(layer, Conv) else (1, 1), strict=True)
        entry |= {"dimension_relations": [f"i{axis}={step}*o{axis}+{gap}*f{axis}" for axis, step, gap in steps]}
        sizes = {"OY": height, "OX": width, "FY": layer.kernel[0], "FX": layer.kernel[1]}
        if isinstance(layer, Conv):
            entry |= {"operator_type": "Conv", "equation": CONV.replace("[k][", "[g][k][")}
            sizes |= {
                "G": layer.groups,
                "K": layer.out_channels // layer.groups,
                "C": layer.in_shape[0] // layer.groups,
            }
        else:
            kind = "MaxPool" if layer.kind == "max" else "AveragePool"
            entry |= {"operator_type": kind, "equation": "O[b][g][oy][ox]+=W[fx][fy]*I[b][g][iy][ix]"}
            sizes |= {"G": channels}
    weight_bits = layer.weight_bits if isinstance(layer, Conv | Dense) else layer.act_bits
    entry["operand_precision"] = {"I": layer.act_bits, "W": weight_bits, "O": 32, "O_final": layer.out_bits or 32}
    return entry | {"loop_dims": list(sizes), "loop_sizes": list(sizes.values())}


def workload(network: Network) -> list[dict[str, Any]]:
    """A network as ZigZag entries; a Flatten is no loop, its reader reads what it reads."""
    ids: dict[str, int] = {}
    entries: list[dict[str, Any]] = []
    for node in network.nodes:
        if isinstance(node.layer, Flatten):
            ids[node.layer.name] = ids[node.inputs[0]]
            continue
        number = len(entries)
        sources = [ids.get(name, number) for name in node.inputs]
        entries.append(entry_of(node.layer, number, sources if isinstance(node.layer, Add) else [*sources, number]))
        ids[node.layer.name] = number
    return entries


@pytest.mark.parametrize("name", ["cifar_convnet", "resnet18"])
def test_a_network_of_the_zoo_comes_back(name: str) -> None:
    zoo = NETWORKS[name](3, 2)
    network = read_zigzag(yaml.safe_dump(workload(zoo)), name, None)
    assert (network.macs, network.parameters, network.binary_ops) == (zoo.macs, zoo.parameters, zoo.binary_ops)
    kept = [node for node in zoo.nodes if not isinstance(node.layer, Flatten)]
    for node, came in zip(kept, network.nodes, strict=True):
        assert came.layer.name == node.layer.name
        assert type(came.layer) is type(node.layer)
        assert came.layer.out_shape == node.layer.out_shape
        assert (came.layer.act_bits, came.layer.out_bits) == (node.layer.act_bits, node.layer.out_bits)
        assert isinstance(node.layer, Dense) or node is kept[0] or came.inputs == node.inputs


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_padding_that_is_not_stated(outputs: int, kernel: int, stride: int, dilation: int, less: int) -> None:
    """A layer in front emits `less` rows fewer than the windows reach, and they still give the outputs of the loop."""
    reach = (outputs - 1) * stride + (kernel - 1) * dilation + 1
    size = max(1, reach - less)
    first = yaml.safe_load(SMALL)[0]
    first |= {"loop_sizes": [1, 6, 3, size, size, 1, 1], "dimension_relations": []}
    second = {**first, "id": 1, "operand_source": {"I": 0}, "loop_sizes": [1, 2, 6, outputs, outputs, kernel, kernel]}
    second["dimension_relations"] = [f"i{axis}={stride}*o{axis}+{dilation}*f{axis}" for axis in "xy"]
    layer = read_zigzag(yaml.safe_dump([first, second]), "two", None).layers[1]
    assert isinstance(layer, Conv)
    assert layer.out_shape == (2, outputs, outputs)
    top, left, bottom, right = layer.padding
    assert (top, bottom) == (left, right)
    assert top + bottom == reach - size
    assert top - bottom in (0, 1)


def changed(number: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda entries: entries[number].update(values)


REFUSED: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "unknown key": (changed(0, loop_sizs=[1]), "layer 0: 'loop_sizs' must be one of id, operator_type, "),
    "missing key": (lambda entries: entries[2].pop("loop_sizes"), "layer 2: loop_sizes must be given"),
    "operator": (changed(1, operator_type="Convv"), "layer 1: operator_type must be one of Conv, Conv_downsample, Gemm, "),
    "id": (changed(1, id="one"), "layer 1: id must be an integer between 0 and 2147483647, not 'one'"),
    "id twice": (changed(1, id=0), "layer 0: id must be unique, but 0 comes twice"),
    "name twice": (changed(1, name="layer0"), "network 'bad': layer names must be unique, but 'layer0' comes twice"),
    "name": (changed(1, name=3), "layer 1: name must be a text, not 3"),
    "count of sizes": (changed(0, loop_sizes=[1, 2]), "layer 0: loop_sizes must have one number for each of 7 loop_dims, not 2"),
    "zero": (changed(0, loop_sizes=[1, 0, 3, 8, 7, 3, 3]), "layer 0: loop K must be an integer between 1 and 2147483647, not 0"),
    "text": (changed(0, loop_sizes=[1, "6", 3, 8, 7, 3, 3]), "layer 0: loop K must be an integer between 1 and 2147483647, no"),
    "loop": (changed(0, loop_dims=["B", "K", "C", "OY", "OX", "FY", "FZ"]), "layer 0: loop_dims must be one of B, G, K, C, OY, "),
    "loop twice": (changed(0, loop_dims=["B", "K", "C", "OY", "OX", "FY", "FY"]), "layer 0: loop_dims must be unique, but FY"),
    "no list": (changed(0, loop_dims="BKC"), "layer 0: loop_dims must be a list, not 'BKC'"),
    "batch": (changed(0, loop_sizes=[2, 6, 3, 8, 7, 3, 3]), "layer 0: loop B must be 1, because one inference is counted, not 2"),
    "relation": (changed(0, dimension_relations=["ix=2*oy+1*fx"]), "layer 0: dimension_relations must read like iy=2*oy+1*fy"),
    "relation with zero": (changed(0, dimension_relations=["ix=0*ox+1*fx"]), "layer 0: dimension_relations must read like "),
    "no relation": (changed(0, dimension_relations=[]), "layer 0: dimension_relations must say how iy follows from oy"),
    "precision key": (changed(0, operand_precision={"X": 8}), "layer 0: operand_precision: 'X' must be one of I, W, O, O_final"),
    "wide": (changed(0, operand_precision={"I": 16, "W": 2, "O": 32}), "layer 0: operand_precision I must be between 1 and 8, not 16 (M "),
    "no bits": (changed(0, operand_precision={"O": 32}), "layer 0: operand_precision I must be between 1 and 8, not None (M and K"),
    "later source": (changed(1, operand_source={"I": 3, "W": 1}), "layer 1: operand_source I must be an earlier layer or its own id, n"),
    "two activations": (changed(4, operand_source={"I": 3, "W": 2}), "layer 'layer4': in_shape must be (6, 4, 4) as 'layer3' emits, not "),
    "weights with a batch": (changed(4, equation="O[b][d][k]+=I[b][d][c]*W[b][c][k]"), "layer 4: W in the equation must have ind"),
    "weights without heads": (
        changed(4, loop_dims=["C", "H", "K"], loop_sizes=[48, 2, 10], operand_source={"I": 3, "W": 2}),
        "layer 4: a product of two maps must have B of 1 and W[h][c][k] in the equation",
    ),
    "shared groups": (changed(1, equation=CONV), "layer 1: W in the equation must have indices out of c, fx, fy, g, k, and g, not "),
    "equation": (changed(0, equation="y = W x"), "layer 0: equation must read like O[b][k]+=W[k][c]*I[b][c], not 'y = W x'"),
    "map too large": (changed(3, loop_sizes=[1, 6, 2, 2, 3, 3]), "layer 3: loop OY must be 3, which a map of 8 padded by 0 and 0"),
    "map of another size": (changed(1, pr_loop_sizes=[7, 9]), "layer 1: pr_loop_sizes IY must be 8 as its source emits, not 9"),
    "filters from a layer": (changed(1, operand_source={"I": 0, "W": 0}), "layer 1: W must be weights, not the output of layer 0"),
    "padding": (changed(1, padding=[[2, 2], [1]]), "layer 1: padding must be a list of [before, after], not [1]"),
    "paddings": (changed(1, padding=[[2, 2]]), "layer 1: padding must have one entry for each of pr_loop_dims ['IX', 'IY'], not"),
    "negative padding": (changed(1, padding=[[2, 2], [1, -1]]), "layer 1: padding must be an integer between 0 and 2147483647, "),
    "time": (changed(0, time_dim="L"), "layer 0: time_dim must be empty: layers with a state are not there, not 'L'"),
    "channels": (changed(1, loop_sizes=[1, 1, 5, 7, 8, 1, 3, 3]), "layer 'depthwise': in_shape must be (6, 8, 7) as 'layer0' emits"),
    "bits of two readers": (
        changed(2, operand_precision={"I": 2, "W": 2, "O": 16} | {"I": 3}), "layer 'layer2': act_bits must be 2 as 'layer0' emits, not 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    change, message = REFUSED[case]
    entries = yaml.safe_load(SMALL)
    change(entries)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_zigzag(yaml.safe_dump(entries), "bad", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a list of at least one layer, each with an id"),
        ("[]", "must be a list of at least one layer, each with an id"),
        ("id: 3", "must be a list of at least one layer, each with an id"),
        ("- 3", "layer 0: must be a mapping with id, operator_type and loops, not 3"),
        ("- {id: 3", "must be YAML, but "),
        ("- !!python/object/apply:os.system [ls]", "must be YAML, but "),
        ("- 2001-99-99", "must be YAML, but "),
    ],
)
def test_what_is_no_workload(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_zigzag(text, "bad", None)
