"""An energy carries the range of its constants, and says what nothing bounds; DRAM by type; SRAM banks outside their data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dse.cli import app
from dse.explanation import FPGA_NOTE, explain_design
from hwmodels.constants import OFF_CHIP
from hwmodels.design import Design
from tests.conftest import SHARED, Dse
from tests.dse.test_bad_input import refused
from workloads.layers import Conv
from workloads.network import Input, Network, Node

LAYER = Conv(name="conv", in_shape=(64, 14, 14), out_channels=64, kernel=(3, 3), act_bits=2, weight_bits=2, out_bits=2)
NETWORK = Network("one", Input(name="x", shape=LAYER.in_shape, bits=2), (Node(LAYER, ("x",)),))
MACHINE = Design(rows=32, cols=7, width=64, max_act_bits=2, max_weight_bits=2)
FOLDER = SHARED / "liberty" / "ihp-sg13g2"


def test_the_energy_of_a_device_lies_within_three_times() -> None:
    found = explain_design(NETWORK, replace(MACHINE, technology="zu3eg"))
    energy = found.energy.set_index("term")
    term = energy.loc["LUT cycles of active PEs"]
    assert (term["low"], term["high"]) == pytest.approx((term["amount"] / 3, term["amount"] * 3))
    memory = energy.loc["DRAM bits moved"]
    assert (memory["low"], memory["high"]) == pytest.approx((memory["amount"], memory["amount"] * 2))
    low, high = found.energy_range_nj
    assert low == pytest.approx((energy["amount"].sum() - memory["amount"]) / 3 + memory["amount"])
    assert high == pytest.approx((energy["amount"].sum() - memory["amount"]) * 3 + memory["amount"] * 2)
    assert FPGA_NOTE in found.notes


def test_what_nothing_bounds_is_said() -> None:
    found = explain_design(NETWORK, MACHINE)
    assert "assumed, with no range known: control_energy, logic_leakage, sram_leakage" in found.notes
    assert FPGA_NOTE not in found.notes
    assert found.clock.empty
    shallow = explain_design(NETWORK, replace(MACHINE, technology="sg13g2", clock_mhz=100.0))
    slowest = shallow.clock.iloc[0]
    assert slowest["path_ps"] == shallow.clock["path_ps"].max()
    assert slowest["max_clock_mhz"] == pytest.approx(shallow.evaluation.cost.max_clock_mhz)
    # The foundry states the leakage; thresholds of 32 entries are no macro of its.
    assert "assumed, with no range known: control_energy, logic_leakage" in shallow.notes
    assert any(note.startswith("threshold stage 0 banks of 32 x ") for note in shallow.notes)
    with pytest.raises(ValueError, match="clock_mhz must be at most"):
        explain_design(NETWORK, replace(MACHINE, technology="sg13g2", clock_mhz=240.0))
    constants = found.constants.set_index("name")
    assert constants.loc["xnor_energy", "high"] == pytest.approx(32 * constants.loc["xnor_energy", "value"])


@pytest.mark.parametrize("memory", ["ddr3", "lpddr", "lpddr4", "gddr5", "hbm2", "dram"])
def test_dram_by_type(memory: str) -> None:
    found = explain_design(NETWORK, replace(MACHINE, memory=memory))  # type: ignore[arg-type]
    term = found.energy.set_index("term").loc["DRAM bits moved"]
    activity = found.evaluation.activity
    moved = activity.memory_read_bits + activity.memory_write_bits
    constant = OFF_CHIP[f"{memory}_energy"]
    assert term["amount"] == pytest.approx(moved * constant.value / 1000)
    sources = found.constants.set_index("name")["source"]
    assert sources[f"{memory}_energy"] == constant.source
    # The type changes the price only.
    assert found.evaluation.cost.latency_cycles == explain_design(NETWORK, MACHINE).evaluation.cost.latency_cycles


def test_dram_types_are_an_axis_of_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(
        'networks = [{ zoo = "tfc" }]\n[space]\nmemory = ["dram", "lpddr4"]\nweight_depth = 8192\nact_depth = 4096\n'
    )
    done = CliRunner().invoke(app, ["sweep", str(tmp_path / "e.toml"), "-o", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    front = CliRunner().invoke(app, ["pareto", str(tmp_path / "r")])
    assert "lpddr4" in front.output


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the foundry's liberty files are no part of the repository")
def test_characterize_sram(tmp_path: Path) -> None:
    files = sorted(map(str, FOLDER.glob("RM_*.lib")))
    done = CliRunner().invoke(app, ["characterize-sram", *files, "-o", str(tmp_path / "t.csv")])
    assert done.exit_code == 0, done.output
    assert "4096x16 /8" in done.output
    shipped = Path(__file__).parents[2] / "hwmodels" / "characterization" / "sram" / "ihp_sg13g2.csv"
    assert (tmp_path / "t.csv").read_bytes() == shipped.read_bytes()


def test_bad_liberty_files(dse_command: Dse, tmp_path: Path) -> None:
    (tmp_path / "cut.lib").write_text("library (x) {\n cell (y) {\n area : 1")
    refused(dse_command("characterize-sram", "cut.lib"), "cut.lib: line 3: must be a whole liberty file")
    refused(dse_command("characterize-sram", "none.lib"), "none.lib: must be a readable liberty file, but No such file")
