"""Layers as integer tables: all that the compiled closed form (`hwmodels.kernels`) must know of them, exact and once.

Every ceiling that does not depend on the machine, or on its rows and width only, is taken here, for each value that occurs, by
the same functions that the scalar closed form calls. A kernel then only adds, multiplies and looks up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import blocks, sides
from hwmodels.geometry import Axis, Geometry, axis, block_sides, geometry, reduction
from hwmodels.mapping import overpadded
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]

FIELDS = (
    "vector", "operands", "channels", "out_channels", "positions", "taps", "act_bits", "weight_bits", "out_bits", "raw",
    "sums", "acc_bits", "thresholds", "levels", "overpadded", "groups", "row_sums", "column_sums", "first_block", "last_block",
)  # fmt: skip
"""Columns of `Tables.layers`: `channels` over all groups, `out_bits` 0 where the layer hands on raw sums (`raw`)."""

COUNTS = (
    "load_cycles", "fill_cycles", "compute_cycles", "drain_cycles", "stall_cycles", "store_cycles",
    "compute_busy", "drain_busy", "load_busy", "store_busy", "memory_read_bits", "memory_write_bits",
    "xnor_words", "accumulations", "combines", "correction_words", "correction_adds", "vector_words", "threshold_compares",
    "activation_reads", "weight_reads", "activation_writes", "weight_writes", "threshold_writes", "output_writes",
)  # fmt: skip
"""Columns of what the kernels count, in the order in which they write them."""


class Tables(NamedTuple):
    """The layers that cost something, equal ones once, for every width and every pair of rows and width that occurs.

    layers: (widths, layers, FIELDS). walks: (pairs, layers, 4) words, channel groups, expanded, weight planes. times: (layers,) how often
    each occurs. blocks: (blocks, 7) count, columns, area, patch, inside, row side, column side. sides: (sides, 2) blocks
    along the axis, and where its sums begin in `loads` and `stores`: sums over the first 0, 1, ... blocks of pixels read inside
    the map (of all operands, along rows) and of outputs. pieces: (pieces, 2) a length and how often a block of columns reads it;
    those of block i of a side begin at first_piece[begin + i].
    """

    layers: Ints
    walks: Ints
    times: Ints
    blocks: Ints
    sides: Ints
    loads: Ints
    stores: Ints
    first_piece: Ints
    pieces: Ints


class _Growing:
    """The ragged tables while they grow."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, ...]] = []
        self.sides: list[tuple[int, int]] = []
        self.loads: list[int] = []
        self.stores: list[int] = []
        self.first_piece: list[int] = []
        self.pieces: list[tuple[int, int]] = []

    def side(self, along: Axis, operands: int) -> int:
        """Add one axis cut into blocks of one side; its number."""
        self.sides.append((along.blocks, len(self.loads)))
        self.loads += _sums([operands * sum(lengths) for lengths in along.inside])
        self.stores += _sums(list(along.outputs))
        for lengths in along.inside:
            self.first_piece.append(len(self.pieces))
            self.pieces += [(length, lengths.count(length)) for length in dict.fromkeys(lengths)]
        self.first_piece += [len(self.pieces)] * 2
        return len(self.sides) - 1

    def layer(self, shape: Geometry) -> list[int]:
        """Add one walk of a layer; its row of `Tables.layers`."""
        first, heights, widths = len(self.blocks), *(block_sides(size) for size in shape.out_size)
        down = {side: self.side(axis(shape, 0, side), shape.operands) for side in heights}
        across = {side: self.side(axis(shape, 1, side), 1) for side in widths}
        found = blocks(shape)
        columns = (found.count, found.columns, found.area, found.patch, found.inside)
        for index, (height, width) in enumerate(sides(shape)):
            self.blocks.append((*(int(column[index]) for column in columns), down[height], across[width]))
        return [
            shape.vector, shape.operands, shape.channels * shape.groups, shape.out_channels, shape.positions, shape.taps,
            shape.act_bits, shape.weight_bits, shape.out_bits or 0, shape.out_bits is None, shape.sums, shape.acc_bits,
            shape.thresholds, shape.levels, overpadded(shape), shape.groups, shape.row_sums, shape.column_sums,
            first, len(self.blocks),
        ]  # fmt: skip


def tables(layers: Sequence[Layer], pairs: Sequence[tuple[int, int]]) -> Tables:
    """The tables of these layers for machines of these (rows, width). Raises ValueError where no layer costs anything."""
    times: dict[Layer, int] = {}
    for layer in layers:
        if geometry(layer, 1) is not None:
            times[replace(layer, name="")] = times.get(replace(layer, name=""), 0) + 1
    if not times:
        raise ValueError("network: at least one layer must cost something")
    growing, widths = _Growing(), sorted({width for _, width in pairs})
    shapes = {width: [_walked(layer, width) for layer in times] for width in widths}
    rows: dict[Geometry, list[int]] = {}
    for shape in (shape for width in widths for shape in shapes[width]):
        if shape not in rows:
            rows[shape] = growing.layer(shape)
    walks = [[_walk(shape, row, width) for shape in shapes[width]] for row, width in pairs]
    return Tables(
        _ints([[rows[shape] for shape in shapes[width]] for width in widths]),
        _ints(walks),
        _ints(list(times.values())),
        _ints(growing.blocks),
        _ints(growing.sides),
        _ints(growing.loads),
        _ints(growing.stores),
        _ints(growing.first_piece),
        _ints(growing.pieces),
    )


def _walked(layer: Layer, width: int) -> Geometry:
    shape = geometry(layer, width)
    assert shape is not None
    return shape


def _walk(shape: Geometry, rows: int, width: int) -> tuple[int, int, int, int]:
    walk = reduction(shape, rows=rows, width=width)
    return walk.words, walk.channel_groups, int(walk.expanded), walk.weight_planes


def _sums(numbers: list[int]) -> list[int]:
    """Sums of the first 0, 1, ... numbers, and the whole sum once more: what begins behind the last one is nothing."""
    sums = [0]
    for number in numbers:
        sums.append(sums[-1] + number)
    return [*sums, sums[-1]]


def _ints(values: Sequence[object]) -> Ints:
    return np.array(values, np.int64)
