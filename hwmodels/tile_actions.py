"""What a layer's tiles do: actions of the unit and of the buffers, and the bits that memory gives for them."""

from __future__ import annotations

from math import gcd, prod

from hwmodels.mapping import DESCRIPTOR_BITS, THRESHOLD_BITS, out_planes, step_cycles, walk_of
from hwmodels.tiles import Tiles, patch_rows
from workloads.actions import Actions
from workloads.layers import ceil_div


def _act_words(tiles: Tiles) -> int:
    """Plane words of all patches inside the map that cross the port."""
    shape, inside = tiles.shape, sum(map(sum, tiles.cols.inside))
    words = ceil_div(shape.channels * shape.groups, tiles.design.width) * shape.act_bits
    return sum(patch_rows(tiles)) * inside * words * tiles.act_reloads


def map_words(tiles: Tiles) -> int:
    """Plane words of one position of the map that a layer emits."""
    return ceil_div(tiles.shape.out_channels, tiles.design.width) * out_planes(tiles.shape, tiles.design)


def _weight_words(tiles: Tiles) -> int:
    """Plane words of weights that cross the port."""
    walk = walk_of(tiles.shape, tiles.design)
    return tiles.shape.out_channels * walk.words * walk.weight_planes * tiles.weight_reloads


def _thresholds(tiles: Tiles) -> int:
    """Thresholds that cross the port."""
    return tiles.shape.out_channels * tiles.shape.levels * tiles.weight_reloads


def read_bits(tiles: Tiles) -> int:
    """Bits that memory gives for a layer, its descriptor among them."""
    words = _weight_words(tiles) + _act_words(tiles)
    return DESCRIPTOR_BITS + words * tiles.design.width + _thresholds(tiles) * THRESHOLD_BITS


def actions_of(tiles: Tiles) -> Actions:
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
        output_writes=tiles.walked * map_words(tiles),
    )


def _vector_actions(tiles: Tiles) -> Actions:
    shape, walk = tiles.shape, walk_of(tiles.shape, tiles.design)
    return Actions(vector_words=tiles.walked * shape.taps * walk.words * shape.act_bits)


def _grid_actions(tiles: Tiles) -> Actions:
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    results, step = tiles.walked * shape.out_channels, step_cycles(shape, design)
    pairs, block_steps = shape.act_bits * walk.weight_planes, tiles.space_tiles * prod(tiles.mapping.block)
    return _corrections(tiles) + Actions(
        xnor_words=results * walk.words * pairs,
        accumulations=results * step,
        combines=results * pairs,
        weight_reads=shape.out_channels * block_steps * step * design.weight_lanes,
    )


def _corrections(tiles: Tiles) -> Actions:
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


def _windows_summed(tiles: Tiles) -> int:
    """How often the codes of a position are summed: by the first channel group of a tile, and where the next one reads others.

    With q channel groups of R to a group of the layer, and G to a tile, that is every group once, and once more for every
    change of tiles amid a group: groups + (T - 1) - floor((T - 1) gcd(G, q) / q).
    """
    per_group = walk_of(tiles.shape, tiles.design).channel_groups // tiles.shape.groups
    changes = tiles.channel_tiles - 1
    return tiles.shape.groups + changes - changes * gcd(tiles.mapping.groups, per_group) // per_group
