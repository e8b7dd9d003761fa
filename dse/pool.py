"""The loop over independent units of work, whoever does them: some at a time make a task, long enough to be worth sending."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import TypeVar

from dse.executors.protocol import Done, Engine, Start, Work

Unit = TypeVar("Unit")

OVERHEADS = 50
"""A task takes at least so many times what the engine spends on one."""
PROBES = 5
PATIENCE_SECONDS = 60
"""How long nothing may come back from an engine without a single worker."""


class TaskSize:
    """How many units make a task, from what they were measured to cost.

    The engine's overhead is the median round trip of a task without units. A task shall take OVERHEADS times that, and with many
    workers twice the overhead for each, since one scheduler serves them all. The cost of a unit is what finished tasks took,
    the last one weighing half; a task has at most twice the units of the largest before it, so that no first guess makes a huge one.
    """

    def __init__(self, overhead_seconds: float) -> None:
        self.overhead_seconds = overhead_seconds
        self.unit_seconds = math.inf
        self._largest = 0

    def learn(self, units: int, seconds: float) -> None:
        """A task of so many units took so long."""
        cost = seconds / units
        self.unit_seconds = cost if math.isinf(self.unit_seconds) else (self.unit_seconds + cost) / 2
        self._largest = max(self._largest, units)

    def units(self, slots: int) -> int:
        """Units of the next task."""
        wanted = max(OVERHEADS, 2 * slots) * self.overhead_seconds
        return max(1, min(math.ceil(wanted / max(self.unit_seconds, 1e-9)), 2 * self._largest))


def finished(start: Start, work: Work, units: Iterable[Unit]) -> Iterator[tuple[Unit, bytes]]:
    """The units in the order in which they end, each with what `work` made of it. Raises what `work` and the engine raise."""
    waiting = iter(units)
    with start(work) as engine:
        size, running = TaskSize(overhead(engine)), dict[Future[Done], tuple[Unit, ...]]()
        while True:
            slots = engine.slots()
            while len(running) < 2 * max(1, slots) and (task := tuple(islice(waiting, size.units(slots)))):
                running[engine.submit(task)] = task
            if not running:
                return
            for future in _first(engine, running):
                task, done = running.pop(future), future.result()
                size.learn(len(task), done.seconds)
                yield from zip(task, done.results, strict=True)


def overhead(engine: Engine) -> float:
    """Seconds that the engine needs for a task of nothing."""
    _round_trip(engine)  # The first one brings the work to a worker.
    return statistics.median(_round_trip(engine) for _ in range(PROBES))


def _round_trip(engine: Engine) -> float:
    began = time.perf_counter()
    _first(engine, [engine.submit(())])
    return time.perf_counter() - began


def _first(engine: Engine, running: Iterable[Future[Done]]) -> set[Future[Done]]:
    """The tasks that end first. Raises ValueError where no worker is left to end one."""
    while True:
        done = wait(list(running), timeout=PATIENCE_SECONDS, return_when=FIRST_COMPLETED).done
        if done:
            return done
        if engine.slots() == 0:
            raise ValueError(
                f"workers: at least one must be there, but for {PATIENCE_SECONDS} s none was; start one, and what is finished stays: "
                "--resume continues"
            )
