"""`dse simulate` and `dse rtl`: from the command line, with a trace that opens, and with input that is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dse.design_file import load_design
from dse.simulation import UNITS, simulate, write_trace
from hwmodels.design import Design
from tests.conftest import Dse, needs_verilator
from workloads.zoo import NETWORKS

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
KNOBS = "rows=8,cols=4,width=32,max_act_bits=8,max_weight_bits=8,port_shared=false"


def dse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dse.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_a_design_comes_from_a_file_or_from_pairs(tmp_path: Path) -> None:
    wanted = Design(rows=8, cols=4, width=32, port_shared=False)
    for text in (
        "rows = 8\ncols = 4\nwidth = 32\nport_shared = false\n",
        "[design]\nrows=8\ncols=4\nwidth=32\nport_shared=false\n",
    ):
        (tmp_path / "design.toml").write_text(text)
        assert load_design(str(tmp_path / "design.toml")) == wanted
    assert load_design("rows=8, cols=4, width=32, port_shared=false") == wanted
    assert load_design("technology=zynq7020,clock_mhz=150").technology == "zynq7020"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row=8", "'row' must be a knob of a design (did you mean 'rows'?)"),
        ("rows=eight", "rows must be a value of type int, not 'eight'"),
        ("rows=8,cols", "must be knob=value pairs with commas between, not 'cols'"),
        ("rows=24", "rows must divide width"),
        ("port_bits=48", "port_bits must divide width"),
        ("technology=asic44", "technology must be one of"),
        ("nothing.toml", "must be a readable TOML file or knob=value pairs"),
    ],
)
def test_a_wrong_design_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="must") as error:
        load_design(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_layers_add_up_and_units_take_turns() -> None:
    found = simulate(NETWORKS["cifar_convnet"](1, 1), load_design(f"{KNOBS},weight_depth=32768,act_depth=8192"))
    causes = [name for name in found.layers.columns if name.endswith("_cycles") and name != "latency_cycles"]
    assert (found.layers[causes].sum(axis=1) == found.layers["latency_cycles"]).all()
    assert found.cycles == found.layers["latency_cycles"].sum()
    assert 0 < found.utilisation < 1
    assert ((found.layers["port_utilisation"] > 0) & (found.layers["port_utilisation"] <= 1)).all()
    for unit in ("grid", "writer", "loader"):
        part = found.intervals[found.intervals["unit"] == unit]
        assert (part["begin"].to_numpy()[1:] >= part["end"].to_numpy()[:-1]).all(), unit
    assert found.intervals["end"].max() <= found.cycles


def test_utilisation_over_time_adds_up_to_the_busy_cycles() -> None:
    found = simulate(NETWORKS["cifar_convnet"](1, 1), load_design(f"{KNOBS},weight_depth=32768,act_depth=8192"))
    over_time = found.over_time
    assert len(over_time) == 100
    for unit in ("loader", "grid", "writer"):
        part = found.intervals[found.intervals["unit"] == unit]
        busy = (part["end"] - part["begin"]).sum()
        assert over_time[unit].sum() * found.cycles / 100 == pytest.approx(busy)
        assert over_time[unit].between(0, 1 + 1e-9).all()
        # The second span, by counting its cycles.
        first, last = (int(over_time["begin"][i]) for i in (1, 2))
        held = sum(
            min(end, last) - max(begin, first)
            for begin, end in part[["begin", "end"]].to_numpy()
            if begin < last and end > first
        )
        assert over_time[unit][1] == pytest.approx(held / (last - first), abs=0.001)


def test_the_trace_has_a_track_a_unit_and_whole_cycles(tmp_path: Path) -> None:
    found = simulate(NETWORKS["cifar_convnet"](1, 1), load_design(f"{KNOBS},weight_depth=32768,act_depth=8192"))
    write_trace(found, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == ["layer", *UNITS]
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == len(found.intervals) + len(found.layers)
    assert all(isinstance(event["ts"], int) and isinstance(event["dur"], int) and event["dur"] >= 0 for event in slices)


def test_simulate_prints_and_writes(tmp_path: Path) -> None:
    network, trace, timeline = DIGITS / "digits_m2k2.onnx", tmp_path / "t.json", tmp_path / "t.html"
    done = dse("simulate", KNOBS, network, "--trace", trace, "--timeline", timeline, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["latency_cycles"] == sum(layer["latency_cycles"] for layer in summary["layers"])
    assert trace.exists()
    assert all(f'"{unit}"' in timeline.read_text() for unit in ("layer", *UNITS))


def test_wrong_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    network = DIGITS / "digits_m2k2.onnx"
    refused(dse("simulate", "row=8", network), "did you mean 'rows'")
    refused(dse("simulate", "max_act_bits=2", network), "layer 'conv1'", "max_act_bits must be at least")
    refused(dse("simulate", f"{KNOBS},act_depth=2", network), "act_depth / 2 must be at least")
    refused(dse("rtl", KNOBS, "-o", tmp_path / "rtl", "--network", network), "--input must be given")
    refused(dse("rtl", KNOBS, "-o", tmp_path / "rtl", "--run"), "--run must have a --network")
    given = ("--network", network, "--input", DIGITS / "images.npy")
    refused(dse("rtl", "max_act_bits=2", "-o", tmp_path / "rtl", *given), "max_act_bits must be at least 5")
    assert not (tmp_path / "rtl").exists()


@needs_verilator
def test_rtl_writes_a_folder_that_runs(dse_command: Dse, tmp_path: Path) -> None:
    """Compiled and run by a path from here."""
    arguments = ("--network", f"{DIGITS / 'digits_m2k2.onnx'}", "--input", f"{DIGITS / 'images.npy'}", "--images", "2")
    done = dse_command("rtl", KNOBS, "-o", "engine", *arguments, "--run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS: 2 images")
    names = {path.name for path in (tmp_path / "engine").iterdir()}
    assert names >= {
        "engine.sv",
        "dse_pkg.sv",
        "tb.sv",
        "memory.hex",
        "inputs.hex",
        "expected.hex",
        "Makefile",
        "README.md",
    }
    assert "localparam int unsigned Rows = 8;" in (tmp_path / "engine" / "dse_pkg.sv").read_text()
