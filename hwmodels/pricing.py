"""Activity x parts x technology -> cost, as sums of terms: the same terms are added up, and explained.

Everything here is multiplication and addition over ints or over arrays of them, so one design (`Design`) and a
sweep's many (`hwmodels.knobs.Knobs`) are priced by the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodels.activity import Activity
from hwmodels.areas import fitted
from hwmodels.design import Design
from hwmodels.energies import CYCLES, energies
from hwmodels.fpga_memory import MEMORIES
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS
from hwmodels.rates import RANDOM, RANDOM_RATE, Rates
from hwmodels.structure import counts as unit_counts
from hwmodels.structure import stage_bits
from hwmodels.technology import Technology
from workloads.actions import Actions

Number = Any
"""An int or float, or an array over designs."""

LUTRAM_DEPTH = 256
"""Banks no deeper than this sit in LUTRAM, deeper ones in block RAM: FINN's and Vivado's usual choice; assumed."""

MACRO = (4096, 32)
"""Words and bits of the macros that an on-chip memory is made of: 16 KiB each."""


@dataclass(frozen=True, slots=True)
class Term:
    """count x each, in the unit of `each`; `component` says which part of the machine pays."""

    component: str
    name: str
    count: Number
    each: Number
    unit: str
    constants: tuple[str, ...]

    @property
    def amount(self) -> Number:
        """The product."""
        return self.count * self.each


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


def energy_terms(activity: Activity, build: Build, technology: Technology, rates: Rates = RANDOM) -> tuple[Term, ...]:
    """pJ of the activity, term by term; components pe, post, buffer, memory, control, leakage.

    Of a technology with energies fitted to gates, whatever toggles in PEs and grid depends on the rates as the gates do. Of any other
    ASIC, operand registers, xnor and popcount are charged for the bits that toggle, relative to random data (the proportion is assumed).
    Everything else, and an FPGA, is charged as for random data.
    """
    shared = _shared_energy(activity, build, technology)
    if technology.kind == "fpga":
        return (*_fpga_energy(activity, build, technology), *shared)
    return (*_asic_energy(activity, build, technology, rates), *shared)


def area_terms(build: Build, technology: Technology) -> tuple[Term, ...]:
    """um2 of an ASIC, term by term; components pe, post, buffer, memory, control. Logic is fitted to synthesis, or published areas."""
    k, t = build.knobs, technology
    logic = _fitted(k, t.fit, "area_um2", "um2") if t.fit else _published_area(k, t)
    return (*logic, *_memory_area(build, t))


def resource_terms(build: Build, technology: Technology) -> tuple[Term, ...]:
    """LUT, flip-flops, block RAM (36 Kbit) and DSP of an FPGA, term by term; `unit` tells which."""
    k, t = build.knobs, technology
    logic = (
        [term for name in ("lut", "ff") for term in _fitted(k, t.fit, name, name)]
        if t.fit
        else _published_resources(k, t)
    )
    return (*logic, *_memory_resources(build, t.fit))


UNIT_TERMS = {
    "pe": ("pe", "PEs"), "pe_mac": ("pe", "multiplier PEs"), "grid": ("pe", "hold registers, pads, masks"),
    "post_unit": ("post", "post units"), "vector_unit": ("post", "vector unit"), "columns": ("control", "columns' coordinates"),
    "drain": ("control", "drain"), "sequencer": ("control", "sequencer"), "loader": ("control", "loader"),
    "writer": ("control", "writer"), "controller": ("control", "controller"), "glue": ("control", "between the units"),
}  # fmt: skip
"""Component and name of every unit of the engine whose area is fitted."""


def _fitted(k: Design | Knobs, target: str, resource: str, unit: str) -> list[Term]:
    """A term for each unit of the engine, at what the fit to synthesis says that one takes."""
    fit = fitted(target)
    return [
        Term(*UNIT_TERMS[name], many, fit.unit(resource, name, k), unit, ("fit",))
        for name, many in unit_counts(k).items()
    ]


def _published_area(k: Design | Knobs, t: Technology) -> list[Term]:
    """Logic at published areas of an adder bit, a register bit, a multiplier bit."""
    pe = k.rows * k.cols
    return [
        Term("pe", "accumulators, two each", pe * 2 * k.acc_bits, t["register_bit_area"], "um2", ("register_bit_area",)),
        Term("pe", "accumulate adders", pe * k.acc_bits, t["adder_bit_area"], "um2", ("adder_bit_area",)),
        Term("pe", "operand registers", _operand_bits(k), t["register_bit_area"], "um2", ("register_bit_area",)),
        Term("pe", "second stages", pe * stage_bits(k), t["register_bit_area"], "um2", ("register_bit_area",)),
        *_arithmetic_area(k, pe, t),
        Term("post", "threshold comparators", k.rows * k.max_act_bits * k.acc_bits, t["adder_bit_area"], "um2", ("adder_bit_area",)),
        Term("post", "vector unit lanes", k.width * VECTOR_BITS, t["adder_bit_area"] + t["register_bit_area"], "um2",
             ("adder_bit_area", "register_bit_area")),
        Term("control", "controller, loader, writer", 1, t["control_area"], "um2", ("control_area",)),
    ]  # fmt: skip


def _memory_area(build: Build, t: Technology) -> list[Term]:
    """Buffers, and the on-chip memory where there is one."""
    k, terms = build.knobs, list[Term]()
    assert t.sram is not None
    for bank in banks(k):
        each = t.sram.area(bank.depth, bank.bits)
        terms.append(Term("buffer", f"{bank.name} banks", bank.count, each, "um2", ("sram",)))
    if build.memory == "sram":
        terms.append(
            Term(
                "memory", "on-chip memory, 16 KiB macros", build.memory_kib / 16, t.sram.area(*MACRO), "um2", ("sram",)
            )
        )
    return terms


def _published_resources(k: Design | Knobs, t: Technology) -> list[Term]:
    """Logic by published resource laws."""
    pe = k.rows * k.cols
    return [
        *_arithmetic_luts(k, pe, t),
        Term("post", "threshold units", k.rows, t["post_lut"], "lut", ("post_lut",)),
        Term("post", "vector unit lanes", k.width * VECTOR_BITS, t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
        Term("control", "controller, loader, writer", 1, t["control_lut"], "lut", ("control_lut",)),
        Term("pe", "accumulators, two each", pe * 2 * k.acc_bits, 1, "ff", ()),
        Term("pe", "operand registers", _operand_bits(k), 1, "ff", ()),
        Term("pe", "second stages", pe * stage_bits(k), 1, "ff", ()),
        Term("post", "vector unit and post registers", k.width * VECTOR_BITS + k.rows * k.acc_bits, 1, "ff", ()),
        Term("control", "controller, loader, writer", 1, t["control_lut"], "ff", ("control_lut",)),
    ]


def _memory_resources(build: Build, target: str) -> list[Term]:
    """Buffers in LUTs or block RAM, as synthesis of the target chooses or by the usual rule; and the on-chip memory where there is one."""
    k, terms = build.knobs, list[Term]()
    for bank in banks(k):
        terms += _chosen(bank, target) if target else _usual(bank)
    if build.memory == "sram":
        terms.append(Term("memory", "on-chip memory, 4 KiB blocks", -(-build.memory_kib // 4), 1, "bram36", ()))
    return terms


def _chosen(bank: Bank, target: str) -> list[Term]:
    """A memory for every lane of every bank."""
    found = MEMORIES[target].bank(bank.depth, bank.bits // bank.lanes)
    many = bank.count * bank.lanes
    return [
        Term("buffer", f"{bank.name} banks, {name}", many, found[name] / (36 if name == "ram_kbit" else 1), unit, ())
        for name, unit in (("lut", "lut"), ("ff", "ff"), ("ram_kbit", "bram36"))
    ]


def _usual(bank: Bank) -> list[Term]:
    small = bank.depth <= LUTRAM_DEPTH
    lutram = np.where(small, -(-bank.depth // 64) * bank.bits, 0)
    return [
        Term("buffer", f"{bank.name} banks in LUTRAM", bank.count, lutram, "lut", ()),
        Term("buffer", f"{bank.name} banks", bank.count, np.where(small, 0, block_rams(bank)), "bram36", ()),
    ]


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


def block_rams(bank: Bank) -> Number:
    """36-Kbit block RAMs of a bank: 72 bits wide up to 512 entries, else 36 bits by 1024."""
    shallow = -(-bank.bits // 72)
    deep = -(-bank.bits // 36) * -(-bank.depth // 1024)
    return np.where(bank.depth <= 512, shallow, deep)


def total(terms: Sequence[Term], *, component: str | None = None, unit: str | None = None) -> Number:
    """Sum of the terms of one component and unit; 0.0 if there are none."""
    amount: Number = 0.0
    for term in terms:
        if component in (None, term.component) and unit in (None, term.unit):
            amount = amount + term.amount
    return amount


def _operand_bits(k: Design | Knobs) -> Number:
    return k.width * (k.rows * k.weight_lanes + k.cols * k.act_lanes)


def _combine_bits(k: Design | Knobs) -> Number:
    """Adder bits that join the branches of a PE: one adder of log2(W) + la + lw bits per branch but the first."""
    return (k.lanes_a * k.lanes_w - 1) * (np.ceil(np.log2(k.width)) + k.lanes_a + k.lanes_w)


def _tree_bits(k: Design | Knobs) -> Number:
    """Adder bits of a mac PE's tree: W - 1 adders of the product's width, growing by a bit a level (mean of the levels)."""
    return (k.width - 1) * (k.max_act_bits + k.max_weight_bits + 1)


def _arithmetic_area(k: Design | Knobs, pe: Number, t: Technology) -> list[Term]:
    if k.kind == "mac":
        products = pe * k.width * k.max_act_bits * k.max_weight_bits
        return [
            Term("pe", "multiplier bits", products, t["multiplier_bit2_area"], "um2", ("multiplier_bit2_area",)),
            Term("pe", "adder tree bits", pe * _tree_bits(k), t["adder_bit_area"], "um2", ("adder_bit_area",)),
        ]
    branches = pe * k.lanes_a * k.lanes_w
    return [
        Term("pe", "xnor bits", branches * k.width, t["xnor_area"], "um2", ("xnor_area",)),
        Term(
            "pe",
            "popcount adders, W - 1 a branch",
            branches * (k.width - 1),
            t["adder_bit_area"],
            "um2",
            ("adder_bit_area",),
        ),
        Term("pe", "branch combine adders", pe * _combine_bits(k), t["adder_bit_area"], "um2", ("adder_bit_area",)),
    ]


def _arithmetic_luts(k: Design | Knobs, pe: Number, t: Technology) -> list[Term]:
    if k.kind == "mac":
        in_dsp = dsp_per_multiplier(k) > 0
        return [
            Term("pe", "multipliers in LUTs", pe * k.width, np.where(in_dsp, 0, _multiplier_luts(k)), "lut", ()),
            Term("pe", "adder tree", pe * _tree_bits(k), t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
            Term("pe", "accumulate", pe * k.acc_bits, t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
            Term("pe", "multipliers in DSPs", np.ceil(pe * k.width * dsp_per_multiplier(k)), 1, "dsp", ()),
        ]
    return [
        Term(
            "pe",
            "xnor and popcount bits",
            pe * k.lanes_a * k.lanes_w * k.width,
            t["branch_lut"],
            "lut",
            ("branch_lut",),
        ),
        Term("pe", "shift and accumulate", pe, t["pe_lut"], "lut", ("pe_lut",)),
        Term("pe", "branch combine adders", pe * _combine_bits(k), t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
    ]


def _multiplier_luts(k: Design | Knobs) -> Number:
    """FN's LUT multiplier: (2 ceil((W+A)/6) - 1)(W+A)."""
    bits = k.max_act_bits + k.max_weight_bits
    return (2 * -(-bits // 6) - 1) * bits


def dsp_per_multiplier(k: Design | Knobs) -> Number:
    """DSP slices per multiplier: FN packs 4 of at most 4 x 4 bits in one, 2 of 8 x 8 (assumed); below 16 bits^2 LUTs are cheaper."""
    wide = np.maximum(k.max_act_bits, k.max_weight_bits) > 4
    return np.where(k.max_act_bits * k.max_weight_bits < 16, 0.0, np.where(wide, 0.5, 0.25))


def _asic_energy(activity: Activity, build: Build, t: Technology, rates: Rates) -> list[Term]:
    k, a = build.knobs, activity.actions
    logic = _fitted_energy(activity, k, t, rates) if t.energies else _published_energy(activity, k, t, rates)
    corrections = Term(
        "pe", "offset correction adder bits", _correction_bits(a, k), t["adder_bit_energy"], "pJ", ("adder_bit_energy",)
    )
    return [*logic, corrections, *_memory_energy(activity, build, t)]


def _fitted_energy(activity: Activity, k: Design | Knobs, t: Technology, rates: Rates) -> list[Term]:
    """Logic by what gate-level simulations gave."""
    return [
        Term(
            event.component,
            event.name,
            (activity.cycles.total if event.action == CYCLES else getattr(activity.actions, event.action))
            * event.times,
            event.each_fj / 1000.0,
            "pJ",
            event.coefficients,
        )
        for event in energies(t.energies).events(k, rates)
    ]


def _published_energy(activity: Activity, k: Design | Knobs, t: Technology, rates: Rates) -> list[Term]:
    """Logic at published energies of an adder bit, a register bit, a multiplier bit; control is assumed."""
    a = activity.actions
    operands = a.weight_reads * _toggling(rates.weights) + a.activation_reads * _toggling(rates.activations)
    return [
        *_arithmetic_energy(k, activity, t, rates),
        Term("pe", "accumulate, adder and register bits", a.accumulations * k.acc_bits,
             t["adder_bit_energy"] + t["register_bit_energy"], "pJ", ("adder_bit_energy", "register_bit_energy")),
        Term("pe", "operand register bits", operands * k.width, t["register_bit_energy"], "pJ", ("register_bit_energy",)),
        Term("pe", "register bits of second stages", a.accumulations * stage_bits(k), t["register_bit_energy"], "pJ", ("register_bit_energy",)),
        Term("post", "threshold compare bits", a.threshold_compares * k.acc_bits, t["adder_bit_energy"], "pJ", ("adder_bit_energy",)),
        Term("post", "vector lane bits", a.vector_words * k.width * VECTOR_BITS,
             t["adder_bit_energy"] + t["register_bit_energy"], "pJ", ("adder_bit_energy", "register_bit_energy")),
        _control_energy(activity, t),
    ]  # fmt: skip


def _control_energy(activity: Activity, t: Technology) -> Term:
    name = "controller and clock, cycles"
    return Term("control", name, activity.cycles.total, t["control_energy"], "pJ", ("control_energy",))


def _memory_energy(activity: Activity, build: Build, t: Technology) -> list[Term]:
    """Accesses of the buffers, and of the on-chip memory where there is one."""
    k, terms = build.knobs, list[Term]()
    assert t.sram is not None
    for name, bank, reads, writes in _accesses(activity, k):
        size = (bank.depth, bank.bits)
        terms.append(Term("buffer", f"{name} reads", reads, t.sram.read_energy(*size), "pJ", ("sram",)))
        terms.append(Term("buffer", f"{name} writes", writes, t.sram.write_energy(*size), "pJ", ("sram",)))
    if build.memory == "sram":
        each_read, each_write = (energy(*MACRO) / MACRO[1] for energy in (t.sram.read_energy, t.sram.write_energy))
        terms.append(Term("memory", "on-chip bits read", activity.memory_read_bits, each_read, "pJ", ("sram",)))
        terms.append(Term("memory", "on-chip bits written", activity.memory_write_bits, each_write, "pJ", ("sram",)))
    return terms


def _correction_bits(a: Actions, k: Design | Knobs) -> Number:
    """Adder bits of the sums that offsets multiply: a popcount of W - 1 and an accumulation a word, an addition a result."""
    return a.correction_words * (k.width - 1 + k.acc_bits) + a.correction_adds * k.acc_bits


def _toggling(rate: float) -> float:
    """Bits charged for every bit that is read: one for random data."""
    return rate / RANDOM_RATE


def _arithmetic_energy(k: Design | Knobs, activity: Activity, t: Technology, rates: Rates) -> list[Term]:
    steps = activity.actions.accumulations
    if k.kind == "mac":
        products = steps * k.width * k.max_act_bits * k.max_weight_bits
        return [
            Term("pe", "multiplier bits", products, t["multiplier_bit2_energy"], "pJ", ("multiplier_bit2_energy",)),
            Term("pe", "adder tree bits", steps * _tree_bits(k), t["adder_bit_energy"], "pJ", ("adder_bit_energy",)),
        ]
    branches = steps * k.lanes_a * k.lanes_w * _toggling(rates.products)
    return [
        Term("pe", "xnor bits", branches * k.width, t["xnor_energy"], "pJ", ("xnor_energy",)),
        Term("pe", "popcount adder bits", branches * (k.width - 1), t["adder_bit_energy"], "pJ", ("adder_bit_energy",)),
        Term(
            "pe",
            "branch combine adder bits",
            steps * _combine_bits(k),
            t["adder_bit_energy"],
            "pJ",
            ("adder_bit_energy",),
        ),
    ]


def _accesses(activity: Activity, k: Design | Knobs) -> list[tuple[str, Bank, Number, Number]]:
    """Entry reads and writes of each buffer; an entry holds all lanes of a word.

    Comparisons and thresholds are counted over all stages. They are shared out as for codes of all the bits built: a
    comparison in each stage, 2^i thresholds in stage i.
    """
    a = activity.actions
    weight, act, output, *tables = banks(k)
    stored = a.output_writes * k.width / output.bits
    accesses = [
        ("weight buffer", weight, a.weight_reads / k.weight_lanes, a.weight_writes / k.weight_lanes),
        ("activation buffer", act, a.activation_reads / k.act_lanes, a.activation_writes / k.act_lanes),
        ("output buffer", output, stored, stored),
    ]
    for stage, table in enumerate(tables):
        built = k.max_act_bits > stage
        reads = a.threshold_compares * built / k.max_act_bits
        writes = a.threshold_writes * built * 2**stage / (2**k.max_act_bits - 1)
        accesses.append((f"threshold stage {stage}", table, reads, writes))
    return accesses


def _fpga_energy(activity: Activity, build: Build, t: Technology) -> list[Term]:
    k, a = build.knobs, activity.actions
    luts, dsps = _pe_resources(k, t)
    terms = [
        _control_energy(activity, t),
        Term("pe", "LUT cycles of active PEs", a.accumulations * luts, t["lut_energy"], "pJ", ("lut_energy",)),
        Term("pe", "DSP cycles of active PEs", a.accumulations * dsps, t["dsp_energy"], "pJ", ("dsp_energy",)),
        Term("pe", "offset correction adder bits", _correction_bits(a, k), t["lut_energy"], "pJ", ("lut_energy",)),
        Term(
            "post", "threshold compare bits", a.threshold_compares * k.acc_bits, t["lut_energy"], "pJ", ("lut_energy",)
        ),
        Term(
            "post", "vector lane bits", a.vector_words * k.width * VECTOR_BITS, t["lut_energy"], "pJ", ("lut_energy",)
        ),
    ]
    for name, bank, reads, writes in _accesses(activity, k):
        each = t["bram_energy"] * bank.bits / 36
        terms.append(Term("buffer", f"{name} accesses", reads + writes, each, "pJ", ("bram_energy",)))
    if build.memory == "sram":
        bits = activity.memory_read_bits + activity.memory_write_bits
        terms.append(Term("memory", "block-RAM bits moved", bits, t["bram_energy"] / 36, "pJ", ("bram_energy",)))
    return terms


def _pe_resources(k: Design | Knobs, t: Technology) -> tuple[Number, Number]:
    """LUTs and DSP slices of one PE."""
    if t.fit:
        unit = "pe_mac" if k.kind == "mac" else "pe"
        return fitted(t.fit).unit("lut", unit, k), 0
    luts = total(_arithmetic_luts(k, 1, t), unit="lut")
    return luts, k.width * dsp_per_multiplier(k) if k.kind == "mac" else 0


def _shared_energy(activity: Activity, build: Build, t: Technology) -> list[Term]:
    cycles = activity.cycles.total
    terms = list[Term]()
    if build.memory != "sram":
        bits = activity.memory_read_bits + activity.memory_write_bits
        name = f"{build.memory}_energy"
        terms.append(Term("memory", "DRAM bits moved", bits, t[name], "pJ", (name,)))
    # 1 mW for 1 us is 1000 pJ.
    pj_per_mw = 1000.0 * cycles / build.clock_mhz
    if t.kind == "fpga":
        return [
            *terms,
            Term(
                "leakage",
                "static power over the latency, mW us",
                pj_per_mw / 1000.0,
                t["static_power"] * 1000.0,
                "pJ",
                ("static_power",),
            ),
        ]
    area = area_terms(build, t)
    logic_mm2 = (total(area) - total(area, component="buffer") - total(area, component="memory")) / 1e6
    return [
        *terms,
        Term("leakage", "logic mm2 x time", pj_per_mw * logic_mm2, t["logic_leakage"], "pJ", ("logic_leakage",)),
        Term(
            "leakage",
            "SRAM KiB x time",
            pj_per_mw * sram_kib(build),
            t["sram_leakage"] / 1000.0,
            "pJ",
            ("sram_leakage",),
        ),
    ]


def sram_kib(build: Build) -> Number:
    """All SRAM of the machine: buffers, and the on-chip memory if it has one."""
    bits: Number = 0
    for bank in banks(build.knobs):
        bits = bits + bank.count * bank.depth * bank.bits
    return bits / 8192 + (build.memory_kib if build.memory == "sram" else 0)
