"""Conv, MatMul and Gemm: dot products of codes, and the curve from their sums to real values."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np

from workloads.encoded import Ints
from workloads.encoding import encode_weights
from workloads.layers import Conv, Dense
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import CodeMap, QuantizedConstant, Sums, Translation, Value
from workloads.onnx_windows import map_shape, read_window
from workloads.thresholds import Curve


def conv(state: Translation, node: GraphNode) -> Value:
    """Conv: sums of codes times weight codes, zero padded; an optional bias."""
    source, weights = state.codes(node, 0), state.weights(node, 1)
    codes = _weight_codes(node, weights, 4)
    out_channels, group_channels, *kernel = codes.shape
    groups, window = node.integer("group", 1), read_window(node, (kernel[0], kernel[1]), map_shape(node, source))
    if source.shape[0] != group_channels * groups:
        raise ValueError(
            f"{node}: weights must read {source.shape[0]} channels, not {group_channels} in each of {groups} groups"
        )
    layer = Conv(
        name=node.name,
        in_shape=source.shape,
        out_channels=out_channels,
        kernel=(kernel[0], kernel[1]),
        act_bits=source.codes.bits,
        weight_bits=weights.quantizer.bits,
        out_bits=None,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=groups,
        pad_code=_pad_code(node, source, window.padding),
        from_host=source.from_host,
    )
    return _contraction(state, node, layer, source, codes.reshape(out_channels, -1), _channel_steps(weights, 0))


def matmul(state: Translation, node: GraphNode) -> Value:
    """MatMul of (batch, features) codes with (features, outputs) weights."""
    source, weights = state.codes(node, 0), state.weights(node, 1)
    return _dense(state, node, source, _weight_codes(node, weights, 2).T, _channel_steps(weights, 1))


def gemm(state: Translation, node: GraphNode) -> Value:
    """Gemm, alpha * codes @ weights + beta * bias, weights transposed or not."""
    if node.integer("transA", 0):
        raise ValueError(f"{node}: transA must be 0, not {node.integer('transA', 0)}")
    source, weights = state.codes(node, 0), state.weights(node, 1)
    codes, transposed = _weight_codes(node, weights, 2), bool(node.integer("transB", 0))
    steps = _channel_steps(weights, 0 if transposed else 1)
    alpha = Fraction(node.real("alpha", 1.0))
    return _dense(state, node, source, codes if transposed else codes.T, [step * alpha for step in steps])


def _pad_code(node: GraphNode, source: CodeMap, padding: tuple[int, int, int, int]) -> int | None:
    """How real zero is padded: masked taps at offset 0, the code of zero where there is one."""
    if not any(padding) or source.codes.offset == 0:
        return None
    if source.codes.zero_code is None:
        raise ValueError(
            f"{node}: codes of {source.producer!r} must have offset 0 or a code for zero to be zero padded, "
            f"not offset {source.codes.offset}"
        )
    return source.codes.zero_code


def _weight_codes(node: GraphNode, weights: QuantizedConstant, rank: int) -> Ints:
    if weights.array.ndim != rank or not weights.array.size:
        raise ValueError(f"{node}: weights {node.inputs[1]!r} must be {rank}-D, not of shape {weights.array.shape}")
    return weights.quantizer.constant_codes(weights.array)


def _channel_steps(weights: QuantizedConstant, axis: int) -> list[Fraction]:
    """The step of every output channel, which lies on `axis` of the weights."""
    shape = weights.array.shape
    steps = weights.quantizer.steps()
    steps = steps.reshape((1,) * (len(shape) - steps.ndim) + steps.shape)
    if steps.size != steps.shape[axis]:
        raise ValueError(
            f"{weights.quantizer.where}: scale must be one number or one per output channel, not of shape {steps.shape}"
        )
    return [Fraction(float(step)) for step in np.broadcast_to(steps.ravel(), (shape[axis],))]


def _dense(state: Translation, node: GraphNode, source: CodeMap, codes: Ints, steps: list[Fraction]) -> Sums:
    """codes: (outputs, features)."""
    if not source.flat:
        raise ValueError(
            f"{node}: input {node.inputs[0]!r} must be (batch, features), not a map: put a Flatten before it"
        )
    if codes.shape[1] != prod(source.shape):
        raise ValueError(f"{node}: weights must have {prod(source.shape)} input features, not {codes.shape[1]}")
    layer = Dense(
        name=node.name,
        in_shape=source.shape,
        out_channels=codes.shape[0],
        act_bits=source.codes.bits,
        weight_bits=state.weights(node, 1).quantizer.bits,
        out_bits=None,
        from_host=source.from_host,
    )
    return _contraction(state, node, layer, source, codes, steps)


def _contraction(
    state: Translation, node: GraphNode, layer: Conv | Dense, source: CodeMap, codes: Ints, steps: list[Fraction]
) -> Sums:
    """real = step_x step_w (sum c_x c_w + offset sum c_w) + bias, codes: (out_channels, N)."""
    slopes = [Fraction(source.codes.step) * step for step in steps]
    shifts = [source.codes.offset * total for total in codes.sum(axis=1).tolist()]
    curves = [Curve().scaled(slope, slope * shift) for slope, shift in zip(slopes, shifts, strict=True)]
    sums = Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=tuple(curves),
        bound=layer.acc_bound,
        flat=isinstance(layer, Dense),
        weights=encode_weights(codes, layer.weight_bits),
    )
    if len(node.inputs) < 3 or not node.inputs[2]:
        return sums
    beta = Fraction(node.real("beta", 1.0))
    biases = state.per_channel(node, 2, sums, vector=True)
    return sums.scaled([Fraction(1)] * len(biases), [beta * bias for bias in biases])
