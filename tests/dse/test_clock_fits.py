"""How wrong the clock limits are, held to what the documentation states."""

from __future__ import annotations

import pandas as pd
import pytest

from dse.clock_fits import clock_table, shipped_clocks
from hwmodels.synthesis.table import Table, shipped_table

GOAL = 0.10
"""Median relative error of the longest path of a PE, a multiplier PE or an engine, held out."""
LIMITS = {
    "pe": (0.05, 0.26), "pe_mac": (0.04, 0.45), "vector_unit": (0.08, 0.29), "columns": (0.14, 0.24), "sequencer": (0.05, 0.42),
    "drain": (1e-6, 1e-6), "loader": (0.06, 0.09), "writer": (0.03, 0.07), "controller": (0.05, 0.16), "frame": (0.03, 0.06),
    "engine": (0.03, 0.07),
}  # fmt: skip
"""Median and worst by block, a little above the worst of any target: what is measured, not a goal."""
ROUTED = {
    "pe": (0.06, 0.30), "pe_mac": (0.07, 0.40), "vector_unit": (0.09, 0.22), "columns": (0.03, 0.07), "sequencer": (0.21, 0.60),
    "drain": (1e-6, 1e-6), "bank": (0.31, 0.85), "loader": (0.01, 0.01), "writer": (0.03, 0.06), "controller": (0.01, 0.02),
    "whole": (0.15, 0.15),
}  # fmt: skip
"""The same after place and route."""
MISSED = {("ecp5", "sequencer"), ("ecp5", "bank"), ("ecp5", "whole"), ("sky130hd", "columns")}
"""Blocks whose median misses the goal."""


@pytest.fixture(scope="module")
def clocks() -> pd.DataFrame:
    return shipped_clocks()


def test_longest_paths_are_within_ten_percent_but_for_what_is_listed(clocks: pd.DataFrame) -> None:
    over = {(row.target, row.block) for row in clocks.itertuples() if row.median > GOAL}
    assert over == MISSED
    assert {"pe", "pe_mac"} <= set(clocks["block"])


def test_no_block_is_further_off_than_the_documentation_says(clocks: pd.DataFrame) -> None:
    for row in clocks.itertuples():
        median, worst = (LIMITS if shipped_table(row.target).head["router"] == "none" else ROUTED)[row.block]
        assert row.median <= median, row
        assert row.worst <= worst, row


def test_errors_are_of_predictions_not_of_the_fit(clocks: pd.DataFrame) -> None:
    """No block is predicted without error, but for the drain, which is one of two circuits."""
    assert (clocks[clocks["block"] != "drain"]["worst"] > 0.001).all()
    assert (clocks["median"] <= clocks["p95"]).all()
    assert (clocks["p95"] <= clocks["worst"]).all()


def test_two_whole_engines_are_compared_though_they_are_fewer_than_thirds() -> None:
    wholes = clock_table(shipped_table("ecp5")).set_index("block").loc["whole"]
    assert wholes["points"] == 2
    assert wholes["worst"] == wholes["worst_slowest"] > 0


def test_a_table_without_timed_pes_has_no_errors() -> None:
    whole = shipped_table("sg13g2")
    assert clock_table(Table(whole.head, whole.done("frame"))).empty
