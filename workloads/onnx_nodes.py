"""What each ONNX operator does to codes and sums: one short function an operator, and the table `NODES`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np

from workloads.layers import Flatten, Pool
from workloads.onnx_contractions import conv, gemm, matmul
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_quantizer import QUANT_DOMAINS, Quantizer, read_quantizer
from workloads.onnx_residual import residual
from workloads.onnx_translation import (
    CodeMap,
    Constant,
    Joined,
    Operator,
    QuantizedConstant,
    Sums,
    Translation,
    Value,
)
from workloads.onnx_windows import kernel_shape, map_shape, read_window

ONE, ZERO = Fraction(1), Fraction(0)
FLOAT_TYPES = (1, 10, 11, 16)
"""FLOAT, FLOAT16, DOUBLE and BFLOAT16 of TensorProto."""


def quant(state: Translation, node: GraphNode) -> Value:
    """Quant, BipolarQuant: codes from sums or the graph input; constants wait until their reader is known."""
    parameters = tuple(state.constant(node, index) for index in range(1, len(node.inputs)))
    quantizer, value = read_quantizer(node, parameters), state.value(node, 0)
    if isinstance(value, Constant):
        return _quantized_constant(node, value.array, quantizer)
    return state.quantized(node, quantizer)


def batch_normalization(state: Translation, node: GraphNode) -> Value:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta: the slope is computed in float64, the rest is exact."""
    sums = state.sums(node, 0)
    if node.integer("training_mode", 0):
        raise ValueError(f"{node}: training_mode must be 0, not {node.integer('training_mode', 0)}")
    gamma, beta, mean, variance = (state.per_channel(node, index, sums, vector=True) for index in range(1, 5))
    spread = np.array([float(value) for value in variance]) + node.real("epsilon", 1e-5)
    if (spread <= 0).any():
        raise ValueError(f"{node}: variance + epsilon must be > 0, not {spread.min()}")
    with np.errstate(over="ignore"):
        quotients = np.array([float(value) for value in gamma]) / np.sqrt(spread)
    if not np.isfinite(quotients).all():
        raise ValueError(f"{node}: gamma / sqrt(variance + epsilon) must be finite")
    slopes = [Fraction(float(value)) for value in quotients]
    return sums.scaled(slopes, [b - slope * m for slope, b, m in zip(slopes, beta, mean, strict=True)])


def add(state: Translation, node: GraphNode) -> Value:
    """A constant added to sums, or two maps of codes added: a residual connection."""
    if not (state.is_constant(node, 0) or state.is_constant(node, 1)):
        return residual(state, node, state.codes(node, 0), state.codes(node, 1), 1)
    sums, constants = _sums_and_constants(state, node)
    return sums.scaled([ONE] * len(constants), constants)


def subtract(state: Translation, node: GraphNode) -> Value:
    """Sums minus a constant, a constant minus sums, or one map of codes minus another."""
    if not (state.is_constant(node, 0) or state.is_constant(node, 1)):
        return residual(state, node, state.codes(node, 0), state.codes(node, 1), -1)
    sums, constants = _sums_and_constants(state, node)
    sign = Fraction(-1) if state.is_constant(node, 0) else ONE
    return sums.scaled([sign] * len(constants), [-sign * value for value in constants])


def multiply(state: Translation, node: GraphNode) -> Value:
    """Sums times a constant."""
    sums, constants = _sums_and_constants(state, node)
    return sums.scaled(constants, [ZERO] * len(constants))


def divide(state: Translation, node: GraphNode) -> Value:
    """Sums divided by a constant."""
    sums = state.sums(node, 0)
    constants = state.per_channel(node, 1, sums)
    if not all(constants):
        raise ValueError(f"{node}: divisor {node.inputs[1]!r} must not be 0")
    return sums.scaled([1 / value for value in constants], [ZERO] * len(constants))


def relu(state: Translation, node: GraphNode) -> Value:
    """max(sums, 0), folded into the thresholds behind it."""
    sums = state.sums(node, 0)
    return replace(sums, curves=tuple(curve.rectified() for curve in sums.curves))


def clip(state: Translation, node: GraphNode) -> Value:
    """min(max(sums, low), high), folded: HTanh and ReLU6 are exported as this; older operator sets keep ends as attributes."""
    sums, low, high = state.sums(node, 0), _end(state, node, 1, "min"), _end(state, node, 2, "max")
    if low is not None and high is not None and low > high:
        raise ValueError(f"{node}: min must be at most max {float(high)}, not {float(low)}")
    return replace(sums, curves=tuple(curve.clipped(low, high) for curve in sums.curves))


def _end(state: Translation, node: GraphNode, index: int, name: str) -> Fraction | None:
    """One end of a Clip, None where it is open."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return Fraction(node.real(name, 0.0)) if name in node.attributes else None
    value = state.constant(node, index)
    if value.size != 1:
        raise ValueError(f"{node}: {name} must be one number, not of shape {value.shape}")
    return Fraction(float(value.flat[0]))


def max_pool(state: Translation, node: GraphNode) -> Value:
    """The largest code is the code of the largest value, so nothing else changes."""
    source = state.codes(node, 0)
    window = read_window(node, kernel_shape(node), map_shape(node, source), dilated=False)
    bits = source.codes.bits
    layer = Pool(
        name=node.name,
        kind="max",
        in_shape=source.shape,
        kernel=window.kernel,
        act_bits=bits,
        out_bits=bits,
        stride=window.stride,
        padding=window.padding,
    )
    state.finish(layer, (source.producer,))
    return replace(source, producer=layer.name, shape=layer.out_shape, from_host=False)


def flatten(state: Translation, node: GraphNode) -> Value:
    """(batch, C, H, W) to (batch, C*H*W)."""
    value = state.value(node, 0)
    axis, rank = node.integer("axis", 1), 2 if isinstance(value, CodeMap | Sums | Joined) and value.flat else 4
    if axis not in (1, 1 - rank):
        raise ValueError(f"{node}: axis must be 1, not {axis}")
    return _flattened(state, node)


def reshape(state: Translation, node: GraphNode) -> Value:
    """A Reshape that flattens; any other is refused."""
    target, value = state.constant(node, 1), state.value(node, 0)
    if not isinstance(value, CodeMap | Sums | Joined):
        raise ValueError(f"{node}: input {node.inputs[0]!r} must be codes or 1x1 sums, not a constant")
    features = prod(value.shape if isinstance(value, CodeMap) else value.out_shape)
    if target.tolist() not in (
        [batch, size] for batch in (0, 1, -1) for size in (features, -1) if (batch, size) != (-1, -1)
    ):
        raise ValueError(f"{node}: shape must flatten to (batch, {features}), not {target.tolist()}")
    return _flattened(state, node)


def identity(state: Translation, node: GraphNode) -> Value:
    """Nothing."""
    return state.value(node, 0)


def cast(state: Translation, node: GraphNode) -> Value:
    """Integers as real numbers of the same value."""
    if node.integer("to") not in FLOAT_TYPES:
        raise ValueError(f"{node}: must cast to a floating point type, not to type {node.integer('to')}")
    value = state.value(node, 0)
    if isinstance(value, Constant):
        return Constant(value.array.astype(np.float64))
    return value


NODES: dict[str, Operator] = {
    "Quant": Operator(range(4, 5), quant, QUANT_DOMAINS),
    "IntQuant": Operator(range(4, 5), quant, QUANT_DOMAINS),
    "BipolarQuant": Operator(range(2, 3), quant, QUANT_DOMAINS),
    "Conv": Operator(range(2, 4), conv),
    "MatMul": Operator(range(2, 3), matmul),
    "Gemm": Operator(range(2, 4), gemm),
    "BatchNormalization": Operator(range(5, 6), batch_normalization),
    "Add": Operator(range(2, 3), add),
    "Sub": Operator(range(2, 3), subtract),
    "Mul": Operator(range(2, 3), multiply),
    "Div": Operator(range(2, 3), divide),
    "Relu": Operator(range(1, 2), relu),
    "Clip": Operator(range(1, 4), clip),
    "MaxPool": Operator(range(1, 2), max_pool),
    "Flatten": Operator(range(1, 2), flatten),
    "Reshape": Operator(range(2, 3), reshape),
    "Identity": Operator(range(1, 2), identity),
    "Cast": Operator(range(1, 2), cast),
}
"""The operators of networks without branches, and residual sums."""


def _quantized_constant(node: GraphNode, array: Array, quantizer: Quantizer) -> QuantizedConstant:
    for name, parameter in (("scale", quantizer.scale), ("zero point", quantizer.zero_point)):
        try:
            fits = np.broadcast_shapes(parameter.shape, array.shape) == array.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{node}: {name} must fit the shape {array.shape}, not {parameter.shape}")
    return QuantizedConstant(array, quantizer)


def _sums_and_constants(state: Translation, node: GraphNode) -> tuple[Sums | Joined, list[Fraction]]:
    """The operand that is sums, and the other, a constant, as one number a channel."""
    first = state.is_constant(node, 0)
    sums = state.sums(node, 1 if first else 0)
    return sums, state.per_channel(node, 0 if first else 1, sums)


def _flattened(state: Translation, node: GraphNode) -> Value:
    """Codes get a Flatten layer; sums may be flattened only where channels are all there is."""
    value = state.value(node, 0)
    if isinstance(value, Sums | Joined):
        if prod(value.out_shape[1:]) != 1:
            raise ValueError(f"{node}: sums must be 1x1 to be flattened, not {value.out_shape} (put the Quant first)")
        return replace(value, flat=True)
    source = state.codes(node, 0)
    if not source.flat:
        layer = Flatten(name=node.name, in_shape=source.shape, act_bits=source.codes.bits)
        state.finish(layer, (source.producer,))
    return source if source.flat else replace(source, producer=node.name, flat=True)
