"""Dominance: arrays in, arrays out; every objective smaller is better (callers flip the others once, at the door)."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MANY = 20_000
"""Rows from which a few strong ones are sent ahead, and machine code is fetched."""
KILLERS = 64
"""How many are sent ahead: most of what is dominated is so by one of these (measured on sweeps)."""


def front(values: Floats) -> Bools:
    """Mask of the rows of (points, objectives) that no other row dominates.

    a dominates b if a <= b everywhere and a < b somewhere; equal rows all stay. Rows with NaN are never on the front.
    """
    mask = np.zeros(len(values), np.bool_)
    alive = np.flatnonzero(~beaten(values, _strongest(values) if len(values) > MANY else values[:0]))
    order = alive[np.lexsort(values[alive].T[::-1])]
    first = np.ones(len(order), np.bool_)
    first[1:] = (values[order[1:]] != values[order[:-1]]).any(axis=1)
    winners = _of_sorted(values[order[first]])
    mask[order] = winners[np.cumsum(first) - 1]
    return mask


def beaten(values: Floats, killers: Floats) -> Bools:
    """Mask of the rows of `values` that some row of `killers` dominates, and of those with NaN."""
    if len(values) * max(4, len(killers)) > 4 * MANY and _compiled():
        from dse import skyline

        out = np.empty(len(values), np.bool_)
        skyline.beaten(np.ascontiguousarray(values), np.ascontiguousarray(killers), out)
        return out
    mask: Bools = np.asarray(np.isnan(values).any(axis=1))
    alive = np.flatnonzero(~mask)
    for killer in killers:
        rows = values[alive]
        dead = (killer <= rows).all(axis=1) & (killer < rows).any(axis=1)
        mask[alive[dead]] = True
        alive = alive[~dead]
    return mask


def strongest(values: Floats, count: int) -> Floats:
    """The `count` rows of a front that dominate most of the box around it: those with the least sum of ranks."""
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable").sum(axis=1)
    return values[np.argsort(ranks, kind="stable")[:count]]


def _strongest(values: Floats) -> Floats:
    """A few rows of a sample's front, those first that dominate most of the sample."""
    sample = values[np.random.default_rng(0).integers(0, len(values), MANY)]
    best = np.unique(sample[front(sample)], axis=0)[:2000]
    some = sample[:4000]
    count = np.array([(row <= some).all(axis=1).sum() for row in best])
    return best[np.argsort(-count, kind="stable")[:KILLERS]]


def _of_sorted(values: Floats) -> Bools:
    """The front of different rows in lexicographic order."""
    mask = np.zeros(len(values), np.bool_)
    if len(values) > MANY and _compiled():
        from dse import skyline

        fast = skyline.staircase if values.shape[1] == 3 else skyline.scan
        fast(np.ascontiguousarray(values), mask)
        return mask
    alive = np.arange(len(values))
    while len(alive):
        # The lexicographically first row left cannot be dominated by any other.
        mask[alive[0]] = True
        alive = alive[1:][(values[alive[1:]] < values[alive[0]]).any(axis=1)]
    return mask


@lru_cache(maxsize=1)
def _compiled() -> bool:
    return find_spec("numba") is not None
