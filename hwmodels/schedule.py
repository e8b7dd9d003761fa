"""The exact schedule of one layer under one mapping: what every tile computes, loads and stores (docs/machine.md).

What a tile moves is written down once, as runs of consecutive beats (`Tiling`). The schedule holds their sums, for the
models that need no more; the runs themselves are there for a shared port, where single bursts matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from hwmodels.activity import Cycles
from hwmodels.design import Design
from hwmodels.geometry import Axis, Geometry, axis
from hwmodels.mapping import (
    FINISH_CYCLES,
    SETUP_CYCLES,
    WEIGHT,
    Mapping,
    drain_cycles,
    fetch_cycles,
    input_words,
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
from workloads.layers import ceil_div

Ints = npt.NDArray[np.int64]
Runs = tuple[int, tuple[int, ...]]
"""So many times in a row, runs of so many beats."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of a layer and the runs of each, in the order of docs/machine.md, section 3."""

    shape: Geometry
    design: Design
    mapping: Mapping
    rows: Axis
    cols: Axis

    @classmethod
    def of(cls, shape: Geometry, design: Design, mapping: Mapping) -> Tiling:
        """The tiles of a mapping."""
        rows, cols = axis(shape, 0, mapping.block[0]), axis(shape, 1, mapping.block[1])
        return cls(shape, design, mapping, rows, cols)

    @property
    def channel_tiles(self) -> int:
        """Tiles over the output channels."""
        return ceil_div(self.shape.out_channels, self.mapping.groups * self.design.rows)

    @property
    def blocks(self) -> int:
        """Blocks of the output map."""
        return self.rows.blocks * self.cols.blocks

    @property
    def space_tiles(self) -> int:
        """Tiles over the map, C blocks each."""
        return ceil_div(self.blocks, self.design.cols)

    @property
    def slices(self) -> bool:
        """Whether a tile holds some of the channels of its map only, so that every pixel is a run of its own."""
        return self.channel_tiles > 1

    def place(self, tile: int) -> tuple[int, int]:
        """(channel tile, space tile) of a tile."""
        if self.mapping.dataflow == WEIGHT:
            return divmod(tile, self.space_tiles)[0], tile % self.space_tiles
        return tile % self.channel_tiles, tile // self.channel_tiles

    def load_runs(self, tile: int) -> Iterator[Runs]:
        """What a tile loads, in order: weights and thresholds, then the activations of one column after the other."""
        channel, space = self.place(tile)
        before = self.place(tile - 1) if tile else (-1, -1)
        if channel != before[0] and self.weight_beats(channel):
            yield 1, (self.weight_beats(channel),)
        if space != before[1] or self.shape.vector:
            for block in self._blocks(space):
                yield self._patch_runs(channel, *block)

    def store_runs(self, tile: int) -> Iterator[Runs]:
        """What a tile stores, in order."""
        channel, space = self.place(tile)
        beats = self.out_beats(channel)
        for row, col in self._blocks(space):
            height, width = self.rows.outputs[row], self.cols.outputs[col]
            yield (height * width, (beats,)) if self.slices else (height, (width * beats,))

    def channels(self, channel: int) -> int:
        """Output channels of a channel tile."""
        return tile_channels(self.shape, self.design, self.mapping.groups, channel * self.mapping.groups)

    def weight_beats(self, channel: int) -> int:
        """Beats of the weights and thresholds of a channel tile: one run."""
        walk, channels, per_beat = walk_of(self.shape, self.design), self.channels(channel), row_words(self.design)
        whole, rest = divmod(channels, self.design.rows)
        rows = whole * ceil_div(self.design.rows, per_beat) + ceil_div(rest, per_beat)
        weights = rows * walk.words * walk.weight_planes * word_beats(self.design)
        return weights + channels * self.shape.levels * threshold_beats(self.design)

    def in_beats(self, channel: int) -> int:
        """Beats of the part of an input pixel that a tile loads: all of it, or in a vector layer the tile's channels."""
        words = input_words(self.shape, self.design, self.mapping.groups, channel * self.mapping.groups)
        return words * self.shape.act_bits * word_beats(self.design)

    def out_beats(self, channel: int) -> int:
        """Beats of the part of an output pixel that a tile makes."""
        words = output_words(self.shape, self.design, self.mapping.groups, channel * self.mapping.groups)
        return words * out_planes(self.shape, self.design) * word_beats(self.design)

    def _blocks(self, space: int) -> Iterator[tuple[int, int]]:
        first = space * self.design.cols
        for block in range(first, min(first + self.design.cols, self.blocks)):
            yield divmod(block, self.cols.blocks)

    def _patch_runs(self, channel: int, row: int, col: int) -> Runs:
        beats = self.in_beats(channel)
        lines = self.shape.operands * sum(self.rows.inside[row])
        if self.shape.vector and self.slices:
            return lines * sum(self.cols.inside[col]), (beats,)
        return lines, tuple(length * beats for length in self.cols.inside[col])


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Section 5's numbers for every tile in order: n_i steps, cycles L_i and S_i on the port; and those of the layer.

    `step`, `drain`: F and D of a step. `fetched`: when the descriptor is there. `latency`: of the port.
    """

    tiling: Tiling
    steps: Ints
    loads: Ints
    stores: Ints
    step: int
    drain: int
    pipeline: int
    fetched: int
    latency: int
    burst: int
    shared: bool

    @property
    def tiles(self) -> int:
        """Tiles of the layer."""
        return len(self.steps)

    @property
    def pace(self) -> int:
        """Cycles from a step to the next: max(F, D)."""
        return max(self.step, self.drain)

    def load_bursts(self, tile: int) -> tuple[int, ...]:
        """Beats of every burst that a tile loads, in order."""
        return tuple(_bursts(self.tiling.load_runs(tile), self.burst))

    def store_bursts(self, tile: int) -> tuple[int, ...]:
        """Beats of every burst that a tile stores, in order."""
        return tuple(_bursts(self.tiling.store_runs(tile), self.burst))

    def burst_end(self, tile: int, elapsed: int) -> int:
        """When the load burst of a tile that `elapsed` falls into ends; both in port cycles of the tile's loads."""
        past = 0
        for times, runs in self.tiling.load_runs(tile):
            cycles = sum(run_cycles(beats, self.burst) for beats in runs)
            if elapsed <= past + times * cycles:
                past += (elapsed - past) // cycles * cycles
                return past + _burst_end(runs, self.burst, elapsed - past)
            past += times * cycles
        raise ValueError(f"tile {tile}: elapsed must be at most {past}, not {elapsed}")


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """When what happened to every tile: the events of section 5, in cycles from the first one of the layer."""

    loading: Ints
    loaded: Ints
    started: Ints
    read: Ints
    done: Ints
    writing: Ints
    stored: Ints


def schedule(shape: Geometry, design: Design, mapping: Mapping) -> Schedule:
    """The schedule of a layer. The mapping must be legal for it."""
    tiling = Tiling.of(shape, design, mapping)
    return Schedule(
        tiling=tiling,
        steps=_in_order(tiling, _steps(tiling)),
        loads=_in_order(tiling, _loads(tiling)),
        stores=_in_order(tiling, _stores(tiling)),
        step=step_cycles(shape, design),
        drain=drain_cycles(shape, design),
        pipeline=pipeline_cycles(shape, design),
        fetched=fetch_cycles(design) + SETUP_CYCLES,
        latency=design.port_latency,
        burst=design.port_burst,
        shared=design.port_shared,
    )


def cycles_by_cause(plan: Schedule, times: Times) -> Cycles:
    """Cycles by cause, as section 5 sums them: the grid's waits between tiles are stalls."""
    steps = int(plan.steps.sum())
    waits = times.started[1:] - times.started[:-1] - plan.steps[:-1] * plan.pace
    last_wait = times.writing[-1] - times.done[-1]
    return Cycles(
        load_cycles=int(times.loaded[0] - times.loading[0]),
        fill_cycles=plan.fetched + plan.pipeline + FINISH_CYCLES,
        compute_cycles=plan.step * steps,
        drain_cycles=(steps - 1) * (plan.pace - plan.step) + plan.drain,
        stall_cycles=int(waits.sum() + last_wait),
        store_cycles=int(times.stored[-1] - times.writing[-1]) + plan.latency,
    )


def _in_order(tiling: Tiling, cells: Ints) -> Ints:
    """A table of (channel tile, space tile) in the order of the tiles."""
    full = np.broadcast_to(cells, (tiling.channel_tiles, tiling.space_tiles))
    return np.ascontiguousarray(full if tiling.mapping.dataflow == WEIGHT else full.T).reshape(-1)


def _steps(tiling: Tiling) -> Ints:
    """Dot products of a grid tile, or words of a vector tile, which serves one column after the other."""
    shape, design, positions = tiling.shape, tiling.design, prod(tiling.mapping.block)
    unit = design.width if shape.vector else design.rows
    units = np.array([ceil_div(tiling.channels(channel), unit) for channel in range(tiling.channel_tiles)], np.int64)
    if not shape.vector:
        return units[:, None] * positions
    columns = np.minimum(design.cols, tiling.blocks - np.arange(0, tiling.blocks, design.cols))
    return np.outer(units, columns) * positions


def _loads(tiling: Tiling) -> Ints:
    weights, acts = np.zeros((2, tiling.channel_tiles, tiling.space_tiles), np.int64)
    weights_stay = tiling.mapping.dataflow == WEIGHT or not tiling.slices
    acts_stay = not tiling.shape.vector and (tiling.mapping.dataflow != WEIGHT or tiling.space_tiles == 1)
    beats = [tiling.weight_beats(channel) for channel in range(tiling.channel_tiles)]
    weights[:, : 1 if weights_stay else None] = _run_array(tiling, beats)[:, None]
    acts[: 1 if acts_stay else None] = _act_loads(tiling)[: 1 if acts_stay else None]
    return weights + acts


def _act_loads(tiling: Tiling) -> Ints:
    """Port cycles of the patches of a tile: a run for each piece of a row, or for each pixel."""
    lines = np.array([sum(inside) for inside in tiling.rows.inside], np.int64) * tiling.shape.operands
    if tiling.shape.vector and tiling.slices:
        pixels = _per_tile(tiling, lines, np.array([sum(inside) for inside in tiling.cols.inside], np.int64))
        beats = [tiling.in_beats(channel) for channel in range(tiling.channel_tiles)]
        return np.outer(_run_array(tiling, beats), pixels)
    beat, burst = tiling.in_beats(0), tiling.design.port_burst
    pieces = [sum(run_cycles(length * beat, burst) for length in inside) for inside in tiling.cols.inside]
    return _per_tile(tiling, lines, np.array(pieces, np.int64))[None]


def _stores(tiling: Tiling) -> Ints:
    """Port cycles of the outputs of a tile: a run for each row of a block, or for each pixel."""
    heights, widths = np.array(tiling.rows.outputs, np.int64), np.array(tiling.cols.outputs, np.int64)
    beats = [tiling.out_beats(channel) for channel in range(tiling.channel_tiles)]
    if tiling.slices:
        return np.outer(_run_array(tiling, beats), _per_tile(tiling, heights, widths))
    return _per_tile(tiling, heights, _run_array(tiling, widths * beats[0]))[None]


def _per_tile(tiling: Tiling, by_row: Ints, by_col: Ints) -> Ints:
    """Sums over the blocks of every space tile of what a block is worth: the product of its row's and its column's."""
    starts = np.arange(0, tiling.blocks, tiling.design.cols)
    return np.add.reduceat(np.outer(by_row, by_col).reshape(-1), starts)


def _run_array(tiling: Tiling, beats: Sequence[int] | Ints) -> Ints:
    """`run_cycles` of an array; a run of no beats takes no cycle."""
    array = np.asarray(beats, np.int64)
    return array + -(-array // tiling.design.port_burst)


def _bursts(runs: Iterator[Runs], burst: int) -> Iterator[int]:
    """Runs cut into bursts: full ones first, the rest last."""
    for times, lengths in runs:
        for beats in lengths * times:
            yield from [burst] * (beats // burst)
            if beats % burst:
                yield beats % burst


def _burst_end(runs: Sequence[int], burst: int, elapsed: int) -> int:
    past = 0
    for beats in runs:
        cycles = run_cycles(beats, burst)
        if elapsed <= past + cycles:
            return past + min(ceil_div(elapsed - past, burst + 1) * (burst + 1), cycles)
        past += cycles
    raise ValueError(f"elapsed must be at most {past}, not {elapsed}")
