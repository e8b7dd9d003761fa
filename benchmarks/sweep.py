"""Sweep speed on ResNet-18 at 1 x 1, one process; every line states a ratio in this run. CPU time, so that other jobs do not matter.

Sections: designs evaluated in full against a plain Python loop over one-design evaluation, and machine code against numpy on
random designs; the exact front of large spaces by bound and skip, over sizes; fronts of 10^7 rows against a lexicographic sort and
a scan; peak memory. Machine code must have been compiled once before (any earlier run does).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dse import pareto
from dse.experiment import Experiment, parse
from dse.space import design, knobs
from dse.sweeps import Plan, evaluate_chunk, plan, sweep
from hwmodels import compiled
from hwmodels.design import Design
from hwmodels.mapping import Misfit
from hwmodels.models import evaluate
from workloads.network import Network

TEXT = """
objectives = ["energy_nj", "latency_us", "area_mm2"]
[[networks]]
zoo = "resnet18"
[space]
technology = {technologies}
clock_mhz = {clocks}
rows = [16, 32, 64]
cols = {{ from = 4, to = {cols}, step = 4 }}
width = [64, 128]
weight_depth = {depths}
act_depth = {depths}
out_depth = {depths}
threshold_depth = [32, 64, 128]
port_bits = [64, 128]
port_burst = {bursts}
"""
SAMPLE = 24
FEW = {"technologies": '["asic45"]', "clocks": "[200]", "depths": "[2048, 4096]", "bursts": "[16]"}
SETTINGS = FEW | {"technologies": '["asic45", "asic16", "zu3eg", "u250"]', "clocks": "[100, 200, 400]"}
LARGE = {
    "technologies": '["asic45", "asic16"]',
    "clocks": "{ from = 100, to = 800, step = 50 }",
    "depths": "[1024, 2048, 4096, 8192, 16384]",
    "bursts": "[8, 16]",
}
SIZES = (
    (8, LARGE | {"clocks": "[200]"}),
    (16, LARGE),
    (160, LARGE),
    (480, LARGE | {"bursts": "[4, 8, 16, 32, 64, 128]"}),
)
ASKED = {"front": "front", "best": "front and best design at every value of every knob"}


def experiment(cols: int, settings: dict[str, str]) -> Experiment:
    """The benchmark's space."""
    return parse(TEXT.format(cols=cols, **settings), base=Path(), where="benchmark")


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def everything(prepared: Plan) -> None:
    """All rows, as the sweep's own inner loop evaluates them."""
    for chunk in prepared.chunks():
        evaluate_chunk(prepared, chunk)


def plain(prepared: Plan) -> float:
    """Rows per second of a loop over `evaluate`, on a sample of the same rows, infeasible ones included."""
    network = prepared.variants[0].network
    sample = np.random.default_rng(1).choice(prepared.rows, SAMPLE, replace=False)
    machines = [design(prepared.blocks, row)[1] for row in sample.tolist()]
    return SAMPLE / seconds(lambda: [_evaluate_or_misfit(network, machine) for machine in machines])


def _evaluate_or_misfit(network: Network, machine: Design) -> None:
    with suppress(Misfit):
        evaluate(network, machine)


def evaluated_in_full() -> None:
    """Every row evaluated and priced."""
    for name, settings in (("1 setting", FEW), ("12 settings", SETTINGS)):
        prepared = plan(experiment(64, settings), keep="all")
        slow, fast = plain(prepared), prepared.rows / seconds(lambda prepared=prepared: everything(prepared))
        print(f"every row, {name}: loop {slow:,.1f} designs/s, sweep {fast:,.0f} designs/s, ratio {fast / slow:,.0f}")


def random_designs() -> None:
    """Activity of designs drawn from a large grid, machine code against numpy."""
    prepared = plan(experiment(480, LARGE))
    block, layers = prepared.blocks[0], prepared.variants[0].network.layers
    machines = knobs(block, np.random.default_rng(2).integers(0, block.designs, 2000))
    few = machines.take(slice(0, 512))
    compiled.evaluate(layers, few, machine_code=True)
    slow = 512 / seconds(lambda: compiled.evaluate(layers, few, machine_code=False))
    fast = 2000 / seconds(lambda: compiled.evaluate(layers, machines, machine_code=True))
    print(f"random designs: numpy {slow:,.0f}/s, machine code {fast:,.0f}/s, ratio {fast / slow:.1f}")


def skipped() -> None:
    """`dse sweep` of larger and larger spaces, each in a process of its own, start-up and tables included."""
    loop = plain(plan(experiment(64, FEW)))
    for number, keep in (*((number, "front") for number in range(len(SIZES))), (2, "best")):
        done = subprocess.run(
            [sys.executable, __file__, "space", str(number), keep], capture_output=True, text=True, check=True
        )
        rows, looked, front, cpu, peak = (float(word) for word in done.stdout.split())
        print(
            f"exact {ASKED[keep]} of {rows:,.0f} designs: {cpu:.1f} s CPU, {rows / cpu:,.0f} designs/s ({rows / cpu / loop:,.0f} loops), "
            f"{looked / rows:.2%} priced, {front:,.0f} on the front, {peak:.0f} MiB"
        )


def space(number: int, keep: str) -> None:
    """One of SIZES, in this process."""
    wanted = experiment(*SIZES[number])
    with TemporaryDirectory() as folder:
        opened = sweep(wanted, Path(folder) / "results", keep=keep)
        front = opened.table(["kept"])["kept"].str.contains("front").sum()
    usage, found = resource.getrusage(resource.RUSAGE_SELF), opened.manifest
    cpu = usage.ru_utime + usage.ru_stime
    print(found["rows"], found["priced"], front, cpu, usage.ru_maxrss / 1024)


def fronts() -> None:
    """10^7 rows, three objectives: independent ones, and sums that trade against each other."""
    rng = np.random.default_rng(3)
    rows = rng.random((10_000_000, 3))
    pareto.front(rows[:100_000])
    slow = seconds(lambda: sorted_and_scanned(rows))
    fast = seconds(lambda: pareto.front(rows))
    print(f"front of 10^7 independent rows: sort and scan {slow:.1f} s, this {fast:.2f} s, ratio {slow / fast:.0f}")


def sorted_and_scanned(rows: np.ndarray) -> np.ndarray:
    """The baseline: lexicographic sort of all rows, then one scan along the staircase."""
    order, mask = np.lexsort(rows.T[::-1]), np.empty(len(rows), np.bool_)
    from dse import skyline

    skyline.staircase(np.ascontiguousarray(rows[order]), mask)
    return order[mask]


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["space"]:
        space(int(sys.argv[2]), sys.argv[3])
        return
    evaluated_in_full()
    random_designs()
    skipped()
    fronts()


if __name__ == "__main__":
    main()
