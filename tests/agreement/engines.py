"""Engines and pairs of the RTL agreement suite: few builds, many machines, and how one of them runs on every level.

An engine is compiled once, and is small, because Verilator writes every PE out; latency, depths and dataflow of the machines drawn on
it vary freely, because the compiled buffers are as deep as the deepest of them: a shallower machine differs only in which mappings are
legal.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.rtl import RtlRun, build, simulate
from hwmodels.analytical import evaluate_mapping
from hwmodels.cycle import simulate as events
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import Mapping, Misfit, check_fit, mappings, raw_factor, walk_of
from hwmodels.recurrence import times as recurrence
from hwmodels.schedule import cycles_by_cause, schedule
from tests.hwmodels.samples import random_layer
from workloads.encoded import EncodedNetwork
from workloads.layers import Add, Dense, Layer, ceil_div
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters

DEPTHS = {"weight_depth": 4096, "act_depth": 4096, "out_depth": 4096, "threshold_depth": 64}
DEEPEST: dict[str, Any] = {"count_stages": 2, "sum_stages": 2, "acc_stages": 2}
BASE = Design(rows=4, cols=2, width=8, max_act_bits=4, max_weight_bits=4, port_bits=16, port_burst=4, **DEPTHS)  # type: ignore[arg-type]

ENGINES: dict[str, Design] = {
    "plane serial": BASE,
    "one of everything": replace(BASE, rows=1, cols=1, width=4, port_bits=4, port_burst=1),
    "rows above width": replace(BASE, rows=16, cols=3, width=8, port_bits=8, port_shared=False, count_stages=2),
    "rows equal width": replace(BASE, rows=8, cols=3, width=8, lanes_a=2, port_bits=64, port_burst=16, sum_stages=2),
    "all lanes": replace(BASE, rows=2, width=16, lanes_a=4, lanes_w=4, port_bits=16, port_shared=False, **DEEPEST),
    "lanes that do not divide": replace(
        BASE, rows=2, cols=4, width=16, lanes_a=3, lanes_w=2, port_bits=4, port_burst=3, sum_stages=2, acc_stages=2
    ),
    "one weight plane": replace(BASE, rows=4, cols=3, width=16, lanes_w=4, max_weight_bits=4, port_bits=48),
    "eight bits": replace(BASE, rows=4, cols=2, width=8, max_act_bits=8, max_weight_bits=8, port_bits=32, port_shared=False, acc_stages=2),
    "width no power of two": replace(BASE, rows=3, cols=2, width=6, port_bits=3, port_burst=7, count_stages=2, sum_stages=2),
    "mac": replace(BASE, kind="mac", rows=4, cols=2, width=8, port_bits=32),
    "mac of six stages": replace(BASE, kind="mac", rows=4, cols=2, width=8, port_bits=32, **DEEPEST),
    "binary": replace(
        BASE, rows=4, cols=4, width=32, max_act_bits=1, max_weight_bits=1, port_bits=64, port_shared=False, count_stages=2, acc_stages=2
    ),
}  # fmt: skip
LATENCIES = (0, 1, 2, 7, 20, 200)
SAME = (
    "load_busy", "store_busy", "xnor_words", "accumulations", "activation_reads", "weight_reads", "activation_writes",
    "weight_writes", "threshold_writes", "vector_words", "output_entries",
)  # fmt: skip
"""Counts of the testbench that the closed form names alike."""


@dataclass(frozen=True)
class Pair:
    """One machine, one layer, one mapping; `seed` draws weights, thresholds and the input."""

    engine: str
    design: Design
    layer: Layer
    mapping: Mapping
    seed: int


def pair(engine: str, rng: Random) -> Pair | None:
    """A random pair on a compiled engine, or None where the layer does not fit the machine drawn."""
    built = ENGINES[engine]
    layer = random_layer(rng, bits=min(built.max_act_bits, built.max_weight_bits))
    shallow = {name: rng.choice((depth, depth, depth // 4, depth // 16, depth // 64)) for name, depth in DEPTHS.items()}
    changes = {name: max(2, depth) for name, depth in shallow.items()}
    design = replace(built, port_latency=rng.choice(LATENCIES), **changes)
    shape = geometry(layer, design.width)
    if shape is None:
        return None
    try:
        # What the compiled engine cannot know, its accumulator, must not be narrower on the machine drawn.
        check_fit(layer, shape, replace(design, weight_depth=built.weight_depth))
        check_fit(layer, shape, design)
    except Misfit:
        return None
    return Pair(engine, design, layer, rng.choice(list(mappings(shape, design))), rng.randrange(1000))


def alone(layer: Layer) -> Network:
    """A network of one layer."""
    shape = (
        (layer.in_shape[0], 1, layer.positions) if isinstance(layer, Dense) and layer.positions > 1 else layer.in_shape
    )
    source = Input(name="input", shape=shape, bits=layer.act_bits)
    return Network("one", source, (Node(layer, ("input", "input") if isinstance(layer, Add) else ("input",)),))


def run(found: Pair, cache: Path) -> RtlRun:
    """The pair on its compiled engine, with random parameters and one random input."""
    encoded, inputs = operands(found)
    built = ENGINES[found.engine]
    binary = build(built, cache)
    # Halves, entries and accumulators are those of the compiled engine; latency and mapping are the machine's own.
    machine = replace(built, port_latency=found.design.port_latency)
    return simulate(binary, encoded, machine, {found.layer.name: found.mapping}, inputs, cache)


def operands(found: Pair) -> tuple[EncodedNetwork, npt.NDArray[np.floating]]:
    """The layer as a network with random parameters, and an input for it."""
    encoded = random_parameters(alone(found.layer), np.random.default_rng(found.seed))
    inputs = np.random.default_rng(found.seed).uniform(-1, 1, (1, *encoded.network.input.shape))
    return encoded, inputs.astype(np.float32)


def differences(found: Pair, cache: Path) -> list[str]:
    """Everything in which two levels differ."""
    shape, seen = geometry(found.layer, found.design.width), run(found, cache)
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
    stated = asdict(activity) | asdict(activity.actions) | {"output_entries": output_entries(found)}
    problems += [
        f"{name}: RTL {counts.get(name)}, model {stated[name]}" for name in SAME if counts.get(name) != stated[name]
    ]
    return problems


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


READY = """# Save as found.py in the root of the repository and run: python found.py
from pathlib import Path

from hwmodels.design import Design
from hwmodels.mapping import Mapping
from tests.agreement.engines import Pair, differences
from workloads.layers import Add, Conv, Dense, Pool

found = {pair!r}
folder = Path("found")
folder.mkdir(exist_ok=True)
print(*differences(found, folder), sep="\\n")
"""


def ready_to_run(found: Pair) -> str:
    """A script that runs the pair again and prints the differences; the engine and its memory stay in found/."""
    return READY.format(pair=found)
