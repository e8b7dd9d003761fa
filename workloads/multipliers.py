"""The smallest integers that join two maps of unlike steps: a_1 c_1 + a_2 c_2 with the levels of s_1 c_1 + s_2 c_2, exactly.

A quantizer splits the pairs of codes at its thresholds: E = n_1 c_1 + n_2 c_2 >= T, n_1 : n_2 the exact ratio of the steps. Other
integers with ratio r = a_1 / a_2 split them alike if every pair q above a threshold stays above every pair p below it:

    r x_p + y_p < r x_q + y_q,    an open interval of r around n_1 / n_2,

and the fraction with the smallest terms in an interval is found by continued fractions (the Stern-Brocot tree).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import numpy.typing as npt

from workloads.encoded import Thresholds
from workloads.layers import Add, max_code

Ints = npt.NDArray[np.int64]


def smallest(layer: Add, thresholds: Thresholds) -> tuple[Add, Thresholds]:
    """The layer with the smallest multipliers that emit the same code for every pair of codes, and its thresholds.

    Raises AssertionError unless they do: all pairs are tried.
    """
    exact = layer.multipliers
    if max(map(abs, exact)) == 1:
        return layer, thresholds
    codes = np.arange(-max_code(layer.act_bits), max_code(layer.act_bits) + 1, 2, dtype=np.int64)
    sign = 1 if exact[1] > 0 else -1
    pairs = _Pairs(codes, exact[0], abs(exact[1]))
    # sign * E >= T for a falling channel is E < 1 - T turned around, so all channels split at rising boundaries.
    rising = np.where(thresholds.sign[:, None] > 0, thresholds.values, 1 - thresholds.values)
    boundaries, places = np.unique(rising, return_inverse=True)
    least = simplest(*pairs.interval(boundaries))
    made = replace(layer, multipliers=(least.numerator, sign * least.denominator))
    values = pairs.split(boundaries, least, made.acc_bound)[places.reshape(rising.shape)]
    found = Thresholds(thresholds.sign, np.where(thresholds.sign[:, None] > 0, values, 1 - values))
    _check_equal(codes, (exact, thresholds), (made.multipliers, found))
    return made, found


class _Pairs:
    """All pairs (x, y) of codes, ordered by E = n_1 x + n_2 y with n_1, n_2 > 0."""

    def __init__(self, codes: Ints, first: int, second: int) -> None:
        self._codes, self._first, self._second = codes, first, second

    def _below(self, boundary: int) -> Ints:
        """For every x: how many y, ascending, lie below the boundary."""
        lacking = np.array(
            [-((self._first * x - boundary) // self._second) for x in self._codes.tolist()], dtype=object
        )
        found: Ints = np.searchsorted(self._codes, np.clip(lacking, -1000, 1000).astype(np.int64))
        return found

    def interval(self, boundaries: Ints) -> tuple[Fraction, Fraction | None]:
        """Bounds of r = a_1 / a_2, both excluded: -dy / dx from below where dx > 0, from above where dx < 0."""
        low, high = Fraction(0), None
        for boundary in boundaries.tolist():
            below = self._below(boundary)
            under, over = below > 0, below < len(self._codes)
            dx = self._codes[over][None] - self._codes[under][:, None]
            dy = self._codes[below[over]][None] - self._codes[below[under] - 1][:, None]
            with np.errstate(divide="ignore"):
                slopes = -dy / dx
            # Slopes are quotients of integers below 512, so doubles order them exactly.
            for found, right in (
                (_extreme(dx > 0, slopes, dx, dy, -1), True),
                (_extreme(dx < 0, slopes, dx, dy, 1), False),
            ):
                if found is not None and right:
                    low = max(low, found)
                elif found is not None:
                    high = found if high is None else min(high, found)
        return low, high

    def split(self, boundaries: Ints, ratio: Fraction, bound: int) -> Ints:
        """Where a_1 x + a_2 y splits the pairs as each boundary does; +-(bound + 1) where all lie on one side."""
        return np.array([self._edge(boundary, ratio, bound) for boundary in boundaries.tolist()], dtype=np.int64)

    def _edge(self, boundary: int, ratio: Fraction, bound: int) -> int:
        below = self._below(boundary)
        over = below < len(self._codes)
        if not over.any():
            return bound + 1
        if not below.any():
            return -bound
        sums = ratio.numerator * self._codes[over] + ratio.denominator * self._codes[below[over]]
        return int(sums.min())


def _extreme(
    chosen: npt.NDArray[np.bool_], slopes: npt.NDArray[np.float64], dx: Ints, dy: Ints, sign: int
) -> Fraction | None:
    """The least (sign 1) or largest (sign -1) of the chosen slopes -dy / dx, as a fraction."""
    if not chosen.any():
        return None
    place = np.unravel_index(np.where(chosen, sign * slopes, np.inf).argmin(), slopes.shape)
    return Fraction(-int(dy[place]), int(dx[place]))


def simplest(low: Fraction, high: Fraction | None) -> Fraction:
    """The fraction of smallest terms strictly between low >= 0 and high (None: no end)."""
    whole = floor(low)
    if high is None or whole + 1 < high:
        return Fraction(whole + 1)
    if low == whole:  # high <= whole + 1: 1 / (r - whole) lies above 1 / (high - whole)
        return whole + 1 / simplest(1 / (high - whole), None)
    return whole + 1 / simplest(1 / (high - whole), 1 / (low - whole))


def _check_equal(
    codes: Ints, exact: tuple[tuple[int, int], Thresholds], found: tuple[tuple[int, int], Thresholds]
) -> None:
    """All pairs, all distinct channels: both emit one level."""
    rows = np.unique(np.column_stack([exact[1].sign, exact[1].values, found[1].values]), axis=0)
    levels = exact[1].values.shape[1]
    for row in rows:
        emitted = []
        for (first, second), values in ((exact[0], row[1 : 1 + levels]), (found[0], row[1 + levels :])):
            sums = row[0] * (first * codes[:, None] + second * codes[None])
            emitted.append(np.searchsorted(values, sums, side="right"))
        if (emitted[0] != emitted[1]).any():
            raise AssertionError(f"multipliers: {found[0]} must emit the levels of {exact[0]} for every pair of codes")
