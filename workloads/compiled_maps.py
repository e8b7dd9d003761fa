"""Maps, windows and thresholds as machine code: loops over neighbouring positions, which numba turns into vector instructions.

A map is (channels, height, width * images) uint8 of unsigned codes, its last axis the `lane` axis of every loop below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from workloads.encoding import Bits, Ints

Integers32 = npt.NDArray[np.int32]
Words32 = npt.NDArray[np.uint32]


@njit(cache=True)
def pack_bytes(source: Bits, groups: int, top: int, left: int, planes: npt.NDArray[np.uint8]) -> None:
    """Bit i of planes[m, group * blocks + b, y, x] = bit m of channel 8 b + i of the group; the frame is left as it is.

    planes: (act_bits, groups * ceil(channels / groups / 8), padded height, padded width * images), its inside zero.
    """
    channels, blocks = source.shape[0] // groups, planes.shape[1] // groups
    for block in range(planes.shape[1]):
        first = block // blocks * channels + block % blocks * 8
        last = min(first + 8, (block // blocks + 1) * channels)
        for plane in range(planes.shape[0]):
            for y in range(source.shape[1]):
                written = planes[plane, block, top + y, left : left + source.shape[2]]
                if last - first == 8:
                    _pack_eight(source[first:last, y], np.uint8(1 << plane), written)
                else:
                    for channel in range(first, last):
                        _pack_one(source[channel, y], np.uint8(1 << plane), np.uint8(1 << (channel - first)), written)


@njit(cache=True)
def _pack_one(read: Bits, mask: np.uint8, value: np.uint8, written: Bits) -> None:
    for lane in range(written.shape[0]):
        written[lane] |= value if read[lane] & mask else np.uint8(0)


@njit(cache=True)
def _pack_eight(read: Bits, mask: np.uint8, written: Bits) -> None:
    nothing = np.uint8(0)
    for lane in range(written.shape[0]):
        low = (
            (np.uint8(1) if read[0, lane] & mask else nothing)
            | (np.uint8(2) if read[1, lane] & mask else nothing)
            | (np.uint8(4) if read[2, lane] & mask else nothing)
            | (np.uint8(8) if read[3, lane] & mask else nothing)
        )
        high = (
            (np.uint8(16) if read[4, lane] & mask else nothing)
            | (np.uint8(32) if read[5, lane] & mask else nothing)
            | (np.uint8(64) if read[6, lane] & mask else nothing)
            | (np.uint8(128) if read[7, lane] & mask else nothing)
        )
        written[lane] = low | high


@njit(cache=True)
def pack_words(source: Bits, groups: int, top: int, left: int, bits: int, words: Words32) -> None:
    """Element i of words[group * blocks + b, y, x], `bits` wide, = channel (32 / bits) b + i of the group, as `pack_bytes`."""
    channels, blocks, each = source.shape[0] // groups, words.shape[0] // groups, 32 // bits
    for channel in range(source.shape[0]):
        group, own = channel // channels, channel % channels
        shift, block = np.uint32(bits * (own % each)), group * blocks + own // each
        for y in range(source.shape[1]):
            read, written = source[channel, y], words[block, top + y, left : left + source.shape[2]]
            for x in range(source.shape[2]):
                written[x] |= np.uint32(read[x]) << shift


@njit(cache=True)
def gather(
    rows: npt.NDArray[Any], taps: Ints, stride: tuple[int, int], shape: tuple[int, int, int], windows: npt.NDArray[Any]
) -> None:
    """windows[t * blocks + b, (y, x, image)] = rows[b, y * stride + taps[t, 0], x * stride + taps[t, 1], image].

    rows: (blocks, height, width * images); shape: (out_height, out_width, images); windows: (taps * blocks, at least
    out_height * out_width * images).
    """
    blocks, (height, width, images) = rows.shape[0], shape
    run = width * images
    for tap in range(taps.shape[0]):
        for block in range(blocks):
            target = windows[tap * blocks + block]
            for y in range(height):
                line = rows[block, y * stride[0] + taps[tap, 0], taps[tap, 1] * images :]
                written = target[y * run : (y + 1) * run]
                if stride[1] == 1:
                    for lane in range(run):
                        written[lane] = line[lane]
                else:
                    for x in range(width):
                        for image in range(images):
                            written[x * images + image] = line[x * stride[1] * images + image]


@njit(cache=True)
def channel_sums(source: Bits, sums: Integers32) -> None:
    """sums[p] = sum over channels of source (channels, height * width * images)."""
    sums[:] = 0
    for channel in range(0, source.shape[0] - 3, 4):
        one, two, three, four = source[channel], source[channel + 1], source[channel + 2], source[channel + 3]
        for lane in range(sums.shape[0]):
            sums[lane] += np.int32(one[lane]) + np.int32(two[lane]) + np.int32(three[lane]) + np.int32(four[lane])
    for channel in range(source.shape[0] // 4 * 4, source.shape[0]):
        for lane in range(sums.shape[0]):
            sums[lane] += np.int32(source[channel, lane])


@njit(cache=True)
def add_columns(sums: npt.NDArray[Any], border: Ints, correction: Ints) -> None:
    """sums[:, border[i], :] += correction[:, i]; sums: (channels, positions, images)."""
    images = sums.shape[2]
    for channel in range(sums.shape[0]):
        own, added = sums[channel].ravel(), correction[channel]
        if images == 1:
            for index in range(border.shape[0]):
                own[border[index]] += added[index]
        else:
            for index in range(border.shape[0]):
                own[border[index] * images : (border[index] + 1) * images] += added[index]


FEW_LEVELS = 7
"""Levels up to which comparing a sum with all of them is fastest (measured)."""

PARTS = 8
"""Equal parts of the range of a channel's sums, as many times the levels."""

LONG_ROW = 512
"""Positions of a channel from which a table of its parts is worth making."""

FRACTION_BITS = 24
"""Bits of an entry below its code."""


@njit(cache=True)
def emit(sums: Integers32, sign: Integers32, values: Integers32, codes: Bits) -> None:
    """codes[i, p] = number of j with sign[i] * sums[i, p] >= values[i, j]; arguments as of `kernels.emit`.

    Up to FEW_LEVELS all are compared. Many levels are searched, or found by a table where a channel has a long row.
    """
    turned = np.empty(sums.shape[1], np.int32)
    table = np.empty(PARTS * values.shape[1], np.uint32)
    for row in range(sums.shape[0]):
        turn, read, levels, written = sign[row], sums[row], values[row], codes[row]
        for lane in range(turned.shape[0]):
            turned[lane] = turn * read[lane]
        if levels.shape[0] <= FEW_LEVELS:
            _count(turned, levels, written)
        elif turned.shape[0] < LONG_ROW or not _look_up(turned, levels, table, written):
            _search(turned, levels, written)


@njit(cache=True)
def _count(sums: Integers32, levels: Integers32, codes: Bits) -> None:
    codes[:] = 0
    for bound in levels:
        for lane in range(sums.shape[0]):
            codes[lane] += np.uint8(1) if sums[lane] >= bound else np.uint8(0)


@njit(cache=True)
def _search(sums: Integers32, levels: Integers32, codes: Bits) -> None:
    """Binary search among 2^bits - 1 levels."""
    half = np.uint32((levels.shape[0] + 1) // 2)
    for lane in range(sums.shape[0]):
        value, code, step = sums[lane], np.uint32(0), half
        while step:
            code += step if value >= levels[code + step - np.uint32(1)] else np.uint32(0)
            step >>= np.uint32(1)
        codes[lane] = code


@njit(cache=True)
def _look_up(sums: Integers32, levels: Integers32, table: Words32, codes: Bits) -> bool:
    """Codes by one table entry each; False, with nothing written, where two levels lie inside one part.

    A part is 2^shift sums. Its entry is (levels at or below its start) 2^24, plus 2^24 - d if one more lies d further on, so
    that adding how far a sum lies in its part carries into the code exactly where it reaches that level.
    """
    low, span, shift = sums.min(), np.int64(sums.max()) - sums.min(), 0
    while span >> shift >= table.shape[0]:
        shift += 1
    if shift > FRACTION_BITS or not _tabulate(levels, np.int64(low), span, shift, table):
        return False
    mask, down, code_bits = np.uint32((1 << shift) - 1), np.uint32(shift), np.uint32(FRACTION_BITS)
    for lane in range(sums.shape[0]):
        place = np.uint32(sums[lane] - low)
        codes[lane] = np.uint32(table[place >> down] + (place & mask)) >> code_bits
    return True


@njit(cache=True)
def _tabulate(levels: Integers32, low: np.int64, span: int, shift: int, table: Words32) -> bool:
    """Fill the table of `_look_up`; False where two levels lie inside one part."""
    one, mask, part, below = 1 << FRACTION_BITS, (1 << shift) - 1, 0, 0
    for level in levels:
        place = level - low
        if place > span:
            break
        if place > 0:
            holds, inside = place >> shift, place & mask
            if holds < part:
                return False
            table[part:holds] = below * one
            part = holds
            if inside:
                table[part] = below * one + one - inside
                part += 1
        below += 1
    table[part : (span >> shift) + 1] = below * one
    return True
