"""The closed form of `hwmodels.analytical` over arrays of designs: same formulas, same answers, no loop over points.

Axes of the working arrays: (designs, channel tiles, blocks); the two loop orders are two such arrays. What depends on rows and
width only (words of a window, channel groups) comes from exact integer tables, one entry per distinct pair; what the port
needs for a tile comes from `hwmodels.batch_port`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.activity import Activity, Cycles
from hwmodels.batch_port import Blocks, blocks, port_cycles
from hwmodels.design import Design
from hwmodels.geometry import Geometry, geometry, reduction
from hwmodels.knobs import Knobs, illegal_reasons, of_designs
from hwmodels.mapping import (
    DESCRIPTOR_BITS,
    FINISH_CYCLES,
    SETUP_CYCLES,
    THRESHOLD_BITS,
    VECTOR_BITS,
    WEIGHT,
    orders,
    overpadded,
)
from workloads.actions import Actions
from workloads.layers import Free, Layer

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
    walk = _Walk.of(first, knobs, design.width, bits)
    reason = np.where(reason == "", walk.misfit(), reason)
    fits = reason == ""
    if fits.any():
        best = _best(_Walk.of(first, knobs.take(fits), design.width, bits.take(fits)))
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
class Precisions:
    """The bits of a layer on every design, as (designs,) int64 arrays; `out` and `levels` are 0 where raw sums leave."""

    act: Ints
    weight: Ints
    out: Ints
    acc: Ints
    levels: Ints

    @classmethod
    def of(cls, shapes: Sequence[Geometry]) -> Precisions:
        """One row a shape."""
        columns = [(item.act_bits, item.weight_bits, item.out_bits or 0, item.acc_bits, item.levels) for item in shapes]
        return cls(*np.array(columns, np.int64).T)

    def take(self, index: Any) -> Precisions:
        """The rows at `index` (indices, mask or slice)."""
        return Precisions(*(getattr(self, item.name)[index] for item in fields(Precisions)))


@dataclass(frozen=True, slots=True)
class _Walk:
    """One layer on designs of one width: (designs,) arrays of what the walk needs, and the candidate tiles and blocks.

    `shape` says everything but the bits, which each design may have of its own.
    """

    shape: Geometry
    bits: Precisions
    knobs: Knobs
    width: int
    words: Ints
    weight_planes: Ints
    expanded: Ints
    channel_groups: Ints
    act_passes: Ints
    weight_passes: Ints
    out_planes: Ints
    raw_factor: Ints
    groups: Ints
    """(designs, tiles) channel groups of each candidate; repeated candidates at the end of a row are the whole layer."""
    which: npt.NDArray[np.intp]
    blocks: Blocks

    @classmethod
    def of(cls, shape: Geometry, knobs: Knobs, width: int, bits: Precisions | None = None) -> _Walk:
        bits = bits or Precisions.of([shape] * knobs.size)
        rows, where = np.unique(knobs.rows, return_inverse=True)
        walks = [reduction(shape, rows=int(row), width=width) for row in rows]
        channel_groups = np.array([walk.channel_groups for walk in walks], np.int64)[where]
        expanded = np.array([walk.expanded for walk in walks], np.int64)[where]
        # Planes beyond those of the weights do not depend on their bits.
        streamed = bits.weight + np.array([walk.weight_planes - shape.weight_bits for walk in walks], np.int64)[where]
        planes = bits.acc + expanded if shape.out_bits is None else bits.out
        return cls(
            shape=shape,
            bits=bits,
            knobs=knobs,
            width=width,
            words=np.array([walk.words for walk in walks], np.int64)[where],
            weight_planes=streamed,
            expanded=expanded,
            channel_groups=channel_groups,
            act_passes=_ceil_div(bits.act, knobs.act_lanes),
            weight_passes=_ceil_div(streamed, knobs.weight_lanes),
            out_planes=planes,
            raw_factor=_ceil_div(planes, knobs.max_act_bits) if shape.out_bits is None else np.ones_like(planes),
            groups=_tile_groups(np.maximum(knobs.rows, width) // knobs.rows, channel_groups),
            which=np.arange(blocks(shape).count.size),
            blocks=blocks(shape),
        )

    def misfit(self) -> npt.NDArray[np.str_]:
        """Why the smallest tile does not fit, "" where it does."""
        shape, bits, knobs = self.shape, self.bits, self.knobs
        needs = self.needs()
        broken = [
            np.maximum(bits.act, bits.out) > knobs.max_act_bits,
            bits.weight > knobs.max_weight_bits,
            (bits.acc + self.expanded > knobs.acc_bits) | (shape.vector & (bits.acc > VECTOR_BITS)),
            np.full(knobs.size, overpadded(shape)),
            *(need[:, 0, 0] > getattr(knobs, name) // 2 for name, need in needs.items()),
        ]
        names = ["max_act_bits", "max_weight_bits", "acc_bits", "padding", *needs]
        return np.select(broken, names, default="").astype("U32")

    def needs(self) -> dict[str, Ints]:
        """Entries of half of each buffer that a tile takes: broadcastable to (designs, tiles, blocks)."""
        shape, groups = self.shape, self.groups[:, :, None]
        per_word = np.maximum(1, self.width // self.knobs.rows)[:, None, None]
        columns = (self.knobs.cols * self.raw_factor)[:, None, None]
        words = self.input_words(self.groups, 0)[:, :, None] * self.act_passes[:, None, None]
        return {
            "weight_depth": groups * (self.words * self.weight_passes)[:, None, None],
            "threshold_depth": groups * shape.thresholds,
            "act_depth": self.blocks.patch * shape.operands * words,
            "out_depth": columns * self.blocks.area * (_ceil_div(groups, per_word) * per_word),
        }

    def channels(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) output channels of a tile of that many channel groups, of which `first` is the first."""
        rows = self.knobs.rows[:, None]
        return np.asarray(np.minimum(groups * rows, self.shape.out_channels - first * rows))

    def output_words(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) channel words of an output pixel of a tile."""
        return _ceil_div(self.channels(groups, first), self.width)

    def input_words(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) channel words of a pixel in an activation tile."""
        if self.shape.vector:
            return self.output_words(groups, first)
        return np.full_like(groups, _ceil_div(self.shape.channels * self.shape.groups, self.width))

    def keep(self, tiles: Bools, kept: Bools) -> _Walk:
        """The walk with some of its tile sizes and blocks only."""
        index = np.flatnonzero(kept)
        return replace(self, groups=self.groups[:, tiles], which=self.which[index], blocks=self.blocks.take(index))


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
    tiles, kept = np.asarray(legal.any(axis=(0, 2))), np.asarray(legal.any(axis=(0, 1)))
    return walk.keep(tiles, kept), legal[:, tiles][:, :, kept]


def _flat(values: Ints, legal: Bools, walk: _Walk) -> Ints:
    """(designs, candidates) with illegal candidates at the largest integer."""
    worst = np.iinfo(np.int64).max
    return np.where(legal, np.broadcast_to(values, legal.shape), worst).reshape(walk.knobs.size, -1)


@dataclass(frozen=True, slots=True)
class _Tiling:
    """What does not depend on the loop order, over (designs, tiles, blocks): names as in `hwmodels.analytical`."""

    walk: _Walk
    channel_tiles: Ints
    space_tiles: Ints
    last_columns: Ints
    step: Ints
    drain: Ints
    pipeline: Ints
    steps: Ints
    first_load: Ints
    last_store: Ints
    first_weights: Ints
    weights: Ints
    acts_full: Ints
    acts_last: Ints
    stores_full: Ints
    stores_last: Ints

    @classmethod
    def of(cls, walk: _Walk) -> _Tiling:
        channel_tiles = _ceil_div(walk.channel_groups[:, None], walk.groups)
        last = (channel_tiles - 1) * walk.groups
        space_tiles = _ceil_div(walk.blocks.count, walk.knobs.cols[:, None])
        before = (space_tiles - 1) * walk.knobs.cols[:, None]
        last_weights = _weight_load(walk, last)
        weights = _weight_load(walk, 0)
        return cls(
            walk=walk,
            channel_tiles=channel_tiles[:, :, None],
            space_tiles=space_tiles[:, None, :],
            last_columns=(walk.blocks.count - before)[:, None, :],
            **_unit(walk, space_tiles),
            **_maps(walk, channel_tiles, last, before, weights),
            first_weights=weights[:, :, None],
            weights=((channel_tiles - 1) * weights + last_weights)[:, :, None],
        )

    def unit(self, columns: Ints) -> Floats:
        """T of a tile with that many columns, as a mean over the channel tiles."""
        walk = self.walk
        words = walk.words[:, None, None] * columns if walk.shape.vector else walk.channel_groups[:, None, None]
        return np.asarray(walk.blocks.area * words * np.maximum(self.step, self.drain) / self.channel_tiles)

    def later_weights(self) -> Floats:
        """Weights of a channel tile that others came before, as a mean."""
        return np.asarray((self.weights - self.first_weights) / np.maximum(self.channel_tiles - 1, 1))

    def act_means(self) -> tuple[Floats, Floats]:
        """Load of a space tile with all columns, and of the last, as means over the channel tiles."""
        channels = self.channel_tiles if self.walk.shape.vector else 1
        return self.acts_full / (channels * np.maximum(self.space_tiles - 1, 1)), self.acts_last / channels


def _unit(walk: _Walk, space_tiles: Ints) -> dict[str, Ints]:
    """F, D, PIPELINE and the steps of the unit that computes."""
    shape, area = walk.shape, walk.blocks.area
    raw, acts, depth = (
        column[:, None, None] for column in (walk.raw_factor, walk.knobs.max_act_bits, walk.knobs.pe_cycles)
    )
    if not shape.vector:
        groups = walk.channel_groups[:, None, None]
        return {
            "step": (walk.words * walk.act_passes * walk.weight_passes)[:, None, None],
            "drain": walk.knobs.cols[:, None, None] * raw,
            "pipeline": acts + depth + 2,
            "steps": groups * space_tiles[:, None, :] * area,
        }
    return {
        "step": (shape.taps * walk.act_passes)[:, None, None],
        "drain": _ceil_div(walk.width, walk.knobs.rows)[:, None, None] * raw if shape.sums else np.ones_like(raw),
        "pipeline": acts + 3 if shape.sums else np.full_like(acts, 2),
        "steps": walk.blocks.count * area * walk.words[:, None, None],
    }


def _maps(walk: _Walk, channel_tiles: Ints, last: Ints, before: Ints, weights: Ints) -> dict[str, Ints]:
    """Port cycles of all activations and all stores, of the first load and of the last store."""
    shape, knobs, split = walk.shape, walk.knobs, channel_tiles > 1
    beats = np.maximum(1, walk.width // knobs.port_bits)[:, None]
    every = np.broadcast_to(walk.blocks.count, before.shape)
    first = np.minimum(knobs.cols[:, None], every)
    others = (channel_tiles - 1)[:, :, None]

    def moved(words: Ints, store: bool, counts: list[Ints]) -> list[Ints]:
        return port_cycles(
            shape, walk.which, store=store, beats=words * beats, burst=knobs.port_burst,
            split=split & (store or shape.vector), counts=counts,
        )  # fmt: skip

    planes_read = walk.bits.act[:, None]
    acts = moved(walk.input_words(walk.groups, 0) * planes_read, False, [before, every, first])
    planes = walk.out_planes[:, None]
    stores = moved(walk.output_words(walk.groups, 0) * planes, True, [before, every])
    stores_end = moved(walk.output_words(walk.groups, last) * planes, True, [before, every])
    acts_full, acts_all = acts[0], acts[1]
    if shape.vector:
        acts_end = moved(walk.input_words(walk.groups, last) * planes_read, False, [before, every])
        acts_full, acts_all = others * acts_full + acts_end[0], others * acts_all + acts_end[1]
    stores_full, stores_all = others * stores[0] + stores_end[0], others * stores[1] + stores_end[1]
    return {
        "first_load": weights[:, :, None] + acts[2],
        "last_store": stores_end[1] - stores_end[0],
        "acts_full": acts_full,
        "acts_last": acts_all - acts_full,
        "stores_full": stores_full,
        "stores_last": stores_all - stores_full,
    }


def _weight_load(walk: _Walk, first: Ints | int) -> Ints:
    """(designs, tiles) port cycles of the weights and thresholds of a channel tile."""
    knobs = walk.knobs
    rows, per_beat = knobs.rows[:, None], np.maximum(1, knobs.port_bits // walk.width)[:, None]
    channels = walk.channels(walk.groups, first)
    full, rest = np.divmod(channels, rows)
    row_beats = full * _ceil_div(rows, per_beat) + _ceil_div(rest, per_beat)
    word_beats = np.maximum(1, walk.width // knobs.port_bits)
    weights = row_beats * (walk.words * walk.weight_planes * word_beats)[:, None]
    return _run(knobs, weights + channels * (walk.bits.levels * _ceil_div(THRESHOLD_BITS, knobs.port_bits))[:, None])


def _run(knobs: Knobs, beats: Ints) -> Ints:
    """(designs, tiles) beats plus one request a burst."""
    return beats + _ceil_div(beats, knobs.port_burst[:, None])


def _fetch(knobs: Knobs) -> Ints:
    """(designs,) port cycles of a descriptor, latency not counted."""
    beats = _ceil_div(DESCRIPTOR_BITS, knobs.port_bits)
    return beats + _ceil_div(beats, knobs.port_burst)


@dataclass(frozen=True, slots=True)
class _Costs:
    """What one loop order makes of a tiling, as arrays over (designs, tiles, blocks)."""

    tiling: _Tiling
    stall: Ints
    weight_reloads: Ints
    act_reloads: Ints

    @classmethod
    def of(cls, tiling: _Tiling, order: str) -> _Costs:
        return cls(tiling, _stall(tiling, order), *_reloads(tiling, order))

    def parts(self) -> dict[str, Ints]:
        """Cycles by cause."""
        tiling, latency = self.tiling, self.tiling.walk.knobs.port_latency[:, None, None]
        fetched = latency + _fetch(tiling.walk.knobs)[:, None, None] + SETUP_CYCLES
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
        return tiling.weights * self.weight_reloads + acts + _fetch(tiling.walk.knobs)[:, None, None]

    def act_words(self) -> Ints:
        """Plane words of activations that cross the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_pixel = shape.operands * _ceil_div(shape.channels * shape.groups, walk.width) * walk.bits.act
        return walk.blocks.inside * per_pixel[:, None, None] * self.act_reloads

    def read_bits(self) -> Ints:
        """Bits read through the port."""
        walk, shape = self.tiling.walk, self.tiling.walk.shape
        per_channel = walk.words * walk.weight_planes * walk.width + walk.bits.levels * THRESHOLD_BITS
        weights = (shape.out_channels * per_channel)[:, None, None] * self.weight_reloads
        return DESCRIPTOR_BITS + weights + self.act_words() * walk.width


def _reloads(tiling: _Tiling, order: str) -> tuple[Ints, Ints]:
    """How often each weight and each activation patch crosses the port."""
    one = np.ones((1, 1, 1), np.int64)
    if order != WEIGHT:
        return np.where(tiling.channel_tiles == 1, 1, tiling.space_tiles), one
    return one, one if tiling.walk.shape.vector else np.where(tiling.space_tiles == 1, 1, tiling.channel_tiles)


def _stall(tiling: _Tiling, order: str) -> Ints:
    """Waits of the grid at the changes of tiles, kind by kind, as `hwmodels.analytical` adds them."""
    changes = _weight_changes if order == WEIGHT else _activation_changes
    wait: Floats = np.zeros((1, 1, 1))
    for count, last, load in changes(tiling):
        unit, store = _ending(tiling, last)
        wait = wait + count * (_period(tiling, unit, store, load) - unit)
    return np.ceil(wait).astype(np.int64)


Change = tuple[Ints, bool, Floats]
"""Like changes from a tile to the next: how many, whether they end a last space tile, and the load that begins."""


def _weight_changes(tiling: _Tiling) -> list[Change]:
    channels, space = tiling.channel_tiles, tiling.space_tiles
    weights, (full_load, last_load) = tiling.later_weights(), tiling.act_means()
    stays = last_load if tiling.walk.shape.vector else np.zeros((1, 1, 1))
    return [
        (channels * np.maximum(space - 2, 0), False, full_load),
        (channels * np.minimum(space - 1, 1), False, last_load),
        (channels - 1, True, weights + np.where(space > 1, full_load, stays)),
    ]


def _activation_changes(tiling: _Tiling) -> list[Change]:
    channels, space = tiling.channel_tiles, tiling.space_tiles
    weights, (full_load, last_load) = tiling.later_weights(), tiling.act_means()
    again = np.where(channels > 1, tiling.first_weights, 0)
    return [
        ((space - 1) * (channels - 1), False, weights),
        (channels - 1, True, weights),
        (np.maximum(space - 2, 0), False, again + full_load),
        (np.minimum(space - 1, 1), False, again + last_load),
    ]


def _ending(tiling: _Tiling, last: bool) -> tuple[Floats, Floats]:
    """Unit cycles and store of the tile that ends: one of the last space tile, or one with a block in every column."""
    if last:
        return tiling.unit(tiling.last_columns), tiling.stores_last / tiling.channel_tiles
    store = tiling.stores_full / (tiling.channel_tiles * np.maximum(tiling.space_tiles - 1, 1))
    return tiling.unit(tiling.walk.knobs.cols[:, None, None]), store


def _period(tiling: _Tiling, unit: Floats, store: Floats, load: Floats) -> Floats:
    """Cycles from a tile's start to the next one's."""
    shared = tiling.walk.knobs.port_shared[:, None, None] != 0
    behind = np.minimum(tiling.step, tiling.drain) + tiling.pipeline
    late = tiling.walk.knobs.port_latency[:, None, None] + load
    stores = np.where(unit < store + load, 2 * store, store)
    once = np.where(shared, late + store, np.maximum(late, store))
    twice = np.where(shared, unit + behind + late + stores, unit + behind + np.maximum(late, store))
    halves = np.where(tiling.channel_tiles * tiling.space_tiles == 2, 0.0, twice / 2)
    return np.asarray(np.maximum(np.maximum(unit, once), halves))


def _columns(walk: _Walk, costs: _Costs, choice: Ints) -> dict[str, Ints]:
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


def _corrections(walk: _Walk, walked: Ints, groups: Ints, channel_tiles: Ints, loaded: Ints) -> dict[str, Ints]:
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


def _map_words(walk: _Walk) -> Ints:
    """(designs,) plane words of one position of the map that a layer emits."""
    return _ceil_div(walk.shape.out_channels, walk.width) * walk.out_planes


def _action_columns(walk: _Walk, walked: Ints, block_steps: Ints) -> dict[str, Ints]:
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
