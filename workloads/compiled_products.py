"""Integer products as machine code: 16 positions by 4 output channels in registers, written for LLVM as a template.

Words of 32 bits hold four codes of 8 bits (or two of 16) of one position, and meet the same codes of one output channel:

    u8 x s8     sums of two in 16 bits, of which up to `block` are added before they become 32 bits
    s16 x s16   sums of two in 32 bits

x86 with AVX2 has one instruction for each (`pmaddubsw`, `pmaddwd`); elsewhere the same sums are spelt out. `pmaddubsw`
saturates, so the caller keeps block * 2 * max(u) * max(|s|) below 2^15: then no sum of 16 bits is ever rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from workloads.encoding import Ints

Words32 = npt.NDArray[np.uint32]
Sums = npt.NDArray[np.int32]

CHANNELS, VECTORS, LANES = 4, 2, 8
POSITIONS = VECTORS * LANES
"""CHANNELS x POSITIONS sums stay in registers: eight of sixteen; the rest hold operands."""

LARGEST_16 = 2**15 - 1

MANY = 8
"""Words of one block from which sums of 16 bits are worth the trip to memory and back (measured)."""

_8, _16, _32, _64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _HALVES, _LONGS = ir.VectorType(_8, 32), ir.VectorType(_16, 16), ir.VectorType(_32, 8)
_ONES = ir.Constant(_HALVES, [1] * 16)


def _pair_sums(builder: Any, left: Any, right: Any, fast: bool) -> Any:
    """Sums of neighbouring products: u8 x s8 to 16 bits, or s16 x s16 to 32 bits."""
    bytes_in = left.type == _BYTES
    result = _HALVES if bytes_in else _LONGS
    if fast:
        name = "llvm.x86.avx2.pmadd.ub.sw" if bytes_in else "llvm.x86.avx2.pmadd.wd"
        kind = ir.FunctionType(result, [left.type, right.type])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [left, right])
    products = []
    for first in (0, 1):
        chosen = ir.Constant(ir.VectorType(_32, result.count), list(range(first, 2 * result.count, 2)))
        one, other = (builder.shuffle_vector(operand, operand, chosen) for operand in (left, right))
        wider = builder.zext if bytes_in else builder.sext
        products.append(builder.mul(wider(one, result), builder.sext(other, result)))
    return builder.add(*products)


def _splat(builder: Any, word: Any) -> Any:
    """Eight copies of a word of 32 bits."""
    nothing = ir.Constant(_LONGS, ir.Undefined)
    first = builder.insert_element(nothing, word, ir.Constant(_32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_LONGS, [0] * LANES))


@dataclass(frozen=True, slots=True)
class _Bases:
    """Where a tile's operands and sums begin."""

    panel: Any
    weights: Any
    lane_start: Any
    scalar_start: Any
    sums: Any


class _Tile:
    """CHANNELS x POSITIONS sums while their code is written; they begin at lane_start + scalar_start and leave shifted left."""

    def __init__(self, builder: Any, bases: _Bases, stride: Any, shift: Any, fast: bool) -> None:
        self._builder, self._panel, self._weights, self._fast = builder, bases.panel, bases.weights, fast
        self._shift = _splat(builder, shift)
        self._targets, self._starts = [], []
        for channel in range(CHANNELS):
            row = builder.gep(bases.sums, [builder.mul(stride, _64(channel))])
            offset = _splat(builder, builder.load(builder.gep(bases.scalar_start, [_64(channel)])))
            for vector in range(VECTORS):
                lane = _64(LANES * vector)
                own = builder.load(self._vector(bases.lane_start, lane), align=4)
                self._targets.append(self._vector(row, lane))
                self._starts.append(builder.add(own, offset))

    def _vector(self, base: Any, offset: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(base, [offset]), _LONGS.as_pointer())

    def registers(self, kind: Any) -> list[Any]:
        """A variable for each vector of sums; LLVM keeps them in registers."""
        return [cgutils.alloca_once(self._builder, kind) for _ in self._targets]

    def clear(self, variables: list[Any], kind: Any) -> None:
        for variable in variables:
            self._builder.store(ir.Constant(kind, None), variable)

    def step(self, index: Any, depth: int, operand: Any, variables: list[Any]) -> None:
        """Add the products of `depth` words of each position and channel to variables; `operand`: how a word is read."""
        builder = self._builder
        words = [builder.add(index, _64(word)) for word in range(depth)]
        codes = [self._codes(word, operand) for word in words]
        for channel in range(CHANNELS):
            weights = [self._weight(word, channel, operand) for word in words]
            for vector in range(VECTORS):
                pairs = [
                    _pair_sums(builder, code[vector], weight, self._fast)
                    for code, weight in zip(codes, weights, strict=True)
                ]
                self._add(variables[channel * VECTORS + vector], reduce(builder.add, pairs))

    def _codes(self, word: Any, operand: Any) -> list[Any]:
        """One word of every position."""
        builder = self._builder
        place = builder.mul(word, _64(POSITIONS))
        places = [builder.add(place, _64(LANES * vector)) for vector in range(VECTORS)]
        return [builder.bitcast(builder.load(self._vector(self._panel, at), align=4), operand) for at in places]

    def _weight(self, word: Any, channel: int, operand: Any) -> Any:
        """One word of one channel, for every position."""
        builder = self._builder
        at = builder.add(builder.mul(word, _64(CHANNELS)), _64(channel))
        return builder.bitcast(_splat(builder, builder.load(builder.gep(self._weights, [at]))), operand)

    def _add(self, variable: Any, found: Any) -> None:
        builder, kind = self._builder, variable.type.pointee
        if found.type != kind:
            found = _pair_sums(builder, found, _ONES, self._fast)
        builder.store(builder.add(builder.load(variable), found), variable)

    def begin(self) -> None:
        """The starts to the places of the sums."""
        for start, target in zip(self._starts, self._targets, strict=True):
            self._builder.store(start, target, align=4)

    def write(self, variables: list[Any]) -> None:
        """Starts and sums of 32 bits to their places."""
        builder = self._builder
        for variable, start, target in zip(variables, self._starts, self._targets, strict=True):
            shifted = builder.shl(builder.load(variable), self._shift)
            builder.store(builder.add(start, shifted), target, align=4)

    def flush(self, variables: list[Any]) -> None:
        """Add neighbours of 16 bits to the sums of 32 bits in their places."""
        builder = self._builder
        for variable, target in zip(variables, self._targets, strict=True):
            found = builder.shl(_pair_sums(builder, builder.load(variable), _ONES, self._fast), self._shift)
            builder.store(builder.add(builder.load(target, align=4), found), target, align=4)


Fill = Callable[[Any, _Tile, Any, Any], None]
"""Writes the code of a tile: (builder, tile, steps, block)."""


def _direct(depth: int, operand: Any) -> Fill:
    """Products of `depth` words become sums of 32 bits at once."""

    def fill(builder: Any, tile: _Tile, steps: Any, _block: Any) -> None:
        variables = tile.registers(_LONGS)
        tile.clear(variables, _LONGS)
        with cgutils.for_range_slice(builder, _64(0), steps, _64(depth)) as (index, _count):
            tile.step(index, depth, operand, variables)
        tile.write(variables)

    return fill


def _blocks(builder: Any, tile: _Tile, steps: Any, block: Any) -> None:
    """Sums of 16 bits for `block` words, then into 32 bits."""
    variables = tile.registers(_HALVES)
    tile.begin()
    with cgutils.for_range_slice(builder, _64(0), steps, block) as (start, _count):
        tile.clear(variables, _HALVES)
        end = builder.add(start, block)
        stop = builder.select(builder.icmp_signed("<", end, steps), end, steps)
        with cgutils.for_range(builder, stop, start=start) as loop:
            tile.step(loop.index, 1, _BYTES, variables)
        tile.flush(variables)


def _template(fill: Fill, fast: bool) -> Any:
    """An intrinsic (panel, weights, offset, lane_start, offset, scalar_start, offset, sums, offset, stride, shift, steps, block)."""

    def typed(
        _context: Any, panel: Any, weights: Any, _weight: Any, lane_start: Any, _lane: Any, scalar_start: Any, _scalar: Any,
        sums: Any, _sum: Any, _stride: Any, _shift: Any, _steps: Any, _block: Any,
    ) -> Any:  # fmt: skip
        wide = types.int64
        signature = types.void(
            panel, weights, wide, lane_start, wide, scalar_start, wide, sums, wide, wide, types.int32, wide, wide
        )

        def code(context: Any, builder: Any, signed: Any, values: Any) -> Any:
            def base(index: int) -> Any:
                data = context.make_array(signed.args[index])(context, builder, values[index]).data
                return builder.bitcast(data, _32.as_pointer())

            places = [builder.gep(base(index), [values[index + 1]]) for index in (1, 3, 5, 7)]
            tile = _Tile(builder, _Bases(base(0), *places), values[9], values[10], fast)
            fill(builder, tile, values[11], values[12])
            return context.get_dummy_value()

        return signature, code

    return intrinsic(typed)


FAST = bool(binding.get_host_cpu_features().get("avx2", False))
_wide, _single, _double, _many = (
    _template(fill, FAST) for fill in (_direct(1, _HALVES), _direct(1, _BYTES), _direct(2, _BYTES), _blocks)
)


@njit(cache=True)
def product_sums(
    words: Words32, rows: Ints, columns: Ints, weights: Words32, block: int, shift: int,
    lane_start: Sums, scalar_start: Sums, sums: Sums,
) -> None:  # fmt: skip
    """sums[o, p] = scalar_start[o] + lane_start[p] + 2^shift sum_r words[rows[r] + columns[p]] . weights[o // 4, r, o % 4].

    '.' as in the module's text. words: flat; rows, columns: offsets into it, an even number of rows; sums: whole tiles, and starts
    for all of them. block: words whose sums fit 16 bits, 0 for codes of 16 bits.
    """
    steps, size, up = rows.shape[0], sums.shape[1], np.int32(shift)
    panel = np.empty((steps, POSITIONS), np.uint32)
    for position in range(0, size, POSITIONS):
        _fill(words, rows, columns[position : position + POSITIONS], panel)
        for tile in range(weights.shape[0]):
            at, first = tile * steps * CHANNELS, tile * CHANNELS
            to = first * size + position
            if block == 0:
                _wide(panel, weights, at, lane_start, position, scalar_start, first, sums, to, size, up, steps, block)
            elif block == 1:
                _single(panel, weights, at, lane_start, position, scalar_start, first, sums, to, size, up, steps, block)
            elif block < MANY:
                _double(panel, weights, at, lane_start, position, scalar_start, first, sums, to, size, up, steps, block)
            else:
                _many(panel, weights, at, lane_start, position, scalar_start, first, sums, to, size, up, steps, block)


@njit(cache=True)
def _fill(words: Words32, rows: Ints, columns: Ints, panel: Words32) -> None:
    """panel[r, j] = words[rows[r] + columns[j]]; mostly the columns, or fours of them, are neighbours."""
    first = columns[0]
    if columns[POSITIONS - 1] - first == POSITIONS - 1:
        for row in range(rows.shape[0]):
            start = rows[row] + first
            for lane in range(POSITIONS):
                panel[row, lane] = words[start + lane]
        return
    for lane in range(0, POSITIONS, 4):
        one, two, three, four = columns[lane], columns[lane + 1], columns[lane + 2], columns[lane + 3]
        if four - one == 3:
            for row in range(rows.shape[0]):
                start = rows[row] + one
                for step in range(4):
                    panel[row, lane + step] = words[start + step]
        else:
            for row in range(rows.shape[0]):
                start = rows[row]
                panel[row, lane] = words[start + one]
                panel[row, lane + 1] = words[start + two]
                panel[row, lane + 2] = words[start + three]
                panel[row, lane + 3] = words[start + four]
