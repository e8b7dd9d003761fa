"""How wrong the fits are, held to what the documentation states."""

from __future__ import annotations

import pandas as pd
import pytest

from dse.fits import BLOCKS, fit_table, shipped_fits
from hwmodels.areas import RESOURCES
from hwmodels.synthesis.table import Table, shipped, shipped_table


@pytest.fixture(scope="module")
def fits() -> pd.DataFrame:
    return shipped_fits()


def test_every_block_with_points_enough_is_held_out(fits: pd.DataFrame) -> None:
    for target in shipped():
        for resource in RESOURCES[shipped_table(target).head["kind"]]:
            found = fits[(fits["target"] == target) & (fits["resource"] == resource)]
            assert set(found["block"]) <= set(BLOCKS)
            assert resource == "dsp" or {"pe", "pe_mac", "frame", "engine"} <= set(found["block"])


def test_flip_flops_are_within_two_percent(fits: pd.DataFrame) -> None:
    found = fits[(fits["resource"] == "ff") & fits["block"].isin(["pe", "pe_mac", "frame", "engine"])]
    assert (found["worst"] <= 0.02).all()


LIMITS = {"pe": (0.02, 0.09), "pe_mac": (0.025, 0.09), "frame": (0.02, 0.03), "engine": (0.02, 0.03)}
"""Median and worst relative error of cell area."""


@pytest.mark.parametrize("block", LIMITS)
def test_areas_are_as_near_as_the_documentation_says(block: str, fits: pd.DataFrame) -> None:
    found = fits[(fits["resource"] == "area_um2") & (fits["block"] == block)]
    assert len(found)
    median, worst = LIMITS[block]
    assert (found["median"] <= median).all()
    assert (found["worst"] <= worst).all()


def test_a_table_without_every_block_has_no_fit() -> None:
    whole = shipped_table(shipped()[0])
    part = Table(whole.head, whole.done("pe"))
    assert fit_table(part).empty
