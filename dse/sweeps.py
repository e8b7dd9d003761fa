"""The loop of a sweep: cut the space into chunks, evaluate each as arrays, write its part, count what fell out."""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dse import results
from dse.experiment import Experiment, applies
from dse.space import Block, Chunk, Setting, blocks, chunks, knobs
from dse.variants import Variant, variants
from hwmodels import batch
from hwmodels.activity import Activity
from hwmodels.cost import Cost, price, silicon
from hwmodels.footprint import footprint_bits
from hwmodels.knobs import NUMERIC, Knobs
from hwmodels.models import work
from hwmodels.pricing import Build
from hwmodels.technology import technology
from workloads.files import network_header
from workloads.network import Network

CHUNK_DESIGNS = 512
"""Designs of a chunk: working arrays of (512, tiles, blocks) stay near the caches, and a lost chunk is under a second."""
CHUNK_ROWS = 32768
"""Rows of a chunk at most, however many settings price a design: this bounds the memory of a sweep."""

Progress = Callable[[int, int], None]
"""progress(rows done, rows in all), called after every chunk."""
Columns = dict[str, Any]


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
    block, variant = chunk.block, prepared.variants[chunk.block.network]
    designs = knobs(block, chunk.start, chunk.stop)
    evaluated = batch.evaluate(variant.network.layers, designs)
    activity = batch.total(evaluated.layers)
    reasons: Counter[str] = Counter()
    tables = []
    for number, setting in enumerate(block.settings):
        priced = _price(variant, designs, activity, setting, evaluated.reason)
        reason = _constrain(prepared.experiment, setting.technology, priced)
        reasons.update(item for item in reason.tolist() if item)
        priced["row"] = block.first_row + np.arange(chunk.start, chunk.stop) * len(block.settings) + number
        tables.append(_table(priced, reason == ""))
    table = pa.concat_tables(tables).sort_by("row")
    evaluated_rows = designs.size * len(block.settings)
    return table, results.Counts(evaluated_rows, len(table), dict(sorted(reasons.items())))


def _price(
    variant: Variant, designs: Knobs, activity: Activity, setting: Setting, reason: npt.NDArray[np.str_]
) -> Columns:
    node = technology(setting.technology)
    build = Build(knobs=designs, memory=setting.memory, memory_kib=setting.memory_kib, clock_mhz=setting.clock_mhz)
    reason = _over(reason, "memory_kib", _too_big(variant.network, designs, setting))
    reason = _over(reason, "clock_mhz", np.full(designs.size, setting.clock_mhz > node["max_clock"]))
    parts = silicon(build, node)
    for name, limit in node.limits.items():
        reason = _over(reason, name, np.broadcast_to(parts[name] > limit, designs.size))
    # A design that cannot run has no cycles; its infinite throughput is dropped with its row.
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = price(activity, build, node)
    return {
        **_identity(variant, designs, setting),
        **{name: getattr(cost, name) for name in Cost.__dataclass_fields__},
        **{f"{name}_cycles": getattr(activity.cycles, f"{name}_cycles") for name in CAUSES},
        "utilisation": _utilisation(variant.network, designs, activity),
        "bound": _bound(activity),
        "reason": reason,
    }


CAUSES = ("load", "fill", "compute", "drain", "stall", "store")


def _identity(variant: Variant, designs: Knobs, setting: Setting) -> Columns:
    network = variant.network
    act_bits, weight_bits = network.max_bits
    return {
        "network": network.name,
        "precision": network.precision,
        "act_bits": act_bits,
        "weight_bits": weight_bits,
        "accuracy": variant.accuracy,
        "accuracy_source": variant.accuracy_source,
        "model_kib": network.weight_storage_bits / 8192,
        "macs": network.macs,
        "binary_ops": network.binary_ops,
        "machine": designs.kind,
        "dataflow": designs.dataflow,
        "technology": setting.technology,
        "memory": setting.memory,
        "memory_kib": setting.memory_kib,
        "clock_mhz": setting.clock_mhz,
        **{name: getattr(designs, name) for name in NUMERIC},
        "port_shared": designs.port_shared != 0,
    }


def _over(reason: npt.NDArray[np.str_], name: str, broken: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    """The reason so far, or `name` where it is broken and nothing was wrong yet."""
    return np.where((reason == "") & broken, name, reason)


def _too_big(network: Network, designs: Knobs, setting: Setting) -> npt.NDArray[np.bool_]:
    if setting.memory != "sram":
        return np.zeros(designs.size, np.bool_)
    pairs, where = np.unique(np.stack([designs.rows, designs.width]), axis=1, return_inverse=True)
    needed = np.array([_footprint(network, int(rows), int(width)) for rows, width in pairs.T])
    return needed[where.reshape(-1)] > setting.memory_kib * 8192


@lru_cache(maxsize=4096)
def _footprint(network: Network, rows: int, width: int) -> int:
    return footprint_bits(network, rows=rows, width=width)


def _utilisation(network: Network, designs: Knobs, activity: Activity) -> npt.NDArray[np.float64]:
    """useful / (cycles x R x C x W x la x lw), as `hwmodels.models.utilisation`."""
    useful = sum(work(layer, designs.kind) for layer in network.layers)
    lanes = 1 if designs.kind == "mac" else designs.lanes_a * designs.lanes_w
    return useful / np.maximum(1, activity.cycles.total * designs.rows * designs.cols * designs.width * lanes)


def _bound(activity: Activity) -> npt.NDArray[np.str_]:
    names = np.array(["compute", "drain", "load", "store"])
    busy = np.stack([getattr(activity, f"{name}_busy") for name in names])
    return np.asarray(names[np.argmax(busy, axis=0)])


def _constrain(experiment: Experiment, technology: str, columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
    """The reason of every row, constraints included, in the order of the file."""
    reason: npt.NDArray[np.str_] = columns["reason"]
    for constraint in experiment.constraints:
        if not applies(constraint.column, technology):
            continue
        broken = ~np.broadcast_to(np.asarray(constraint.holds(columns[constraint.column]), np.bool_), reason.shape)
        reason = _over(reason, str(constraint), broken)
    return reason


def _table(columns: Mapping[str, Any], keep: npt.NDArray[np.bool_]) -> pa.Table:
    """An Arrow table of the rows to keep; a scalar becomes a column of its repetitions."""
    return pa.table({name: _column(columns[name], keep) for name in COLUMN_ORDER})


def _column(values: Any, keep: npt.NDArray[np.bool_]) -> pa.Array:
    if np.ndim(values) == 0:
        scalar = values.item() if isinstance(values, np.generic | np.ndarray) else values
        return pa.repeat(pa.scalar(scalar), int(keep.sum()))
    kept = values[keep]
    return pa.array(kept.tolist(), pa.string()) if kept.dtype.kind == "U" else pa.array(kept)


COLUMN_ORDER = (
    "row", "network", "precision", "act_bits", "weight_bits", "machine", "dataflow", *NUMERIC,
    "memory", "memory_kib", "clock_mhz", "technology", "accuracy", "accuracy_source", "model_kib", "macs", "binary_ops",
    *Cost.__dataclass_fields__, *(f"{name}_cycles" for name in CAUSES), "utilisation", "bound",
)  # fmt: skip
"""Columns of a part, in order."""


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
