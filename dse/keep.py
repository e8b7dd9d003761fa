"""Which rows of a sweep are worth keeping: the front, the best of every network and of every value of a knob, a uniform sample.

Two sides of one rule. `Bars` says of a part of the space that has not been looked at whether it can hold such a row; `chosen`
says of rows whose figures are known which they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse import pareto
from dse.axes import AxisBars, may_be_best
from dse.estimates import CONSTANT, Region, stacked
from dse.experiment import Constraint, Experiment, applies
from dse.space import Space
from reports.columns import COLUMNS

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOP = 10
"""Designs kept for every network, machine, technology and ranked column."""
SAMPLE_ROWS = 10_000
"""Rows drawn uniformly from the whole space, whatever they are worth."""
MACHINES = ("network", "machine")
"""Designs are compared within one network and kind of machine."""
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


def swept_knobs(experiment: Experiment) -> tuple[str, ...]:
    """The knobs that take several values, in the order of `Space`: for each of their values the best designs are kept."""
    several = (name for name in Space.__dataclass_fields__ if len(getattr(experiment.space, name)) > 1)
    return tuple(name for name in several if name not in ("machine", "technology"))


def chosen(experiment: Experiment, table: pd.DataFrame, *, axes: bool) -> dict[str, Bools]:
    """Masks of the rows on the front of their technology, of those among the best in some ranked column ("top"), and, with
    `axes`, of the best ones at some value of some knob ("axis")."""
    masks = {name: np.zeros(len(table), np.bool_) for name in ("front", "top", *(("axis",) if axes else ()))}
    for technology in table["technology"].unique():
        index = np.flatnonzero(table["technology"].to_numpy() == technology)
        rows = table.iloc[index]
        names = objectives(experiment, technology)
        if names:
            masks["front"][index[pareto.front(oriented(rows, names))]] = True
        for name in ranked(experiment, technology):
            order = np.lexsort(oriented(rows, (name, *TIES)).T[::-1])
            masks["top"][index[_first(rows, order, MACHINES, TOP)]] = True
            for knob in swept_knobs(experiment) if axes else ():
                masks["axis"][index[_first(rows, order, (*MACHINES, knob), 1)]] = True
    return masks


def _first(rows: pd.DataFrame, order: Ints, groups: Sequence[str], count: int) -> Ints:
    """Places of the first rows of every group, `order` being places best first."""
    ordered = rows[list(groups)].iloc[order].groupby(list(groups), sort=False, observed=True).cumcount()
    return np.asarray(order[ordered.to_numpy() < count])


def figures(experiment: Experiment, technology: str) -> tuple[str, ...]:
    """The columns that decide what is kept, energy among them: it decides between equals."""
    return tuple(dict.fromkeys((*objectives(experiment, technology), *ranked(experiment, technology))))


class Bars:
    """What a row must beat to be kept, as far as is known: it only rises.

    For every technology, some rows of the front of all networks; for one network and machine, the TOP best of every ranked
    column as (value, energy, row); for one block, if wanted, the best at every value of its `axes`. Arrays of figures are
    (rows, figures), oriented, in the order of `figures`.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._killers: dict[str, Floats] = {}
        self._best: dict[tuple[str, str], Floats] = {}
        self.axes: AxisBars | None = None

    def copy(self, *, best: bool = True) -> Bars:
        """A copy to raise elsewhere; without `best`, for another network or machine."""
        copied = Bars(self._experiment)
        copied.axes = self.axes.copy() if best and self.axes else None
        copied._killers = dict(self._killers)
        copied._best = dict(self._best) if best else {}
        return copied

    def learn(self, table: pd.DataFrame, *, best: bool = True) -> None:
        """Raise the bars by stored rows; those of another network or machine are no `best`."""
        for technology in table["technology"].unique():
            rows = table[table["technology"] == technology]
            known = oriented(rows, figures(self._experiment, technology))
            self.rise(technology, known, rows["row"].to_numpy() if best else None)

    def learn_front(self, other: Bars) -> None:
        """Take over the front of another network's bars, which knew this one's."""
        self._killers = dict(other._killers)

    def rise(self, technology: str, highs: Floats, rows: Ints | None) -> None:
        """Raise the bars by feasible rows whose figures are no worse than `highs`; without `rows` the front's bar only."""
        names = figures(self._experiment, technology)
        count = len(objectives(self._experiment, technology))
        if count:
            known = self._killers.get(technology, np.zeros((0, count)))
            new = highs[~pareto.beaten(np.ascontiguousarray(highs[:, :count]), known), :count]
            if len(new):
                every = np.unique(np.concatenate([known, new]), axis=0)
                self._killers[technology] = pareto.strongest(every[pareto.front(every)], MOST_KILLERS)
        if rows is None:
            return
        if self.axes and len(rows):
            self.axes.rise(technology, self._pairs(technology, highs), rows)
        for name in ranked(self._experiment, technology):
            held = np.stack([highs[:, names.index(name)], highs[:, names.index("energy_nj")], rows], axis=1)
            every = np.concatenate([self._best.get((technology, name), np.zeros((0, 3))), held])
            every = every[np.lexsort((every[:, 1], every[:, 0]))]
            _, first = np.unique(every[:, 2], return_index=True)
            self._best[technology, name] = every[np.sort(first)][:TOP]

    def _pairs(self, technology: str, values: Floats) -> Floats:
        """(rows, ranked columns, 2) of (rows, figures): every ranked figure, and energy."""
        names = figures(self._experiment, technology)
        own = values[:, [names.index(name) for name in ranked(self._experiment, technology)]]
        return np.stack([own, np.broadcast_to(values[:, [names.index("energy_nj")]], own.shape)], axis=2)

    def may_be_axis(self, technology: str, lows: Floats, levels: Floats) -> Bools:
        """Which rows, or sets of rows, whose figures are no better than `lows` may be the best at one of their values."""
        pairs = self._pairs(technology, lows)
        return may_be_best(levels, pairs[..., 0], pairs[:, 0, 1])

    def may_matter(self, technology: str, lows: Floats) -> Bools:
        """Which rows, or sets of rows, whose figures are no better than `lows` may be on the front or among the best."""
        names = figures(self._experiment, technology)
        count = len(objectives(self._experiment, technology))
        found = np.zeros(len(lows), np.bool_)
        if count:
            killers = self._killers.get(technology, np.zeros((0, count)))
            found = ~pareto.beaten(np.ascontiguousarray(lows[:, :count]), killers)
        energy = lows[:, names.index("energy_nj")]
        for name in ranked(self._experiment, technology):
            best = self._best.get((technology, name), np.zeros((0, 3)))
            if len(best) < TOP:
                return np.ones(len(lows), np.bool_)
            low, (value, tie, _) = lows[:, names.index(name)], best[-1]
            found |= (low < value) | ((low == value) & (energy <= tie))
        return found


def figures_of(experiment: Experiment, technology: str, region: Region, count: int) -> tuple[Floats, Floats]:
    """(count, figures) oriented: the best that each part of the region can be, and the worst."""
    intervals = [(region.column(name), sign(name)) for name in figures(experiment, technology)]
    lows = stacked([item.low if turn == 1 else -item.high for item, turn in intervals], count)
    if not region.exact:
        return lows, lows
    return lows, stacked([item.high if turn == 1 else -item.low for item, turn in intervals], count)


def satisfiable(experiment: Experiment, technology: str, region: Region, count: int) -> tuple[Bools, Bools]:
    """Masks of the parts of a region some row of which may satisfy all constraints, and of those whose rows all do."""
    possible, certain = np.ones(count, np.bool_), np.full(count, region.exact)
    for constraint in experiment.constraints:
        if applies(constraint.column, technology):
            some, every = _held(constraint, region)
            possible &= some
            certain &= every
    return possible, certain


def _held(constraint: Constraint, region: Region) -> tuple[Any, Any]:
    """Whether some, and whether every value of the interval satisfies the constraint."""
    interval = region.column(constraint.column)
    low, high = constraint.holds(interval.low), constraint.holds(interval.high)
    if constraint.operator == "==":
        return (interval.low <= constraint.bound) & (constraint.bound <= interval.high), low & high
    return low | high, low & high


def labels(flags: Mapping[str, Bools]) -> list[str]:
    """For each row the names of the flags that are set, in order."""
    names = list(flags)
    return [
        " ".join(name for name, one in zip(names, row, strict=True) if one) for row in zip(*flags.values(), strict=True)
    ]
