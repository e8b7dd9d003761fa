"""Macros read from liberty text by hand, the table that comes with the package, and the foundry's files where they are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodels.macros import Macro, read_macro, read_macros, shipped_macros, write_macros
from tests.conftest import SHARED

FOLDER = SHARED / "liberty" / "ihp-sg13g2"
LIBERTY = """library (small_c2_x) { nom_voltage : 1.2 ; nom_temperature : 25 ;
cell (small_c2_x) { area : 1000.5 ; cell_leakage_power : 12 ;
memory() { type : ram ; address_width : 6 ; word_width : 8 ; }
pin (A_CLK) { clock : true ;
  timing () { timing_type : min_pulse_width ; rise_constraint (c) { values ("0.2,0.3"); } }
  internal_power () { when : "A_MEN  & A_WEN  & !A_REN"; rise_power (s) { values (5.5); } fall_power (s) { values (0.5); } }
  internal_power () { when : "A_MEN  & !A_WEN & A_REN"; rise_power (s) { values (4); } fall_power (s) { values (0); } }
}
bus (A_DIN) { pin (A_DIN[7:0]) { internal_power () { when : "A_MEN"; rise_power (s) { values (0.3); } fall_power (s) { values (0.1); } } }
  timing () { timing_type : setup_rising ; rise_constraint (c) { values ("1,2,3", "4,5,6", "7,8,9"); } }
  timing () { timing_type : hold_rising ; rise_constraint (c) { values ("99"); } } }
bus (A_BIST_DIN) { timing () { timing_type : setup_rising ; rise_constraint (c) { values ("99"); } } }
bus (A_DOUT) { timing () { cell_rise (t) { values ("1,2,3,4", "5,6,7,8"); } cell_fall (t) { values ("1,1.5,3,4", "5,6,7,8"); } } }
} }
"""


def macro_of(text: str, folder: Path) -> Macro:
    (folder / "small.lib").write_text(text, encoding="utf-8")
    return read_macro(folder / "small.lib")


def test_a_macro_by_hand(tmp_path: Path) -> None:
    macro = macro_of(LIBERTY, tmp_path)
    assert (macro.words, macro.bits, macro.column_mux, macro.name) == (64, 8, 4, "64x8 /4")
    assert (macro.area_um2, macro.leakage_nw, macro.voltage_v, macro.temperature_c) == (1000.5, 12, 1.2, 25)
    assert (macro.read_energy_pj, macro.write_energy_pj, macro.data_pin_pj) == (4, 6, 0.2)
    # In the middle of 3 x 3, and of 2 x 4: the lower of two middles; the worse edge. BIST and hold do not count.
    assert (macro.setup_ns, macro.clock_to_q_ns, macro.min_pulse_ns) == (5, 2, 0.2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("area : 1000.5 ;", "", "line 2: `area` of `cell` must be a number, not ''"),
        (
            "cell (small_c2_x)",
            "cell (small)",
            "the cell's name must state its column address bits as _c2_, not 'small'",
        ),
        ("memory()", "memo()", "must hold a group `memory ()` in `cell` of line 2"),
        ("A_WEN  & !A_REN", "A_WEN", "line 4: must state internal_power when !A_REN & A_MEN & A_WEN"),
        ("area : 1000.5", "area : 0", "area_um2 must be above 0, not 0.0"),
        ("address_width : 6", "address_width : 1", "words must be a multiple of column_mux 4, not 2"),
        ("cell (small_c2_x)", "no (small_c2_x)", "must hold a group `cell ()` in `library` of line 1"),
    ],
)
def test_what_a_macro_must_state(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        macro_of(LIBERTY.replace(old, new), tmp_path)


def test_a_table_reads_back(tmp_path: Path) -> None:
    macros = shipped_macros()
    write_macros(macros[::-1], tmp_path / "table.csv")
    text = (tmp_path / "table.csv").read_text(encoding="utf-8")
    assert read_macros(text, "table.csv") == macros
    with pytest.raises(ValueError, match=r"^table.csv: must be a table with the columns words, bits, "):
        read_macros("a,b\n1,2\n", "table.csv")
    with pytest.raises(ValueError, match=r"^table.csv: line 2: .*'many'"):
        read_macros(text.replace("\n64,", "\nmany,", 1), "table.csv")


def test_macros_must_be_possible() -> None:
    with pytest.raises(ValueError, match="leakage_nw must be above 0, not -1"):
        replace(shipped_macros()[0], leakage_nw=-1.0)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the foundry's liberty files are no part of the repository")
def test_the_table_is_what_the_files_say() -> None:
    for macro in shipped_macros():
        assert read_macro(FOLDER / macro.file) == macro
