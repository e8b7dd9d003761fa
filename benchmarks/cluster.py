"""What an executor adds to a sweep: the cost of a task without work, the tasks that follow from it, and the time of a whole sweep.

ResNet-18 at 1 x 1, every row evaluated; two processes of this machine, by a pool and by Dask. Wall time: run it alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sweep import FEW, experiment
from dse.executors.registry import EXECUTORS, executor
from dse.pool import OVERHEADS, overhead
from dse.sweeps import sweep

WORKERS = 2


def empty_task(name: str) -> float:
    """Seconds of a task without units."""
    with executor(name, workers=WORKERS) as start, start(bytes) as engine:
        return overhead(engine)


def whole_sweep(name: str, workers: int) -> tuple[float, int]:
    """Seconds and rows, start-up included."""
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        done = sweep(experiment(96, FEW), Path(folder) / "results", workers=workers, executor=name, keep="all")
    return time.perf_counter() - began, int(done.manifest["rows"])


def main() -> None:
    """Everything."""
    whole_sweep("local", 1)
    alone, rows = whole_sweep("local", 1)
    print(f"one process: {alone:.1f} s for {rows:,} designs")
    for name in EXECUTORS:
        empty, (took, _) = empty_task(name), whole_sweep(name, WORKERS)
        print(
            f"{name}, {WORKERS} workers: {1000 * empty:.2f} ms for an empty task, so at least {1000 * OVERHEADS * empty:.0f} ms of work in one; "
            f"{took:.1f} s, {alone / took:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
