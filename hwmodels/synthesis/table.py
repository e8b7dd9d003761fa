"""Characterization tables: one CSV a target, under a head that says by what and from what it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hwmodels.design import Design
from hwmodels.headed_csv import Form, line
from hwmodels.synthesis.blocks import KNOBS, Point, design_of
from hwmodels.synthesis.counts import Counts

DONE, UNROUTED, FAILED = "done", "unrouted", "failed"
COUNTED = (DONE, UNROUTED)
"""Rows whose counts hold; an unrouted one was to have a clock too, but place and route failed."""
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

    @property
    def counted(self) -> bool:
        """Whether synthesis came out."""
        return self.status in COUNTED

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
        return tuple(row for row in self.rows if row.point.block == block and row.counted)

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


def read_table(path: Path) -> Table:
    """A table from its file; a last line that a killed run left unfinished is dropped. Raises ValueError naming file and line."""
    return Table(*FORM.read(path))


def parse_table(text: str, where: str) -> Table:
    """A table from its text. Raises ValueError naming `where` and the line."""
    return Table(*FORM.parse(text, where))


def _row(values: Mapping[str, str]) -> Row:
    if values["status"] not in (*COUNTED, FAILED):
        raise ValueError(f"status must be one of {', '.join((*COUNTED, FAILED))}, not {values['status']!r}")
    types = {item.name: item.type for item in fields(Counts)}
    counts: dict[str, Any] = {
        name: float(values[name]) if types[name] == "float" else int(values[name]) for name in COUNTS
    }
    point = Point(values["block"], design_of(values))
    times = float(values["wall_s"]), float(values["cpu_s"])
    return Row(point, values["status"], Counts(**counts), *times, values["digest"])


FORM = Form("a characterization table", HEAD, COLUMNS, _row)


def shipped() -> tuple[str, ...]:
    """Targets whose tables come with the package."""
    return tuple(sorted(item.name.removesuffix(".csv") for item in _folder().iterdir() if item.name.endswith(".csv")))


def shipped_table(target: str) -> Table:
    """A table that comes with the package. Raises ValueError listing the targets."""
    if target not in shipped():
        raise ValueError(f"target must be one with a characterization ({', '.join(shipped())}), not {target!r}")
    return parse_table((_folder() / f"{target}.csv").read_text(encoding="utf-8"), f"characterization/{target}.csv")


def shipped_widths() -> tuple[Table, ...]:
    """Tables of PEs of neighbouring widths (`--points widths`) that come with the package."""
    found = sorted((_folder() / "widths").iterdir(), key=lambda item: item.name)
    return tuple(
        parse_table(item.read_text(encoding="utf-8"), f"characterization/widths/{item.name}")
        for item in found
        if item.name.endswith(".csv")
    )


def _folder() -> Traversable:
    return files("hwmodels") / "characterization"
