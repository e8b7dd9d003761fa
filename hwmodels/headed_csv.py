"""Tables as files: lines `# name: value`, the names of the columns, then the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What a table is called, what its head must name, its columns, and how a row is made of cells by column."""

    name: str
    head: tuple[str, ...]
    columns: tuple[str, ...]
    row: Callable[[Mapping[str, str]], T]

    def read(self, path: Path) -> tuple[dict[str, str], tuple[T, ...]]:
        """Head and rows of a file. Raises ValueError naming file and line."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: must be {self.name}, but {error.strerror or error}") from error
        return self.parse(text, str(path))

    def parse(self, text: str, where: str) -> tuple[dict[str, str], tuple[T, ...]]:
        """Head and rows; a last line that a killed run left unfinished is dropped. Raises ValueError naming `where` and the line."""
        lines = text.split("\n")[:-1]  # behind the last line end there is nothing, or half a line
        head = dict(one[2:].split(": ", 1) for one in lines if one.startswith("# ") and ": " in one)
        missing = [name for name in self.head if name not in head]
        if missing:
            raise ValueError(f"{where}: must be {self.name}, but its head has no {', '.join(missing)}")
        return head, tuple(self._rows(lines, where))

    def _rows(self, lines: Sequence[str], where: str) -> Iterator[T]:
        body = [(number, text) for number, text in enumerate(lines, 1) if not text.startswith("#")]
        if not body or body[0][1].split(",") != list(self.columns):
            raise ValueError(f"{where}: must have the columns {','.join(self.columns)}")
        for number, text in body[1:]:
            cells = next(csv.reader([text]))
            if len(cells) != len(self.columns):
                raise ValueError(f"{where}, line {number}: must have {len(self.columns)} cells, not {len(cells)}")
            try:
                yield self.row(dict(zip(self.columns, cells, strict=True)))
            except ValueError as error:
                raise ValueError(f"{where}, line {number}: {error}") from error


def line(cells: Sequence[str]) -> str:
    """Cells as a CSV line."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
