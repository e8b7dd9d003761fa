"""What OpenSTA is told and what its report says; and, where a current `sta` is on the PATH, that it prices toggles as we do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwmodels.switching.energy import switching
from hwmodels.switching.loads import INPUT_SLEW_NS, conditions
from hwmodels.switching.simulation import structure
from hwmodels.tool_error import ToolError
from tests.hwmodels.switching.opensta import OLDEST, PERIOD_NS, power, read_report, script, sta_version
from tests.hwmodels.switching.toy import LIBRARY, netlist, toy_cells

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
    lines = script(found, rows, [Path("toy.lib")], 0.1).splitlines()
    said = [line for line in lines if line.startswith("set_power_activity")]
    # Two toggles in four cycles; the input and its second inverse are up in two of them.
    assert said[0] == "set_power_activity -input_ports [get_ports n2] -activity 0.5 -duty 0.5"
    assert [line.split("[get_pins ")[1].split("]")[0].split("_")[1] for line in said[1:]] == ["0/Y", "1/Y"]
    assert all(line.split("get_pins ")[1].split("/")[0] in structure(found) for line in said[1:])
    assert "create_clock -name clock -period 10" in lines


def test_opensta_agrees(tmp_path: Path) -> None:
    if sta_version() < OLDEST:
        pytest.skip(f"needs OpenSTA {'.'.join(map(str, OLDEST))} or later (sta on the PATH)")
    found, rows = chain(tmp_path)
    (tmp_path / "toy.lib").write_text(LIBRARY, encoding="utf-8")
    ours = switching(found, toy_cells(), conditions(found, wire_ff=0.0), rows)
    theirs = power(found, rows, [tmp_path / "toy.lib"], INPUT_SLEW_NS, tmp_path)
    seconds = ours.cycles * PERIOD_NS * 1e-9
    assert theirs.internal_w == pytest.approx(
        sum(one.internal_fj.sum() for one in ours.cells) * 1e-15 / seconds, rel=0.05
    )
    # Ours prices input ports, too; a net that a port drives is nobody's in OpenSTA.
    assert theirs.switching_w == pytest.approx(ours.nets_fj[3:].sum() * 1e-15 / seconds, rel=0.01)
    assert theirs.leakage_w == pytest.approx(ours.leakage_nw * 1e-9, rel=0.01)
