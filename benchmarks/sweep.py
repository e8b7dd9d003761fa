"""Sweep speed on ResNet-18 at 1 x 1, one process; every line states a ratio in this run. CPU time, so that other jobs do not matter.

Sections: designs evaluated in full against a plain Python loop over one-design evaluation, and machine code against numpy on
random designs; designs of a sampler in batches against one by one; the exact front of large spaces by bound and skip, over sizes;
fronts of 10^7 rows against a lexicographic sort and a scan; peak memory. Machine code must have been compiled once before (any
earlier run does).
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
from dse.sampling import WORTHWHILE, Sampling, Survey
from dse.space import design, knobs
from dse.sweep_plan import Plan, plan
from dse.sweeps import evaluate_chunk, forecast, sweep
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
port_latency = {latencies}
"""
SAMPLE = 24
FEW = {"technologies": '["asic45"]', "clocks": "[200]", "depths": "[2048, 4096]", "bursts": "[16]", "latencies": "[20]"}
SETTINGS = FEW | {"technologies": '["asic45", "asic16", "zu3eg", "u250"]', "clocks": "[100, 200, 400]"}
LARGE = {
    "technologies": '["asic45", "asic16"]',
    "clocks": "{ from = 100, to = 800, step = 50 }",
    "depths": "[1024, 2048, 4096, 8192, 16384]",
    "bursts": "[8, 16]",
    "latencies": "[20]",
}
MANY_BURSTS = LARGE | {"bursts": "[4, 8, 16, 32, 64, 128]"}
FINE = MANY_BURSTS | {"depths": "[1024, 1536, 2048, 4096, 8192, 12288, 16384]", "latencies": "[10, 20, 40]"}
FINEST = FINE | {
    "depths": "[1024, 1536, 2048, 3072, 4096, 6144, 8192, 10240, 12288, 16384]",
    "clocks": "{ from = 50, to = 800, step = 10 }",
}
SIZES = (
    (36, FEW | {"depths": "[1024, 2048, 4096]"}),
    (8, LARGE | {"clocks": "[200]"}),
    (16, LARGE),
    (160, LARGE),
    (500, LARGE | {"bursts": "[8, 16, 32]"}),
    (480, MANY_BURSTS),
    (600, FINE),
)
"""From 10^4 to 10^9 designs; the fifth is the one of 5 x 10^7."""
LARGEST = (600, FINEST)
"""10^10; `python benchmarks/sweep.py largest` says how long it will take, and then sweeps it."""
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


def sampled() -> None:
    """Designs that a sampler asks for, priced in batches against one by one, and a generation of NSGA-II at a time."""
    prepared = plan(experiment(480, LARGE))
    survey = Survey(Sampling("random", WORTHWHILE), prepared.experiment, prepared.variants, prepared.blocks)
    rows = np.sort(np.random.default_rng(4).integers(0, prepared.rows, 4096))
    survey.price(rows[:50])
    slow = SAMPLE / seconds(lambda: [survey.price(rows[place : place + 1]) for place in range(SAMPLE)])
    some = 500 / seconds(lambda: [survey.price(rows[place : place + 50]) for place in range(0, 500, 50)])
    fast = len(rows) / seconds(lambda: survey.price(rows))
    print(
        f"sampled designs: one by one {slow:,.0f}/s, fifty at once {some:,.0f}/s, {len(rows)} at once {fast:,.0f}/s, "
        f"ratios {some / slow:.0f} and {fast / slow:.0f}"
    )


def skipped() -> None:
    """`dse sweep` of larger and larger spaces, each in a process of its own, start-up and tables included."""
    loop = plain(plan(experiment(64, FEW)))
    for number, keep in (*((number, "front") for number in range(len(SIZES))), (3, "best")):
        report(*measured("space", str(number), keep), loop, keep)


def measured(*arguments: str) -> list[float]:
    """What `space` prints in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def report(
    rows: float, priced: float, front: float, cpu: float, wall: float, peak: float, loop: float, keep: str
) -> None:
    """One line of the curve."""
    print(
        f"exact {ASKED[keep]} of {rows:,.0f} designs: {cpu:.1f} s CPU ({wall:.1f} s), {rows / cpu:,.0f} designs/s "
        f"({rows / cpu / loop:,.0f} loops), {priced / rows:.2%} priced, {front:,.0f} on the front, {peak:.0f} MiB",
        flush=True,
    )


def space(wanted: Experiment, keep: str) -> None:
    """One space, in this process."""
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        opened = sweep(wanted, Path(folder) / "results", keep=keep)
        front = opened.table(["kept"])["kept"].str.contains("front").sum()
    usage, found, wall = resource.getrusage(resource.RUSAGE_SELF), opened.manifest, time.perf_counter() - began
    cpu = usage.ru_utime + usage.ru_stime
    print(found["rows"], found["priced"], front, cpu, wall, usage.ru_maxrss / 1024)


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
        space(experiment(*SIZES[int(sys.argv[2])]), sys.argv[3])
        return
    if sys.argv[1:2] == ["largest"]:
        print(forecast(experiment(*LARGEST), keep="front"), flush=True)
        space(experiment(*LARGEST), "front")
        return
    evaluated_in_full()
    random_designs()
    sampled()
    skipped()
    fronts()


if __name__ == "__main__":
    main()
