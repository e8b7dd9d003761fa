"""Independent units of work, here or in processes of this machine: a unit travels as an index, rows stay where they are made."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Unit = TypeVar("Unit")
Work = Callable[[Any], None]

PARENT_SECONDS = 0.2
"""How often a worker looks whether its parent still lives."""


def finished(work: Work, units: Sequence[Unit], workers: int) -> Iterator[Unit]:
    """The units in the order in which they end, `work` done on each. Raises what `work` raises, ValueError where a worker dies."""
    if workers <= 1 or len(units) <= 1:
        for unit in units:
            work(unit)
            yield unit
        return
    try:
        yield from _in_processes(work, units, workers)
    except BrokenProcessPool:
        raise ValueError(
            "workers: every process must live to the end, but one died (out of memory, or killed); what is finished stays, "
            "--resume continues"
        ) from None


def _in_processes(work: Work, units: Sequence[Unit], workers: int) -> Iterator[Unit]:
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(work, os.getpid())) as pool:
        waiting = iter(units)
        running: dict[Future[None], Unit] = {}
        try:
            while True:
                for unit in waiting:
                    running[pool.submit(_here, unit)] = unit
                    if len(running) >= 4 * workers:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    yield running.pop(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_HERE: list[Work] = []
"""What a worker process does with a unit, set once when it starts."""


def _begin(work: Work, parent: int) -> None:
    _HERE.append(work)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _here(unit: Any) -> None:
    _HERE[-1](unit)


def _die_with(parent: int) -> None:
    """End this process when its parent is gone: a killed sweep must not leave workers that hold its folder."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
