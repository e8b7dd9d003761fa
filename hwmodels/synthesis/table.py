"""Characterization tables: one CSV a target, under a head that says by what and from what it was made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hwmodels.design import Design
from hwmodels.synthesis.blocks import KNOBS, Point, design_of
from hwmodels.synthesis.counts import Counts

DONE, FAILED = "done", "failed"
COUNTS = tuple(item.name for item in fields(Counts))
COLUMNS = ("block", *KNOBS, "status", *COUNTS, "wall_s", "cpu_s", "digest")
HEAD = ("target", "kind", "tool", "router", "options", "origin", "voltage_v", "rtl")
"""Lines of the head; "none" where there is nothing to say. `rtl` is a content hash of the engine's sources."""


@dataclass(frozen=True, slots=True)
class Row:
    """One point as it came out, and what synthesis took (wall time with place and route, CPU time without).

    `digest` is the content hash of its sources, parameters, tool and options.
    """

    point: Point
    status: str
    counts: Counts
    wall_s: float
    cpu_s: float
    digest: str

    def cells(self) -> dict[str, str]:
        """Values of COLUMNS as text."""
        knobs = {name: str(getattr(self.point.design, name)) for name in KNOBS}
        counts = {name: f"{value:.10g}" for name, value in asdict(self.counts).items()}
        own = {
            "block": self.point.block,
            "status": self.status,
            "wall_s": f"{self.wall_s:.1f}",
            "cpu_s": f"{self.cpu_s:.1f}",
            "digest": self.digest,
        }
        return {**own, **knobs, **counts}


@dataclass(frozen=True, slots=True)
class Table:
    """A target's rows, and the lines of its head by name."""

    head: Mapping[str, str]
    rows: tuple[Row, ...]

    def done(self, block: str) -> tuple[Row, ...]:
        """Rows of a block that came out."""
        return tuple(row for row in self.rows if row.point.block == block and row.status == DONE)

    def designs(self, block: str) -> tuple[Design, ...]:
        """Their designs."""
        return tuple(row.point.design for row in self.done(block))


def head_text(head: Mapping[str, str]) -> str:
    """The first lines of a file: `# name: value`, then the column names."""
    return "".join(f"# {name}: {head[name]}\n" for name in HEAD) + line(COLUMNS)


def row_text(row: Row) -> str:
    """One line of a file."""
    cells = row.cells()
    return line([cells[name] for name in COLUMNS])


def line(cells: Sequence[str]) -> str:
    """Cells as a CSV line."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def read_table(path: Path) -> Table:
    """A table from its file; a last line that a killed run left unfinished is dropped. Raises ValueError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: must be a characterization table, but {error.strerror or error}") from error
    return parse_table(text, str(path))


def parse_table(text: str, where: str) -> Table:
    """A table from its text. Raises ValueError naming `where` and the line."""
    lines = text.split("\n")
    whole = lines[:-1]  # behind the last line end there is nothing, or half a line
    head = dict(one[2:].split(": ", 1) for one in whole if one.startswith("# ") and ": " in one)
    missing = [name for name in HEAD if name not in head]
    if missing:
        raise ValueError(f"{where}: must be a characterization table, but its head has no {', '.join(missing)}")
    return Table(head, tuple(_rows(whole, where)))


def _rows(lines: Sequence[str], where: str) -> Iterator[Row]:
    body = [(number, text) for number, text in enumerate(lines, 1) if not text.startswith("#")]
    if not body or body[0][1].split(",") != list(COLUMNS):
        raise ValueError(f"{where}: must have the columns {','.join(COLUMNS)}")
    for number, text in body[1:]:
        cells = next(csv.reader([text]))
        if len(cells) != len(COLUMNS):
            raise ValueError(f"{where}, line {number}: must have {len(COLUMNS)} cells, not {len(cells)}")
        try:
            yield _row(dict(zip(COLUMNS, cells, strict=True)))
        except ValueError as error:
            raise ValueError(f"{where}, line {number}: {error}") from error


def _row(values: Mapping[str, str]) -> Row:
    if values["status"] not in (DONE, FAILED):
        raise ValueError(f"status must be {DONE} or {FAILED}, not {values['status']!r}")
    types = {item.name: item.type for item in fields(Counts)}
    counts = {name: float(values[name]) if types[name] == "float" else int(values[name]) for name in COUNTS}
    point = Point(values["block"], design_of(values))
    times = float(values["wall_s"]), float(values["cpu_s"])
    return Row(point, values["status"], Counts(**counts), *times, values["digest"])  # type: ignore[arg-type]


def shipped() -> tuple[str, ...]:
    """Targets whose tables come with the package."""
    return tuple(sorted(item.name.removesuffix(".csv") for item in _folder().iterdir() if item.name.endswith(".csv")))


def shipped_table(target: str) -> Table:
    """A table that comes with the package. Raises ValueError listing the targets."""
    if target not in shipped():
        raise ValueError(f"target must be one with a characterization ({', '.join(shipped())}), not {target!r}")
    return parse_table((_folder() / f"{target}.csv").read_text(encoding="utf-8"), f"characterization/{target}.csv")


def _folder() -> Traversable:
    return files("hwmodels") / "characterization"
