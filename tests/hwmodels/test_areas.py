"""Fits: the solver against brute force, known coefficients found again, and what the shipped tables say."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from hwmodels.areas import PARTS, RANGE, RESOURCES, Fit, Uneven, fit, fitted, measured, non_negative
from hwmodels.design import Design
from hwmodels.structure import ONLY, REGISTER, UNEVEN, UNITS, counts, stage_bits
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import DONE, HEAD, Row, Table, shipped, shipped_table
from hwmodels.technology import TECHNOLOGIES, technology


def best_subset(matrix: np.ndarray, values: np.ndarray) -> float:
    """The least residual over every set of columns whose least squares are not negative."""
    columns, best = matrix.shape[1], float(values @ values)
    for size in range(1, columns + 1):
        for chosen in combinations(range(columns), size):
            part = matrix[:, chosen]
            x = np.linalg.lstsq(part, values, rcond=None)[0]
            if (x >= 0).all():
                best = min(best, float(np.sum((part @ x - values) ** 2)))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_non_negative_least_squares_are_the_best_of_every_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, values = rng.normal(size=(12, 5)) + 0.3, rng.normal(size=12) + 0.5
    x = non_negative(matrix, values)
    assert (x >= 0).all()
    assert float(np.sum((matrix @ x - values) ** 2)) == pytest.approx(best_subset(matrix, values), rel=1e-9)


def built_of(unit: str, design: Design, resource: str) -> float:
    """Features of a unit that a resource is fitted with, added up."""
    others = frozenset().union(*(ONLY[name] for name in ONLY if name != resource))
    return sum(float(value) for name, value in UNITS[unit](design).items() if name not in others)


def known_table() -> Table:
    """A table of machines whose every feature costs 3, glue 1."""
    rows = []
    for point in plan("full", "asic"):
        units = counts(point.design) if point.block in PARTS else {point.block: 1}
        named = {unit: many for unit, many in units.items() if unit in PARTS.get(point.block, units)}
        area = sum(
            many * (1 if unit == "glue" else 3) * built_of(unit, point.design, "area_um2")
            for unit, many in named.items()
        )
        rows.append(Row(point, DONE, Counts(area_um2=area, ff=1), 0.0, 0.0, ""))
    return Table({**dict.fromkeys(HEAD, ""), "target": "known", "kind": "asic"}, tuple(rows))


def test_known_costs_are_found_again() -> None:
    table = known_table()
    found = fit(table)
    for row in table.rows:
        predicted = float(found.block("area_um2", row.point.block, row.point.design))
        assert predicted == pytest.approx(measured(row, "area_um2"), rel=1e-6), row.point.name


def uneven_table() -> Table:
    """LUTs of 2 a feature, and beside them at every other width one more an xnor bit, at other code widths half a partial product."""
    rows = []
    for point in plan("full", "fpga"):
        units = counts(point.design) if point.block in PARTS else {point.block: 1}
        named = {unit: many for unit, many in units.items() if unit in PARTS.get(point.block, units) and unit in UNITS}
        luts = sum(
            many * (2 * built_of(unit, point.design, "lut") + beside(unit, point.design))
            for unit, many in named.items()
            if unit != "glue"
        )
        rows.append(Row(point, DONE, Counts(lut=round(luts), ff=1), 0.0, 0.0, ""))
    return Table({**dict.fromkeys(HEAD, ""), "target": "uneven", "kind": "fpga"}, tuple(rows))


def beside(unit: str, design: Design) -> float:
    """What the table alone can know."""
    if unit not in UNEVEN:
        return 0.0
    dear = int(UNEVEN[unit].place(design)) % 48 == 0
    return float(dear * (1.0 if unit == "pe" else 0.5) * UNEVEN[unit].bits(design))


def test_what_is_not_smooth_comes_from_the_table() -> None:
    table = uneven_table()
    found = fit(table)
    for row in table.rows:
        if row.point.block in UNEVEN:
            predicted = float(found.block("lut", row.point.block, row.point.design))
            assert predicted == pytest.approx(measured(row, "lut"), rel=0.02), row.point.name


def test_between_the_places_of_a_table_it_is_linear_and_beyond_them_the_same() -> None:
    uneven = Uneven((8.0, 16.0), (1.0, 3.0))
    assert uneven.at(np.array([4, 8, 10, 16, 64])).tolist() == [1.0, 1.0, 1.5, 3.0, 3.0]
    found = Fit("t", {"lut": {"pe": {"branch": 5.0}}, "ff": {"pe": {}}}, {"lut": {"pe": uneven}}, {})
    design = Design(rows=10, width=10, port_bits=10, lanes_a=2)
    assert found.unit("lut", "pe", design) == 2 * 5.0 + 2 * 10 * 1.5
    assert found.unit("ff", "pe", design) == 0


def test_a_fit_needs_every_unit() -> None:
    table = known_table()
    with pytest.raises(ValueError, match="there is none of writer"):
        fit(table, [row for row in table.rows if row.point.block != "writer"])
    with pytest.raises(ValueError, match="a finished frame or engine"):
        fit(table, [row for row in table.rows if row.point.block not in PARTS])


def test_machines_beyond_the_points_are_outside() -> None:
    found = fit(known_table())
    assert set(found.ranges) == set(RANGE)
    inside = Design(rows=8, cols=4, width=32)
    assert not found.outside(inside)
    for knob, value in (("cols", 64), ("width", 512), ("rows", 1024)):
        changed = replace(inside, **{knob: value, **({"rows": 512, "port_bits": 512} if knob == "width" else {})})  # type: ignore[arg-type]
        assert found.outside(changed), knob


@pytest.mark.parametrize("target", shipped())
def test_flip_flops_of_a_pe_are_counted_not_guessed(target: str) -> None:
    """One for every bit of the counts, of the sum, of the accumulator and of second stages: synthesis finds the same."""
    table = shipped_table(target)
    for row in table.done("pe"):
        k = row.point.design
        assert row.counts.ff == UNITS["pe"](k)[REGISTER], row.point.name
        counted = (
            k.lanes_a * k.lanes_w * k.width.bit_length() + k.width.bit_length() + k.lanes_a + k.lanes_w + 1 + k.acc_bits
        )
        assert row.counts.ff == counted + stage_bits(k), row.point.name


@pytest.mark.parametrize("target", shipped())
def test_terms_of_a_shipped_fit_are_never_negative_and_grow(target: str) -> None:
    found, small = fitted(target), Design(rows=8, cols=4, width=16, port_bits=16, max_act_bits=4, max_weight_bits=4)
    main = RESOURCES[shipped_table(target).head["kind"]][0]
    for larger in (
        replace(small, rows=16),
        replace(small, cols=8),
        replace(small, lanes_a=2),
        replace(small, max_act_bits=8),
    ):
        assert 0 < found.block(main, "engine", small) < found.block(main, "engine", larger)


@pytest.mark.parametrize("target", shipped())
def test_neighbouring_widths_cost_in_line(target: str) -> None:
    """Measured cost per xnor bit of a PE may not jump from one width to the next; per bit, wider is not dearer."""
    main = RESOURCES[shipped_table(target).head["kind"]][0]
    model = fitted(target)
    for width in range(8, 128):
        one, next_one = (
            float(model.unit(main, "pe", Design(rows=w, width=w, port_bits=w, max_act_bits=4, max_weight_bits=4)))
            for w in (width, width + 1)
        )
        assert 0.95 < next_one / one < 1.15, width


def test_technologies_of_fits_have_a_table() -> None:
    nodes = [node for node in map(technology, TECHNOLOGIES) if node.fit]
    assert {"sg13g2", "xc7"} <= {node.fit for node in nodes} <= set(shipped())
    assert all(node.kind == shipped_table(node.fit).head["kind"] for node in nodes)
