"""Small QONNX graphs for tests, and what a float32 executor makes of them, tensor by tensor."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from workloads.executor import run
from workloads.onnx_import import load_onnx

Array = npt.NDArray[Any]

TIE = 1e-4
"""Levels from a rounding boundary within which float32 cannot say on which side a value lies."""

DOMAIN = "qonnx.custom_op.general"


@dataclass(frozen=True)
class Levels:
    """A quantizer as its user writes it down; BipolarQuant is `bipolar`."""

    bits: int
    scale: Array | np.floating[Any]
    zero: float | Array = 0.0
    signed: bool = False
    narrow: bool = False
    bipolar: bool = False
    rounding: str = "ROUND"

    @property
    def lowest(self) -> int:
        return -(2 ** (self.bits - 1)) + self.narrow if self.signed else 0

    def codes(self, values: Array) -> Array:
        """Odd codes of values that lie on the levels."""
        if self.bipolar:
            return np.where(values >= 0, 1, -1)
        integers = np.rint(values.astype(np.float64) / self.scale + self.zero).astype(np.int64)
        return np.asarray(2 * (integers - self.lowest) - (2**self.bits - 1))

    def tie_distance(self, values: Array) -> Array:
        """Distance of each value before quantization to the nearest rounding boundary, in levels."""
        if self.bipolar:
            return np.asarray(np.abs(values / self.scale))
        position = values.astype(np.float64) / self.scale + self.zero
        boundary = 0.5 if self.rounding in ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN") else 0.0
        return np.asarray(np.abs(position - boundary - np.rint(position - boundary)))


@dataclass(frozen=True)
class Counted:
    """A MultiThreshold as its user writes it down: thresholds (channels or 1, levels)."""

    thresholds: Array
    scale: float
    bias: float

    def codes(self, values: Array) -> Array:
        top = 2 ** self.thresholds.shape[1].bit_length() - 1
        return np.asarray(2 * np.rint((values - self.bias) / self.scale).astype(np.int64) - top)

    def tie_distance(self, values: Array) -> Array:
        last = np.moveaxis(values, 1, -1)[..., None]
        return np.moveaxis(np.abs(last - self.thresholds).min(axis=-1), -1, 1)


def paper(bits: int) -> Levels:
    """Eq. 15 on [-1, 1]; one bit is the sign."""
    n = 2**bits - 1
    if bits == 1:
        return Levels(1, np.float32(1), bipolar=True)
    return Levels(bits, np.float32(2 / n), n / 2)


def unsigned(bits: int, scale: float) -> Levels:
    return Levels(bits, np.float32(scale))


def twos_complement(bits: int, scale: float) -> Levels:
    return Levels(bits, np.float32(scale), signed=True)


class Emitter(Protocol):
    """What tells codes and ties from the reference's real values."""

    def codes(self, values: Array) -> Array:
        """Odd codes of values that lie on the levels."""

    def tie_distance(self, values: Array) -> Array:
        """Distance of each value before quantization to the nearest boundary."""


@dataclass(frozen=True)
class Probe:
    """Where the codes of one layer stand in the reference: the tensor on the levels, the one before the quantizer."""

    tensor: str
    before: str | None
    levels: Emitter


@dataclass
class Builder:
    """A graph under construction. `probes` maps the names that layers will have to their codes."""

    input_shape: tuple[int | str, ...]
    opset: int = 13
    version: int = 1
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=lambda: ["y"])

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(
        self, op: str, inputs: list[str], name: str, output: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        made = helper.make_node(op, inputs, [output or f"{name}_out"], name=name, domain=domain, **attributes)
        self.nodes.append(made)
        return str(made.output[0])

    def quant(self, x: str, name: str, levels: Levels, layer: str | None = None) -> str:
        """A quantizer; with `layer`, its codes are those of that layer (or of the network input)."""
        scale = self.constant(f"{name}_scale", levels.scale)
        if levels.bipolar:
            out = self.node("BipolarQuant", [x, scale], name, domain=DOMAIN)
        else:
            rest = [self.constant(f"{name}_zero", levels.zero), self.constant(f"{name}_bits", levels.bits)]
            flags: dict[str, Any] = {"signed": int(levels.signed), "narrow": int(levels.narrow)}
            out = self.node("Quant", [x, scale, *rest], name, domain=DOMAIN, rounding_mode=levels.rounding, **flags)
        if layer:
            self.probes[layer] = Probe(out, x, levels)
        return out

    def weights(self, name: str, values: Array, levels: Levels) -> str:
        return self.quant(self.constant(f"{name}_latent", values), f"{name}_quant", levels)

    def norm(self, x: str, name: str, gamma: Array, beta: Array, mean: Array, var: Array) -> str:
        parts = [self.constant(f"{name}_{i}", part) for i, part in enumerate((gamma, beta, mean, var))]
        return self.node("BatchNormalization", [x, *parts], name, epsilon=1e-5)

    def model(self) -> onnx.ModelProto:
        source = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input_shape)
        sinks = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "tested", [source], sinks, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(DOMAIN, self.version)]
        return helper.make_model(graph, opset_imports=opsets, producer_name="tests", producer_version="1", ir_version=8)

    def save(self, path: Path) -> Path:
        onnx.save(self.model(), path)
        return path


def reference(model: onnx.ModelProto, images: Array) -> dict[str, Array]:
    """Every tensor of the graph for images (N, ...), computed by qonnx in float32, all images at once."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    batched = onnx.ModelProto()
    batched.CopyFrom(model)
    del batched.graph.value_info[:]
    batched.graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(images)
    batched.graph.output[0].type.tensor_type.ClearField("shape")
    with warnings.catch_warnings():
        # Its shape inference does not follow a shape that the graph computes; what it computes has the right one.
        warnings.filterwarnings("ignore", message="Output shapes disagree")
        warnings.filterwarnings("ignore", message="Some old-style domain attributes")
        wrapped = ModelWrapper(batched).transform(InferShapes())
        context = execute_onnx(wrapped, {model.graph.input[0].name: images}, return_full_exec_context=True)
    return {name: np.asarray(value) for name, value in context.items()}


def as_tensor(maps: Array, shape: tuple[int, ...]) -> Array:
    """Maps (N, features, 1, positions) as sequences (N, positions, features) or heads (N, heads, positions, features a head)."""
    if maps.ndim == 4 and len(shape) == 3:
        return maps.reshape(len(maps), maps.shape[1], -1).swapaxes(1, 2)
    if maps.ndim == 4 and len(shape) == 4 and maps.shape[2] == 1 < shape[1]:
        return maps.reshape(shape[0], shape[1], shape[3], shape[2]).swapaxes(2, 3)
    return maps.reshape(shape)


def agrees(builder: Builder, images: Array, path: Path) -> int:
    """Compare every code and the output of a graph with qonnx; returns the number of images that met a float32 tie.

    A code may differ only where the reference stands within TIE levels of a rounding boundary, where float32 cannot
    say on which side; from there on that image is another computation and is left out.
    """
    network, expected = load_onnx(builder.save(path)), reference(builder.model(), images)
    shaped = images if images.ndim == 3 else images.reshape(len(images), *network.network.input.shape)
    got = run(network, shaped, keep_integers=True)
    alive = np.ones(len(images), dtype=bool)
    for name, probe in builder.probes.items():
        codes = probe.levels.codes(expected[probe.tensor])
        differs = (as_tensor(got.codes[name], codes.shape) != codes) & alive.reshape(-1, *(1,) * (codes.ndim - 1))
        if differs.any():
            assert probe.before is not None, name
            assert probe.levels.tie_distance(expected[probe.before])[differs].max() < TIE, name
            alive &= ~differs.reshape(len(images), -1).any(axis=1)
    wanted = expected[builder.outputs[0]]
    tolerance = 1e-4 * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(as_tensor(got.outputs, wanted.shape)[alive], wanted[alive], atol=tolerance, rtol=0)
    return int((~alive).sum())
