"""What a row must beat to be the best design at one of its knobs' values: "the least energy at width 64".

A block's swept knobs, those of its settings among them, are *axes*; a row has one value on each. For every value of every axis and
every ranked column the best that is known is a pair (figure, energy), compared in this order; rows that equal it stay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dse.space import Block

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SETTINGS = ("memory", "memory_kib", "clock_mhz")
"""Axes of a setting; a technology is not one, for it has figures and a front of its own."""


class AxisBars:
    """The best that is known at every value of a block's axes: it only improves.

    Values of all axes are numbered in one go. `held[technology]` is (values, columns, 2) float64, infinite where nothing is known.
    """

    def __init__(self, block: Block) -> None:
        self._block = block
        self._sizes = [len(values) for _, values in block.axes]
        self.knobs = tuple(place for place, size in enumerate(self._sizes) if size > 1)
        settings = [[getattr(setting, name) for setting in block.settings] for name in SETTINGS]
        self._settings = [np.unique(values, return_inverse=True)[1] for values in settings]
        counts = [self._sizes[place] for place in self.knobs]
        counts += [int(places.max()) + 1 for places in self._settings]
        # The last axis has one value, the block's dataflow.
        self._first = np.cumsum([0, *counts])
        self.held: dict[str, Floats] = {}

    def copy(self) -> AxisBars:
        """A copy to improve elsewhere."""
        copied = AxisBars(self._block)
        copied.held = dict(self.held)
        return copied

    def values(self, designs: Ints, settings: Ints) -> Ints:
        """(axes, rows): the numbers of the values that rows have."""
        places = np.unravel_index(designs, self._sizes)
        own = [places[place] for place in self.knobs] + [places[settings] for places in self._settings]
        own.append(np.zeros_like(designs))
        return np.asarray(np.stack(own) + self._first[:, None])

    def rise(self, technology: str, pairs: Floats, rows: Ints) -> None:
        """Learn of feasible rows whose figures are no worse than `pairs`: (rows, columns, 2)."""
        held = self._of(technology, pairs.shape[1])
        designs, settings = np.divmod(rows - self._block.first_row, len(self._block.settings))
        values = self.values(designs, settings)
        better = np.any([_before(pairs, held[axis]).any(axis=1) for axis in values], axis=0)
        if not better.any():
            return
        values, pairs, held = values[:, better], pairs[better], held.copy()
        for column in range(pairs.shape[1]):
            # Of several rows with one value numpy keeps the last: the best.
            order = np.lexsort((pairs[:, column, 1], pairs[:, column, 0]))[::-1]
            for axis in values:
                new = np.full((len(held), 2), np.inf)
                new[axis[order]] = pairs[order, column]
                improved = _before(new, held[:, column])
                held[improved, column] = new[improved]
        self.held[technology] = held

    def of_designs(self, technology: str, columns: int, designs: Ints) -> Floats:
        """(designs, columns, 2): what each must beat, or equal, at one of its knobs' values at least."""
        return self._worst(technology, columns, self._knob_values(designs, range(0)))

    def of_cells(self, technology: str, columns: int, designs: Ints, inner: range) -> Floats:
        """(designs, cells, columns, 2): the same for designs that take over the axes of the block at `inner` from cells.

        Cells are all combinations of the values there, the last axis the fastest to change.
        """
        outer = self._worst(technology, columns, self._knob_values(designs, inner))
        sizes = [self._sizes[place] for place in inner]
        places = np.unravel_index(np.arange(np.prod(sizes)), sizes)
        taken = [(axis, places[place - inner.start]) for axis, place in enumerate(self.knobs) if place in inner]
        if not taken:
            return np.repeat(outer[:, None], len(places[0]), axis=1)
        cells = self._worst(technology, columns, np.stack([place + self._first[axis] for axis, place in taken]))
        return worse(outer[:, None], cells[None])

    def of_cores(self, technology: str, columns: int, designs: Ints, inner: range) -> Floats:
        """(designs, columns, 2): what the most modest of these cells must beat."""
        held = self._of(technology, columns)
        found = self._worst(technology, columns, self._knob_values(designs, inner))
        for axis, place in enumerate(self.knobs):
            if place in inner:
                for value in held[self._first[axis] : self._first[axis + 1]]:
                    found = worse(found, value)
        return found

    def of_memory(self, technology: str, columns: int, setting: int) -> Floats:
        """(columns, 2): what a row must beat to be the best with the memory of its setting, or with that much of it."""
        first = self._first[len(self.knobs) :]
        values = [places[setting] + begin for places, begin in zip(self._settings[:-1], first, strict=False)]
        return np.asarray(self._worst(technology, columns, np.array(values)[:, None])[0])

    def of_clock(self, technology: str, columns: int, setting: int) -> Floats:
        """(columns, 2): what a row must beat to be the best at the clock of its setting."""
        return np.asarray(self._of(technology, columns)[self._first[-2] + self._settings[-1][setting]])

    def _knob_values(self, designs: Ints, without: range) -> Ints:
        """(axes, designs): the numbers of the values of the knobs, but for those at `without`, and of the dataflow."""
        places = np.unravel_index(designs, self._sizes)
        own = [
            places[place] + self._first[axis] for axis, place in enumerate(self.knobs) if place not in without
        ]  # fmt: skip
        return np.stack([*own, np.full_like(designs, self._first[-1])])

    def _of(self, technology: str, columns: int) -> Floats:
        return self.held.get(technology, np.full((self._first[-1] + 1, columns, 2), np.inf))

    def _worst(self, technology: str, columns: int, values: Ints) -> Floats:
        held = self._of(technology, columns)
        found: Floats = held[values[0]]
        for axis in values[1:]:
            found = worse(found, held[axis])
        return found


def may_be_best(levels: Floats, figures: Floats, energies: Floats) -> Bools:
    """Which of (rows, columns) figures, with their rows' energies, are below or equal to the (rows, columns, 2) levels in some column."""
    tie = (figures == levels[..., 0]) & (energies[:, None] <= levels[..., 1])
    return np.asarray(((figures < levels[..., 0]) | tie).any(axis=1))


def _before(one: Floats, other: Floats) -> Bools:
    """Whether pairs are better than others."""
    return np.asarray((one[..., 0] < other[..., 0]) | ((one[..., 0] == other[..., 0]) & (one[..., 1] < other[..., 1])))


def worse(one: Floats, other: Floats) -> Floats:
    """The worse of two pairs."""
    return np.where(_before(one, other)[..., None], other, one)
