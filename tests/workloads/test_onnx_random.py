"""Random small graphs of every QONNX and FINN idiom, layer by layer against the executor of `qonnx`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx_builder import DOMAIN, Array, Builder, Counted, Levels, Probe, agrees, paper, reference

from workloads.executor import run
from workloads.onnx_import import load_onnx

pytest.importorskip("qonnx")

IMAGES = 2
MODES = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN", "FLOOR", "CEIL", "UP", "DOWN")


@dataclass(frozen=True)
class Cut:
    """A Trunc: integers of `scale` divided by 2^shift, `bits` left; they stand for `out_scale`. `codes` need the lowest of them."""

    bits: int
    scale: float
    out_scale: float
    lowest: int

    def codes(self, values: Array) -> Array:
        return np.asarray(2 * (np.rint(values / self.out_scale).astype(np.int64) - self.lowest) - (2**self.bits - 1))

    def tie_distance(self, values: Array) -> Array:
        position = values.astype(np.float64) / self.scale
        return np.asarray(np.abs(position - np.floor(position) - 0.5))


class Graph:
    """A network under construction: every method adds one idiom."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.channels, self.size = int(self.rng.integers(1, 5)), int(self.rng.integers(5, 8))
        self.builder = Builder((1, self.channels, self.size, self.size), opset=int(self.rng.integers(11, 18)))
        self.builder.version = int(self.rng.integers(1, 3))
        self.count, self.tensor, self.rank = 0, "x", 4
        self.one_scale = True
        shape = (IMAGES, self.channels, self.size, self.size)
        self.images = self.rng.uniform(-2, 2, shape).astype(np.float32)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def node(self, op: str, *constants: Any, first: bool = False, **attributes: Any) -> None:
        """One more node on the tensor, its constants behind or before it."""
        name = self.name(op)
        made = [self.builder.constant(f"{name}_{place}", value) for place, value in enumerate(constants)]
        inputs = [*made, self.tensor] if first else [self.tensor, *made]
        self.tensor = self.builder.node(op, inputs, name, **attributes)

    def levels(self, scale: float) -> Levels:
        """Any Quant or BipolarQuant."""
        bits = int(self.rng.integers(1, 7))
        if self.chance(0.2):
            return paper(bits)
        zero = float(self.rng.integers(-4, 5)) / 2 if self.chance(0.3) else 0.0
        step, narrow = np.float32(scale / 2**bits), bits > 1 and self.chance(0.3)
        signed = self.chance(0.5) and bits > 1
        return Levels(bits, step, zero, signed=signed, narrow=narrow, rounding=str(self.rng.choice(MODES)))

    def quantize(self, layer: str, scale: float = 2.0, *, channels: bool = False) -> None:
        """Quant, BipolarQuant or MultiThreshold; `channels`: a scale for every channel, for a depthwise reader."""
        before = self.tensor
        if not channels and self.chance(0.3):
            return self.multithreshold(layer, scale)
        levels = self.levels(scale)
        if channels:
            form = (1, self.channels, *(1,) * (self.rank - 2))
            levels = replace(levels, scale=(self.rng.uniform(0.5, 1.5, form) * levels.scale).astype(np.float32))
        self.tensor = self.builder.quant(before, self.name("act"), levels)
        self.probe(layer, before, levels)
        return None

    def multithreshold(self, layer: str, scale: float) -> None:
        name, before = self.name("thresholds"), self.tensor
        levels, rows = int(self.rng.integers(1, 20)), self.channels if self.chance(0.5) else 1
        thresholds = np.sort(self.rng.uniform(-scale, scale, (rows, levels)), axis=1).astype(np.float32)
        found = Counted(thresholds, *((2.0, -1.0) if levels == 1 else (1.0, float(-levels // 2))))
        attributes = {"out_dtype": "INT8", "out_scale": found.scale, "out_bias": found.bias}
        constant = self.builder.constant(name, thresholds)
        self.tensor = self.builder.node("MultiThreshold", [before, constant], f"{name}_n", domain=DOMAIN, **attributes)
        self.probe(layer, before, found)
        if self.chance(0.3):  # what FINN writes behind it: a scale, which only changes what the codes stand for
            self.node("Mul", np.float32(0.5))

    def probe(self, layer: str, before: str, levels: Any) -> None:
        self.builder.probes[layer] = Probe(self.tensor, before, levels)

    def preprocess(self) -> None:
        """Arithmetic on the graph input: one constant, or one a channel."""
        form = (self.channels, 1, 1)
        for _ in range(int(self.rng.integers(0, 4))):
            numbers = self.rng.uniform(0.5, 2, form if self.chance(0.4) else ()) * self.rng.choice([-1, 1])
            self.node(str(self.rng.choice(["Mul", "Add", "Sub", "Div"])), numbers)
        if self.chance(0.2):
            self.normalize()
        if self.chance(0.2):
            self.node("Relu")

    def normalize(self) -> None:
        gain, rest = self.rng.uniform(0.5, 2, self.channels), self.rng.normal(0, 0.5, (2, self.channels))
        gain *= self.rng.choice([-1, 1], self.channels)
        name = self.name("bn")
        variance = self.rng.uniform(0.5, 2, self.channels)
        self.tensor = self.builder.norm(self.tensor, name, gain, rest[0], rest[1], variance)

    def weights(self, shape: tuple[int, ...], axis: int) -> str:
        """Behind a quantizer, or integers as they stand; matrices may come transposed."""
        name, turned = self.name("w"), len(shape) == 2 and self.chance(0.4)
        own, place = (shape[::-1], 1 - axis) if turned else (shape, axis)
        if self.chance(0.3):
            span = int(self.rng.integers(1, 5))
            values = self.rng.integers(-span, span + 1, own)
            if span == 1 and self.chance(0.5):
                values = np.where(values > 0, 1, -1)
            found = self.builder.constant(name, values)
        else:
            sizes = [size if at == place and self.chance(0.5) else 1 for at, size in enumerate(own)]
            levels = self.levels(1.5)
            if not levels.bipolar:
                levels = replace(levels, scale=(self.rng.uniform(0.5, 1.5, sizes) * levels.scale).astype(np.float32))
            found = self.builder.weights(name, self.rng.normal(0, 0.5, own), levels)
        return self.builder.node("Transpose", [found], f"{name}_t", perm=[1, 0]) if turned else found

    def scale_down(self, fan_in: float) -> None:
        """Between sums and quantizer: anything that folds."""
        self.node("Mul", np.float32(1.5 / np.sqrt(fan_in)))
        kind = self.rng.integers(5)
        if kind == 0:
            self.normalize()
        elif kind == 1 and self.rank == 2:
            self.node("Unsqueeze", axes=[2]) if self.builder.opset < 13 else self.unsqueeze("Unsqueeze")
            self.normalize()
            self.node("Squeeze", axes=[2]) if self.builder.opset < 13 else self.unsqueeze("Squeeze")
        elif kind == 2:
            self.node("Relu")
        elif kind == 3:
            self.node("Neg")

    def unsqueeze(self, op: str) -> None:
        name = self.name(op)
        axes = self.builder.constant(f"{name}_axes", [2], np.int64)
        self.tensor = self.builder.node(op, [self.tensor, axes], name)

    def conv(self) -> None:
        """A convolution, pads where zero has a code or the codes are symmetric; depthwise behind a scale a channel."""
        name, depthwise = self.name("conv"), not self.one_scale or self.chance(0.2)
        outputs = self.channels * int(self.rng.integers(1, 3)) if depthwise else int(self.rng.integers(1, 5))
        shape = (outputs, 1 if depthwise else self.channels, 2, 2)
        inputs = [self.tensor, self.weights(shape, 0)]
        self.tensor = self.builder.node("Conv", inputs, name, group=self.channels if depthwise else 1)
        self.channels, self.size = outputs, self.size - 1
        self.one_scale = not self.chance(0.25)
        self.scale_down(float(np.prod(shape[1:])))
        self.quantize(name, channels=not self.one_scale)

    def again(self) -> None:
        """Codes of other levels."""
        if self.chance(0.5):
            self.node("Mul", np.float32(0.75))
        before, name, levels = self.tensor, self.name("again"), self.levels(2.0)
        self.tensor = self.builder.quant(before, name, levels)
        self.one_scale = True
        if any(probe.tensor == before for probe in self.builder.probes.values()):
            return  # may be the same levels, and then no layer
        self.probe(name, before, levels)

    def average(self) -> None:
        """An average over 2 x 2, counted as a sum, and truncated or quantized."""
        name = self.name("mean")
        self.tensor = self.builder.node("AveragePool", [self.tensor], name, kernel_shape=[2, 2], strides=[1, 1])
        self.size -= 1
        shift, before, made = int(self.rng.integers(0, 3)), self.tensor, self.name("trunc")
        scale = 0.0625
        values = [scale, 0.0, 3 + shift, scale * 2**shift, 3]
        if self.builder.version == 1:  # which clips nothing, so its levels are those that the sums reach
            del values[3]
        constants = [self.builder.constant(f"{made}_{place}", value) for place, value in enumerate(values)]
        attributes = {"rounding_mode": str(self.rng.choice(["FLOOR", "ROUND", "CEIL"]))}
        attributes |= {"signed": 1, "narrow": 0} if self.builder.version > 1 else {}
        self.tensor = self.builder.node("Trunc", [before, *constants], made, domain=DOMAIN, **attributes)
        if self.builder.version > 1:
            self.probe(name, before, Cut(3, scale, scale * 2**shift, -4))
        self.one_scale = True

    def flatten(self) -> None:
        """Flatten, or the Shape-Gather-Concat-Reshape of PyTorch."""
        if self.chance(0.5):
            self.node("Flatten")
        else:
            name = self.name("shape")
            zero, end = (
                self.builder.constant(f"{name}_0", 0, np.int64),
                self.builder.constant(f"{name}_1", [-1], np.int64),
            )
            shape = self.builder.node("Shape", [self.tensor], f"{name}_s")
            batch = self.builder.node("Gather", [shape, zero], f"{name}_g", axis=0)
            axes = {} if self.builder.opset >= 13 else {"axes": [0]}
            more = [self.builder.constant(f"{name}_2", [0], np.int64)] if self.builder.opset >= 13 else []
            batch = self.builder.node("Unsqueeze", [batch, *more], f"{name}_u", **axes)
            target = self.builder.node("Concat", [batch, end], f"{name}_c", axis=0)
            self.tensor = self.builder.node("Reshape", [self.tensor, target], f"{name}_r")
        self.channels, self.rank = self.channels * self.size**2, 2

    def dense(self, *, last: bool = False) -> None:
        name, outputs = self.name("fc"), int(self.rng.integers(2, 5))
        inputs = [self.tensor, self.weights((self.channels, outputs), 1)]
        self.tensor = self.builder.node("MatMul", inputs, name)
        fan_in, self.channels = float(self.channels), outputs
        if last and self.chance(0.5):
            self.node("Mul", self.rng.normal(0, 1, outputs))
            return
        self.scale_down(fan_in)
        self.quantize(name)

    def finish(self) -> Builder:
        self.preprocess()
        self.quantize("x")
        blocks: list[Callable[[], None]] = [self.conv, self.conv, self.again, self.average]
        for pick in self.rng.integers(0, 4, int(self.rng.integers(0, 4))):
            blocks[0 if not self.one_scale else pick]()
        if not self.one_scale:
            self.again()
        self.flatten()
        if self.chance(0.5):
            self.dense()
        self.dense(last=True)
        self.builder.outputs = [self.tensor]
        return self.builder


ties: list[int] = []


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_code_is_that_of_qonnx(seed: int) -> None:
    graph = Graph(seed)
    builder = graph.finish()
    with tempfile.TemporaryDirectory() as folder:
        ties.append(agrees(builder, graph.images, Path(folder) / "random.onnx"))


def test_ties_of_float32_are_rare() -> None:
    # Otherwise the test above would have compared little.
    assert sum(ties) <= 0.1 * IMAGES * max(len(ties), 1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_host_quantizes_as_float32_does(seed: int) -> None:
    """No tie is excused here: scale, shift, batch norm and quantizer on the input, at and beside every boundary."""
    graph = Graph(seed)
    graph.preprocess()
    graph.quantize("x")
    probe, channels = graph.builder.probes["x"], graph.channels
    graph.flatten()
    graph.dense(last=True)
    graph.builder.outputs = [graph.tensor]
    with tempfile.TemporaryDirectory() as folder:
        network = load_onnx(graph.builder.save(Path(folder) / "host.onnx"))
    images = graph.images
    if network.input_levels is not None:
        signed = network.input_levels.sign[:, None] * network.input_levels.values
        edges = np.float32(signed[np.isfinite(signed)])
        near = np.concatenate([edges, *(np.nextafter(edges, np.float32(end)) for end in (np.inf, -np.inf))])
        shape = (-1, channels, graph.size, graph.size)
        images = np.resize(near, (max(1, -(-near.size // images[0].size) * channels), images[0].size)).reshape(shape)
    expected = probe.levels.codes(reference(graph.builder.model(), images)[probe.tensor])
    assert (run(network, images, keep_integers=True).codes["x"] == expected).all()
