"""A sweep on Dask: a real scheduler and worker processes on loopback, some of which are killed; the rows are those of one process."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dse import grid, pool, sweep_plan, sweeps
from dse import keep as keep_rules
from dse.executors import cluster as dask_executor
from dse.executors.protocol import Done, Engine, Work, do
from dse.executors.registry import executor
from dse.experiment import load
from dse.pool import OVERHEADS, TaskSize, finished, overhead
from dse.results import open_results
from dse.sweeps import sweep

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
THREADS = 4
"""Of each of the two workers, which must not mind."""
WORKERS = int(os.environ.get("CLUSTER_WORKERS", "2"))
"""Processes of the cluster that a sweep starts for itself; 8 takes half a minute of CPU to start."""


@dataclass(slots=True)
class Cluster:
    """A scheduler and two workers, as processes of their own."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    @property
    def address(self) -> str:
        return str(json.loads((self.folder / "scheduler.json").read_text())["address"])

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = _dask(self.folder, "worker", "--nthreads", str(THREADS), "--no-nanny")
        self.workers.append(worker)
        return worker


def _dask(folder: Path, what: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    command += ["--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(folder / "scheduler.json")]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, cwd=folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    made = Cluster(folder, _dask(folder, "scheduler", "--port", "0"), [])
    try:
        while not (folder / "scheduler.json").exists():
            assert made.scheduler.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        for _ in range(2):
            made.start_worker()
        yield made
    finally:
        for process in (*made.workers, made.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def _small(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of 128 rows in many units; all of this is decided where the sweep was asked for, so workers need not know it."""
    text = (tiny / "experiment.toml").read_text()
    for long, short in (('machine = ["array", "mac"]', ""), (', "zynq7020"', ""), (', "2x3"', "")):
        text = text.replace(long, short)
    (tiny / "experiment.toml").write_text(text)
    for module in (keep_rules, sweep_plan):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 50)
    monkeypatch.setattr(grid, "SPAN_CORES", 4)
    monkeypatch.setattr(sweep_plan, "CHUNK_DESIGNS", 4)


def files(folder: Path) -> dict[str, bytes]:
    paths = [folder / "manifest.json", *sorted((folder / "parts").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def test_a_cluster_gives_the_rows_of_one_process(tiny: Path, cluster: Cluster) -> None:
    """Of a search; the tests below do the same where every row is kept."""
    experiment = load(tiny / "experiment.toml")
    one = sweep(experiment, tiny / "one")
    many = sweep(experiment, tiny / "many", executor="dask", scheduler=cluster.address)
    assert files(many.path) == files(one.path)
    assert one.manifest["skipped"] > 0


def test_a_worker_that_dies_is_retried(tiny: Path, cluster: Cluster) -> None:
    """One of the two is stopped while it has tasks, and killed a second later: what it had, the other one does."""
    experiment = load(tiny / "experiment.toml")
    one = sweep(experiment, tiny / "one", keep="all")
    victim, seen = cluster.workers[0], list[int]()

    def progress(done: int, _rows: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            victim.send_signal(signal.SIGSTOP)
            threading.Timer(1, victim.kill).start()

    many = sweep(experiment, tiny / "many", keep="all", executor="dask", scheduler=cluster.address, progress=progress)
    assert victim.wait() == -signal.SIGKILL
    assert len(seen) > 4
    assert files(many.path) == files(one.path)


CLIENT = """
import sys, time
from dse import grid, keep, results, sweep_plan, sweeps
from dse.cli import main
write_part = results.write_part
def slowly(*arguments):
    write_part(*arguments)
    time.sleep(0.05)
if __name__ == "__main__":
    results.write_part = slowly
    grid.SPAN_CORES = sweep_plan.CHUNK_DESIGNS = 4
    keep.SAMPLE_ROWS = sweep_plan.SAMPLE_ROWS = 50
    sys.argv = ["dse", *sys.argv[1:]]
    main()
"""


def client(tiny: Path, *arguments: str) -> subprocess.Popen[str]:
    """`dse sweep` into `cut` that writes slowly, in a session of its own, so that a signal can go to all that it started."""
    (tiny / "client.py").write_text(CLIENT)
    command = [sys.executable, "client.py", "sweep", "experiment.toml", "-o", "cut", "--executor", "dask", *arguments]
    return subprocess.Popen(
        command, cwd=tiny, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_units(folder: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and len(list(folder.glob("[pw]*/part-*.parquet"))) < 3:
        time.sleep(0.01)


def test_a_killed_client_resumes_to_the_same_rows(tiny: Path, cluster: Cluster) -> None:
    experiment = load(tiny / "experiment.toml")
    one = sweep(experiment, tiny / "one", keep="all")
    process = client(tiny, "--keep", "all", "--scheduler", cluster.address)
    wait_for_units(tiny / "cut", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert open_results(tiny / "cut", unfinished=True).manifest["status"] == "running"
    resumed = sweep(experiment, tiny / "cut", resume=True, keep="all", executor="dask", scheduler=cluster.address)
    assert files(resumed.path) == files(one.path)


def test_an_interrupt_ends_the_cluster_that_a_sweep_started(tiny: Path) -> None:
    """Ctrl-C reaches every process of the terminal: one line, nothing left running, and one process goes on to the same rows."""
    experiment = load(tiny / "experiment.toml")
    one = sweep(experiment, tiny / "one", keep="all")
    process = client(tiny, "--keep", "all", "--workers", str(WORKERS))
    wait_for_units(tiny / "cut", process)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert [line for line in stderr.splitlines() if not line.startswith("sweep: ")] == [
        "error: interrupted; what is finished is kept, run it again with --resume"
    ]
    assert _gone(process.pid)
    resumed = sweep(experiment, tiny / "cut", keep="all", resume=True)
    assert files(resumed.path) == files(one.path)


def _gone(session: int) -> bool:
    """Whether no process of a session is left, within ten seconds."""
    for _ in range(100):
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
    return False


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:9", "must answer at tcp://127.0.0.1:9 within 1 s, but nothing does"),
        ("nonsense", "must answer at nonsense within 1 s, but missing port number in address 'nonsense'"),
        ("http://127.0.0.1:9", "must answer at http://127.0.0.1:9 within 1 s, but unknown address scheme 'http'"),
    ],
)
def test_a_scheduler_that_is_not_there(address: str, words: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said within the time of one attempt, and nothing is left behind."""
    monkeypatch.setattr(dask_executor, "CONNECT_SECONDS", 1)
    with pytest.raises(ValueError, match=f"scheduler: a Dask scheduler {words}"):
        sweep(load(tiny / "experiment.toml"), tiny / "new", executor="dask", scheduler=address)
    assert not (tiny / "new").exists()


def test_a_worker_is_no_scheduler(tiny: Path, cluster: Cluster) -> None:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as asking:
        address = next(iter(asking.scheduler_info()["workers"]))
    with pytest.raises(ValueError, match=f"a Dask scheduler must answer at {address}, not a worker"):
        sweep(load(tiny / "experiment.toml"), tiny / "new", executor="dask", scheduler=address)


def test_what_does_not_go_together_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = load(tiny / "experiment.toml")
    with pytest.raises(ValueError, match="executor must be one of local, dask, not 'slurm'"):
        sweep(experiment, tiny / "new", executor="slurm")
    with pytest.raises(ValueError, match="scheduler: must be given with the executor dask only, not 'tcp://x:1' with"):
        sweep(experiment, tiny / "new", scheduler="tcp://x:1")
    with pytest.raises(ValueError, match="workers: must not be given with a scheduler, which has its own, but are 3"):
        sweep(experiment, tiny / "new", executor="dask", workers=3, scheduler="tcp://x:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ValueError, match=r"executor: dask needs Dask; install it with `pip install 'dse-xnor\[dask\]'`"
    ):
        sweep(experiment, tiny / "new", executor="dask")
    assert not (tiny / "new").exists()


def test_a_worker_of_another_version_is_refused(tiny: Path) -> None:
    prepared = sweep_plan.plan(load(tiny / "experiment.toml"), keep="all")
    worker = sweeps.Worker(prepared, {}, {"dse-xnor": "0.0"})
    with pytest.raises(ValueError, match=r"workers: must have dse-xnor 0.0, but one has dse-xnor [\d.]+, numpy "):
        worker(next(iter(prepared.units())))


def test_a_task_takes_fifty_times_what_it_costs_to_send(cluster: Cluster) -> None:
    """Measured on a real scheduler, with units of five milliseconds: when sizes have settled, on the overhead that was found."""
    sizes, unit_seconds = list[int](), 0.005

    class Counted:
        def __init__(self, engine: Engine) -> None:
            self.engine = engine

        def slots(self) -> int:
            return self.engine.slots()

        def submit(self, units: Sequence[Any]) -> Future[Done]:
            sizes.append(len(units))
            return self.engine.submit(units)

    @contextmanager
    def counting(work: Work) -> Iterator[Engine]:
        with start(work) as engine:
            yield Counted(engine)

    with executor("dask", workers=1, scheduler=cluster.address) as start:
        with start(time.sleep) as engine:
            cost = overhead(engine)
        count = math.ceil(8 * OVERHEADS * cost / unit_seconds)
        assert sum(1 for _ in finished(counting, time.sleep, [unit_seconds] * count)) == count
    tasks = sizes[pool.PROBES + 1 :]
    assert sum(tasks) == count
    # Half of it: a machine that is busy measures another overhead a second later.
    assert max(tasks) * unit_seconds > 0.5 * OVERHEADS * cost
    assert tasks[0] == 1


class Clock:
    """An engine whose tasks cost what they are said to cost, and all of whose time is told."""

    def __init__(self, slots: int) -> None:
        self.count, self.sizes = slots, list[int]()

    def slots(self) -> int:
        return self.count

    def submit(self, units: Sequence[Any]) -> Future[Done]:
        self.sizes.append(len(units))
        future: Future[Done] = Future()
        future.set_result(Done(do(bytes, units).results, 0.01 * len(units)))
        return future


def test_the_size_of_a_task_follows_from_what_was_measured() -> None:
    size = TaskSize(0.004)
    assert size.units(2) == 1  # Nothing is known.
    size.learn(1, 0.01)
    assert size.units(2) == 2  # Twice the largest, on the way to 50 x 0.004 / 0.01.
    size.learn(16, 0.16)
    assert size.units(2) == 20
    assert size.units(100) == 32  # 200 x 0.004 / 0.01 = 80: one scheduler serves all.
    size.learn(64, 0.64)
    assert size.units(100) == 80
    size.learn(10, 10.0)
    assert size.units(2) == 1
    assert math.isclose(size.unit_seconds, 0.505)


def test_every_unit_is_done_once() -> None:
    clock = Clock(3)

    @contextmanager
    def start(_work: Work) -> Iterator[Engine]:
        yield clock

    done = list(finished(start, bytes, range(100)))
    assert sorted(unit for unit, _ in done) == list(range(100))
    assert all(made == bytes(unit) for unit, made in done)
    assert sum(clock.sizes) == 100
    assert overhead(clock) < 0.01


def test_no_worker_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.01)

    class Empty(Clock):
        def submit(self, _units: Sequence[Any]) -> Future[Done]:
            return Future()

    with pytest.raises(ValueError, match=r"workers: at least one must be there, but for 0.01 s none was"):
        overhead(Empty(0))


def test_a_scheduler_that_dies_is_said(tiny: Path, cluster: Cluster) -> None:
    """The last test of this file, for it takes the cluster down."""
    experiment = load(tiny / "experiment.toml")

    def progress(done: int, _rows: int) -> None:
        if done:
            cluster.scheduler.kill()

    with pytest.raises(ValueError, match=r"scheduler: must live to the end, but it is gone; what is finished stays"):
        sweep(experiment, tiny / "cut", keep="all", executor="dask", scheduler=cluster.address, progress=progress)
    assert list((tiny / "cut" / "parts").iterdir())
    one, resumed = sweep(experiment, tiny / "one", keep="all"), sweep(experiment, tiny / "cut", keep="all", resume=True)
    assert files(resumed.path) == files(one.path)
