"""The closed form of `hwmodels.analytical` over arrays of designs: same formulas, same answers, no loop over points.

Axes of the working arrays: (designs, channel tiles, blocks); the two loop orders are two such arrays. What depends on rows and
width only (words of a window, channel groups) comes from exact integer tables, one entry per distinct pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.activity import Activity, Cycles
from hwmodels.analytical import LAYER_OVERHEAD, PIPELINE_CYCLES, RAW_BITS, THRESHOLD_BITS, WEIGHT, orders
from hwmodels.geometry import Geometry, block_sides, geometry, patch, reduction
from hwmodels.knobs import Knobs, illegal_reasons
from workloads.actions import Actions
from workloads.layers import Flatten, Layer

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

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


def _nameless(layer: Layer) -> Layer:
    return replace(layer, name="")


def _solve(layer: Layer, knobs: Knobs, legal: Bools) -> tuple[Activity | None, npt.NDArray[np.str_]]:
    """One layer on all designs, width by width, because the width decides how the layer is walked."""
    misfit = np.full(knobs.size, "", "U32")
    if isinstance(layer, Flatten):
        return None, misfit
    counts = {name: np.zeros(knobs.size, np.int64) for name in COUNTS}
    for width in np.unique(knobs.width[legal]):
        index = np.flatnonzero(legal & (knobs.width == width))
        shape = geometry(layer, int(width))
        if shape is None:
            raise ValueError(f"layer {layer.name!r}: must be a layer that the machine walks")
        walk = _Walk.of(shape, knobs.take(index), int(width))
        misfit[index] = walk.misfit()
        fits = misfit[index] == ""
        if fits.any():
            best = _best(_Walk.of(shape, walk.knobs.take(fits), int(width)))
            for name in COUNTS:
                counts[name][index[fits]] = best[name]
    return _record(counts), misfit


def _record(counts: Mapping[str, Any]) -> Activity:
    return Activity(
        cycles=Cycles(**{item.name: counts[item.name] for item in fields(Cycles)}),
        actions=Actions(**{item.name: counts[item.name] for item in fields(Actions)}),
        **{item.name: counts[item.name] for item in fields(Activity) if item.name not in ("cycles", "actions")},
    )


def _ceil_div(dividend: Ints | int, divisor: Ints | int) -> Ints:
    return np.asarray(-(-dividend // divisor), np.int64)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One layer on designs of one width: (designs,) arrays of what the walk needs, and the candidate tiles."""

    shape: Geometry
    knobs: Knobs
    width: int
    words: Ints
    weight_planes: Ints
    channel_groups: Ints
    act_passes: Ints
    weight_passes: Ints
    raw_factor: Ints
    groups: Ints
    """(designs, tiles) channel groups of each candidate; repeated candidates at the end of a row are the whole layer."""
    blocks: _Blocks

    @classmethod
    def of(cls, shape: Geometry, knobs: Knobs, width: int) -> _Walk:
        rows, where = np.unique(knobs.rows, return_inverse=True)
        walks = [reduction(shape, kind=knobs.kind, rows=int(row), width=width) for row in rows]
        channel_groups = np.array([walk.channel_groups for walk in walks], np.int64)[where]
        one_tile = np.array([walk.one_tile for walk in walks], np.bool_)[where]
        weight_planes = np.array([walk.weight_planes for walk in walks], np.int64)[where]
        return cls(
            shape=shape,
            knobs=knobs,
            width=width,
            words=np.array([walk.words for walk in walks], np.int64)[where],
            weight_planes=weight_planes,
            channel_groups=channel_groups,
            act_passes=_ceil_div(shape.act_bits, knobs.act_lanes),
            weight_passes=_ceil_div(weight_planes, knobs.weight_lanes),
            raw_factor=np.ones_like(where) if shape.out_bits is not None else _ceil_div(RAW_BITS, knobs.max_act_bits),
            groups=_tile_groups(_unit(knobs.rows, width, channel_groups, one_tile), channel_groups),
            blocks=_blocks(shape),
        )

    def misfit(self) -> npt.NDArray[np.str_]:
        """Why the smallest tile does not fit, "" where it does."""
        bits = max(self.shape.act_bits, self.shape.out_bits or 1)
        broken = [
            bits > self.knobs.max_act_bits,
            self.shape.weight_bits > self.knobs.max_weight_bits,
            self.shape.acc_bits > self.knobs.acc_bits,
        ]
        needs = self.needs()
        broken += [need[:, 0, 0] > getattr(self.knobs, name) // 2 for name, need in needs.items()]
        return np.select(broken, ["max_act_bits", "max_weight_bits", "acc_bits", *needs], default="").astype("U32")

    def needs(self) -> dict[str, Ints]:
        """Entries of half of each buffer that a tile takes: broadcastable to (designs, tiles, blocks)."""
        shape, groups = self.shape, self.groups[:, :, None]
        pixels = self.blocks.patch_rows * self.blocks.patch_cols
        area = self.blocks.area
        return {
            "weight_depth": groups * (self.words * self.weight_passes)[:, None, None],
            "threshold_depth": groups * shape.levels,
            "act_depth": pixels
            * shape.operands
            * self.input_words(self.groups)[:, :, None]
            * self.act_passes[:, None, None],
            "out_depth": groups * (self.knobs.cols * self.raw_factor)[:, None, None] * area,
        }

    def input_words(self, groups: Ints) -> Ints:
        """(designs, tiles) channel words of a pixel in an activation tile of that many channel groups."""
        words = _ceil_div(self.shape.channels * self.shape.groups, self.width)
        if not self.shape.vector:
            return np.full_like(groups, words)
        return np.asarray(np.minimum(words, _ceil_div(groups * self.knobs.rows[:, None], self.width)))


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The legal blocks of a layer, rows before columns, as (1, 1, blocks) arrays; names as in `geometry.Patch`."""

    count: Ints
    area: Ints
    height: Ints
    width: Ints
    patch_rows: Ints
    patch_cols: Ints
    runs: Ints
    inside: Ints

    def take(self, mask: Bools) -> _Blocks:
        """Some of the blocks, in the same order."""
        return _Blocks(**{item.name: getattr(self, item.name)[:, :, mask] for item in fields(_Blocks)})


@lru_cache(maxsize=4096)
def _blocks(shape: Geometry) -> _Blocks:
    sides = [(h, w) for h in block_sides(shape.out_size[0]) for w in block_sides(shape.out_size[1])]
    rows, cols = [patch(shape, 0, h) for h, _ in sides], [patch(shape, 1, w) for _, w in sides]
    pairs = list(zip(rows, cols, strict=True))
    return _Blocks(
        count=_last_axis([row.blocks * col.blocks for row, col in pairs]),
        area=_last_axis([h * w for h, w in sides]),
        height=_last_axis([h for h, _ in sides]),
        width=_last_axis([w for _, w in sides]),
        patch_rows=_last_axis([row.pixels for row in rows]),
        patch_cols=_last_axis([col.pixels for col in cols]),
        runs=_last_axis([col.runs for col in cols]),
        inside=_last_axis([row.inside * col.inside for row, col in pairs]),
    )


def _last_axis(numbers: list[int]) -> Ints:
    return np.array(numbers, np.int64)[None, None, :]


def _unit(rows: Ints, width: int, channel_groups: Ints, one_tile: Bools) -> Ints:
    """Channel groups of the smallest tile: whole output words, or the whole layer."""
    return np.where(one_tile, channel_groups, np.maximum(rows, width) // rows)


def _tile_groups(unit: Ints, channel_groups: Ints) -> Ints:
    """(designs, tiles): the smallest tile times powers of two below the total, then the total."""
    doublings = 1 + max(0, int(np.ceil(np.log2(np.maximum(channel_groups / unit, 1))).max()))
    tiles = unit[:, None] << np.arange(doublings, dtype=np.int64)[None, :]
    return np.asarray(np.minimum(tiles, channel_groups[:, None]))


def _best(walk: _Walk) -> dict[str, Ints]:
    """The columns of COUNTS at each design's best legal mapping: fewest cycles, then fewest bits, then first."""
    walk, legal = _legal(walk)
    tiling = _Tiling.of(walk)
    costs = [_Costs.of(tiling, order) for order in orders(walk.shape, walk.knobs.dataflow)]
    cycles = np.concatenate([_flat(cost.latency(), legal, walk) for cost in costs], axis=1)
    bits = np.concatenate([_flat(cost.read_bits(), legal, walk) for cost in costs], axis=1)
    fewest = cycles == cycles.min(axis=1, keepdims=True)
    choice = np.where(fewest, bits, np.iinfo(np.int64).max).argmin(axis=1)
    per_order = legal.shape[1] * legal.shape[2]
    picked = [_columns(walk, cost, choice % per_order) for cost in costs]
    return {name: np.choose(choice // per_order, [columns[name] for columns in picked]) for name in COUNTS}


def _legal(walk: _Walk) -> tuple[_Walk, Bools]:
    """The walk without the tiles and blocks that fit no design, and (designs, tiles, blocks) which of the rest fit."""
    legal = np.ones((walk.knobs.size, walk.groups.shape[1], walk.blocks.area.size), np.bool_)
    for name, need in walk.needs().items():
        legal &= need <= (getattr(walk.knobs, name) // 2)[:, None, None]
    tiles, blocks = np.asarray(legal.any(axis=(0, 2))), np.asarray(legal.any(axis=(0, 1)))
    return replace(walk, groups=walk.groups[:, tiles], blocks=walk.blocks.take(blocks)), legal[:, tiles][:, :, blocks]


def _flat(values: Ints, legal: Bools, walk: _Walk) -> Ints:
    """(designs, candidates) with illegal candidates at the largest integer."""
    worst = np.iinfo(np.int64).max
    return np.where(legal, np.broadcast_to(values, legal.shape), worst).reshape(walk.knobs.size, -1)


@dataclass(frozen=True, slots=True)
class _Tiling:
    """What does not depend on the loop order: tiles, the unit's cycles, and what loads and stores of a tile take."""

    walk: _Walk
    channel_tiles: Ints
    space_tiles: Ints
    compute: Ints
    steady: Ints
    drain_busy: Ints
    tail: Ints
    first_load: Ints
    all_weights: Ints
    all_acts: Ints
    all_stores: Ints
    last_store: Ints

    @classmethod
    def of(cls, walk: _Walk) -> _Tiling:
        vector, latency, blocks = walk.shape.vector, walk.knobs.port_latency[:, None, None], walk.blocks.count
        channel_tiles = _ceil_div(walk.channel_groups[:, None], walk.groups)[:, :, None]
        space_tiles = _ceil_div(blocks, walk.knobs.cols[:, None, None])
        full = channel_tiles - 1
        last = walk.channel_groups[:, None] - full[:, :, 0] * walk.groups
        weights, act = _weight_load(walk, walk.groups)[:, :, None], _act_load(walk, walk.groups, channel_tiles)
        store, columns = _store(walk, walk.groups), np.minimum(walk.knobs.cols[:, None, None], blocks)
        return cls(
            walk=walk,
            channel_tiles=channel_tiles,
            space_tiles=space_tiles,
            first_load=np.asarray(latency + weights + columns * act),
            all_weights=full * weights + _weight_load(walk, last)[:, :, None],
            all_acts=np.asarray(blocks * (full * act + _act_load(walk, last, channel_tiles) if vector else act)),
            all_stores=blocks * (full * store + _store(walk, last)),
            last_store=np.asarray(columns * store + latency),
            **(_vector_unit(walk, blocks) if vector else _grid_unit(walk, space_tiles)),
        )


@dataclass(frozen=True, slots=True)
class _Costs:
    """What one loop order makes of a tiling, as arrays over (designs, tiles, blocks)."""

    tiling: _Tiling
    stall: Ints
    weight_reloads: Ints
    act_reloads: Ints

    @classmethod
    def of(cls, tiling: _Tiling, order: str) -> _Costs:
        weight_reloads, act_reloads = _reloads(tiling, order)
        return cls(tiling, _stall(tiling, order), weight_reloads, act_reloads)

    def latency(self) -> Ints:
        """Sum of all causes."""
        tiling, fill = self.tiling, LAYER_OVERHEAD + PIPELINE_CYCLES
        return tiling.first_load + fill + tiling.steady + tiling.tail + self.stall + tiling.last_store

    def load_busy(self) -> Ints:
        """Cycles of the port for all loads, latency not counted."""
        return self.tiling.all_weights * self.weight_reloads + self.tiling.all_acts * self.act_reloads

    def act_words(self) -> Ints:
        """Plane words of activations that cross the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_pixel = shape.operands * _ceil_div(shape.channels * shape.groups, walk.width) * shape.act_bits
        return walk.blocks.inside * per_pixel * self.act_reloads

    def read_bits(self) -> Ints:
        """Bits read through the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_channel = walk.words * walk.weight_planes * walk.width + shape.levels * THRESHOLD_BITS
        weights = (shape.out_channels * per_channel)[:, None, None] * self.weight_reloads
        return weights + self.act_words() * walk.width


def _grid_unit(walk: _Walk, space_tiles: Ints) -> dict[str, Ints]:
    step = (walk.words * walk.act_passes * walk.weight_passes)[:, None, None]
    drain = (walk.knobs.cols * walk.raw_factor)[:, None, None]
    area = walk.blocks.area
    steps = walk.channel_groups[:, None, None] * space_tiles * area
    return {
        "compute": steps * step,
        "steady": steps * np.maximum(step, drain),
        "drain_busy": steps * drain,
        "tail": drain,
    }


def _vector_unit(walk: _Walk, blocks: Ints) -> dict[str, Ints]:
    passes = (walk.shape.taps * walk.act_passes)[:, None, None]
    post = (
        _ceil_div(walk.width, walk.knobs.rows) * walk.raw_factor if walk.shape.sums else np.ones_like(walk.knobs.rows)
    )
    post = post[:, None, None]
    area = walk.blocks.area
    words = blocks * area * walk.words[:, None, None]
    return {
        "compute": words * passes,
        "steady": words * np.maximum(passes, post),
        "drain_busy": words * post,
        "tail": post,
    }


def _reloads(tiling: _Tiling, order: str) -> tuple[Ints, Ints]:
    """How often each weight and each activation patch crosses the port."""
    one = np.ones((1, 1, 1), np.int64)
    if order != WEIGHT:
        return np.where(tiling.channel_tiles == 1, 1, tiling.space_tiles), one
    return one, one if tiling.walk.shape.vector else np.where(tiling.space_tiles == 1, 1, tiling.channel_tiles)


def _stall(tiling: _Tiling, order: str) -> Ints:
    """Waits at the changes of the outer and of the inner tile, by means over the layer."""
    vector, knobs = tiling.walk.shape.vector, tiling.walk.knobs
    latency, shared = knobs.port_latency[:, None, None], knobs.port_shared[:, None, None] != 0
    count = tiling.channel_tiles * tiling.space_tiles
    weights = tiling.all_weights / tiling.channel_tiles
    acts = tiling.all_acts / (count if vector else tiling.space_tiles)
    unit, store = tiling.steady / count, tiling.all_stores / count
    if order == WEIGHT:
        outer, inner, outer_load, inner_load = tiling.channel_tiles, tiling.space_tiles, weights, acts
    else:
        outer, inner, outer_load, inner_load = tiling.space_tiles, tiling.channel_tiles, acts, weights

    def wait(load: Floats | Ints) -> Floats:
        busy = np.where(shared, load + store, np.maximum(load, store))
        return np.maximum(unit, busy) - unit

    both = np.where((inner > 1) | vector, outer_load + inner_load, outer_load)
    stall = (outer - 1) * wait(latency + both)
    stall = stall + outer * (inner - 1) * wait(latency + inner_load)
    return np.ceil(stall).astype(np.int64)


def _weight_load(walk: _Walk, groups: Ints) -> Ints:
    per_row = walk.words * walk.weight_planes * walk.width + walk.shape.levels * THRESHOLD_BITS
    return _run(walk.knobs, groups * (walk.knobs.rows * per_row)[:, None])


def _act_load(walk: _Walk, groups: Ints, channel_tiles: Ints) -> Ints:
    """One column's patch."""
    shape = walk.shape
    words = walk.input_words(groups)[:, :, None] * (shape.act_bits * walk.width)
    pixels = walk.blocks.patch_cols
    runs = walk.blocks.runs
    runs = np.where(channel_tiles > 1, pixels, runs) if shape.vector else runs
    height = walk.blocks.patch_rows
    return np.asarray(shape.operands * height * runs * _run(walk.knobs, pixels // runs * words))


def _store(walk: _Walk, groups: Ints) -> Ints:
    """One column's output."""
    shape, total = walk.shape, walk.channel_groups[:, None]
    some = np.minimum(groups * walk.knobs.rows[:, None], shape.out_channels)
    channels = np.where(groups == total, shape.out_channels, some)
    if shape.out_bits is None:
        pixel_bits = channels * RAW_BITS
    else:
        pixel_bits = _ceil_div(channels, walk.width) * (shape.out_bits * walk.width)
    height = walk.blocks.height
    width = walk.blocks.width
    whole = (groups == total)[:, :, None]
    runs = np.where(whole, height, height * width)
    length = np.where(whole, width, 1)
    return np.asarray(runs * _run(walk.knobs, length * pixel_bits[:, :, None]))


def _run(knobs: Knobs, bits: Ints) -> Ints:
    axes = (slice(None), *(None,) * (bits.ndim - 1))
    beats = _ceil_div(bits, knobs.port_bits[axes])
    return beats + _ceil_div(beats, knobs.port_burst[axes])


def _columns(walk: _Walk, costs: _Costs, choice: Ints) -> dict[str, Ints]:
    """Every count at candidate `choice` (flat over tiles and blocks) of each design."""
    full = (walk.knobs.size, walk.groups.shape[1], walk.blocks.area.size)
    tile, block = np.divmod(choice, full[2])
    rows = np.arange(walk.knobs.size)

    def at(values: Ints) -> Ints:
        return np.broadcast_to(values, full)[rows, tile, block]

    tiling = costs.tiling
    steps = at(tiling.space_tiles * walk.blocks.area)
    counts = _action_columns(walk, steps, at(costs.weight_reloads), at(costs.act_words()))
    counts.update(
        load_cycles=at(tiling.first_load),
        fill_cycles=np.full(walk.knobs.size, LAYER_OVERHEAD + PIPELINE_CYCLES),
        compute_cycles=at(tiling.compute),
        drain_cycles=at(tiling.steady - tiling.compute + tiling.tail),
        stall_cycles=at(costs.stall),
        store_cycles=at(tiling.last_store),
        compute_busy=at(tiling.compute),
        drain_busy=at(tiling.drain_busy),
        load_busy=at(costs.load_busy()),
        store_busy=at(tiling.all_stores),
        memory_read_bits=at(costs.read_bits()),
        memory_write_bits=np.full(walk.knobs.size, _write_bits(walk)),
    )
    return counts


def _write_bits(walk: _Walk) -> int:
    shape = walk.shape
    if shape.out_bits is None:
        return shape.positions * shape.out_channels * RAW_BITS
    return shape.positions * int(_ceil_div(shape.out_channels, walk.width)) * shape.out_bits * walk.width


def _action_columns(walk: _Walk, block_steps: Ints, weight_reloads: Ints, act_words: Ints) -> dict[str, Ints]:
    shape, knobs = walk.shape, walk.knobs
    outputs = shape.positions * shape.out_channels
    zero = np.zeros(knobs.size, np.int64)
    counts = dict.fromkeys((item.name for item in fields(Actions)), zero)
    counts["threshold_compares"] = zero + (outputs * (shape.out_bits or 0) if shape.thresholds else 0)
    counts["activation_writes"] = act_words
    if shape.out_bits is None:
        counts["raw_writes"] = zero + outputs
    else:
        counts["output_writes"] = zero + shape.positions * _ceil_div(shape.out_channels, walk.width) * shape.out_bits
    if shape.vector:
        taps = shape.positions * shape.taps * walk.words
        counts["vector_words"] = taps * shape.act_bits
        counts["activation_reads"] = taps * walk.act_passes * knobs.act_lanes
        return counts
    step = walk.words * walk.act_passes * walk.weight_passes
    counts["xnor_words"] = outputs * walk.words * shape.act_bits * walk.weight_planes
    counts["accumulations"] = outputs * step
    counts["combines"] = outputs * shape.act_bits * walk.weight_planes
    counts["activation_reads"] = walk.channel_groups * shape.positions * step * knobs.act_lanes
    counts["weight_reads"] = shape.out_channels * block_steps * step * knobs.weight_lanes
    counts["weight_writes"] = shape.out_channels * walk.words * walk.weight_planes * weight_reloads
    return counts
