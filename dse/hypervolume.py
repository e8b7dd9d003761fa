"""How much of the space of objectives a set of points dominates: one number that grows as a search gets better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse import pareto
from dse.keep import sign

Floats = npt.NDArray[np.float64]

MARKS = 100
"""Times at which it is taken."""


def hypervolume(values: Floats, worst: Floats) -> float:
    """Volume between a set of points (points, objectives), less is better, and `worst`, by slicing along the last objective.

    Exact; exponential in the number of objectives, which is small here. Points that are not below `worst` add nothing.
    """
    inside = values[(values < worst).all(axis=1)]
    if not len(inside):
        return 0.0
    front = np.unique(inside[pareto.front(inside)], axis=0)
    if front.shape[1] == 1:
        return float(worst[0] - front[0, 0])
    if front.shape[1] == 2:
        # Ascending along the first objective, a front descends along the second: a stair of boxes.
        widths = np.append(front[1:, 0], worst[0]) - front[:, 0]
        return float((widths * (worst[1] - front[:, 1])).sum())
    order = np.argsort(front[:, -1], kind="stable")
    ends = np.append(front[order[1:], -1], worst[-1])
    total = 0.0
    for count, (row, end) in enumerate(zip(front[order], ends, strict=True), start=1):
        if end > row[-1]:
            total += (end - row[-1]) * hypervolume(front[order[:count], :-1], worst[:-1])
    return total


def growth(values: Floats, objectives: Sequence[str]) -> pd.DataFrame:
    """How a search went: `designs` asked for, `hypervolume`, and the best of every objective so far, at most MARKS times.

    values: (points, objectives) in the order of asking, oriented so that less is better, NaN where nothing could be built.
    """
    marks = np.unique(np.linspace(1, len(values), min(MARKS, len(values))).astype(np.int64))
    best = np.fmin.accumulate(values)[marks - 1]
    columns = {name: best[:, place] * sign(name) for place, name in enumerate(objectives)}
    return pd.DataFrame({"designs": marks, "hypervolume": hypervolume_over_time(values, marks), **columns})


def hypervolume_over_time(values: Floats, marks: npt.NDArray[np.int64]) -> Floats:
    """The share of the box between the best and the worst value of every objective that the first `marks` points dominate.

    The box is that of all points of the run, each side scaled to 0..1, over logarithms where the objective is never 0; NaN rows
    add nothing.
    """
    known = np.asarray(~np.isnan(values).any(axis=1))
    if not known.any():
        return np.zeros(len(marks))
    scaled = np.full_like(values, np.nan)
    scaled[known] = np.stack([_scaled(column) for column in values[known].T], axis=1)
    worst = np.full(values.shape[1], 1 + 1e-9)
    best, last, found = scaled[:0], 0, []
    for mark in marks:
        fresh = scaled[last:mark][known[last:mark]]
        both = np.concatenate([best, fresh])
        best, last = both[pareto.front(both)], int(mark)
        found.append(hypervolume(best, worst))
    return np.array(found)


def _scaled(values: Floats) -> Floats:
    """0 for the best, 1 for the worst. What was turned over is negative: there the factor counts by which the best is missed."""
    if (values < 0).all():
        values = values.min() / values
    if (values > 0).all():
        values = np.log(values)
    low, high = values.min(), values.max()
    return np.asarray((values - low) / (high - low if high > low else 1))
