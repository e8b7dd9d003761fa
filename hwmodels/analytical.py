"""Closed form, one design and one layer at a time: docs/machine.md, sections 4 and 5, in plain integers.

This is the readable statement of the model and the oracle of the vectorised one (`hwmodels.batch`). Every action, every
bit of traffic and every cycle is exact but those of `stall`, which `hwmodels.tile_waits` estimates from mean tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwmodels.activity import Activity, Cycles
from hwmodels.design import Design
from hwmodels.geometry import Geometry, axis, geometry
from hwmodels.mapping import (
    FINISH_CYCLES,
    SETUP_CYCLES,
    Mapping,
    check_fit,
    drain_cycles,
    fetch_cycles,
    mappings,
    pipeline_cycles,
    step_cycles,
)
from hwmodels.tile_actions import actions_of, map_words, read_bits
from hwmodels.tile_waits import stall
from hwmodels.tiles import Moved, Tiles, moved_by
from workloads.layers import Layer


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A mapping and what it costs."""

    mapping: Mapping
    activity: Activity


def evaluate_layer(layer: Layer, design: Design) -> Evaluated | None:
    """The best legal mapping of a layer: fewest cycles, then fewest bits moved, then first in order. None for Flatten.

    Raises Misfit, naming the buffer, where nothing fits, and where the built bit widths are too small.
    """
    shape = geometry(layer, design.width)
    if shape is None:
        return None
    check_fit(layer, shape, design)
    candidates = (evaluate_mapping(shape, design, mapping) for mapping in mappings(shape, design))
    return min(candidates, key=lambda item: (item.activity.cycles.total, _bits(item.activity)))


def evaluate_mapping(shape: Geometry, design: Design, mapping: Mapping) -> Evaluated:
    """Cycles, actions and traffic of one mapping."""
    tiles = Tiles(shape, design, mapping, axis(shape, 0, mapping.block[0]), axis(shape, 1, mapping.block[1]))
    moved = moved_by(tiles)
    cycles = _cycles(tiles, moved)
    activity = Activity(
        cycles=cycles,
        compute_busy=cycles.compute_cycles,
        drain_busy=tiles.steps * drain_cycles(shape, design),
        load_busy=moved.load_busy(tiles) + fetch_cycles(design) - design.port_latency,
        store_busy=moved.stores.total,
        actions=actions_of(tiles),
        memory_read_bits=read_bits(tiles),
        memory_write_bits=shape.positions * map_words(tiles) * design.width,
    )
    return Evaluated(mapping, activity)


def _cycles(tiles: Tiles, moved: Moved) -> Cycles:
    step, drain = step_cycles(tiles.shape, tiles.design), drain_cycles(tiles.shape, tiles.design)
    fetched = fetch_cycles(tiles.design) + SETUP_CYCLES
    return Cycles(
        load_cycles=tiles.design.port_latency + moved.first_load,
        fill_cycles=fetched + pipeline_cycles(tiles.shape, tiles.design) + FINISH_CYCLES,
        compute_cycles=tiles.steps * step,
        drain_cycles=(tiles.steps - 1) * (max(step, drain) - step) + drain,
        stall_cycles=stall(tiles, moved),
        store_cycles=moved.last_store + tiles.design.port_latency,
    )


def _bits(activity: Activity) -> int:
    return activity.memory_read_bits + activity.memory_write_bits
