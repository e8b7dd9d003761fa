"""The arithmetic of the executor over plain arrays: xnor-popcount sums, windows, thresholds, pools.

A map is (channels, height, width, images) uint8 of unsigned codes u. Words are little-endian unsigned integers of the
machine's width; every other array is integer too: no float passes through this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads import compiled
from workloads.encoding import Bits, Ints, Words, bit_planes, pack
from workloads.vector_layers import Taps

Integers = npt.NDArray[np.signedinteger[Any]]
Pads = tuple[int, int, int, int]

# Elements of a tile. Measured with ResNet-18 at M = K = 1 and 2 (uint64, EPYC, 1 MiB L2): 4096 costs 1.6 times as much,
# 8192 1.3 times, 32768 and more are equal within 5 %; 32768 words and their counters are 400 KiB.
TILE = 32768
# Columns of a tile, one inner loop of numpy: 2048 costs 1.1 times as much, longer ones gain nothing.
ROW = 4096

# Levels up to which counting beats searching: by 5 at 2 bits, 2.6 at 4, 1.9 at 6 (measured).
FEW_LEVELS = 63


@dataclass(frozen=True, slots=True)
class BranchSums:
    """sums: (groups, rows, columns) of sum_mk 2^(m+k) popcount(xor); xnor_words, combines: how often each was done."""

    sums: Integers
    xnor_words: int
    combines: int
    machine_code: bool = False


def branch_sums(left: Words, right: Words, dtype: npt.DTypeLike) -> BranchSums:
    """All M x K branches of every pair of vectors: sum_{m,k} 2^(m+k) popcount(left_m xor right_k).

    left: (planes, words, groups, rows), right: (planes, words, groups, columns) of one word dtype; either may hold the
    weights. dtype: int32 or int64, wide enough for twice the largest sum (the caller proves it).
    """
    if left.shape[3] > right.shape[3]:
        swapped = branch_sums(right, left, dtype)
        return replace(swapped, sums=swapped.sums.transpose(0, 2, 1))
    sums = np.zeros((left.shape[2], left.shape[3], right.shape[3]), dtype=dtype)
    combines = sums.size * left.shape[0] * right.shape[0]
    compiled.METER.count(combines * left.shape[1])
    if compiled.METER.passed() and _fits_32_bits(left, right):
        from workloads.compiled_branches import sums_of_words

        found = sums_of_words(left, right).astype(dtype, copy=False)
        return BranchSums(found, combines * left.shape[1], combines, machine_code=True)
    xnor_words = combines = 0
    for groups, rows, columns in _tiles(*sums.shape):
        tile = sums[groups, rows, columns]
        scratch = _scratch(tile.shape, left.shape[1], left.dtype)
        for low, high in product(range(left.shape[0]), range(right.shape[0])):
            xnor_words += _popcounts(left[low, :, groups, rows, None], right[high, :, groups, None, columns], scratch)
            tile += np.left_shift(scratch.wide, low + high, dtype=dtype, casting="unsafe")
            combines += tile.size
    return BranchSums(sums, xnor_words, combines)


def _fits_32_bits(left: Words, right: Words) -> bool:
    """Whether twice sum_{m,k} 2^(m+k) * bits of a vector stays below 2^31."""
    bits = left.shape[1] * left.dtype.itemsize * 8
    return bool(bits << (left.shape[0] + right.shape[0]) < 2**30)


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Buffers of one tile: mixed words, their counts, counts of a few words (uint8), counts of all words."""

    mixed: Words
    counted: Bits
    narrow: Bits
    wide: npt.NDArray[np.unsignedinteger[Any]]


def _scratch(shape: tuple[int, ...], words: int, dtype: np.dtype[Any]) -> _Scratch:
    """Counts of all words reach words * width: uint16 while that fits, else uint32 (2^26 words of 64 bits)."""
    wide = np.uint16 if words * dtype.itemsize * 8 < 2**16 else np.uint32
    counted, narrow = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    return _Scratch(np.empty(shape, dtype), counted, narrow, np.empty(shape, wide))


def _popcounts(left: Words, right: Words, scratch: _Scratch) -> int:
    """scratch.wide = sum over words of popcount(left xor right), axis 0 being words; returns the words it touched.

    255 // width words of counts fit a uint8, whose additions are three times as fast as those of a uint16 (measured).
    """
    touched, few = 0, 255 // (left.dtype.itemsize * 8)
    scratch.wide.fill(0)
    for start in range(0, len(left), few):
        scratch.narrow.fill(0)
        for one, other in zip(left[start : start + few], right[start : start + few], strict=True):
            np.bitwise_xor(one, other, out=scratch.mixed)
            np.bitwise_count(scratch.mixed, out=scratch.counted)
            np.add(scratch.narrow, scratch.counted, out=scratch.narrow)
            touched += scratch.mixed.size
        np.add(scratch.wide, scratch.narrow, out=scratch.wide)
    return touched


def _tiles(groups: int, rows: int, columns: int) -> Iterator[tuple[slice, slice, slice]]:
    """Slices that cut (groups, rows, columns) into tiles of about TILE elements, columns last and long."""
    wide = min(columns, ROW)
    tall = max(1, min(rows, TILE // wide))
    deep = max(1, TILE // (wide * tall))
    for group, row, column in product(range(0, groups, deep), range(0, rows, tall), range(0, columns, wide)):
        yield slice(group, group + deep), slice(row, row + tall), slice(column, column + wide)


def pack_axis(codes: Bits, bits: int, width: int) -> Words:
    """(groups, n, ...) uint8 unsigned codes to (bits, ceil(n / width), groups, ...) words along axis 1."""
    last = np.ascontiguousarray(np.moveaxis(codes, 1, -1))
    return np.moveaxis(pack(bit_planes(last, bits), width), -1, 1)


def windows(
    maps: npt.NDArray[Any], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> npt.NDArray[Any]:
    """View of (..., height, width, images) as (..., out_height, out_width, images, kernel_h, kernel_w)."""
    span = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    view = np.lib.stride_tricks.sliding_window_view(maps, span, axis=(-3, -2))
    return view[..., :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def pad(maps: npt.NDArray[Any], pads: Pads, value: int) -> npt.NDArray[Any]:
    """(..., height, width, images) with (top, left, bottom, right) rows and columns of `value` around every map."""
    if not any(pads):
        return maps
    top, left, bottom, right = pads
    return np.pad(maps, [(0, 0)] * (maps.ndim - 3) + [(top, bottom), (left, right), (0, 0)], constant_values=value)


def add_columns(sums: Integers, border: Ints, correction: Ints) -> None:
    """sums[:, border[i]] += correction[:, i], in place; sums: (channels, positions, images). Machine code as `emit`."""
    if not border.size:
        return
    if compiled.METER.passed() and sums.flags.c_contiguous:
        from workloads import compiled_maps

        compiled_maps.add_columns(sums, border, correction)
    else:
        sums[:, border] += correction[:, :, None].astype(sums.dtype)


def emit(sums: Integers, sign: Integers, values: Integers) -> Bits:
    """Unsigned codes u = number of j with sign[i] * sums[i] >= values[i, j].

    sums: (channels, n); sign: (channels,) of +-1; values: (channels, 2^M - 1) ascending; all of one dtype. Returns
    (channels, n) uint8. Machine code where it has been fetched.
    """
    if sums.dtype == np.int32 and compiled.METER.passed():
        from workloads import compiled_maps

        codes: Bits = np.empty(sums.shape, np.uint8)
        compiled_maps.emit(np.ascontiguousarray(sums), sign, np.ascontiguousarray(values), codes)
        return codes
    signed = sums if (sign == 1).all() else sums * sign[:, None]
    return _counted(signed, values) if values.shape[1] <= FEW_LEVELS else _searched(signed, values)


def _counted(signed: Integers, values: Integers) -> Bits:
    """One comparison a level, all of them in order: numpy's fastest way while they are few."""
    codes = (signed >= values[:, 0, None]).view(np.uint8)
    for level in range(1, values.shape[1]):
        codes += (signed >= values[:, level, None]).view(np.uint8)
    return codes


def _searched(signed: Integers, values: Integers) -> Bits:
    """M comparisons of a binary search, which keeps u levels below and halves the 2^bit - 1 that remain above."""
    steps = [1 << bit for bit in reversed(range(int(values.shape[1]).bit_length()))]
    codes = np.multiply(signed >= values[:, steps[0] - 1, None], steps[0], dtype=np.uint8)
    for step in steps[1:]:
        level = np.take_along_axis(values, codes.astype(np.intp) + (step - 1), axis=1)
        codes += np.multiply(signed >= level, step, dtype=np.uint8)
    return codes


def code_sums(words: Words, length: int) -> Ints:
    """sum_i c_i of vectors of `length` codes, packed as (planes, words, ...): sum_m 2^m (2 popcount - length), (...)."""
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    weights = 1 << np.arange(len(words), dtype=np.int64)
    return np.asarray(np.tensordot(weights, 2 * ones - length, axes=1))


def to_space(maps: npt.NDArray[Any], block: int) -> npt.NDArray[Any]:
    """(block^2 channels, height, width, images) to (channels, height * block, width * block, images), ONNX mode DCR."""
    channels, height, width, images = maps.shape
    split = maps.reshape(block, block, channels // block**2, height, width, images)
    return np.ascontiguousarray(split.transpose(2, 3, 0, 4, 1, 5)).reshape(-1, height * block, width * block, images)


def resample(maps: Bits, rows: Sequence[Taps], cols: Sequence[Taps]) -> Ints:
    """Weighted sums of unsigned codes (channels, height, width, images), one output a tap list along each axis, as int64."""
    wide = maps.astype(np.int64)
    tall = np.stack([sum(weight * wide[:, at] for at, weight in taps) for taps in rows], axis=1)
    return np.stack([sum(weight * tall[:, :, at] for at, weight in taps) for taps in cols], axis=2)


def largest(maps: Bits, kernel: tuple[int, int], stride: tuple[int, int]) -> Bits:
    """Largest code of each window of (channels, height, width, images) uint8; the order of u is the order of codes."""
    view = windows(maps, kernel, stride)
    result = view[..., 0, 0].copy()
    for down, right in product(range(kernel[0]), range(kernel[1])):
        np.maximum(result, view[..., down, right], out=result)
    return result


def total(maps: Bits, kernel: tuple[int, int], stride: tuple[int, int]) -> Ints:
    """Sum of unsigned codes of each window of (channels, height, width, images) uint8, as int64."""
    view = windows(maps, kernel, stride)
    result = np.zeros(view.shape[:-2], dtype=np.int64)
    for down, right in product(range(kernel[0]), range(kernel[1])):
        result += view[..., down, right]
    return result
