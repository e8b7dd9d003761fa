"""A sweep of the designs that a sampler asks for, where a space is too large to enumerate.

The sampler sees a grid: one axis for the blocks, one for every knob, one for the settings of a technology. Ask, price, tell: one
batch is a unit of the work. A resumed sweep asks again, and prices only what no unit holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from dse import results
from dse.experiment import Experiment
from dse.front import shared
from dse.hypervolume import growth
from dse.keep import oriented
from dse.rows import SCHEMA, rows_of
from dse.samplers.registry import check_sampler, sampler
from dse.space import Block
from dse.variants import Variant

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WORTHWHILE = 100
"""Designs asked for from which machine code pays: for small batches numpy is slow (measured)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which sampler asks, for how many designs (one that it asks for again counts again), and its seed."""

    sampler: str
    budget: int
    seed: int = 1

    def __post_init__(self) -> None:
        check_sampler(self.sampler)
        if self.budget < 1:
            raise ValueError(f"sampler: budget must be at least 1, not {self.budget}")
        if self.seed < 0:
            raise ValueError(f"sampler: seed must be an integer >= 0, not {self.seed}")

    @property
    def words(self) -> str:
        """Who asked for how much."""
        return f"{self.sampler}, seed {self.seed}: {self.budget:,} designs asked for"


def sampling_of(experiment: Experiment, name: str | None, budget: int, seed: int | None) -> Sampling | None:
    """The sampling that was asked for, with the seed of the experiment where there is no other; None without a sampler."""
    return None if name is None else Sampling(name, budget, experiment.seed if seed is None else seed)


@dataclass(frozen=True, slots=True)
class Axes:
    """The space as a grid that a sampler can see: the block, every knob at its longest, the setting; technologies are no axis."""

    blocks: tuple[Block, ...]
    technologies: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of every axis; an axis that a block has shorter is stretched over it."""
        knobs = np.array([[len(values) for _, values in block.axes] for block in self.blocks]).max(axis=0)
        return (len(self.blocks), *(int(size) for size in knobs), self.settings)

    @property
    def settings(self) -> int:
        """Settings of one technology."""
        return len(self.blocks[0].settings) // self.technologies

    def rows(self, places: Ints) -> Ints:
        """(points, technologies) row numbers of (points, axes) points: the same machine in every technology."""
        first, sizes = np.empty(len(places), np.int64), np.array(self.sizes[1:-1])
        for number in np.unique(places[:, 0]):
            mine, block = places[:, 0] == number, self.blocks[number]
            own = [len(values) for _, values in block.axes]
            design = np.ravel_multi_index(tuple((places[mine, 1:-1] * own // sizes).T), own)
            first[mine] = block.first_row + design * len(block.settings)
        return np.asarray((first + places[:, -1])[:, None] + self.settings * np.arange(self.technologies))


@dataclass(frozen=True, slots=True)
class Sampled:
    """The feasible rows that were asked for, in row order; what became of all of them; and how the search went (`growth`)."""

    table: pa.Table
    counts: results.Counts
    growth: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Survey:
    """A space looked at through a sampler, which is told the figures of the first technology."""

    sampling: Sampling
    experiment: Experiment
    variants: tuple[Variant, ...]
    blocks: tuple[Block, ...]

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that the sampler is told."""
        return shared(self.experiment.objectives, self.technology)

    @property
    def technology(self) -> str:
        """The technology whose figures it is told."""
        return self.experiment.space.technology[0]

    def run(self, folder: Path, progress: Callable[[int, int], None]) -> Sampled:
        """Ask until the budget is spent; every batch becomes a part of the work in `folder`, or is read from it."""
        axes = Axes(self.blocks, len(self.experiment.space.technology))
        asking = sampler(self.sampling.sampler, axes.sizes, len(self.objectives), self.sampling.seed)
        told, order, tables, counts = dict[int, Floats](), list[int](), [SCHEMA.empty_table()], NOTHING
        while len(order) < self.sampling.budget:
            progress(len(order), self.sampling.budget)
            rows = axes.rows(asking.ask(min(asking.batch, self.sampling.budget - len(order))))
            fresh = rows[[row not in told for row in rows[:, 0].tolist()]]
            table, found = self._unit(folder, len(tables) - 1, np.unique(fresh))
            told |= self._told(fresh[:, 0], table)
            asking.tell(np.stack([told[row] for row in rows[:, 0].tolist()]))
            order += rows[:, 0].tolist()
            tables, counts = [*tables, table], counts + found
        progress(len(order), self.sampling.budget)
        values = np.stack([told[row] for row in order])
        return Sampled(pa.concat_tables(tables).sort_by("row"), counts, growth(values, self.objectives))

    def _unit(self, folder: Path, index: int, rows: Ints) -> tuple[pa.Table, results.Counts]:
        """The feasible ones of the rows of a batch, and the counts of all."""
        path = results.work_path(folder, index)
        if not results.whole(path):
            results.write_part(path, results.encoded(*self.price(rows)))
        return results.read_part(path), results.part_counts(path)

    def price(self, rows: Ints) -> tuple[pa.Table, results.Counts]:
        """Rows of any blocks, ascending."""
        owner = np.searchsorted([block.first_row for block in self.blocks], rows, side="right") - 1
        tables, counts = [SCHEMA.empty_table()], NOTHING
        for number in np.unique(owner).tolist():
            block, mine = self.blocks[number], rows[owner == number]
            table, found = rows_of(
                self.variants[block.network], block, self.experiment.constraints, mine,
                machine_code=self.sampling.budget >= WORTHWHILE,
            )  # fmt: skip
            tables, counts = [*tables, table], counts + found
        return pa.concat_tables(tables), counts

    def _told(self, rows: Ints, table: pa.Table) -> dict[int, Floats]:
        """The objectives of every row, NaN where it is infeasible."""
        frame = table.to_pandas()
        known = dict(zip(frame["row"].tolist(), oriented(frame, self.objectives), strict=True))
        nothing = np.full(len(self.objectives), np.nan)
        return {row: known.get(row, nothing) for row in rows.tolist()}


NOTHING = results.Counts(0, 0, {})
