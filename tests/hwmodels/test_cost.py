"""Cost: terms add up to it, and units are those of the names."""

from __future__ import annotations

from dataclasses import fields, replace
from math import isnan

import pytest

from hwmodels.activity import Activity, Cycles
from hwmodels.build import Build
from hwmodels.cost import Cost, price, silicon
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.silicon import area_terms, resource_terms
from hwmodels.technology import TECHNOLOGIES, technology
from hwmodels.terms import total
from workloads.actions import Actions

DESIGN = Design(rows=4, cols=2, width=32, lanes_a=2, max_act_bits=4, max_weight_bits=4, clock_mhz=50.0)
ACTIVITY = Activity(
    cycles=Cycles(compute_cycles=400, load_cycles=100),
    actions=Actions(accumulations=900, vector_words=7, threshold_compares=3, weight_reads=9, output_writes=2),
    memory_read_bits=3000, memory_write_bits=2000,
)  # fmt: skip
DESIGNS = [DESIGN, replace(DESIGN, kind="mac"), replace(DESIGN, memory="sram", memory_kib=40)]


def test_time_power_and_bandwidth_by_hand() -> None:
    cost = price(ACTIVITY, Build.of(DESIGN), technology("asic45"))
    # 500 cycles at 50 MHz are 10 us: 100,000 inferences a second; 5000 bits in 10 us are 0.5 Gbit/s.
    assert (cost.latency_cycles, cost.latency_us, cost.throughput_per_s) == (500, 10.0, pytest.approx(1e5))
    assert cost.bandwidth_gbit_s == pytest.approx(0.5)
    # nJ in us are mW.
    assert cost.power_mw == pytest.approx(cost.energy_nj / 10)


@pytest.mark.parametrize("name", TECHNOLOGIES)
@pytest.mark.parametrize("design", DESIGNS, ids=("array", "mac", "sram"))
def test_terms_sum_to_the_cost(name: str, design: Design) -> None:
    build, node = Build.of(design), technology(name)
    cost = price(ACTIVITY, build, node)
    energy = energy_terms(ACTIVITY, build, node)
    assert cost.energy_nj == pytest.approx(total(energy) / 1000)
    parts = ("pe", "post", "buffer", "memory", "control", "leakage")
    assert cost.energy_nj == pytest.approx(sum(getattr(cost, f"energy_{part}_nj") for part in parts))
    assert {term.component for term in energy} <= set(parts)
    if node.kind == "asic":
        area = area_terms(build, node)
        assert cost.area_mm2 == pytest.approx(total(area) / 1e6)
        names = ("pe", "post", "buffer", "memory", "control")
        assert cost.area_mm2 == pytest.approx(sum(getattr(cost, f"area_{part}_mm2") for part in names))
        assert {term.component for term in area} <= set(names)
    else:
        luts = total(resource_terms(build, node), unit="lut")
        assert luts <= cost.lut < luts + 1
        named = sum(getattr(cost, f"lut_{part}") for part in ("pe", "post", "buffer", "control"))
        assert cost.lut <= named < cost.lut + 4


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_columns_a_technology_does_not_have_are_nan_and_only_those(name: str) -> None:
    cost, asic = price(ACTIVITY, Build.of(DESIGN), technology(name)), technology(name).kind == "asic"
    for item in fields(Cost):
        missing = item.name.startswith("area") if not asic else item.name.startswith(("lut", "ff", "bram", "dsp"))
        assert isnan(getattr(cost, item.name)) == missing, item.name


def test_silicon_does_not_depend_on_the_work() -> None:
    for name in TECHNOLOGIES:
        node, build = technology(name), Build.of(DESIGN)
        cost = price(ACTIVITY, build, node)
        for column, value in silicon(build, node).items():
            assert getattr(cost, column) == pytest.approx(float(value), nan_ok=True)


def test_twice_the_work_is_twice_the_energy() -> None:
    for name in TECHNOLOGIES:
        once, twice = (price(work, Build.of(DESIGN), technology(name)) for work in (ACTIVITY, ACTIVITY + ACTIVITY))
        assert twice.energy_nj == pytest.approx(2 * once.energy_nj)
        assert twice.power_mw == pytest.approx(once.power_mw)


def test_a_faster_clock_leaks_less_and_takes_the_rest_unchanged() -> None:
    slow, fast = (
        price(ACTIVITY, Build.of(replace(DESIGN, clock_mhz=mhz)), technology("asic45")) for mhz in (50.0, 200.0)
    )
    assert slow.energy_leakage_nj == pytest.approx(4 * fast.energy_leakage_nj)
    assert slow.energy_pe_nj == fast.energy_pe_nj
    assert slow.latency_us == 4 * fast.latency_us
