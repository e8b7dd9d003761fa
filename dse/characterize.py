"""`dse characterize`: synthesize a planned grid for a target, point by point, into a table that a killed run goes on with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dse.progress import Progress
from hwmodels.synthesis.blocks import Point, rtl_digest
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.routing import LOG as ROUTER_LOG
from hwmodels.synthesis.routing import is_routed, routed, router_name
from hwmodels.synthesis.table import DONE, FAILED, UNROUTED, Row, Table, head_text, read_table, row_text
from hwmodels.synthesis.targets import Target, target
from hwmodels.synthesis.yosys import LOG, Yosys, find_yosys, synthesize
from hwmodels.tool_error import ToolError

TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a characterization works with. Points that fail leave their log in `logs`."""

    aim: Target
    tool: Yosys
    output: Path
    timeout_s: float

    @property
    def head(self) -> dict[str, str]:
        """The head of the table."""
        voltage = "none" if self.aim.voltage_v is None else f"{self.aim.voltage_v:g}"
        return {
            "target": self.aim.name,
            "kind": self.aim.kind,
            "tool": self.tool.name,
            "router": router_name(self.aim) or "none",
            "options": self.aim.options,
            "origin": self.aim.origin,
            "voltage_v": voltage,
            "rtl": rtl_digest(),
        }

    @property
    def logs(self) -> Path:
        """Folder of the logs of failed points."""
        return self.output.with_name(f"{self.output.stem}-logs")

    def digest(self, point: Point) -> str:
        """Content hash that makes a point the same as one done before."""
        names = ["kind", "tool", "options", "origin"] + ["router"] * is_routed(point, self.aim)
        context = [self.head[name] for name in names]
        if self.aim.family and point.has_memories:
            context += self.aim.family.memory_cells
        return point.digest("|".join(context))


@dataclass(frozen=True, slots=True)
class Characterization:
    """The finished table and where it lies; `reused` points were taken from the run before."""

    table: Table
    path: Path
    reused: int
    logs: Path

    @property
    def failed(self) -> tuple[Row, ...]:
        """Points that did not come out, or not with the clock that they were to have."""
        return tuple(row for row in self.table.rows if row.status != DONE)

    @property
    def summary(self) -> dict[str, Any]:
        """Counts for a script."""
        total, failed = len(self.table.rows), len(self.failed)
        return {"table": str(self.path), "done": total - failed, "failed": failed, "reused": self.reused}

    @property
    def words(self) -> str:
        """The same for people."""
        said = f"wrote {self.path}: {self.summary['done']} points done, {self.reused} of them before, by {self.table.head['tool']}"
        return f"{said}; {len(self.failed)} failed, see {self.logs}" if self.failed else said


def characterize(
    name: str, output: Path, *, liberty: Sequence[Path] = (), points: str = "full", workers: int = 1, resume: bool = False,
    timeout_s: float = TIMEOUT_S, yosys: str | None = None, progress: Progress | None = None,
) -> Characterization:  # fmt: skip
    """Synthesizes the points of a plan for a target and writes the table as they finish.

    Raises ValueError for a target, a liberty file or an existing table that does not fit, ToolError where there is no Yosys. A
    point that fails or takes longer than `timeout_s` is a row of status `failed`, one of which only place and route fail (for a
    seed) a row of status `unrouted`, which has counts but no clock; the others go on, and --resume tries them again.
    """
    aim = target(name, tuple(liberty))
    wanted = plan(points, aim.kind, routed=router_name(aim) is not None)
    run = Run(aim, find_yosys(yosys), output, timeout_s)
    kept = _kept(run, wanted, resume)
    left = {run.digest(point): point for point in wanted}
    left = {digest: point for digest, point in left.items() if digest not in kept}
    _write(run, list(kept.values()))
    rows = {**kept, **_synthesized(run, left, workers, _shifted(progress, len(kept), len(kept) + len(left)))}
    # As planned, however the points finished.
    table = Table(run.head, tuple(rows[run.digest(point)] for point in wanted))
    _write(run, table.rows)
    return Characterization(table, output, len(kept), run.logs)


def _kept(run: Run, wanted: Sequence[Point], resume: bool) -> dict[str, Row]:
    """Finished rows of the table that is there, by digest."""
    if not run.output.exists():
        return {}
    if not resume:
        raise ValueError(f"{run.output}: must not exist yet; go on with it by --resume, or remove it")
    before = read_table(run.output)
    if before.head["target"] != run.aim.name:
        raise ValueError(f"{run.output}: must be of target {run.aim.name}, not {before.head['target']}")
    known = {run.digest(point) for point in wanted}
    return {row.digest: row for row in before.rows if row.status == DONE and row.digest in known}


def _synthesized(run: Run, left: dict[str, Point], workers: int, progress: Callable[[int], None]) -> dict[str, Row]:
    """Rows of the points, appended to the table as they come. The points run as processes of their own, started from threads."""
    rows: dict[str, Row] = {}
    progress(0)
    with run.output.open("a", encoding="utf-8") as table, ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(_row, run, point, digest) for digest, point in left.items()]
        try:
            for future in as_completed(waiting):
                row = future.result()
                rows[row.digest] = row
                table.write(row_text(row))
                table.flush()
                progress(len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows


def _row(run: Run, point: Point, digest: str) -> Row:
    """One point in a folder of its own, of which a log is kept only where the point fails."""
    began = time.monotonic()
    counts, cpu_s, status, log = Counts(), 0.0, FAILED, LOG
    with TemporaryDirectory(prefix="dse-") as name:
        folder = Path(name)
        try:
            done = synthesize(point, run.aim, run.tool, folder, timeout_s=run.timeout_s)
            counts, cpu_s, status, log = done.counts, done.cpu_s, UNROUTED, ROUTER_LOG
            counts, status = routed(counts, point, run.aim, folder, timeout_s=run.timeout_s), DONE
        except ToolError as error:
            _keep_log(run.logs / f"{digest}.log", folder / log, f"{point.name}: {error}")
    return Row(point, status, counts, time.monotonic() - began, cpu_s, digest)


def _keep_log(kept: Path, log: Path, reason: str) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    kept.write_text(f"{reason}\n{said}", encoding="utf-8")


def _write(run: Run, rows: Sequence[Row]) -> None:
    """The whole table at once, so that a reader never sees half of it."""
    run.output.parent.mkdir(parents=True, exist_ok=True)
    part = run.output.with_name(f"{run.output.name}.part")
    part.write_text(head_text(run.head) + "".join(row_text(row) for row in rows), encoding="utf-8")
    shutil.move(part, run.output)


def _shifted(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    """Progress of this run on top of what was there before."""
    return lambda done: progress(before + done, total) if progress else None
