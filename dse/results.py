"""A results folder: manifest.json, the experiment as it was, and Parquet parts, one per finished chunk.

A part is written to a temporary name and renamed, so a part that exists is whole; which chunks are done is read
from the parts, so a killed sweep loses at most the chunks in flight. Any Parquet reader opens the parts.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FORMAT, VERSION = "dse-results", 3
PARTS, WORK = "parts", "work"
BEST, FRONT, EVERY, ASKED = "best", "front", "all", "asked"
"""Which rows a folder keeps: those worth it, fewer of them, every feasible one, every feasible one that a sampler asked for."""
COUNTS_KEY = b"dse_counts"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows: evaluated, feasible, and why the others were not.

    `skipped`: nobody looked at them, for they cannot be kept. `priced`: how often figures were worked out, of a row
    or of a design at all its clocks together.
    """

    evaluated: int
    feasible: int
    infeasible: Mapping[str, int]
    skipped: int = 0
    priced: int = 0

    def __add__(self, other: Counts) -> Counts:
        reasons = Counter(self.infeasible)
        reasons.update(other.infeasible)
        return Counts(
            self.evaluated + other.evaluated,
            self.feasible + other.feasible,
            dict(sorted(reasons.items())),
            self.skipped + other.skipped,
            self.priced + other.priced,
        )


@dataclass(frozen=True, slots=True)
class Results:
    """An opened results folder."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def experiment_text(self) -> str:
        """The experiment file as it was when the sweep began."""
        return (self.path / "experiment.toml").read_text(encoding="utf-8")

    def parts(self) -> tuple[Path, ...]:
        """Finished parts in row order."""
        return tuple(sorted((self.path / PARTS).glob("part-*.parquet")))

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All feasible rows in row order, or only some columns of them."""
        tables = [read_part(part, columns) for part in self.parts()]
        return pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame()

    def rows(self, wanted: Sequence[int]) -> pd.DataFrame:
        """The rows of these numbers, in row order; numbers that no part holds are missing."""
        keep = pa.array(sorted(wanted), pa.int64())
        tables = [pq.read_table(part, filters=pa.compute.field("row").isin(keep)) for part in self.parts()]
        return pa.concat_tables(tables).to_pandas()

    @property
    def whole(self) -> bool:
        """Whether every feasible row that was evaluated is here, and not only those worth keeping."""
        return bool(self.manifest["keep"] in (EVERY, ASKED))

    def rows_kept(self) -> int:
        """Number of rows in the parts."""
        return sum(pq.read_metadata(part).num_rows for part in self.parts())

    def counts(self) -> Counts:
        """Sum over the parts."""
        return sum((part_counts(part) for part in self.parts()), Counts(0, 0, {}))


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One part. Raises ValueError with its path where it is damaged or lacks a column."""
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise ValueError(
            f"{path}: must be a whole part of a sweep, but {_line(error)}; delete it and resume the sweep"
        ) from error


def part_counts(path: Path) -> Counts:
    """The counts in the footer of a part."""
    try:
        return Counts(**json.loads(pq.read_schema(path).metadata[COUNTS_KEY]))
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: must be a whole part of a sweep, but {_line(error)}; delete it and resume the sweep"
        ) from error


def open_results(path: str | Path, *, unfinished: bool = False) -> Results:
    """Open a folder. Raises ValueError where it is not a results folder of this version, or its sweep has not ended.

    `unfinished` opens it all the same; the counts of its manifest are then still zero.
    """
    folder = Path(path)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{folder}: must be a results folder with a manifest.json, but {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{folder / 'manifest.json'}: must be JSON, but {_line(error)}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{folder / 'manifest.json'}: format must be {FORMAT!r}")
    if manifest.get("version") != VERSION:
        raise ValueError(
            f"{folder}: must be results of version {VERSION}, not {manifest.get('version')!r}; sweep again into a new folder"
        )
    if not unfinished and manifest.get("status") != "complete":
        raise ValueError(
            f"{folder}: must be results of a finished sweep, but this one was interrupted or still runs; resume it"
        )
    return Results(folder, manifest)


def complete(path: Path) -> bool:
    """Whether the sweep of a folder has ended."""
    return bool(open_results(path, unfinished=True).manifest.get("status") == "complete")


def create(path: Path, manifest: Mapping[str, Any], experiment_text: str) -> None:
    """Lay out a new folder. Raises ValueError where it cannot be written."""
    (path / PARTS).mkdir(parents=True, exist_ok=True)
    (path / WORK).mkdir(exist_ok=True)
    write_text(path / "experiment.toml", experiment_text)
    write_manifest(path, manifest)


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Replace manifest.json, all or nothing."""
    write_text(path / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def part_path(path: Path, index: int) -> Path:
    """Where a part lies."""
    return path / PARTS / f"part-{index:06d}.parquet"


def work_path(path: Path, index: int) -> Path:
    """Where what a unit of a search has found lies until the sweep ends."""
    return path / WORK / f"part-{index:06d}.parquet"


def work_parts(path: Path) -> tuple[Path, ...]:
    """What the units of a search have found, in row order."""
    return tuple(sorted((path / WORK).glob("part-*.parquet")))


def clear_work(path: Path) -> None:
    """Remove what only an unfinished sweep needs."""
    for part in (path / WORK).glob("*"):
        part.unlink()
    with suppress(OSError):
        (path / WORK).rmdir()


def clear_torn(path: Path) -> None:
    """Remove temporary files that a killed process left."""
    for torn in path.glob("**/.*.tmp"):
        torn.unlink()


def encoded(table: pa.Table, counts: Counts) -> bytes:
    """The bytes of a part."""
    table = table.replace_schema_metadata({COUNTS_KEY: json.dumps(asdict(counts), sort_keys=True).encode()})
    with pa.BufferOutputStream() as stream:
        pq.write_table(table, stream, compression="zstd")
        return bytes(stream.getvalue())


def write_part(target: Path, part: bytes) -> None:
    """Write a part, all or nothing."""
    with _replacing(target) as temporary:
        temporary.write_bytes(part)


def write_parts(path: Path, table: pa.Table, rows: int) -> None:
    """Rows as parts of at most so many; of none, one empty part."""
    for index, start in enumerate(range(0, max(1, len(table)), rows)):
        part = table.slice(start, rows)
        write_part(part_path(path, index), encoded(part, Counts(len(part), len(part), {})))


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary file that becomes `target` when it is whole and on the disk; ValueError where the disk does not take it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or _line(error)
        raise ValueError(f"{target}: the output folder must be writable and have room, but {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def whole(path: Path) -> bool:
    """Whether a part exists and its footer is readable."""
    try:
        part_counts(path)
    except ValueError:
        return False
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it however the process ends. Raises ValueError if another holds it."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = open(path / ".lock", "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise ValueError(f"{path}: the output folder must be writable, but {error.strerror or error}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"{path}: must be used by one sweep at a time, but another one is running in it") from None
        try:
            yield
        finally:
            if not (path / "manifest.json").exists():
                _leave_nothing(path, made)


def _leave_nothing(path: Path, made: Sequence[Path]) -> None:
    """Take back the lock and the folders made for a sweep that never began; what holds anything else stays."""
    (path / ".lock").unlink(missing_ok=True)
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
