"""Liberty files: what is in them, and one line on those that synthesis cannot use."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hwmodels.synthesis.liberty import check_libraries, library

CELLS = """
/* a comment with a brace { */
library (toy) {
  nom_voltage : 1.2;
  cell (INV) { area : 1.5; pin (Y) { function : "!A"; } }
  cell ("DFF") { area : 6; ff (IQ, IQN) { clocked_on : "CK"; } }
}
"""


def write(folder: Path, text: str, name: str = "toy.lib") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["toy.lib", "toy.lib.gz"])
def test_a_library_says_what_it_holds(tmp_path: Path, name: str) -> None:
    (found,) = check_libraries((write(tmp_path, CELLS, name),))
    assert (found.name, found.voltage_v) == ("toy", 1.2)
    assert (found.cells, found.sized, found.flip_flops) == (("INV", "DFF"), ("INV", "DFF"), ("DFF",))


def test_flip_flops_may_be_in_another_file(tmp_path: Path) -> None:
    gates = write(tmp_path, CELLS.replace("ff (IQ, IQN)", "dummy ()"), "gates.lib")
    with pytest.raises(ValueError, match="must hold flip-flops"):
        check_libraries((gates,))
    assert len(check_libraries((gates, write(tmp_path, CELLS, "flops.lib")))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module x; endmodule", "must be a liberty file"),
        (CELLS[: CELLS.rindex("cell")], "must be a whole liberty file"),
        ("library (empty) { }", "must hold cells"),
        (CELLS.replace("area : 1.5;", "").replace("area : 6;", ""), "cells must have an area, but only 0 of 2"),
    ],
)
def test_a_file_that_cannot_price_a_machine_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_libraries((write(tmp_path, text),))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.lib.gz"
    cut.write_bytes(gzip.compress(CELLS.encode() * 50)[:-20])
    for path in (cut, tmp_path / "missing.lib"):
        with pytest.raises(ValueError, match=str(path)):
            library(path)
