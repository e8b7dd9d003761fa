"""What counts mean, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwmodels.synthesis.counts import Counts, read_counts
from hwmodels.synthesis.targets import target


def counted(folder: Path, family: str, cells: dict[str, int]) -> Counts:
    """As Yosys writes them, with a line before."""
    (folder / "counts.json").write_text("\n" + json.dumps({"design": {"num_cells_by_type": cells}}))
    return read_counts(folder, target(family))


def test_cells_are_weighed_by_what_they_take(tmp_path: Path) -> None:
    assert counted(tmp_path, "xc7", {"LUT6": 3, "CARRY4": 2, "FDRE": 5, "RAM64M": 2, "RAMB36E1": 1}) == Counts(
        lut=3, carry=2, ff=5, lutram=8, ram_kbit=36
    )
    assert counted(tmp_path, "xcup", {"RAMB18E2": 2, "CARRY8": 1, "URAM288": 1}) == Counts(ram_kbit=324, carry=1)
    assert counted(tmp_path, "ecp5", {"LUT4": 3, "CCU2C": 2, "TRELLIS_DPR16X4": 1}) == Counts(lut=7, carry=2, lutram=6)


def test_a_design_that_was_swept_away_is_no_result(tmp_path: Path) -> None:
    """As an UltraScale+ memory was whose block RAM nobody had declared."""
    with pytest.raises(ValueError, match="it gave no cells at all"):
        counted(tmp_path, "xcup", {})
