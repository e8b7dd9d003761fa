"""`dse sweep --refine`: the front's latencies, exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from dse.explanation import design_of
from dse.refine import exact_cycles
from dse.results import open_results

EXPERIMENT = """
objectives = ["latency_us", "area_mm2"]
[[networks]]
zoo = "cifar_convnet"
bits = ["1x1"]
[space]
rows = [16, 32]
cols = [4]
width = [64]
weight_depth = [2048]
act_depth = [2048]
out_depth = [4096]
port_bits = [64]
port_shared = [true, false]
"""


def test_the_front_gets_exact_latencies(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    command = [
        sys.executable,
        "-m",
        "dse.cli",
        "sweep",
        str(tmp_path / "e.toml"),
        "-o",
        str(tmp_path / "r"),
        "--refine",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refined = json.loads(done.stdout)["refined"]
    opened = open_results(tmp_path / "r")
    assert refined
    assert len(pd.read_csv(tmp_path / "r" / "refined.csv")) == len(refined)
    for row in refined:
        assert row["exact_latency_cycles"] == exact_cycles(*design_of(opened, row["row"]))
        assert abs(row["latency_error"]) < 0.2
        assert row["latency_cycles"] == opened.rows([row["row"]])["latency_cycles"].iloc[0]
