"""A layer cut into tiles, and what they move through the port: exact, in plain integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from hwmodels.design import Design
from hwmodels.geometry import Axis, Geometry
from hwmodels.mapping import (
    ACTIVATION,
    WEIGHT,
    Mapping,
    input_words,
    out_planes,
    output_words,
    row_words,
    run_cycles,
    threshold_beats,
    tile_channels,
    walk_of,
    word_beats,
)
from workloads.layers import ceil_div


@dataclass(frozen=True, slots=True)
class Tiles:
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
class Split:
    """Port cycles of all space tiles but the last, and of the last one: the only one with fewer blocks."""

    full: int
    last: int

    @property
    def total(self) -> int:
        return self.full + self.last


@dataclass(frozen=True, slots=True)
class Moved:
    """Port cycles: of the first tile's load and the last one's store, and of everything loaded once and stored."""

    first_load: int
    last_store: int
    first_weights: int
    weights: int
    acts: Split
    stores: Split

    def load_busy(self, tiles: Tiles) -> int:
        """Cycles of the port for all loads."""
        return self.weights * tiles.weight_reloads + self.acts.total * tiles.act_reloads


def moved_by(tiles: Tiles) -> Moved:
    """Port cycles of all that a layer's tiles load and store."""
    patches, outputs = patch_rows(tiles), tiles.rows.outputs
    first_block_tile = min(tiles.design.cols, tiles.blocks)

    def acts(first: int, blocks: int) -> int:
        return _over_blocks(patches, _patch_runs(tiles, first), blocks)

    def stores(first: int, blocks: int) -> int:
        return _over_blocks(outputs, _store_runs(tiles, first), blocks)

    last = tiles.last_groups
    return Moved(
        first_load=_weight_load(tiles, 0) + acts(0, first_block_tile),
        last_store=stores(last, tiles.blocks) - stores(last, tiles.last_blocks),
        first_weights=_weight_load(tiles, 0),
        weights=tiles.over_channels(lambda first: _weight_load(tiles, first)),
        # The grid's channel tiles read the same maps; those of a vector layer read their own channels each.
        acts=_split(tiles, acts, tiles.over_channels if tiles.shape.vector else _once),
        stores=_split(tiles, stores, tiles.over_channels),
    )


def _split(tiles: Tiles, cycles: Callable[[int, int], int], over: Callable[[Callable[[int], int]], int]) -> Split:
    full = over(lambda first: cycles(first, tiles.last_blocks))
    return Split(full, over(lambda first: cycles(first, tiles.blocks)) - full)


def _once(of_tile: Callable[[int], int]) -> int:
    return of_tile(0)


def _over_blocks(rows: Sequence[int], cols: Sequence[int], count: int) -> int:
    """Sum of rows[i] * cols[j] over the first `count` blocks, row by row."""
    full, rest = divmod(count, len(cols))
    return sum(rows[:full]) * sum(cols) + sum(rows[full : full + 1]) * sum(cols[:rest])


def _weight_load(tiles: Tiles, first: int) -> int:
    """Port cycles of the weights and thresholds of a channel tile: one run, k rows' words a beat."""
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    channels = tile_channels(shape, design, tiles.mapping.groups, first)
    full, rest = divmod(channels, design.rows)
    row_beats = full * ceil_div(design.rows, row_words(design)) + ceil_div(rest, row_words(design))
    weights = row_beats * walk.words * walk.weight_planes * word_beats(design)
    return run_cycles(weights + channels * shape.levels * threshold_beats(design), design.port_burst)


def patch_rows(tiles: Tiles) -> tuple[int, ...]:
    """Patch rows inside the map of each row of blocks, over all operands."""
    return tuple(tiles.shape.operands * sum(pieces) for pieces in tiles.rows.inside)


def _patch_runs(tiles: Tiles, first: int) -> tuple[int, ...]:
    """Port cycles of one patch row of each column of blocks: a run a piece, or a pixel where channels are sliced."""
    shape, design = tiles.shape, tiles.design
    beats = input_words(shape, design, tiles.mapping.groups, first) * shape.act_bits * word_beats(design)
    if shape.vector and tiles.channel_tiles > 1:
        return tuple(sum(pieces) * run_cycles(beats, design.port_burst) for pieces in tiles.cols.inside)
    return tuple(sum(run_cycles(piece * beats, design.port_burst) for piece in pieces) for pieces in tiles.cols.inside)


def _store_runs(tiles: Tiles, first: int) -> tuple[int, ...]:
    """Port cycles of one output row of each column of blocks: one run, or one a pixel where channels are sliced."""
    shape, design = tiles.shape, tiles.design
    words = output_words(shape, design, tiles.mapping.groups, first) * out_planes(shape, design)
    beats = words * word_beats(design)
    if tiles.channel_tiles > 1:
        return tuple(pixels * run_cycles(beats, design.port_burst) for pixels in tiles.cols.outputs)
    return tuple(run_cycles(pixels * beats, design.port_burst) for pixels in tiles.cols.outputs)
