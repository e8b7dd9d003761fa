"""`dse search`: a space too large to enumerate, by a sampler with a budget of designs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dse import pareto
from dse.compare import swept_technology
from dse.experiment import Experiment
from dse.front import shared
from dse.hypervolume import hypervolume_over_time
from dse.keep import oriented
from dse.samplers.registry import sampler
from dse.space import Block, Chunk
from dse.sweeps import Plan, evaluate_chunk, plan
from reports.figures.hypervolume import hypervolume_figure

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

BATCH = 50
"""Points asked for at once: a generation of NSGA-II, as Optuna has it by default."""
MARKS = 50
"""Times at which the hypervolume is taken."""
ROWS, FRONT, GROWTH, PAGE = "rows.parquet", "front.csv", "hypervolume.csv", "search.html"


@dataclass(frozen=True, slots=True)
class Searched:
    """rows: every feasible row found, in row order. front: those that no other one beats. growth: designs, hypervolume."""

    sampler: str
    seed: int
    rows: pd.DataFrame
    front: pd.DataFrame
    growth: pd.DataFrame
    objectives: tuple[str, ...]
    asked: int
    space: int


@dataclass(frozen=True, slots=True)
class Axes:
    """The space as a grid that a sampler can see: the block, every knob at its longest, the setting."""

    blocks: tuple[Block, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of every axis; an axis that a block has shorter is stretched over it."""
        knobs = np.array([[len(values) for _, values in block.axes] for block in self.blocks]).max(axis=0)
        return (len(self.blocks), *(int(size) for size in knobs), len(self.blocks[0].settings))

    def row(self, place: Ints) -> int:
        """The row number of a point of the grid."""
        block, sizes = self.blocks[int(place[0])], self.sizes[1:-1]
        own = [len(values) for _, values in block.axes]
        index = [int(value) * mine // size for value, mine, size in zip(place[1:-1], own, sizes, strict=True)]
        design = int(np.ravel_multi_index(index, own))
        return block.first_row + design * len(block.settings) + int(place[-1])


def search(
    experiment: Experiment,
    name: str,
    *,
    budget: int,
    seed: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Searched:
    """Ask a sampler for `budget` designs of the space and evaluate each once; points of designs that were seen are free.

    The same experiment, sampler, budget and seed give the same rows. Raises ValueError where nothing feasible is found.
    """
    if budget < 1:
        raise ValueError(f"search: budget must be at least 1, not {budget}")
    prepared, chosen = plan(experiment), swept_technology(experiment, None)
    objectives, axes = shared(experiment.objectives, chosen), Axes(prepared.blocks)
    begun = experiment.seed if seed is None else seed
    asking = sampler(name, axes.sizes, len(objectives), begun)
    known: dict[int, pa.Table] = {}
    order = list[int]()
    while len(order) < budget:
        places = asking.ask(min(BATCH, budget - len(order)))
        rows = [axes.row(place) for place in places]
        for row in dict.fromkeys(rows):
            if row not in known:
                known[row] = _evaluated(prepared, row)
        values = np.concatenate([_values(known[row], objectives, chosen) for row in rows])
        asking.tell(values)
        order += rows
        progress(len(order), budget)
    return _searched(name, begun, known, order, objectives, chosen, prepared.rows)


def _evaluated(prepared: Plan, row: int) -> pa.Table:
    """The row as a table, without rows if it is infeasible."""
    block = max((item for item in prepared.blocks if item.first_row <= row), key=lambda item: item.first_row)
    place = (row - block.first_row) // len(block.settings)
    table, _ = evaluate_chunk(prepared, Chunk(0, block, place, place + 1))
    return table.filter(pa.compute.equal(table["row"], row))


def _values(table: pa.Table, objectives: tuple[str, ...], technology: str) -> Floats:
    """(1, objectives), NaN where the row is infeasible or of another technology than the one that is looked at."""
    if not len(table) or table["technology"][0].as_py() != technology:
        return np.full((1, len(objectives)), np.nan)
    return oriented(table.to_pandas(), objectives)


def _searched(
    name: str,
    seed: int,
    known: dict[int, pa.Table],
    order: list[int],
    objectives: tuple[str, ...],
    technology: str,
    space: int,
) -> Searched:
    rows = pa.concat_tables(known.values()).sort_by("row").to_pandas()
    rows = rows[rows["technology"] == technology].reset_index(drop=True)
    if not len(rows):
        raise ValueError(
            f"search: must find a feasible design in {technology}, but none of {len(order)} is; raise the budget"
        )
    front = rows[pareto.front(oriented(rows, objectives))].reset_index(drop=True)
    # A larger value is better for some objectives; turned over, they are negative, so they grow towards a fixed end instead.
    values = np.concatenate([_values(known[row], objectives, technology) for row in order])
    marks = np.unique(np.linspace(1, len(order), min(MARKS, len(order))).astype(np.int64))
    growth = pd.DataFrame({"designs": marks, "hypervolume": hypervolume_over_time(_positive(values), marks)})
    return Searched(name, seed, rows, front, growth, objectives, len(order), space)


def _positive(values: Floats) -> Floats:
    """Objectives that were turned over become the factor by which they miss the best one."""
    turned = np.nanmin(values, axis=0) < 0
    return np.where(turned, np.nanmin(values, axis=0) / values, values)


def write_search(done: Searched, folder: Path) -> list[Path]:
    """rows.parquet, front.csv, hypervolume.csv and search.html. Raises ValueError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pandas(done.rows, preserve_index=False), folder / ROWS, compression="zstd")
        done.front.to_csv(folder / FRONT, index=False)
        done.growth.to_csv(folder / GROWTH, index=False)
        page = hypervolume_figure(done.growth, done.sampler).to_html(include_plotlyjs=True, full_html=True)
        (folder / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{folder}: the output folder must be writable, but {error.strerror or error}") from error
    return [folder / name for name in (ROWS, FRONT, GROWTH, PAGE)]
