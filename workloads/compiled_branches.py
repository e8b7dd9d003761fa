"""Branch sums as machine code: rows of bytes whose neighbours are positions, so that no sum runs across a vector.

A byte holds eight channels of one plane at one position; the processor counts the bits of 16 to 64 such bytes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.extending import intrinsic

from workloads.encoding import Bits, Ints, Words
from workloads.layers import ceil_div

Sums = npt.NDArray[np.int32]

ROWS = 8
"""Rows of one pass over the counters; callers fill up with rows of zeros, which differ nowhere."""

LANES = 64
"""Lanes come in multiples of this, so that no loop has a remainder."""

FLUSH = 24
"""Rows that a counter of 8 bits holds: 24 * 8 < 256."""

MOST_ROWS = 8184
"""Rows that a counter of 16 bits holds, a multiple of FLUSH."""

CACHE_BYTES = 2**18
"""Rows of one pass over all scalars: they stay in the second-level cache."""


def _byte_operation(code: Callable[[Any, Any, Any], Any]) -> Any:
    """An operation of two bytes that gives a byte; numba's own would give a word of 64 bits, and a vector holds 32 bytes."""

    def typed(_context: Any, _left: Any, _right: Any) -> Any:
        return types.uint8(types.uint8, types.uint8), lambda _c, builder, _s, values: code(builder, *values)

    return intrinsic(typed)


_differing = _byte_operation(lambda builder, left, right: builder.ctpop(builder.xor(left, right)))
_plus = _byte_operation(lambda builder, left, right: builder.add(left, right))


@njit(cache=True)
def branch_sums(lanes: Bits, scalars: Bits, shifts: Ints, lane_start: Sums, scalar_start: Sums, sums: Sums) -> None:
    """sums[s, l] = scalar_start[s] + lane_start[l] - 2 sum_ab 2^shifts[a, b] sum_r popcount(lanes[a, r, l] xor scalars[b, r, s]).

    lanes: (planes, rows, lanes), scalars: (planes, rows, at least len(sums)); rows a multiple of ROWS, lanes of LANES.
    """
    rows = lanes.shape[1]
    width = max(LANES, CACHE_BYTES // rows // LANES * LANES)
    bytes_, halves = np.empty(min(width, lanes.shape[2]), np.uint8), np.empty(min(width, lanes.shape[2]), np.uint16)
    for start in range(0, lanes.shape[2], width):
        stop = min(start + width, lanes.shape[2])
        own, counts, wider = lane_start[start:stop], bytes_[: stop - start], halves[: stop - start]
        for scalar in range(sums.shape[0]):
            target, offset = sums[scalar, start:stop], scalar_start[scalar]
            for lane in range(target.shape[0]):
                target[lane] = own[lane] + offset
            for low in range(lanes.shape[0]):
                for high in range(scalars.shape[0]):
                    shift = np.int32(shifts[low, high] + 1)
                    for first in range(0, rows, MOST_ROWS):
                        last = min(first + MOST_ROWS, rows)
                        part = lanes[low, first:last, start:stop]
                        _count(part, scalars[high, first:last, scalar], counts, wider)
                        for lane in range(target.shape[0]):
                            target[lane] -= np.int32(wider[lane]) << shift


@njit(cache=True)
def _count(lanes: Bits, scalars: Bits, counts: Bits, wider: npt.NDArray[np.uint16]) -> None:
    """wider[l] = sum_r popcount(lanes[r, l] xor scalars[r])."""
    wider[:] = 0
    for first in range(0, lanes.shape[0], FLUSH):
        _count_eight(lanes, scalars, first, True, counts)
        for row in range(first + ROWS, min(first + FLUSH, lanes.shape[0]), ROWS):
            _count_eight(lanes, scalars, row, False, counts)
        for lane in range(lanes.shape[1]):
            wider[lane] += np.uint16(counts[lane])


@njit(cache=True)
def _count_eight(lanes: Bits, scalars: Bits, row: int, fresh: bool, counts: Bits) -> None:
    """counts[l] (0 if fresh) += the sum of eight rows; eight a pass spare loads of the counters."""
    one, two, three, four = scalars[row], scalars[row + 1], scalars[row + 2], scalars[row + 3]
    five, six, seven, eight = scalars[row + 4], scalars[row + 5], scalars[row + 6], scalars[row + 7]
    keep = np.uint8(0) if fresh else np.uint8(255)
    for lane in range(lanes.shape[1]):
        left = _plus(
            _plus(_differing(lanes[row, lane], one), _differing(lanes[row + 1, lane], two)),
            _plus(_differing(lanes[row + 2, lane], three), _differing(lanes[row + 3, lane], four)),
        )
        right = _plus(
            _plus(_differing(lanes[row + 4, lane], five), _differing(lanes[row + 5, lane], six)),
            _plus(_differing(lanes[row + 6, lane], seven), _differing(lanes[row + 7, lane], eight)),
        )
        counts[lane] = _plus(counts[lane] & keep, _plus(left, right))


def sums_of_words(left: Words, right: Words) -> Sums:
    """(groups, rows, columns) of sum_mk 2^(m+k) popcount(left_m xor right_k), arguments as of `kernels.branch_sums`."""
    shifts = np.add.outer(np.arange(len(right)), np.arange(len(left)))
    lanes, scalars, (_, _, groups, rows) = _bytes(right), _bytes(left), left.shape
    sums = np.empty((groups, rows, lanes.shape[3]), np.int32)
    nothing = np.zeros(max(sums.shape), np.int32)
    for group in range(groups):
        branch_sums(lanes[:, group], scalars[:, group], shifts, nothing, nothing, sums[group])
    return sums[:, :, : right.shape[3]] // -2


def _bytes(words: Words) -> Bits:
    """(planes, words, groups, n) words to (planes, groups, rows of bytes, n), filled up to whole ROWS and LANES."""
    planes, count, groups, size = words.shape
    each = words.dtype.itemsize
    rows, lanes = ceil_div(count * each, ROWS) * ROWS, ceil_div(size, LANES) * LANES
    split = np.ascontiguousarray(words).view(np.uint8).reshape(planes, count, groups, size, each)
    filled = np.zeros((planes, groups, rows, lanes), np.uint8)
    filled[:, :, : count * each, :size] = split.transpose(0, 2, 1, 4, 3).reshape(planes, groups, count * each, size)
    return filled
