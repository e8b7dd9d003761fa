"""Conv, MatMul and Gemm: dot products of codes, and the curve from their sums to real values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np

from workloads.layers import Conv, Dense
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Sums, Value
from workloads.onnx_weights import Integers, IntegerWeights, WeightEncoding, weight_encoding
from workloads.onnx_windows import map_shape, read_window
from workloads.thresholds import Curve, Line


def conv(state: Translation, node: GraphNode) -> Value:
    """Conv: sums of codes times weights, zero padded; an optional bias."""
    return biased(state, node, convolution(node, state.any_codes(node, 0), weights_of(state, node, 4)))


def convolution(node: GraphNode, source: CodeMap, weights: IntegerWeights) -> Sums:
    """Sums of a map with weights (out_channels, channels of a group, height, width), by the window of the node."""
    out_channels, group_channels, *kernel = weights.values.shape
    groups, window = node.integer("group", 1), read_window(node, (kernel[0], kernel[1]), map_shape(node, source))
    if source.shape[0] != group_channels * groups:
        raise ValueError(
            f"{node}: weights must read {source.shape[0]} channels, not {group_channels} in each of {groups} groups"
        )
    encoding = weight_encoding(weights)
    layer = Conv(
        name=node.name,
        in_shape=source.shape,
        out_channels=out_channels,
        kernel=(kernel[0], kernel[1]),
        act_bits=source.codes.bits,
        weight_bits=encoding.bits,
        out_bits=None,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=groups,
        pad_code=pad_code(node, source, window.padding),
        weight_offset=encoding.offset,
        ternary=encoding.ternary,
        from_host=source.from_host,
    )
    rows = Rows(weights.values.reshape(out_channels, -1), weights.channel_steps(0), encoding)
    return contraction(layer, source, rows)


def matmul(state: Translation, node: GraphNode) -> Value:
    """MatMul of (batch, features) codes with (features, outputs) weights."""
    return dense(node, state.any_codes(node, 0), weights_of(state, node, 2), 1)


def gemm(state: Translation, node: GraphNode) -> Value:
    """Gemm, alpha * codes @ weights + beta * bias, weights transposed or not."""
    if node.integer("transA", 0):
        raise ValueError(f"{node}: transA must be 0, not {node.integer('transA', 0)}")
    axis, alpha = 0 if node.integer("transB", 0) else 1, Fraction(node.real("alpha", 1.0))
    sums = dense(node, state.any_codes(node, 0), weights_of(state, node, 2), axis)
    return biased(state, node, sums.scaled([alpha] * sums.channels, [Fraction(0)] * sums.channels))


@dataclass(frozen=True, slots=True)
class Rows:
    """Weights (out_channels, N) of a layer, real = step of the row * value, and the planes that they become."""

    values: Integers
    steps: Sequence[Fraction]
    encoding: WeightEncoding


def pad_code(node: GraphNode, source: CodeMap, padding: tuple[int, int, int, int]) -> int | None:
    """How real zero is padded: masked taps at offset 0, the code of zero where there is one."""
    offsets = {line.intercept / line.slope for line in source.channel_lines}
    if not any(padding) or offsets == {0}:
        return None
    offset = offsets.pop()
    zeros = replace(source.codes, offset=int(offset)).zero_code
    if offsets or offset.denominator != 1 or zeros is None:
        raise ValueError(
            f"{node}: codes of {source.producer!r} must have offset 0 or a code for zero to be zero padded, "
            f"not offset {offset}"
        )
    return zeros


def weights_of(state: Translation, node: GraphNode, rank: int) -> IntegerWeights:
    """Input 1 of a node as integers of so many axes."""
    return check_rank(node, state.weights(node, 1), rank)


def check_rank(node: GraphNode, weights: IntegerWeights, rank: int) -> IntegerWeights:
    """The weights, if they have so many axes."""
    shape = weights.values.shape
    if len(shape) != rank or not weights.values.size:
        raise ValueError(f"{node}: weights {node.inputs[1]!r} must be {rank}-D, not of shape {shape}")
    return weights


def dense(node: GraphNode, source: CodeMap, weights: IntegerWeights, axis: int) -> Sums:
    """Sums of a (batch, features) map with a matrix of weights whose outputs lie along `axis`."""
    if not source.flat:
        raise ValueError(
            f"{node}: input {node.inputs[0]!r} must be (batch, features), not a map: put a Flatten before it"
        )
    values = weights.values if axis == 0 else weights.values.T
    rows = Rows(values, weights.channel_steps(axis), weight_encoding(weights))
    out_channels, features = values.shape
    if features != prod(source.shape):
        raise ValueError(f"{node}: weights must have {prod(source.shape)} input features, not {features}")
    layer = Dense(
        name=node.name,
        in_shape=source.shape,
        out_channels=out_channels,
        act_bits=source.codes.bits,
        weight_bits=rows.encoding.bits,
        out_bits=None,
        weight_offset=rows.encoding.offset,
        ternary=rows.encoding.ternary,
        from_host=source.from_host,
    )
    return contraction(layer, source, rows)


def _read_lines(layer: Conv | Dense, source: CodeMap) -> list[Line]:
    """What the codes stand for that every output channel reads: of one line each, or there is no scale to take out."""
    lines = source.channel_lines
    if len(set(lines)) == 1:
        return [lines[0]] * layer.out_channels
    if isinstance(layer, Conv) and layer.groups == source.shape[0]:
        return [lines[out * layer.groups // layer.out_channels] for out in range(layer.out_channels)]
    raise ValueError(
        f"layer {layer.name!r}: codes of {source.producer!r} must have one scale and zero point, unless every output channel reads one "
        f"channel (depthwise), not one per channel"
    )


def contraction(layer: Conv | Dense, source: CodeMap, rows: Rows) -> Sums:
    """With x = slope c_x + shift:  real = step_w (slope acc + shift sum w), acc = sum c_x w and w = c_w + offset_w."""
    totals = rows.values.sum(axis=1, dtype=np.int64).tolist()
    each = zip(_read_lines(layer, source), rows.steps, totals, strict=True)
    curves = [Curve().scaled(line.slope * step, line.intercept * step * total) for line, step, total in each]
    return Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=tuple(curves),
        bound=layer.acc_bound,
        flat=isinstance(layer, Dense),
        weights=rows.encoding.planes(rows.values),
    )


def biased(state: Translation, node: GraphNode, sums: Sums) -> Sums:
    """Sums plus beta times the bias at input 2, if there is one."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return sums
    beta = Fraction(node.real("beta", 1.0))
    biases = state.per_channel(node, 2, sums, vector=True)
    return sums.scaled([Fraction(1)] * len(biases), [beta * bias for bias in biases])
