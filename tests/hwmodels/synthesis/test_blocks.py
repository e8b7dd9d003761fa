"""Which files a point reads, and when two points are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodels.design import Design
from hwmodels.synthesis.blocks import BLOCKS, Point, design_of
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import WIDTHS, plan
from hwmodels.synthesis.table import COLUMNS, DONE, HEAD, Row, head_text, parse_table, row_text

SMALL = Design(rows=4, cols=2, width=16, port_bits=16)


def test_a_point_reads_only_what_its_top_is_made_of() -> None:
    assert list(Point("pe", SMALL).files()) == ["popcount.sv", "accumulator.sv", "pe.sv"]
    assert list(Point("drain", SMALL).files()) == ["dse_pkg.sv", "drain.sv"]
    frame = Point("frame", SMALL)
    assert "popcount.sv" not in frame.files()
    assert frame.reading()[0] == "read_verilog -sv -lib bank.sv pe.sv pe_mac.sv"


def test_equal_content_is_the_same_point() -> None:
    point = Point("pe", SMALL)
    # A PE does not depend on the grid around it, but on its width and on the tool.
    assert point.digest("Yosys 1") == Point("pe", replace(SMALL, rows=8, cols=5)).digest("Yosys 1")
    assert point.digest("Yosys 1") != Point("pe", replace(SMALL, width=32, rows=4, port_bits=32)).digest("Yosys 1")
    assert point.digest("Yosys 1") != point.digest("Yosys 2")


@pytest.mark.parametrize("name", ["full", "small"])
def test_a_plan_holds_every_block_and_no_point_twice(name: str) -> None:
    points = plan(name, "fpga", routed=True)
    assert {point.block for point in points} == set(BLOCKS) - {"array"}
    assert len({point.digest("") for point in points}) == len(points)
    assert {point.block for point in plan(name, "asic")} == set(BLOCKS) - {"bank", "array", "whole"}


def test_neighbouring_widths_differ_in_nothing_else() -> None:
    points = plan("widths", "fpga")
    assert [point.design.width for point in points] == list(WIDTHS)
    assert {point.block for point in points} == {"pe"}
    assert len({replace(point.design, rows=8, width=8, port_bits=8) for point in points}) == 1


def test_blocks_that_do_not_fit_the_design_are_refused() -> None:
    with pytest.raises(ValueError, match="block must be one of"):
        Point("alu", SMALL)
    with pytest.raises(ValueError, match="needs a design of kind mac"):
        Point("pe_mac", SMALL)


def test_a_table_reads_what_it_wrote() -> None:
    rows = [
        Row(point, DONE, Counts(lut=7, area_um2=1.25), 0.5, 0.2, point.digest("x")) for point in plan("small", "fpga")
    ]
    text = head_text(dict.fromkeys(HEAD, "word")) + "".join(row_text(row) for row in rows)
    assert parse_table(text, "t").rows == tuple(
        replace(row, point=Point(row.point.block, design_of(row.cells()))) for row in rows
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# tool: word\n", "", "its head has no tool"),
        ("block,kind", "blok,kind", "must have the columns"),
        (",done,", ",perhaps,", "line 10: status must be one of done, unrouted, failed"),
        (",array,", ",array,9,", "line 10: must have"),
        ("pe,array,16", "pe,array,x", "line 10: invalid literal"),
    ],
)
def test_a_broken_table_is_refused_by_line(old: str, new: str, message: str) -> None:
    row = Row(Point("pe", replace(SMALL, rows=16)), DONE, Counts(), 0.5, 0.2, "digest")
    text = head_text(dict.fromkeys(HEAD, "word")) + row_text(row)
    assert old in text
    with pytest.raises(ValueError, match=message):
        parse_table(text.replace(old, new), "t")


def test_half_a_last_line_is_dropped() -> None:
    row = Row(Point("pe", SMALL), DONE, Counts(), 0.5, 0.2, "digest")
    text = head_text(dict.fromkeys(HEAD, "word")) + row_text(row) + row_text(row)[:20]
    assert len(parse_table(text, "t").rows) == 1
    assert len(COLUMNS) == row_text(row).count(",") + 1
