"""What OpenSTA is told and what its report says; and, where an `sta` is on the PATH, that it prices toggles as we do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hwmodels.switching.cells import Cells, read_cells
from hwmodels.switching.energy import Bits, switching
from hwmodels.switching.loads import INPUT_SLEW_NS, conditions
from hwmodels.switching.netlist import Netlist
from hwmodels.switching.simulation import structure
from hwmodels.tool_error import ToolError
from tests.conftest import SHARED
from tests.hwmodels.switching.opensta import CURRENT, PERIOD_NS, Power, power, read_report, script, sta_version
from tests.hwmodels.switching.toy import LIBRARY, netlist, toy_cells

LIBERTIES = {
    "sg13g2": SHARED / "liberty" / "ihp-sg13g2" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz",
    "sky130hd": SHARED / "liberty" / "sky130" / "sky130hd_tt.lib.gz",
}

REPORT = """
Group                  Internal  Switching    Leakage      Total
                          Power      Power      Power      Power (Watts)
----------------------------------------------------------------
Sequential             3.29e-04   3.41e-05   2.37e-07   3.63e-04  36.5%
Combinational          1.86e-04   3.09e-04   1.50e-07   4.94e-04  49.7%
Clock                  4.67e-05   9.04e-05   6.06e-09   1.37e-04  13.8%
Macro                  0.00e+00   0.00e+00   0.00e+00   0.00e+00   0.0%
Pad                    0.00e+00   0.00e+00   0.00e+00   0.00e+00   0.0%
----------------------------------------------------------------
Total                  5.61e-04   4.33e-04   3.93e-07   9.95e-04 100.0%
                          56.4%      43.6%       0.0%
"""


def chain(folder: Path) -> tuple:
    found = netlist(folder, {"a": 2}, {"y": 4}, ("INV", {"A": 2, "Y": 3}), ("INV", {"A": 3, "Y": 4}))
    columns = ("00000", "11111", "01100", "10011", "01100")
    return found, np.array([[bit == "1" for bit in one] for one in columns]).T


def test_totals_of_a_report() -> None:
    found = read_report(REPORT)
    assert (found.internal_w, found.switching_w, found.leakage_w) == (5.61e-4, 4.33e-4, 3.93e-7)


@pytest.mark.parametrize(
    "line",
    ['invalid command name "get_pins_error"', "Error: power.tcl line 7, no clocks.", "Warning: instance u1 not found."],
)
def test_an_error_in_the_log_is_an_error(line: str) -> None:
    with pytest.raises(ToolError, match="sta: "):
        read_report(f"{line}\n{REPORT}")
    with pytest.raises(ToolError, match="must have a line of totals"):
        read_report("")


def test_every_driven_net_has_an_activity(tmp_path: Path) -> None:
    found, rows = chain(tmp_path)
    lines = script(found, rows, ["toy.lib"], 0.1, pins=True).splitlines()
    said = [line for line in lines if line.startswith("set_power_activity")]
    # Two toggles in four cycles; the input and its second inverse are up in two of them.
    assert said[0] == "set_power_activity -input_ports [get_ports n2] -activity 0.5 -duty 0.5"
    assert [line.split("[get_pins ")[1].split("]")[0].split("_")[1] for line in said[1:]] == ["0/Y", "1/Y"]
    assert all(line.split("get_pins ")[1].split("/")[0] in structure(found) for line in said[1:])
    assert "create_clock -name clock -period 10" in lines


def test_an_old_build_is_told_of_ports_only(tmp_path: Path) -> None:
    found, rows = chain(tmp_path)
    lines = script(found, rows, ["toy.lib"], 0.1, pins=False).splitlines()
    assert "set_power_activity -input_ports [get_ports n2] -activity 0.5 -duty 0.5" in lines
    assert "set_input_delay 0 -clock clock [get_ports n2]" in lines
    assert not any("-pins" in line or "set_cmd_units" in line for line in lines)


def compared(found: Netlist, cells: Cells, rows: Bits, libraries: Sequence[Path], folder: Path) -> tuple[Power, Power]:
    """Ours and OpenSTA's, of cells and the nets that they drive: a net that a port drives is nobody's in OpenSTA."""
    ours = switching(found, cells, conditions(found, wire_ff=0.0), rows)
    watts = 1e-15 / (ours.cycles * PERIOD_NS * 1e-9)
    ports = {net for bits in found.sources.values() for net in bits}
    nets = sum(energy for net, energy in enumerate(ours.nets_fj) if net not in ports)
    inside = sum(one.internal_fj.sum() + one.clock_fj.sum() for one in ours.cells)
    return Power(inside * watts, nets * watts, ours.leakage_nw * 1e-9), power(
        found, rows, libraries, INPUT_SLEW_NS, folder
    )


def test_opensta_agrees_on_a_toy(tmp_path: Path) -> None:
    if sta_version() < CURRENT:
        pytest.skip(f"needs OpenSTA {'.'.join(map(str, CURRENT))} or later (sta on the PATH)")
    found, rows = chain(tmp_path)
    (tmp_path / "toy.lib").write_text(LIBRARY, encoding="utf-8")
    ours, theirs = compared(found, toy_cells(), rows, [tmp_path / "toy.lib"], tmp_path)
    assert theirs.internal_w == pytest.approx(ours.internal_w, rel=0.05)
    assert theirs.switching_w == pytest.approx(ours.switching_w, rel=0.01)
    assert theirs.leakage_w == pytest.approx(ours.leakage_w, rel=0.01)


@pytest.mark.skipif(not sta_version(), reason="needs OpenSTA (sta on the PATH)")
@pytest.mark.parametrize(
    ("library", "inverters"),
    [("sg13g2", ("sg13g2_inv_1", "sg13g2_inv_4")), ("sky130hd", ("sky130_fd_sc_hd__inv_1", "sky130_fd_sc_hd__inv_4"))],
)
def test_opensta_agrees_on_inverters_of_a_foundry(library: str, inverters: tuple[str, str], tmp_path: Path) -> None:
    """Small ones that drive large ones and large ones that drive small ones: tables at several loads and transitions.

    OpenSTA takes the larger capacitance of a pin's two edges, ours is the one that the pin states for both.
    """
    path = LIBERTIES[library]
    if not path.exists():
        pytest.skip(f"needs {path}")
    cells, (small, large) = read_cells([path]), inverters
    kinds = (small, large, small, small, large, large, small)
    nets = ({"A": place + 2, "Y": place + 3} for place in range(len(kinds)))
    found = netlist(tmp_path, {"a": 2}, {"y": len(kinds) + 2}, *zip(kinds, nets, strict=True), library=cells)
    up = np.resize([False, True], (41, 1)) ^ (np.arange(len(kinds) + 3) % 2 == 0)
    ours, theirs = compared(found, cells, up, [path], tmp_path)
    assert theirs.internal_w == pytest.approx(ours.internal_w, rel=0.01)
    assert theirs.switching_w == pytest.approx(ours.switching_w, rel=0.05)
    assert theirs.leakage_w == pytest.approx(ours.leakage_w, rel=0.01)
