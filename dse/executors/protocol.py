"""What an executor promises: units of work go in as indices, bytes come out; who computes them is its business.

Three steps, each a context that cleans up behind itself: an `Executor` finds its workers (or says at once that there are none), a
`Start` gives them the work, an `Engine` takes tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Work = Callable[[Any], bytes]
"""What is done to a unit. It must pickle, read nothing but itself and the unit, and answer the same wherever it runs."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a task made of its units, in their order, and the time that took where it ran."""

    results: tuple[bytes, ...]
    seconds: float


def do(work: Work, units: Sequence[Any]) -> Done:
    """One task: some units, one after another."""
    began = time.perf_counter()
    results = tuple(work(unit) for unit in units)
    return Done(results, time.perf_counter() - began)


class Engine(Protocol):
    """Takes tasks. What `work` raises comes out of the future; an engine that cannot go on raises ValueError, one line."""

    def slots(self) -> int:
        """How many tasks can run at once, at this moment."""

    def submit(self, units: Sequence[Any]) -> Future[Done]:
        """Begin a task."""


Start = Callable[[Work], AbstractContextManager[Engine]]
"""Gives the work to the workers; leaving the context drops what still runs."""


class Executor(Protocol):
    """Finds workers."""

    def __call__(self, workers: int, scheduler: str | None) -> AbstractContextManager[Start]:
        """`workers` processes of its own, or those of a `scheduler`. Raises ValueError, one line, where there are none."""
