"""Energy of an activity on a machine, as a sum of terms: actions times what each takes, and leakage."""

from __future__ import annotations

from hwmodels.activity import Activity
from hwmodels.areas import fitted
from hwmodels.build import MACRO, Bank, Build, banks, combine_bits, sram_kib, tree_bits
from hwmodels.design import Design
from hwmodels.energies import CYCLES, energies
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS
from hwmodels.rates import RANDOM, RANDOM_RATE, Rates
from hwmodels.silicon import area_terms, arithmetic_luts, dsp_per_multiplier
from hwmodels.structure import stage_bits
from hwmodels.technology import Technology
from hwmodels.terms import Number, Term, total
from workloads.actions import Actions


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
            Term("pe", "adder tree bits", steps * tree_bits(k), t["adder_bit_energy"], "pJ", ("adder_bit_energy",)),
        ]
    branches = steps * k.lanes_a * k.lanes_w * _toggling(rates.products)
    return [
        Term("pe", "xnor bits", branches * k.width, t["xnor_energy"], "pJ", ("xnor_energy",)),
        Term("pe", "popcount adder bits", branches * (k.width - 1), t["adder_bit_energy"], "pJ", ("adder_bit_energy",)),
        Term(
            "pe",
            "branch combine adder bits",
            steps * combine_bits(k),
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
    luts = total(arithmetic_luts(k, 1, t), unit="lut")
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
