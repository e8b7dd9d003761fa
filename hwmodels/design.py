"""One machine with all its knobs: frozen, valid after construction, hashable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workloads.layers import check_bits, check_positive

KINDS = ("array", "mac")
DATAFLOWS = ("weight", "activation", "best")
MEMORIES = ("dram", "sram", "ddr3", "lpddr", "lpddr4", "gddr5", "hbm2")
"""Off chip or on it. "dram" is the generic one of `hwmodels.constants`, the others are DRAM types with sources of their own."""
PARTS = ("count_stages", "sum_stages", "acc_stages")
"""Knobs of the depth of a PE's pipeline."""
STAGES = (1, 2)
"""Cycles that each of the three parts of a PE may take."""
MAX_ACC_BITS = 32
"""As wide as a threshold in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A rows x cols array of PEs as `docs/machine.md` describes it. Raises ValueError naming the knob.

    `kind` "array" computes with xnor-popcount branches, "mac" with integer multipliers of max_act_bits x max_weight_bits.
    Depths count entries of one bank, both halves of the double buffer included; an entry of the threshold bank is a
    channel group, whose thresholds lie in max_act_bits memories, 2^i of them at every entry of stage i.
    `count_stages`, `sum_stages` and `acc_stages` are the cycles of a PE's three parts: a second one halves the path, and costs
    registers and a cycle of latency.
    """

    kind: Literal["array", "mac"] = "array"
    rows: int = 16
    cols: int = 8
    width: int = 64
    lanes_a: int = 1
    lanes_w: int = 1
    max_act_bits: int = 8
    max_weight_bits: int = 8
    count_stages: int = 1
    sum_stages: int = 1
    acc_stages: int = 1
    weight_depth: int = 1024
    act_depth: int = 1024
    out_depth: int = 1024
    threshold_depth: int = 32
    port_bits: int = 64
    port_shared: bool = True
    port_latency: int = 20
    port_burst: int = 16
    memory: Literal["dram", "sram", "ddr3", "lpddr", "lpddr4", "gddr5", "hbm2"] = "dram"
    memory_kib: int = 0
    clock_mhz: float = 200.0
    technology: str = "asic45"
    dataflow: Literal["weight", "activation", "best"] = "best"

    def __post_init__(self) -> None:
        where = "design"
        check_positive(where, rows=self.rows, cols=self.cols, width=self.width)
        check_positive(where, lanes_a=self.lanes_a, lanes_w=self.lanes_w)
        check_bits(where, max_act_bits=self.max_act_bits, max_weight_bits=self.max_weight_bits)
        check_positive(where, port_bits=self.port_bits, port_burst=self.port_burst)
        for name in ("weight_depth", "act_depth", "out_depth", "threshold_depth"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 2:
                raise ValueError(f"{where}: {name} must be an integer >= 2 (two halves), not {getattr(self, name)!r}")
        for name in PARTS:
            if type(getattr(self, name)) is not int or getattr(self, name) not in STAGES:
                raise ValueError(f"{where}: {name} must be 1 or 2, not {getattr(self, name)!r}")
        _check_choice("kind", self.kind, KINDS)
        _check_choice("dataflow", self.dataflow, DATAFLOWS)
        _check_choice("memory", self.memory, MEMORIES)
        for name in ("port_latency", "memory_kib"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{where}: {name} must be an integer >= 0, not {value!r}")
        if not 0 < self.clock_mhz < 100_000:
            raise ValueError(f"{where}: clock_mhz must be between 0 and 100000, not {self.clock_mhz}")
        problem = illegal(self)
        if problem is not None:
            raise ValueError(f"{where}: {problem}")

    @property
    def act_lanes(self) -> int:
        """Activation planes that one entry and one cycle carry: all of them in the mac twin."""
        return self.max_act_bits if self.kind == "mac" else self.lanes_a

    @property
    def weight_lanes(self) -> int:
        """Weight planes that one entry and one cycle carry: all of them in the mac twin."""
        return self.max_weight_bits if self.kind == "mac" else self.lanes_w

    @property
    def pe_cycles(self) -> int:
        """Cycles from a PE's operands to its accumulator."""
        return self.count_stages + self.sum_stages + self.acc_stages

    @property
    def acc_bits(self) -> int:
        """Accumulator width: any reduction that fits the weight buffer, at the built bits, up to 32 bits.

        N <= W * weight_depth / 2, so M + K + log2(N) + 1 (sign) bits hold +-N (2^M - 1)(2^K - 1).
        """
        longest = self.width * self.weight_depth // 2
        return min(MAX_ACC_BITS, self.max_act_bits + self.max_weight_bits + (longest - 1).bit_length() + 1)

    @property
    def name(self) -> str:
        """The machine in words, for tables and hover texts."""
        lanes = f", {self.lanes_a}x{self.lanes_w} lanes" if self.kind == "array" else ""
        return (
            f"{self.kind} {self.rows}x{self.cols} PEs x {self.width}{lanes}, {self.clock_mhz:g} MHz, {self.technology}"
        )


def illegal(design: Design) -> str | None:
    """Why knobs that are legal one by one do not make a machine together, or None; one sentence a reason.

    The vectorised sweep applies the same four rules (`hwmodels.knobs.illegal_reasons`); a test holds them equal.
    """
    if design.rows % design.width and design.width % design.rows:
        return f"rows must divide width or be a multiple of it, not {design.rows} with width {design.width}"
    if design.port_bits % design.width and design.width % design.port_bits:
        return f"port_bits must divide width or be a multiple of it, not {design.port_bits} with width {design.width}"
    if design.kind == "array" and design.lanes_a > design.max_act_bits:
        return f"lanes_a must be at most max_act_bits {design.max_act_bits}, not {design.lanes_a}"
    if design.kind == "array" and design.lanes_w > design.max_weight_bits:
        return f"lanes_w must be at most max_weight_bits {design.max_weight_bits}, not {design.lanes_w}"
    return None


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"design: {name} must be one of {', '.join(allowed)}, not {value!r}")
