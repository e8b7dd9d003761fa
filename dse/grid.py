"""A block of the space cut for the search: cores, the cells of every core, and prices over both.

Outer axes (the machine, and depths that are not in cells), cells (every combination of the other depths), ports: design numbers run
over them in this order. An outer point with a port is a *core*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.space import Block, knobs
from hwmodels.compiled import DEPTHS
from hwmodels.knobs import NUMERIC, Knobs

Ints = npt.NDArray[np.int64]

MOST_CELLS = 4096
"""Cells of a core at most; where the depths make more, the first of them move into the core."""
SPAN_CORES = 4096
SPAN_CELLS = 2**18
"""Most outer points of a span times their cells: prices are worked out for all of them."""
FIRST, LAST = NUMERIC.index(DEPTHS[0]), NUMERIC.index(DEPTHS[-1]) + 1


@dataclass(frozen=True)
class Grid:
    """A block and the first of its axes that goes into the cells."""

    block: Block
    split: int

    @classmethod
    def of(cls, block: Block) -> Grid:
        """With as many depths in the cells as MOST_CELLS allows."""
        sizes = [len(values) for _, values in block.axes]
        return cls(
            block, next(item for item in range(FIRST, LAST) if item == LAST - 1 or prod(sizes[item:LAST]) <= MOST_CELLS)
        )

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(len(values) for _, values in self.block.axes)

    @cached_property
    def outers(self) -> int:
        """Outer points."""
        return prod(self._sizes[: self.split])

    @cached_property
    def cells(self) -> int:
        """Cells of a core."""
        return prod(self._sizes[self.split : LAST])

    @cached_property
    def ports(self) -> int:
        """Ports of an outer point; each makes one core."""
        return prod(self._sizes[LAST:])

    @property
    def cores(self) -> int:
        """Cores of the block."""
        return self.outers * self.ports

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Cells by depth, all four; 1 for a depth that is not in the cells."""
        inner = self._sizes[self.split : LAST]
        return (1,) * (len(DEPTHS) - len(inner)) + inner

    @property
    def span(self) -> int:
        """Outer points of a unit of work."""
        return max(1, min(SPAN_CORES // self.ports, SPAN_CELLS // self.cells))

    def designs(self, outers: Ints, cell: Any, ports: Ints) -> Ints:
        """Design numbers."""
        return np.asarray((outers * self.cells + cell) * self.ports + ports)

    def depths(self, machine: Knobs) -> list[tuple[int, ...]]:
        """The depths that the cells of a core combine; `machine` is any design of it."""
        inner = dict(self.block.axes[self.split :])
        return [inner[name] if name in inner else (int(getattr(machine, name)[0]),) for name in DEPTHS]

    def spread(self, outers: Ints) -> Knobs:
        """Knobs of outer points as arrays that broadcast to (outer points, *shape, ports), each as small as it can be."""
        points = knobs(self.block, self.designs(outers, 0, np.zeros_like(outers)))
        columns: dict[str, Any] = {name: getattr(points, name).reshape(-1, 1, 1, 1, 1, 1) for name in NUMERIC}
        for name, values in self.block.axes[self.split : LAST]:
            place = [1] * 6
            place[1 + DEPTHS.index(name)] = len(values)
            columns[name] = np.array(values, np.int64).reshape(place)
        ports = knobs(self.block, self.designs(np.zeros(self.ports, np.int64), 0, np.arange(self.ports)))
        for name in NUMERIC[LAST:]:
            columns[name] = getattr(ports, name).reshape(1, 1, 1, 1, 1, -1)
        return Knobs(kind=self.block.kind, dataflow=self.block.dataflow, **columns)


@dataclass(frozen=True, slots=True)
class Span:
    """Outer points start..stop of a block: the unit of work of a search."""

    index: int
    block: Block
    start: int
    stop: int

    @property
    def rows(self) -> range:
        """Rows of the space."""
        grid = Grid.of(self.block)
        each = grid.cells * grid.ports * len(self.block.settings)
        return range(self.block.first_row + self.start * each, self.block.first_row + self.stop * each)


def spans(all_blocks: Sequence[Block]) -> Iterator[Span]:
    """The whole space, in row order."""
    index = 0
    for block in all_blocks:
        grid = Grid.of(block)
        for start in range(0, grid.outers, grid.span):
            yield Span(index, block, start, min(grid.outers, start + grid.span))
            index += 1


@dataclass(frozen=True, slots=True)
class Points:
    """(points,) places in arrays over (outer points, *shape, ports), and the core of each."""

    cores: Ints
    axes: tuple[Ints, ...]
    known: dict[tuple[int, ...], Ints] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.cores)

    def take(self, index: Any) -> Points:
        """The points at `index` (indices or mask)."""
        return Points(self.cores[index], tuple(places[index] for places in self.axes))

    def of(self, values: Any) -> Any:
        """An array that broadcasts to (outer points, *shape, ports), at the points; a number stays one."""
        array = np.asarray(values)
        if array.size == 1:
            return array.reshape(())
        if array.shape not in self.known:
            self.known[array.shape] = self._flat(array.shape)
        return array.reshape(-1)[self.known[array.shape]]

    def _flat(self, shape: tuple[int, ...]) -> Ints:
        """Places in an array of this shape, in memory order."""
        found = np.zeros(self.size, np.int64)
        for size, places in zip(shape, self.axes, strict=True):
            found = found * size + (places if size > 1 else 0)
        return found
