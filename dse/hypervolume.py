"""How much of the space of objectives a set of points dominates: one number that grows as a search gets better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dse import pareto

Floats = npt.NDArray[np.float64]


def hypervolume(values: Floats, worst: Floats) -> float:
    """Volume between a set of points (points, objectives), less is better, and `worst`, by slicing along the last objective.

    Exact; exponential in the number of objectives, which is small here. Points that are not below `worst` add nothing.
    """
    inside = values[(values < worst).all(axis=1)]
    if not len(inside):
        return 0.0
    front = np.unique(inside[pareto.front(inside)], axis=0)
    if front.shape[1] == 1:
        return float(worst[0] - front[:, 0].min())
    order = np.argsort(front[:, -1], kind="stable")
    ends = np.append(front[order[1:], -1], worst[-1])
    total = 0.0
    for count, (row, end) in enumerate(zip(front[order], ends, strict=True), start=1):
        if end > row[-1]:
            total += (end - row[-1]) * hypervolume(front[order[:count], :-1], worst[:-1])
    return total


def hypervolume_over_time(values: Floats, marks: npt.NDArray[np.int64]) -> Floats:
    """The share of the box between the best and the worst value of every objective that the first `marks` points dominate.

    Over logarithms, each scaled to 0..1 by all points of the run; NaN rows add nothing. Objectives must be positive.
    """
    logs = np.log(values)
    known = np.asarray(~np.isnan(logs).any(axis=1))
    if not known.any():
        return np.zeros(len(marks))
    low, high = logs[known].min(axis=0), logs[known].max(axis=0)
    scaled = (logs - low) / np.where(high > low, high - low, 1)
    worst = np.full(values.shape[1], 1 + 1e-9)
    best, last, found = scaled[:0], 0, []
    for mark in marks:
        fresh = scaled[last:mark][known[last:mark]]
        both = np.concatenate([best, fresh])
        best, last = both[pareto.front(both)], int(mark)
        found.append(hypervolume(best, worst))
    return np.array(found)
