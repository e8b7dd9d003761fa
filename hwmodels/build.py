"""A machine to be priced: its knobs, where its network lives, and its memories.

Everything here is multiplication and addition over ints or over arrays of them, so one design (`Design`) and a
sweep's many (`hwmodels.knobs.Knobs`) are priced by the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwmodels.design import Design
from hwmodels.knobs import Knobs
from hwmodels.terms import Number

MACRO = (4096, 32)
"""Words and bits of the macros that an on-chip memory is made of: 16 KiB each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A machine to be priced: its knobs, where its network lives, and the clock."""

    knobs: Design | Knobs
    memory: str
    memory_kib: Number
    clock_mhz: Number

    @classmethod
    def of(cls, design: Design) -> Build:
        """All of it from one design."""
        return cls(knobs=design, memory=design.memory, memory_kib=design.memory_kib, clock_mhz=design.clock_mhz)


@dataclass(frozen=True, slots=True)
class Bank:
    """`count` equal memories of `depth` entries of `bits` bits, of which `lanes` parts are written one by one."""

    name: str
    count: Number
    depth: Number
    bits: Number
    lanes: Number = 1


def banks(k: Design | Knobs) -> tuple[Bank, ...]:
    """The buffers of the machine (docs/machine.md, section 1), the tables of the post units last."""
    return (
        Bank("weight", k.rows, k.weight_depth, k.weight_lanes * k.width, k.weight_lanes),
        Bank("activation", k.cols, k.act_depth, k.act_lanes * k.width, k.act_lanes),
        Bank("output", 1, k.out_depth, k.rows * k.max_act_bits),
        *(
            Bank(
                f"threshold stage {stage}", k.rows * (k.max_act_bits > stage), k.threshold_depth * 2**stage, k.acc_bits
            )
            for stage in stages(k)
        ),
    )


def stages(k: Design | Knobs) -> range:
    """Stages of a post unit, one a bit of a code; of many machines those of the largest."""
    return range(int(np.max(k.max_act_bits)))


def sram_kib(build: Build) -> Number:
    """All SRAM of the machine: buffers, and the on-chip memory if it has one."""
    bits: Number = 0
    for bank in banks(build.knobs):
        bits = bits + bank.count * bank.depth * bank.bits
    return bits / 8192 + (build.memory_kib if build.memory == "sram" else 0)


def combine_bits(k: Design | Knobs) -> Number:
    """Adder bits that join the branches of a PE: one adder of log2(W) + la + lw bits per branch but the first."""
    return (k.lanes_a * k.lanes_w - 1) * (np.ceil(np.log2(k.width)) + k.lanes_a + k.lanes_w)


def tree_bits(k: Design | Knobs) -> Number:
    """Adder bits of a mac PE's tree: W - 1 adders of the product's width, growing by a bit a level (mean of the levels)."""
    return (k.width - 1) * (k.max_act_bits + k.max_weight_bits + 1)
