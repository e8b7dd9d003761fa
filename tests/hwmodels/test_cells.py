"""What synthesis makes of the arithmetic: cells per lane must not jump from one width to its neighbour.

A hidden barrel shifter or a popcount of the wrong shape passes every functional test; it does not pass this one.
"""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from hwmodels.synthesis.yosys import find_yosys
from tests.conftest import YOSYS_WHEEL

WIDTHS = (15, 16, 17, 31, 32, 33, 63, 64)
pytestmark = pytest.mark.skipif(YOSYS_WHEEL is None, reason="needs Yosys: pip install pyosys")


def yosys(folder: Path, script: list[str]) -> None:
    (folder / "run.ys").write_text("\n".join(script) + "\n")
    command = [*find_yosys(YOSYS_WHEEL).command, "run.ys"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr or done.stdout[-2000:]


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, float]]:
    """LUT4 of a PE per xnor lane, by lanes and width (adders in LUTs, no carry chains)."""
    folder = tmp_path_factory.mktemp("cells")
    for name in ("popcount", "accumulator", "pe"):
        (folder / f"{name}.sv").write_text((files("hwmodels.rtl") / f"{name}.sv").read_text())
    found: dict[str, dict[int, float]] = {}
    for act, weight, mask in ((1, 1, "2'b11"), (2, 2, "3'b101")):
        script = ["read_verilog -sv popcount.sv accumulator.sv pe.sv", "design -save read"]
        for width in WIDTHS:
            bits = width.bit_length() + act + weight + 1
            script += [
                "design -load read",
                f"chparam -set Width {width} -set LanesA {act} -set LanesW {weight} -set AccBits 24 -set BiasBits {bits} "
                f"-set ShiftMax {act} -set ShiftMask {mask} pe",
                "synth -flatten -top pe -lut 4", f"tee -o cells_{width}.txt stat",
            ]  # fmt: skip
        yosys(folder, script)
        cells = {}
        for width in WIDTHS:
            text = (folder / f"cells_{width}.txt").read_text()
            count = re.search(r"(\d+)\s+(?:\S+\s+)?\$lut", text) or re.search(r"\$lut\s+(\d+)", text)
            assert count, text
            cells[width] = int(count.group(1)) / (width * act * weight)
        found[f"{act}x{weight}"] = cells
    return found


@pytest.mark.parametrize("kind", ["1x1", "2x2"])
def test_cells_per_lane_are_smooth_over_neighbouring_widths(kind: str, lanes: dict[str, dict[int, float]]) -> None:
    cells = lanes[kind]
    for narrow, wide in ((15, 16), (16, 17), (31, 32), (32, 33), (63, 64)):
        assert 0.85 < cells[wide] / cells[narrow] < 1.15, cells
    assert cells[64] <= cells[32] <= cells[16], cells


def test_a_lane_costs_a_few_luts(lanes: dict[str, dict[int, float]]) -> None:
    """Measured 4.0 LUT4 a lane at 64 lanes, accumulator included; a hidden barrel shifter is five times the area."""
    assert lanes["1x1"][64] < 4.5
