"""Processes of this machine; one of them is this one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dse.executors.protocol import Done, Engine, Start, Work, do

PARENT_SECONDS = 0.2
"""How often a worker looks whether its parent still lives."""


@contextmanager
def local(workers: int, scheduler: str | None) -> Iterator[Start]:
    """This process for one worker, a pool of processes for more."""
    if scheduler is not None:
        raise ValueError(f"scheduler: must be given with the executor dask only, not {scheduler!r} with local")
    yield _here if workers <= 1 else lambda work: _processes(workers, work)


@dataclass(frozen=True, slots=True)
class Here:
    """Does a task when it is submitted."""

    work: Work

    def slots(self) -> int:
        return 1

    def submit(self, units: Sequence[Any]) -> Future[Done]:
        future: Future[Done] = Future()
        future.set_result(do(self.work, units))
        return future


@contextmanager
def _here(work: Work) -> Iterator[Engine]:
    yield Here(work)


@dataclass(frozen=True, slots=True)
class Processes:
    """Hands tasks to a pool whose processes have the work."""

    pool: ProcessPoolExecutor
    workers: int

    def slots(self) -> int:
        return self.workers

    def submit(self, units: Sequence[Any]) -> Future[Done]:
        return self.pool.submit(_do, units)


@contextmanager
def _processes(workers: int, work: Work) -> Iterator[Engine]:
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(work, os.getpid())) as pool:
        try:
            yield Processes(pool, workers)
        except BrokenProcessPool:
            raise ValueError(
                "workers: every process must live to the end, but one died (out of memory, or killed); what is finished stays, "
                "--resume continues"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_HERE: list[Work] = []
"""What a worker process does with a unit, set once when it starts."""


def _begin(work: Work, parent: int) -> None:
    _HERE.append(work)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of a terminal; the parent ends this one.
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _do(units: Sequence[Any]) -> Done:
    return do(_HERE[-1], units)


def _die_with(parent: int) -> None:
    """End this process when its parent is gone: a killed sweep must not leave workers behind."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
