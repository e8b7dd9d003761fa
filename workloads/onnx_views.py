"""Codes and sums under other axes: what Reshape, Flatten and Transpose do to a map, which stays where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from workloads.layers import Flatten
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Sums, Value, viewed
from workloads.views import MAP, View, view_of


def reshaped(state: Translation, node: GraphNode, value: CodeMap | Sums, shape: Sequence[int]) -> Value:
    """Other axes (batch aside) over the same elements in the same order."""
    view = viewed(value)
    made = view.reshaped(shape) if prod(shape) == prod(view.shape) else None
    if made is None:
        raise ValueError(
            f"{node}: shape must rename the axes {view.shape} without cutting them across, not {list(shape)}"
        )
    return _seen(state, node, value, made)


def transposed(state: Translation, node: GraphNode, value: CodeMap | Sums, order: Sequence[int]) -> Value:
    """Axes in another order, counted with the batch, which stays first."""
    rank = 1 + len(viewed(value).axes)
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise ValueError(f"{node}: perm must keep the batch first and be an order of {rank} axes, not {list(order)}")
    return _seen(state, node, value, viewed(value).transposed([place - 1 for place in order[1:]]))


def _seen(state: Translation, node: GraphNode, value: CodeMap | Sums, view: View) -> Value:
    """A value under another view; where that is one vector in the order of the map, codes become one (a Flatten)."""
    vector = len(view.axes) == 1 and view.order == list(range(len(view.factors)))
    pixel = value.out_shape[1:] == (1, 1)
    if vector and isinstance(value, CodeMap) and not value.flat and not (pixel and value.view):
        return _flattened(state, node, value)
    if vector and (pixel or value.flat):
        return replace(value, flat=True, view=None)
    if vector or (value.flat and not pixel):
        raise ValueError(f"{node}: sums must be 1x1 to be flattened, not {value.out_shape} (put the Quant first)")
    if view == view_of(value.out_shape, MAP):
        return replace(value, flat=False, view=None)
    return replace(value, flat=False, view=view)


def _flattened(state: Translation, node: GraphNode, value: CodeMap) -> CodeMap:
    layer = Flatten(name=node.name, in_shape=value.shape, act_bits=value.codes.bits)
    state.finish(layer, (value.producer,))
    lines = tuple(line for line in value.lines for _ in range(prod(value.shape[1:])))
    return replace(value, producer=node.name, flat=True, view=None, lines=lines)
