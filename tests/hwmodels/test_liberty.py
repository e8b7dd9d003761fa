"""The liberty reader on a text with every form of statement; cut anywhere, it says where."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from hwmodels.liberty import parse_liberty, read_liberty

TEXT = """/* a comment { with braces } */
library (demo) {
  technology (cmos) ;
  nom_voltage : 1.20 ;   // another
  define_cell_area (pad_drivers, pad_sites);
  cell(INV) { area : 2.5
    pin ("A[1:0]") { direction : input ; when : "A & !B"
      internal_power () { rise_power ("scalar") { values (0.5); } }
    };
    timing () { cell_rise (t) { values ("1,2", \\
        "3, 4"); } }
  }
  cell (BUF) { area : "3" ; }
}
"""


def test_groups_attributes_and_tables() -> None:
    library = parse_liberty(TEXT, "demo.lib")
    assert (library.name, library.arguments, library.line) == ("library", ("demo",), 2)
    assert (library.text("technology"), library.text("nom_voltage"), library.text("define_cell_area")) == (
        "cmos", "1.20", "pad_drivers pad_sites",
    )  # fmt: skip
    assert [(cell.arguments[0], cell.text("area"), cell.line) for cell in library.find("cell")] == [
        ("INV", "2.5", 6), ("BUF", "3", 13),
    ]  # fmt: skip
    pin = library.named("pin", "A[1:0]")
    assert pin is not None
    assert (pin.text("direction"), pin.text("when"), pin.text("nothing", "no")) == ("input", "A & !B", "no")
    assert next(pin.find("rise_power")).attributes == (("values", ("0.5",)),)
    assert next(library.find("cell_rise")).attributes == (("values", ("1,2", "3, 4")),)
    assert library.named("pin", "B") is None


@pytest.mark.parametrize("cut", range(len(TEXT.rstrip())))
def test_a_truncated_text_is_one_line_with_its_place(cut: int) -> None:
    with pytest.raises(ValueError, match=r"^demo\.lib: line \d+: [^\n]*must be ") as refusal:
        parse_liberty(TEXT[:cut], "demo.lib")
    line = int(str(refusal.value).split(": line ")[1].split(":")[0])
    assert line <= TEXT[:cut].count("\n") + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: must be a whole liberty file, but it ends within nothing"),
        ("module m;", "line 1: must be a liberty file, which begins with `library (...) {`, not 'module'"),
        ("library (x);", "line 1: must be a liberty file, but there is no group behind `library`"),
        ("library (x) {\n 7 : 1;\n}", "line 2: must be a name, not '7'"),
        ("library (x) {\n a 1;\n}", "line 2: `a` must be followed by `: value` or by whole `(arguments)`"),
        ("library (x) {\n cell (y) {\n", "it ends within group `cell (y)` of line 2"),
    ],
)
def test_what_is_no_liberty_file(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_liberty(text, "demo.lib")


def test_packed_files(tmp_path: Path) -> None:
    packed = gzip.compress(TEXT.encode())
    (tmp_path / "demo.lib.gz").write_bytes(packed)
    assert read_liberty(tmp_path / "demo.lib.gz") == parse_liberty(TEXT, "x")
    (tmp_path / "half.lib.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"half\.lib\.gz: must be a whole gzip file, but "):
        read_liberty(tmp_path / "half.lib.gz")
