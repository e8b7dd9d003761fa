"""Sweep speed on ResNet-18 at 1 x 1: vectorised against a plain Python loop over one-design evaluation, one process.

Prints designs per second of both and the ratio in this run (the target is at least 300), and the peak memory of two
spaces of which one is eight times the other.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from dse.experiment import Experiment, parse
from dse.space import design
from dse.sweeps import Plan, evaluate_chunk, plan
from hwmodels.design import Design
from hwmodels.mapping import Misfit
from hwmodels.models import evaluate
from workloads.network import Network

TEXT = """
[[networks]]
zoo = "resnet18"
[space]
technology = {technologies}
clock_mhz = {clocks}
rows = [16, 32, 64]
cols = {{ from = 4, to = {cols}, step = 4 }}
width = [64, 128]
weight_depth = [2048, 4096]
act_depth = [1024, 2048]
out_depth = [4096, 8192]
port_bits = [64, 128]
"""
SAMPLE = 24
ONE_SETTING = {"technologies": '["asic45"]', "clocks": "[200]"}
MANY_SETTINGS = {"technologies": '["asic45", "asic16", "zu3eg", "u250"]', "clocks": "[100, 200, 400]"}


def experiment(cols: int, settings: dict[str, str]) -> Experiment:
    """The benchmark's space: 96 designs a step of cols, times the settings."""
    return parse(TEXT.format(cols=cols, **settings), base=Path(), where="benchmark")


def vectorised(prepared: Plan) -> float:
    """Rows per second of the sweep's own inner loop."""
    began = time.perf_counter()
    rows = sum(evaluate_chunk(prepared, chunk)[1].evaluated for chunk in prepared.chunks())
    return rows / (time.perf_counter() - began)


def plain(prepared: Plan) -> float:
    """Rows per second of a loop over `evaluate`, on a sample of the same rows, infeasible ones included."""
    network = prepared.variants[0].network
    sample = np.random.default_rng(1).choice(prepared.rows, SAMPLE, replace=False)
    began = time.perf_counter()
    for row in sample.tolist():
        _, machine = design(prepared.blocks, row)
        _evaluate_or_misfit(network, machine)
    return SAMPLE / (time.perf_counter() - began)


def _evaluate_or_misfit(network: Network, machine: Design) -> None:
    with suppress(Misfit):
        evaluate(network, machine)


def peak_kib(cols: int) -> int:
    """Peak resident memory of a process that sweeps the space."""
    done = subprocess.run([sys.executable, __file__, str(cols)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        vectorised(plan(experiment(int(sys.argv[1]), ONE_SETTING)))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    for name, settings in (("1 setting", ONE_SETTING), ("12 settings", MANY_SETTINGS)):
        prepared = plan(experiment(256, settings))
        slow, fast = plain(prepared), vectorised(prepared)
        print(
            f"ResNet-18 1x1, {name}: loop {slow:,.1f} designs/s, sweep {fast:,.0f} designs/s, ratio {fast / slow:,.0f}"
        )
    small, large = peak_kib(64), peak_kib(512)
    print(
        f"peak memory: {small / 1024:.0f} MiB for 1,536 designs, {large / 1024:.0f} MiB for 12,288, ratio {large / small:.2f}"
    )


if __name__ == "__main__":
    main()
