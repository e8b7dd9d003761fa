"""The accumulators of a layer by machine code: as branches over bytes, or as integer products of codes, whichever is faster.

The same integers as `kernels.branch_sums`, from another layout of the same planes: positions lie side by side, so nothing is
packed for the sake of one window, and the sums of neighbouring positions leave the loops as neighbours. A dense layer is a 1 x 1
convolution over (features, 1, positions).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workloads.encoded import Planes
from workloads.encoding import Bits, Ints, bit_planes, codes, reduction_taps, unpack, unsigned
from workloads.kernels import Integers
from workloads.layers import MAX_BITS, Conv, Weighted, ceil_div, max_code

MOST_BRANCHES = 2
"""M K up to which branches are faster than products (`benchmarks/executor.py`)."""

PASS_LANES = 192
"""What beginning a pass over lanes costs, in lanes: long passes are better than short ones (measured)."""

Sums = npt.NDArray[np.int32]

Way = Literal["branches", "products"]


@dataclass(frozen=True, slots=True)
class NativeWeights:
    """Weights of one layer as machine code reads them, and the rule acc = scale * raw + slope * sum(u) + bias.

    words: branches, (weight_bits, groups, rows, out / groups up to whole lanes) uint8; products, (groups, tiles, rows,
    CHANNELS) uint32. bias: (out_channels,) int32. block: steps of products whose sums fit 16 bits, 0 where codes need 16 bits.
    """

    way: Way
    words: npt.NDArray[Any]
    scale: int
    slope: int
    bias: npt.NDArray[np.int32]
    block: int = 0


def native_weights(layer: Weighted, planes: Planes, *, products: bool) -> NativeWeights | None:
    """Weights (K, out, dense 64-bit words) laid out again, or None where a sum may need more than 32 bits."""
    if layer.acc_bound >= 2**30:
        return None
    shape = convolution(layer)
    taps, channels = reduction_taps(shape)
    elements = unpack(planes, layer.reduction).reshape(layer.weight_bits, shape.groups, -1, channels, taps)
    if products and layer.act_bits * layer.weight_bits > MOST_BRANCHES:
        return _product_weights(layer, codes(elements, ternary=layer.ternary))
    bias = layer.reduction * max_code(layer.act_bits) * (sum(layer.plane_weights) - layer.weight_offset)
    biases = np.full(layer.out_channels, bias, np.int32)
    return NativeWeights("branches", _branch_weights(elements), -2, 2 * layer.weight_offset, biases)


def convolution(layer: Weighted) -> Conv:
    """The layer itself, or a dense layer as a 1 x 1 convolution over (N, 1, positions)."""
    if isinstance(layer, Conv):
        return layer
    return Conv(
        name=layer.name, in_shape=(layer.reduction, 1, layer.positions), out_channels=layer.out_channels, kernel=(1, 1),
        act_bits=layer.act_bits, weight_bits=layer.weight_bits, out_bits=layer.out_bits, ternary=layer.ternary,
    )  # fmt: skip


def native_sums(layer: Weighted, source: Bits, weights: NativeWeights) -> Integers:
    """(out_channels, positions * images) int32 of a map (channels, height, width, images) of codes u.

    Taps outside the map count as the smallest code or the layer's pad code, as they do in planes.
    """
    shape, images = convolution(layer), source.shape[-1]
    lines = np.ascontiguousarray(source).reshape(*shape.in_shape[:2], -1)
    plan = _plan(shape, images)
    ramps = _ramps(plan, lines, weights.slope)
    find = _branch_sums if weights.way == "branches" else _product_sums
    groups = find(plan, lines, weights, ramps)
    return groups[0] if len(groups) == 1 else np.concatenate(groups)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from a convolution and a number of images.

    size: (padded height, padded width * images). inside: the map in it. each: output channels of a group.
    taps: (taps, 2), row and column of each.
    """

    shape: Conv
    images: int
    channels: int
    each: int
    positions: int
    out: tuple[int, int, int]
    size: tuple[int, int]
    inside: tuple[slice, slice]
    taps: Ints

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column where the map begins."""
        return self.inside[0].start, self.inside[1].start


@lru_cache(maxsize=256)
def _plan(shape: Conv, images: int) -> _Plan:
    (top, left, bottom, right), (_, height, width) = shape.padding, shape.in_shape
    _, rows, cols = shape.out_shape
    size = (height + top + bottom, (width + left + right) * images)
    inside = (slice(top, top + height), slice(left * images, (left + width) * images))
    taps = np.indices(shape.kernel, dtype=np.int64).reshape(2, -1).T * np.array(shape.dilation)
    return _Plan(
        shape, images, shape.in_shape[0] // shape.groups, shape.out_channels // shape.groups, rows * cols * images,
        (rows, cols, images), size, inside, np.ascontiguousarray(taps),
    )  # fmt: skip


def _branch_weights(elements: Bits) -> npt.NDArray[np.uint8]:
    """(K, groups, out / groups, channels, taps) of 0/1 to bytes (K, groups, taps * ceil(channels / 8), out / groups)."""
    from workloads.compiled_branches import LANES, ROWS

    packed = np.packbits(elements, axis=3, bitorder="little").transpose(0, 1, 4, 3, 2)
    rows = packed.reshape(*packed.shape[:2], -1, packed.shape[4])
    return _filled(rows, (*rows.shape[:2], _whole(rows.shape[2], ROWS), _whole(rows.shape[3], LANES)))


def _branch_sums(plan: _Plan, lines: Bits, weights: NativeWeights, ramps: Sums) -> list[Sums]:
    """acc of each group, (out / groups, positions * images)."""
    from workloads import compiled_maps
    from workloads.compiled_branches import LANES

    shape, blocks = plan.shape, ceil_div(plan.channels, 8)
    framed = _framed_bytes(plan, lines)
    windows = np.zeros((shape.act_bits, shape.groups, weights.words.shape[2], _whole(plan.positions, LANES)), np.uint8)
    for plane in range(shape.act_bits):
        for group in range(shape.groups):
            own = framed[plane, group * blocks : (group + 1) * blocks]
            compiled_maps.gather(own, plan.taps, shape.stride, plan.out, windows[plane, group])
    shifts = np.add.outer(np.arange(shape.act_bits), _plane_shifts(shape))
    return [
        _group_sums(
            windows[:, group], weights.words[:, group], shifts, ramp, weights.bias[group * plan.each :][: plan.each]
        )
        for group, ramp in enumerate(ramps)
    ]


def _plane_shifts(shape: Conv) -> Ints:
    """log2 of what each weight plane counts."""
    return np.array([weight.bit_length() - 1 for weight in shape.plane_weights])


def _group_sums(windows: Bits, weights: Bits, shifts: Ints, ramp: Sums, bias: Sums) -> Sums:
    """Lanes are positions, or channels where that is less work. ramp: (positions * images,), bias: (channels,)."""
    from workloads.compiled_branches import branch_sums

    if (windows.shape[2] + PASS_LANES) * len(bias) <= (weights.shape[2] + PASS_LANES) * len(ramp):
        sums = np.empty((len(bias), windows.shape[2]), np.int32)
        branch_sums(windows, weights, shifts, _filled(ramp, windows.shape[2:]), bias, sums)
        return np.ascontiguousarray(sums[:, : len(ramp)])
    sums = np.empty((len(ramp), weights.shape[2]), np.int32)
    branch_sums(weights, windows, np.ascontiguousarray(shifts.T), _filled(bias, weights.shape[2:]), ramp, sums)
    return np.ascontiguousarray(sums[:, : len(bias)].T)


def _framed_bytes(plan: _Plan, lines: Bits) -> Bits:
    """Planes of a map in bytes of eight channels, (M, groups * blocks, padded height, padded width * images)."""
    from workloads import compiled_maps

    shape = plan.shape
    framed = np.zeros((shape.act_bits, shape.groups * ceil_div(plan.channels, 8), *plan.size), np.uint8)
    if _pad_value(shape):
        ones = np.tile(np.packbits(np.ones(plan.channels, np.uint8), bitorder="little"), shape.groups)
        bits = bit_planes(np.array(_pad_value(shape), np.uint8), shape.act_bits)
        framed[:] = (bits[:, None] * ones)[..., None, None]
        framed[:, :, *plan.inside] = 0
    compiled_maps.pack_bytes(lines, shape.groups, *plan.corner, framed)
    return framed


def _product_weights(layer: Weighted, weights: Ints) -> NativeWeights:
    """Weights w = s b + e by b, where s = 1 while many products of two codes fit 16 bits, else s = 2. With A = 2^M - 1,

    sum_n c_n w_n = sum_n (2 u_n - A)(s b_n + e) = 2 s sum_n u_n b_n + 2 e sum_n u_n - A sum_n w_n.

    weights: codes (groups, out / groups, channels, taps), before the offset.
    """
    from workloads.compiled_products import CHANNELS, LARGEST_16, MANY

    step, rest = 1, layer.weight_offset
    most = LARGEST_16 // (2 * max_code(layer.act_bits) * max_code(layer.weight_bits))
    if most < MANY or layer.weight_bits == MAX_BITS:
        step, rest = 2, layer.weight_offset + (0 if layer.ternary else 1)
    parts = (weights + layer.weight_offset - rest) // step
    block = LARGEST_16 // (2 * max_code(layer.act_bits) * int(max(-parts.min(), parts.max(), 1)))
    dtype, count = (np.int8, 4) if block else (np.int16, 2)
    groups, each, channels, taps = weights.shape
    size = (groups, _whole(each, CHANNELS), _whole(channels, count), taps)
    tiles = _filled(parts.astype(dtype), size).reshape(groups, -1, CHANNELS, size[2] // count, count, taps)
    words = np.ascontiguousarray(tiles.transpose(0, 1, 5, 3, 2, 4)).view(np.uint32)
    words = words.reshape(groups, words.shape[1], -1, CHANNELS)
    whole = _filled(words, (*words.shape[:2], _whole(words.shape[2], 2), CHANNELS))
    bias = -max_code(layer.act_bits) * (weights + layer.weight_offset).sum(axis=(2, 3)).ravel()
    return NativeWeights("products", whole, 2 * step, 2 * rest, bias.astype(np.int32), block)


def _product_sums(plan: _Plan, lines: Bits, weights: NativeWeights, ramps: Sums) -> list[Sums]:
    """acc of each group, (out / groups, positions * images)."""
    from workloads.compiled_products import CHANNELS, product_sums

    framed = _framed_words(plan, lines, 8 if weights.block else 16)
    rows, columns = _word_places(plan.shape, plan.images, len(framed) // plan.shape.groups)
    found = []
    for group, words in enumerate(framed.reshape(plan.shape.groups, -1)):
        tiles = weights.words[group]
        sums = np.empty((len(tiles) * CHANNELS, len(columns)), np.int32)
        starts = (
            _filled(ramps[group], columns.shape),
            _filled(weights.bias[group * plan.each :][: plan.each], sums.shape[:1]),
        )
        product_sums(words, rows, columns, tiles, weights.block, weights.scale.bit_length() - 1, *starts, sums)
        found.append(np.ascontiguousarray(sums[: plan.each, : plan.positions]))
    return found


@lru_cache(maxsize=256)
def _word_places(shape: Conv, images: int, blocks: int) -> tuple[Ints, Ints]:
    """Where windows begin in a flat map (blocks, height, width * images), whole tiles of them, and where their words (tap, block)
    lie after that, an even number."""
    from workloads.compiled_products import POSITIONS

    plan = _plan(shape, images)
    taps = plan.taps @ np.array([plan.size[1], images])
    rows = (taps[:, None] + np.arange(blocks) * prod(plan.size)).ravel()
    down, across = (np.arange(count) * step for count, step in zip(plan.out, shape.stride, strict=False))
    starts = down[:, None, None] * plan.size[1] + across[:, None] * images + np.arange(images)
    return _filled(rows, (_whole(rows.size, 2),)), _filled(starts.ravel(), (_whole(starts.size, POSITIONS),))


def _framed_words(plan: _Plan, lines: Bits, bits: int) -> npt.NDArray[np.uint32]:
    """Codes of a map, `bits` bits each, in words of neighbouring channels; taps outside the map as `_framed_bytes`."""
    from workloads import compiled_maps

    shape, each = plan.shape, 32 // bits
    framed = np.zeros((shape.groups * ceil_div(plan.channels, each), *plan.size), np.uint32)
    if _pad_value(shape):
        framed[:] = sum(_pad_value(shape) << (bits * element) for element in range(each))
        framed[:, *plan.inside] = 0
    compiled_maps.pack_words(lines, shape.groups, *plan.corner, bits, framed)
    return framed


def _ramps(plan: _Plan, lines: Bits, slope: int) -> Sums:
    """slope * sum_n u_n of every window, (groups, positions * images) int32: channels first, then taps."""
    from workloads import compiled_maps

    ramps = np.zeros((plan.shape.groups, plan.positions), np.int32)
    windows = np.empty((len(plan.taps), plan.positions), np.int32)
    for group in range(plan.shape.groups) if slope else ():
        summed = np.full(plan.size, plan.channels * _pad_value(plan.shape), np.int32)
        inside = np.empty(lines[0].size, np.int32)
        own = lines[group * plan.channels :][: plan.channels]
        compiled_maps.channel_sums(own.reshape(plan.channels, -1), inside)
        summed[plan.inside] = inside.reshape(lines.shape[1:])
        compiled_maps.gather(summed[None], plan.taps, plan.shape.stride, plan.out, windows)
        ramps[group] = slope * windows.sum(axis=0, dtype=np.int32)
    return ramps


def _pad_value(shape: Conv) -> int:
    """The code u of taps outside the map."""
    return 0 if shape.pad_code is None else int(unsigned(shape.pad_code, shape.act_bits))


def _whole(count: int, unit: int) -> int:
    return ceil_div(count, unit) * unit


def _filled(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Values at the start of zeros of a larger shape."""
    filled = np.zeros(shape, values.dtype)
    filled[tuple(slice(size) for size in values.shape)] = values
    return filled
