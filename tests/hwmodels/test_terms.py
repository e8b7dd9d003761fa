"""Prices of parts and actions by hand; the sums behind every figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwmodels.activity import Activity, Cycles
from hwmodels.build import Bank, Build, banks, sram_kib
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.knobs import NUMERIC, Knobs
from hwmodels.silicon import area_terms, block_rams, dsp_per_multiplier, resource_terms
from hwmodels.technology import TECHNOLOGIES, technology
from hwmodels.terms import Term, total
from workloads.actions import Actions

DESIGN = Design(
    rows=2, cols=2, width=64, max_act_bits=2, max_weight_bits=3, weight_depth=1024, act_depth=512, out_depth=256,
    threshold_depth=64, clock_mhz=100.0,
)  # fmt: skip
ACTIVITY = Activity(
    cycles=Cycles(compute_cycles=1000),
    actions=Actions(
        xnor_words=600, accumulations=600, combines=100, vector_words=40, threshold_compares=50, activation_reads=300,
        weight_reads=500, activation_writes=20, weight_writes=30, threshold_writes=6, output_writes=10,
    ),
    memory_read_bits=3200, memory_write_bits=640,
)  # fmt: skip


def amount(terms: tuple[Term, ...], name: str) -> float:
    found = [term.amount for term in terms if term.name == name]
    assert len(found) == 1, name
    return float(found[0])


def test_banks_are_those_of_the_picture() -> None:
    # Accumulators: 2 + 3 bits, N <= 2^15, and a sign: 21. Codes of 2 bits: a table of 64 thresholds, and one of twice that.
    assert banks(DESIGN) == (
        Bank("weight", 2, 1024, 64), Bank("activation", 2, 512, 64), Bank("output", 1, 256, 4),
        Bank("threshold stage 0", 2, 64, 21), Bank("threshold stage 1", 2, 128, 21),
    )  # fmt: skip
    assert [bank.bits for bank in banks(replace(DESIGN, kind="mac"))] == [192, 128, 4, 21, 21]


def test_machines_of_fewer_bits_have_fewer_stages() -> None:
    three, one = replace(DESIGN, max_act_bits=3), replace(DESIGN, max_act_bits=1)
    columns = {name: np.array([getattr(design, name) for design in (three, one)], np.int64) for name in NUMERIC}
    both = banks(Knobs(kind="array", dataflow="best", **columns))
    assert [(bank.count.tolist(), bank.depth.tolist()) for bank in both if "threshold" in bank.name] == [
        ([2, 2], [64, 64]), ([2, 0], [128, 128]), ([2, 0], [256, 256]),
    ]  # fmt: skip


def test_bismo_law_per_dot_product_unit() -> None:
    # 2 x 64 x 2, v2: 4 units of 1.17 * 64 + 44.1 = 118.98 LUT; BISMO's own total adds 120.1 a unit: 956.3.
    terms = resource_terms(Build.of(DESIGN), technology("zynq7020"))
    assert amount(terms, "xnor and popcount bits") + amount(terms, "shift and accumulate") == pytest.approx(4 * 118.98)
    assert 4 * (118.98 + technology("zynq7020")["post_lut"]) == pytest.approx(956.32)
    # One branch: nothing to combine.
    assert amount(terms, "branch combine adders") == 0
    # Ours has a result stage a row, not a unit.
    assert amount(terms, "threshold units") == pytest.approx(2 * 120.1)


def test_branches_in_space_are_combined_by_adders() -> None:
    # 2 x 3 lanes: 5 adders of log2(64) + 2 + 3 = 11 bits in each of 4 PEs.
    terms = resource_terms(Build.of(replace(DESIGN, lanes_a=2, lanes_w=3)), technology("zynq7020"))
    assert amount(terms, "branch combine adders") == 4 * 5 * 11
    assert amount(terms, "xnor and popcount bits") == pytest.approx(4 * 6 * 64 * 1.17)


def test_flip_flops_by_hand() -> None:
    terms = resource_terms(Build.of(DESIGN), technology("zynq7020"))
    # 4 PEs of 2 accumulators of 21 bits; operand registers of 2 rows and 2 columns; 64 lanes of 24; 2 posts; control.
    assert total(terms, unit="ff") == 4 * 2 * 21 + 64 * (2 + 2) + 64 * 24 + 2 * 21 + 3000


@pytest.mark.parametrize(
    ("depth", "bits", "blocks"),
    [(512, 72, 1), (512, 73, 2), (513, 36, 1), (1024, 37, 2), (1025, 36, 2), (2048, 72, 4), (300, 1, 1)],
)
def test_block_rams_of_a_bank(depth: int, bits: int, blocks: int) -> None:
    assert block_rams(Bank("b", 1, depth, bits)) == blocks


def test_shallow_banks_are_lutram() -> None:
    terms = resource_terms(Build.of(DESIGN), technology("zynq7020"))
    # Weight 1024 x 64: 2 blocks a row; activation 512 x 64: 1 a column; thresholds 64 and 128 x 21 and output 256 x 4 in LUTs.
    assert total(terms, unit="bram36") == 2 * 2 + 2 * 1
    assert amount(terms, "threshold stage 0 banks in LUTRAM") == 2 * 21
    assert amount(terms, "threshold stage 1 banks in LUTRAM") == 2 * 2 * 21
    assert amount(terms, "output banks in LUTRAM") == 4 * 4
    on_chip = resource_terms(Build.of(replace(DESIGN, memory="sram", memory_kib=9)), technology("zynq7020"))
    assert total(on_chip, unit="bram36") == 6 + 3


@pytest.mark.parametrize(("m", "k", "share"), [(3, 5, 0.0), (4, 4, 0.25), (2, 8, 0.5), (8, 8, 0.5), (1, 8, 0.0)])
def test_multipliers_share_dsp_slices(m: int, k: int, share: float) -> None:
    design = replace(DESIGN, kind="mac", max_act_bits=m, max_weight_bits=k)
    assert dsp_per_multiplier(design) == share
    terms = resource_terms(Build.of(design), technology("zynq7020"))
    assert total(terms, unit="dsp") == 4 * 64 * share
    # FINN's multiplier: (2 ceil((M + K) / 6) - 1)(M + K) LUTs.
    luts = {8: 24, 10: 30, 16: 80, 9: 27}[m + k]
    assert amount(terms, "multipliers in LUTs") == (0 if share else 4 * 64 * luts)


def test_asic_area_by_hand() -> None:
    terms = area_terms(Build.of(DESIGN), technology("asic45"))
    assert amount(terms, "accumulators, two each") == pytest.approx(4 * 2 * 21 * 5.98)
    assert amount(terms, "accumulate adders") == pytest.approx(4 * 21 * 179 / 32)
    assert amount(terms, "xnor bits") == pytest.approx(4 * 64 * 50.4 / 32)
    assert amount(terms, "popcount adders, W - 1 a branch") == pytest.approx(4 * 63 * 179 / 32)
    assert amount(terms, "threshold comparators") == pytest.approx(2 * 2 * 21 * 179 / 32)
    # 1024 entries of 8 bytes: the 8 KiB macro, twice; 256 entries of 4 bits are 128 bytes, the smallest.
    assert amount(terms, "weight banks") == pytest.approx(2 * 57510)
    assert amount(terms, "output banks") == pytest.approx(1500)
    assert {term.unit for term in terms} == {"um2"}


def test_asic_energy_by_hand() -> None:
    terms = energy_terms(ACTIVITY, Build.of(DESIGN), technology("asic45"))
    assert amount(terms, "xnor bits") == pytest.approx(600 * 64 * 0.018 / 32)
    assert amount(terms, "popcount adder bits") == pytest.approx(600 * 63 * 0.03 / 8)
    assert amount(terms, "accumulate, adder and register bits") == pytest.approx(600 * 21 * (0.03 / 8 + 0.009))
    assert amount(terms, "operand register bits") == pytest.approx(800 * 64 * 0.009)
    assert amount(terms, "threshold compare bits") == pytest.approx(50 * 21 * 0.03 / 8)
    assert amount(terms, "vector lane bits") == pytest.approx(40 * 64 * 24 * (0.03 / 8 + 0.009))
    # 500 reads of 64 bits from an 8 KiB bank; 10 words of 64 bits are 160 entries of 4 bits in a bank of 128 bytes.
    assert amount(terms, "weight buffer reads") == pytest.approx(500 * 6.392 * 2)
    assert amount(terms, "output buffer writes") == pytest.approx(160 * 0.925 * 4 / 32)
    # A comparison in each of 2 stages; of 3 thresholds a channel 1 in the first table, 2 in the second: 168 and 336 bytes.
    sram = technology("asic45").sram
    assert sram is not None
    assert amount(terms, "threshold stage 0 reads") == pytest.approx(25 * sram.read_energy(64, 21))
    assert amount(terms, "threshold stage 0 writes") == pytest.approx(2 * sram.write_energy(64, 21))
    assert amount(terms, "threshold stage 1 reads") == pytest.approx(25 * sram.read_energy(128, 21))
    assert amount(terms, "threshold stage 1 writes") == pytest.approx(4 * sram.write_energy(128, 21))
    assert amount(terms, "DRAM bits moved") == pytest.approx(3840 * 1300 / 64)
    assert amount(terms, "controller and clock, cycles") == 2000
    # 1000 cycles at 100 MHz are 10 us; 10 uW a KiB: KiB * 0.01 mW * 10 us = 0.1 nJ = 100 pJ a KiB.
    assert amount(terms, "SRAM KiB x time") == pytest.approx(100 * sram_kib(Build.of(DESIGN)))


def test_sram_of_the_machine_in_kib() -> None:
    # Weight 2 * 8 KiB, activation 2 * 4 KiB, thresholds 2 * (64 + 128) * 21 bits, output 256 * 4.
    buffers = 16 + 8 + (2 * 192 * 21 + 1024) / 8192
    assert sram_kib(Build.of(DESIGN)) == pytest.approx(buffers)
    assert sram_kib(Build.of(replace(DESIGN, memory="sram", memory_kib=100))) == pytest.approx(buffers + 100)
    assert sram_kib(Build.of(replace(DESIGN, memory_kib=100))) == pytest.approx(buffers)


def test_on_chip_memory_replaces_dram() -> None:
    design = replace(DESIGN, memory="sram", memory_kib=16)
    terms = energy_terms(ACTIVITY, Build.of(design), technology("asic45"))
    assert amount(terms, "on-chip bits read") == pytest.approx(3200 * 9.982 / 32)
    assert amount(terms, "on-chip bits written") == pytest.approx(640 * 8.421 / 32)
    assert not [term for term in terms if term.name == "DRAM bits moved"]


def test_mac_twin_pays_for_the_bits_it_was_built_for() -> None:
    terms = energy_terms(ACTIVITY, Build.of(replace(DESIGN, kind="mac")), technology("asic45"))
    assert amount(terms, "multiplier bits") == pytest.approx(600 * 64 * 6 * 0.2 / 64)
    assert amount(terms, "adder tree bits") == pytest.approx(600 * 63 * 6 * 0.03 / 8)
    # 500 plane words of 3-plane entries: 500 / 3 reads of 192 bits from 24 KiB, beyond the table: as 16 KiB.
    assert amount(terms, "weight buffer reads") == pytest.approx(500 / 3 * 9.982 * 192 / 32)


def test_fpga_energy_by_hand() -> None:
    terms = energy_terms(ACTIVITY, Build.of(DESIGN), technology("zynq7020"))
    # 600 steps of a PE of 118.98 LUTs at 0.2 pJ; block RAM per 36 bits.
    assert amount(terms, "LUT cycles of active PEs") == pytest.approx(600 * 118.98 * 0.2)
    assert amount(terms, "weight buffer accesses") == pytest.approx((500 + 30) * 12 * 64 / 36)
    # 120 mW over 10 us is 1.2 uJ.
    assert total(terms, component="leakage") == pytest.approx(1.2e6)


def test_output_words_are_stored_in_entries_of_the_output_buffer() -> None:
    """10 words of W bits, of codes or of raw sums alike, are 10 W / (R A) entries, each written and read."""
    words = Activity(actions=Actions(output_writes=10))
    for width in (16, 64, 128):
        design = replace(DESIGN, width=width, max_act_bits=8)
        terms = energy_terms(words, Build.of(design), technology("zynq7020"))
        entry = 2 * 8
        accesses = 2 * 10 * width / entry
        assert amount(terms, "output buffer accesses") == pytest.approx(accesses * 12 * entry / 36), width


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_terms_name_constants_that_exist(name: str) -> None:
    node = technology(name)
    for kind in ("array", "mac"):
        for memory in ("dram", "sram"):
            build = Build.of(replace(DESIGN, kind=kind, memory=memory, memory_kib=64))
            terms = energy_terms(ACTIVITY, build, node)
            terms += area_terms(build, node) if node.kind == "asic" else resource_terms(build, node)
            for term in terms:
                assert set(term.constants) <= {*node.constants, "sram", "fit"}, term
                # Units share registers in a flattened engine: what lies between them may be less than nothing.
                assert np.all(np.asarray(term.amount) >= 0) or term.name == "between the units", term
            keys = [(term.component, term.name, term.unit) for term in terms]
            assert len(keys) == len(set(keys))


def test_nothing_done_costs_only_nothing() -> None:
    for name in TECHNOLOGIES:
        assert total(energy_terms(Activity(), Build.of(DESIGN), technology(name))) == 0
