"""Branch sums as machine code: numba (extra `fast`) turns the popcount into the processor's own vector instruction.

numba costs up to a second before its first sum, so numpy works until it has done about as much, and small runs never pay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from workloads.encoding import Words

WORTHWHILE = 2**29
"""xnor words after which machine code is fetched: numpy needs half a second to a second for them (measured)."""

COLUMNS = 4096
"""Columns whose counters, 32 KiB, stay in the first-level cache."""

Kernel = Callable[[Words, Words, np.ndarray], None]


class Meter:
    """How many xnor words have been asked for so far in this process."""

    def __init__(self, limit: int) -> None:
        self._limit, self._words = limit, 0

    def kernel(self, words: int, dtype: np.dtype[Any]) -> Kernel | None:
        """Machine code for a request of `words` words, or None where numpy should do it: too few so far, or no numba."""
        self._words += words
        return machine_code() if self._words > self._limit and dtype == np.uint64 else None


def _ctpop(_context: Any, word: Any) -> Any:
    """LLVM's population count, as numba wants to be told of it."""
    return word(word), lambda _c, builder, _s, values: builder.ctpop(values[0])


@lru_cache(maxsize=1)
def machine_code() -> Kernel | None:
    """The compiled kernel, None where numba is not installed: (left, right, sums), arrays as in `kernels.branch_sums`."""
    try:
        from numba import njit
        from numba.extending import intrinsic
    except ImportError:
        return None

    popcount: Any = intrinsic(_ctpop)

    @njit(cache=True)
    def branches(left: Words, right: Words, sums: np.ndarray) -> None:
        words, columns = right.shape[1], right.shape[3]
        counts = np.empty(columns, np.uint64)
        for group, row, low, high in np.ndindex((left.shape[2], left.shape[3], left.shape[0], right.shape[0])):
            counts[:] = 0
            # Three words a pass spare loads of the counters: 1.6 times as fast (measured).
            for word in range(0, words - 2, 3):
                one, two, three = (
                    left[low, word, group, row],
                    left[low, word + 1, group, row],
                    left[low, word + 2, group, row],
                )
                for column in range(columns):
                    counts[column] += (
                        popcount(one ^ right[high, word, group, column])
                        + popcount(two ^ right[high, word + 1, group, column])
                        + popcount(three ^ right[high, word + 2, group, column])
                    )
            for word in range(words - words % 3, words):
                own = left[low, word, group, row]
                for column in range(columns):
                    counts[column] += popcount(own ^ right[high, word, group, column])
            shift = np.uint64(low + high)
            for column in range(columns):
                sums[group, row, column] += counts[column] << shift

    kernel: Kernel = branches
    return kernel
