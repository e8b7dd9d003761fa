"""Operators that only reshape: vectors of maps, maps of one position, and the shape itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from workloads.onnx_graph import GraphNode
from workloads.onnx_input import RawInput
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Constant, Joined, Live, QuantizedConstant, Sums, Value, viewed
from workloads.onnx_views import reshaped, transposed

ONE_POSITION = (1, 1)


def shape(state: Translation, node: GraphNode) -> Value:
    """The shape of a map, at a batch of one."""
    live = state.live(node, 0)
    sizes = (1, *viewed(live).shape)
    return Constant(np.array(sizes[node.integer("start", 0) : node.integer("end", len(sizes))], np.int64))


def flatten(state: Translation, node: GraphNode) -> Value:
    """(batch, C, H, W) to (batch, C*H*W)."""
    live = state.live(node, 0)
    axis, rank = node.integer("axis", 1), 1 + len(viewed(live).axes)
    if axis not in (1, 1 - rank):
        raise ValueError(f"{node}: axis must be 1, not {axis}")
    if isinstance(live, CodeMap | Sums):
        return reshaped(state, node, live, [prod(live.out_shape)])
    return _flattened(node, live)


def reshape(state: Translation, node: GraphNode) -> Value:
    """A Reshape that flattens, or gives a vector its axes of one position back."""
    target, live = state.constant(node, 1).ravel().tolist(), state.live(node, 0)
    if isinstance(live, CodeMap | Sums):
        return reshaped(state, node, live, _target(node, target, viewed(live).shape))
    features = prod(live.out_shape)
    if len(target) == 2 and _is_shape(target, (features,)):
        return _flattened(node, live)
    if (
        len(target) in (3, 4)
        and _is_shape(target, (features, *ONE_POSITION[: len(target) - 2]))
        and live.out_shape[1:] == ONE_POSITION
    ):
        return replace(live, flat=False)
    raise ValueError(
        f"{node}: shape must flatten to (batch, {features}) or keep a map of one position, not {target} for a map {live.out_shape}"
    )


def squeeze(state: Translation, node: GraphNode) -> Value:
    """Axes of size 1 taken away; of the graph input, those of one position."""
    seen = state.live(node, 0)
    if isinstance(seen, CodeMap | Sums):
        sizes = [1, *viewed(seen).shape]
        gone = sorted(axis % len(sizes) for axis in _axes(state, node, default=())) or [
            place for place, size in enumerate(sizes) if place and size == 1
        ]
        if not gone or gone[0] == 0 or any(sizes[axis] != 1 for axis in gone):
            raise ValueError(f"{node}: axes must have size 1 and not be the batch, not {gone} of {sizes}")
        return reshaped(state, node, seen, [size for place, size in enumerate(sizes) if place and place not in gone])
    live = _one_position(state, node)
    axes = sorted(axis if axis >= 0 else axis + 4 for axis in _axes(state, node, default=(2, 3)))
    if live.flat or not axes or not set(axes) <= {2, 3}:
        raise ValueError(f"{node}: axes must be those of the position, not {axes}")
    return replace(live, flat=True)


def unsqueeze(state: Translation, node: GraphNode) -> Value:
    """Axes of size 1 put in; of the graph input, those of one position behind the channels of a vector."""
    seen = state.live(node, 0)
    if isinstance(seen, CodeMap | Sums):
        sizes, given = [1, *viewed(seen).shape], _axes(state, node, default=())
        for axis in sorted(axis % (len(sizes) + len(given)) for axis in given):
            sizes.insert(axis, 1)
            if axis == 0:
                raise ValueError(f"{node}: the batch must stay first, so axes must not be {list(given)}")
        return reshaped(state, node, seen, sizes[1:])
    live, axes = _one_position(state, node), _axes(state, node, default=())
    if not live.flat or not axes or not set(axes) <= {2, 3, -1, -2}:
        raise ValueError(f"{node}: axes must come behind the channels of (batch, features), not {list(axes)}")
    return replace(live, flat=False)


def transpose(state: Translation, node: GraphNode) -> Value:
    """Constants in another order; of maps, only those of one position, whose channels go last or come back."""
    value = state.value(node, 0)
    if isinstance(value, QuantizedConstant):
        return _transposed(node, value)
    live = state.live(node, 0)
    order = tuple(_listed(node, "perm")) if "perm" in node.attributes else ()
    if order and order == tuple(range(len(order))):
        return live
    if isinstance(live, CodeMap | Sums):
        return transposed(state, node, live, order)
    if live.out_shape[1:] == ONE_POSITION and order in ((0, 2, 3, 1), (0, 3, 1, 2)):
        return replace(live, flat=order == (0, 2, 3, 1))
    raise ValueError(
        f"{node}: perm must keep the order, or move the channels of a map of one position, not {list(order)}"
    )


def identity(state: Translation, node: GraphNode) -> Value:
    """Nothing."""
    return state.value(node, 0)


def decision(state: Translation, node: GraphNode) -> tuple[Value, ...]:
    """The largest score of the last layer: the host looks for it, the network gives the scores."""
    live = state.live(node, 0)
    largest = node.op == "ArgMax" or (
        node.integer("largest", 1) == 1 and state.constant(node, 1).ravel().tolist() == [1]
    )
    axis = node.integer("axis", -1 if node.op == "TopK" else 0)
    if (
        not set(node.outputs) & {state.graph.output_name}
        or not largest
        or axis not in ((1, -1) if live.flat else (1, -3))
    ):
        raise ValueError(f"{node}: must find the largest of the last layer's outputs, and nothing may follow it")
    state.left_to_host.append(f"{node.op} of {node.name!r}")
    return (live,) * len(node.outputs)


def _target(node: GraphNode, target: list[int], shape: Sequence[int]) -> list[int]:
    """What a Reshape makes of all axes but the batch: 0 keeps a size, -1 takes what is left."""
    sizes = [shape[place - 1] if size == 0 and 0 < place <= len(shape) else size for place, size in enumerate(target)]
    if target[:1] not in ([0], [1], [-1]) or target.count(-1) > 1 or node.integer("allowzero", 0):
        raise ValueError(f"{node}: shape must keep the batch and leave at most one size open, not {target}")
    known = prod(size for size in sizes[1:] if size != -1)
    return [prod(shape) // known if size == -1 and known else size for size in sizes[1:]]


def _is_shape(target: list[int], wanted: tuple[int, ...]) -> bool:
    """Whether a Reshape gives (batch, *wanted): 0 keeps an axis, and one -1 stands for what is left."""
    batch, sizes = target[0], target[1:]
    fits = all(size in (-1, found) for size, found in zip(sizes, wanted, strict=True))
    return fits and batch in (0, 1, -1) and target.count(-1) <= 1


def _flattened(node: GraphNode, live: RawInput | Joined) -> Value:
    """The graph input is flattened by its host; joined sums only where channels are all there is."""
    if live.flat:
        return live
    if isinstance(live, Joined):
        if live.out_shape[1:] != ONE_POSITION:
            raise ValueError(f"{node}: sums must be 1x1 to be flattened, not {live.out_shape} (put the Quant first)")
        return replace(live, flat=True)
    if live.view is not None:
        raise ValueError(f"{node}: the graph input must be quantized before its axes change")
    positions, features = prod(live.out_shape[1:]), (prod(live.out_shape), 1, 1)
    curves = tuple(curve for curve in live.curves for _ in range(positions))
    return replace(live.spread(positions), shape=features, curves=curves, flat=True, flatten=node.name)


def _one_position(state: Translation, node: GraphNode) -> Live:
    live = state.live(node, 0)
    if live.out_shape[1:] != ONE_POSITION:
        raise ValueError(f"{node}: must read a vector or a map of one position, not a map {live.out_shape}")
    return live


def _axes(state: Translation, node: GraphNode, default: tuple[int, ...]) -> tuple[int, ...]:
    """Axes as an input, or, in older operator sets, as an attribute."""
    if len(node.inputs) > 1 and node.inputs[1]:
        return tuple(state.constant(node, 1).ravel().tolist())
    return tuple(_listed(node, "axes")) if "axes" in node.attributes else default


def _listed(node: GraphNode, name: str) -> list[int]:
    value = node.attributes.get(name)
    if not isinstance(value, list | tuple) or not all(isinstance(item, int) for item in value):
        raise ValueError(f"{node}: attribute {name} must be a list of integers, not {value!r}")
    return list(value)


def _transposed(node: GraphNode, value: QuantizedConstant) -> QuantizedConstant:
    """Array, scale and zero point in the new order of axes."""
    rank, quantizer = value.array.ndim, value.quantizer
    order = node.integers("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise ValueError(f"{node}: perm must name each of {rank} axes once, not {list(order)}")
    scale, zero = (
        item.reshape((1,) * (rank - item.ndim) + item.shape).transpose(order)
        for item in (quantizer.scale, quantizer.zero_point)
    )
    return QuantizedConstant(value.array.transpose(order), replace(quantizer, scale=scale, zero_point=zero))
