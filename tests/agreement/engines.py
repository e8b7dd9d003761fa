"""Engines and pairs of the RTL agreement suite: few builds, many machines.

An engine is compiled once; latency, depths and dataflow of the machines drawn on it vary freely, because the compiled buffers
are as deep as the deepest of them: a shallower machine differs only in which mappings are legal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import Mapping, Misfit, check_fit, mappings
from tests.hwmodels.samples import random_layer
from workloads.layers import Add, Dense, Layer
from workloads.network import Input, Network, Node

DEPTHS = {"weight_depth": 4096, "act_depth": 4096, "out_depth": 4096, "threshold_depth": 64}
BASE = Design(rows=4, cols=2, width=8, max_act_bits=4, max_weight_bits=4, port_bits=16, port_burst=4, **DEPTHS)  # type: ignore[arg-type]

ENGINES: dict[str, Design] = {
    "plane serial": BASE,
    "one of everything": replace(BASE, rows=1, cols=1, width=4, port_bits=4, port_burst=1),
    "rows above width": replace(BASE, rows=16, cols=3, width=8, port_bits=8, port_shared=False),
    "rows equal width": replace(BASE, rows=8, cols=3, width=8, lanes_a=2, port_bits=64, port_burst=16),
    "all lanes": replace(BASE, rows=4, width=16, lanes_a=4, lanes_w=4, port_bits=16, port_shared=False),
    "lanes that do not divide": replace(BASE, rows=2, cols=4, width=16, lanes_a=3, lanes_w=2, port_bits=4, port_burst=3),
    "one weight plane": replace(BASE, rows=8, cols=5, width=16, lanes_w=4, max_weight_bits=4, port_bits=48),
    "eight bits": replace(BASE, rows=4, cols=2, width=8, max_act_bits=8, max_weight_bits=8, port_bits=32, port_shared=False),
    "width no power of two": replace(BASE, rows=3, cols=2, width=6, port_bits=3, port_burst=7),
    "mac": replace(BASE, kind="mac", rows=4, cols=2, width=8, port_bits=32),
    "binary": replace(BASE, rows=8, cols=4, width=32, max_act_bits=1, max_weight_bits=1, port_bits=64, port_shared=False),
}  # fmt: skip
LATENCIES = (0, 1, 2, 7, 20, 200)


@dataclass(frozen=True)
class Pair:
    """One machine, one layer, one mapping; `seed` and `engine` make it again."""

    engine: str
    seed: int
    design: Design
    layer: Layer
    mapping: Mapping


def pair(engine: str, seed: int) -> Pair | None:
    """The pair of a seed, or None where the layer does not fit the machine drawn."""
    rng = Random(f"{engine} {seed}")
    built = ENGINES[engine]
    layer = random_layer(rng, bits=min(built.max_act_bits, built.max_weight_bits))
    shallow = {name: rng.choice((depth, depth, depth // 4, depth // 16, depth // 64)) for name, depth in DEPTHS.items()}
    changes = {name: max(2, depth) for name, depth in shallow.items()}
    design = replace(built, port_latency=rng.choice(LATENCIES), **changes)
    shape = geometry(layer, design.width)
    if shape is None:
        return None
    try:
        check_fit(layer, shape, replace(design, weight_depth=built.weight_depth))
        check_fit(layer, shape, design)
    except Misfit:
        return None
    # What the compiled engine cannot know, its accumulator, must not be narrower on the machine drawn.
    return Pair(engine, seed, design, layer, rng.choice(list(mappings(shape, design))))


def alone(layer: Layer) -> Network:
    """A network of one layer."""
    shape = (
        (layer.in_shape[0], 1, layer.positions) if isinstance(layer, Dense) and layer.positions > 1 else layer.in_shape
    )
    source = Input(name="input", shape=shape, bits=layer.act_bits)
    return Network("one", source, (Node(layer, ("input", "input") if isinstance(layer, Add) else ("input",)),))
