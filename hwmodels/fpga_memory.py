"""What a bank takes of an FPGA: LUTs as memory or blocks of RAM, as Yosys chooses them; tests hold it to synthesized banks.

Yosys (`memory_libmap`) puts a bank into whatever costs least: units side by side for the bits, one over the other for the
entries, and half a point for every bit and unit above the first that a multiplexer has to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

Number = Any
MUX_COST = 0.5
"""Of one bit of a choice between units that lie one over the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One way to use a memory cell: `depth` entries of `bits` bits in `luts` LUTs, or `kbit` of block RAM.

    `cost` is what Yosys weighs it by, `fixed` the part of it that a unit costs of which only some bits are used.
    """

    depth: int
    bits: int
    cost: float
    fixed: float
    luts: int = 0
    kbit: int = 0

    def stacked(self, depth: Number) -> Number:
        """Units one over the other."""
        return -(-depth // self.depth)

    def number(self, depth: Number, bits: Number) -> Number:
        """Units of a bank."""
        return self.stacked(depth) * -(-bits // self.bits)

    def total_cost(self, depth: Number, bits: Number) -> Number:
        """Of a whole bank."""
        whole, rest = bits // self.bits, bits % self.bits
        part = np.where(rest > 0, self.fixed + (self.cost - self.fixed) * rest / self.bits, 0.0)
        return self.stacked(depth) * (whole * self.cost + part) + MUX_COST * (self.stacked(depth) - 1) * bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Memories:
    """What a family has: its units; LUTs for every bit of a choice, by the units to choose from; and what guards its reads.

    Guarded: block RAM does not say what it reads at an address that is written in the same cycle, so that Yosys keeps both words
    and both addresses and compares. `guard` is how many LUTs a bit of the address takes then, about; 0 where reads need none.
    """

    units: tuple[Unit, ...]
    choice: Callable[[Number], Number]
    guard: int = 0

    def bank(self, depth: Number, bits: Number) -> dict[str, Number]:
        """lut, ff and ram_kbit of a memory of one read and one write port, with a register behind LUTs; of numbers or of arrays."""
        best = np.array([unit.total_cost(depth, bits) for unit in self.units]).argmin(axis=0)

        def of(amount: Callable[[Unit], Number]) -> Number:
            return np.choose(best, [np.asarray(amount(unit)) for unit in self.units])

        stacked, in_luts = of(lambda unit: unit.stacked(depth)), of(lambda unit: int(unit.luts > 0))
        guarded = np.where(in_luts, 0, 1) * int(self.guard > 0)
        address = np.ceil(np.log2(np.maximum(depth, 2))).astype(np.int64)
        chosen = np.where(stacked > 1, bits * self.choice(stacked) + stacked, 0)
        return {
            "lut": of(lambda unit: unit.number(depth, bits) * unit.luts)
            + chosen
            + guarded * (bits + self.guard * address),
            "ff": in_luts * bits + guarded * (2 * bits + address + 2),
            "ram_kbit": of(lambda unit: unit.number(depth, bits) * unit.kbit),
        }


def _blocks(kbit: int, cost: float, widest: int) -> tuple[Unit, ...]:
    """A block RAM at every width that it can have; a ninth bit only where it is 9 wide or more."""
    widths = (*(wide for wide in (72, 36, 18, 9) if wide <= widest), 4, 2, 1)
    whole = kbit * 1024 // 9 * 8
    return tuple(
        Unit(depth=whole // (wide // 9 * 8 if wide >= 9 else wide), bits=wide, kbit=kbit, cost=cost, fixed=cost)
        for wide in widths
    )


_XILINX_BLOCKS = (*_blocks(18, 129, 36), *_blocks(36, 257, 72))

MEMORIES: Mapping[str, Memories] = MappingProxyType({
    # RAM32M and RAM64M: four LUTs, of which one takes the write address.
    "xc7": Memories(
        units=(
            Unit(depth=32, bits=6, luts=4, cost=8, fixed=1), Unit(depth=64, bits=3, luts=4, cost=8, fixed=1), *_XILINX_BLOCKS,
        ),
        choice=lambda stacked: -(-(stacked - 1) // 3),
    ),
    # RAM32M16 and RAM64M8.
    "xcup": Memories(
        units=(
            Unit(depth=32, bits=14, luts=8, cost=16, fixed=0), Unit(depth=64, bits=7, luts=8, cost=16, fixed=0), *_XILINX_BLOCKS,
        ),
        choice=lambda stacked: -(-(stacked - 1) // 3),
    ),
    # DPR16X4: four LUTs, and two that its write port blocks.
    "ecp5": Memories(
        units=(Unit(depth=16, bits=4, luts=6, cost=4, fixed=4), *_blocks(18, 128, 36)),
        choice=lambda stacked: stacked - 1,
        guard=1,
    ),
    # No LUTs as memory.
    "ice40": Memories(
        units=tuple(Unit(depth=4096 // wide, bits=wide, kbit=4, cost=64, fixed=64) for wide in (16, 8, 4, 2)),
        choice=lambda stacked: (5 * stacked - 4) // 6,
        guard=1,
    ),
})  # fmt: skip
"""By the target of a technology's fit."""
