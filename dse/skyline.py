"""Dominance as machine code; the same answers as the numpy of `dse.pareto`, which does without where numba is missing.

Only this file of `dse` imports numba, and only `dse.pareto` imports this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def beaten(values: Any, killers: Any, out: Any) -> None:
    """out[i]: some killer is nowhere above row i and somewhere below it, or the row holds NaN."""
    width = values.shape[1]
    for i in range(len(values)):
        out[i] = False
        for j in range(width):
            if values[i, j] != values[i, j]:
                out[i] = True
        if out[i]:
            continue
        for k in range(len(killers)):
            below = False
            for j in range(width):
                if killers[k, j] > values[i, j]:
                    break
                below = below or killers[k, j] < values[i, j]
            else:
                if below:
                    out[i] = True
                    break


@njit(cache=True)
def staircase(values: Any, out: Any) -> None:
    """Front of different rows in lexicographic order, three objectives: out[i] says whether row i is on it.

    A row is dominated if one before it is no larger in the last two. Those two of the rows so far make a staircase, the second
    ascending while the third descends, in which one binary search finds the only step that matters.
    """
    second, third = np.empty(1024), np.empty(1024)
    steps = 0
    for i in range(len(values)):
        y, z = values[i, 1], values[i, 2]
        low = np.searchsorted(second[:steps], y, "right")
        if low > 0 and third[low - 1] <= z:
            out[i] = False
            continue
        out[i] = True
        begin = low - 1 if low > 0 and second[low - 1] == y else low
        end = begin
        while end < steps and third[end] >= z:
            end += 1
        if steps + 1 > len(second):
            second, third = np.append(second, np.empty(steps)), np.append(third, np.empty(steps))
        moved = 1 - (end - begin)
        if moved > 0:
            for k in range(steps - 1, end - 1, -1):
                second[k + 1], third[k + 1] = second[k], third[k]
        elif moved < 0:
            for k in range(end, steps):
                second[k + moved], third[k + moved] = second[k], third[k]
        second[begin], third[begin] = y, z
        steps += moved


@njit(cache=True)
def scan(values: Any, out: Any) -> None:
    """The same for any number of objectives: every row against the front so far, oldest first."""
    front = np.empty(len(values), np.int64)
    size = 0
    for i in range(len(values)):
        out[i] = True
        for k in range(size):
            above = False
            for j in range(values.shape[1]):
                if values[front[k], j] > values[i, j]:
                    above = True
                    break
            if not above:
                out[i] = False
                break
        if out[i]:
            front[size] = i
            size += 1
