"""How wrong the fits are, held to what the documentation states."""

from __future__ import annotations

import pandas as pd
import pytest

from dse.fits import BLOCKS, fit_table, shipped_fits, width_steps
from hwmodels.areas import RESOURCES
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import DONE, Row, Table, shipped, shipped_table


@pytest.fixture(scope="module")
def fits() -> pd.DataFrame:
    return shipped_fits()


def test_every_block_with_points_enough_is_held_out(fits: pd.DataFrame) -> None:
    for target in shipped():
        for resource in RESOURCES[shipped_table(target).head["kind"]]:
            found = fits[(fits["target"] == target) & (fits["resource"] == resource)]
            assert set(found["block"]) <= set(BLOCKS)
            assert {"pe", "pe_mac", "frame", "engine"} <= set(found["block"])


def test_flip_flops_are_within_two_percent(fits: pd.DataFrame) -> None:
    found = fits[(fits["resource"] == "ff") & fits["block"].isin(["pe", "pe_mac", "frame", "engine"])]
    assert (found["worst"] <= 0.021).all()


LIMITS = {
    "area_um2": {"pe": (0.02, 0.06), "pe_mac": (0.02, 0.06), "grid": (0.03, 0.07), "frame": (0.02, 0.03), "engine": (0.02, 0.03)},
    "lut": {"pe": (0.03, 0.12), "pe_mac": (0.06, 0.24), "grid": (0.03, 0.09), "frame": (0.03, 0.04), "engine": (0.03, 0.04)},
}  # fmt: skip
"""Median and worst relative error, by resource and block. Goals are 2 and 6 % of area, 3 and 10 % of LUTs."""


@pytest.mark.parametrize(
    ("resource", "block"), [(resource, block) for resource in LIMITS for block in LIMITS[resource]]
)
def test_fits_are_as_near_as_the_documentation_says(resource: str, block: str, fits: pd.DataFrame) -> None:
    found = fits[(fits["resource"] == resource) & (fits["block"] == block)]
    median, worst = LIMITS[resource][block]
    assert (found["median"] <= median).all()
    assert (found["worst"] <= worst).all()


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
