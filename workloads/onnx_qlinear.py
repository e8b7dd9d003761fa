"""Linear quantization in ONNX: QuantizeLinear and DequantizeLinear, and the operators that compute on integers themselves.

A tensor of integers is a map of codes (`onnx_integers`); DequantizeLinear says which real values it stands for and costs nothing.
An integer operator is the real one between two of those, so QLinearConv is the Conv of x_scale (x - x_zero_point) and
w_scale (w - w_zero_point), plus bias * x_scale * w_scale, rounded by y_scale and y_zero_point, all of it in fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from workloads.onnx_activation import channel_array, exact_numbers
from workloads.onnx_averages import average, global_average
from workloads.onnx_contractions import check_rank, convolution, dense
from workloads.onnx_graph import STANDARD_DOMAINS, Array, GraphNode
from workloads.onnx_integers import (
    IntegerType,
    Linear,
    check_scale,
    exact_products,
    integer_type,
    integers_of,
    read_linear,
)
from workloads.onnx_maps import joined
from workloads.onnx_residual import residual
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import WORDS, CodeMap, Constant, Joined, QuantizedConstant, Sums, Value, requantized
from workloads.onnx_weights import IntegerWeights

MICROSOFT = ("com.microsoft",)
ONE = Fraction(1)


def quantize_linear(state: Translation, node: GraphNode) -> Value:
    """saturate(round_half_even(x / scale) + zero_point): integers, of the graph input, of sums or of constants."""
    _check_blocks(node)
    value, zero_point = state.value(node, 0), _optional(state, node, 2)
    dtype = _output_dtype(node) if zero_point is None else zero_point.dtype
    linear = read_linear(str(node), integer_type(str(node), dtype.name), state.constant(node, 1), zero_point)
    if isinstance(value, Constant):
        return Constant(linear.along(_axis(node), value.array.shape).quantize(value.array).astype(dtype))
    return _integers(state.quantized(node, linear.activation), linear.kind)


def dequantize_linear(state: Translation, node: GraphNode) -> Value:
    """scale * (q - zero_point): what integers stand for; a bias of 32 bits becomes fractions."""
    _check_blocks(node)
    value = state.value(node, 0)
    if not isinstance(value, Constant):
        return _real(state, node, 0)
    if value.array.dtype.name == "int32":
        return Constant(_long_bias(state, node, value.array))
    return _real_constant(state, node, 0, _axis(node))


def qlinear_conv(state: Translation, node: GraphNode) -> Value:
    """QLinearConv: zero padded with the code of real zero; the bias counts in x_scale * w_scale."""
    source, weights = _real(state, node, 0), _real_constant(state, node, 3, 0)
    sums = convolution(node, source, _weights(node, weights, 4))
    sums = _biased(state, node, 8, sums, _unit(source, weights))
    return _requantized(state, node, 6, sums)


def qlinear_matmul(state: Translation, node: GraphNode) -> Value:
    """QLinearMatMul of a (batch, features) map with constant weights."""
    source, weights = _real(state, node, 0), _real_constant(state, node, 3, 1)
    return _requantized(state, node, 6, dense(node, source, _weights(node, weights, 2), 1))


def matmul_integer(state: Translation, node: GraphNode) -> Value:
    """MatMulInteger: the 32-bit sums themselves, for a Cast and a Mul to scale."""
    source, weights = _counted(state, node, 2), _counted_constant(state, node, 3, 1)
    return dense(node, source, _weights(node, weights, 2), 1)


def conv_integer(state: Translation, node: GraphNode) -> Value:
    """ConvInteger: the 32-bit sums themselves; pads are the zero point."""
    source, weights = _counted(state, node, 2), _counted_constant(state, node, 3, 0)
    return convolution(node, source, _weights(node, weights, 4))


def qgemm(state: Translation, node: GraphNode) -> Value:
    """QGemm of com.microsoft: alpha * a @ b plus a bias that counts in alpha * a_scale * b_scale; integers, or real sums without y_scale."""
    if node.integer("transA", 0):
        raise ValueError(f"{node}: transA must be 0, not {node.integer('transA', 0)}")
    axis = 0 if node.integer("transB", 0) else 1
    alpha, source = Fraction(node.real("alpha", 1.0)), _real(state, node, 0)
    weights = _real_constant(state, node, 3, axis)
    sums = _biased(state, node, 6, dense(node, source, _weights(node, weights, 2), axis), _unit(source, weights))
    sums = sums.scaled([alpha] * len(sums.curves), [Fraction(0)] * len(sums.curves))
    return _requantized(state, node, 7, sums) if _given(node, 7) else sums


def qlinear_add(state: Translation, node: GraphNode) -> Value:
    """QLinearAdd of com.microsoft: two maps, each with its own scale, or a map and constants (a bias)."""
    constants = [place for place in (0, 3) if state.is_constant(node, place)]
    if not constants:
        return _requantized(state, node, 6, residual(state, node, _real(state, node, 0), _real(state, node, 3), 1))
    sums = requantized(node.name, _real(state, node, 3 - constants[0]))
    bias = _real_constant(state, node, constants[0], 1)
    array = bias.quantizer.constant_values(bias.array)
    numbers = exact_numbers(channel_array(str(node), array, sums.channels, 2 if sums.flat else 4), sums.channels)
    return _requantized(state, node, 6, sums.scaled([ONE] * len(numbers), numbers))


def qlinear_concat(state: Translation, node: GraphNode) -> Value:
    """QLinearConcat of com.microsoft: maps joined along their channels, each rounded to the one scale that comes first."""
    if len(node.inputs) % 3 != 2:
        raise ValueError(f"{node}: must have a scale and a zero point for every map, not {len(node.inputs)} inputs")
    parts = [_real(state, node, place) for place in range(2, len(node.inputs), 3)]
    return _requantized(state, node, 0, joined(node, parts))


def qlinear_average_pool(state: Translation, node: GraphNode) -> Value:
    """QLinearAveragePool of com.microsoft."""
    _check_channels_first(node)
    return _requantized(state, node, 3, average(node, _real(state, node, 0)))


def qlinear_global_average_pool(state: Translation, node: GraphNode) -> Value:
    """QLinearGlobalAveragePool of com.microsoft."""
    _check_channels_first(node)
    return _requantized(state, node, 3, global_average(node, _real(state, node, 0)))


QLINEAR: dict[str, Operator] = {
    "QuantizeLinear": Operator(range(2, 4), quantize_linear, STANDARD_DOMAINS + MICROSOFT),
    "DequantizeLinear": Operator(range(2, 4), dequantize_linear, STANDARD_DOMAINS + MICROSOFT),
    "QLinearConv": Operator(range(8, 10), qlinear_conv),
    "QLinearMatMul": Operator(range(8, 9), qlinear_matmul),
    "MatMulInteger": Operator(range(2, 5), matmul_integer),
    "ConvInteger": Operator(range(2, 5), conv_integer),
    "QGemm": Operator(range(6, 10), qgemm, MICROSOFT),
    "QLinearAdd": Operator(range(7, 9), qlinear_add, MICROSOFT),
    "QLinearConcat": Operator(range(5, 65536), qlinear_concat, MICROSOFT),
    "QLinearAveragePool": Operator(range(4, 6), qlinear_average_pool, MICROSOFT),
    "QLinearGlobalAveragePool": Operator(range(4, 6), qlinear_global_average_pool, MICROSOFT),
}
"""The operators of linear quantization."""


def _integers(source: CodeMap, kind: IntegerType) -> CodeMap:
    """A map as the integers of a type."""
    return replace(source, codes=kind.codes)


def _read_integers(state: Translation, node: GraphNode, index: int) -> tuple[CodeMap, IntegerType]:
    """Input `index` of a node, which must be integers, and their type."""
    value = state.value(node, index)
    kind = integers_of(value.codes) if isinstance(value, CodeMap) and not value.lines else None
    if not isinstance(value, CodeMap) or kind is None:
        raise ValueError(
            f"{node}: input {node.inputs[index]!r} must be integers, as a QuantizeLinear emits, not {WORDS[type(value)]}"
        )
    return value, kind


def _requantized(state: Translation, node: GraphNode, index: int, sums: Sums | Joined) -> CodeMap:
    """The integers of sums, by the scale at input `index` and the zero point behind it."""
    zero_point = _optional(state, node, index + 1)
    name = "uint8" if zero_point is None else zero_point.dtype.name
    linear = read_linear(str(node), integer_type(str(node), name), state.constant(node, index), zero_point)
    return _integers(state.quantize_sums(sums, linear.activation), linear.kind)


def _real(state: Translation, node: GraphNode, index: int) -> CodeMap:
    """The integers at input `index` with scale and zero point behind it, as real values."""
    source, kind = _read_integers(state, node, index)
    linear = read_linear(str(node), kind, state.constant(node, index + 1), _optional(state, node, index + 2))
    return replace(source, codes=linear.activation.codes)


def _real_constant(state: Translation, node: GraphNode, index: int, axis: int) -> QuantizedConstant:
    """Constant integers at input `index` with scale and zero point behind it, as real values."""
    array = state.constant(node, index)
    kind = integer_type(str(node), array.dtype.name)
    linear = read_linear(str(node), kind, state.constant(node, index + 1), _optional(state, node, index + 2))
    return _laid(linear, array, axis)


def _weights(node: GraphNode, weights: QuantizedConstant, rank: int) -> IntegerWeights:
    return check_rank(node, weights.quantizer.weights(weights.array), rank)


def _counted(state: Translation, node: GraphNode, zero_index: int) -> CodeMap:
    """The integers at input 0 less their zero point."""
    source, kind = _read_integers(state, node, 0)
    return replace(source, codes=_counts(state, node, kind, zero_index).activation.codes)


def _counted_constant(state: Translation, node: GraphNode, zero_index: int, axis: int) -> QuantizedConstant:
    """Constant integers at input 1 less their zero points."""
    array = state.constant(node, 1)
    kind = integer_type(str(node), array.dtype.name)
    return _laid(_counts(state, node, kind, zero_index), array, axis)


def _counts(state: Translation, node: GraphNode, kind: IntegerType, zero_index: int) -> Linear:
    zero_point = _optional(state, node, zero_index)
    shape = () if zero_point is None else zero_point.shape
    return read_linear(str(node), kind, np.ones(shape, np.float32), zero_point)


def _laid(linear: Linear, array: Array, axis: int) -> QuantizedConstant:
    return QuantizedConstant(array, linear.along(axis, array.shape).constant)


def _unit(source: CodeMap, weights: QuantizedConstant) -> list[Fraction]:
    """What a bias counts in: x_scale * w_scale, for every scale of the weights."""
    scales = weights.quantizer.scale.ravel().tolist()
    return [2 * Fraction(source.codes.step) * Fraction(scale) for scale in scales]


def _biased(state: Translation, node: GraphNode, index: int, sums: Sums, units: Sequence[Fraction]) -> Sums:
    """Sums plus the 32-bit integers at input `index`, if there are any."""
    if not _given(node, index):
        return sums
    if state.constant(node, index).dtype.name != "int32":
        raise ValueError(f"{node}: bias must be int32, not {state.constant(node, index).dtype.name}")
    bias = state.per_channel(node, index, sums, vector=True)
    every = units if len(units) > 1 else list(units) * len(bias)
    return sums.scaled([ONE] * len(bias), [count * unit for count, unit in zip(bias, every, strict=True)])


def _long_bias(state: Translation, node: GraphNode, array: Array) -> Array:
    """scale * q of 32-bit constants, whose zero point is 0."""
    scale, zero_point = state.constant(node, 1), _optional(state, node, 2)
    check_scale(str(node), scale)
    if zero_point is not None and (zero_point.dtype.name != "int32" or zero_point.any()):
        raise ValueError(f"{node}: the zero point of int32 must be 0 and int32")
    kind = IntegerType("int32", 32, -(2**31))
    linear = Linear(where=str(node), kind=kind, scale=scale.ravel(), zero_point=np.zeros(scale.size, np.int64))
    return exact_products(array, linear.along(_axis(node), array.shape).scale)


def _axis(node: GraphNode) -> int:
    return node.integer("axis", 1)


def _given(node: GraphNode, index: int) -> bool:
    return index < len(node.inputs) and bool(node.inputs[index])


def _optional(state: Translation, node: GraphNode, index: int) -> Array | None:
    return state.constant(node, index) if _given(node, index) else None


def _output_dtype(node: GraphNode) -> np.dtype[np.generic]:
    """The type that QuantizeLinear emits where no zero point says it."""
    from onnx import TensorProto, helper

    wanted = node.integer("output_dtype", 0) or TensorProto.UINT8
    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(wanted))
    except KeyError:
        raise ValueError(f"{node}: attribute output_dtype must be a tensor type, not {wanted}") from None


def _check_blocks(node: GraphNode) -> None:
    if node.integer("block_size", 0):
        raise ValueError(f"{node}: block_size must be 0, not {node.integer('block_size', 0)} (one scale a block)")


def _check_channels_first(node: GraphNode) -> None:
    if node.integer("channels_last", 0):
        raise ValueError(f"{node}: channels_last must be 0, not {node.integer('channels_last', 0)}")
