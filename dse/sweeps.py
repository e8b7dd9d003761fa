"""The loop of a sweep: cut the space into units, write what each finds, and put what is worth keeping into the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

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
from dse.manifest import GROWTH, check_inputs, manifest, versions
from dse.pilot import Estimate, estimate
from dse.pool import finished
from dse.progress import Progress
from dse.rows import table_of
from dse.sampling import Sampling, Survey
from dse.search import sample, search, seeds
from dse.space import Chunk
from dse.sweep_plan import CHUNK_ROWS, KEEPS, Plan, plan

Tell = Callable[[str], None]
"""tell(line): something to know before a long run starts."""


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
            check_inputs(folder, manifest(prepared, None))
        else:
            results.create(folder, manifest(prepared, None), experiment.text)
        results.clear_torn(folder)
        if not results.complete(folder):
            counts = _explored(prepared, folder, start, progress or _silent, workers, tell)
            results.write_manifest(folder, manifest(prepared, counts))
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


def _why(prepared: Plan) -> str:
    """The constraint or the pair of them that leaves nothing, from the rows of the sample without constraints."""
    fitting = _drawn(prepared, replace(prepared.experiment, constraints=())).to_pandas()
    words = conflict(prepared.experiment.constraints, fitting)
    of = "all" if prepared.rows <= SAMPLE_ROWS else "a uniform sample"
    return f"; of the {len(fitting):,} that fit in {of}, {words}" if words else ""


def _looked(opened: results.Results) -> int:
    return int(opened.manifest["evaluated"] + opened.manifest["skipped"])


def _reasons(opened: results.Results) -> str:
    worst = sorted(opened.manifest["infeasible"].items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{count} by {reason}" for reason, count in worst)
