"""Operators that join, move, cut and enlarge maps: Concat, DepthToSpace, Resize, Slice, Split and their like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, prod
from typing import Literal

import numpy as np

from workloads.layers import Concat, Conv, Pair, Pool, Shape, Shuffle, Upsample
from workloads.onnx_graph import GraphNode
from workloads.onnx_remaking import permuted
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import CodeMap, Joined, Sums, Value, requantized
from workloads.onnx_windows import map_shape
from workloads.thresholds import Curve


def concat(state: Translation, node: GraphNode) -> Value:
    """Maps joined along their channels: equal codes at once, all others when a quantizer gives them one set of levels."""
    values = [state.value(node, place) for place in range(len(node.inputs))]
    parts = [value for value in values if isinstance(value, CodeMap | Sums | Joined)]
    if len(parts) != len(values):
        raise ValueError(f"{node}: every input must be a map, not a constant")
    check_joined(node, parts)
    maps = [part for part in parts if isinstance(part, CodeMap)]
    if len(maps) == len(parts) and all(part.codes == maps[0].codes and not part.lines for part in maps):
        widths, first = tuple(part.shape[0] for part in maps), maps[0]
        shape = (sum(widths), *first.shape[1:])
        state.finish(
            Concat(name=node.name, in_shape=shape, parts=widths, act_bits=first.codes.bits),
            tuple(part.producer for part in maps),
        )
        return CodeMap(producer=node.name, shape=shape, codes=first.codes, flat=first.flat)
    return joined(node, parts)


def joined(node: GraphNode, parts: Sequence[CodeMap | Sums | Joined]) -> Joined:
    """Maps joined along their channels, waiting for a quantizer that gives them one set of levels."""
    check_joined(node, parts)
    pending = [piece for place, part in enumerate(parts) for piece in _pieces(f"{node.name}_{place}", part)]
    curves = tuple(curve for part in pending for curve in part.curves)
    return Joined(name=node.name, parts=tuple(pending), curves=curves, flat=parts[0].flat)


def check_joined(node: GraphNode, parts: Sequence[CodeMap | Sums | Joined]) -> None:
    axis, rank = node.integer("axis"), 2 if parts[0].flat else 4
    if axis not in (1, 1 - rank):
        raise ValueError(f"{node}: axis must be 1, the channels, not {axis}")
    if any(part.view for part in parts):
        raise ValueError(f"{node}: every input must be (batch, channels, height, width) or (batch, features)")
    sizes = {(_shape(part)[1:], part.flat) for part in parts}
    if len(sizes) > 1:
        raise ValueError(f"{node}: every input must have one height and width, not {sorted(_shape(p) for p in parts)}")


def _shape(part: CodeMap | Sums | Joined) -> Shape:
    return part.shape if isinstance(part, CodeMap) else part.out_shape


def _pieces(name: str, part: CodeMap | Sums | Joined) -> tuple[Sums | Joined, ...]:
    """What a part adds to joined sums: itself, its own parts where they are only joined, or codes to be given other levels."""
    if isinstance(part, CodeMap):
        return (requantized(name, part),)
    if isinstance(part, Joined) and part.block == 1 and part.size is None:
        return part.shared()
    return (part,)


def depth_to_space(state: Translation, node: GraphNode) -> Value:
    """b x b pixels out of b^2 channels, of codes or of sums; mode CRD after its maker's channels are put in the order of DCR."""
    block, mode, value = node.integer("blocksize"), node.text("mode", "DCR"), state.value(node, 0)
    if mode not in ("DCR", "CRD") or block < 1:
        raise ValueError(f"{node}: mode must be DCR or CRD and blocksize >= 1, not {mode!r} and {block}")
    if isinstance(value, CodeMap):
        value = state.codes(node, 0)
    if not isinstance(value, CodeMap | Sums) or value.flat or _shape(value)[0] % block**2:
        raise ValueError(f"{node}: must read a map of {block**2} n channels that one layer makes")
    if mode == "CRD":
        value = _permuted(state, node, value, block)
    if isinstance(value, Sums):
        return Joined(name=node.name, parts=(value,), curves=value.curves, block=block)
    layer = Shuffle(name=node.name, in_shape=value.shape, block=block, act_bits=value.codes.bits)
    state.finish(layer, (value.producer,))
    return replace(value, producer=node.name, shape=layer.out_shape, from_host=False)


def _permuted(state: Translation, node: GraphNode, value: CodeMap | Sums, block: int) -> CodeMap | Sums:
    """Channel c b^2 + k, as CRD counts them, becomes channel k C + c: rows of the weights of the layer that makes them."""
    channels = _shape(value)[0]
    order = np.arange(channels).reshape(-1, block**2).T.ravel()
    if channels == block**2:
        return value
    if isinstance(value, CodeMap):
        return permuted(state, node, value, order.tolist())
    if not isinstance(value.layer, Conv) or value.layer.groups > 1 or value.weights is None:
        raise ValueError(f"{node}: mode CRD must follow a Conv without groups, whose outputs can change places")
    curves = tuple(value.curves[place] for place in order)
    return replace(value, curves=curves, weights=np.ascontiguousarray(value.weights[:, order]))


Coordinates = Literal["half_pixel", "asymmetric", "align_corners"]

_COORDINATES: dict[str, Coordinates] = {
    "half_pixel": "half_pixel",
    "pytorch_half_pixel": "half_pixel",
    "asymmetric": "asymmetric",
    "align_corners": "align_corners",
}


def resize(state: Translation, node: GraphNode) -> Value:
    """Resize and Upsample by whole factors, nearest or linear."""
    old = node.op == "Upsample" or len(node.inputs) == 2
    source, mode = state.codes(node, 0), node.text("mode", "nearest")
    factor = _factor(state, node, map_shape(node, source), 1 if old else 2)
    given = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    if mode not in ("nearest", "linear") or given not in _COORDINATES:
        raise ValueError(
            f"{node}: mode must be nearest or linear, coordinates {', '.join(_COORDINATES)}, not {mode!r} and {given!r}"
        )
    if node.integer("antialias", 0) or node.integer("exclude_outside", 0):
        raise ValueError(f"{node}: antialias and exclude_outside must be 0")
    coordinates, bits = _COORDINATES[given], source.codes.bits
    if mode == "nearest":
        rounding = "floor" if old else node.text("nearest_mode", "round_prefer_floor")
        return _nearest(state, node, source, factor, coordinates, rounding)
    layer = Upsample(
        name=node.name,
        kind="linear",
        in_shape=source.shape,
        factor=factor,
        act_bits=bits,
        out_bits=None,
        coordinates=coordinates,
    )
    step = Fraction(source.codes.step)
    curve = Curve().scaled(step / prod(layer.denominators), step * source.codes.offset)
    return Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=(curve,) * source.shape[0],
        bound=layer.acc_bound,
        flat=False,
    )


def _nearest(
    state: Translation, node: GraphNode, source: CodeMap, factor: Pair, coordinates: Coordinates, rounding: str
) -> CodeMap:
    bits = source.codes.bits
    for size, scale in zip(source.shape[1:], factor, strict=True):
        if any(_nearest_input(i, size, scale, coordinates, rounding) != i // scale for i in range(size * scale)):
            raise ValueError(
                f"{node}: nearest neighbours must be input i // {scale}, not those of {coordinates} and {rounding}"
            )
    layer = Upsample(
        name=node.name, kind="nearest", in_shape=source.shape, factor=factor, act_bits=bits, out_bits=bits
    )  # fmt: skip
    state.finish(layer, (source.producer,))
    return replace(source, producer=node.name, shape=layer.out_shape, from_host=False)


def _nearest_input(index: int, size: int, factor: int, coordinates: Coordinates, rounding: str) -> int:
    """The input that ONNX takes for an output, in fractions."""
    at = {
        "half_pixel": Fraction(2 * index + 1 - factor, 2 * factor),
        "asymmetric": Fraction(index, factor),
        "align_corners": Fraction(index * (size - 1), max(1, size * factor - 1)),
    }[coordinates]
    half = Fraction(1, 2)
    found = {"floor": floor(at), "ceil": ceil(at), "round_prefer_ceil": floor(at + half)}.get(rounding, ceil(at - half))
    return min(max(found, 0), size - 1)


def _factor(state: Translation, node: GraphNode, shape: Shape, place: int) -> Pair:
    """Whole factors from scales, or from the sizes that stand behind them."""
    if len(node.inputs) <= place:
        raise ValueError(f"{node}: must have scales or sizes, not {list(node.inputs)}")
    sizes = len(node.inputs) > place + 1 and bool(node.inputs[place + 1])
    given = state.constant(node, place + 1 if sizes else place).astype(np.float64).ravel().tolist()
    wanted = [1, shape[0], *shape[1:]]
    scales = [size / own for size, own in zip(given, wanted, strict=True)] if sizes and len(given) == 4 else given
    if len(scales) != 4 or scales[:2] != [1, 1] or any(scale != int(scale) or scale < 1 for scale in scales):
        raise ValueError(
            f"{node}: must enlarge height and width by whole factors, not by {[float(scale) for scale in scales]}"
        )
    return int(scales[2]), int(scales[3])


def slice_(state: Translation, node: GraphNode) -> Value:
    """A window of a map: a copy."""
    source = state.codes(node, 0)
    start, shape = [0, 0, 0], list(source.shape)
    for axis, first, last, step in zip(*_cuts(state, node), strict=True):
        place, size = _axis(node, source, axis), source.shape[_axis(node, source, axis)]
        begin, end = (min(max(edge + size if edge < 0 else edge, 0), size) for edge in (first, last))
        if step != 1 or end <= begin:
            raise ValueError(f"{node}: must keep a window with step 1, not {first}:{last}:{step} of {size}")
        start[place], shape[place] = begin, end - begin
    return state.cut(node.name, source, (start[0], start[1], start[2]), (shape[0], shape[1], shape[2]))


def _cuts(state: Translation, node: GraphNode) -> list[list[int]]:
    """axes, starts, ends and steps: attributes in old operator sets, else constants."""
    if len(node.inputs) == 1:
        starts, ends = ([int(item) for item in node.attributes.get(name) or ()] for name in ("starts", "ends"))
        axes = [int(item) for item in node.attributes.get("axes") or range(len(starts))]
        return [axes, starts, ends, [1] * len(starts)]
    starts, ends = (state.constant(node, place).ravel().tolist() for place in (1, 2))
    axes, steps = list(range(len(starts))), [1] * len(starts)
    if len(node.inputs) > 3 and node.inputs[3]:
        axes = state.constant(node, 3).ravel().tolist()
    if len(node.inputs) > 4 and node.inputs[4]:
        steps = state.constant(node, 4).ravel().tolist()
    return [axes, starts, ends, steps]


def _axis(node: GraphNode, source: CodeMap, axis: int) -> int:
    """An axis of the tensor as one of the map: channels, height or width."""
    rank = 2 if source.flat else 4
    found = (axis + rank if axis < 0 else axis) - 1
    if not 0 <= found < rank - 1:
        raise ValueError(f"{node}: axis must be one of 1 to {rank - 1}, not {axis}")
    return found


def split(state: Translation, node: GraphNode) -> tuple[Value, ...]:
    """A map in pieces along one axis: a copy each."""
    source, count = state.codes(node, 0), len(node.outputs)
    place = _axis(node, source, node.integer("axis", 0))
    size = source.shape[place]
    if len(node.inputs) > 1 and node.inputs[1]:
        sizes = [int(item) for item in state.constant(node, 1).ravel()]
    else:
        even = -(-size // count)
        sizes = [int(item) for item in node.attributes.get("split") or ()] or [even] * (count - 1) + [
            size - even * (count - 1)
        ]
    if sum(sizes) != size or len(sizes) != count or min(sizes) < 1:
        raise ValueError(f"{node}: pieces must add up to {size} in {count} outputs, not {sizes}")
    pieces, first = list[Value](), 0
    for index, own in enumerate(sizes):
        start, shape = [0, 0, 0], list(source.shape)
        start[place], shape[place] = first, own
        name = node.name if count == 1 else f"{node.name}_{index}"
        pieces.append(state.cut(name, source, (start[0], start[1], start[2]), (shape[0], shape[1], shape[2])))
        first += own
    return tuple(pieces)


def global_max_pool(state: Translation, node: GraphNode) -> Value:
    """The largest code of a map."""
    source, bits = state.codes(node, 0), state.codes(node, 0).codes.bits
    _, height, width = map_shape(node, source)
    layer = Pool(
        name=node.name, kind="max", in_shape=source.shape, kernel=(height, width), act_bits=bits, out_bits=bits
    )  # fmt: skip
    state.finish(layer, (source.producer,))
    return replace(source, producer=node.name, shape=layer.out_shape, from_host=False)


MAPS: dict[str, Operator] = {
    "Concat": Operator(range(1, 65536), concat),
    "DepthToSpace": Operator(range(1, 2), depth_to_space),
    "Resize": Operator(range(1, 5), resize),
    "Upsample": Operator(range(2, 3), resize),
    "Slice": Operator(range(1, 6), slice_),
    "Split": Operator(range(1, 3), split),
    "GlobalMaxPool": Operator(range(1, 2), global_max_pool),
}
"""Operators on whole maps."""
