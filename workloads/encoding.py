"""Odd codes, their {-1,+1} planes and the words that planes are packed into: arXiv:1905.13389, exact and typed.

A code c of M bits is an odd integer, c = sum_m 2^m (2 b_m - 1) over plane bits b_m in {0,1}, m = 0..M-1. The unsigned
code u = (c + 2^M - 1) / 2 has those same bits, so packing a plane is packing one bit of u. Words hold planes bit by
bit, bit i of word j = element width*j + i, unused bits 0, so that with x and y packed alike and n their true length

    sum_i x_i y_i = n - 2 * popcount(x xor y)

needs no correction for the tail: unused bits are equal in both and never reach the popcount.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Codes, EncodedNetwork, Planes
from workloads.layers import Contraction, Conv, MatMul, ceil_div, check_bits, max_code

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.unsignedinteger[Any]]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WORD_TYPES: dict[int, np.dtype[Any]] = {width: np.dtype(f"<u{width // 8}") for width in (8, 16, 32, 64)}
"""Little-endian word type of each width that the software packs."""


def word_type(width: int) -> np.dtype[Any]:
    """The dtype of one word. Raises ValueError for a width that no dtype has."""
    if width not in WORD_TYPES:
        raise ValueError(f"packing: width must be one of {sorted(WORD_TYPES)}, not {width!r}")
    return WORD_TYPES[width]


def unsigned(codes: npt.ArrayLike, bits: int) -> Bits:
    """u = (c + 2^M - 1) / 2 of odd codes c (...,) as uint8; raises ValueError naming the first that is no code."""
    values, bound = np.asarray(codes), max_code(bits)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"codes: the dtype must be an integer one, not {values.dtype}")
    bad = (values % 2 == 0) | (values < -bound) | (values > bound)
    if bad.any():
        raise ValueError(f"codes: every value must be an odd integer in -{bound}..{bound}, not {values[bad][0]}")
    return ((values.astype(np.int64) + bound) // 2).astype(np.uint8)


def signed(unsigned_codes: npt.ArrayLike, bits: int) -> Ints:
    """c = 2u - (2^M - 1) of unsigned codes u in 0..2^M-1, any shape, as int64."""
    return 2 * np.asarray(unsigned_codes, dtype=np.int64) - max_code(bits)


def bit_planes(unsigned_codes: Bits, bits: int) -> Bits:
    """(...,) uint8 unsigned codes to (bits, ...) uint8 of 0/1, plane 0 = least significant bit."""
    return np.stack([(unsigned_codes >> plane) & 1 for plane in range(bits)]).astype(np.uint8, copy=False)


def planes(codes: npt.ArrayLike, bits: int) -> Bits:
    """Odd codes (...,) to planes (bits, ...) uint8, least significant plane first, 1 = +1 and 0 = -1.

    Raises ValueError naming the first value that is even or outside -(2^bits-1)..(2^bits-1).
    """
    return bit_planes(unsigned(codes, bits), bits)


def codes(planes: Bits, *, ternary: bool = False) -> Ints:
    """Planes (bits, ...) of 0/1, least significant first, to odd codes (...,) int64: c = sum_m 2^m (2 b_m - 1).

    Both planes of `ternary` codes count once.
    """
    check_bits("planes", bits=planes.shape[0])
    if not np.isin(planes, (0, 1)).all():
        raise ValueError(f"planes: every element must be 0 or 1, not {planes[~np.isin(planes, (0, 1))][0]}")
    weights = 1 << (np.zeros if ternary else np.arange)(planes.shape[0], dtype=np.int64)
    return np.asarray(np.tensordot(weights, 2 * planes.astype(np.int64) - 1, axes=1), dtype=np.int64)


def ternary_planes(codes: npt.ArrayLike) -> Bits:
    """Codes -2, 0, +2 (...,) to two planes (2, ...) uint8 of equal weight: (-1, -1), (+1, -1), (+1, +1)."""
    values = np.asarray(codes)
    bad = ~np.isin(values, (-2, 0, 2))
    if bad.any():
        raise ValueError(f"ternary codes: every value must be -2, 0 or 2, not {values[bad][0]}")
    return np.stack([values >= 0, values > 0]).astype(np.uint8)


def pack(planes: npt.ArrayLike, width: int = 64) -> Words:
    """(..., n) of 0/1 to (..., ceil(n / width)) words: bit i of word j = element width*j + i, unused bits 0."""
    dtype, array = word_type(width), np.asarray(planes)
    words = ceil_div(array.shape[-1], width)
    packed = np.packbits(array, axis=-1, bitorder="little")
    filled = np.zeros((*array.shape[:-1], words * dtype.itemsize), dtype=np.uint8)
    filled[..., : packed.shape[-1]] = packed
    return filled.view(dtype)


def unpack(words: Words, length: int) -> Bits:
    """(..., words) of any word dtype back to (..., length) uint8 of 0/1; ValueError if length needs other words."""
    width = words.dtype.itemsize * 8
    needed = ceil_div(length, width)
    if words.shape[-1] != needed:
        raise ValueError(f"packing: {length} elements must take {needed} words of {width} bits, not {words.shape[-1]}")
    raw = np.ascontiguousarray(words.astype(word_type(width), copy=False)).view(np.uint8)
    return np.unpackbits(raw, axis=-1, count=length, bitorder="little")


def encode_weights(codes: npt.ArrayLike, bits: int, *, ternary: bool = False) -> Planes:
    """Weight codes (out_channels, N) to the (bits, out_channels, ceil(N / 64)) uint64 planes of `Parameters`."""
    return pack(ternary_planes(codes) if ternary else planes(codes, bits)).astype(np.uint64, copy=False)


def decode_weights(words: Planes, length: int, *, ternary: bool = False) -> Ints:
    """Weight planes (bits, out_channels, ceil(N / 64)) uint64 to codes (out_channels, N) int64, N = length."""
    return codes(unpack(words, length), ternary=ternary)


def quantize(values: npt.ArrayLike, codes: Codes) -> Ints:
    """Real values (...,) to odd codes (...,) int64: the nearest c of value = step * (c + offset), clipped at both ends.

    With u = (c + 2^M - 1) / 2 and z = (2^M - 1 - offset) / 2 the value is 2 step (u - z), and ties go as follows:
      odd offset:   z is an integer, u = clip(round_half_even(value / (2 step)) + z), ONNX QuantizeLinear to the bit
      even offset:  z is a half-integer, u = clip(round_half_even(value / (2 step) + z)), so 0 becomes +1 at offset 0
      even offset, bits = 1:  c = +1 where value >= step * offset, else -1, so again 0 becomes +1 at offset 0
    float32 values are divided in float32, as ONNX does, all others in float64. Infinities clip; NaN raises ValueError.
    """
    return signed(quantize_unsigned(values, codes), codes.bits)


def quantize_unsigned(values: npt.ArrayLike, codes: Codes) -> Bits:
    """As `quantize`, but the unsigned codes (...,) uint8: what the executor starts from."""
    array = np.asarray(values)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"quantize: values must be real numbers, not {array.dtype}")
    single = array.dtype == np.float32 and 1e-30 < codes.step < 1e30
    array = array.astype(np.float32 if single else np.float64, copy=False)
    if np.isnan(array).any():
        raise ValueError("quantize: every value must be a number, not NaN")
    with np.errstate(over="ignore", under="ignore"):
        return _nearest(array / array.dtype.type(2 * codes.step), codes)


def _nearest(scaled: npt.NDArray[np.floating[Any]], codes: Codes) -> Bits:
    """Unsigned codes of values already divided by 2 * step, in the dtype of that division."""
    top, one = max_code(codes.bits), scaled.dtype.type
    shift = top - codes.offset
    if shift % 2 == 0:
        level = np.rint(scaled) + one(shift // 2)
    elif codes.bits == 1:
        level = scaled - one(codes.offset / 2) >= 0
    else:
        level = np.rint(scaled + one(shift / 2))
    result: Bits = np.clip(level, 0, codes.highest).astype(np.uint8)
    return result


def host_codes(network: EncodedNetwork, inputs: npt.NDArray[Any]) -> Bits:
    """Unsigned codes of real inputs (N, channels, height, width), as the host makes them. Raises ValueError for NaN."""
    levels = network.input_levels
    if levels is None:
        return quantize_unsigned(inputs, network.input_codes)
    if np.isnan(inputs).any():
        raise ValueError("inputs: every value must be a number, not NaN")
    with np.errstate(over="ignore"):
        rows = np.moveaxis(inputs.astype(np.float32, copy=False).reshape(len(inputs), len(levels.sign), -1), 1, 0)
    found = np.empty(rows.shape, np.uint8)
    for place, (sign, values, row) in enumerate(zip(levels.sign.tolist(), levels.values, rows, strict=True)):
        found[place] = np.searchsorted(values, row if sign > 0 else -row, side="right")
    return np.ascontiguousarray(np.moveaxis(found, 0, 1)).reshape(inputs.shape)


def paper_codes(bits: int) -> Codes:
    """The paper's encoding of [-1, 1]: step 1 / (2^M - 1), offset 0."""
    return Codes(bits=bits, step=1 / max_code(bits))


def paper_quantize(values: npt.ArrayLike, bits: int) -> Floats:
    """Eq. 15, q(x) = 2 (<(2^M - 1)(x + 1) / 2> / (2^M - 1) - 1/2), x clipped to [-1, 1]; ties as in `quantize`."""
    return quantize(values, paper_codes(bits)) / max_code(bits)


def reduction_taps(layer: Contraction) -> tuple[int, int]:
    """(taps, channels per group): a Conv reduces kernel_h * kernel_w taps, a Dense the height * width of its map."""
    if isinstance(layer, MatMul):
        return 1, layer.reduction
    if isinstance(layer, Conv):
        return prod(layer.kernel), layer.in_shape[0] // layer.groups
    return prod(layer.in_shape[1:]), layer.in_shape[0]


def packed_windows(layer: Contraction, width: int) -> bool:
    """Whether windows are packed densely, ceil(N / width) words, instead of tap by tap.

    The machine keeps maps channel-last and reads whole words, so every tap of a kernel starts a new word. A host that
    packs windows itself may close the gaps, unless taps must be masked one by one or channel groups read windows of their
    own; it does where that saves words.
    """
    if isinstance(layer, MatMul):
        return False
    taps, channels = reduction_taps(layer)
    masked = isinstance(layer, Conv) and any(layer.padding) and layer.pad_code is None
    grouped = isinstance(layer, Conv) and layer.groups > 1
    return (
        layer.from_host
        and not masked
        and not grouped
        and ceil_div(layer.reduction, width) < taps * ceil_div(channels, width)
    )


def words_per_window(layer: Contraction, width: int) -> int:
    """Words of one plane of one reduction: taps * ceil(channels per group / width), or ceil(N / width) if packed."""
    if packed_windows(layer, width):
        return ceil_div(layer.reduction, width)
    taps, channels = reduction_taps(layer)
    return taps * ceil_div(channels, width)
