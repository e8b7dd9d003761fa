"""RTL, event simulation, recurrence, closed form and executor are one machine: zero cycles and zero bits apart."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from dse.image import image
from dse.rtl import RtlRun, ToolError, best_mappings, build, lint, plusargs, simulate, verilator, write_engine
from dse.variants import load_network
from hwmodels.analytical import evaluate_mapping
from hwmodels.cycle import simulate as events
from hwmodels.design import Design
from hwmodels.exact import simulated_times, timed
from hwmodels.geometry import geometry
from hwmodels.mapping import raw_factor, walk_of
from hwmodels.recurrence import times as recurrence
from hwmodels.schedule import cycles_by_cause, schedule
from tests.agreement.engines import ENGINES, Pair, alone, pair
from workloads.layers import ceil_div
from workloads.random_network import random_parameters

PAIRS = int(os.environ.get("AGREEMENT_PAIRS", "220"))
FIRST_SEED = int(os.environ.get("AGREEMENT_SEED", "0"))
SAME = (
    "load_busy", "store_busy", "xnor_words", "accumulations", "activation_reads", "weight_reads", "activation_writes",
    "weight_writes", "threshold_writes", "vector_words",
)  # fmt: skip
"""Counts of the testbench that the closed form names alike."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        verilator()
    except ToolError as missing:
        pytest.skip(str(missing))
    return tmp_path_factory.mktemp("engines")


def run(found: Pair, cache: Path) -> RtlRun:
    encoded = random_parameters(alone(found.layer), np.random.default_rng(found.seed))
    inputs = np.random.default_rng(found.seed).uniform(-1, 1, (1, *encoded.network.input.shape)).astype(np.float32)
    built = ENGINES[found.engine]
    binary = build(built, cache)
    # Halves, entries and accumulators are those of the compiled engine; latency and mapping are the machine's own.
    machine = replace(built, port_latency=found.design.port_latency)
    return simulate(binary, encoded, machine, {found.layer.name: found.mapping}, inputs, cache)


def output_entries(found: Pair) -> int:
    """Writes into the output buffer: R results of a column, or W (or R) of the vector unit, at a time."""
    shape, design = geometry(found.layer, found.design.width), found.design
    assert shape is not None
    plan = schedule(shape, design, found.mapping)
    parts = raw_factor(shape, design)
    if shape.vector:
        return int(plan.steps.sum()) * (ceil_div(design.width, design.rows) * parts if shape.sums else 1)
    blocks = plan.tiling.blocks
    return walk_of(shape, design).channel_groups * blocks * found.mapping.block[0] * found.mapping.block[1] * parts


def differences(found: Pair, seen: RtlRun) -> list[str]:
    """Everything in which two levels differ."""
    shape = geometry(found.layer, found.design.width)
    assert shape is not None
    plan = schedule(shape, found.design, found.mapping)
    simulated = cycles_by_cause(plan, events(plan))
    problems = [] if seen.passed else [f"outputs: {seen.log}"]
    counts = seen.layers[0] if seen.layers else {}
    if counts.get("latency") != simulated.total:
        problems.append(f"latency: RTL {counts.get('latency')}, events {simulated.total}")
    if not plan.shared and cycles_by_cause(plan, recurrence(plan)) != simulated:
        problems.append("latency: recurrence and events differ")
    activity = evaluate_mapping(shape, found.design, found.mapping).activity
    stated = asdict(activity) | asdict(activity.actions)
    problems += [
        f"{name}: RTL {counts.get(name)}, model {stated[name]}" for name in SAME if counts.get(name) != stated[name]
    ]
    if counts.get("output_entries") != output_entries(found):
        problems.append(f"output entries: RTL {counts.get('output_entries')}, model {output_entries(found)}")
    return problems


@pytest.mark.parametrize("engine", ENGINES)
def test_rtl_is_the_simulated_machine_and_the_executor(engine: str, cache: Path) -> None:
    """Shares of the pairs are equal; a failure names the engine and the seed that make the pair again."""
    wanted, seed, failed, ran = -(-PAIRS // len(ENGINES)), FIRST_SEED, [], 0
    while ran < wanted:
        found = pair(engine, seed)
        seed += 1
        if found is None:
            continue
        ran += 1
        problems = differences(found, run(found, cache))
        if problems:
            failed.append((found, problems))
    assert not failed, "\n".join(f"{found}\n  " + "\n  ".join(problems) for found, problems in failed[:3])


def again(cache: Path, found: Pair) -> subprocess.CompletedProcess[str]:
    """Run the files of the pair that was run last, as they lie there now."""
    encoded = random_parameters(alone(found.layer), np.random.default_rng(found.seed))
    inputs = np.random.default_rng(found.seed).uniform(-1, 1, (1, *encoded.network.input.shape)).astype(np.float32)
    laid_out = image(encoded, ENGINES[found.engine], {found.layer.name: found.mapping}, inputs)
    command = [str(build(ENGINES[found.engine], cache)), *plusargs(laid_out, cache, found.design.port_latency, 1)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def first_pair() -> Pair:
    return next(item for item in (pair("plane serial", seed) for seed in range(100)) if item is not None)


def test_a_wrong_bit_is_noticed(cache: Path) -> None:
    assert run(first_pair(), cache).passed
    lines = (cache / "expected.hex").read_text().split()
    lines[0] = f"{int(lines[0], 16) ^ 1:x}"
    (cache / "expected.hex").write_text("\n".join(lines))
    assert "FAIL: 1 units differ" in again(cache, first_pair()).stdout


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
        rows=8, cols=4, width=32, max_act_bits=8, max_weight_bits=4, port_bits=32, weight_depth=1024, act_depth=1024,
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


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_is_free_of_warnings(engine: str, tmp_path: Path) -> None:
    write_engine(ENGINES[engine], tmp_path)
    assert lint(tmp_path) == ""


@pytest.mark.usefixtures("cache")
def test_illegal_parameters_stop_elaboration(tmp_path: Path) -> None:
    write_engine(Design(), tmp_path)
    package = tmp_path / "dse_pkg.sv"
    package.write_text(package.read_text().replace("Rows = 16;", "Rows = 24;"))
    assert "Rows must divide Width" in lint(tmp_path)
