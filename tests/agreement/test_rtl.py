"""RTL, event simulation, recurrence, closed form and executor are one machine: zero cycles and zero bits apart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from dse.image import image
from dse.rtl import best_mappings, build, lint, plusargs, simulate, write_engine
from dse.variants import load_network
from hwmodels.design import Design
from hwmodels.exact import simulated_times, timed
from hwmodels.tool_error import ToolError
from tests.agreement.engines import ENGINES, Pair, differences, operands, pair, ready_to_run, run
from tests.conftest import needs_verilator
from workloads.layers import Conv, ceil_div

PAIRS = int(os.environ.get("AGREEMENT_PAIRS", "220"))
SEED = int(os.environ.get("AGREEMENT_SEED", "0"))


pytestmark = needs_verilator


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def check_pairs(engine: str, count: int, check: Callable[[Pair], list[str]]) -> None:
    """`count` random pairs on an engine; a failure is shrunk, and shown as a script that runs it again."""
    seen: set[Pair] = set()

    @seed(SEED)
    @settings(
        max_examples=count, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(st.randoms(use_true_random=False))
    def agree(rng: Random) -> None:
        found = pair(engine, rng)
        assume(found is not None and found not in seen)
        assert found is not None
        problems = check(found)
        if problems:
            raise AssertionError("\n".join((*problems, "", ready_to_run(found))))
        seen.add(found)

    agree()
    assert len(seen) == count


@pytest.mark.parametrize("engine", ENGINES)
def test_rtl_is_the_simulated_machine_and_the_executor(engine: str, cache: Path) -> None:
    """Shares of the pairs are equal, on every engine."""
    check_pairs(engine, ceil_div(PAIRS, len(ENGINES)), lambda found: differences(found, cache))


def test_a_failure_is_shrunk_and_ready_to_run(cache: Path) -> None:
    """A check that is wrong about every convolution of two rows or more ends with the least of them, as a script."""

    def wrong(found: Pair) -> list[str]:
        return ["wrong"] if isinstance(found.layer, Conv) and found.layer.kernel[0] > 1 else []

    with pytest.raises(AssertionError) as caught:
        check_pairs("plane serial", 200, wrong)
    script = str(caught.value)[str(caught.value).index("# Save as") :]
    found: dict[str, Any] = {}
    exec(script[: script.index("folder =")], found)
    layer = found["found"].layer
    assert (max(layer.kernel), layer.in_shape[0], layer.act_bits, layer.stride) == (2, 1, 1, (1, 1))
    assert differences(found["found"], cache) == []


def again(cache: Path, found: Pair) -> subprocess.CompletedProcess[str]:
    """Run the files of the pair that was run last, as they lie there now."""
    encoded, inputs = operands(found)
    laid_out = image(encoded, ENGINES[found.engine], {found.layer.name: found.mapping}, inputs)
    command = [str(build(ENGINES[found.engine], cache)), *plusargs(laid_out, cache, found.design.port_latency, 1)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def first_pair() -> Pair:
    return next(item for item in (pair("plane serial", Random(seed)) for seed in range(100)) if item is not None)


def test_a_wrong_bit_is_noticed(cache: Path) -> None:
    assert run(first_pair(), cache).passed
    lines = (cache / "expected.hex").read_text().split()
    lines[0] = f"{int(lines[0], 16) ^ 1:x}"
    (cache / "expected.hex").write_text("\n".join(lines))
    assert "FAIL: 1 units differ" in again(cache, first_pair()).stdout


def test_a_build_that_was_stopped_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left may be half a file."""
    seen: list[bool] = []

    def stopped(_command: list[str], folder: Path, _seconds: int) -> str:
        seen.append((folder / "obj" / "half").exists())
        (folder / "obj" / "half").touch()
        raise ToolError("stopped")

    monkeypatch.setattr("hwmodels.rtl.verilator.verilator", lambda: "verilator")
    monkeypatch.setattr("hwmodels.rtl.verilator.run_tool", stopped)
    for _ in range(2):
        with pytest.raises(ToolError, match="stopped"):
            build(ENGINES["plane serial"], tmp_path)
    assert seen == [False, False]


@pytest.mark.parametrize("name", ["memory", "inputs", "expected"])
def test_a_truncated_file_stops_the_run(name: str, cache: Path) -> None:
    assert run(first_pair(), cache).passed
    lines = (cache / f"{name}.hex").read_text().splitlines()
    (cache / f"{name}.hex").write_text("\n".join(lines[:-1]) + "\n")
    done = again(cache, first_pair())
    assert done.returncode != 0
    assert "PASS" not in done.stdout


DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.mark.parametrize("precision", ["m1k1", "m2k4", "m4k4", "mixed"])
def test_whole_networks_run_on_one_engine(precision: str, cache: Path) -> None:
    """M and K of every layer are chosen at run time: convolutions, pools, a residual add and a raw head, 100 images."""
    design = Design(
        rows=8, cols=2, width=32, max_act_bits=8, max_weight_bits=4, port_bits=32, weight_depth=1024, act_depth=1024,
        out_depth=1024, threshold_depth=32,
    )  # fmt: skip
    encoded = load_network(DIGITS / f"digits_{precision}.onnx")
    mappings = best_mappings(encoded.network, design)
    seen = simulate(
        build(design, cache, units=1 << 18), encoded, design, mappings, np.load(DIGITS / "images.npy")[:100], cache
    )
    assert seen.passed, seen.log
    wanted = [timed(layer, design, simulated_times) for layer in encoded.network.layers]
    assert [layer["latency"] for layer in seen.layers] == [
        item.evaluated.activity.cycles.total for item in wanted if item
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_is_free_of_warnings(engine: str, tmp_path: Path) -> None:
    write_engine(ENGINES[engine], tmp_path)
    assert lint(tmp_path) == ""


def test_illegal_parameters_stop_elaboration(tmp_path: Path) -> None:
    write_engine(ENGINES["plane serial"], tmp_path)
    package = tmp_path / "dse_pkg.sv"
    package.write_text(package.read_text().replace("Rows = 4;", "Rows = 3;"))
    assert "Rows must divide Width" in lint(tmp_path)
