"""The schedule of every tile against a loop written from docs/machine.md, sections 2 to 4: runs pixel by pixel, no sums."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import prod
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import few, random_any_layer, random_design

from hwmodels.design import Design
from hwmodels.geometry import Geometry, geometry
from hwmodels.mapping import Mapping, Misfit, check_fit, drain_cycles, mappings, out_planes, step_cycles
from hwmodels.schedule import Schedule, schedule
from workloads.layers import Conv, Layer

Cell = tuple[int, int]


def up(dividend: int, divisor: int) -> int:
    return (dividend + divisor - 1) // divisor


class Loop:
    """Tiles of one layer, walked; `tiles()` yields (steps, load runs, store runs) with runs in beats."""

    def __init__(self, shape: Geometry, design: Design, mapping: Mapping) -> None:
        self.shape, self.design, self.mapping = shape, design, mapping
        self.word = max(1, design.width // design.port_bits)
        everything = list(range(shape.out_channels))
        size = mapping.groups * design.rows
        self.channel_tiles = [everything[first : first + size] for first in range(0, len(everything), size)]
        cells = list(self.cells())
        self.space_tiles = [cells[first : first + design.cols] for first in range(0, len(cells), design.cols)]

    def cells(self) -> Iterator[Cell]:
        height, width = self.mapping.block
        for top in range(0, self.shape.out_size[0], height):
            for left in range(0, self.shape.out_size[1], width):
                yield top, left

    def order(self) -> Iterator[tuple[int, int]]:
        if self.mapping.dataflow == "weight":
            yield from ((c, s) for c in range(len(self.channel_tiles)) for s in range(len(self.space_tiles)))
        else:
            yield from ((c, s) for s in range(len(self.space_tiles)) for c in range(len(self.channel_tiles)))

    def tiles(self) -> Iterator[tuple[int, list[int], list[int]]]:
        before = (-1, -1)
        for channel, space in self.order():
            channels, cells = self.channel_tiles[channel], self.space_tiles[space]
            loads = [self.weights(channels)] if channel != before[0] else []
            if space != before[1] or self.shape.vector:
                loads += [run for cell in cells for run in self.patch(cell, channels)]
            stores = [run for cell in cells for run in self.outputs(cell, channels)]
            yield self.steps(channels, cells), [run for run in loads if run], stores
            before = (channel, space)

    def steps(self, channels: list[int], cells: list[Cell]) -> int:
        if self.shape.vector:
            return len(cells) * self.words(channels) * prod(self.mapping.block)
        return up(len(channels), self.design.rows) * prod(self.mapping.block)

    def weights(self, channels: list[int]) -> int:
        beats = len(channels) * self.shape.levels * up(32, self.design.port_bits)
        if self.shape.vector:
            return beats
        expanded = self.shape.groups > 1 and not self.aligned
        step_words = self.window_words() * (self.shape.weight_bits + (expanded and self.shape.row_sums))
        for first in range(0, len(channels), self.design.rows):
            rows = len(channels[first : first + self.design.rows])
            beats += step_words * up(rows, max(1, self.design.port_bits // self.design.width)) * self.word
        return beats

    @property
    def aligned(self) -> bool:
        """Whether groups fill words and rows."""
        outputs = self.shape.out_channels // self.shape.groups
        return self.shape.channels % self.design.width == 0 and outputs % self.design.rows == 0

    def window_words(self) -> int:
        """F1 of section 2."""
        shape, design = self.shape, self.design
        outputs, taps = shape.out_channels // shape.groups, prod(shape.kernel)
        if shape.groups == 1 or self.aligned:
            return taps * up(shape.channels, design.width)
        spans = []
        for first in range(0, shape.out_channels, design.rows):
            inputs = [
                out // outputs * shape.channels + index
                for out in range(first, min(first + design.rows, shape.out_channels))
                for index in range(shape.channels)
            ]
            spans.append(max(inputs) // design.width - min(inputs) // design.width + 1)
        return 2 * taps * max(spans)

    def patch(self, cell: Cell, channels: list[int]) -> Iterator[int]:
        shape = self.shape
        words = self.words(channels) if shape.vector else up(shape.channels * shape.groups, self.design.width)
        pixel = words * shape.act_bits * self.word
        for _ in range(shape.operands):
            for _, _ in self.inside(0, cell[0]):
                for _, pixels in groupby(self.inside(1, cell[1]), key=lambda item: item[0]):
                    count = len(list(pixels))
                    if shape.vector and len(self.channel_tiles) > 1:
                        yield from [pixel] * count
                    else:
                        yield count * pixel

    def inside(self, index: int, first: int) -> Iterator[tuple[int, int]]:
        """(piece, coordinate) of what a block reads along an axis, in the map."""
        shape, side = self.shape, self.mapping.block[index]
        stride, window = shape.stride[index], (shape.kernel[index] - 1) * shape.dilation[index] + 1
        start = first * stride - shape.before[index]
        if stride <= window:
            pieces = [range(start, start + (side - 1) * stride + window)]
        else:
            pieces = [range(start + place * stride, start + place * stride + window) for place in range(side)]
        for number, piece in enumerate(pieces):
            yield from ((number, place) for place in piece if 0 <= place < shape.in_size[index])

    def outputs(self, cell: Cell, channels: list[int]) -> Iterator[int]:
        height, width = (
            len([place for place in range(first, first + side) if place < size])
            for first, side, size in zip(cell, self.mapping.block, self.shape.out_size, strict=True)
        )
        pixel = self.words(channels) * out_planes(self.shape, self.design) * self.word
        for _ in range(height):
            yield from [pixel] * width if len(self.channel_tiles) > 1 else [width * pixel]

    def words(self, channels: list[int]) -> int:
        return up(len(channels), self.design.width)


def cut(runs: list[int], burst: int) -> tuple[int, ...]:
    """Bursts of runs, beat by beat."""
    bursts = []
    for run in runs:
        while run:
            bursts.append(min(run, burst))
            run -= bursts[-1]
    return tuple(bursts)


def cases(rng: Random, count: int = 3) -> Iterator[tuple[Layer, Schedule, Loop]]:
    """Some legal mappings of a random layer on a random design; none where nothing fits."""
    layer, design = random_any_layer(rng), random_design(rng)
    shape = geometry(layer, design.width)
    if shape is None:
        return
    try:
        check_fit(layer, shape, design)
    except Misfit:
        return
    for mapping in few(rng, list(mappings(shape, design)), count):
        yield layer, schedule(shape, design, mapping), Loop(shape, design, mapping)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_every_tile_is_what_the_loop_walks(seed: int) -> None:
    for layer, plan, loop in cases(Random(seed)):
        walked = list(loop.tiles())
        assert plan.steps.tolist() == [steps for steps, _, _ in walked], (layer, loop.mapping)
        for tile, (_, loads, stores) in enumerate(walked):
            reads, writes = cut(loads, plan.burst), cut(stores, plan.burst)
            assert plan.load_bursts(tile) == reads, (layer, loop.mapping)
            assert plan.store_bursts(tile) == writes, (layer, loop.mapping)
            assert plan.loads[tile] == sum(reads) + len(reads)
            assert plan.stores[tile] == sum(writes) + len(writes)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_the_end_of_a_burst_is_found_without_cutting_runs(seed: int) -> None:
    for _, plan, _ in cases(Random(seed), 1):
        tile = seed % plan.tiles
        end, ends = 0, [0]
        for beats in plan.load_bursts(tile):
            end += beats + 1
            ends.append(end)
        for elapsed in range(min(end, 2000) + 1):
            assert plan.burst_end(tile, elapsed) == min(place for place in ends if place >= elapsed)
        with pytest.raises(ValueError, match="elapsed must be at most"):
            plan.burst_end(tile, end + 1)


def test_a_layer_by_hand() -> None:
    """4x4 map, 3x3 window with a pad, blocks of 2x2 on two columns: patches of 3x3, outputs of 2x2 pixels."""
    layer = Conv(
        name="conv", in_shape=(8, 4, 4), out_channels=8, kernel=(3, 3), padding=(1, 1, 1, 1),
        act_bits=2, weight_bits=1, out_bits=1,
    )  # fmt: skip
    design = Design(rows=8, cols=2, width=8, port_bits=8, port_burst=4, port_shared=False)
    shape = geometry(layer, design.width)
    assert shape is not None
    plan = schedule(shape, design, Mapping("weight", 1, (2, 2)))
    assert plan.steps.tolist() == [4, 4]
    # Weights 8 rows x 9 taps, thresholds 8 x 4 beats, in one run; then 2 columns x 3 rows x runs of 3 pixels x 2 planes.
    assert plan.load_bursts(0) == (4,) * 26 + (4, 2) * 6
    assert plan.load_bursts(1) == (4, 2) * 6
    assert plan.store_bursts(0) == (2,) * 4
    assert (plan.loads.tolist(), plan.stores.tolist()) == ([104 + 26 + 36 + 12, 48], [12, 12])
    assert (plan.step, plan.drain) == (step_cycles(shape, design), drain_cycles(shape, design)) == (18, 2)
