"""The loop of a sweep: cut the space into units, write what each finds, and put what is worth keeping into the results."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from dse import results
from dse.axes import AxisBars
from dse.conflicts import conflict
from dse.executors.protocol import Start
from dse.executors.registry import executor as executor_named
from dse.experiment import Experiment
from dse.grid import Span, spans
from dse.keep import SAMPLE_ROWS, Bars, chosen, labels, sample_rows
from dse.observing import rates_header
from dse.pilot import Estimate, estimate
from dse.pool import finished
from dse.rows import table_of
from dse.samplers.registry import packages
from dse.sampling import Sampling, Survey
from dse.search import sample, search, seeds
from dse.space import Block, Chunk, blocks, chunks
from dse.variants import Variant, variants
from hwmodels.compiled import WORTHWHILE
from workloads.files import network_header

CHUNK_DESIGNS = 512
"""Designs of a chunk: working arrays of (512, tiles, blocks) stay near the caches, and a lost chunk is under a second."""
CHUNK_ROWS = 32768
"""Rows of a chunk at most, however many settings price a design: this bounds the memory of a sweep."""
MOST_ROWS = 2**63 - 1
"""Row numbers are 64-bit integers."""
KEEPS = (results.BEST, results.FRONT, results.EVERY)
GROWTH = "hypervolume.csv"

Tell = Callable[[str], None]
"""tell(line): something to know before a long run starts."""
Progress = Callable[[int, int], None]
"""progress(rows done, rows in all), called after every unit of work."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep ready to run: the experiment, its networks, the grid, which rows to keep (one of KEEPS), and who asks for them."""

    experiment: Experiment
    variants: tuple[Variant, ...]
    blocks: tuple[Block, ...]
    keep: str
    sampling: Sampling | None = None

    @property
    def rows(self) -> int:
        """Rows of the whole space."""
        return self.blocks[-1].first_row + self.blocks[-1].rows

    @property
    def machine_code(self) -> bool:
        """Whether the space is large enough for it to pay."""
        return sum(block.designs for block in self.blocks) >= WORTHWHILE

    @property
    def axes(self) -> bool:
        """Whether the best at every value of every knob are kept as well."""
        return self.keep == KEEPS[0]

    @property
    def whole(self) -> bool:
        """Whether every row is evaluated and kept: on request, and where the sample is the space."""
        return self.keep == results.EVERY or self.rows <= SAMPLE_ROWS

    @property
    def kept(self) -> str:
        """Which rows the folder keeps."""
        return results.ASKED if self.sampling else results.EVERY if self.whole else self.keep

    def chunks(self) -> Iterator[Chunk]:
        """The units of work where every row is evaluated."""
        settings = len(self.blocks[0].settings)
        return chunks(self.blocks, max(1, min(CHUNK_DESIGNS, CHUNK_ROWS // settings)))

    def units(self) -> Iterator[Chunk | Span]:
        """The units of work."""
        return self.chunks() if self.whole else spans(self.blocks)


def plan(experiment: Experiment, *, keep: str = KEEPS[0], sampling: Sampling | None = None) -> Plan:
    """Load the networks, measure what is to be measured, and lay out the grid. Raises ValueError for a space too large to number."""
    if keep not in KEEPS:
        raise ValueError(f"keep must be one of {', '.join(KEEPS)}, not {keep!r}")
    loaded = variants(experiment)
    laid = blocks(experiment.space, [variant.network for variant in loaded])
    prepared = Plan(experiment, loaded, laid, keep, sampling)
    if prepared.rows > MOST_ROWS:
        raise ValueError(
            f"space: must have at most {MOST_ROWS:,} rows, not {prepared.rows:,}; give some axis fewer values"
        )
    return prepared


def sweep(
    experiment: Experiment,
    path: str | Path,
    *,
    workers: int = 1,
    executor: str = "local",
    scheduler: str | None = None,
    resume: bool = False,
    keep: str = KEEPS[0],
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> results.Results:
    """Sweep a space into a results folder; the rows do not depend on who evaluates them or on interruptions.

    executor "local": `workers` processes of this machine. "dask": as many of a Dask cluster of this machine, or the workers of
    the scheduler at the address `scheduler`; they need no folder of ours, for only this process writes.

    keep "best": the front of the objectives, the best of every network, machine and ranked column, overall and at every value of
    every knob, and a uniform sample; regions that provably hold none of the former are skipped. "front": without the best at every
    value, which lets more be skipped. "all": every feasible row. With `sampling`, only the designs that a sampler asks for are
    looked at, in this process, and every feasible one is kept.
    Raises ValueError where the folder holds another sweep, is in use or cannot be written, where nothing is feasible, and
    where there is no executor, or none is left.
    """
    if sampling is not None and (workers, executor, keep) != (1, "local", KEEPS[0]):
        raise ValueError(
            "sampler: one process asks, and keeps all that it asked for; leave out workers, executor and keep"
        )
    folder = Path(path)
    with results.exclusive(folder), executor_named(executor, workers=workers, scheduler=scheduler) as start:
        _check_folder(folder, experiment, resume)
        prepared = plan(experiment, keep=keep, sampling=sampling)
        if (folder / "manifest.json").exists():
            _check_inputs(folder, _manifest(prepared, None))
        else:
            results.create(folder, _manifest(prepared, None), experiment.text)
        results.clear_torn(folder)
        if not results.complete(folder):
            counts = _explored(prepared, folder, start, progress or _silent, workers, tell)
            results.write_manifest(folder, _manifest(prepared, counts))
        results.clear_work(folder)
        opened = results.open_results(folder)
    if opened.rows_kept() == 0:
        raise ValueError(
            f"{folder}: at least one design must be feasible, but none of {_looked(opened)} is: {_reasons(opened)}{_why(prepared)}"
        )
    return opened


def _silent(done: int, total: int) -> None:
    """No progress to show."""


def _explored(
    prepared: Plan, folder: Path, start: Start, progress: Progress, workers: int, tell: Tell | None
) -> results.Counts:
    """Do the work, put what is kept into the parts, and count what became of all rows."""
    if prepared.sampling is None:
        _run(prepared, folder, start, progress, workers, tell)
        return _kept(prepared, folder)
    survey = Survey(prepared.sampling, prepared.experiment, prepared.variants, prepared.blocks)
    found = survey.run(folder, progress)
    results.write_parts(folder, _labelled(found.table, [results.ASKED] * len(found.table)), CHUNK_ROWS)
    results.write_text(folder / GROWTH, found.growth.to_csv(index=False))
    return found.counts


def evaluate_chunk(prepared: Plan, chunk: Chunk) -> tuple[pa.Table, results.Counts]:
    """All rows of a chunk: a table of the feasible ones, sorted by row, and the counts of all."""
    block, designs = chunk.block, np.arange(chunk.start, chunk.stop)
    variant, constraints = prepared.variants[block.network], prepared.experiment.constraints
    return table_of(variant, block, constraints, designs, machine_code=prepared.machine_code)


@dataclass(frozen=True, slots=True)
class Worker:
    """What does a unit of work, wherever it is: evaluates it, or searches it with the bars of its block, and makes its part.

    `versions` are those of the process that asked: rows of another version of the models must not be mixed with its own.
    """

    prepared: Plan
    bars: dict[int, Bars]
    versions: dict[str, str]

    def __call__(self, unit: Chunk | Span) -> bytes:
        """The part of one unit. Raises ValueError where this process has other versions."""
        if self.versions != versions():
            raise ValueError(f"workers: must have {_named(self.versions)}, but one has {_named(versions())}")
        if isinstance(unit, Chunk):
            table, counts = evaluate_chunk(self.prepared, unit)
            return results.encoded(_labelled(table, [results.EVERY] * len(table)), counts)
        variant, bars = self.prepared.variants[unit.block.network], self.bars[unit.block.first_row]
        found = search(self.prepared.experiment, variant, unit, bars, machine_code=self.prepared.machine_code)
        return results.encoded(found.table, found.counts)


def _named(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def prepare(prepared: Plan, folder: Path) -> Worker:
    """A worker; for a search with bars raised by a uniform sample and by the most promising cores of every block."""
    if prepared.whole:
        return Worker(prepared, {}, versions())
    front = Bars(prepared.experiment)
    drawn = _sample(prepared, folder).to_pandas()
    front.learn(drawn, best=False)
    bars = {}
    for block in prepared.blocks:
        own = front.copy(best=False)
        own.axes = AxisBars(block) if prepared.axes else None
        own.learn(drawn[(drawn["row"] >= block.first_row) & (drawn["row"] < block.first_row + block.rows)])
        variant = prepared.variants[block.network]
        found = seeds(prepared.experiment, variant, block, own, machine_code=prepared.machine_code)
        front.learn(found.to_pandas(), best=False)
        bars[block.first_row] = own
    for own in bars.values():
        own.learn_front(front)
    return Worker(prepared, bars, versions())


def _sample(prepared: Plan, folder: Path) -> pa.Table:
    """The feasible rows of the uniform sample: a part of the work like any other, made before the rest."""
    path = _sample_path(prepared, folder)
    if not results.whole(path):
        results.write_part(path, results.encoded(_drawn(prepared, prepared.experiment), results.Counts(0, 0, {})))
    return results.read_part(path)


def _drawn(prepared: Plan, experiment: Experiment) -> pa.Table:
    """The rows of the uniform sample that are feasible under the constraints of `experiment`."""
    drawn = sample_rows(prepared.rows, experiment.seed)
    tables = []
    for block in prepared.blocks:
        rows = drawn[(drawn >= block.first_row) & (drawn < block.first_row + block.rows)]
        variant = prepared.variants[block.network]
        tables.append(sample(experiment, variant, block, rows, machine_code=prepared.machine_code))
    return pa.concat_tables(tables)


def _sample_path(prepared: Plan, folder: Path) -> Path:
    return results.work_path(folder, sum(1 for _ in prepared.units()))


def forecast(experiment: Experiment, *, workers: int = 1, keep: str = KEEPS[0]) -> str:
    """How long a sweep will take, in words, after a second of trying; nothing is written."""
    prepared = plan(experiment, keep=keep)
    if prepared.whole:
        return f"space of {prepared.rows:.3g} designs: all of them are evaluated"
    with TemporaryDirectory() as folder:
        (Path(folder) / results.WORK).mkdir()
        found = _estimate(prepared, prepare(prepared, Path(folder)), list(spans(prepared.blocks)), workers)
    return found.words if found else f"space of {prepared.rows:.3g} designs: seconds"


def _estimate(prepared: Plan, worker: Worker, units: Sequence[Span], workers: int) -> Estimate | None:
    return estimate(
        prepared.experiment, prepared.variants, units, worker.bars, workers=workers, machine_code=prepared.machine_code
    )


def _run(prepared: Plan, folder: Path, start: Start, progress: Progress, workers: int, tell: Tell | None) -> None:
    """Do the units that have no part yet."""
    place = results.part_path if prepared.whole else results.work_path
    todo = [unit for unit in prepared.units() if not results.whole(place(folder, unit.index))]
    done = prepared.rows - sum(_rows(unit) for unit in todo)
    progress(done, prepared.rows)
    if not todo and (prepared.whole or results.whole(_sample_path(prepared, folder))):
        return
    worker = prepare(prepared, folder)
    if tell and not prepared.whole:
        found = _estimate(prepared, worker, [unit for unit in todo if isinstance(unit, Span)], workers)
        if found:
            tell(found.words)
    for unit, part in finished(start, worker, todo):
        results.write_part(place(folder, unit.index), part)
        done += _rows(unit)
        progress(done, prepared.rows)


def _rows(unit: Chunk | Span) -> int:
    return len(unit.rows) if isinstance(unit, Span) else (unit.stop - unit.start) * len(unit.block.settings)


def _kept(prepared: Plan, folder: Path) -> results.Counts:
    """Counts of all units; after a search, what is worth keeping of all that they found goes into the parts."""
    if prepared.whole:
        return results.open_results(folder, unfinished=True).counts()
    found = results.work_parts(folder)
    counts = sum((results.part_counts(part) for part in found), results.Counts(0, 0, {}))
    table = _without_repeats(pa.concat_tables([results.read_part(part) for part in found]))
    masks = chosen(prepared.experiment, table.to_pandas(), axes=prepared.axes)
    masks["sample"] = np.isin(table["row"].to_numpy(), sample_rows(prepared.rows, prepared.experiment.seed))
    keep = np.logical_or.reduce(list(masks.values()))
    names = labels({name: mask[keep] for name, mask in masks.items()})
    results.write_parts(folder, _labelled(table.filter(pa.array(keep)), names), CHUNK_ROWS)
    return counts


def _without_repeats(table: pa.Table) -> pa.Table:
    """In row order, every row once: a sampled row may have been found as well."""
    table = table.sort_by("row")
    return table.filter(pa.array(np.diff(table["row"].to_numpy(), prepend=-1) != 0))


def _labelled(table: pa.Table, names: list[str]) -> pa.Table:
    return table.append_column("kept", pa.array(names, pa.string()))


def _check_folder(folder: Path, experiment: Experiment, resume: bool) -> None:
    if not (folder / "manifest.json").exists():
        return
    opened = results.open_results(folder, unfinished=True)
    if opened.manifest["experiment_sha256"] != experiment.digest:
        raise ValueError(f"{folder}: must hold results of this experiment, but holds another one; choose a new folder")
    if not resume:
        raise ValueError(
            f"{folder}: must be a new folder, but holds results of this experiment; add --resume to continue"
        )


def _check_inputs(folder: Path, wanted: dict[str, Any]) -> None:
    """Rows of other networks or of another version of the models must not be mixed with those to come."""
    found = results.open_results(folder, unfinished=True).manifest
    same = json.loads(json.dumps(wanted))
    for key in ("networks", "versions", "keep", "sampling"):
        if found[key] != same[key]:
            raise ValueError(
                f"{folder}: must have been begun with the same {key}, but they changed; choose a new folder"
            )


def _manifest(prepared: Plan, counts: results.Counts | None) -> dict[str, Any]:
    """What was swept, with which inputs and versions; complete once `counts` are known."""
    experiment = prepared.experiment
    found = counts or results.Counts(0, 0, {})
    return {
        "format": results.FORMAT,
        "version": results.VERSION,
        "name": experiment.name,
        "status": "running" if counts is None else "complete",
        "experiment_sha256": experiment.digest,
        "seed": experiment.seed,
        "rows": prepared.rows,
        "keep": prepared.kept,
        "sampling": _sampling_entry(prepared),
        "evaluated": found.evaluated,
        "feasible": found.feasible,
        "infeasible": dict(found.infeasible),
        "skipped": found.skipped,
        "priced": found.priced,
        "networks": [_network_entry(variant) for variant in prepared.variants],
        "versions": versions() | {name: version(name) for name in _asking(prepared)},
        "platform": sys.platform,
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Of everything that the figures and the bytes of a part may depend on."""
    found = {name: version(name) for name in ("dse-xnor", "numpy", "pyarrow", "pandas")}
    return found | {"python": platform.python_version()}


def _network_entry(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.network.name,
        "precision": variant.network.precision,
        "accuracy": None if np.isnan(variant.accuracy) else variant.accuracy,
        "accuracy_source": variant.accuracy_source,
        "weights": variant.network.parameters,
        "sha256": variant.digest,
        "rates": rates_header(variant.rates),
        "shape": network_header(variant.network),
    }


def _why(prepared: Plan) -> str:
    """The constraint or the pair of them that leaves nothing, from the rows of the sample without constraints."""
    fitting = _drawn(prepared, replace(prepared.experiment, constraints=())).to_pandas()
    words = conflict(prepared.experiment.constraints, fitting)
    of = "all" if prepared.rows <= SAMPLE_ROWS else "a uniform sample"
    return f"; of the {len(fitting):,} that fit in {of}, {words}" if words else ""


def _sampling_entry(prepared: Plan) -> dict[str, Any] | None:
    """Who asked for the designs, and where it stands how that went."""
    if prepared.sampling is None:
        return None
    technology = prepared.experiment.space.technology[0]
    return {**asdict(prepared.sampling), "technology": technology, "hypervolume": GROWTH}


def _asking(prepared: Plan) -> tuple[str, ...]:
    """Packages whose version decides which designs are asked for."""
    return packages(prepared.sampling.sampler) if prepared.sampling else ()


def _looked(opened: results.Results) -> int:
    return int(opened.manifest["evaluated"] + opened.manifest["skipped"])


def _reasons(opened: results.Results) -> str:
    worst = sorted(opened.manifest["infeasible"].items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{count} by {reason}" for reason, count in worst)
