"""Joins, moves, cuts and enlargements of maps: every node against qonnx, alone and in random graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx_builder import Builder, Levels, agrees, paper, twos_complement, unsigned

from workloads.layers import Concat, Conv, Pool, Shuffle, Slice, Upsample
from workloads.onnx_import import load_onnx

LEVELS = [
    paper(1),
    paper(2),
    paper(4),
    unsigned(2, 0.4),
    unsigned(4, 0.11),
    twos_complement(3, 0.3),
    twos_complement(8, 0.013),
]


class Grower:
    """A graph that grows from x (1, channels, 6, 5), and random things to put into it."""

    def __init__(self, seed: int, channels: int = 3, size: tuple[int, int] = (6, 5)) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = Builder((1, channels, *size), opset=13)
        self.images = self.rng.uniform(-1.2, 1.2, (3, channels, *size)).astype(np.float32)
        self.x = self.builder.quant("x", "input_quant", twos_complement(4, 0.15), "x")

    def levels(self) -> Levels:
        return LEVELS[self.rng.integers(len(LEVELS))]

    def weights(self, name: str, shape: tuple[int, ...]) -> str:
        bits = int(self.rng.integers(1, 5))
        kinds = [
            paper(bits),
            twos_complement(max(bits, 2), 2.0**-bits),
            Levels(2, np.float32(0.7), signed=True, narrow=True),
        ]
        return self.builder.weights(name, self.rng.normal(0, 0.6, shape), kinds[self.rng.integers(3)])

    def scale(self, x: str, name: str, fan_in: int) -> str:
        return self.builder.node("Mul", [x, self.builder.constant(f"{name}_by", 1.3 / np.sqrt(fan_in))], f"{name}_mul")

    def conv(self, x: str, name: str, channels: tuple[int, int], levels: Levels, kernel: int = 1) -> str:
        """A convolution with pads and its codes."""
        w = self.weights(f"{name}_w", (channels[1], channels[0], kernel, kernel))
        out = self.builder.node("Conv", [x, w], name, pads=[kernel // 2] * 4)
        return self.builder.quant(self.scale(out, name, channels[0] * kernel**2), f"{name}_act", levels, name)

    def end(self, x: str, channels: int) -> Builder:
        self.builder.node("Conv", [x, self.weights("end_w", (2, channels, 1, 1))], "end", output="y")
        return self.builder

    def agrees(self, tmp_path: Path) -> int:
        return agrees(self.builder, self.images, tmp_path / "tested.onnx")


def layers(grown: Grower, tmp_path: Path) -> dict[str, Any]:
    return {layer.name: layer for layer in load_onnx(grown.builder.save(tmp_path / "named.onnx")).network.layers}


@pytest.mark.parametrize("op", ["Add", "Sub"])
@pytest.mark.parametrize("seed", range(8))
def test_maps_of_any_codes_are_added(seed: int, op: str, tmp_path: Path) -> None:
    grown = Grower(seed)
    left = grown.conv(grown.x, "left", (3, 4), grown.levels())
    right = grown.conv(grown.x, "right", (3, 4), grown.levels())
    x = grown.builder.node(op, [left, right], "sum")
    if seed % 2:
        x = grown.builder.node("Relu", [x], "relu")
    x = grown.builder.quant(x, "sum_act", grown.levels(), "sum")
    grown.end(x, 4)
    grown.agrees(tmp_path)


def test_a_map_is_added_to_itself_and_to_the_input(tmp_path: Path) -> None:
    grown = Grower(3)
    x = grown.conv(grown.x, "conv", (3, 3), unsigned(3, 0.25))
    x = grown.builder.quant(grown.builder.node("Add", [x, x], "twice"), "twice_act", unsigned(3, 0.5), "twice")
    x = grown.builder.quant(grown.builder.node("Add", [x, grown.x], "more"), "more_act", paper(3), "more")
    grown.end(x, 3)
    grown.agrees(tmp_path)
    assert layers(grown, tmp_path)["twice"].multipliers == (1, 1)


def test_a_map_that_others_read_is_held_in_more_bits_by_a_pass_of_its_own(tmp_path: Path) -> None:
    grown = Grower(6)
    narrow, wide = (
        grown.conv(grown.x, "narrow", (3, 4), unsigned(2, 0.4)),
        grown.conv(grown.x, "wide", (3, 4), paper(5)),
    )
    x = grown.builder.quant(grown.builder.node("Add", [narrow, wide], "sum"), "sum_act", paper(3), "sum")
    shared = grown.conv(narrow, "other", (4, 4), paper(3))
    grown.end(grown.builder.quant(grown.builder.node("Add", [x, shared], "more"), "more_act", paper(3), "more"), 4)
    grown.agrees(tmp_path)
    found = layers(grown, tmp_path)
    assert isinstance(found["sum_0"], Pool)
    assert (found["narrow"].out_bits, found["sum"].act_bits) == (2, 5)


def test_a_map_that_nobody_else_reads_is_emitted_in_more_bits(tmp_path: Path) -> None:
    grown = Grower(6)
    narrow, wide = (
        grown.conv(grown.x, "narrow", (3, 4), unsigned(2, 0.4)),
        grown.conv(grown.x, "wide", (3, 4), paper(5)),
    )
    grown.end(grown.builder.quant(grown.builder.node("Sub", [narrow, wide], "sum"), "sum_act", paper(3), "sum"), 4)
    grown.agrees(tmp_path)
    assert [(name, layer.out_bits) for name, layer in layers(grown, tmp_path).items()] == [
        ("narrow", 5),
        ("wide", 5),
        ("sum", 3),
        ("end", None),
    ]


def test_a_last_add_keeps_the_exact_ratio(tmp_path: Path) -> None:
    grown = Grower(5)
    left = grown.conv(grown.x, "left", (3, 4), unsigned(4, 0.3))
    right = grown.conv(grown.x, "right", (3, 4), unsigned(4, 0.1))
    grown.builder.node("Add", [left, right], "sum", output="y")
    grown.agrees(tmp_path)
    one, other = layers(grown, tmp_path)["sum"].multipliers
    assert one * float(np.float32(0.1)) == other * float(np.float32(0.3))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pending", [False, True], ids=["codes", "sums"])
def test_maps_are_concatenated(seed: int, pending: bool, tmp_path: Path) -> None:
    grown, shared = Grower(seed), paper(2)
    parts = [grown.conv(grown.x, f"part{i}", (3, 2 + i), shared if seed % 2 else grown.levels()) for i in range(2)]
    if pending:
        out = grown.builder.node("Conv", [grown.x, grown.weights("third_w", (4, 3, 3, 3))], "third", pads=[1] * 4)
        parts.append(grown.scale(out, "third", 27))
    x = grown.builder.node("Concat", parts, "joined", axis=1)
    channels = 9 if pending else 5
    if pending or not seed % 2:
        slopes = grown.rng.uniform(0.5, 1.5, (channels, 1, 1)) * grown.rng.choice([-1, 1], (channels, 1, 1))
        x = grown.builder.node("Mul", [x, grown.builder.constant("slopes", slopes)], "scaled")
        x = grown.builder.quant(x, "joined_act", grown.levels(), "joined")
    grown.end(x, channels)
    grown.agrees(tmp_path)
    assert isinstance(layers(grown, tmp_path)["joined"], Concat)


def test_codes_that_have_the_wanted_levels_are_joined_as_they_are(tmp_path: Path) -> None:
    grown = Grower(2)
    same, other = grown.conv(grown.x, "same", (3, 2), paper(2)), grown.conv(grown.x, "other", (3, 3), unsigned(4, 0.2))
    x = grown.builder.node("Concat", [same, other], "joined", axis=1)
    grown.end(grown.builder.quant(x, "joined_act", paper(2), "joined"), 5)
    grown.agrees(tmp_path)
    found = layers(grown, tmp_path)
    assert [type(layer) for layer in found.values()] == [Conv, Conv, Pool, Concat, Conv]


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("pending", [False, True], ids=["codes", "sums"])
@pytest.mark.parametrize("block", [2, 3])
def test_depth_becomes_space(mode: str, pending: bool, block: int, tmp_path: Path) -> None:
    grown, builder, channels = Grower(block), None, 2 * block**2
    builder = grown.builder
    x = builder.node("Conv", [grown.x, grown.weights("conv_w", (channels, 3, 3, 3))], "conv", pads=[1] * 4)
    x = builder.node("Add", [x, builder.constant("bias", grown.rng.normal(0, 0.3, (channels, 1, 1)))], "bias_add")
    x = grown.scale(x, "conv", 27)
    if not pending:
        x = builder.quant(x, "act", unsigned(3, 0.2))
    x = builder.node("DepthToSpace", [x], "space", blocksize=block, mode=mode)
    if pending:
        x = builder.node("Mul", [x, builder.constant("slopes", np.array([0.8, -1.1]).reshape(2, 1, 1))], "scaled")
        x = builder.quant(builder.node("Relu", [x], "relu"), "act", unsigned(3, 0.2), "space")
    grown.end(x, 2)
    grown.agrees(tmp_path)
    assert isinstance(layers(grown, tmp_path)["space"], Shuffle)


def test_last_sums_are_put_in_place_by_the_host(tmp_path: Path) -> None:
    grown = Grower(4)
    x = grown.builder.node("Conv", [grown.x, grown.weights("w", (8, 3, 3, 3))], "conv", pads=[1] * 4)
    grown.builder.node("DepthToSpace", [x], "space", output="y", blocksize=2, mode="CRD")
    grown.agrees(tmp_path)
    assert list(layers(grown, tmp_path)) == ["conv"]
    assert load_onnx(tmp_path / "named.onnx").out_shape == (2, 12, 10)


CASES = [
    # kernel, stride, pads, output_padding, groups
    ((2, 2), 2, (0, 0, 0, 0), (0, 0), 1),
    ((3, 3), 2, (1, 1, 1, 1), (1, 1), 1),
    ((3, 3), 2, (0, 0, 0, 0), (0, 0), 1),
    ((4, 4), 2, (1, 1, 1, 1), (0, 0), 2),
    ((3, 3), 1, (1, 1, 1, 1), (0, 0), 1),
    ((5, 4), 3, (2, 0, 1, 2), (1, 0), 1),
    ((2, 2), 2, (1, 1, 0, 0), (0, 0), 1),
    ((3, 5), 2, (1, 2, 0, 1), (0, 1), 2),
    ((4, 4), 4, (0, 0, 0, 0), (0, 0), 2),
    ((2, 3), 2, (1, 2, 1, 2), (1, 1), 1),
]


@pytest.mark.parametrize("last", [False, True], ids=["codes", "sums"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_transposed_convolutions(case: tuple[Any, ...], last: bool, tmp_path: Path) -> None:
    kernel, stride, pads, extra, groups = case
    grown = Grower(stride + sum(kernel), channels=4, size=(5, 4))
    w, bias = grown.weights("w", (4, 6 // groups, *kernel)), grown.builder.constant("b", grown.rng.normal(0, 0.5, 6))
    attributes = {"strides": [stride] * 2, "pads": list(pads), "output_padding": list(extra), "group": groups}
    x = grown.builder.node("ConvTranspose", [grown.x, w, bias], "up", output="y" if last else None, **attributes)
    if not last:
        x = grown.builder.node("Relu", [grown.scale(x, "up", 12)], "relu")
        grown.end(grown.builder.quant(x, "up_act", paper(3), "up"), 6)
    grown.agrees(tmp_path)


def test_phases_of_one_shape_are_one_convolution(tmp_path: Path) -> None:
    grown = Grower(1)
    x = grown.builder.node("ConvTranspose", [grown.x, grown.weights("w", (3, 5, 2, 2))], "up", strides=[2, 2])
    grown.end(grown.builder.quant(x, "up_act", paper(3), "up"), 5)
    found = layers(grown, tmp_path)
    assert list(found) == ["up_phases", "up", "end"]
    assert found["up_phases"].kernel == (1, 1)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize(
    ("mode", "factor"), [("linear", (2, 2)), ("linear", (1, 3)), ("nearest", (2, 3)), ("nearest", (4, 1))]
)
@pytest.mark.parametrize("sized", [False, True], ids=["scales", "sizes"])
def test_maps_are_enlarged(coordinates: str, mode: str, factor: tuple[int, int], sized: bool, tmp_path: Path) -> None:
    grown = Grower(factor[0])
    grown.images = grown.images[:1]  # sizes name the batch
    builder = grown.builder
    end = (
        builder.constant("sizes", [1, 3, 6 * factor[0], 5 * factor[1]], np.int64)
        if sized
        else builder.constant("scales", [1, 1, *factor])
    )
    inputs = [grown.x, "", "", end] if sized else [grown.x, "", end]
    rounding = "floor" if coordinates == "asymmetric" else "round_prefer_floor"
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    x = builder.node("Resize", inputs, "grown", **attributes)
    if mode == "linear":
        x = builder.quant(x, "grown_act", twos_complement(6, 0.04), "grown")
    grown.end(x, 3)
    if mode == "nearest" and coordinates == "align_corners":
        with pytest.raises(ValueError, match="nearest neighbours must be input i // "):
            load_onnx(builder.save(tmp_path / "refused.onnx"))
        return
    grown.agrees(tmp_path)
    assert isinstance(layers(grown, tmp_path)["grown"], Upsample)


def test_slices_and_splits_are_copies(tmp_path: Path) -> None:
    grown, builder = Grower(7, channels=5), None
    builder = grown.builder
    ends = [builder.constant(name, value, np.int64) for name, value in (("s", [1, -4]), ("e", [99, -1]), ("a", [2, 3]))]
    x = builder.node("Slice", [grown.x, *ends], "cut")
    sizes = builder.constant("sizes", [2, 3], np.int64)
    builder.nodes.append(_split([x, sizes], ["one", "two"]))
    one, two = grown.conv("one", "left", (2, 3), paper(3)), builder.node("Relu", ["two"], "relu")
    two = builder.quant(two, "two_act", paper(3), "relu")
    grown.end(builder.node("Concat", [one, two, one], "joined", axis=1), 9)
    grown.agrees(tmp_path)
    found = layers(grown, tmp_path)
    assert [type(found[name]) for name in ("cut", "halves_0", "halves_1")] == [Slice] * 3
    assert found["cut"].out_shape == (5, 5, 3)


def _split(inputs: list[str], outputs: list[str]) -> Any:
    from onnx import helper

    return helper.make_node("Split", inputs, outputs, name="halves", axis=1)


def test_pools_of_every_kind(tmp_path: Path) -> None:
    grown = Grower(9)
    builder = grown.builder
    x = builder.node("MaxPool", [grown.x], "most", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    x = builder.node("AveragePool", [x], "mean", kernel_shape=[2, 2], pads=[1, 1, 0, 1], count_include_pad=1)
    x = builder.quant(x, "mean_act", unsigned(4, 0.05), "mean")
    x = builder.node("GlobalMaxPool", [x], "top")
    grown.end(x, 3)
    grown.agrees(tmp_path)


def test_codes_get_other_levels(tmp_path: Path) -> None:
    grown = Grower(11)
    x = grown.builder.quant(grown.x, "again", unsigned(3, 0.2), "again")
    x = grown.builder.norm(x, "bn", *(grown.rng.uniform(0.5, 1, 3) for _ in range(4)))
    x = grown.builder.quant(x, "third", paper(4), "third")
    grown.end(x, 3)
    grown.agrees(tmp_path)


def test_the_last_codes_are_an_output(tmp_path: Path) -> None:
    grown = Grower(12)
    x = grown.builder.node("Conv", [grown.x, grown.weights("w", (2, 3, 1, 1))], "conv")
    grown.builder.outputs = [grown.builder.quant(x, "codes", unsigned(4, 0.1), "conv")]
    grown.agrees(tmp_path)
    last = layers(grown, tmp_path)["conv"]
    assert last.out_bits == 4


def test_pads_move_into_the_convolution(tmp_path: Path) -> None:
    grown = Grower(13)
    pads = grown.builder.constant("pads", [0, 0, 1, 2, 0, 0, 0, 1], np.int64)
    x = grown.builder.node("Pad", [grown.x, pads], "pad")
    grown.builder.node("Conv", [x, grown.weights("w", (2, 3, 3, 3))], "conv", output="y", pads=[1, 0, 1, 0])
    grown.agrees(tmp_path)
    assert layers(grown, tmp_path)["conv"].padding == (2, 2, 1, 1)


def test_a_shuffled_map_is_joined_with_another_before_one_quantizer(tmp_path: Path) -> None:
    """The b^2 phases of a shuffled map share a channel's constant, and so does a channel of the map beside it."""
    rng, b = np.random.default_rng(0), Builder((1, 2, 4, 4))

    def conv(source: str, name: str, outputs: int) -> str:
        values = rng.normal(size=(outputs, 2, 1, 1))
        return b.node("Conv", [source, b.weights(f"{name}_w", values, twos_complement(4, 0.25))], name)

    x = b.quant("x", "q", twos_complement(4, 0.25), "x")
    shuffled = b.node("DepthToSpace", [conv(x, "first", 8)], "shuffled", blocksize=2, mode="DCR")
    scales, rule = b.constant("scales", [1, 1, 2, 2]), {"nearest_mode": "floor", "mode": "nearest"}
    grown = b.node("Resize", [x, "", scales], "grown", coordinate_transformation_mode="asymmetric", **rule)
    joined = b.node("Concat", [shuffled, conv(grown, "second", 3)], "joined", axis=1)
    scaled = b.node("Mul", [joined, b.constant("gain", rng.uniform(0.5, 1.5, (5, 1, 1)))], "scaled")
    b.outputs = [b.quant(scaled, "act", unsigned(4, 0.25), "joined")]
    agrees(b, rng.uniform(-2, 2, (2, 2, 4, 4)).astype(np.float32), tmp_path / "joined.onnx")
