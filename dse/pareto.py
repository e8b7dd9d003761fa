"""Dominance: arrays in, arrays out; every objective smaller is better (callers flip the others once, at the door)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def front(values: Floats) -> Bools:
    """Mask of the rows of (points, objectives) that no other row dominates.

    a dominates b if a <= b everywhere and a < b somewhere; equal rows all stay. Rows with NaN are never on the front.
    Cost: O(points x distinct front members) time, O(points) memory.
    """
    mask = np.zeros(len(values), np.bool_)
    alive = np.flatnonzero(~np.isnan(values).any(axis=1))
    alive = alive[np.lexsort(values[alive].T[::-1])]
    while len(alive):
        # The lexicographically first row left cannot be dominated by any other.
        best = values[alive[0]]
        worse = (values[alive] >= best).all(axis=1)
        equal = (values[alive] == best).all(axis=1)
        mask[alive[equal]] = True
        alive = alive[~worse]
    return mask
