"""The flow still gives the numbers of the tables: a few quick points, synthesized again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwmodels.synthesis.table import Table, shipped, shipped_table
from hwmodels.synthesis.targets import FAMILIES, target
from hwmodels.synthesis.yosys import find_yosys, synthesize
from tests.conftest import SHARED, YOSYS_WHEEL

LIBERTY = {
    "sg13g2": ("ihp-sg13g2/sg13g2_stdcell_typ_1p20V_25C.lib.gz",),
    "sky130hd": ("sky130/sky130hd_tt.lib.gz",),
    "asap7": tuple(
        f"asap7/asap7sc7p5t_{name}.lib.gz"
        for name in (
            "AO_RVT_TT_nldm_211120", "INVBUF_RVT_TT_nldm_220122", "OA_RVT_TT_nldm_211120", "SEQ_RVT_TT_nldm_220123",
            "SIMPLE_RVT_TT_nldm_211120",
        )
    ),
}  # fmt: skip
"""In the order in which the table's origin names them."""
SAMPLE = (("pe", 0), ("pe_mac", 0), ("post_unit", 1), ("bank", 1))
"""Block, and which of its rows; banks of FPGAs only."""

pytestmark = pytest.mark.skipif(YOSYS_WHEEL is None, reason="needs Yosys: pip install pyosys")


def libraries(name: str) -> tuple[Path, ...]:
    return tuple(SHARED / "liberty" / path for path in LIBERTY.get(name, ()))


def same_tool(table: Table) -> bool:
    return table.head["tool"] == find_yosys(YOSYS_WHEEL).name


@pytest.mark.parametrize("name", [name for name in shipped() if name in FAMILIES or name in LIBERTY])
def test_points_come_out_as_in_the_table(name: str, tmp_path: Path) -> None:
    table = shipped_table(name)
    if not all(path.exists() for path in libraries(name)):
        pytest.skip(f"needs the liberty files of {name} under {SHARED}")
    if not same_tool(table):
        pytest.skip(f"the table is of {table.head['tool']}, this is {find_yosys(YOSYS_WHEEL).name}")
    aim = target(name, libraries(name))
    for block, number in SAMPLE:
        if not table.done(block):
            continue
        row = table.done(block)[number]
        folder = tmp_path / f"{block}{number}"
        folder.mkdir()
        found = synthesize(row.point, aim, find_yosys(YOSYS_WHEEL), folder, timeout_s=600)
        assert found.counts == replace(row.counts, clock_mhz=0.0), row.point.name


@pytest.mark.parametrize("name", ["ecp5", "ice40"])
def test_a_block_with_modules_left_out_is_synthesized(name: str, tmp_path: Path) -> None:
    """The flow of a family must not look for what a left-out module would need. Its flip-flops are those of another family."""
    known = next(row for row in shipped_table("xc7").done("grid") if row.point.design.cols == 1)
    found = synthesize(known.point, target(name), find_yosys(YOSYS_WHEEL), tmp_path, timeout_s=600)
    assert found.counts.ff == known.counts.ff
    assert found.counts.lut > 0
