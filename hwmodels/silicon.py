"""What a machine takes of a chip, as sums of terms: area of an ASIC; LUTs, flip-flops, block RAM and DSP slices of an FPGA."""

from __future__ import annotations

import numpy as np

from hwmodels.areas import fitted
from hwmodels.build import MACRO, Bank, Build, banks, combine_bits, tree_bits
from hwmodels.design import Design
from hwmodels.fpga_memory import MEMORIES
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS
from hwmodels.structure import counts as unit_counts
from hwmodels.structure import stage_bits
from hwmodels.technology import Technology
from hwmodels.terms import Number, Term

LUTRAM_DEPTH = 256
"""Banks no deeper than this sit in LUTRAM, deeper ones in block RAM: FINN's and Vivado's usual choice; assumed."""


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
        *arithmetic_luts(k, pe, t),
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


def block_rams(bank: Bank) -> Number:
    """36-Kbit block RAMs of a bank: 72 bits wide up to 512 entries, else 36 bits by 1024."""
    shallow = -(-bank.bits // 72)
    deep = -(-bank.bits // 36) * -(-bank.depth // 1024)
    return np.where(bank.depth <= 512, shallow, deep)


def _operand_bits(k: Design | Knobs) -> Number:
    return k.width * (k.rows * k.weight_lanes + k.cols * k.act_lanes)


def _arithmetic_area(k: Design | Knobs, pe: Number, t: Technology) -> list[Term]:
    if k.kind == "mac":
        products = pe * k.width * k.max_act_bits * k.max_weight_bits
        return [
            Term("pe", "multiplier bits", products, t["multiplier_bit2_area"], "um2", ("multiplier_bit2_area",)),
            Term("pe", "adder tree bits", pe * tree_bits(k), t["adder_bit_area"], "um2", ("adder_bit_area",)),
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
        Term("pe", "branch combine adders", pe * combine_bits(k), t["adder_bit_area"], "um2", ("adder_bit_area",)),
    ]


def arithmetic_luts(k: Design | Knobs, pe: Number, t: Technology) -> list[Term]:
    if k.kind == "mac":
        in_dsp = dsp_per_multiplier(k) > 0
        return [
            Term("pe", "multipliers in LUTs", pe * k.width, np.where(in_dsp, 0, _multiplier_luts(k)), "lut", ()),
            Term("pe", "adder tree", pe * tree_bits(k), t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
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
        Term("pe", "branch combine adders", pe * combine_bits(k), t["adder_bit_lut"], "lut", ("adder_bit_lut",)),
    ]


def _multiplier_luts(k: Design | Knobs) -> Number:
    """FN's LUT multiplier: (2 ceil((W+A)/6) - 1)(W+A)."""
    bits = k.max_act_bits + k.max_weight_bits
    return (2 * -(-bits // 6) - 1) * bits


def dsp_per_multiplier(k: Design | Knobs) -> Number:
    """DSP slices per multiplier: FN packs 4 of at most 4 x 4 bits in one, 2 of 8 x 8 (assumed); below 16 bits^2 LUTs are cheaper."""
    wide = np.maximum(k.max_act_bits, k.max_weight_bits) > 4
    return np.where(k.max_act_bits * k.max_weight_bits < 16, 0.0, np.where(wide, 0.5, 0.25))
