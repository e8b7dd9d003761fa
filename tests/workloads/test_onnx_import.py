"""QONNX in, encoded network out: random graphs against qonnx, every refusal in one sentence."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from qonnx_builder import DOMAIN, Builder, Levels, Probe, agrees, paper, reference, twos_complement, unsigned

from workloads.encoded import Codes, EncodedNetwork
from workloads.encoding import decode_weights
from workloads.executor import run
from workloads.layers import Add, Conv, Dense, Flatten, Pool
from workloads.onnx_import import load_onnx
from workloads.onnx_operators import OPERATORS
from workloads.onnx_wire import MOST_FIELDS, holds_too_much

IMAGES = 3


# --- agreement -------------------------------------------------------------------------------------------------


class RandomGraph:
    """A random legal network: conv blocks, pools, a residual, a flatten, fully connected layers, an affine end."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.channels, self.height, self.width = (int(self.rng.integers(low, low + 4)) for low in (1, 5, 7))
        self.builder = Builder((1, self.channels, self.height, self.width), opset=int(self.rng.integers(11, 18)))
        self.images = self.rng.uniform(-1.2, 1.2, (IMAGES, self.channels, self.height, self.width)).astype(np.float32)
        self.tensor = self.builder.quant("x", "input_quant", self.input_levels(), "x")
        self.levels = self.input_levels()

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def bits(self) -> int:
        return int(self.rng.integers(1, 9))

    def input_levels(self) -> Levels:
        if not hasattr(self, "_input"):
            bits = self.bits()
            kinds = [paper(bits), unsigned(max(bits, 2), 1 / 2**bits), twos_complement(max(bits, 2), 2 / 2**bits)]
            self._input = kinds[self.rng.integers(3)]
        return self._input

    def hidden_levels(self) -> Levels:
        bits = self.bits()
        more, scale = max(bits, 2), np.float32(2.5 / 2**bits)
        kinds = [paper(bits), paper(bits), unsigned(bits, 1.5 / 2**bits), twos_complement(more, 2.5 / 2**bits)]
        kinds += [Levels(more, scale, signed=True, narrow=True), Levels(more, scale, narrow=True)]
        return kinds[self.rng.integers(len(kinds))]

    def weights(self, name: str, shape: tuple[int, ...], axis: int) -> str:
        bits = self.bits()
        levels = paper(bits) if self.chance(0.5) else self.integer_levels(bits)
        if self.chance(0.5):  # one scale per output channel
            sizes = [1] * len(shape)
            sizes[axis] = shape[axis]
            scale = self.rng.uniform(0.5, 1.5, sizes).astype(np.float32) * levels.scale
            levels = replace(levels, scale=scale)
        return self.builder.weights(name, self.rng.normal(0, 0.6, shape), levels)

    def integer_levels(self, bits: int) -> Levels:
        """Weights with a zero, or none, somewhere: two's complement, narrow (ternary at 2 bits), unsigned, shifted, odd."""
        scale = np.float32(2 / 2**bits)
        kinds = [Levels(bits, scale, float(self.rng.integers(-3, 4) if bits > 1 else 0))]
        if bits > 1:
            kinds += [Levels(bits, scale, signed=True), Levels(bits, scale, signed=True, narrow=True)]
            kinds += [Levels(bits, scale, -0.5, signed=True), Levels(bits, scale, narrow=True)]
        return kinds[self.rng.integers(len(kinds))]

    def affine(self, x: str, name: str, rank: int) -> str:
        """What stands between sums and quantizer: batch norm, constants on either side, Relu; slopes of both signs."""
        count, form = self.channels, (-1, 1, 1) if rank == 4 else (-1,)
        gain = self.rng.uniform(0.3, 1.5, count) * self.rng.choice([-1, 1, 1], count) / np.sqrt(self.fan_in)
        shift = self.rng.normal(0, 0.2, count)
        style = self.rng.integers(4)
        if style == 0:
            x = self.builder.norm(
                x, f"{name}_bn", gain * 2, shift, self.rng.normal(0, 1, count), self.rng.uniform(1, 4, count)
            )
        elif style == 1:
            x = self.builder.node("Mul", [self.constant(f"{name}_a", gain.reshape(form)), x], f"{name}_mul")
            x = self.builder.node("Sub", [self.constant(f"{name}_b", shift.reshape(form)), x], f"{name}_sub")
        elif style == 2:
            x = self.builder.node("Div", [x, self.constant(f"{name}_a", (1 / gain).reshape(form))], f"{name}_div")
            x = self.builder.node("Add", [x, self.constant(f"{name}_b", float(shift[0]))], f"{name}_add")
        else:
            x = self.builder.node("Mul", [x, self.constant(f"{name}_a", float(gain[0]))], f"{name}_mul")
        if self.chance(0.3):
            x = self.builder.node("Relu", [x], f"{name}_relu")
        elif self.chance(0.3):
            low, high = self.constant(f"{name}_low", -0.5), self.constant(f"{name}_high", 0.7)
            ends = [[low, high], ["", high], [low]][self.rng.integers(3)]
            x = self.builder.node("Clip", [x, *ends], f"{name}_clip")
        return self.builder.node("Identity", [x], f"{name}_same") if self.chance(0.2) else x

    def constant(self, name: str, value: Any) -> str:
        return self.builder.constant(name, value)

    def quantize(self, x: str, name: str, rank: int, levels: Levels | None = None) -> None:
        self.levels = levels or self.hidden_levels()
        self.tensor = self.builder.quant(self.affine(x, name, rank), f"{name}_act", self.levels, name)

    def conv(self, name: str, *, same: bool = False, levels: Levels | None = None) -> None:
        groups = int(self.rng.choice([g for g in (1, 2, self.channels) if self.channels % g == 0]))
        kernel = [1 + 2 * int(self.chance(0.7)), 1 + 2 * int(self.chance(0.7))]
        if same:
            outputs, extra = self.channels, {"auto_pad": str(self.rng.choice(["SAME_UPPER", "SAME_LOWER"]))}
        else:
            outputs, extra = groups * int(self.rng.integers(1, 4)), self.geometry(kernel)
        shape = (outputs, self.channels // groups, *kernel)
        inputs = [self.tensor, self.weights(f"{name}_w", shape, 0)]
        if self.chance(0.4):
            inputs.append(self.constant(f"{name}_bias", self.rng.normal(0, 0.5, outputs)))
        self.fan_in, self.channels = float(np.prod(shape[1:])), outputs
        out = self.builder.node("Conv", inputs, name, group=groups, kernel_shape=kernel, **extra)
        self.quantize(out, name, 4, levels)

    def geometry(self, kernel: list[int]) -> dict[str, Any]:
        """Pads, strides and dilations; a small map gets full pads, so that the kernel always fits."""
        small = self.height < 5 or self.width < 5
        pads = [1 if small else int(self.rng.integers(0, 2)) for _ in range(4)]
        strides = [1, 2] if self.chance(0.3) else [1, 1]
        dilations = [2, 1] if not small and self.chance(0.2) else [1, 1]
        self.slide(kernel, pads=pads, strides=strides, dilations=dilations)
        return {"pads": pads, "strides": strides, "dilations": dilations}

    def slide(self, kernel: list[int], pads: list[int], strides: list[int], dilations: list[int]) -> None:
        """Follow the size of the map."""
        spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
        self.height = (self.height + pads[0] + pads[2] - spans[0]) // strides[0] + 1
        self.width = (self.width + pads[1] + pads[3] - spans[1]) // strides[1] + 1

    def max_pool(self, name: str) -> None:
        pads = [1, 0, 0, 1] if self.chance(0.5) or min(self.height, self.width) < 3 else [0, 0, 0, 0]
        self.slide([2, 2], pads, [1, 1], [1, 1])
        self.tensor = self.builder.node("MaxPool", [self.tensor], name, kernel_shape=[2, 2], strides=[1, 1], pads=pads)
        self.builder.probes[name] = Probe(self.tensor, None, self.levels)

    def average_pool(self, name: str) -> None:
        if self.chance(0.3) or min(self.height, self.width) < 3:
            out = self.builder.node("GlobalAveragePool", [self.tensor], name)
            self.height = self.width = 1
        else:
            self.slide([2, 2], [0, 0, 0, 0], [1, 2], [1, 1])
            out = self.builder.node("AveragePool", [self.tensor], name, kernel_shape=[2, 2], strides=[1, 2])
        self.fan_in = 1.0
        self.quantize(out, name, 4)

    def residual(self, name: str) -> None:
        """Both operands need offset 0: the block before and inside emits the paper's codes of equal bits."""
        levels = paper(self.bits())
        self.conv(f"{name}_in", same=True, levels=levels)
        skip = self.tensor
        self.conv(f"{name}_a", same=True)
        self.conv(f"{name}_b", same=True, levels=levels)
        self.fan_in = 1.0
        self.quantize(self.builder.node("Add", [self.tensor, skip], name), name, 4)

    def head(self, features: int) -> None:
        """Flatten in one of its spellings, a hidden fully connected layer, and the outputs."""
        if self.chance(0.5):
            flat = self.builder.node("Flatten", [self.tensor], "flatten")
        else:
            shape = self.builder.constant(
                "shape", self.rng.choice([0, -1]) * np.array([1, 0]) + [0, features], np.int64
            )
            flat = self.builder.node("Reshape", [self.tensor, shape], "flatten")
        self.fan_in, self.channels = float(features), int(self.rng.integers(2, 6))
        if self.chance(0.5):
            out = self.builder.node("MatMul", [flat, self.weights("fc1_w", (features, self.channels), 1)], "fc1")
        else:
            weights = self.weights("fc1_w", (self.channels, features), 0)
            bias = self.constant("fc1_bias", self.rng.normal(0, 1, self.channels))
            out = self.builder.node("Gemm", [flat, weights, bias], "fc1", transB=1, alpha=0.5, beta=2.0)
        self.quantize(out, "fc1", 2)
        out = self.builder.node("MatMul", [self.tensor, self.weights("fc2_w", (self.channels, 4), 1)], "fc2")
        out = self.builder.node("Mul", [out, self.constant("out_scale", self.rng.normal(0, 1, 4))], "out_scale")
        self.builder.node("Add", [out, self.constant("out_bias", self.rng.normal(0, 1, 4))], "out_bias", output="y")

    def finish(self) -> Builder:
        blocks = [self.conv, self.conv, self.max_pool, self.average_pool, self.residual]
        self.conv("first")
        for index, pick in enumerate(self.rng.integers(0, len(blocks), int(self.rng.integers(1, 4)))):
            blocks[pick](f"block{index}")
        self.head(self.channels * self.height * self.width)
        return self.builder


ties: list[int] = []


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_agree_with_qonnx_code_by_code(seed: int, tmp_path: Path) -> None:
    graph = RandomGraph(seed)
    ties.append(agrees(graph.finish(), graph.images, tmp_path / "random.onnx"))


def test_ties_of_float32_are_rare() -> None:
    # Otherwise the test above would have compared little.
    assert sum(ties) <= 0.1 * IMAGES * max(len(ties), 1)


@pytest.mark.parametrize("m", range(1, 9))
def test_exact_ties_are_decided_as_qonnx_decides_them(m: int, tmp_path: Path) -> None:
    # Powers of two everywhere: float32 is exact, every boundary is met, and nothing may differ.
    builder, rng = Builder((1, 2, 4, 4)), np.random.default_rng(m)
    x = builder.quant("x", "q", twos_complement(4, 1), "x")
    weights = builder.weights("w", rng.normal(size=(6, 2, 3, 3)), Levels(1, np.float32(1), bipolar=True))
    x = builder.node("Conv", [x, weights], "conv", pads=[1, 1, 1, 1])
    slopes = np.array([1, -1, 0.5, -0.5, 0.25, 0])
    x = builder.node("Mul", [x, builder.constant("slope", slopes.reshape(6, 1, 1))], "mul")
    x = builder.node("Add", [x, builder.constant("shift", np.array([0, 0.5, 1, 0.25, 0.5, 0]).reshape(6, 1, 1))], "add")
    levels = Levels(m, np.float32(2), 0.5 * (2**m - 1)) if m > 1 else paper(1)
    x = builder.quant(x, "act", levels, "conv")
    x = builder.node("Flatten", [x], "flat")
    builder.node("MatMul", [x, builder.weights("v", rng.normal(size=(96, 3)), paper(2))], "fc", output="y")
    images = rng.integers(-8, 8, (8, 2, 4, 4)).astype(np.float32)
    distances = levels.tie_distance(reference(builder.model(), images)["add_out"])
    assert (distances == 0).sum() > 20
    network = load_onnx(builder.save(tmp_path / "ties.onnx"))
    expected = reference(builder.model(), images)["act_out"]
    assert (run(network, images, keep_integers=True).codes["conv"] == levels.codes(expected)).all()


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("kernel", [[1, 1], [2, 3], [4, 2]])
def test_automatic_padding_is_that_of_onnx(mode: str, kernel: list[int], tmp_path: Path) -> None:
    # Even kernels and strides over a 5x6 map: the odd pad goes to the end or to the beginning.
    builder, rng = Builder((1, 2, 5, 6)), np.random.default_rng(3)
    x = builder.quant("x", "q", twos_complement(3, 1), "x")
    weights = builder.weights("w", rng.normal(size=(3, 2, *kernel)), paper(2))
    builder.node("Conv", [x, weights], "conv", output="y", auto_pad=mode, kernel_shape=kernel, strides=[2, 1])
    images = rng.integers(-4, 4, (IMAGES, 2, 5, 6)).astype(np.float32)
    assert agrees(builder, images, tmp_path / "padded.onnx") == 0


# --- what is imported ------------------------------------------------------------------------------------------


def small(**changes: Any) -> Builder:
    """x (1,2,4,4) -> Quant -> conv (3 channels, 3x3, pad 1) -> BN -> Quant -> Flatten -> MatMul -> y (1,5)."""
    defaults = {"input": twos_complement(4, 0.5), "weights": paper(2), "act": paper(2), "dims": (1, 2, 4, 4)}
    options: dict[str, Any] = defaults | changes
    builder, rng = Builder(options["dims"]), np.random.default_rng(7)
    x = builder.quant("x", "input_quant", options["input"], "x")
    x = builder.node(
        "Conv", [x, builder.weights("w", rng.normal(size=(3, 2, 3, 3)), options["weights"])], "conv", pads=[1] * 4
    )
    x = builder.norm(x, "bn", rng.normal(size=3), rng.normal(size=3), rng.normal(size=3), rng.uniform(1, 2, 3))
    x = builder.quant(x, "act", options["act"], "conv")
    x = builder.node("Flatten", [x], "flatten", axis=1)
    builder.node("MatMul", [x, builder.weights("v", rng.normal(size=(48, 5)), paper(3))], "fc", output="y")
    return builder


def load(builder: Builder, tmp_path: Path) -> EncodedNetwork:
    return load_onnx(builder.save(tmp_path / "model.onnx"))


def test_a_small_graph_becomes_three_layers(tmp_path: Path) -> None:
    network = load(small(), tmp_path).network
    conv, flatten, fc = network.layers
    assert isinstance(conv, Conv)
    assert isinstance(flatten, Flatten)
    assert isinstance(fc, Dense)
    assert [layer.name for layer in network.layers] == ["conv", "flatten", "fc"]
    assert (conv.act_bits, conv.weight_bits, conv.out_bits, conv.from_host) == (4, 2, 2, True)
    assert conv.pad_code == 1  # two's complement: value 0 is step * (1 - 1)
    assert (fc.in_shape, fc.out_bits, fc.from_host) == ((3, 4, 4), None, False)
    assert [node.inputs for node in network.nodes] == [("x",), ("conv",), ("flatten",)]


@pytest.mark.parametrize(
    ("levels", "codes"),
    [
        (paper(3), Codes(bits=3, step=float(np.float32(2 / 7)) / 2, offset=0)),
        (paper(1), Codes(bits=1, step=1.0, offset=0)),
        (unsigned(8, 1), Codes(bits=8, step=0.5, offset=255)),
        (twos_complement(4, 0.25), Codes(bits=4, step=0.125, offset=-1)),
        (Levels(4, np.float32(1), zero=2), Codes(bits=4, step=0.5, offset=11)),
        (Levels(4, np.float32(1), zero=0.5), Codes(bits=4, step=0.5, offset=14)),
        (Levels(1, np.float32(3), signed=True), Codes(bits=1, step=3.0, offset=0)),
        (Levels(4, np.full((1, 2, 1, 1), 2.0, np.float32)), Codes(bits=4, step=1.0, offset=15)),
    ],
)
def test_quantizers_become_codes(levels: Levels, codes: Codes, tmp_path: Path) -> None:
    builder = Builder((1, 2, 1, 1))
    x = builder.quant("x", "input_quant", levels)
    builder.node("Conv", [x, builder.weights("w", np.ones((1, 2, 1, 1)), paper(1))], "conv", output="y")
    assert load(builder, tmp_path).input_codes == codes


@pytest.mark.parametrize(
    ("levels", "encoding"),
    [
        (paper(3), (3, 0, False)),
        (paper(1), (1, 0, False)),
        (Levels(4, np.float32(1), -0.5, signed=True), (4, 0, False)),
        (twos_complement(4, 1), (4, -1, False)),
        (Levels(4, np.float32(1), signed=True, narrow=True), (4, 1, False)),
        (unsigned(4, 1), (4, 15, False)),
        (Levels(4, np.float32(1), 6), (4, 3, False)),
        (unsigned(1, 1), (1, 1, False)),
        (Levels(2, np.float32(1), signed=True, narrow=True), (2, 0, True)),
        (Levels(4, np.float32(5), signed=True), (2, 0, True)),  # only -1, 0 and 1 are used
        # zero points of a channel: -100..255 are declared, -4..7 used
        (Levels(8, np.float32(1), np.array([0, 100], np.float32).reshape(2, 1, 1, 1)), (4, 7, False)),
    ],
)
def test_quantized_weights_become_planes(levels: Levels, encoding: tuple[int, int, bool], tmp_path: Path) -> None:
    builder, values = Builder((1, 1, 3, 4)), np.array([*range(-4, 8)] * 2).reshape(2, 1, 3, 4)
    x = builder.quant("x", "input_quant", paper(1))
    builder.node("Conv", [x, builder.weights("w", values, levels)], "conv", output="y")
    network = load(builder, tmp_path)
    conv, weights = network.network.layers[0], network.parameters["conv"].weights
    assert isinstance(conv, Conv)
    assert weights is not None
    assert (conv.weight_bits, conv.weight_offset, conv.ternary) == encoding
    reals = reference(builder.model(), np.zeros((1, 1, 3, 4), np.float32))["w_quant_out"]
    integers = decode_weights(weights, 12, ternary=conv.ternary) + conv.weight_offset
    step = np.asarray(levels.scale) / (1 if levels.bipolar else 2)
    np.testing.assert_allclose(integers.reshape(2, 1, 3, 4) * step, reals, rtol=1e-6)


def test_weights_keep_their_codes_and_order(tmp_path: Path) -> None:
    builder = Builder((1, 2, 2, 2))
    x = builder.quant("x", "input_quant", paper(2))
    values = np.arange(-7, 9, 2).reshape(1, 2, 2, 2) / 7  # 3 bits: the codes are -7, -5, ..., 7 in (c, h, w) order
    builder.node("Conv", [x, builder.weights("w", values, paper(3))], "conv", output="y")
    weights = load(builder, tmp_path).parameters["conv"].weights
    assert weights is not None
    assert decode_weights(weights, 8).tolist() == [[-7, -5, -3, -1, 1, 3, 5, 7]]


def test_the_last_layer_is_affine_in_source_units(tmp_path: Path) -> None:
    # y = (3 * sum + 1) / 2 with unit steps: two weights of +1, input scale 2 (step 1, offset 3), so
    # sum = acc + 3 * 2 and y = 1.5 acc + 9.5.
    builder = Builder((1, 2))
    x = builder.quant("x", "q", unsigned(2, 2))
    x = builder.node("MatMul", [x, builder.weights("w", np.ones((2, 1)), paper(1))], "fc")
    x = builder.node("Mul", [x, builder.constant("three", 3)], "mul")
    x = builder.node("Add", [builder.constant("one", [1]), x], "add")
    builder.node("Div", [x, builder.constant("two", [[2]])], "div", output="y")
    affine = load(builder, tmp_path).parameters["fc"].affine
    assert affine is not None
    assert (affine.scale.tolist(), affine.bias.tolist()) == ([1.5], [9.5])


def test_source_tells_file_hash_producer_and_metadata(tmp_path: Path) -> None:
    model = small().model()
    helper.set_model_props(model, {"accuracy": "0.97", "file": "a lie"})
    path = tmp_path / "named.onnx"
    onnx.save(model, path)
    source = load_onnx(path).source
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert dict(source) == {"file": "named.onnx", "sha256": digest, "producer": "tests 1", "accuracy": "0.97"}


def test_nodes_without_a_name_of_their_own_get_op_and_index(tmp_path: Path) -> None:
    model = small().model()
    for node in model.graph.node:
        node.name = "" if node.op_type == "Conv" else "same" if node.op_type in ("Flatten", "MatMul") else node.name
    onnx.save(model, tmp_path / "m.onnx")
    assert [layer.name for layer in load_onnx(tmp_path / "m.onnx").network.layers] == ["Conv_2", "same", "MatMul_7"]


def test_merged_layers_are_named_after_conv_and_add(tmp_path: Path) -> None:
    builder = Builder((1, 1, 2, 2))
    x = builder.quant("x", "q", paper(2))
    conv = builder.node("Conv", [x, builder.weights("w", np.ones((1, 1, 1, 1)), paper(1))], "conv")
    conv = builder.quant(conv, "conv_quant", paper(2))
    total = builder.quant(builder.node("Add", [conv, x], "sum"), "sum_quant", paper(3))
    pooled = builder.quant(builder.node("GlobalAveragePool", [total], "mean"), "mean_quant", paper(4))
    builder.node("Conv", [pooled, builder.weights("v", np.ones((1, 1, 1, 1)), paper(1))], "end", output="y")
    layers = {layer.name: layer for layer in load(builder, tmp_path).network.layers}
    assert list(layers) == ["conv", "sum", "mean", "end"]
    add, pool = layers["sum"], layers["mean"]
    assert isinstance(add, Add)
    assert (add.act_bits, add.out_bits) == (2, 3)
    assert isinstance(pool, Pool)
    assert (pool.kind, pool.kernel, pool.act_bits, pool.out_bits) == (
        "average",
        (2, 2),
        3,
        4,
    )


def test_a_quant_that_changes_nothing_disappears(tmp_path: Path) -> None:
    builder = Builder((1, 2))
    x = builder.quant(builder.quant("x", "q", paper(2)), "again", paper(2))
    builder.node("MatMul", [x, builder.weights("w", np.ones((2, 1)), paper(1))], "fc", output="y")
    assert len(load(builder, tmp_path).network.nodes) == 1


def test_biases_may_be_quantized_to_many_bits(tmp_path: Path) -> None:
    builder = Builder((1, 2))
    x = builder.quant("x", "q", paper(2))
    bias = builder.quant(builder.constant("b", [0.3]), "b_quant", Levels(16, np.float32(0.25), signed=True))
    builder.node("Gemm", [x, builder.weights("w", np.ones((2, 1)), paper(1)), bias], "fc", output="y")
    affine = load(builder, tmp_path).parameters["fc"].affine
    assert affine is not None
    assert affine.bias.tolist() == [0.25]


def test_constants_may_be_nodes_and_unused_nodes_are_ignored(tmp_path: Path) -> None:
    builder = small()
    scale = next(tensor for tensor in builder.constants if tensor.name == "act_scale")
    builder.constants.remove(scale)
    builder.nodes.append(helper.make_node("Constant", [], ["act_scale"], value=scale))
    builder.node("Softmax", ["y"], "unused")
    assert len(load(builder, tmp_path).network.nodes) == 3


@pytest.mark.parametrize(("form", "held"), [("value_float", 0.25), ("value_floats", [0.25]), ("value_int", 2)])
def test_constants_may_be_plain_numbers(form: str, held: Any, tmp_path: Path) -> None:
    plain, tensor = small(), small()
    for builder in (plain, tensor):
        builder.constants.remove(next(item for item in builder.constants if item.name == "act_scale"))
    plain.nodes.insert(0, helper.make_node("Constant", [], ["number"], **{form: held}))
    plain.nodes.insert(1, helper.make_node("Cast", ["number"], ["act_scale"], to=TensorProto.FLOAT))
    tensor.constant("act_scale", held)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 2, 4, 4)).astype(np.float32)
    found, wanted = (run(load(builder, tmp_path), image).outputs for builder in (plain, tensor))
    assert np.array_equal(found, wanted)


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    builder = small()
    sorted_network = load(builder, tmp_path).network
    builder.nodes.reverse()
    assert load(builder, tmp_path).network == sorted_network


def test_the_batch_dimension_may_be_symbolic(tmp_path: Path) -> None:
    assert load(small(dims=("batch", 2, 4, 4)), tmp_path).network.input.shape == (2, 4, 4)


def test_open_sizes_may_be_given(tmp_path: Path) -> None:
    path = small(dims=("batch", "channels", "rows", 4)).save(tmp_path / "open.onnx")
    assert load_onnx(path, shape=(2, 4, 4)).network == load(small(), tmp_path).network
    with pytest.raises(ValueError, match=r"given as a shape, not 'channels'"):
        load_onnx(path)
    for shape in ((2, 4), (2, 4, 5)):
        with pytest.raises(ValueError, match=r"must fit its own \['channels', 'rows', 4\], not be"):
            load_onnx(path, shape=shape)


@pytest.mark.parametrize("annotated", [True, False])
def test_integers_need_no_quantizer(annotated: bool, tmp_path: Path) -> None:
    """Images of 0..255, scaled and shifted, straight into a convolution: by annotation, or because the caller says so."""
    builder, rng = Builder((1, 2, 5, 5)), np.random.default_rng(5)
    x = builder.node("Div", ["x", builder.constant("d", 256)], "div")
    x = builder.node("Sub", [x, builder.constant("half", 0.5)], "sub")
    x = builder.node("Conv", [x, builder.weights("w", rng.normal(size=(3, 2, 3, 3)), twos_complement(4, 0.25))], "conv")
    builder.outputs = [builder.quant(x, "act", unsigned(4, 0.125), "conv")]
    model, path = builder.model(), tmp_path / "integers.onnx"
    if annotated:
        note = model.graph.quantization_annotation.add(tensor_name="x")
        note.quant_parameter_tensor_names.add(key="finn_datatype", value="UINT8")
    onnx.save(model, path)
    network = load_onnx(path, input_codes=None if annotated else Codes(bits=8, step=0.5, offset=255))
    images = rng.integers(0, 256, (IMAGES, 2, 5, 5)).astype(np.float32)
    expected, got = reference(model, images)["act_out"], run(network, images, keep_integers=True)
    assert (got.codes["x"] == 2 * images - 255).all()
    assert (got.codes["conv"] == builder.probes["conv"].levels.codes(expected)).all()
    assert (got.outputs == expected).all()


def test_the_last_decision_is_left_to_the_host(tmp_path: Path) -> None:
    builder = small()
    builder.node("ArgMax", ["y"], "class", output="z", axis=1)
    builder.outputs = ["z"]
    network = load(builder, tmp_path)
    assert network.source["left_to_host"] == "ArgMax of 'class'"
    images = np.random.default_rng(0).uniform(-4, 4, (8, 2, 4, 4)).astype(np.float32)
    wanted = reference(small().model(), images)["y"].argmax(axis=1)
    assert (run(network, images).outputs.argmax(axis=1) == wanted).all()
    builder.node("Identity", ["z"], "behind", output="end")
    builder.outputs = ["end"]
    refused(builder, tmp_path, "'class'", "nothing may follow")


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general"])
def test_older_domains_of_the_quantizers_are_known(domain: str, tmp_path: Path) -> None:
    builder = small()
    for node in builder.nodes:
        node.domain = domain if node.domain else ""
    assert len(load(builder, tmp_path).network.nodes) == 3


def test_workloads_stay_light() -> None:
    code = "import sys, workloads.onnx_import; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


# --- what is refused -------------------------------------------------------------------------------------------


def refused(builder: Builder | onnx.ModelProto, tmp_path: Path, *words: str) -> None:
    """The import fails with one line that holds every word."""
    model = builder.model() if isinstance(builder, Builder) else builder
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_onnx(tmp_path / "bad.onnx")
    message = str(caught.value)
    assert "\n" not in message, message
    assert "must" in message, message
    for word in words:
        assert word in message, message


def after_quant(op: str, **attributes: Any) -> Builder:
    """x -> Quant -> op -> Conv."""
    builder = Builder((1, 2, 4, 4))
    x = builder.node(op, [builder.quant("x", "q", paper(2))], "odd", **attributes)
    builder.node("Conv", [x, builder.weights("w", np.ones((1, 2, 1, 1)), paper(1))], "conv", output="y")
    return builder


def test_all_unsupported_nodes_are_named_with_the_supported_set(tmp_path: Path) -> None:
    builder = small()
    builder.outputs = ["z"]
    builder.node("Sin", ["y"], "gate")
    builder.node("Cos", ["gate_out"], "soft", output="z")
    refused(builder, tmp_path, "'gate' (Sin)", "'soft' (Cos)", *OPERATORS)


@pytest.mark.parametrize("domain", ["elsewhere", ""])
def test_a_quant_of_another_domain_is_refused(domain: str, tmp_path: Path) -> None:
    builder = small()
    for node in builder.nodes:
        if node.name == "act":
            node.domain = domain
    refused(builder, tmp_path, "'act' (Quant")


def test_a_conv_of_another_domain_is_refused(tmp_path: Path) -> None:
    builder = small()
    builder.nodes[2].domain = "com.microsoft"
    refused(builder, tmp_path, "'conv' (Conv of domain 'com.microsoft')")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.onnx", tmp_path):
        with pytest.raises(ValueError, match="must be a readable ONNX file"):
            load_onnx(path)


@pytest.mark.parametrize("content", [b"", b"hello, this is not ONNX", b"\x00" * 100, bytes(range(256))])
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="must be an ONNX"):
        load_onnx(tmp_path / "bad.onnx")


def test_every_truncation_and_flipped_byte_is_an_error_or_a_network(tmp_path: Path) -> None:
    content, rng, path = small().save(tmp_path / "m.onnx").read_bytes(), np.random.default_rng(1), tmp_path / "cut.onnx"
    for position in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        for candidate in (content[:position], bytes(damaged)):
            path.write_bytes(candidate)
            with suppress(ValueError):
                load_onnx(path)


@pytest.mark.parametrize("record", [b"\x3a\x02\x0a\x00", b"\x12\x01a", b"\x08\x08"])
def test_few_bytes_that_would_become_large_objects_are_refused(record: bytes, tmp_path: Path) -> None:
    """Empty nodes, names and versions by the million: read by protobuf they would fill gigabytes."""
    (tmp_path / "bomb.onnx").write_bytes(record * (MOST_FIELDS + 1))
    with pytest.raises(ValueError, match=f"bomb.onnx: must hold at most {MOST_FIELDS} records"):
        load_onnx(tmp_path / "bomb.onnx")


def test_records_are_counted_in_all_that_onnx_nests() -> None:
    node = helper.make_node("Loop", ["x"], ["y"], name="n", large=list(range(9)))
    wide = helper.make_graph([node] * 40_000, "wide", [], [])
    content = helper.make_model(wide).SerializeToString()
    assert holds_too_much(content)
    assert not holds_too_much(small().model().SerializeToString())
    assert not holds_too_much(content[: len(content) // 100])


def external(tmp_path: Path, location: str, **entries: str) -> Path:
    """The small graph, the latent weights of its convolution in another file."""
    model = small().model()
    tensor = next(item for item in model.graph.initializer if item.name == "w_latent")
    (tmp_path / "weights.bin").write_bytes(b"before" + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "6", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "external.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_in_the_folder_of_the_model_is_read(tmp_path: Path) -> None:
    inside, whole = load_onnx(external(tmp_path, "weights.bin")), load(small(), tmp_path)
    assert inside.network == whole.network
    for name, own in whole.parameters.items():
        assert (own.weights == inside.parameters[name].weights).all()


@pytest.mark.parametrize(
    ("location", "entries", "words"),
    [
        ("/etc/passwd", {}, "must lie in the folder of the model, not at '/etc/passwd'"),
        ("../weights.bin", {}, "must lie in the folder of the model, not at '../weights.bin'"),
        ("sub/../../weights.bin", {}, "must lie in the folder"),
        ("..\\weights.bin", {}, "must lie in the folder"),
        ("C:/weights.bin", {}, "must lie in the folder"),
        ("link.bin", {}, "must lie in the folder of the model, not at 'link.bin'"),
        ("", {}, "must lie in the folder"),
        ("absent.bin", {}, "must be a file, but there is none at 'absent.bin'"),
        ("weights.bin", {"offset": "7"}, "must have 216 bytes at 7 of 'weights.bin', not 215"),
        ("weights.bin", {"offset": "-1"}, "offset must be an integer >= 0, not '-1'"),
        ("weights.bin", {"length": "9999999999999"}, "must have 216 bytes as its shape says, not 9999999999999"),
    ],
)
def test_external_data_elsewhere_is_refused(location: str, entries: dict[str, str], words: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(222))
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "outside.bin")
    path = external(tmp_path / "model", location, **entries)
    with pytest.raises(ValueError, match="external data of 'w_latent'") as caught:
        load_onnx(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_initializers_that_are_not_finite_are_named(value: float, tmp_path: Path) -> None:
    builder = small()
    builder.constant("poison", [1.0, value])
    refused(builder, tmp_path, "'poison'", "NaN or infinite")


def test_malformed_and_text_initializers_are_named(tmp_path: Path) -> None:
    model = small().model()
    model.graph.initializer[0].dims.append(3)
    refused(model, tmp_path, repr(model.graph.initializer[0].name), "as its shape says")
    builder = small()
    words = helper.make_tensor("words", TensorProto.STRING, [1], [b"hi"])  # type: ignore[list-item]
    builder.constants.append(words)
    refused(builder, tmp_path, "'words'", "real numbers")


@pytest.mark.parametrize("scale", [0.0, -0.5])
@pytest.mark.parametrize("name", ["input_quant_scale", "w_quant_scale", "act_scale"])
def test_scales_must_be_positive(name: str, scale: float, tmp_path: Path) -> None:
    builder = small(act=unsigned(2, 1))
    builder.constants = [tensor for tensor in builder.constants if tensor.name != name]
    builder.constant(name, scale)
    refused(builder, tmp_path, "scale must be > 0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": Levels(2, np.float32(1), zero=0.3)}, ("w_quant", "multiples of 1/2")),
        ({"act": Levels(1, np.float32(1), narrow=True)}, ("act", "at least two levels, not 1")),
        ({"act": Levels(9, np.float32(1))}, ("act", "between 1 and 8, not 9")),
        ({"act": Levels(0, np.float32(1))}, ("act", "between 1 and 8")),
        (
            {"act": Levels(2, np.ones((3, 1, 1), np.float32) * np.arange(1, 4, dtype=np.float32)[:, None, None])},
            ("fc", "one scale and zero point", "depthwise"),
        ),
        ({"weights": Levels(2, np.arange(1, 4, dtype=np.float32), 1.5)}, ("w_quant", "one per output channel")),
        ({"weights": Levels(2, np.arange(1, 3, dtype=np.float32), 1.5)}, ("w_quant", "fit the shape")),
        ({"input": Levels(4, np.float32(1), zero=0.3)}, ("input_quant", "multiple of 1/2")),
        (
            {"input": Levels(4, np.arange(1, 3, dtype=np.float32).reshape(2, 1, 1))},
            ("input_quant", "graph input must have one scale"),
        ),
        ({"input": Levels(4, np.float32(1), zero=-2)}, ("conv", "code for zero", "offset 19")),
        ({"dims": (1, "channels", 4, 4)}, ("graph input 'x'", "dimension 1", "'channels'")),
        ({"dims": (2, 2, 4, 4)}, ("graph input 'x'", "batch dimension must be symbolic or 1, not 2")),
        ({"dims": (1, 2, 4, 4, 4)}, ("graph input 'x'", "not 5-D")),
        ({"dims": (1, 3, 4, 4)}, ("conv", "must read 3 channels")),
        ({"dims": (1, 2, 5, 4)}, ("fc", "60 input features, not 48")),
    ],
)
def test_numbers_that_have_no_encoding_yet(change: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    refused(small(**change), tmp_path, *words)


@pytest.mark.parametrize(
    ("op", "attributes", "words"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, ("dilations",)),
        ("MaxPool", {"kernel_shape": [2]}, ("kernel_shape", "2-D")),
        ("MaxPool", {}, ("kernel_shape must be given",)),
        ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SOMEHOW"}, ("auto_pad",)),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [0, 1]}, ("strides",)),
        ("MaxPool", {"kernel_shape": [9, 9]}, ("kernel must fit",)),
        ("MaxPool", {"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}, ("padding must be smaller",)),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}, ("count_include_pad must be 1",)),
        ("AveragePool", {"kernel_shape": [2, 2]}, ("conv", "must be codes, as a Quant emits, not sums")),
        ("Flatten", {}, ("conv", "not flattened")),
        ("Flatten", {"axis": 2}, ("axis must be 1",)),
    ],
)
def test_operators_on_codes(op: str, attributes: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    refused(after_quant(op, **attributes), tmp_path, *words)


@dataclass(frozen=True)
class Start:
    """x (1,2,4,4) -> Quant -> conv (2 channels, 1x1): the names of its codes and its sums."""

    builder: Builder
    codes: str
    sums: str


def first_steps() -> Start:
    builder = Builder((1, 2, 4, 4))
    codes = builder.quant("x", "q", paper(2))
    weights = builder.weights("w", np.ones((2, 2, 1, 1)), paper(1))
    return Start(builder, codes, builder.node("Conv", [codes, weights], "conv"))


def raw_input(start: Start) -> None:
    start.builder.node("Conv", ["x", "w_quant_out"], "bare", output="y")


def constant_output(start: Start) -> None:
    start.builder.node("Identity", ["w_quant_out"], "same", output="y")


def average_output(start: Start) -> None:
    start.builder.node("GlobalAveragePool", [start.codes], "mean", output="y")


def relu_output(start: Start) -> None:
    start.builder.node("Relu", [start.sums], "relu", output="y")


def float_weights(start: Start) -> None:
    values = start.builder.constant("v", np.full((1, 2, 1, 1), 0.5))
    start.builder.node("Conv", [start.codes, values], "bare", output="y")


def sums_to_conv(start: Start) -> None:
    start.builder.node("Conv", [start.sums, "w_quant_out"], "second", output="y")


def two_readers(start: Start) -> None:
    left, right = (start.builder.quant(start.sums, name, paper(2)) for name in ("left", "right"))
    start.builder.node("Add", [left, right], "sum", output="y")


def unequal_shapes(start: Start) -> None:
    pooled = start.builder.node("MaxPool", [start.codes], "pool", kernel_shape=[2, 2])
    start.builder.node("Add", [start.codes, pooled], "sum", output="y")


def sums_plus_codes(start: Start) -> None:
    start.builder.node("Add", [start.sums, start.codes], "sum", output="y")


def two_input_quantizers(start: Start) -> None:
    start.builder.node("Add", [start.codes, start.builder.quant("x", "twice", paper(3))], "sum", output="y")


def per_column(start: Start) -> None:
    start.builder.node("Mul", [start.sums, start.builder.constant("v", np.ones(4))], "mul", output="y")


def zero_divisor(start: Start) -> None:
    start.builder.node("Div", [start.sums, start.builder.constant("v", 0)], "div", output="y")


def constant_over_sums(start: Start) -> None:
    start.builder.node("Div", [start.builder.constant("v", 1), start.sums], "div", output="y")


def negative_variance(start: Start) -> None:
    ones, variance = np.ones(2), np.array([1, -1])
    start.builder.outputs = [start.builder.norm(start.sums, "bn", ones, ones, ones, variance)]


def dense_on_map(start: Start) -> None:
    start.builder.node("MatMul", [start.codes, start.builder.weights("v", np.ones((4, 2)), paper(1))], "fc", output="y")


def other_reshape(start: Start) -> None:
    moved = start.builder.node("Reshape", [start.codes, start.builder.constant("to", [1, 4, 2, 4], np.int64)], "shape")
    start.builder.node("Conv", [moved, "w_quant_out"], "second", output="y")


def flattened_sums(start: Start) -> None:
    start.builder.node("Flatten", [start.sums], "flat", output="y")


def transposed_gemm(start: Start) -> None:
    flat = start.builder.node("Flatten", [start.codes], "flat")
    start.builder.node(
        "Gemm", [flat, start.builder.weights("v", np.ones((32, 2)), paper(1))], "fc", output="y", transA=1
    )


def wrong_kernel(start: Start) -> None:
    start.builder.node("Conv", [start.codes, "w_quant_out"], "second", output="y", kernel_shape=[3, 3])


def missing_input(start: Start) -> None:
    start.builder.node("Conv", [start.codes], "second", output="y")


def two_outputs(start: Start) -> None:
    start.builder.node("Identity", [start.sums], "same", output="y")
    start.builder.outputs = ["y", start.codes]


def dangling(start: Start) -> None:
    start.builder.node("Add", [start.sums, "nowhere"], "sum", output="y")


def cycle(start: Start) -> None:
    start.builder.node("Add", ["b_out", start.sums], "a")
    start.builder.node("Identity", ["a_out"], "b")
    start.builder.node("Identity", ["a_out"], "end", output="y")


def written_twice(start: Start) -> None:
    start.builder.node("Relu", [start.sums], "relu", output="y")
    start.builder.node("Identity", [start.sums], "same", output="y")


def missing_output(start: Start) -> None:
    start.builder.outputs = ["nowhere"]


def input_output(start: Start) -> None:
    start.builder.outputs = ["x"]


def old_opset(start: Start) -> None:
    start.builder.opset, start.builder.outputs = 6, [start.sums]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (raw_input, ("'bare'", "'x'", "one Quant, BipolarQuant or QuantizeLinear first")),
        (constant_output, ("graph output 'y'", "sums or codes of a last layer, not a quantized constant")),
        (average_output, ("graph output 'y'", "'mean'", "followed by a Quant")),
        (relu_output, ("graph output 'y'", "Relu")),
        (float_weights, ("'bare'", "'v'", "or integers, not fractions")),
        (sums_to_conv, ("'second'", "'conv_out'", "codes, as a Quant emits, not sums")),
        (two_readers, ("'conv_out'", "'conv'", "read by one node, not 2")),
        (unequal_shapes, ("'sum'", "(2, 4, 4) and (2, 3, 3)")),
        (sums_plus_codes, ("'sum'", "codes, as a Quant emits, not sums")),
        (two_input_quantizers, ("'twice'", "one quantizer, not two")),
        (per_column, ("'mul'", "one per channel", "(4,)")),
        (zero_divisor, ("'div'", "'v' must not be 0")),
        (constant_over_sums, ("'div'", "sums", "not a constant")),
        (negative_variance, ("'bn'", "variance + epsilon must be > 0")),
        (dense_on_map, ("'fc'", "put a Flatten before it")),
        (other_reshape, ("'second'", "'shape_out' must be (batch, channels, height, width)", "(batch, 4, 2, 4)")),
        (flattened_sums, ("'flat'", "1x1")),
        (transposed_gemm, ("'fc'", "transA")),
        (wrong_kernel, ("'second'", "kernel_shape must be (1, 1)")),
        (missing_input, ("'second'", "2 or 3 inputs")),
        (two_outputs, ("one output, not 2", "'y'", "'q_out'")),
        (dangling, ("'sum'", "'nowhere'")),
        (cycle, ("no cycle", "a", "b")),
        (written_twice, ("'y'", "written once", "'same'")),
        (missing_output, ("'nowhere'", "computed by a node, not missing")),
        (input_output, ("'x'", "computed by a node")),
        (old_opset, ("at least 9, not 6",)),
    ],
)
def test_graphs_that_do_not_fit(build: Callable[[Start], None], words: tuple[str, ...], tmp_path: Path) -> None:
    start = first_steps()
    build(start)
    refused(start.builder, tmp_path, *words)


def test_unknown_rounding_modes_are_refused(tmp_path: Path) -> None:
    builder = small(act=Levels(2, np.float32(1), rounding="STOCHASTIC"))
    refused(builder, tmp_path, "'act'", "rounding_mode must be one of CEIL", "'STOCHASTIC'")


def test_computed_quantizer_parameters_are_refused(tmp_path: Path) -> None:
    start = first_steps()
    start.builder.node("BipolarQuant", [start.sums, start.codes], "live", output="y", domain=DOMAIN)
    refused(start.builder, tmp_path, "'live'", "must be a constant, not codes")


def test_missing_attributes_are_named(tmp_path: Path) -> None:
    builder = small()
    del next(node for node in builder.nodes if node.name == "act").attribute[:]
    refused(builder, tmp_path, "'act'", "signed must be an integer")


def test_a_second_graph_input_is_refused(tmp_path: Path) -> None:
    model = small().model()
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1]))
    refused(model, tmp_path, "one input, not 2", "'extra'")


def test_training_batch_norm_is_refused(tmp_path: Path) -> None:
    builder = small()
    builder.nodes[3].attribute.append(helper.make_attribute("training_mode", 1))
    refused(builder, tmp_path, "'bn'", "training_mode")


def test_clips_are_checked_and_the_old_attributes_read(tmp_path: Path) -> None:
    def made(opset: int, low: float, high: float) -> Builder:
        start = first_steps()
        start.builder.opset = opset
        ends = [start.builder.constant("low", low), start.builder.constant("high", high)] if opset > 10 else []
        attributes = {} if opset > 10 else {"min": low, "max": high}
        start.builder.node("Clip", [start.sums, *ends], "clip", output="clipped", **attributes)
        start.builder.quant("clipped", "codes", paper(2))
        weights = start.builder.weights("last_w", np.ones((2, 2, 1, 1)), paper(1))
        start.builder.node("Conv", ["codes_out", weights], "last", output="y")
        return start.builder

    refused(made(13, 1.0, -1.0), tmp_path, "node 'clip' (Clip): min must be at most max -1.0, not 1.0")
    new, old = load(made(13, -0.25, 0.5), tmp_path), load(made(10, -0.25, 0.5), tmp_path)
    assert [layer.name for layer in new.network.layers] == [layer.name for layer in old.network.layers]
    name = new.network.layers[0].name
    first, second = new.parameters[name].thresholds, old.parameters[name].thresholds
    assert first is not None
    assert second is not None
    assert (first.values == second.values).all()
