"""Which rows of a sweep are worth keeping: the front, the best of every network, and a uniform sample.

Two sides of one rule. `Bars` says of a part of the space that has not been looked at whether it can hold such a row; `chosen`
says of rows whose figures are known which they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse import pareto
from dse.estimates import CONSTANT, Region, stacked
from dse.experiment import Constraint, Experiment, applies
from reports.columns import COLUMNS

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOP = 10
"""Designs kept for every network, machine, technology and ranked column."""
SAMPLE_ROWS = 10_000
"""Rows drawn uniformly from the whole space, whatever they are worth."""
MOST_KILLERS = 256
TIES = ("energy_nj", "latency_us", "row")
"""Columns that break ties of a ranked one, so that the best design is one design."""


def objectives(experiment: Experiment, technology: str) -> tuple[str, ...]:
    """The objectives that a technology has."""
    return tuple(name for name in experiment.objectives if applies(name, technology))


def ranked(experiment: Experiment, technology: str) -> tuple[str, ...]:
    """Columns of which the best designs are kept: the objectives and what is minimised, as far as designs differ in them."""
    wanted = dict.fromkeys((*experiment.objectives, experiment.minimise, "energy_nj"))
    return tuple(name for name in wanted if applies(name, technology) and name not in CONSTANT)


def sign(name: str) -> int:
    """-1 for columns of which more is better."""
    return -1 if COLUMNS[name].direction == "larger" else 1


def oriented(table: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """(rows, columns) float64 with every column turned so that less is better."""
    turned = [table[name].to_numpy(np.float64) * (1 if name == "row" else sign(name)) for name in columns]
    return np.stack(turned, axis=1) if turned else np.zeros((len(table), 0))


def sample_rows(rows: int, seed: int) -> Ints:
    """The numbers of the sampled rows, ascending: all of them where there are no more than SAMPLE_ROWS."""
    if rows <= SAMPLE_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, SAMPLE_ROWS, replace=False))


def chosen(experiment: Experiment, table: pd.DataFrame) -> tuple[Bools, Bools]:
    """Masks of the rows on the front of their technology, and of those among the best in some ranked column."""
    front, top = np.zeros(len(table), np.bool_), np.zeros(len(table), np.bool_)
    for technology in table["technology"].unique():
        index = np.flatnonzero(table["technology"].to_numpy() == technology)
        rows = table.iloc[index]
        names = objectives(experiment, technology)
        if names:
            front[index[pareto.front(oriented(rows, names))]] = True
        for name in ranked(experiment, technology):
            top[index[_first(rows, name)]] = True
    return front, top


def _first(rows: pd.DataFrame, name: str) -> Ints:
    """Places of the TOP best rows of every network and machine."""
    order = np.lexsort(oriented(rows, (name, *TIES)).T[::-1])
    ordered = rows.iloc[order].groupby(["network", "machine"], sort=False, observed=True).cumcount()
    return np.asarray(order[ordered.to_numpy() < TOP])


class Bars:
    """What a row must beat to be kept, as far as is known: it only rises.

    For every technology, some rows of the front of all networks; for one network and machine, the TOP best of every ranked
    column, with their energies, which decide between equals.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._killers: dict[str, Floats] = {}
        self._best: dict[tuple[str, str], Floats] = {}

    def copy(self, *, best: bool = True) -> Bars:
        """A copy to raise elsewhere; without `best`, for another network or machine."""
        copied = deepcopy(self)
        if not best:
            copied._best = {}
        return copied

    def raise_front(self, table: pd.DataFrame) -> None:
        """Learn rows of any network."""
        for technology in table["technology"].unique():
            names = objectives(self._experiment, technology)
            if names:
                rows = oriented(table[table["technology"] == technology], names)
                known = self._killers.get(technology, np.zeros((0, len(names))))
                every = np.unique(np.concatenate([known, rows]), axis=0)
                self._killers[technology] = pareto.strongest(every[pareto.front(every)], MOST_KILLERS)

    def raise_best(self, table: pd.DataFrame) -> None:
        """Learn rows of this network and machine."""
        for technology in table["technology"].unique():
            rows = table[table["technology"] == technology]
            for name in ranked(self._experiment, technology):
                pairs = oriented(rows, (name, "row", "energy_nj"))
                known = self._best.get((technology, name), np.zeros((0, 3)))
                every = np.unique(np.concatenate([known, pairs]), axis=0)
                self._best[technology, name] = every[np.lexsort((every[:, 2], every[:, 0]))][:TOP]

    def may_matter(self, region: Region, technology: str, shape: tuple[int, ...]) -> Bools:
        """Which of the regions (their columns broadcast to `shape`) may hold a row that is kept."""
        found = self._satisfiable(region, technology, shape)
        names = objectives(self._experiment, technology)
        lows = stacked([_low(region, name) for name in names], shape)
        killers = self._killers.get(technology, np.zeros((0, len(names))))
        on_front = ~pareto.beaten(lows, killers).reshape(shape) if names else np.zeros(shape, np.bool_)
        return found & (on_front | self._among_best(region, technology, shape))

    def _among_best(self, region: Region, technology: str, shape: tuple[int, ...]) -> Bools:
        found = np.zeros(shape, np.bool_)
        energy = region.column("energy_nj").low
        for name in ranked(self._experiment, technology):
            best = self._best.get((technology, name), np.zeros((0, 3)))
            if len(best) < TOP:
                return np.ones(shape, np.bool_)
            low, last = _low(region, name), best[-1]
            found |= np.broadcast_to((low < last[0]) | ((low == last[0]) & (energy <= last[2])), shape)
        return found

    def _satisfiable(self, region: Region, technology: str, shape: tuple[int, ...]) -> Bools:
        found = np.ones(shape, np.bool_)
        for constraint in self._experiment.constraints:
            if applies(constraint.column, technology):
                found &= np.broadcast_to(_possible(constraint, region), shape)
        return found


def _low(region: Region, name: str) -> Any:
    """The least that an oriented column can be."""
    interval = region.column(name)
    return interval.low if sign(name) == 1 else -interval.high


def _possible(constraint: Constraint, region: Region) -> Any:
    """Whether some value of the interval satisfies the constraint."""
    interval = region.column(constraint.column)
    low, high = constraint.holds(interval.low), constraint.holds(interval.high)
    if constraint.operator == "==":
        return (interval.low <= constraint.bound) & (constraint.bound <= interval.high)
    return low | high


def labels(flags: Mapping[str, Bools]) -> list[str]:
    """For each row the names of the flags that are set, in order."""
    names = list(flags)
    return [
        " ".join(name for name, one in zip(names, row, strict=True) if one) for row in zip(*flags.values(), strict=True)
    ]
