"""Dask distributed (extra `dask`): a cluster of this machine's processes, or the workers of a scheduler that already runs.

Only this file imports it. A task of a worker that dies runs again elsewhere, which changes nothing, for a unit gives the same bytes
wherever it is done; the work itself is the result of a task, so that Dask makes it again where the worker that held it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

from dse.executors.protocol import Done, Engine, Start, Work, do

CONNECT_SECONDS = 5
"""A scheduler that does not answer within this time is not there."""
INSTALL = "executor: dask needs Dask; install it with `pip install 'dse-xnor[dask]'`"
LOGGERS = ("distributed", "distributed.client")
"""Those of Dask with levels of their own; the others take the first one's."""
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Run by a worker of our own: Ctrl-C reaches every process of a terminal, and the one that asked ends the others."""
KEPT = "what is finished stays, --resume continues"


@contextmanager
def dask(workers: int, scheduler: str | None) -> Iterator[Start]:
    """`workers` single-threaded processes of this machine, or whatever workers `scheduler` has and will have."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(INSTALL) from None
    if scheduler is not None and workers != 1:
        raise ValueError(f"workers: must not be given with a scheduler, which has its own, but are {workers}")
    with _silent():
        if scheduler is not None:
            _find(scheduler)
        with (
            _own(workers) if scheduler is None else nullcontext(scheduler) as address,
            Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client,
        ):
            yield lambda work: _tasks(client, work)


def _find(scheduler: str) -> None:
    """Raise ValueError unless a scheduler answers at this address; a whole `Client` would leave threads behind.

    In a thread of its own, for a notebook has a loop in this one.
    """
    try:
        with ThreadPoolExecutor(1) as asking:
            found = asking.submit(lambda: asyncio.run(_identity(scheduler))).result()
    except Exception as error:  # Whatever else listens there may answer anything.
        raise ValueError(
            f"scheduler: a Dask scheduler must answer at {scheduler} within {CONNECT_SECONDS} s, but {_reason(error)}"
        ) from None
    if found != "Scheduler":
        raise ValueError(f"scheduler: a Dask scheduler must answer at {scheduler}, not a {found.lower()}")


async def _identity(scheduler: str) -> str:
    from distributed.core import rpc
    from distributed.security import Security

    async with rpc(scheduler, connection_args=Security().get_connection_args("client")) as remote:
        return str((await asyncio.wait_for(remote.identity(), CONNECT_SECONDS))["type"])


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError | OSError):
        return "nothing does"
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _own(workers: int) -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        preload=[DEAF],
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    ) as cluster:
        yield cluster.scheduler_address


@contextmanager
def _silent() -> Iterator[None]:
    """Dask tells on standard error of everything that comes and goes; what matters is raised."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Hands tasks to the scheduler; `held` is the future of the work, on the workers."""

    client: Any
    executor: Executor
    held: Any

    def slots(self) -> int:
        """Worker processes; a scheduler whose workers have not come yet has none."""
        return len(self.client.nthreads())

    def submit(self, units: Sequence[Any]) -> Future[Done]:
        return self.executor.submit(_do, self.held, tuple(units))


_ONE = Lock()
"""The models keep caches that threads must not share; a worker with several threads does one task at a time."""


def _do(work: Work, units: Sequence[Any]) -> Done:
    with _ONE:
        return do(work, units)


@contextmanager
def _tasks(client: Any, work: Work) -> Iterator[Engine]:
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    executor = client.get_executor(pure=False)
    try:
        held = client.submit(pickle.loads, pickle.dumps(work), pure=False)
        yield Cluster(client, executor, held)
    except KilledWorker as error:
        raise ValueError(
            f"workers: one must live through every task, but {error.allowed_failures + 1} died of the same one (out of memory, or "
            f"killed); {KEPT}"
        ) from None
    except ImportError as error:
        raise ValueError(f"workers: must have dse-xnor and what it needs installed, but {error}") from None
    except Exception as error:
        # The client learns of a closed connection a moment after the first call that meets it.
        gone = client.status != "running" or isinstance(error, CommClosedError)
        if isinstance(error, ValueError) or not gone:
            raise
        raise ValueError(f"scheduler: must live to the end, but it is gone; {KEPT}") from None
    finally:
        executor.shutdown(wait=False)
