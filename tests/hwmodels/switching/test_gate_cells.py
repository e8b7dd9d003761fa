"""What liberty files say of a cell: functions, tables at any load and transition, and what cannot be used."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hwmodels.switching.expression import parse
from hwmodels.switching.simulation import cell_module
from tests.hwmodels.switching.toy import LIBRARY, toy_cells


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("!(A*B)", "not (a and b)"),
        ("A'+B C", "(not a) or (b and c)"),
        ("(A^B)&!C", "(a != b) and not c"),
        ("A|B*C", "a or (b and c)"),
        ("A^B C", "(a != b) and c"),
        ("(A+B)'", "not (a or b)"),
        ("!A'", "a"),
        ("1", "True"),
        ("0", "False"),
        ("((A * !B) + (!A * B))", "a != b"),
    ],
)
def test_functions_are_what_they_say(text: str, same: str) -> None:
    found = parse(text)
    for a, b, c in product((False, True), repeat=3):
        expected = eval(same, {"a": a, "b": b, "c": c})
        assert bool(found.of({"A": a, "B": b, "C": c})) == expected
        packed = {name: np.uint8(255 * bit) for name, bit in zip("ABC", (a, b, c), strict=True)}
        assert int(found.of(packed, np.uint8(255))) == 255 * expected


@pytest.mark.parametrize("text", ["A*", "(A", "A)", "A ? B", "", "*A"])
def test_what_is_no_function_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="function must"):
        parse(text)


def test_tables_are_bilinear_and_held_at_their_ends() -> None:
    inverter = toy_cells()["INV"].pins["Y"].powers[0].edges
    slews, loads = np.array([0.0, 0.5, 0.25, 2.0, 1.0]), np.array([0.0, 5.0, 10.0, 50.0, 0.0])
    assert inverter.rise.at(slews, loads) == pytest.approx([1.0, 4.0, 4.0, 7.0, 5.0])
    assert inverter.fall.at(slews, loads) == pytest.approx([2.0] * 5)


def test_units_are_those_of_the_file() -> None:
    other = (
        LIBRARY.replace("(1, pf)", "(1, ff)")
        .replace('"1nW"', '"1pW"')
        .replace('time_unit : "1ns"', 'time_unit : "1ps"')
    )
    cell = toy_cells(other)["INV"]
    assert cell.pins["A"].capacitance_ff == pytest.approx(0.002)
    assert cell.leakage_nw == pytest.approx(0.004)
    # Energies are in units of capacitance times V^2.
    assert cell.pins["Y"].powers[0].edges.rise.values[0, 0] == pytest.approx(0.001)
    assert cell.pins["Y"].powers[0].edges.rise.slews_ns.tolist() == pytest.approx([0.0, 0.001])


def test_a_flip_flop_as_verilog() -> None:
    text = cell_module(toy_cells()["DFF"])
    assert "always @(posedge clocked)" in text
    assert "assign QN = IQN;" in text


def test_cells_that_cannot_be_simulated_are_refused() -> None:
    with pytest.raises(ValueError, match="cell AND9: must be in the liberty files"):
        toy_cells()["AND9"]
    with pytest.raises(ValueError, match="cell INV: must be a gate or a flip-flop"):
        toy_cells(LIBRARY.replace('function : "!A";', ""))["INV"]
    with pytest.raises(ValueError, match="nom_voltage must be stated"):
        toy_cells(LIBRARY.replace("nom_voltage : 2;", ""))


def test_leakage_that_names_no_state_is_that_of_all_others() -> None:
    text = LIBRARY.replace(
        "cell_leakage_power : 1;",
        'pg_pin (VDD) { pg_type : "primary_power"; } pg_pin (VSS) { pg_type : "primary_ground"; }'
        ' leakage_power () { value : 0; related_pg_pin : "VSS"; } leakage_power () { value : 5; related_pg_pin : "VDD"; }',
    )
    assert toy_cells(text)["NAND2"].leakage_nw == 5.0
    assert toy_cells()["NAND2"].leakage_nw == 1.0
