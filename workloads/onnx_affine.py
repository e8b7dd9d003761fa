"""Arithmetic with constants, one number a channel: on sums it moves into thresholds, on codes into what they stand for.

On the graph input it is done twice: in fractions like everywhere, and in float32, in which its host rounds (`onnx_input`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from workloads.encoded import Singles
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_input import RawInput, Step
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Live, Value, requantized
from workloads.thresholds import Curve

ONE, ZERO = Fraction(1), Fraction(0)


def batch_normalization(state: Translation, node: GraphNode) -> Value:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta: the slope is computed in float64, the rest is exact."""
    live = state.live(node, 0)
    if node.integer("training_mode", 0):
        raise ValueError(f"{node}: training_mode must be 0, not {node.integer('training_mode', 0)}")
    gamma, beta, mean, variance = (state.channel_array(node, index, live, vector=True) for index in range(1, 5))
    epsilon = node.real("epsilon", 1e-5)
    spread = variance.astype(np.float64) + epsilon
    if (spread <= 0).any():
        raise ValueError(f"{node}: variance + epsilon must be > 0, not {spread.min()}")
    with np.errstate(over="ignore"):
        quotients = np.broadcast_to(gamma / np.sqrt(spread), (live.channels,))
    if not np.isfinite(quotients).all():
        raise ValueError(f"{node}: gamma / sqrt(variance + epsilon) must be finite")
    slopes, betas, means = (
        [Fraction(value) for value in np.broadcast_to(item, (live.channels,)).tolist()]
        for item in (quotients, beta, mean)
    )
    shifts = [b - slope * m for slope, b, m in zip(slopes, betas, means, strict=True)]
    single = [_column(item) for item in (gamma, beta, mean, variance)]
    return _scaled(node, live, slopes, shifts, _normalized(single, np.float32(epsilon)))


def subtract_constant(state: Translation, node: GraphNode) -> Value:
    """A map minus a constant, or a constant minus a map."""
    first, live = _operands(state, node)
    constants, column = (
        state.per_channel(node, 0 if first else 1, live),
        _own_column(state, node, 0 if first else 1, live),
    )
    sign = -ONE if first else ONE
    step: Step = (lambda x: column - x) if first else (lambda x: x - column)
    return _scaled(node, live, [sign] * len(constants), [-sign * value for value in constants], step)


def add_constant(state: Translation, node: GraphNode) -> Value:
    """A map plus a constant."""
    first, live = _operands(state, node)
    constants, column = (
        state.per_channel(node, 0 if first else 1, live),
        _own_column(state, node, 0 if first else 1, live),
    )
    return _scaled(node, live, [ONE] * len(constants), constants, lambda x: x + column)


def multiply(state: Translation, node: GraphNode) -> Value:
    """A map times a constant."""
    first, live = _operands(state, node)
    constants, column = (
        state.per_channel(node, 0 if first else 1, live),
        _own_column(state, node, 0 if first else 1, live),
    )
    return _scaled(node, live, constants, [ZERO] * len(constants), lambda x: x * column)


def divide(state: Translation, node: GraphNode) -> Value:
    """A map divided by a constant."""
    live = state.live(node, 0)
    constants, column = state.per_channel(node, 1, live), _own_column(state, node, 1, live)
    if not all(constants):
        raise ValueError(f"{node}: divisor {node.inputs[1]!r} must not be 0")
    return _scaled(node, live, [1 / value for value in constants], [ZERO] * len(constants), lambda x: x / column)


def negate(state: Translation, node: GraphNode) -> Value:
    """The negative of a map."""
    live = state.live(node, 0)
    return _scaled(node, live, [-ONE] * live.channels, [ZERO] * live.channels, lambda x: -x)


def relu(state: Translation, node: GraphNode) -> Value:
    """max(map, 0), folded into the thresholds behind it."""
    return _bent(state, node, Curve.rectified, lambda x: np.maximum(x, np.float32(0)))


def clip(state: Translation, node: GraphNode) -> Value:
    """min(max(map, low), high), folded: HTanh and ReLU6 are exported as this; older operator sets keep ends as attributes."""
    low, high = _end(state, node, 1, "min"), _end(state, node, 2, "max")
    if low is not None and high is not None and low > high:
        raise ValueError(f"{node}: min must be at most max {float(high)}, not {float(low)}")
    ends = [None if end is None else np.float32(float(end)) for end in (low, high)]
    step: Step = (lambda x: np.clip(x, ends[0], ends[1])) if low is not None or high is not None else (lambda x: x)
    return _bent(state, node, lambda curve: curve.clipped(low, high), step)


def _bent(state: Translation, node: GraphNode, bend: Callable[[Curve], Curve], step: Step) -> Value:
    """A map after a function that is no straight line: codes need thresholds of their own for it."""
    value = state.live(node, 0)
    if isinstance(value, RawInput):
        return replace(value.stepped(step), curves=tuple(map(bend, value.curves)))
    sums = state.sums(node, 0)
    return replace(sums, curves=tuple(map(bend, sums.curves)))


def _scaled(node: GraphNode, live: Live, slopes: Sequence[Fraction], shifts: Sequence[Fraction], step: Step) -> Value:
    if isinstance(live, RawInput):
        return live.stepped(step).scaled(slopes, shifts)
    if isinstance(live, CodeMap) and not all(slopes):  # codes of one value need thresholds to become other codes
        return requantized(node.name, live).scaled(slopes, shifts)
    return live.scaled(slopes, shifts)


def _operands(state: Translation, node: GraphNode) -> tuple[bool, Live]:
    """Whether the constant comes first, and the other operand."""
    first = state.is_constant(node, 0)
    return first, state.live(node, 1 if first else 0)


def _own_column(state: Translation, node: GraphNode, index: int, live: Live) -> Singles:
    return _column(state.channel_array(node, index, live))


def _column(array: Array) -> Singles:
    """One number a row, in float32."""
    return np.asarray(array.astype(np.float32)[:, None], np.float32)


def _normalized(columns: Sequence[Singles], epsilon: np.float32) -> Step:
    """Batch normalization as onnxruntime computes it in float32: one product and one sum with prepared constants."""
    gamma, beta, mean, variance = columns
    one = np.float32(1)
    slope: Singles = gamma * (one / np.sqrt(variance + epsilon, dtype=np.float32))
    shift = beta - mean * slope
    return lambda x: x * slope + shift


def _end(state: Translation, node: GraphNode, index: int, name: str) -> Fraction | None:
    """One end of a Clip, None where it is open."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return Fraction(node.real(name, 0.0)) if name in node.attributes else None
    value = state.constant(node, index)
    if value.size != 1:
        raise ValueError(f"{node}: {name} must be one number, not of shape {value.shape}")
    return Fraction(float(value.flat[0]))
