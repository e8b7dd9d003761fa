"""The models against published machines, each with what was expected, what came out, the convention of an operation, and why.

An operation is half of a multiply-accumulate: the xnor of a bit is one, its popcount another, so 2 N an output at 1 x 1 bits. A
comparison is `claimed` where our machine does what the published one did: then it must agree, and a test keeps it so. Where the
machines differ, or the publication leaves something open, the difference is shown and explained, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

import pandas as pd

from hwmodels.analytical import evaluate_layer, evaluate_mapping
from hwmodels.build import Build
from hwmodels.constants import Constant
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.geometry import geometry
from hwmodels.mapping import WEIGHT, Mapping, walk_of
from hwmodels.silicon import resource_terms
from hwmodels.technology import ASIC_45, Technology, scaled, technology
from hwmodels.terms import Term
from workloads.layers import Conv, Dense, Layer
from workloads.zoo import NETWORKS

PUBLISHED_COLUMNS = ("what", "unit", "expected", "got", "low", "high", "claimed", "verdict")
"""What fits a terminal; the whole table also has the sources and reasons."""
AGREES, IN_RANGE = "agrees", "in range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure. `low` and `high` are what the ranges of our constants allow; `allowed` is relative, None where nothing is claimed."""

    what: str
    unit: str
    expected: float
    got: float
    low: float | None = None
    high: float | None = None
    allowed: float | None = None
    source: str
    why: str

    @property
    def verdict(self) -> str:
        """agrees, in range, or by what factor we are off."""
        if self.allowed is not None and abs(self.got / self.expected - 1) <= self.allowed:
            return AGREES
        if self.low is not None and self.high is not None and self.low <= self.expected <= self.high:
            return IN_RANGE
        return f"off: {self.got / self.expected:.2f}x"

    @property
    def holds(self) -> bool:
        """Whether what is claimed is true."""
        return self.allowed is None or self.verdict == AGREES


def comparisons() -> tuple[Comparison, ...]:
    """All of them, in the order of the page."""
    return tuple(found for make in MAKERS for found in make())


def published_table() -> pd.DataFrame:
    """The same as a table: what, unit, expected, got, low, high, whether it is claimed, verdict, source, why."""
    rows = []
    for one in comparisons():
        names = ("what", "unit", "expected", "got", "low", "high")
        claim = {"claimed": one.allowed is not None, "verdict": one.verdict, "holds": one.holds}
        rows.append({**{name: getattr(one, name) for name in names}, **claim, "source": one.source, "why": one.why})
    return pd.DataFrame(rows)


def _bismo() -> list[Comparison]:
    """Peak: 2 Dm Dk Dn operations a cycle. LUTs: Dm Dn (1.17 Dk + 44.1 + 120.1)."""
    peak = Design(rows=8, cols=8, width=256, technology="zynq7020", clock_mhz=200)
    laws = [_bismo_luts(rows, width) for rows, width in ((2, 64), (8, 64), (8, 256))]
    return [
        Comparison(
            what="BISMO v1 peak, 8x256x8 at 200 MHz", unit="TOp/s", expected=6.5, got=_peak_tops(peak), allowed=0.01,
            source="arXiv:1806.08862, abstract; dimensions and clock derived",
            why="2 operations a bit and cycle; the abstract rounds 6.55 down",
        ),
        *laws,
    ]  # fmt: skip


def _bismo_luts(rows: int, width: int) -> Comparison:
    design = Design(rows=rows, cols=rows, width=width, technology="zynq7020")
    return Comparison(
        what=f"BISMO v2 array, {rows}x{width}x{rows}", unit="LUT",
        expected=rows * rows * (1.17 * width + 44.1 + 120.1), got=_array_luts(design),
        source="law of EECS-NTNU/bismo @ b388d78, without base and DMA",
        why="BISMO has a result stage of 120.1 LUT in every unit, we have a threshold unit a row",
    )  # fmt: skip


def _peak_tops(design: Design) -> float:
    """Operations a second of all branches: 2 R C W la lw f."""
    return 2 * design.rows * design.cols * design.width * design.lanes_a * design.lanes_w * design.clock_mhz / 1e6


CNV_FOLDING = {
    "conv1b": (32, 32, 28224), "conv2a": (32, 16, 20736), "conv2b": (32, 16, 28800), "conv3a": (32, 4, 20736), "conv3b": (32, 1, 18432),
    "fc1": (4, 1, 32768), "fc2": (8, 1, 32768), "fc3": (1, 4, 8192),
}  # fmt: skip
"""SIMD, PE and cycles per image of CNV W1A1, layers 1 to 8. FINN's layer 0 has 8-bit inputs in space and 3 channels: no machine of ours."""
CNV_SOURCE = "Xilinx/BNN-PYNQ @ d39c1c7, cnvW1A1/README.md"
CNV_OUTPUTS = 64
"""FINN's last layer has as many outputs; 10 of them are used."""


def _cnv() -> list[Comparison]:
    """One of our machines per layer, R = PE, C = 1, W = SIMD, as FINN's engines are."""
    cycles = {name: _cnv_cycles(name) for name in CNV_FOLDING}
    stated = sum(cycle for _, _, cycle in CNV_FOLDING.values())
    return [
        Comparison(
            what="CNV W1A1, compute cycles of layers 1 to 8", unit="cycles", expected=stated, got=sum(cycles.values()),
            allowed=0.0, source=CNV_SOURCE,
            why="positions x channels / PE x reduction / SIMD, on a machine of R = PE, C = 1, W = SIMD for each layer",
        ),
        Comparison(
            what="CNV W1A1 on the board, slowest engine", unit="cycles", expected=32787, got=max(cycles.values()),
            allowed=0.001, source=f"{CNV_SOURCE}: 10000 images in 3.278691 s at 100 MHz",
            why="the engines overlap, so the slowest sets the pace; the rest is filling and hand-over",
        ),
        Comparison(
            what="CNV W1A1, LUT of the whole bitstream", unit="LUT", expected=26072,
            got=sum(_array_luts(_cnv_machine(name)) for name in CNV_FOLDING),
            source=f"{CNV_SOURCE}, Vivado 2018.2; four tool versions lie between 25770 and 30605",
            why="ours are PEs and threshold units of layers 1 to 8; the bitstream also has layer 0, sliding windows, FIFOs, "
            "weights in LUTs, DMA and shell",
        ),
    ]  # fmt: skip


def _cnv_machine(name: str) -> Design:
    width, rows, _ = CNV_FOLDING[name]
    return Design(
        rows=rows, cols=1, width=width, max_act_bits=1, max_weight_bits=1, weight_depth=2**22, act_depth=2**22,
        out_depth=2**22, threshold_depth=2**16, technology="zynq7020", clock_mhz=100,
    )  # fmt: skip


def _cnv_layer(name: str) -> Layer:
    layer = next(one for one in NETWORKS["cnv"](m=1, k=1).layers if one.name == name)
    if name == "fc3" and isinstance(layer, Dense):
        return Dense(
            name=name, in_shape=layer.in_shape, out_channels=CNV_OUTPUTS, act_bits=1, weight_bits=1, out_bits=None
        )
    return layer


def _cnv_cycles(name: str) -> int:
    machine, layer = _cnv_machine(name), _cnv_layer(name)
    shape = geometry(layer, machine.width)
    if shape is None:
        raise ValueError(f"layer {name!r}: must cost something")
    whole = Mapping(WEIGHT, walk_of(shape, machine).channel_groups, shape.out_size)
    return int(evaluate_mapping(shape, machine, whole).activity.cycles.compute_cycles)


def _array_luts(design: Design) -> float:
    """PEs and threshold units; vector lanes, which the published arrays do not have, are left out."""
    terms = resource_terms(Build.of(design), technology(design.technology))
    return sum(
        float(term.amount)
        for term in terms
        if term.unit == "lut" and term.component in ("pe", "post") and "vector" not in term.name
    )


@dataclass(frozen=True, slots=True)
class Chip:
    """A published chip: what it states in TOp/s/W, at which nodes we look (two are interpolated), and what we run instead."""

    name: str
    tops_per_w: float
    nodes: tuple[str, ...]
    voltage_v: float
    act_bits: int
    source: str
    why: str


CHIPS = (
    Chip("XNORBIN", 95.0, ("65",), 0.8, 1, "arXiv:1803.05849, abstract, UMC 65 nm at 0.8 V",
         "its network is not the layer that we run; "),
    Chip("YodaNN", 61.2, ("65",), 0.6, 8, "arXiv:1606.05487, abstract, UMC 65 nm at 0.6 V",
         "2 operations a multiplication of a wide activation by a 1-bit weight, here 8 bits, one plane after another; 0.6 V lies at "
         "the bottom of the scaling's quadratic, where it falls no more; "),
    Chip("BinarEye", 230.0, ("32", "20"), 0.9, 1, "arXiv:1804.05554, abstract, 28 nm",
         "no coefficients for 28 nm: log-log between 32 and 20 nm; its voltage is not in the abstract, 0.9 V is ours; "),
)  # fmt: skip
"""Peak figures of three abstracts. Tables inside the papers were not read."""
WHOLE_WHY = (
    "weights come from SRAM of a high-performance process every cycle and leakage is assumed: most of it is that"
)
PE_WHY = "no memory, control or leakage, so an upper bound for ours"


def _chips() -> list[Comparison]:
    """TOp/s/W = operations / pJ: of the PEs alone, and of the whole machine with all memory on chip."""
    found = []
    for chip in CHIPS:
        for part, component, why in (("PEs alone", "pe", PE_WHY), ("whole machine", None, WHOLE_WHY)):
            got, low, high = (_interpolated(chip, component, end) for end in (None, 1, 0))
            found.append(
                Comparison(
                    what=f"{chip.name}, {part}", unit="TOp/s/W", expected=chip.tops_per_w, got=got, low=low, high=high,
                    source=chip.source, why=chip.why + why,
                )
            )  # fmt: skip
    return found


CHIP_NODE_NM = 28.0


def _interpolated(chip: Chip, component: str | None, end: int | None) -> float:
    """The figure at the chip's node, or on the straight line in logarithms between two."""
    figures = [_tops_per_w(chip, node, component, end) for node in chip.nodes]
    if len(figures) == 1:
        return figures[0]
    share = log(CHIP_NODE_NM / float(chip.nodes[0])) / log(float(chip.nodes[1]) / float(chip.nodes[0]))
    return exp(log(figures[0]) * (1 - share) + log(figures[1]) * share)


def _tops_per_w(chip: Chip, node: str, component: str | None, end: int | None) -> float:
    """A 3 x 3 layer of 256 to 384 channels on 13 x 13 positions, on 32 x 13 PEs of 64 bits at 100 MHz. `end`: of the constants' ranges."""
    layer = Conv(
        name="conv3", in_shape=(256, 13, 13), out_channels=384, kernel=(3, 3), padding=(1, 1, 1, 1), act_bits=chip.act_bits,
        weight_bits=1, out_bits=chip.act_bits,
    )  # fmt: skip
    design = Design(
        rows=32, cols=13, width=64, max_act_bits=chip.act_bits, max_weight_bits=1, weight_depth=2304, act_depth=1024,
        out_depth=4096, memory="sram", memory_kib=256, clock_mhz=100,
    )  # fmt: skip
    found = evaluate_layer(layer, design)
    if found is None:
        raise ValueError(f"layer {layer.name!r}: must cost something")
    at = scaled(ASIC_45, name=chip.name, node=node, voltage_v=chip.voltage_v, base_node="45")
    terms = energy_terms(found.activity, Build.of(design), at)
    energy = sum(_at_end(term, at, end) for term in terms if component in (None, term.component))
    return 2 * layer.macs / energy


def _at_end(term: Term, at: Technology, end: int | None) -> float:
    """A term's amount, or with its constants at the low (0) or high (1) ends of their ranges."""
    constants: Sequence[Constant] = [at.constants[name] for name in term.constants if name in at.constants]
    if end is None or not constants:
        return float(term.amount)
    ends = [constant.span[end] for constant in constants]
    return float(term.amount) * (max(ends) if end else min(ends))


MAKERS: tuple[Callable[[], list[Comparison]], ...] = (_bismo, _cnv, _chips)
