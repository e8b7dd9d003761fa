"""How far a long run is: a bar on a terminal, plain lines in a log; both on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""progress(done, in all), called after every unit of work."""


@contextmanager
def bar(label: str, what: str = "designs") -> Iterator[Progress]:
    """A bar with count, rate and estimated time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(label),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(label, rate="")
        rate = _Rate(what)

        def update(done: int, total: int) -> None:
            drawn.update(task, completed=done, total=total, rate=rate.text(done))

        yield update


@contextmanager
def lines(label: str, what: str = "designs") -> Iterator[Progress]:
    """A line at the start, then one each time another tenth is done."""
    rate, last = _Rate(what), [-1]

    def update(done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth > last[0]:
            last[0] = tenth
            left = rate.seconds_left(done, total)
            speed = f", {rate.text(done)}, {left:.0f} s left" if rate.per_second(done) else ""
            print(f"{label}: {done:,} of {total:,} ({10 * tenth} %){speed}", file=sys.stderr, flush=True)

    yield update


class _Rate:
    """How many a second since the first call, which may resume in the middle; `what` is counted."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begin: tuple[float, int] | None = None

    def per_second(self, done: int) -> float:
        now = time.monotonic()
        if self._begin is None:
            self._begin = (now, done)
        began, first = self._begin
        return (done - first) / max(1e-9, now - began) if done > first else 0.0

    def text(self, done: int) -> str:
        """Rate in words; slow work by the minute."""
        rate = self.per_second(done)
        return f"{60 * rate:,.1f} {self._what}/min" if 0 < rate < 1 else f"{rate:,.0f} {self._what}/s"

    def seconds_left(self, done: int, total: int) -> float:
        rate = self.per_second(done)
        return (total - done) / rate if rate else 0.0
