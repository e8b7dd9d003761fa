"""Energies of circuits that can be worked by hand, from the toy library's numbers (fJ; a net takes 2 fJ a fF and toggle)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwmodels.switching.energy import switching
from hwmodels.switching.glitches import glitch_share, unit_delay_toggles
from hwmodels.switching.loads import INPUT_SLEW_NS, conditions
from hwmodels.switching.parts import parts
from tests.hwmodels.switching.toy import LIBRARY, netlist, toy_cells


def rows(*columns: str) -> np.ndarray:
    """(cycles, nets) of the nets from 2 on, each a text of bits over time; nets 0 and 1 are constant."""
    cycles = len(columns[0])
    return np.array([[bit == "1" for bit in one] for one in ("0" * cycles, "1" * cycles, *columns)]).T


def test_an_inverter_chain(tmp_path: Path) -> None:
    chain = netlist(tmp_path, {"a": 2}, {"y": 4}, ("INV", {"A": 2, "Y": 3}), ("INV", {"A": 3, "Y": 4}))
    found = conditions(chain, wire_ff=1.0)
    # A pin of 2 fF and its wire; the output drives nothing. Transitions: of the input, then the mean of 0.4 and 0.6.
    assert found.loads_ff[2:].tolist() == [3.0, 3.0, 0.0]
    assert found.slews_ns[2:].tolist() == [INPUT_SLEW_NS, 0.5, 0.5]
    energy = switching(chain, toy_cells(), found, rows("0110", "1001", "0110"))
    first = (1 + 4 * INPUT_SLEW_NS + 0.2 * 3.0) + 2.0  # a rise and a fall of the middle net
    second = (1 + 4 * 0.5 + 0.0) + 2.0  # of the output
    assert energy.cells[0].internal_fj == pytest.approx([first, second])
    # The input and the middle net toggle twice.
    assert energy.nets_fj[2:].tolist() == [2 * 2 * 3.0, 2 * 2 * 3.0, 0.0]
    assert energy.dynamic_fj == pytest.approx(first + second + 24.0)
    # Half of the time each input is up: 2 and 6 nW.
    assert energy.cells[0].leakage_nw.tolist() == [4.0, 4.0]


def test_a_gate_is_charged_to_the_inputs_that_changed(tmp_path: Path) -> None:
    gate = netlist(tmp_path, {"a": 2, "b": 3}, {"y": 4}, ("NAND2", {"A": 2, "B": 3, "Y": 4}))
    cells, found = toy_cells(), conditions(gate, wire_ff=0.0)

    def internal(a: str, b: str) -> float:
        y = "".join(str(1 - int(one) * int(other)) for one, other in zip(a, b, strict=True))
        return float(switching(gate, cells, found, rows(a, b, y)).cells[0].internal_fj[0])

    assert internal("01", "11") == pytest.approx(20.0)  # A makes it fall
    assert internal("11", "10") == pytest.approx(30.0)  # B makes it rise
    assert internal("01", "01") == pytest.approx((20.0 + 40.0) / 2)  # both at once
    # B moves and the output does not: B's own table, which holds while A is 0.
    assert internal("00", "01") == pytest.approx(0.5)
    assert internal("00", "10") == pytest.approx(0.25)
    assert internal("10", "11") == pytest.approx(10.0)


def test_a_table_without_a_state_holds_for_every_toggle(tmp_path: Path) -> None:
    stated = 'when : "!A"; rise_power (scalar)'
    assert LIBRARY.count(stated) == 1
    cells = toy_cells(LIBRARY.replace(stated, "rise_power (scalar)"))
    gate = netlist(tmp_path, {"a": 2, "b": 3}, {"y": 4}, ("NAND2", {"A": 2, "B": 3, "Y": 4}), library=cells)
    found = conditions(gate, wire_ff=0.0)

    def internal(a: str, b: str, y: str) -> float:
        return float(switching(gate, cells, found, rows(a, b, y)).cells[0].internal_fj[0])

    assert internal("11", "10", "01") == pytest.approx(30.0 + 0.25)  # B falls, and the output rises
    assert internal("11", "01", "10") == pytest.approx(40.0 + 0.5)  # the other way
    assert internal("00", "10", "11") == pytest.approx(0.25)  # B falls, and the output stays


def test_a_flip_flop_pays_for_its_clock(tmp_path: Path) -> None:
    register = netlist(tmp_path, {"clk_i": 2, "d": 3}, {"q": 4}, ("DFF", {"CK": 2, "D": 3, "Q": 4}))
    found = conditions(register, wire_ff=1.0)
    energy = switching(register, toy_cells(), found, rows("0000", "0110", "0011"))
    # Rising edges in the states (D, Q) = 00, 10, 11; falling ones in 10, 11, 01.
    assert energy.cells[0].clock_fj == pytest.approx([3 + 0 + 1 + 5 + 2 + 6])
    # Q rises once; D rises and falls while the clock is up.
    assert energy.cells[0].internal_fj == pytest.approx([10.0 + 0.5 + 0.25])
    # The clock's net, 2 fF, twice a cycle; D's net, 2 fF, twice in all.
    assert energy.clock_net_fj == pytest.approx(3 * 2 * 2 * 2.0)
    assert energy.nets_fj[3] == pytest.approx(2 * 2 * 2.0)
    assert energy.cycles == 3
    (register_part,) = (part for name, part in parts(register, energy).items() if not name.startswith("port"))
    assert (register_part.flip_flops, register_part.clock_fj) == (1, pytest.approx(17 + 24.0))


def test_a_state_is_read_from_the_output_that_is_used(tmp_path: Path) -> None:
    inverted = netlist(tmp_path, {"clk_i": 2, "d": 3}, {"q": 4}, ("DFF", {"CK": 2, "D": 3, "QN": 4}))
    energy = switching(inverted, toy_cells(), conditions(inverted, wire_ff=0.0), rows("0000", "0110", "1100"))
    assert energy.cells[0].clock_fj == pytest.approx([17.0])
    assert energy.cells[0].internal_fj == pytest.approx([10.75])


def test_simulations_add_up(tmp_path: Path) -> None:
    register = netlist(tmp_path, {"clk_i": 2, "d": 3}, {"q": 4}, ("DFF", {"CK": 2, "D": 3, "Q": 4}))
    found, seen = conditions(register, wire_ff=1.0), rows("000000", "011010", "001101")
    whole = switching(register, toy_cells(), found, seen)
    both = switching(register, toy_cells(), found, seen[:3]) + switching(register, toy_cells(), found, seen[2:])
    assert both.dynamic_fj == pytest.approx(whole.dynamic_fj)
    assert both.cycles == whole.cycles == 5


def test_a_late_input_makes_a_glitch(tmp_path: Path) -> None:
    # y = not (a and not a): it never moves, but the inverter is late, so that both inputs are 1 for a moment when a rises.
    hazard = netlist(tmp_path, {"a": 2}, {"y": 4}, ("INV", {"A": 2, "Y": 3}), ("NAND2", {"A": 2, "B": 3, "Y": 4}))
    seen = rows("010101010", "101010101", "111111111")
    assert unit_delay_toggles(hazard, seen).tolist()[2:] == [8, 8, 2 * 4]
    assert glitch_share(hazard, toy_cells(), conditions(hazard, wire_ff=1.0), seen) > 1
    with pytest.raises(ValueError, match="must settle to the next row"):
        unit_delay_toggles(hazard, rows("010101010", "101010101", "111101111"))


def test_a_tie_cell_only_leaks(tmp_path: Path) -> None:
    tied = netlist(tmp_path, {"a": 2}, {"y": 4}, ("TIE", {"Y": 3}), ("NAND2", {"A": 2, "B": 3, "Y": 4}))
    energy = switching(tied, toy_cells(), conditions(tied, wire_ff=0.0), rows("01", "11", "10"))
    tie = [group.cell.name for group in tied.cells].index("TIE")
    assert (energy.cells[tie].internal_fj.tolist(), energy.cells[tie].leakage_nw.tolist()) == ([0.0], [3.0])
    # A rises and makes the output fall; the tied net stays.
    assert energy.dynamic_fj == pytest.approx(20.0 + 2.0 * 1.0)
