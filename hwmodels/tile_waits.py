"""What the grid waits for at the changes of tiles: the one estimate of the closed form."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from hwmodels.mapping import WEIGHT, drain_cycles, pipeline_cycles, step_cycles, walk_of
from hwmodels.tiles import Moved, Tiles


@dataclass(frozen=True, slots=True)
class _Change:
    """`count` like changes from a tile to the next: unit and store of the one that ends, load of the one that begins."""

    count: int
    unit: float
    store: float
    load: float


def stall(tiles: Tiles, moved: Moved) -> int:
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


def _period(tiles: Tiles, change: _Change, behind: int) -> float:
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


def _weight_changes(tiles: Tiles, moved: Moved) -> list[_Change]:
    """Every channel tile walks the space tiles, and begins with new weights (and, unless they stay, activations)."""
    channels, space = tiles.channel_tiles, tiles.space_tiles
    weights, (full_load, last_load) = _later_weights(tiles, moved), _act_means(tiles, moved)
    stays = 0.0 if not tiles.shape.vector else last_load
    return [
        _full(tiles, moved, channels * max(space - 2, 0), full_load),
        _full(tiles, moved, channels * min(space - 1, 1), last_load),
        _last(tiles, moved, channels - 1, weights + (full_load if space > 1 else stays)),
    ]


def _activation_changes(tiles: Tiles, moved: Moved) -> list[_Change]:
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


def _full(tiles: Tiles, moved: Moved, count: int, load: float) -> _Change:
    """Changes from a space tile that gives every column a block."""
    store = moved.stores.full / (tiles.channel_tiles * max(tiles.space_tiles - 1, 1))
    return _Change(count, _unit(tiles, tiles.design.cols), store, load)


def _last(tiles: Tiles, moved: Moved, count: int, load: float) -> _Change:
    """Changes from the last space tile."""
    store = moved.stores.last / tiles.channel_tiles
    return _Change(count, _unit(tiles, tiles.blocks - tiles.last_blocks), store, load)


def _unit(tiles: Tiles, columns: int) -> float:
    """T, as a mean over the channel tiles: the vector unit serves one column after the other."""
    shape, design, walk = tiles.shape, tiles.design, walk_of(tiles.shape, tiles.design)
    steps = prod(tiles.mapping.block) * (columns * walk.words if shape.vector else walk.channel_groups)
    return steps * max(step_cycles(shape, design), drain_cycles(shape, design)) / tiles.channel_tiles


def _later_weights(tiles: Tiles, moved: Moved) -> float:
    """Weights of a channel tile that others came before, as a mean."""
    return (moved.weights - moved.first_weights) / max(tiles.channel_tiles - 1, 1)


def _act_means(tiles: Tiles, moved: Moved) -> tuple[float, float]:
    """Load of a space tile with all columns, and of the last, as means over the channel tiles."""
    channels = tiles.channel_tiles if tiles.shape.vector else 1
    return moved.acts.full / (channels * max(tiles.space_tiles - 1, 1)), moved.acts.last / channels
