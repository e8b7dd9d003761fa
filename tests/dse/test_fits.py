"""How wrong the fits are, held to what the documentation states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from dse.fits import BLOCKS, fit_table, shipped_fits, shipped_steps, width_steps
from hwmodels.areas import RESOURCES
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import WIDTHS, plan
from hwmodels.synthesis.table import DONE, Row, Table, shipped, shipped_table, shipped_widths


@pytest.fixture(scope="module")
def fits() -> pd.DataFrame:
    return shipped_fits()


def test_every_block_with_points_enough_is_held_out(fits: pd.DataFrame) -> None:
    for target in shipped():
        for resource in RESOURCES[shipped_table(target).head["kind"]]:
            found = fits[(fits["target"] == target) & (fits["resource"] == resource)]
            assert set(found["block"]) <= set(BLOCKS)
            assert {"pe", "pe_mac", "frame", "engine"} <= set(found["block"])


GOALS = {"area_um2": (0.02, 0.06), "lut": (0.03, 0.10), "ff": (0.02, 0.02)}
"""Median and worst error of points held out, by resource; the worst also where the largest are predicted from smaller ones."""

MISSED: dict[tuple[str, str, str], dict[str, float]] = {
    ("asap7", "area_um2", "grid"): {"median": 0.024, "worst": 0.10, "worst_largest": 0.09},
    ("sg13g2", "area_um2", "pe"): {"worst": 0.08},
    ("sky130hd", "area_um2", "pe"): {"worst": 0.065},
    ("sky130hd", "area_um2", "pe_mac"): {"worst": 0.10},
    ("sky130hd", "area_um2", "grid"): {"worst": 0.07},
    ("sky130hd", "area_um2", "columns"): {"worst": 0.08},
    ("ecp5", "lut", "pe"): {"worst": 0.17, "worst_largest": 0.11},
    ("ecp5", "lut", "pe_mac"): {"worst": 0.32},
    ("ecp5", "lut", "post_unit"): {"median": 0.035},
    ("ecp5", "ff", "engine"): {"worst": 0.03},
    **{
        (target, "lut", block): missed
        for target in ("xc7", "xcup")
        for block, missed in {
            "pe": {"worst_largest": 0.11},
            "pe_mac": {"median": 0.033, "worst": 0.21, "worst_largest": 0.11},
            "post_unit": {"median": 0.034, "worst": 0.13},
            "writer": {"median": 0.041},
        }.items()
    },
}
"""What a block may err where it misses a goal: little more than the documentation prints. A new target is held to the goals."""

UNSEEN = {
    ("area_um2", "pe"): 0.09, ("area_um2", "pe_mac"): 0.19, ("lut", "pe"): 0.19, ("lut", "pe_mac"): 0.35, ("ff", "pe"): 0.0,
    ("ff", "pe_mac"): 0.02,
}  # fmt: skip
"""The worst error at widths, or pairs of code widths, that no other point has."""


def limit(row: Mapping[str, Any], column: str) -> float:
    median, worst = GOALS[row["resource"]]
    goal = median if column == "median" else worst
    return MISSED.get((row["target"], row["resource"], row["block"]), {}).get(column, goal)


def test_fits_meet_the_goals_but_for_what_is_listed(fits: pd.DataFrame) -> None:
    over = [
        (row["target"], row["resource"], row["block"], column, round(row[column], 4))
        for row in fits.to_dict("records")
        for column in ("median", "worst", "worst_largest")
        if row[column] > limit(row, column)
    ]
    assert not over


def test_a_listed_miss_is_still_one(fits: pd.DataFrame) -> None:
    """Limits follow what is measured: a block that meets its goal is listed no longer."""
    known = fits.set_index(["target", "resource", "block"])
    for key, columns in MISSED.items():
        for column in columns if key[0] in shipped() else ():
            assert known.loc[key, column] > GOALS[key[1]][column != "median"], (key, column)


def test_widths_and_codes_that_no_point_has_are_near(fits: pd.DataFrame) -> None:
    for (resource, block), worst in UNSEEN.items():
        found = fits[(fits["resource"] == resource) & (fits["block"] == block)]
        assert (found["worst_unseen"] <= worst + 1e-9).all(), (resource, block)


def test_no_width_costs_out_of_line_with_the_next() -> None:
    """Synthesized width by width: what a bit more costs is between nothing (abc is luckier) and a tenth."""
    steps = shipped_steps()
    assert set(steps["target"]) == {table.head["target"] for table in shipped_widths()} != set()
    assert (steps["steps"] == len(WIDTHS) - 1).all()
    assert steps["step"].between(-0.06, 0.12).all()


def test_a_width_out_of_line_is_found() -> None:
    rows = [
        Row(point, DONE, Counts(lut=2 * point.design.width + (300 if point.design.width == 33 else 0)), 0.0, 0.0, "")
        for point in plan("widths", "fpga")
    ]
    table = width_steps(Table({"target": "toy", "kind": "fpga"}, tuple(rows)))
    assert table["to_width"].tolist() == [33, 34]
    assert table["step"].tolist() == pytest.approx([366 / 64 - 1, 68 / 366 - 1])
    assert table["steps"].tolist() == [23, 23]
    assert width_steps(Table({"target": "toy", "kind": "fpga"}, ())).empty


def test_a_table_without_every_block_has_no_fit() -> None:
    whole = shipped_table(shipped()[0])
    part = Table(whole.head, whole.done("pe"))
    assert fit_table(part).empty
