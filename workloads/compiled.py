"""When machine code pays: numba (extra `fast`) makes it, once a process, and only after numpy has done enough work.

numba costs up to a second before its first sum (some seconds on its very first run, whose code is then kept on disk), so
numpy works until it has done about as much, and small runs never pay.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

WORTHWHILE = 2**29
"""xnor words after which machine code is fetched: numpy needs half a second to a second for them (measured)."""


class Meter:
    """How many xnor words have been asked for so far in this process."""

    def __init__(self, limit: int) -> None:
        self._limit, self._words = limit, 0

    def count(self, words: int) -> None:
        """Work that was asked for."""
        self._words += words

    def passed(self, words: int = 0) -> bool:
        """Whether a request of `words` words is for machine code: enough has been asked for, and numba is installed."""
        return self._words + words > self._limit and has_numba()


METER = Meter(WORTHWHILE)


@lru_cache(maxsize=1)
def has_numba() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None
