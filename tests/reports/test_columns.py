"""The column contract, worked by hand."""

import pandas as pd
import pytest

from reports.columns import AREA_PARTS, COLUMNS, LUT_PARTS, chosen, describe, known, values_of


@pytest.mark.parametrize(
    ("name", "heading", "direction"),
    [
        ("energy_nj", "Energy per inference (nJ)", "smaller"),
        ("latency_us", "Latency (µs)", "smaller"),
        ("area_mm2", "Area (mm²)", "smaller"),
        ("accuracy", "Accuracy (%)", "larger"),
        ("machine", "Machine", "none"),
    ],
)
def test_a_column_knows_its_heading_and_direction(name: str, heading: str, direction: str) -> None:
    assert (COLUMNS[name].heading, COLUMNS[name].direction) == (heading, direction)


def test_every_column_is_listed_under_its_own_name() -> None:
    assert all(name == column.name for name, column in COLUMNS.items())


def test_an_unknown_column_stands_for_itself() -> None:
    assert describe("my_own_knob").heading == "my own knob"


def test_a_column_that_is_not_there_reads_as_unknown() -> None:
    assert values_of(pd.DataFrame({"a": [1, 2]}), "energy_nj").isna().tolist() == [True, True]


def test_an_fpga_table_knows_logic_and_no_area() -> None:
    table = pd.DataFrame({"area_pe_mm2": [float("nan")], "lut_pe": [12.0]})
    assert known(table, AREA_PARTS) == ()
    assert [column.name for column in known(table, LUT_PARTS)] == ["lut_pe"]


def test_only_marked_rows_are_chosen_even_when_the_index_repeats() -> None:
    table = pd.DataFrame({"row": [3, 4, 5], "winner": [False, True, None]}, index=[0, 0, 0])
    assert chosen(table)["row"].tolist() == [4]
    assert len(chosen(table.drop(columns="winner"))) == 0
