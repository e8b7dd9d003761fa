"""Closed form, one design and one layer at a time: docs/machine.md, sections 4 and 5, in plain integers.

This is the readable statement of the model and the oracle of the vectorised one (`hwmodels.batch`). Every action, every
bit of traffic and every cycle is exact but those of `stall`, which `_stall` estimates from mean tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, gcd, prod

from hwmodels.activity import Activity, Cycles
from hwmodels.design import Design
from hwmodels.geometry import Axis, Geometry, axis, geometry
from hwmodels.mapping import (
    ACTIVATION,
    DESCRIPTOR_BITS,
    FINISH_CYCLES,
    SETUP_CYCLES,
    THRESHOLD_BITS,
    WEIGHT,
    Mapping,
    check_fit,
    drain_cycles,
    fetch_cycles,
    input_words,
    mappings,
    out_planes,
    output_words,
    pipeline_cycles,
    row_words,
    run_cycles,
    step_cycles,
    threshold_beats,
    tile_channels,
    walk_of,
    word_beats,
)
from workloads.actions import Actions
from workloads.layers import Layer, ceil_div


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
    tiles = _Tiles(shape, design, mapping, axis(shape, 0, mapping.block[0]), axis(shape, 1, mapping.block[1]))
    moved = _moved(tiles)
    cycles = _cycles(tiles, moved)
    activity = Activity(
        cycles=cycles,
        compute_busy=cycles.compute_cycles,
        drain_busy=tiles.steps * drain_cycles(shape, design),
        load_busy=moved.load_busy(tiles) + fetch_cycles(design) - design.port_latency,
        store_busy=moved.stores.total,
        actions=_actions(tiles),
        memory_read_bits=_read_bits(tiles),
        memory_write_bits=shape.positions * _map_words(tiles) * design.width,
    )
    return Evaluated(mapping, activity)


@dataclass(frozen=True, slots=True)
class _Tiles:
    """A layer cut into tiles: channel tiles times space tiles of C blocks each."""

    shape: Geometry
    design: Design
    mapping: Mapping
    rows: Axis
    cols: Axis

    @property
    def channel_tiles(self) -> int:
        return ceil_div(walk_of(self.shape, self.design).channel_groups, self.mapping.groups)

    @property
    def last_groups(self) -> int:
        """First channel group of the last channel tile."""
        return (self.channel_tiles - 1) * self.mapping.groups

    @property
    def blocks(self) -> int:
        return self.rows.blocks * self.cols.blocks

    @property
    def space_tiles(self) -> int:
        return ceil_div(self.blocks, self.design.cols)

    @property
    def last_blocks(self) -> int:
        """First block of the last space tile."""
        return (self.space_tiles - 1) * self.design.cols

    @property
    def count(self) -> int:
        return self.channel_tiles * self.space_tiles

    @property
    def walked(self) -> int:
        """Q: positions that columns with a block walk, those beyond the map included."""
        return self.blocks * prod(self.mapping.block)

    @property
    def steps(self) -> int:
        """Steps of the unit over the layer: all columns take one together, the vector unit serves one after the other."""
        if self.shape.vector:
            return self.walked * walk_of(self.shape, self.design).words
        return walk_of(self.shape, self.design).channel_groups * self.space_tiles * prod(self.mapping.block)

    @property
    def weight_reloads(self) -> int:
        return 1 if self.mapping.dataflow == WEIGHT or self.channel_tiles == 1 else self.space_tiles

    @property
    def act_reloads(self) -> int:
        """A vector layer reads other channels in every channel tile, so it never reads a word twice for that."""
        once = self.shape.vector or self.mapping.dataflow == ACTIVATION or self.space_tiles == 1
        return 1 if once else self.channel_tiles

    def over_channels(self, of_tile: Callable[[int], int]) -> int:
        """Sum over the channel tiles, given by their first channel group: all but the last are equal."""
        return (self.channel_tiles - 1) * of_tile(0) + of_tile(self.last_groups)


@dataclass(frozen=True, slots=True)
class _Split:
    """Port cycles of all space tiles but the last, and of the last one: the only one with fewer blocks."""

    full: int
    last: int

    @property
    def total(self) -> int:
        return self.full + self.last


@dataclass(frozen=True, slots=True)
class _Moved:
    """Port cycles: of the first tile's load and the last one's store, and of everything loaded once and stored."""

    first_load: int
    last_store: int
    first_weights: int
    weights: int
    acts: _Split
    stores: _Split

    def load_busy(self, tiles: _Tiles) -> int:
        """Cycles of the port for all loads."""
        return self.weights * tiles.weight_reloads + self.acts.total * tiles.act_reloads


def _moved(tiles: _Tiles) -> _Moved:
    patches, outputs = _patch_rows(tiles), tiles.rows.outputs
    first_block_tile = min(tiles.design.cols, tiles.blocks)

    def acts(first: int, blocks: int) -> int:
        return _over_blocks(patches, _patch_runs(tiles, first), blocks)

    def stores(first: int, blocks: int) -> int:
        return _over_blocks(outputs, _store_runs(tiles, first), blocks)

    last = tiles.last_groups
    return _Moved(
        first_load=_weight_load(tiles, 0) + acts(0, first_block_tile),
        last_store=stores(last, tiles.blocks) - stores(last, tiles.last_blocks),
        first_weights=_weight_load(tiles, 0),
        weights=tiles.over_channels(lambda first: _weight_load(tiles, first)),
        # The grid's channel tiles read the same maps; those of a vector layer read their own channels each.
        acts=_split(tiles, acts, tiles.over_channels if tiles.shape.vector else _once),
        stores=_split(tiles, stores, tiles.over_channels),
    )


def _split(tiles: _Tiles, cycles: Callable[[int, int], int], over: Callable[[Callable[[int], int]], int]) -> _Split:
    full = over(lambda first: cycles(first, tiles.last_blocks))
    return _Split(full, over(lambda first: cycles(first, tiles.blocks)) - full)


def _once(of_tile: Callable[[int], int]) -> int:
    return of_tile(0)


def _over_blocks(rows: Sequence[int], cols: Sequence[int], count: int) -> int:
    """Sum of rows[i] * cols[j] over the first `count` blocks, row by row."""
    full, rest = divmod(count, len(cols))
    return sum(rows[:full]) * sum(cols) + sum(rows[full : full + 1]) * sum(cols[:rest])


def _weight_load(tiles: _Tiles, first: int) -> int:
    """Port cycles of the weights and thresholds of a channel tile: one run, k rows' words a beat."""
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    channels = tile_channels(shape, design, tiles.mapping.groups, first)
    full, rest = divmod(channels, design.rows)
    row_beats = full * ceil_div(design.rows, row_words(design)) + ceil_div(rest, row_words(design))
    weights = row_beats * walk.words * walk.weight_planes * word_beats(design)
    return run_cycles(weights + channels * shape.levels * threshold_beats(design), design.port_burst)


def _patch_rows(tiles: _Tiles) -> tuple[int, ...]:
    """Patch rows inside the map of each row of blocks, over all operands."""
    return tuple(tiles.shape.operands * sum(pieces) for pieces in tiles.rows.inside)


def _patch_runs(tiles: _Tiles, first: int) -> tuple[int, ...]:
    """Port cycles of one patch row of each column of blocks: a run a piece, or a pixel where channels are sliced."""
    shape, design = tiles.shape, tiles.design
    beats = input_words(shape, design, tiles.mapping.groups, first) * shape.act_bits * word_beats(design)
    if shape.vector and tiles.channel_tiles > 1:
        return tuple(sum(pieces) * run_cycles(beats, design.port_burst) for pieces in tiles.cols.inside)
    return tuple(sum(run_cycles(piece * beats, design.port_burst) for piece in pieces) for pieces in tiles.cols.inside)


def _store_runs(tiles: _Tiles, first: int) -> tuple[int, ...]:
    """Port cycles of one output row of each column of blocks: one run, or one a pixel where channels are sliced."""
    shape, design = tiles.shape, tiles.design
    words = output_words(shape, design, tiles.mapping.groups, first) * out_planes(shape, design)
    beats = words * word_beats(design)
    if tiles.channel_tiles > 1:
        return tuple(pixels * run_cycles(beats, design.port_burst) for pixels in tiles.cols.outputs)
    return tuple(run_cycles(pixels * beats, design.port_burst) for pixels in tiles.cols.outputs)


def _cycles(tiles: _Tiles, moved: _Moved) -> Cycles:
    step, drain = step_cycles(tiles.shape, tiles.design), drain_cycles(tiles.shape, tiles.design)
    fetched = fetch_cycles(tiles.design) + SETUP_CYCLES
    return Cycles(
        load_cycles=tiles.design.port_latency + moved.first_load,
        fill_cycles=fetched + pipeline_cycles(tiles.shape, tiles.design) + FINISH_CYCLES,
        compute_cycles=tiles.steps * step,
        drain_cycles=(tiles.steps - 1) * (max(step, drain) - step) + drain,
        stall_cycles=_stall(tiles, moved),
        store_cycles=moved.last_store + tiles.design.port_latency,
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """`count` like changes from a tile to the next: unit and store of the one that ends, load of the one that begins."""

    count: int
    unit: float
    store: float
    load: float


def _stall(tiles: _Tiles, moved: _Moved) -> int:
    """Waits of the grid at the changes of tiles, and of the last store: the estimate of this model (`_period`).

    The last space tile counts as it is, the others and all channel tiles by their mean. With Λ = λ + L and
    b = min(F, D) + PIPELINE, from the end of a tile's steps to its last result, the estimate is exact

    - for a single tile;
    - where no wait arises: T >= b + max(Λ, S), on a shared port T >= b + Λ + S, for the least T and the largest L and S
      (L of any tile's activations, with the weights where they change);
    - with a port each also where waits arise, if T, the activations and S of all tiles and L of all changes are equal
      and b + max(Λ, S) is at most T, or T + b at most max(Λ, S).
    """
    step, drain = step_cycles(tiles.shape, tiles.design), drain_cycles(tiles.shape, tiles.design)
    behind = min(step, drain) + pipeline_cycles(tiles.shape, tiles.design)
    changes = _weight_changes if tiles.mapping.dataflow == WEIGHT else _activation_changes
    wait = 0.0
    for change in changes(tiles, moved):
        wait += change.count * (_period(tiles, change, behind) - change.unit)
    return ceil(wait)


def _period(tiles: _Tiles, change: _Change, behind: int) -> float:
    """Cycles from a tile's start to the next one's: the longest of what must happen once a tile, or once every two.

    Once a tile: the unit's work, the load, the store; on a shared port load and store, one after the other. Every two
    tiles: a tile's work, its last result, and then its store or the load of the tile that takes its half of the buffers.
    On a shared port that store goes before that load, and so does the next store if it comes while they last. The first
    tile that waits for a half is the third.
    """
    unit, store, load = change.unit, change.store, tiles.design.port_latency + change.load
    shared = tiles.design.port_shared
    once = load + store if shared else max(load, store)
    if tiles.count == 2:
        return max(unit, once)
    stores = 2 * store if unit < store + change.load else store
    twice = unit + behind + load + stores if shared else unit + behind + max(load, store)
    return max(unit, once, twice / 2)


def _weight_changes(tiles: _Tiles, moved: _Moved) -> list[_Change]:
    """Every channel tile walks the space tiles, and begins with new weights (and, unless they stay, activations)."""
    channels, space = tiles.channel_tiles, tiles.space_tiles
    weights, (full_load, last_load) = _later_weights(tiles, moved), _act_means(tiles, moved)
    stays = 0.0 if not tiles.shape.vector else last_load
    return [
        _full(tiles, moved, channels * max(space - 2, 0), full_load),
        _full(tiles, moved, channels * min(space - 1, 1), last_load),
        _last(tiles, moved, channels - 1, weights + (full_load if space > 1 else stays)),
    ]


def _activation_changes(tiles: _Tiles, moved: _Moved) -> list[_Change]:
    """Every space tile walks the channel tiles, and begins with new activations (and, unless they stay, weights)."""
    channels, space = tiles.channel_tiles, tiles.space_tiles
    weights, (full_load, last_load) = _later_weights(tiles, moved), _act_means(tiles, moved)
    again = moved.first_weights if channels > 1 else 0
    return [
        _full(tiles, moved, (space - 1) * (channels - 1), weights),
        _last(tiles, moved, channels - 1, weights),
        _full(tiles, moved, max(space - 2, 0), again + full_load),
        _full(tiles, moved, min(space - 1, 1), again + last_load),
    ]


def _full(tiles: _Tiles, moved: _Moved, count: int, load: float) -> _Change:
    """Changes from a space tile that gives every column a block."""
    store = moved.stores.full / (tiles.channel_tiles * max(tiles.space_tiles - 1, 1))
    return _Change(count, _unit(tiles, tiles.design.cols), store, load)


def _last(tiles: _Tiles, moved: _Moved, count: int, load: float) -> _Change:
    """Changes from the last space tile."""
    store = moved.stores.last / tiles.channel_tiles
    return _Change(count, _unit(tiles, tiles.blocks - tiles.last_blocks), store, load)


def _unit(tiles: _Tiles, columns: int) -> float:
    """T, as a mean over the channel tiles: the vector unit serves one column after the other."""
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    steps = prod(tiles.mapping.block) * (columns * walk.words if shape.vector else walk.channel_groups)
    return steps * max(step_cycles(shape, design), drain_cycles(shape, design)) / tiles.channel_tiles


def _later_weights(tiles: _Tiles, moved: _Moved) -> float:
    """Weights of a channel tile that others came before, as a mean."""
    return (moved.weights - moved.first_weights) / max(tiles.channel_tiles - 1, 1)


def _act_means(tiles: _Tiles, moved: _Moved) -> tuple[float, float]:
    """Load of a space tile with all columns, and of the last, as means over the channel tiles."""
    channels = tiles.channel_tiles if tiles.shape.vector else 1
    return moved.acts.full / (channels * max(tiles.space_tiles - 1, 1)), moved.acts.last / channels


def _act_words(tiles: _Tiles) -> int:
    """Plane words of all patches inside the map that cross the port."""
    shape, inside = tiles.shape, sum(map(sum, tiles.cols.inside))
    words = ceil_div(shape.channels * shape.groups, tiles.design.width) * shape.act_bits
    return sum(_patch_rows(tiles)) * inside * words * tiles.act_reloads


def _map_words(tiles: _Tiles) -> int:
    """Plane words of one position of the map that a layer emits."""
    return ceil_div(tiles.shape.out_channels, tiles.design.width) * out_planes(tiles.shape, tiles.design)


def _weight_words(tiles: _Tiles) -> int:
    """Plane words of weights that cross the port."""
    walk = walk_of(tiles.shape, tiles.design)
    return tiles.shape.out_channels * walk.words * walk.weight_planes * tiles.weight_reloads


def _thresholds(tiles: _Tiles) -> int:
    """Thresholds that cross the port."""
    return tiles.shape.out_channels * tiles.shape.levels * tiles.weight_reloads


def _read_bits(tiles: _Tiles) -> int:
    words = _weight_words(tiles) + _act_words(tiles)
    return DESCRIPTOR_BITS + words * tiles.design.width + _thresholds(tiles) * THRESHOLD_BITS


def _actions(tiles: _Tiles) -> Actions:
    """What the unit and the buffers do; operand reads are per bank entry (all its planes), broadcast along rows and columns."""
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    results, lanes = tiles.walked * shape.out_channels, design.act_lanes
    unit = _vector_actions(tiles) if shape.vector else _grid_actions(tiles)
    return unit + Actions(
        threshold_compares=results * (shape.out_bits or 0) if shape.thresholds else 0,
        activation_reads=tiles.walked
        * step_cycles(shape, design)
        * lanes
        * (walk.words if shape.vector else walk.channel_groups),
        activation_writes=_act_words(tiles),
        weight_writes=_weight_words(tiles),
        threshold_writes=_thresholds(tiles),
        output_writes=tiles.walked * _map_words(tiles),
    )


def _vector_actions(tiles: _Tiles) -> Actions:
    shape, walk = tiles.shape, walk_of(tiles.shape, tiles.design)
    return Actions(vector_words=tiles.walked * shape.taps * walk.words * shape.act_bits)


def _grid_actions(tiles: _Tiles) -> Actions:
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    results, step = tiles.walked * shape.out_channels, step_cycles(shape, design)
    pairs, block_steps = shape.act_bits * walk.weight_planes, tiles.space_tiles * prod(tiles.mapping.block)
    return _corrections(tiles) + Actions(
        xnor_words=results * walk.words * pairs,
        accumulations=results * step,
        combines=results * pairs,
        weight_reads=shape.out_channels * block_steps * step * design.weight_lanes,
    )


def _corrections(tiles: _Tiles) -> Actions:
    """Sums of codes that offsets multiply: of every window that a tile walks, of a weight row as it is loaded; each is added
    once to every result. A multiplier takes its operands with their offsets.
    """
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    rows = shape.row_sums and not walk.expanded
    if design.kind == "mac" or not (rows or shape.column_sums):
        return Actions()
    windows = tiles.walked * walk.words * shape.act_bits * _windows_summed(tiles) if rows else 0
    return Actions(
        correction_words=windows + shape.column_sums * _weight_words(tiles),
        correction_adds=tiles.walked * shape.out_channels * (rows + shape.column_sums),
    )


def _windows_summed(tiles: _Tiles) -> int:
    """How often the codes of a position are summed: by the first channel group of a tile, and where the next one reads others.

    With q channel groups of R to a group of the layer, and G to a tile, that is every group once, and once more for every
    change of tiles amid a group: groups + (T - 1) - floor((T - 1) gcd(G, q) / q).
    """
    per_group = walk_of(tiles.shape, tiles.design).channel_groups // tiles.shape.groups
    changes = tiles.channel_tiles - 1
    return tiles.shape.groups + changes - changes * gcd(tiles.mapping.groups, per_group) // per_group


def _bits(activity: Activity) -> int:
    return activity.memory_read_bits + activity.memory_write_bits
