"""Sequences and attention: MatMul over positions, products of two maps, means over positions.

Nothing moves for a Reshape or Transpose between them: `workloads.views` follows which axis of the tensor lies where in the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod

from workloads.layers import Conv, Dense, MatMul, Pool
from workloads.onnx_contractions import Rows, contraction, weights_of
from workloads.onnx_contractions import matmul as flat_matmul
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import CodeMap, Sums, Value, viewed
from workloads.onnx_weights import weight_encoding
from workloads.thresholds import Curve
from workloads.views import View


def matmul(state: Translation, node: GraphNode) -> Value:
    """Codes times weights, for one vector or for every position of a sequence; or the product of two maps of codes."""
    if not state.is_constant(node, 1):
        return _product(node, state.term(node, 0), state.term(node, 1))
    source = state.seen(node, 0)
    return flat_matmul(state, node) if source.view is None else _sequence(state, node, source, source.view)


def _sequence(state: Translation, node: GraphNode, source: CodeMap, view: View) -> Sums:
    """(batch, positions, features) times (features, outputs); positions of two sides are pixels of a 1x1 convolution."""
    channels, _ = _sides(node, source, view)
    weights = weights_of(state, node, 2)
    features, outputs = weights.values.shape
    if view.axes[-1] != tuple(channels) or features != source.shape[0]:
        raise ValueError(f"{node}: the last axis must be {features} features, all channels of {source.producer!r}")
    encoding, (_, height, width) = weight_encoding(weights), source.shape
    layer: Conv | Dense
    if height > 1:
        layer = Conv(
            name=node.name,
            in_shape=source.shape,
            out_channels=outputs,
            kernel=(1, 1),
            act_bits=source.codes.bits,
            weight_bits=encoding.bits,
            out_bits=None,
            weight_offset=encoding.offset,
            ternary=encoding.ternary,
            from_host=source.from_host,
        )
    else:
        layer = Dense(
            name=node.name,
            in_shape=(features, 1, 1),
            out_channels=outputs,
            act_bits=source.codes.bits,
            weight_bits=encoding.bits,
            out_bits=None,
            positions=width,
            weight_offset=encoding.offset,
            ternary=encoding.ternary,
            from_host=source.from_host,
        )
    sums = contraction(layer, source, Rows(weights.values.T, weights.channel_steps(1), encoding))
    return replace(sums, flat=False, view=_with_channels(view, len(channels), outputs))


def _with_channels(view: View, old: int, channels: int) -> View:
    """The view after the `old` channel factors, which are the last axis, have become one."""
    new = int(channels > 1)
    axes = [tuple(factor - old + new for factor in axis) for axis in view.axes[:-1]]
    return View((*((channels,) * new), *view.factors[old:]), (*axes, tuple(range(new))))


def _sides(node: GraphNode, source: CodeMap, view: View) -> tuple[list[int], list[int]]:
    """The factors of the channels and those of the positions."""
    count = next((n for n in range(len(view.factors) + 1) if prod(view.factors[:n]) == source.shape[0]), None)
    if count is None:
        raise ValueError(f"{node}: channels and positions of {source.producer!r} must not be mixed in one axis")
    return list(range(count)), list(range(count, len(view.factors)))


def _product(node: GraphNode, left: CodeMap, right: CodeMap) -> Sums:
    """(heads, positions, N) times (heads, N, S), whose N are channels (Q K transposed) or positions (P V)."""
    one, other = viewed(left), viewed(right)
    channels, positions = _sides(node, left, one)
    others, places = _sides(node, right, other)
    heads = [factor for axis in one.axes[:-2] for factor in axis]
    count, rest = prod(one.factors[factor] for factor in heads), others[len(heads) :]
    shared = [other.factors[factor] for factor in heads] == [one.factors[factor] for factor in heads]
    standing = heads + list(one.axes[-1]) == channels and one.axes[-2] == tuple(positions)
    over_channels = [*other.axes[-2:]] == [tuple(rest), tuple(places)]
    over_positions = [*other.axes[-2:]] == [tuple(places), tuple(rest)]
    aligned = shared and one.axes[:-2] == other.axes[:-2] and standing
    if not (aligned and (over_channels or over_positions) and left.shape[1] == right.shape[1] == 1):
        raise ValueError(
            f"{node}: must multiply (heads, positions, N) by (heads, N, outputs), positions and channels each of one map, "
            f"not {one.shape} by {other.shape} as they lie in {left.producer!r} and {right.producer!r}"
        )
    layer = MatMul(
        name=node.name,
        in_shape=left.shape,
        other_shape=right.shape,
        heads=count,
        over="channels" if over_channels else "positions",
        act_bits=left.codes.bits,
        weight_bits=right.codes.bits,
        out_bits=None,
        act_offset=left.codes.offset,
        weight_offset=right.codes.offset,
    )
    inner = [other.factors[factor] for factor in (places if over_channels else rest)]
    factors = (*(one.factors[factor] for factor in heads), *inner, *(one.factors[factor] for factor in positions))
    first, last = len(heads), len(heads) + len(inner)
    axes = (*one.axes[:-2], tuple(range(last, len(factors))), tuple(range(first, last)))
    curve = Curve().scaled(Fraction(left.codes.step) * Fraction(right.codes.step), Fraction(0))
    return Sums(
        layer=layer,
        inputs=(left.producer, right.producer),
        curves=(curve,) * layer.out_channels,
        bound=layer.acc_bound,
        flat=False,
        view=View(factors, axes),
    )


def mean(state: Translation, node: GraphNode, axes: Sequence[int]) -> Sums:
    """The mean over all positions of a sequence or map: an average pool of the whole map."""
    source = state.seen(node, 0)
    view, (_, height, width) = viewed(source), source.shape
    channels, positions = _sides(node, source, view)
    read = [factor for axis in axes for factor in view.axes[axis - 1]]
    if sorted(read) != positions:
        raise ValueError(f"{node}: axes must be all positions of the map, not {list(axes)}")
    layer = Pool(
        name=node.name, kind="average", in_shape=source.shape, kernel=(height, width), act_bits=source.codes.bits, out_bits=None
    )  # fmt: skip
    count = height * width
    kept = [axis for place, axis in enumerate(view.axes, start=1) if place not in axes]
    rest = View(tuple(view.factors[factor] for factor in channels), tuple(kept))
    made = (
        rest
        if not node.integer("keepdims", 1)
        else rest.reshaped([1 if place in axes else size for place, size in enumerate(view.shape, 1)])
    )
    sums = Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=tuple(Curve().scaled(line.slope / count, line.intercept) for line in source.channel_lines),
        bound=layer.acc_bound,
        flat=False,
        view=made,
    )
    flat = made is not None and len(made.axes) == 1
    return replace(sums, flat=flat, view=None if flat or source.view is None else made)


def gather(state: Translation, node: GraphNode) -> Value:
    """One position of a sequence (a class token, the last token) as a vector: a copy."""
    source, index = state.seen(node, 0), state.constant(node, 1)
    view, positions = viewed(source), source.shape[2]
    _, places = _sides(node, source, view)
    axis = node.integer("axis", 0) % (1 + len(view.axes))
    whole = axis and source.shape[1] == 1 and list(view.axes[axis - 1]) == places and len(view.axes) == 2
    if not whole or index.ndim or not -positions <= int(index) < positions:
        raise ValueError(
            f"{node}: must take one position of a sequence (batch, positions, features), not {index.tolist()} of {view.shape}"
        )
    made = state.cut(node.name, source, (0, 0, int(index) % positions), (source.shape[0], 1, 1))
    return replace(made, flat=True, view=None)


SEQUENCES: dict[str, Operator] = {
    "MatMul": Operator(range(2, 3), matmul),
    "Gather": Operator(range(2, 3), gather),
}
"""Operators of sequences."""
