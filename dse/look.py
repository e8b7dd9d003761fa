"""One look at the cores of some outer points of a block: three sieves, each dearer and finer than the one before.

1. A core over all cells that run the network: bounds of its activity (`hwmodels.bounds`), prices and silicon of the cells that are
   at least as deep as the network needs (`hwmodels.room`).
2. The same cell by cell.
3. The true activity of all cells of a core at once (`hwmodels.compiled`), priced at all clocks together, then the fastest, then the
   others together, and so on.

The most promising cores come first, and what is found raises the bars for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.axes import worse
from dse.estimates import Interval, Region
from dse.experiment import Experiment
from dse.grid import LAST, Grid, Points
from dse.keep import Bars, figures, figures_of, ranked, satisfiable
from dse.prices import Clocks, Prices, clock_groups
from dse.rows import constrained, over, peak, too_big, useful
from dse.space import Block, knobs
from dse.variants import Variant
from hwmodels.bounds import least
from hwmodels.compiled import DEPTHS, cells, evaluate
from hwmodels.knobs import Knobs, illegal_reasons
from hwmodels.linear import COUNTED, CYCLES
from hwmodels.room import room
from hwmodels.tables import COUNTS
from hwmodels.technology import technology

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Levels = Floats | None
"""(parts, ranked columns, 2) figure and energy, or None where no best at every value is wanted."""

BATCH_CELLS = 2**15
"""Cells of the cores that are looked at together; between batches the bars rise."""
CAUSES = 6
"""The first columns of COUNTS are cycles by cause."""


@dataclass(frozen=True, slots=True)
class Rows:
    """(rows,) designs under one setting that may be kept, and (rows, figures) the best that they can be."""

    group: Clocks
    setting: int
    designs: Ints
    lows: Floats


@dataclass(frozen=True, slots=True)
class Opened:
    """Designs with their true counts, and what they must beat at one of their knobs' values."""

    points: Points
    counts: Mapping[str, Any]
    levels: Levels

    def take(self, index: Any) -> Opened:
        """Those at `index`."""
        counts = {name: values[index] for name, values in self.counts.items()}
        return Opened(self.points.take(index), counts, None if self.levels is None else self.levels[index])


@dataclass(slots=True)
class Look:
    """It raises its bars as it finds rows, and counts.

    `priced`: how often figures of a design under a setting, or under all clocks at once, were worked out. `feasible` and
    `reasons`: what became of the rows that were worked out one by one, and of those of cores that are no machine or hold no network.
    """

    experiment: Experiment
    variant: Variant
    block: Block
    outers: Ints
    bars: Bars
    machine_code: bool = field(kw_only=True)
    reasons: Counter[str] = field(default_factory=Counter)
    feasible: int = 0
    priced: int = 0
    grid: Grid = field(init=False)
    groups: tuple[Clocks, ...] = field(init=False)
    machines: Knobs = field(init=False)
    reason: npt.NDArray[np.str_] = field(init=False)
    bounds: dict[str, Floats] = field(default_factory=dict)
    room: dict[str, Ints] = field(init=False)
    corners: Points = field(init=False)
    prices: dict[Clocks, Prices] = field(init=False)

    def __post_init__(self) -> None:
        self.grid, self.groups = Grid.of(self.block), clock_groups(self.block)
        outers, ports = np.divmod(np.arange(len(self.outers) * self.grid.ports), self.grid.ports)
        self.machines = knobs(self.block, self.grid.designs(self.outers[outers], 0, ports))
        self._bound()
        orders, ranks = self._corners()
        self.corners = Points(np.arange(len(outers)), (outers, *ranks, ports))
        spread = self.grid.spread(self.outers)
        self.prices = {
            group: Prices.of(spread, group, self._columns(group), orders) for group in self.groups
        }  # fmt: skip

    def _columns(self, group: Clocks) -> tuple[str, ...]:
        return (*figures(self.experiment, group.technology), *(item.column for item in self.experiment.constraints))

    def _bound(self) -> None:
        """Least activity and least room of every core, and why it holds no network: its cycles with the deepest buffers are its least."""
        deepest = self._deepest()
        self.reason = illegal_reasons(deepest)
        legal = np.flatnonzero(self.reason == "")
        layers, machines = self.variant.network.layers, deepest.take(legal)
        found, needed = evaluate(layers, machines, machine_code=self.machine_code), room(layers, machines)
        self.reason[legal] = found.reason
        for name, values in (least(layers, machines) | {CYCLES: found.activity.cycles.total}).items():
            self.bounds[name] = np.ones(len(self.reason))
            self.bounds[name][legal] = values
        self.room = {name: np.zeros(len(self.reason), np.int64) for name in DEPTHS}
        for name in DEPTHS:
            self.room[name][legal] = needed.depths[name]

    def _deepest(self) -> Knobs:
        """The cores with the deepest buffers of their cells."""
        inner = dict(self.block.axes[self.grid.split :])
        columns: Any = {name: np.full(self.machines.size, max(inner[name])) for name in DEPTHS if name in inner}
        return replace(self.machines, **columns)

    def _corners(self) -> tuple[list[Ints], list[Ints]]:
        """How to sort the depths of the cells, and the place of each core's least ones among them."""
        orders, ranks = [], []
        for name, values in zip(DEPTHS, self.grid.depths(self.machines), strict=True):
            orders.append(np.argsort(values, kind="stable"))
            rank = np.searchsorted(np.sort(values), self.room[name])
            ranks.append(np.minimum(rank, len(values) - 1))
        return orders, ranks

    def rows(self, cores: Ints) -> list[Rows]:
        """All rows of these cores that may be kept."""
        unfit = Counter(self.reason[cores].tolist())
        cores = cores[self.reason[cores] == ""]
        for reason in unfit.keys() - {""}:
            self.reasons[reason] += unfit[reason] * self.grid.cells * len(self.block.settings)
        matter = self._coarse(cores)
        alive = matter.any(axis=1)
        order = np.argsort(self._promise(cores[alive]), kind="stable")
        cores, matter = cores[alive][order], matter[alive][order]
        found: list[Rows] = []
        step = max(1, BATCH_CELLS // self.grid.cells)
        for first in range(0, len(cores), step):
            found += self._batch(cores[first : first + step], matter[first : first + step])
        return list(self._still(found))

    def promising(self, count: int) -> Ints:
        """The most promising cores."""
        cores = np.flatnonzero(self.reason == "")
        return np.sort(cores[np.argsort(self._promise(cores), kind="stable")[:count]])

    def _promise(self, cores: Ints) -> Floats:
        """(cores,) the best place that the bounds of a core take in any figure, or in all together; least is best."""
        best = np.full(len(cores), np.inf)
        for group in self.groups:
            index = np.flatnonzero(self._possible(cores, group))
            lows = figures_of(self.experiment, group.technology, self._core_bounds(cores[index], group), len(index))[0]
            places = np.argsort(np.argsort(lows, axis=0, kind="stable"), axis=0, kind="stable")
            together = np.argsort(np.argsort(places.sum(axis=1), kind="stable"), kind="stable")
            best[index] = np.minimum(best[index], np.minimum(together, places.min(axis=1, initial=len(index))))
        return best

    def _possible(self, cores: Ints, group: Clocks) -> Bools:
        """Which cores the memory allows."""
        setting = self.block.settings[group.numbers[0]]
        return ~too_big(self.variant.network, self.machines.take(cores), setting)

    def _core_bounds(self, cores: Ints, group: Clocks) -> Region:
        """Each core over all its cells that run the network."""
        counts = {name: values[cores] for name, values in self.bounds.items()}
        prices = self.prices[group].at_corners(self.corners.take(cores))
        return self._region(cores, counts, prices, Interval(group.clocks[0], group.clocks[-1]), exact=False)

    def _cell_bounds(self, points: Points, group: Clocks) -> Region:
        """Single cells, at what their core needs at least."""
        counts = {name: values[points.cores] for name, values in self.bounds.items()}
        clock = Interval(group.clocks[0], group.clocks[-1])
        return self._region(points.cores, counts, self.prices[group].at(points), clock, exact=False)

    def _region(self, cores: Ints, counts: Mapping[str, Any], prices: Any, clock: Interval, *, exact: bool) -> Region:
        rate = useful(self.variant.network, self.block.kind) / peak(self.machines.take(cores))
        forms, silicon = prices
        return Region(
            exact=exact, counts=counts, forms=forms, silicon=silicon, work_per_cycle=rate, clock_mhz=clock, variant=self.variant
        )  # fmt: skip

    def _coarse(self, cores: Ints) -> Bools:
        """(cores, groups): whether some cell may hold a row to keep."""
        matter = np.zeros((len(cores), len(self.groups)), np.bool_)
        for number, group in enumerate(self.groups):
            index = np.flatnonzero(self._possible(cores, group))
            levels = self._core_levels(cores[index], group)
            region = self._core_bounds(cores[index], group)
            matter[index, number] = self._may_matter(region, group, group.numbers, len(index), levels)
        return matter

    def _may_matter(self, region: Region, group: Clocks, numbers: Sequence[int], count: int, levels: Levels) -> Bools:
        """Which parts of a region may hold a row to keep under some settings; `levels` is what they must beat at some knob's value."""
        lows, _ = figures_of(self.experiment, group.technology, region, count)
        possible, _ = satisfiable(self.experiment, group.technology, region, count)
        held: Bools = np.asarray(possible & _within(region, group.technology))
        candidates, index = held.copy(), np.flatnonzero(held)
        held[index] = self.bars.may_matter(group.technology, lows[index])
        if levels is not None:
            held[index] |= self.bars.may_be_axis(group.technology, lows[index], levels[index])
            for number in numbers:
                own_clock = region.at(self._mhz(number))
                reached = np.broadcast_to(_within(own_clock, group.technology), count)
                index = np.flatnonzero(reached & candidates & ~held)
                if len(index):
                    own, _ = figures_of(self.experiment, group.technology, own_clock, count)
                    held[index] = self.bars.may_be_axis(group.technology, own[index], self._clock_levels(group, number))
        return held

    def _mhz(self, number: int) -> float:
        return self.block.settings[number].clock_mhz

    def _core_levels(self, cores: Ints, group: Clocks) -> Levels:
        """What cores must beat to be the best at one of their values, the clock's not counted."""
        axes, name, columns = self.bars.axes, group.technology, len(ranked(self.experiment, group.technology))
        if axes is None:
            return None
        found = axes.of_cores(name, columns, self._designs(cores), self._inner)
        return worse(found, axes.of_memory(name, columns, group.numbers[0]))

    def _cell_levels(self, cores: Ints, group: Clocks) -> Levels:
        """(cores, cells, columns, 2): the same of cells."""
        axes, name, columns = self.bars.axes, group.technology, len(ranked(self.experiment, group.technology))
        if axes is None:
            return None
        found = axes.of_cells(name, columns, self._designs(cores), self._inner)
        return worse(found, axes.of_memory(name, columns, group.numbers[0]))

    def _clock_levels(self, group: Clocks, number: int) -> Any:
        assert self.bars.axes is not None
        return self.bars.axes.of_clock(group.technology, len(ranked(self.experiment, group.technology)), number)

    def _designs(self, cores: Ints) -> Ints:
        """Some design of each core."""
        outers, ports = np.divmod(cores, self.grid.ports)
        return self.grid.designs(self.outers[outers], 0, ports)

    @property
    def _inner(self) -> range:
        """The axes of the block that are in the cells."""
        return range(self.grid.split, LAST)

    def _batch(self, cores: Ints, matter: Bools) -> Iterator[Rows]:
        """Open the cores of which some cell may hold a row to keep, and find the rows that do."""
        place, points = self._cells_of(cores)
        cell, asked, fine = self._cell(points), np.zeros(points.size, np.bool_), []
        for number, group in enumerate(self.groups):
            index, levels = np.flatnonzero(matter[place, number]), self._cell_levels(cores, group)
            levels = None if levels is None else levels[place[index], cell[index]]
            region = self._cell_bounds(points.take(index), group)
            held = self._may_matter(region, group, group.numbers, len(index), levels)
            fine.append((group, index[held], None if levels is None else levels[held]))
            asked[index[held]] = True
        if asked.any():
            counts, row = self._open(cores, place[asked], cell[asked]), np.cumsum(asked) - 1
            for group, index, levels in fine:
                if len(index):
                    yield from self._narrow(Opened(points.take(index), _named(counts[row[index]]), levels), group)

    def _cells_of(self, cores: Ints) -> tuple[Ints, Points]:
        """Places among the cores, and points, of all cells that run the network."""
        box = np.ones((len(cores), *self.grid.shape), np.bool_)
        for axis, (name, values) in enumerate(zip(DEPTHS, self.grid.depths(self.machines), strict=True), start=1):
            if box.shape[axis] > 1:
                along = np.array(values).reshape([-1 if other == axis else 1 for other in range(5)])
                box &= along >= self.room[name][cores].reshape(-1, 1, 1, 1, 1)
        place, *cells_ = np.nonzero(box)
        outers, ports = np.divmod(cores[place], self.grid.ports)
        return place, Points(cores[place], (outers, *cells_, ports))

    def _cell(self, points: Points) -> Ints:
        """Numbers of the points' cells."""
        return np.asarray(np.ravel_multi_index(points.axes[1:5], self.grid.shape), np.int64)

    def _open(self, cores: Ints, place: Ints, cell: Ints) -> Ints:
        """(points, COUNTS) true counts of these cells, core by core; cores with equal depths of their own go together."""
        machines = self.machines.take(cores)
        wanted = np.zeros((len(cores), self.grid.cells), np.bool_)
        wanted[place, cell] = True
        depths = np.stack([getattr(machines, name) for name in DEPTHS], axis=1)
        kinds, kind = np.unique(depths, axis=0, return_inverse=True)
        counts = np.zeros((len(place), len(COUNTS)), np.int64)
        for number in range(len(kinds)):
            index = np.flatnonzero(kind.reshape(-1) == number)
            own, layers, asked = machines.take(index), self.variant.network.layers, wanted[index]
            counts[np.isin(place, index)] = cells(
                layers, own, self.grid.depths(own), asked, machine_code=self.machine_code
            )[1]
        return counts

    def _narrow(self, opened: Opened, group: Clocks) -> Iterator[Rows]:
        """Rows of these designs that may be kept: all clocks together, then one by one, the fastest first, for it raises the bars."""
        region = self._opened_region(opened, group)
        self.priced += opened.points.size
        held = self._may_matter(region, group, group.numbers, opened.points.size, opened.levels)
        if held.any():
            opened = opened.take(held)
            region = self._opened_region(opened, group)
            for number in reversed(group.numbers):
                yield self._found(region.at(self._mhz(number)), opened, group, number)

    def _opened_region(self, opened: Opened, group: Clocks) -> Region:
        clock = Interval(group.clocks[0], group.clocks[-1])
        return self._region(opened.points.cores, opened.counts, self.prices[group].at(opened.points), clock, exact=True)

    def _found(self, region: Region, opened: Opened, group: Clocks, number: int) -> Rows:
        """The rows of single designs under one setting that may be kept; those that are surely feasible raise the bars."""
        points, name = opened.points, group.technology
        self.priced += points.size
        self._tally(region, group, points.size)
        index = np.flatnonzero(self._may_matter(region, group, (number,), points.size, opened.levels))
        lows, highs = figures_of(self.experiment, name, region, points.size)
        sure = satisfiable(self.experiment, name, region, points.size)[1][index]
        held = points.take(index)
        designs = self.grid.designs(self.outers[held.axes[0]], self._cell(held), held.axes[5])
        rows = self.block.first_row + designs * len(self.block.settings) + number
        if sure.any():
            self.bars.rise(name, highs[index[sure]], rows[sure])
        return Rows(group, number, designs, lows[index])

    def _still(self, found: list[Rows]) -> Iterator[Rows]:
        """Those of the rows that may be kept now that the bars have risen."""
        for item in found:
            name, axes = item.group.technology, self.bars.axes
            held = self.bars.may_matter(name, item.lows)
            if axes is not None:
                columns = len(ranked(self.experiment, name))
                levels = worse(
                    axes.of_designs(name, columns, item.designs), axes.of_memory(name, columns, item.setting)
                )
                levels = worse(levels, axes.of_clock(name, columns, item.setting))
                held |= self.bars.may_be_axis(name, item.lows, levels)
            yield Rows(item.group, item.setting, item.designs[held], item.lows[held])

    def _tally(self, region: Region, group: Clocks, count: int) -> None:
        """Count what became of single rows."""
        columns = _Middle(region)
        reason = over(np.full(count, "", "U64"), "clock_mhz", columns["max_clock_mhz"] < region.clock_mhz.low)
        for name, limit in technology(group.technology).limits.items():
            reason = over(reason, name, columns[name] > limit)
        reason = constrained(self.experiment.constraints, group.technology, columns, reason)
        self.reasons.update(Counter(reason[reason != ""].tolist()))
        self.feasible += int((reason == "").sum())


@dataclass(frozen=True, slots=True)
class _Middle:
    """Middle values of the columns of a region."""

    region: Region

    def __getitem__(self, name: str) -> Any:
        interval = self.region.column(name)
        return (interval.low + interval.high) / 2


def _named(counts: Ints) -> dict[str, Any]:
    """(designs, COUNTS) counts by name, as far as they cost energy or time."""
    found: dict[str, Any] = {name: counts[:, COUNTS.index(name)] for name in COUNTED if name != CYCLES}
    return found | {CYCLES: counts[:, :CAUSES].sum(axis=1)}


def _within(region: Region, name: str) -> Any:
    """Whether the design can have such a clock, and a device can hold it at all."""
    found: Any = region.silicon["max_clock_mhz"].high >= region.clock_mhz.low
    for resource, limit in technology(name).limits.items():
        found = found & (region.silicon[resource].low <= limit)
    return found
