"""The closed form of `hwmodels.analytical` over arrays of designs: same formulas, same answers, no loop over points.

Axes of the working arrays: (designs, channel tiles, blocks); the two loop orders are two such arrays. What depends on rows and
width only (words of a window, channel groups) comes from exact integer tables, one entry per distinct pair
(`hwmodels.batch_walk`); what tiles cost of the unit and of the port, from `hwmodels.batch_tiling` and `hwmodels.batch_port`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.activity import Activity, Cycles
from hwmodels.batch_tiling import Floats, Tiling, fetch
from hwmodels.batch_walk import Bools, Ints, Precisions, Walk, ceil_div
from hwmodels.design import Design
from hwmodels.geometry import Geometry, geometry
from hwmodels.knobs import Knobs, illegal_reasons, of_designs
from hwmodels.mapping import (
    DESCRIPTOR_BITS,
    FINISH_CYCLES,
    SETUP_CYCLES,
    THRESHOLD_BITS,
    WEIGHT,
    orders,
)
from workloads.actions import Actions
from workloads.layers import Free, Layer

COUNTS = (
    *(item.name for item in fields(Cycles)),
    *(item.name for item in fields(Activity) if item.name not in ("cycles", "actions")),
    *(item.name for item in fields(Actions)),
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Activities of many designs, and for each design the reason why it cannot run the layers ("" if it can)."""

    layers: tuple[Activity, ...]
    """One record of (designs,) int64 arrays per layer that costs something, in network order; zeros where infeasible."""
    reason: npt.NDArray[np.str_]


def evaluate(layers: Sequence[Layer], knobs: Knobs) -> Evaluated:
    """Best mapping and activity of every layer on every design; equal layers are solved once."""
    reason = illegal_reasons(knobs)
    solved: dict[Layer, Activity | None] = {}
    activities = []
    for layer in layers:
        key = _nameless(layer)
        if key not in solved:
            solved[key], misfit = _solve(layer, knobs, reason == "")
            reason = np.where(reason == "", misfit, reason)
        activity = solved[key]
        if activity is not None:
            activities.append(activity)
    feasible = reason == ""
    return Evaluated(tuple(_only(activity, feasible) for activity in activities), reason)


def _only(activity: Activity, feasible: Bools) -> Activity:
    """The same counts, zero where a design cannot run all layers."""
    parts = (activity.cycles, activity.actions, activity)
    counts = {name: getattr(next(part for part in parts if hasattr(part, name)), name) for name in COUNTS}
    return _record({name: np.where(feasible, values, 0) for name, values in counts.items()})


def total(activities: Sequence[Activity]) -> Activity:
    """The sum over layers, which run one after the other."""
    result = activities[0]
    for item in activities[1:]:
        result = result + item
    return result


def evaluate_alike(layers: Sequence[Layer], design: Design) -> tuple[Activity, npt.NDArray[np.str_]]:
    """Versions of one layer that differ in bits only, on one design: (layers,) activities, and why one cannot run ("" if it can).

    Raises ValueError where they differ in anything else, or cost nothing (Flatten).
    """
    shapes = [geometry(layer, design.width) for layer in layers]
    first = shapes[0]
    if first is None:
        raise ValueError(f"layer {layers[0].name!r}: must be a layer that the machine walks")
    knobs = of_designs([design] * len(layers))
    bits = Precisions.of([_alike(shape, first, layers[0].name) for shape in shapes])
    reason = illegal_reasons(knobs)
    counts = {name: np.zeros(knobs.size, np.int64) for name in COUNTS}
    walk = Walk.of(first, knobs, design.width, bits)
    reason = np.where(reason == "", walk.misfit(), reason)
    fits = reason == ""
    if fits.any():
        best = _best(Walk.of(first, knobs.take(fits), design.width, bits.take(fits)))
        for name in COUNTS:
            counts[name][fits] = best[name]
    return _record(counts), reason


def _alike(shape: Geometry | None, first: Geometry, name: str) -> Geometry:
    same = None if shape is None else replace(
        shape, act_bits=first.act_bits, weight_bits=first.weight_bits, out_bits=first.out_bits, acc_bits=first.acc_bits
    )  # fmt: skip
    if shape is None or same != first or (shape.out_bits is None) != (first.out_bits is None):
        raise ValueError(f"layer {name!r}: its versions must differ in bits only")
    return shape


def _nameless(layer: Layer) -> Layer:
    return replace(layer, name="")


def _solve(layer: Layer, knobs: Knobs, legal: Bools) -> tuple[Activity | None, npt.NDArray[np.str_]]:
    """One layer on all designs, width by width, because the width decides how the layer is walked."""
    misfit = np.full(knobs.size, "", "U32")
    if isinstance(layer, Free):
        return None, misfit
    counts = {name: np.zeros(knobs.size, np.int64) for name in COUNTS}
    for width in np.unique(knobs.width[legal]):
        index = np.flatnonzero(legal & (knobs.width == width))
        shape = geometry(layer, int(width))
        if shape is None:
            raise ValueError(f"layer {layer.name!r}: must be a layer that the machine walks")
        walk = Walk.of(shape, knobs.take(index), int(width))
        misfit[index] = walk.misfit()
        fits = misfit[index] == ""
        if fits.any():
            best = _best(Walk.of(shape, walk.knobs.take(fits), int(width)))
            for name in COUNTS:
                counts[name][index[fits]] = best[name]
    return _record(counts), misfit


def _record(counts: Mapping[str, Any]) -> Activity:
    return Activity(
        cycles=Cycles(**{item.name: counts[item.name] for item in fields(Cycles)}),
        actions=Actions(**{item.name: counts[item.name] for item in fields(Actions)}),
        **{item.name: counts[item.name] for item in fields(Activity) if item.name not in ("cycles", "actions")},
    )


def _best(walk: Walk) -> dict[str, Ints]:
    """The columns of COUNTS at each design's best legal mapping: fewest cycles, then fewest bits, then first."""
    walk, legal = _legal(walk)
    tiling = Tiling.of(walk)
    costs = [_Costs.of(tiling, order) for order in orders(walk.shape, walk.knobs.dataflow)]
    cycles = np.concatenate([_flat(cost.latency(), legal, walk) for cost in costs], axis=1)
    bits = np.concatenate([_flat(cost.read_bits(), legal, walk) for cost in costs], axis=1)
    fewest = cycles == cycles.min(axis=1, keepdims=True)
    choice = np.where(fewest, bits, np.iinfo(np.int64).max).argmin(axis=1)
    per_order = legal.shape[1] * legal.shape[2]
    picked = [_columns(walk, cost, choice % per_order) for cost in costs]
    return {name: np.choose(choice // per_order, [columns[name] for columns in picked]) for name in COUNTS}


def _legal(walk: Walk) -> tuple[Walk, Bools]:
    """The walk without the tiles and blocks that fit no design, and (designs, tiles, blocks) which of the rest fit."""
    legal = np.ones((walk.knobs.size, walk.groups.shape[1], walk.blocks.area.size), np.bool_)
    for name, need in walk.needs().items():
        legal &= need <= (getattr(walk.knobs, name) // 2)[:, None, None]
    tiles, kept = np.asarray(legal.any(axis=(0, 2))), np.asarray(legal.any(axis=(0, 1)))
    return walk.keep(tiles, kept), legal[:, tiles][:, :, kept]


def _flat(values: Ints, legal: Bools, walk: Walk) -> Ints:
    """(designs, candidates) with illegal candidates at the largest integer."""
    worst = np.iinfo(np.int64).max
    return np.where(legal, np.broadcast_to(values, legal.shape), worst).reshape(walk.knobs.size, -1)


@dataclass(frozen=True, slots=True)
class _Costs:
    """What one loop order makes of a tiling, as arrays over (designs, tiles, blocks)."""

    tiling: Tiling
    stall: Ints
    weight_reloads: Ints
    act_reloads: Ints

    @classmethod
    def of(cls, tiling: Tiling, order: str) -> _Costs:
        return cls(tiling, _stall(tiling, order), *_reloads(tiling, order))

    def parts(self) -> dict[str, Ints]:
        """Cycles by cause."""
        tiling, latency = self.tiling, self.tiling.walk.knobs.port_latency[:, None, None]
        fetched = latency + fetch(tiling.walk.knobs)[:, None, None] + SETUP_CYCLES
        rest = np.maximum(tiling.step, tiling.drain) - tiling.step
        return {
            "load_cycles": latency + tiling.first_load,
            "fill_cycles": fetched + tiling.pipeline + FINISH_CYCLES,
            "compute_cycles": tiling.steps * tiling.step,
            "drain_cycles": (tiling.steps - 1) * rest + tiling.drain,
            "stall_cycles": self.stall,
            "store_cycles": tiling.last_store + latency,
        }

    def latency(self) -> Ints:
        """Sum of all causes."""
        total = np.zeros((1, 1, 1), np.int64)
        for part in self.parts().values():
            total = total + part
        return total

    def load_busy(self) -> Ints:
        """Cycles of the port for all loads, latency not counted."""
        tiling = self.tiling
        acts = (tiling.acts_full + tiling.acts_last) * self.act_reloads
        return tiling.weights * self.weight_reloads + acts + fetch(tiling.walk.knobs)[:, None, None]

    def act_words(self) -> Ints:
        """Plane words of activations that cross the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_pixel = shape.operands * ceil_div(shape.channels * shape.groups, walk.width) * walk.bits.act
        return walk.blocks.inside * per_pixel[:, None, None] * self.act_reloads

    def read_bits(self) -> Ints:
        """Bits read through the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_channel = walk.words * walk.weight_planes * walk.width + walk.bits.levels * THRESHOLD_BITS
        weights = (shape.out_channels * per_channel)[:, None, None] * self.weight_reloads
        return DESCRIPTOR_BITS + weights + self.act_words() * walk.width


def _reloads(tiling: Tiling, order: str) -> tuple[Ints, Ints]:
    """How often each weight and each activation patch crosses the port."""
    one = np.ones((1, 1, 1), np.int64)
    if order != WEIGHT:
        return np.where(tiling.channel_tiles == 1, 1, tiling.space_tiles), one
    return one, one if tiling.walk.shape.vector else np.where(tiling.space_tiles == 1, 1, tiling.channel_tiles)


def _stall(tiling: Tiling, order: str) -> Ints:
    """Waits of the grid at the changes of tiles, kind by kind, as `hwmodels.tile_waits` adds them."""
    changes = _weight_changes if order == WEIGHT else _activation_changes
    wait: Floats = np.zeros((1, 1, 1))
    for count, last, load in changes(tiling):
        unit, store = _ending(tiling, last)
        wait = wait + count * (_period(tiling, unit, store, load) - unit)
    return np.ceil(wait).astype(np.int64)


Change = tuple[Ints, bool, Floats]
"""Like changes from a tile to the next: how many, whether they end a last space tile, and the load that begins."""


def _weight_changes(tiling: Tiling) -> list[Change]:
    channels, space = tiling.channel_tiles, tiling.space_tiles
    weights, (full_load, last_load) = tiling.later_weights(), tiling.act_means()
    stays = last_load if tiling.walk.shape.vector else np.zeros((1, 1, 1))
    return [
        (channels * np.maximum(space - 2, 0), False, full_load),
        (channels * np.minimum(space - 1, 1), False, last_load),
        (channels - 1, True, weights + np.where(space > 1, full_load, stays)),
    ]


def _activation_changes(tiling: Tiling) -> list[Change]:
    channels, space = tiling.channel_tiles, tiling.space_tiles
    weights, (full_load, last_load) = tiling.later_weights(), tiling.act_means()
    again = np.where(channels > 1, tiling.first_weights, 0)
    return [
        ((space - 1) * (channels - 1), False, weights),
        (channels - 1, True, weights),
        (np.maximum(space - 2, 0), False, again + full_load),
        (np.minimum(space - 1, 1), False, again + last_load),
    ]


def _ending(tiling: Tiling, last: bool) -> tuple[Floats, Floats]:
    """Unit cycles and store of the tile that ends: one of the last space tile, or one with a block in every column."""
    if last:
        return tiling.unit(tiling.last_columns), tiling.stores_last / tiling.channel_tiles
    store = tiling.stores_full / (tiling.channel_tiles * np.maximum(tiling.space_tiles - 1, 1))
    return tiling.unit(tiling.walk.knobs.cols[:, None, None]), store


def _period(tiling: Tiling, unit: Floats, store: Floats, load: Floats) -> Floats:
    """Cycles from a tile's start to the next one's."""
    shared = tiling.walk.knobs.port_shared[:, None, None] != 0
    behind = np.minimum(tiling.step, tiling.drain) + tiling.pipeline
    late = tiling.walk.knobs.port_latency[:, None, None] + load
    stores = np.where(unit < store + load, 2 * store, store)
    once = np.where(shared, late + store, np.maximum(late, store))
    twice = np.where(shared, unit + behind + late + stores, unit + behind + np.maximum(late, store))
    halves = np.where(tiling.channel_tiles * tiling.space_tiles == 2, 0.0, twice / 2)
    return np.asarray(np.maximum(np.maximum(unit, once), halves))


def _columns(walk: Walk, costs: _Costs, choice: Ints) -> dict[str, Ints]:
    """Every count at candidate `choice` (flat over tiles and blocks) of each design."""
    full = (walk.knobs.size, walk.groups.shape[1], walk.blocks.area.size)
    tile, block = np.divmod(choice, full[2])
    rows = np.arange(walk.knobs.size)

    def at(values: Ints) -> Ints:
        return np.broadcast_to(values, full)[rows, tile, block]

    tiling, area = costs.tiling, walk.blocks.area
    counts = {name: at(values) for name, values in costs.parts().items()}
    counts.update(_action_columns(walk, at(walk.blocks.count * area), at(tiling.space_tiles * area)))
    reloads = at(costs.weight_reloads) * walk.shape.out_channels
    counts.update(
        activation_writes=at(costs.act_words()),
        weight_writes=reloads * walk.words * walk.weight_planes,
        threshold_writes=reloads * walk.bits.levels,
        compute_busy=counts["compute_cycles"],
        drain_busy=at(tiling.steps * tiling.drain),
        load_busy=at(costs.load_busy()),
        store_busy=at(tiling.stores_full + tiling.stores_last),
        **_corrections(walk, at(walk.blocks.count * area), walk.groups[rows, tile], at(tiling.channel_tiles), reloads),
        memory_read_bits=at(costs.read_bits()),
        memory_write_bits=walk.shape.positions * _map_words(walk) * walk.width,
    )
    return counts


def _corrections(walk: Walk, walked: Ints, groups: Ints, channel_tiles: Ints, loaded: Ints) -> dict[str, Ints]:
    """Sums of codes that offsets multiply; `groups` channel groups in a tile, `loaded` weight rows through the port."""
    shape = walk.shape
    if walk.knobs.kind == "mac":
        return {}
    rows = shape.row_sums * (1 - walk.expanded)
    per_group, changes = np.maximum(1, walk.channel_groups // shape.groups), channel_tiles - 1
    summed = shape.groups + changes - changes * np.gcd(groups, per_group) // per_group
    windows = walked * walk.words * walk.bits.act * summed
    return {
        "correction_words": rows * windows + shape.column_sums * loaded * walk.words * walk.weight_planes,
        "correction_adds": walked * shape.out_channels * (rows + shape.column_sums),
    }


def _map_words(walk: Walk) -> Ints:
    """(designs,) plane words of one position of the map that a layer emits."""
    return ceil_div(walk.shape.out_channels, walk.width) * walk.out_planes


def _action_columns(walk: Walk, walked: Ints, block_steps: Ints) -> dict[str, Ints]:
    """(designs,) actions of the unit and the output buffer: `walked` positions, `block_steps` positions of one column."""
    shape, knobs = walk.shape, walk.knobs
    results, zero = walked * shape.out_channels, np.zeros(knobs.size, np.int64)
    counts = dict.fromkeys((item.name for item in fields(Actions)), zero)
    counts["threshold_compares"] = results * walk.bits.out if shape.thresholds else zero
    counts["output_writes"] = walked * _map_words(walk)
    if shape.vector:
        taps = walked * shape.taps * walk.words
        counts["vector_words"] = taps * walk.bits.act
        counts["activation_reads"] = taps * walk.act_passes * knobs.act_lanes
        return counts
    step, pairs = walk.words * walk.act_passes * walk.weight_passes, walk.bits.act * walk.weight_planes
    counts["xnor_words"] = results * walk.words * pairs
    counts["accumulations"] = results * step
    counts["combines"] = results * pairs
    counts["activation_reads"] = walk.channel_groups * walked * step * knobs.act_lanes
    counts["weight_reads"] = shape.out_channels * block_steps * step * knobs.weight_lanes
    return counts
