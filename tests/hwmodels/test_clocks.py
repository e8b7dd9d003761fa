"""Clock limits: fits of known paths, what second stages do, and machines that are too fast."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hwmodels.adders import adder_levels
from hwmodels.build import Build
from hwmodels.clocks import (
    PARTS,
    Clocks,
    delay_ps,
    engine_paths,
    fit_clocks,
    fitted_clocks,
    max_clock_mhz,
)
from hwmodels.design import Design
from hwmodels.knobs import of_designs
from hwmodels.mapping import Misfit
from hwmodels.models import evaluate
from hwmodels.structure import sum_bits
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import DONE, HEAD, Row, Table
from hwmodels.technology import technology
from workloads.zoo import NETWORKS

STEPS = {
    "counts": 400.0,
    "sum": 100.0,
    "accumulator": 90.0,
    "vector unit": 150.0,
    "columns": 150.0,
    "drain": 150.0,
    "plane order": 400.0,
}
"""Picoseconds of every feature but constants, by part; a constant is 100 ps."""


def known_delay(point: Point) -> float:
    """The longest of the parts, worked out feature by feature."""
    parts = PARTS[point.block]
    return max(
        sum(float(value) * (100.0 if name.startswith("constant") else STEPS[part]) for name, value in features(point.design).items())
        for part, features in parts.items()
    )  # fmt: skip


def known_table(points: list[Point]) -> Table:
    rows = tuple(Row(point, DONE, Counts(delay_ps=known_delay(point)), 0.0, 0.0, "") for point in points)
    return Table({**dict.fromkeys(HEAD, ""), "target": "known", "kind": "asic"}, rows)


def many_pes() -> list[Point]:
    """PEs of the plan, and more of them: every combination of stages. One of 64 branches has parts that no other point is as long in."""
    points = [point for point in plan("full", "asic") if point.block in PARTS]
    planned = [point for point in points if point.design.lanes_a * point.design.lanes_w <= 32]
    deep = [
        Point(point.block, replace(point.design, count_stages=c, sum_stages=s, acc_stages=a))
        for point in planned
        if point.block in ("pe", "pe_mac")
        for c, s, a in product((1, 2), repeat=3)
    ]
    return [point for point in planned if point.block not in ("pe", "pe_mac")] + deep


def test_known_paths_are_found_again() -> None:
    """Though only the longest path of every PE is known, and not which part it lies in."""
    table = known_table(many_pes())
    found = fit_clocks(table)
    assert found is not None
    errors = [abs(float(found.unit(row.point.block, row.point.design)) / delay_ps(row) - 1) for row in table.rows]
    assert max(errors) < 0.02
    assert float(np.median(errors)) < 1e-3


def test_no_fit_without_timed_pes() -> None:
    table = known_table([point for point in many_pes() if point.block != "pe_mac"])
    assert fit_clocks(table) is None
    untimed = replace(table, rows=tuple(replace(row, counts=Counts()) for row in table.rows))
    assert fit_clocks(untimed) is None


def test_after_place_and_route_the_clock_counts() -> None:
    row = Row(Point("drain", Design()), DONE, Counts(delay_ps=7.0, clock_mhz=200.0), 0.0, 0.0, "")
    assert delay_ps(row) == 5000.0


KNOWN = Clocks("known", {
    "pe": {
        "counts": {"popcount level": 400.0, "popcount level, halved": 250.0}, "sum": {"adder level": 200.0, "carry bit": 50.0},
        "accumulator": {"carry bit": 100.0},
    },
    "drain": {"drain": {"constant": 1500.0}},
})  # fmt: skip


def test_paths_by_hand() -> None:
    """32 wide, 4 x 2 lanes, 20-bit accumulator, 13-bit sum; eight branches are two numbers after four levels."""
    design = Design(
        rows=8, width=32, lanes_a=4, lanes_w=2, max_act_bits=4, max_weight_bits=4, weight_depth=128, port_bits=32
    )
    assert (design.acc_bits, sum_bits(design)) == (20, 13)
    paths = {"drain": 1500.0, "PE counts": 2000.0, "PE sum": 1450.0, "PE accumulator": 2000.0}
    assert KNOWN.paths(design) == pytest.approx(paths)
    deep = replace(design, count_stages=2, sum_stages=2, acc_stages=2)
    assert KNOWN.paths(deep) == pytest.approx(
        {"drain": 1500.0, "PE counts": 1250.0, "PE sum": 1050.0, "PE accumulator": 1000.0}
    )
    assert (float(KNOWN.unit("engine", design)), float(KNOWN.unit("engine", deep))) == (2000.0, 1500.0)


def test_the_frame_stands_for_all_units_but_the_order_of_planes() -> None:
    units = {
        "frame": {"frame": {"constant": 1000.0}},
        "sequencer": {"sequencer": {"constant": 900.0}, "plane order": {"pass": 400.0}},
    }
    paths = Clocks("known", {**KNOWN.coefficients, **units}).paths(Design(lanes_a=2, max_act_bits=7))
    assert {part for part in paths if "PE" not in part} == {"frame", "plane order"}
    assert (float(paths["frame"]), float(paths["plane order"])) == (1000.0, 1600.0)


def test_a_bank_that_was_timed_is_read_in_the_cycle_of_the_counts() -> None:
    design = Design(width=32, rows=8, port_bits=32)
    found = Clocks("known", {**KNOWN.coefficients, "bank": {"bank": {"constant": 700.0}}})
    assert float(found.paths(design)["weight bank and PE counts"]) == 2700.0
    assert "bank" not in found.paths(design)
    assert float(found.unit("whole", design)) == max(found.paths(design).values())


@pytest.mark.parametrize(("numbers", "levels"), [(1, 0), (2, 0), (3, 1), (4, 2), (8, 4), (9, 4), (10, 5), (256, 13)])
def test_three_numbers_become_two_at_every_level(numbers: int, levels: int) -> None:
    """By hand: 8 -> 6 -> 4 -> 3 -> 2."""
    assert adder_levels(numbers) == levels
    left = numbers
    for _ in range(levels):
        left = left // 3 * 2 + left % 3
    assert left <= 2


@pytest.mark.parametrize("kind", ["array", "mac"])
def test_many_machines_have_the_limits_of_single_ones(kind: str) -> None:
    node = technology("sg13g2")
    base = Design(kind=kind, rows=8, width=16, port_bits=16, technology="sg13g2")  # type: ignore[arg-type]
    designs = [
        base,
        replace(base, acc_stages=2, max_act_bits=2),
        replace(base, width=256, rows=256, port_bits=256, count_stages=2, weight_depth=32768),
    ]
    together = max_clock_mhz(replace(Build.of(base), knobs=of_designs(designs)), node)
    np.testing.assert_allclose(together, [float(max_clock_mhz(Build.of(design), node)) for design in designs])


def test_a_deep_bank_and_the_counts_behind_it_are_one_path() -> None:
    node, design = technology("sg13g2"), Design(weight_depth=65536, technology="sg13g2")
    paths = engine_paths(Build.of(design), node)
    assert paths["weight bank and PE counts"] > paths["activation bank and PE counts"] > paths["PE counts"]


@pytest.mark.parametrize("name", ["sg13g2"])
def test_second_stages_never_make_a_pe_slower(name: str) -> None:
    found = fitted_clocks(name)
    assert found is not None
    for point in plan("full", "asic"):
        if point.block in ("pe", "pe_mac"):
            one = replace(point.design, count_stages=1, sum_stages=1, acc_stages=1)
            assert found.unit(point.block, point.design) <= found.unit(point.block, one), point.name


def test_a_machine_that_is_too_fast_names_its_longest_path() -> None:
    network = NETWORKS["cifar_convnet"](m=1, k=1)
    with pytest.raises(
        Misfit, match=r"clock_mhz must be at most \d+(\.\d+)? in sg13g2 \(.+: [\d,]+ ps\), not 300"
    ) as caught:
        evaluate(
            network, Design(technology="sg13g2", clock_mhz=300.0, weight_depth=8192, act_depth=4096, out_depth=4096)
        )
    assert caught.value.reason == "clock_mhz"


def test_a_technology_without_timing_keeps_its_assumed_limit() -> None:
    node = technology("asic45")
    assert engine_paths(Build.of(Design()), node) == {}
    assert max_clock_mhz(Build.of(Design()), node) == 1000.0
