"""Pareto fronts of integer vectors: sums of fronts, dominance, thinning with a proven factor. Less is better everywhere.

Two objectives keep their points sorted, first ascending and second descending, so that shifted fronts are merged, not sorted.
Values are integers, so equal is equal: points that meet are one point, and `ties` counts in how many ways it is reached. The
kernels are plain Python that numba (extra `fast`) turns into machine code; without it numpy does the same, more slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MANY = 2**62
"""Ties are counted up to here; the count of more is this one."""


@dataclass(frozen=True, slots=True)
class Front:
    """values (objectives, points), in how many ways each point is reached, and a code that says where it came from."""

    values: Ints
    ties: Ints
    origin: Ints

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.values.shape[1])

    def take(self, index: Any) -> Front:
        """Some of the points, in that order."""
        return Front(np.ascontiguousarray(self.values[:, index]), self.ties[index], self.origin[index])


@dataclass(frozen=True, slots=True)
class Shifted:
    """A front moved by a constant vector; each of its points is reached in `times` as many ways, with `code` + its index."""

    front: Front
    shift: Ints
    times: int
    code: int


def start(objectives: int) -> Front:
    """The front of nothing chosen yet."""
    return Front(np.zeros((objectives, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64))


def union(parts: Sequence[Shifted], *, lower: Ints | None = None, factor: float = 1.0) -> Front:
    """The points of all parts that no other dominates, equal ones once with their ties added up.

    With a `factor` above 1 a point may also be left out where another is at most `factor` times as large in every objective,
    `lower`, which is still to come at least, counted in on both sides.
    """
    objectives = len(parts[0].shift)
    rest = np.zeros(objectives, np.int64) if lower is None else lower
    if objectives == 2:
        front = _union_of_two(parts)
        return front if factor <= 1 else front.take(_thinned(front.values, rest, factor))
    front = _gathered(parts)
    if factor > 1:
        front = front.take(_one_a_box(front.values, rest, factor))
    return undominated(front)


def undominated(front: Front) -> Front:
    """Any points (three objectives) or any sorted or unsorted ones (two) as a front: sorted, equal ones joined."""
    order = np.lexsort(front.values[::-1])
    values, ties = front.values[:, order], front.ties[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (values[:, 1:] != values[:, :-1]).any(axis=0)
    first = np.flatnonzero(new)
    # Integers wrap around where there are too many; the sum in floating point knows.
    too_many = np.add.reduceat(ties.astype(np.float64), first) >= MANY
    ties = np.where(too_many, MANY, np.add.reduceat(ties, first))
    values, origin = np.ascontiguousarray(values[:, first]), front.origin[order][first]
    keep = _best_so_far(values)
    return Front(np.ascontiguousarray(values[:, keep]), ties[keep], origin[keep])


def without_beaten(front: Front, others: Sequence[tuple[Front, Ints]]) -> Front:
    """The points that no point of another front, moved by a vector, dominates; equal vectors do not beat each other."""
    keep = np.ones(front.size, np.bool_)
    for other, shift in others:
        moved = other.values + shift[:, None]
        if front.size and other.size:
            keep &= ~_kernels()["beaten"](front.values, moved) if len(shift) == 2 else ~_beaten(front.values, moved)
    return front if keep.all() else front.take(keep)


def _union_of_two(parts: Sequence[Shifted]) -> Front:
    machine = _kernels()
    if machine["compiled"]:
        values, ties, origin = machine["merge"](
            np.concatenate([part.front.values for part in parts], axis=1),
            np.concatenate([part.front.ties for part in parts]),
            np.cumsum([0, *(part.front.size for part in parts)]),
            np.array([part.shift for part in parts], np.int64),
            np.array([part.times for part in parts], np.int64),
            np.array([part.code for part in parts], np.int64),
        )
        return Front(values, ties, origin)
    return undominated(_gathered(parts))


def _gathered(parts: Sequence[Shifted]) -> Front:
    """All points of all parts, unsorted."""
    return Front(
        np.concatenate([part.front.values + part.shift[:, None] for part in parts], axis=1),
        np.concatenate(
            [np.where(part.front.ties > MANY // part.times, MANY, part.front.ties * part.times) for part in parts]
        ),
        np.concatenate([part.code + np.arange(part.front.size) for part in parts]),
    )


def _best_so_far(values: Ints) -> Bools:
    """Which of distinct vectors in lexicographic order no earlier one dominates."""
    if values.shape[0] == 2:
        least = np.minimum.accumulate(values[1])
        return np.concatenate([[True], values[1, 1:] < least[:-1]])
    ranks = np.unique(values[1], return_inverse=True)[1].astype(np.int64)
    return np.asarray(_kernels()["scan"](ranks, values[2]), np.bool_)


def _beaten(values: Ints, others: Ints) -> Bools:
    """Which of `values` (3, n) some vector of `others` dominates."""
    both = np.concatenate([others, values], axis=1)
    own = np.arange(both.shape[1]) >= others.shape[1]
    # Equal vectors: the own one first, so that its twin does not beat it.
    order = np.lexsort((~own, both[2], both[1], both[0]))
    ranks = np.unique(both[1], return_inverse=True)[1].astype(np.int64)
    found = np.zeros(len(order), np.bool_)
    found[order] = _kernels()["beaten3"](ranks[order], both[:, order], own[order])
    return found[others.shape[1] :]


def _thinned(values: Ints, lower: Ints, factor: float) -> npt.NDArray[np.intp]:
    """Fewest points of a sorted front of two objectives such that each point has one at most `factor` times as large."""
    x, y = (values[0] + lower[0]).astype(np.float64), (values[1] + lower[1]).astype(np.float64)
    factor = 1 + (factor - 1) * (1 - 1e-9)
    kept, first = [], 0
    while first < len(x):
        chosen = int(np.searchsorted(x, x[first] * factor, side="right")) - 1
        kept.append(chosen)
        # y descends: the points behind that are covered end where y * factor falls below the chosen one's.
        behind = int(np.searchsorted(-y * factor, -y[chosen], side="right"))
        first = max(chosen + 1, behind)
    return np.array(kept, np.intp)


def _one_a_box(values: Ints, lower: Ints, factor: float) -> npt.NDArray[np.intp]:
    """One point, the one with the least product, of every box whose sides are `factor` long on a logarithmic scale."""
    sizes = np.log(np.maximum(values + lower[:, None], 1).astype(np.float64))
    boxes = np.floor(sizes / np.log1p((factor - 1) * (1 - 1e-9))).astype(np.int64)
    boxes[values + lower[:, None] == 0] = -1
    key = boxes[0]
    for row in boxes[1:]:
        key = key * (int(row.max()) + 2) + row + 1
    order = np.lexsort((sizes.sum(axis=0), key))
    first = np.ones(len(order), np.bool_)
    first[1:] = key[order][1:] != key[order][:-1]
    return order[first]


@lru_cache(maxsize=1)
def _kernels() -> dict[str, Any]:
    """The kernels as machine code, or as they stand where numba is not installed; `compiled` says which."""
    plain = {"merge": merge, "beaten": beaten, "scan": scan, "beaten3": beaten_of_three}
    try:
        from numba import njit
    except ImportError:
        return {**plain, "compiled": False}
    return {**{name: njit(cache=True)(kernel) for name, kernel in plain.items()}, "compiled": True}


def merge(values: Ints, ties: Ints, ends: Ints, shifts: Ints, times: Ints, codes: Ints) -> tuple[Ints, Ints, Ints]:
    """Sorted fronts of two objectives, list i at ends[i]..ends[i + 1], each moved by its shift, merged two by two into one."""
    many = np.int64(4611686018427387904)
    total, lists = ends[-1], len(ends) - 1
    one, two = np.empty((4, total), np.int64), np.empty((4, total), np.int64)
    bounds = ends.copy()
    for i in range(lists):
        for j in range(ends[i], ends[i + 1]):
            one[0, j], one[1, j] = values[0, j] + shifts[i, 0], values[1, j] + shifts[i, 1]
            one[2, j] = ties[j] * times[i] if ties[j] <= many // times[i] else many
            one[3, j] = codes[i] + j - ends[i]
    # bounds[i] .. lengths[i]: a list stays where its pair began, so nothing moves but what is merged.
    stops = ends[1:].copy()
    while lists > 1:
        made = 0
        for first in range(0, lists, 2):
            begin = at = bounds[first]
            i, last_i = bounds[first], stops[first]
            j, last_j = 0, 0
            if first + 1 < lists:
                j, last_j = bounds[first + 1], stops[first + 1]
            while i < last_i or j < last_j:
                left = j >= last_j or (
                    i < last_i and (one[0, i] < one[0, j] or (one[0, i] == one[0, j] and one[1, i] <= one[1, j]))
                )
                p = i if left else j
                if left:
                    i += 1
                else:
                    j += 1
                if at == begin or one[1, p] < two[1, at - 1]:
                    for row in range(4):
                        two[row, at] = one[row, p]
                    at += 1
                elif one[1, p] == two[1, at - 1] and one[0, p] == two[0, at - 1]:
                    two[2, at - 1] = min(many, two[2, at - 1] + one[2, p])
            bounds[made], stops[made] = begin, at
            made += 1
        lists = made
        one, two = two, one
    stop = stops[0]
    return one[:2, :stop].copy(), one[2, :stop].copy(), one[3, :stop].copy()


def beaten(values: Ints, others: Ints) -> Bools:
    """Which points of a sorted front of two objectives some point of another sorted front dominates."""
    found = np.zeros(values.shape[1], np.bool_)
    j = -1
    for i in range(values.shape[1]):
        while j + 1 < others.shape[1] and others[0, j + 1] <= values[0, i]:
            j += 1
        if j >= 0:
            below = others[1, j] < values[1, i]
            found[i] = below or (others[1, j] == values[1, i] and others[0, j] < values[0, i])
    return found


def scan(ranks: Ints, z: Ints) -> Bools:
    """Which points, in lexicographic order, have a z below that of every earlier one of no larger rank of y (a Fenwick tree)."""
    size = len(z)
    least = np.full(size + 1, np.int64(9223372036854775807))
    keep = np.zeros(size, np.bool_)
    for i in range(size):
        place, best = ranks[i] + 1, np.int64(9223372036854775807)
        while place > 0:
            best = min(best, least[place])
            place -= place & -place
        if z[i] < best:
            keep[i] = True
            place = ranks[i] + 1
            while place <= size:
                least[place] = min(least[place], z[i])
                place += place & -place
    return keep


def beaten_of_three(ranks: Ints, values: Ints, own: Bools) -> Bools:
    """Which own points, among points in lexicographic order, an earlier point that is not own dominates."""
    size = len(ranks)
    least = np.full(size + 1, np.int64(9223372036854775807))
    found = np.zeros(size, np.bool_)
    for i in range(size):
        if own[i]:
            place, best = ranks[i] + 1, np.int64(9223372036854775807)
            while place > 0:
                best = min(best, least[place])
                place -= place & -place
            found[i] = best <= values[2, i]
        else:
            place = ranks[i] + 1
            while place <= size:
                least[place] = min(least[place], values[2, i])
                place += place & -place
    return found
