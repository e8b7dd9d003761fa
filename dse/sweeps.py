"""The loop of a sweep: cut the space into chunks, evaluate each as arrays, write its part, count what fell out."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dse import results
from dse.experiment import Experiment
from dse.rows import table_of
from dse.space import Block, Chunk, blocks, chunks
from dse.variants import Variant, variants
from hwmodels.compiled import WORTHWHILE
from workloads.files import network_header

CHUNK_DESIGNS = 512
"""Designs of a chunk: working arrays of (512, tiles, blocks) stay near the caches, and a lost chunk is under a second."""
CHUNK_ROWS = 32768
"""Rows of a chunk at most, however many settings price a design: this bounds the memory of a sweep."""

Progress = Callable[[int, int], None]
"""progress(rows done, rows in all), called after every chunk."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep ready to run: the experiment, its networks, and the grid."""

    experiment: Experiment
    variants: tuple[Variant, ...]
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        """Rows of the whole space."""
        return self.blocks[-1].first_row + self.blocks[-1].rows

    @property
    def machine_code(self) -> bool:
        """Whether the space is large enough for it to pay."""
        return sum(block.designs for block in self.blocks) >= WORTHWHILE

    def chunks(self) -> Iterator[Chunk]:
        """The units of work."""
        settings = len(self.blocks[0].settings)
        return chunks(self.blocks, max(1, min(CHUNK_DESIGNS, CHUNK_ROWS // settings)))


def plan(experiment: Experiment) -> Plan:
    """Load the networks, measure what is to be measured, and lay out the grid."""
    loaded = variants(experiment)
    return Plan(experiment, loaded, blocks(experiment.space, [variant.network for variant in loaded]))


def sweep(
    experiment: Experiment,
    path: str | Path,
    *,
    workers: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> results.Results:
    """Evaluate the whole space into a results folder; the rows do not depend on `workers` or on interruptions.

    Raises ValueError where the folder holds another sweep, is in use or cannot be written, and where nothing is feasible.
    """
    folder = Path(path)
    with results.exclusive(folder):
        _check_folder(folder, experiment, resume)
        prepared = plan(experiment)
        if (folder / "manifest.json").exists():
            _check_inputs(folder, _manifest(prepared, None))
        else:
            results.create(folder, _manifest(prepared, None), experiment.text)
        _run(prepared, folder, workers, progress or _silent)
        counts = results.open_results(folder, unfinished=True).counts()
        results.write_manifest(folder, _manifest(prepared, counts))
    if counts.feasible == 0:
        raise ValueError(
            f"{folder}: at least one design must be feasible, but none of {counts.evaluated} is: {_reasons(counts)}"
        )
    return results.open_results(folder)


def _silent(done: int, total: int) -> None:
    """No progress to show."""


def evaluate_chunk(prepared: Plan, chunk: Chunk) -> tuple[pa.Table, results.Counts]:
    """All rows of a chunk: a table of the feasible ones, sorted by row, and the counts of all."""
    block, designs = chunk.block, np.arange(chunk.start, chunk.stop)
    variant, constraints = prepared.variants[block.network], prepared.experiment.constraints
    return table_of(variant, block, constraints, designs, machine_code=prepared.machine_code)


def _run(prepared: Plan, folder: Path, workers: int, progress: Progress) -> None:
    """Evaluate the chunks that have no part yet."""
    todo = [chunk for chunk in prepared.chunks() if not results.whole(results.part_path(folder, chunk.index))]
    done = prepared.rows - sum((chunk.stop - chunk.start) * len(chunk.block.settings) for chunk in todo)
    progress(done, prepared.rows)
    for chunk in _finished(prepared, folder, todo, workers):
        done += (chunk.stop - chunk.start) * len(chunk.block.settings)
        progress(done, prepared.rows)


def _finished(prepared: Plan, folder: Path, todo: Sequence[Chunk], workers: int) -> Iterator[Chunk]:
    """Chunks in the order in which they end, their parts written."""
    if workers <= 1:
        for chunk in todo:
            _work_off(prepared, folder, chunk)
            yield chunk
        return
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(prepared, folder)) as pool:
        waiting = iter(todo)
        running: dict[Future[None], Chunk] = {}
        try:
            while True:
                for chunk in waiting:
                    running[pool.submit(_work_off_here, chunk)] = chunk
                    if len(running) >= 4 * workers:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    yield running.pop(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work_off(prepared: Plan, folder: Path, chunk: Chunk) -> None:
    table, counts = evaluate_chunk(prepared, chunk)
    results.write_part(folder, chunk.index, table, counts)


_HERE: list[tuple[Plan, Path]] = []
"""The plan of a worker process, set once when it starts: chunks travel as index ranges, rows stay where they are made."""


def _begin(prepared: Plan, folder: Path) -> None:
    _HERE.append((prepared, folder))


def _work_off_here(chunk: Chunk) -> None:
    prepared, folder = _HERE[-1]
    _work_off(prepared, folder, chunk)


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
    for key in ("networks", "versions"):
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
        "chunks": sum(1 for _ in prepared.chunks()),
        "evaluated": found.evaluated,
        "feasible": found.feasible,
        "infeasible": dict(found.infeasible),
        "networks": [_network_entry(variant) for variant in prepared.variants],
        "versions": {name: version(name) for name in ("dse-xnor", "numpy", "pyarrow", "pandas")}
        | {"python": platform.python_version()},
        "platform": sys.platform,
    }


def _network_entry(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.network.name,
        "precision": variant.network.precision,
        "accuracy": None if np.isnan(variant.accuracy) else variant.accuracy,
        "accuracy_source": variant.accuracy_source,
        "weights": variant.network.parameters,
        "sha256": variant.digest,
        "shape": network_header(variant.network),
    }


def _reasons(counts: results.Counts) -> str:
    worst = sorted(counts.infeasible.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{count} by {reason}" for reason, count in worst)
