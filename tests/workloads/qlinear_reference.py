"""Linear quantization in plain integers and fractions: what ONNX says of every tensor, and what onnxruntime's float32 makes of it.

`exact` walks a graph and rounds nowhere but in QuantizeLinear and its like. `rounded` computes one integer operator as the kernels
of onnxruntime do, in float32 and in their order of operations, from the integers that it is given. Neither knows the importer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint4": (0, 15), "int4": (-8, 7), "uint2": (0, 3), "int2": (-2, 1)}
F32 = np.float32


@dataclass(frozen=True)
class Scaled:
    """scale * integers: int64 and fractions, of shapes that broadcast."""

    integers: Array
    scale: Array

    @property
    def real(self) -> Array:
        return np.asarray(self.integers.astype(object) * self.scale)


@dataclass(frozen=True)
class Step:
    """A node with its attributes, its input tensors by place and the types of its integers."""

    node: onnx.NodeProto
    inputs: list[Any]
    types: list[str]

    @property
    def attributes(self) -> dict[str, Any]:
        return {item.name: helper.get_attribute_value(item) for item in self.node.attribute}

    def linear(self, place: int) -> tuple[Array, Array]:
        """Scale and zero point from `place` on."""
        scale = np.asarray(self.inputs[place])
        zero = self.inputs[place + 1] if place + 1 < len(self.inputs) else None
        return scale, np.zeros((), np.int64) if zero is None else np.asarray(zero).astype(np.int64)

    def scaled(self, place: int, axis: int) -> Scaled:
        """scale * (q - zero point) of the integers at `place`."""
        integers, (scale, zero) = self.inputs[place].astype(np.int64), self.linear(place + 1)
        shape = along(integers, scale, axis)
        return Scaled(integers - zero.reshape(shape), fractions(scale).reshape(shape))

    def range(self, place: int) -> tuple[int, int]:
        """Of the type of input `place`, uint8 where it is not given."""
        return RANGES[self.types[place] if place < len(self.types) and self.types[place] else "uint8"]


def along(integers: Array, scale: Array, axis: int) -> tuple[int, ...]:
    if scale.size == 1:
        return ()
    return tuple(size if place == axis % integers.ndim else 1 for place, size in enumerate(integers.shape))


def fractions(values: Array) -> Array:
    found = np.empty(np.asarray(values).size, object)
    found[:] = [Fraction(value) for value in np.asarray(values).ravel().tolist()]
    return found.reshape(np.asarray(values).shape)


def to_levels(real: Array, scale: Fraction, zero: int, ends: tuple[int, int]) -> Array:
    """saturate(round_half_even(x / scale) + zero): Python rounds a fraction half to even."""
    levels = [min(max(round(value / scale) + zero, ends[0]), ends[1]) for value in real.ravel().tolist()]
    return np.array(levels, dtype=np.int64).reshape(real.shape)


# --- sums of integers ------------------------------------------------------------------------------------------


def pads_of(step: Step, kernel: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    attributes = step.attributes
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", "VALID"):
        return list(attributes.get("pads", [0, 0, 0, 0])) if mode == "NOTSET" else [0, 0, 0, 0]
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    total = [
        max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        for size, stride, k, dilation in zip(shape, strides, kernel, dilations, strict=True)
    ]
    small, large = [item // 2 for item in total], [item - item // 2 for item in total]
    return small + large if mode == "SAME_UPPER" else large + small


def windows(step: Step, values: Array, kernel: tuple[int, ...], fill: int) -> Array:
    """(N, C, kernel_h, kernel_w, out_h, out_w)."""
    top, left, bottom, right = pads_of(step, kernel, values.shape[2:])
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (sy, sx), (dy, dx) = step.attributes.get("strides", [1, 1]), step.attributes.get("dilations", [1, 1])
    height = (padded.shape[2] - (kernel[0] - 1) * dy - 1) // sy + 1
    width = (padded.shape[3] - (kernel[1] - 1) * dx - 1) // sx + 1
    found = np.zeros((*values.shape[:2], *kernel, height, width), values.dtype)
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            found[:, :, y, x] = padded[
                :, :, y * dy : y * dy + sy * (height - 1) + 1 : sy, x * dx : x * dx + sx * (width - 1) + 1 : sx
            ]
    return found


def conv_sums(step: Step, values: Array, weights: Array) -> Array:
    groups = step.attributes.get("group", 1)
    seen = windows(step, values, weights.shape[2:], 0)
    images, channels = seen.shape[:2]
    split = seen.reshape(images, groups, channels // groups, *seen.shape[2:])
    by_group = weights.reshape(groups, -1, *weights.shape[1:])
    sums = np.einsum("ngcyxhw,gocyx->ngohw", split, by_group)
    return sums.reshape(images, -1, *sums.shape[3:])


def matmul_sums(step: Step, values: Array, weights: Array) -> Array:
    return values @ (weights.T if step.attributes.get("transB", 0) else weights)


def channels(scale: Array, rank: int) -> Array:
    """One number, or one a channel on axis 1."""
    return scale if scale.size == 1 else scale.reshape(-1, *(1,) * (rank - 2))


# --- exact -----------------------------------------------------------------------------------------------------


def products(step: Step, source: Scaled, weights: Scaled) -> Array:
    """Real Conv, MatMul or Gemm of two scaled tensors."""
    convolved = step.node.op_type in ("Conv", "QLinearConv")
    sums = (conv_sums if convolved else matmul_sums)(step, source.integers, weights.integers)
    scale = source.scale * weights.scale.ravel() * Fraction(step.attributes.get("alpha", 1.0))
    return np.asarray(sums.astype(object) * channels(scale, sums.ndim))


def exact_quantize(step: Step) -> Array:
    (scale, zero), ends, values = step.linear(1), step.range(2), step.inputs[0]
    if isinstance(values, np.ndarray) and values.dtype == np.float32:  # the graph input, or float constants
        shape = along(values, scale, step.attributes.get("axis", 1))
        levels = np.rint(values / scale.reshape(shape)).astype(np.float64) + zero.reshape(shape)
        return np.clip(levels, *ends).astype(np.int64)
    return to_levels(real_of(values), fractions(scale).item(), zero.item(), ends)


def exact_dequantize(step: Step) -> Scaled:
    return step.scaled(0, step.attributes.get("axis", 1))


def exact_contraction(step: Step) -> Array:
    real = products(step, step.inputs[0], step.inputs[1])
    if len(step.inputs) < 3 or step.inputs[2] is None:
        return real
    return np.asarray(real + channels(real_of(step.inputs[2]), real.ndim) * Fraction(step.attributes.get("beta", 1.0)))


def exact_qlinear(step: Step, bias: int, out: int, axis: int) -> Array:
    """QLinearConv, QLinearMatMul, QGemm."""
    source, weights = step.scaled(0, 0), step.scaled(3, axis)
    real = products(step, source, weights)
    if bias and bias < len(step.inputs) and step.inputs[bias] is not None:
        unit = source.scale * weights.scale.ravel() * Fraction(step.attributes.get("alpha", 1.0))
        real = real + channels(step.inputs[bias].astype(object).ravel() * unit, real.ndim)
    if out >= len(step.inputs):
        return np.asarray(real)
    scale, zero = step.linear(out)
    return to_levels(real, fractions(scale).item(), zero.item(), step.range(out + 1))


def exact_qgemm(step: Step) -> Array:
    return exact_qlinear(step, 6, 7, 0 if step.attributes.get("transB", 0) else 1)


def exact_integer(step: Step) -> Array:
    """MatMulInteger, ConvInteger: the sums as fractions."""
    zeros = [np.asarray(0 if item is None else item).astype(np.int64) for item in [*step.inputs[2:], None, None][:2]]
    values = step.inputs[0].astype(np.int64) - zeros[0]
    weights = step.inputs[1].astype(np.int64)
    convolved = step.node.op_type == "ConvInteger"
    weights = weights - (zeros[1].reshape(-1, 1, 1, 1) if convolved and zeros[1].size > 1 else zeros[1])
    return fractions((conv_sums if convolved else matmul_sums)(step, values, weights))


def exact_qadd(step: Step) -> Array:
    scale, zero = step.linear(6)
    real = step.scaled(0, 0).real + step.scaled(3, 0).real
    return to_levels(real, fractions(scale).item(), zero.item(), step.range(7))


def means(step: Step, real: Array) -> Array:
    if "Global" in step.node.op_type:
        return np.asarray(real.sum(axis=(2, 3), keepdims=True) * Fraction(1, real.shape[2] * real.shape[3]))
    kernel = tuple(step.attributes["kernel_shape"])
    seen = windows(step, real, kernel, 0)
    return np.asarray(seen.sum(axis=(2, 3)) * Fraction(1, kernel[0] * kernel[1]))


def exact_qaverage(step: Step) -> Array:
    scale, zero = step.linear(3)
    real = means(step, step.scaled(0, 0).real)
    return to_levels(real, fractions(scale).item(), zero.item(), step.range(4))


def largest(step: Step) -> Array | Scaled:
    """MaxPool of integers or of what they stand for."""
    values = step.inputs[0]
    integers = values.integers if isinstance(values, Scaled) else values.astype(np.int64)
    best = windows(step, integers, tuple(step.attributes["kernel_shape"]), -(10**6)).max(axis=(2, 3))
    return Scaled(best, values.scale) if isinstance(values, Scaled) else best


def real_of(values: Any) -> Array:
    if isinstance(values, Scaled):
        return values.real
    return values if values.dtype == object else fractions(values)


def shaped(values: Any, make: Callable[[Array], Array]) -> Any:
    return Scaled(make(values.integers), values.scale) if isinstance(values, Scaled) else make(values)


def clipped(step: Step) -> Array:
    low, high = (None if item is None else fractions(item).item() for item in [*step.inputs[1:], None, None][:2])
    real = real_of(step.inputs[0])
    real = real if low is None else np.maximum(real, low)
    return np.asarray(real if high is None else np.minimum(real, high))


EXACT: dict[str, Callable[[Step], Any]] = {
    "QuantizeLinear": exact_quantize,
    "DequantizeLinear": exact_dequantize,
    "Conv": exact_contraction,
    "MatMul": exact_contraction,
    "Gemm": exact_contraction,
    "QLinearConv": lambda step: exact_qlinear(step, 8, 6, 0),
    "QLinearMatMul": lambda step: exact_qlinear(step, 0, 6, 1),
    "QGemm": exact_qgemm,
    "MatMulInteger": exact_integer,
    "ConvInteger": exact_integer,
    "QLinearAdd": exact_qadd,
    "QLinearGlobalAveragePool": exact_qaverage,
    "QLinearAveragePool": exact_qaverage,
    "GlobalAveragePool": lambda step: means(step, real_of(step.inputs[0])),
    "AveragePool": lambda step: means(step, real_of(step.inputs[0])),
    "MaxPool": largest,
    "Add": lambda step: real_of(step.inputs[0]) + real_of(step.inputs[1]),
    "Mul": lambda step: real_of(step.inputs[0]) * real_of(step.inputs[1]),
    "Relu": lambda step: np.maximum(real_of(step.inputs[0]), Fraction(0)),
    "Clip": clipped,
    "Cast": lambda step: step.inputs[0],
    "Concat": lambda step: np.concatenate([item if isinstance(item, np.ndarray) else item.real for item in step.inputs], axis=1),
    "Flatten": lambda step: shaped(step.inputs[0], lambda array: array.reshape(len(array), -1)),
    "Reshape": lambda step: shaped(step.inputs[0], lambda array: array.reshape(len(array), -1)),
}  # fmt: skip


def constants(model: onnx.ModelProto) -> tuple[dict[str, Array], dict[str, str]]:
    """Initializers and their types; small types as int64."""
    found = {str(item.name): np.asarray(numpy_helper.to_array(item)) for item in model.graph.initializer}
    types = {name: array.dtype.name for name, array in found.items()}
    return {k: v.astype(np.int64) if types[k] in RANGES else v for k, v in found.items()}, types


def exact(model: onnx.ModelProto, images: Array) -> dict[str, Any]:
    """Every tensor of a graph: integers as int64, real ones as fractions or `Scaled`."""
    tensors, types = constants(model)
    tensors[str(model.graph.input[0].name)] = images
    for node in model.graph.node:
        inputs = [tensors[name] if name else None for name in node.input]
        tensors[str(node.output[0])] = EXACT[node.op_type](Step(node, inputs, [types.get(n, "") for n in node.input]))
    return {name: value for name, value in tensors.items() if name not in types}


# --- as onnxruntime rounds ---------------------------------------------------------------------------------------


def requantized(step: Step, sums: Array, scale: Array, out: int) -> Array:
    """MLAS: the 32-bit sum becomes float32, is multiplied once, rounded half to even, and the zero point is added."""
    (low, high), zero = step.range(out + 1), int(step.linear(out)[1])
    levels = np.rint(sums.astype(F32) * channels(scale, sums.ndim))
    return np.clip(levels, low - zero, high - zero).astype(np.int64) + zero


def rounded_contraction(step: Step, bias: int, out: int, axis: int) -> Array:
    source, weights = step.scaled(0, 0), step.scaled(3, axis)
    convolved = step.node.op_type == "QLinearConv"
    sums = (conv_sums if convolved else matmul_sums)(step, source.integers, weights.integers)
    if bias and bias < len(step.inputs) and step.inputs[bias] is not None:
        sums = sums + channels(step.inputs[bias].astype(np.int64).ravel(), sums.ndim)
    scale = F32(step.attributes.get("alpha", 1.0)) * (step.inputs[1] * step.inputs[4].ravel()) / step.inputs[out]
    return requantized(step, sums, np.asarray(scale, F32), out)


def rounded_add(step: Step) -> Array:
    """MLAS: the zero points go into one constant before rounding, so a tie is broken after the zero point is added."""
    low, high = step.range(7)
    (a, za), (b, zb), (c, zc) = (step.linear(place) for place in (1, 4, 6))
    left, right = F32(a / c), F32(b / c)
    fixed = F32(zc) - (left * F32(za) + right * F32(zb))
    total = (step.inputs[0].astype(F32) * left + fixed) + step.inputs[3].astype(F32) * right
    return np.clip(np.rint(total), low, high).astype(np.int64)


def rounded_average(step: Step) -> Array:
    """MLAS: the sum less its zero points times one float32 scale."""
    (scale, zero), (out, _) = step.linear(1), step.linear(3)
    integers = step.inputs[0].astype(np.int64) - zero
    count = integers.shape[2] * integers.shape[3]
    sums = integers.sum(axis=(2, 3), keepdims=True)
    return requantized(step, sums, np.asarray(F32(scale) / F32(F32(out) * F32(count)), F32), 3)


ROUNDED: dict[str, Callable[[Step], Array]] = {
    "QLinearConv": lambda step: rounded_contraction(step, 8, 6, 0),
    "QLinearMatMul": lambda step: rounded_contraction(step, 0, 6, 1),
    "QGemm": lambda step: rounded_contraction(step, 6, 7, 0 if step.attributes.get("transB", 0) else 1),
    "QLinearAdd": rounded_add,
    "QLinearGlobalAveragePool": rounded_average,
}


PASSING = ("MaxPool", "Flatten", "Reshape")
"""Operators that round nothing."""


def rounded(model: onnx.ModelProto, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime should give for every integer operator, from the integers that it gave before it."""
    known, types = constants(model)
    known |= {name: array.astype(np.int64) if array.dtype.name in RANGES else array for name, array in tensors.items()}
    found = {}
    for node in model.graph.node:
        inputs = [known.get(name) if name else None for name in node.input]
        step = Step(node, inputs, [types.get(name, "") for name in node.input])
        if node.op_type in ROUNDED:
            found[str(node.output[0])] = ROUNDED[node.op_type](step)
        elif node.op_type in PASSING and inputs[0] is not None:
            known.setdefault(str(node.output[0]), EXACT[node.op_type](step))
    return found
