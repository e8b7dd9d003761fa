"""Bound and skip: every row of a space that is worth keeping, without evaluating what provably holds none.

A block is a grid of *cores* (all knobs but some of the buffer depths), each with a *cell* for every combination of those depths, each
priced under every setting. Three sieves, each dearer and finer than the one before: bounds of a core over all its cells
(`hwmodels.bounds`, least prices, least silicon), the same cell by cell, and the true activity of all cells of a core at once
(`hwmodels.compiled`). What passes all three is evaluated as any other row, so a stored figure never comes from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dse.estimates import SLACK, Interval, Region
from dse.experiment import Experiment
from dse.keep import Bars, chosen, figures, figures_of, ranked, satisfiable
from dse.results import Counts
from dse.rows import SCHEMA, constrained, over, peak, table_of, too_big, useful
from dse.space import Block, Setting, knobs
from dse.variants import Variant
from hwmodels.bounds import least
from hwmodels.compiled import DEPTHS, cells
from hwmodels.cost import silicon
from hwmodels.knobs import NUMERIC, Knobs, illegal_reasons
from hwmodels.linear import COUNTED, CYCLES, Linear, energy_forms
from hwmodels.pricing import Build
from hwmodels.tables import COUNTS
from hwmodels.technology import technology

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_CELLS = 4096
"""Cells of a core at most; where the depths make more, the first of them move into the core."""
CHUNK_CORES = 2048
CHUNK_PRICES = 2**17
"""Cells priced at once: outer points of a chunk times their cells."""
BATCH_CELLS = 2**15
"""Cells of the cores that are looked at together; between batches the bars rise."""
CAUSES = 6
"""The first columns of COUNTS are cycles by cause."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A block cut for the search: outer axes (the machine, and depths that are not in cells), cells, ports.

    Design numbers run over outer points, then cells, then ports.
    """

    block: Block
    split: int

    @classmethod
    def of(cls, block: Block) -> Grid:
        """With as many depths in the cells as MOST_CELLS allows."""
        first, last = NUMERIC.index(DEPTHS[0]), NUMERIC.index(DEPTHS[-1]) + 1
        sizes = [len(values) for _, values in block.axes]
        split = next(
            item for item in range(first, last + 1) if item == last - 1 or prod(sizes[item:last]) <= MOST_CELLS
        )
        return cls(block, split)

    @property
    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        sizes, last = tuple(len(values) for _, values in self.block.axes), NUMERIC.index(DEPTHS[-1]) + 1
        return sizes[: self.split], sizes[self.split : last], sizes[last:]

    @property
    def outers(self) -> int:
        """Outer points."""
        return prod(self._sizes[0])

    @property
    def cells(self) -> int:
        """Cells of a core."""
        return prod(self._sizes[1])

    @property
    def ports(self) -> int:
        """Ports of an outer point; each makes one core."""
        return prod(self._sizes[2])

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells by depth, all four; 1 for a depth that is not in the cells."""
        inner = self._sizes[1]
        return (1,) * (len(DEPTHS) - len(inner)) + inner

    def designs(self, outers: Ints, cell: Any, ports: Ints) -> Ints:
        """Design numbers."""
        return np.asarray((outers * self.cells + cell) * self.ports + ports)

    def depths(self, machine: Knobs) -> list[tuple[int, ...]]:
        """The depths that the cells of a core combine; `machine` is any design of it."""
        inner = dict(self.block.axes[self.split :])
        return [inner[name] if name in inner else (int(getattr(machine, name)[0]),) for name in DEPTHS]

    def spread(self, start: int, stop: int) -> Knobs:
        """Knobs of outer points as arrays that broadcast to (outer points, *shape, ports), each as small as it can be."""
        outers = np.arange(start, stop)
        points = knobs(self.block, self.designs(outers, 0, np.zeros_like(outers)))
        columns: dict[str, Any] = {name: getattr(points, name).reshape(-1, 1, 1, 1, 1, 1) for name in NUMERIC}
        for name, values in self.block.axes[self.split : NUMERIC.index(DEPTHS[-1]) + 1]:
            place = [1] * 6
            place[1 + DEPTHS.index(name)] = len(values)
            columns[name] = np.array(values, np.int64).reshape(place)
        ports = knobs(self.block, self.designs(np.zeros(self.ports, np.int64), 0, np.arange(self.ports)))
        for name in NUMERIC[NUMERIC.index(DEPTHS[-1]) + 1 :]:
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
        step = _span_outers(grid)
        for start in range(0, grid.outers, step):
            yield Span(index, block, start, min(grid.outers, start + step))
            index += 1


def _span_outers(grid: Grid) -> int:
    return max(1, min(CHUNK_CORES // grid.ports, CHUNK_PRICES // grid.cells))


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that may be kept, in row order, and the counts of what was looked at."""

    table: pa.Table
    counts: Counts


def search(experiment: Experiment, variant: Variant, span: Span, bars: Bars, *, machine_code: bool) -> Found:
    """All rows of a span that may be kept in view of `bars`, which do not change."""
    looked = Look(experiment, variant, span.block, span.start, span.stop, bars.copy(), machine_code=machine_code)
    table = looked.at(np.arange((span.stop - span.start) * looked.grid.ports))
    evaluated, rows = sum(looked.reasons.values()) + looked.feasible, len(span.rows)
    reasons = dict(sorted(looked.reasons.items()))
    counts = Counts(evaluated, looked.feasible, reasons, skipped=rows - evaluated, priced=looked.priced)
    return Found(_best_of(experiment, table, axes=bars.axes is not None).sort_by("row"), counts)


def sample(experiment: Experiment, variant: Variant, block: Block, rows: Ints, *, machine_code: bool) -> pa.Table:
    """The feasible ones of some rows of a block."""
    places, settings = np.divmod(rows - block.first_row, len(block.settings))
    return _exact(experiment, variant, block, places, settings, machine_code=machine_code)


def seeds(
    experiment: Experiment, variant: Variant, block: Block, bars: Bars, *, machine_code: bool, cores: int = 48
) -> pa.Table:
    """Good rows of a block to begin with: all that may be kept of the cores with the least bounds, in some parts of the block.

    None where the block is one span: its search finds them as it goes.
    """
    grid = Grid.of(block)
    step = _span_outers(grid)
    starts = np.unique(np.linspace(0, max(0, grid.outers - step), 8).astype(int))
    tables = [SCHEMA.empty_table()]
    if len(starts) == 1:
        return tables[0]
    for start in starts.tolist():
        looked = Look(
            experiment, variant, block, start, min(grid.outers, start + step), bars, machine_code=machine_code
        )
        tables.append(looked.at(looked.promising(cores)))
    return pa.concat_tables(tables)


def _exact(
    experiment: Experiment, variant: Variant, block: Block, designs: Ints, settings: Ints, *, machine_code: bool
) -> pa.Table:
    """The feasible rows of these pairs of a design and a setting."""
    different, place = np.unique(designs, return_inverse=True)
    wanted = np.zeros((len(different), len(block.settings)), np.bool_)
    wanted[place.reshape(-1), settings] = True
    return table_of(variant, block, experiment.constraints, different, wanted=wanted, machine_code=machine_code)[0]


def _best_of(experiment: Experiment, table: pa.Table, *, axes: bool) -> pa.Table:
    masks = chosen(experiment, table.to_pandas(), axes=axes)
    return table.filter(pa.array(np.logical_or.reduce(list(masks.values()))))


@dataclass(frozen=True, slots=True)
class _Prices:
    """pJ forms and silicon of the outer points of a look, over (outer points, *shape, ports) or what broadcasts to it."""

    forms: Mapping[str, Linear]
    silicon: Mapping[str, Any]

    def at(self, outers: Ints, ports: Ints, *, whole: bool) -> tuple[dict[str, Linear], dict[str, Interval]]:
        """Those of cores, over (cores, *shape), or, not `whole`, at their least and most over all cells: (cores,)."""
        forms = {
            part: Linear(
                {name: _core(value, outers, ports, whole, np.min) for name, value in form.coefficients.items()}
            )
            for part, form in self.forms.items()
        }
        silicon = {
            name: Interval(_core(value, outers, ports, whole, np.min), _core(value, outers, ports, whole, np.max))
            for name, value in self.silicon.items()
        }
        return forms, silicon


def _core(value: Any, outers: Ints, ports: Ints, whole: bool, reduce: Any) -> Any:
    """The part of a spread array that belongs to some cores: (cores, *shape), or reduced to (cores,)."""
    array = np.asarray(value, np.float64)
    if array.ndim == 0:
        return array
    if not whole:
        array = reduce(array, axis=(1, 2, 3, 4), keepdims=True)
    found = array[np.minimum(outers, array.shape[0] - 1), ..., np.minimum(ports, array.shape[5] - 1)]
    return found if whole else found.reshape(-1)


@dataclass(slots=True)
class Look:
    """One look at the cores of some outer points of a block; it raises its bars as it finds rows, and counts.

    `priced`: rows whose figures were estimated. `feasible` and `reasons`: what became of them, and of the rows of every core that
    was opened or is no machine.
    """

    experiment: Experiment
    variant: Variant
    block: Block
    start: int
    stop: int
    bars: Bars
    machine_code: bool = field(kw_only=True)
    reasons: Counter[str] = field(default_factory=Counter)
    feasible: int = 0
    priced: int = 0
    grid: Grid = field(init=False)
    machines: Knobs = field(init=False)
    bounds: dict[str, Any] = field(init=False)
    legal: Bools = field(init=False)
    prices: dict[tuple[str, str, int], _Prices] = field(init=False)

    def __post_init__(self) -> None:
        self.grid = Grid.of(self.block)
        outers, ports = self._places(np.arange((self.stop - self.start) * self.grid.ports))
        self.machines = knobs(self.block, self.grid.designs(self.start + outers, 0, ports))
        reason = illegal_reasons(self.machines)
        self.legal = reason == ""
        found = least(self.variant.network.layers, self.machines.take(self.legal))
        self.bounds = {name: np.zeros(len(reason)) for name in found}
        for name, values in found.items():
            self.bounds[name][self.legal] = values
        self.prices = {}
        for setting in self.block.settings:
            key = (setting.technology, setting.memory, setting.memory_kib)
            if key not in self.prices:
                self.prices[key] = self._priced(setting)

    def _places(self, cores: Ints) -> tuple[Ints, Ints]:
        outers, ports = np.divmod(cores, self.grid.ports)
        return outers, ports

    def _priced(self, setting: Setting) -> _Prices:
        spread, node = self.grid.spread(self.start, self.stop), technology(setting.technology)
        build = Build(knobs=spread, memory=setting.memory, memory_kib=setting.memory_kib, clock_mhz=1.0)
        parts = {name: value for name, value in silicon(build, node).items() if not np.isnan(value).all()}
        return _Prices(energy_forms(build, node), parts)

    def at(self, cores: Ints) -> pa.Table:
        """Exact rows of all designs of these cores that may be kept."""
        illegal = illegal_reasons(self.machines.take(cores))
        for reason in illegal[illegal != ""].tolist():
            self.reasons[reason] += self.grid.cells * len(self.block.settings)
        cores = cores[self.legal[cores]]
        matter = self._coarse(cores)
        cores, matter = cores[matter.any(axis=1)], matter[matter.any(axis=1)]
        tables = [SCHEMA.empty_table()]
        step = max(1, BATCH_CELLS // self.grid.cells)
        for first in range(0, len(cores), step):
            tables += self._batch(cores[first : first + step], matter[first : first + step])
        return pa.concat_tables(tables)

    def promising(self, count: int) -> Ints:
        """The cores with the least bounds, by every objective and by their product, under the first setting that allows any."""
        cores = np.flatnonzero(self.legal)
        if not len(cores):
            return cores
        picked: list[int] = []
        for name in dict.fromkeys(setting.technology for setting in self.block.settings):
            setting = next(item for item in self.block.settings if item.technology == name)
            region = self._bounds(cores, setting)
            figures = [region.column("latency_us").low, region.column("energy_nj").low]
            figures += [region.silicon[part].low for part in ("area_mm2", "lut") if part in region.silicon]
            figures = [np.broadcast_to(item, cores.shape) for item in figures]
            for figure in (*figures, np.sum(np.log(np.maximum(figures, 1e-9)), axis=0)):
                picked += cores[np.argsort(figure, kind="stable")[: max(1, count // 8)]].tolist()
        return np.array(sorted(set(picked)), np.int64)

    def _region(self, cores: Ints, setting: Setting, counts: Mapping[str, Any]) -> Region:
        """Every cell of these cores, at these counts: (cores, *shape), each exact, or bounds that all cells of a core share."""
        exact = counts is not self.bounds
        if not exact:
            counts = {name: values[cores].reshape(-1, 1, 1, 1, 1) for name, values in self.bounds.items()}
        return self._at(cores, setting, counts, whole=True, exact=exact)

    def _bounds(self, cores: Ints, setting: Setting) -> Region:
        """Each core over all its cells: (cores,)."""
        counts = {name: values[cores] for name, values in self.bounds.items()}
        return self._at(cores, setting, counts, whole=False, exact=False)

    def _at(self, cores: Ints, setting: Setting, counts: Mapping[str, Any], *, whole: bool, exact: bool) -> Region:
        prices = self.prices[setting.technology, setting.memory, setting.memory_kib]
        forms, parts = prices.at(*self._places(cores), whole=whole)
        rate = useful(self.variant.network, self.block.kind) / peak(self.machines.take(cores))
        return Region(
            exact=exact,
            counts=counts,
            forms=forms,
            silicon=parts,
            work_per_cycle=rate.reshape(-1, 1, 1, 1, 1) if whole else rate,
            clock_mhz=setting.clock_mhz,
            variant=self.variant,
        )

    def _possible(self, cores: Ints, setting: Setting) -> Bools:
        """Which cores the memory of a setting allows."""
        return ~too_big(self.variant.network, self.machines.take(cores), setting)

    def _coarse(self, cores: Ints) -> Bools:
        """(cores, settings): whether some cell may hold a row to keep."""
        matter = np.zeros((len(cores), len(self.block.settings)), np.bool_)
        for number, setting in enumerate(self.block.settings if len(cores) else ()):
            index = np.flatnonzero(self._possible(cores, setting))
            if len(index):
                region = self._bounds(cores[index], setting)
                matter[index, number] = self._may_matter(
                    region, setting, index.shape, self._levels(cores[index], number)
                )
        return matter

    def _batch(self, cores: Ints, matter: Bools) -> list[pa.Table]:
        """Open the cores of which some cell may hold a row to keep, and evaluate the rows that do."""
        fine = np.zeros((len(cores), len(self.block.settings), self.grid.cells), np.bool_)
        for number, setting in enumerate(self.block.settings):
            index = np.flatnonzero(matter[:, number])
            if len(index):
                region, shape = self._region(cores[index], setting, self.bounds), (len(index), *self.grid.shape)
                levels = self._levels(cores[index], number, whole=True)
                fine[index, number] = self._may_matter(region, setting, shape, levels).reshape(len(index), -1)
        opened = fine.any(axis=(1, 2))
        if not opened.any():
            return []
        designs, settings, energy = self._open(cores[opened], fine[opened])
        if not len(designs):
            return []
        table = _exact(
            self.experiment, self.variant, self.block, designs, settings, machine_code=self.machine_code
        )  # fmt: skip
        rows = self.block.first_row + designs * len(self.block.settings) + settings
        _check(table, dict(zip(rows.tolist(), energy.tolist(), strict=True)))
        self.bars.learn(table.to_pandas())
        return [table]

    def _levels(self, cores: Ints, number: int, *, whole: bool = False) -> Any:
        """What cores, or `whole`, each of their cells, must beat in some ranked column to be the best at one of their values."""
        if self.bars.axes is None:
            return None
        outers, ports = self._places(cores)
        designs, name = self.grid.designs(self.start + outers, 0, ports), self.block.settings[number].technology
        inner = range(self.grid.split, NUMERIC.index(DEPTHS[-1]) + 1)
        of = self.bars.axes.of_cells if whole else self.bars.axes.of_cores
        columns = len(ranked(self.experiment, name))
        return of(name, columns, designs, number, inner).reshape(-1, columns, 2)

    def _may_matter(self, region: Region, setting: Setting, shape: tuple[int, ...], levels: Any) -> Bools:
        """Which parts of a region may hold a row to keep."""
        lows, _ = figures_of(self.experiment, setting.technology, region, shape)
        possible, _ = satisfiable(self.experiment, setting.technology, region, shape)
        matter = self._kept(setting.technology, lows, levels).reshape(shape)
        return np.asarray(matter & possible & _within(region, setting.technology))

    def _kept(self, technology: str, lows: Any, levels: Any) -> Bools:
        """Which parts, whose figures are no better than `lows`, may hold a row to keep."""
        matter = self.bars.may_matter(technology, lows)
        return matter if levels is None else matter | self.bars.may_be_axis(technology, lows, levels)

    def _open(self, cores: Ints, fine: Bools) -> tuple[Ints, Ints, Any]:
        """Designs, settings and estimated energies of the rows of these cores that may be kept."""
        reasons, counts = self._cells(cores)
        fits = reasons == ""
        self.reasons.update(Counter(np.repeat(reasons[~fits], len(self.block.settings)).tolist()))
        shape, (outers, ports) = (len(cores), *self.grid.shape), self._places(cores)
        named = {name: counts[..., COUNTS.index(name)].reshape(shape) for name in COUNTED if name != CYCLES}
        named[CYCLES] = counts[..., :CAUSES].sum(axis=-1).reshape(shape)
        named[CYCLES] = np.where(fits.reshape(shape), named[CYCLES], 1)
        found = []
        for number, setting in enumerate(self.block.settings):
            looked = fine[:, number] & fits
            if looked.any():
                region = self._region(cores, setting, named)
                self._tally(region, setting, looked, shape)
                core, cell, lows = self._survivors(region, setting, looked, shape, cores, number)
                found.append((self.grid.designs(self.start + outers[core], cell, ports[core]), number, lows))
        return self._still(found)

    def _survivors(
        self,
        region: Region,
        setting: Setting,
        looked: Bools,
        shape: tuple[int, ...],
        cores: Ints,
        number: int,
    ) -> tuple[Ints, Ints, Any]:
        """Cores, cells and best figures of the rows that may be kept; those that are surely feasible raise the bars."""
        lows, highs = figures_of(self.experiment, setting.technology, region, shape)
        possible, certain = satisfiable(self.experiment, setting.technology, region, shape)
        held = looked.reshape(shape) & possible & _within(region, setting.technology)
        index, levels = np.flatnonzero(held), self._levels(cores, number, whole=True)
        index = index[self._kept(setting.technology, lows[index], None if levels is None else levels[index])]
        (core, cell), (outers, ports) = np.divmod(index, self.grid.cells), self._places(cores)
        sure = certain.reshape(-1)[index]
        designs = self.grid.designs(self.start + outers[core], cell, ports[core])
        rows = self.block.first_row + designs * len(self.block.settings) + number
        self.bars.rise(setting.technology, highs[index[sure]], rows[sure])
        return core, cell, lows[index]

    def _still(self, found: Sequence[tuple[Ints, int, Any]]) -> tuple[Ints, Ints, Any]:
        """Those of the rows that may be kept now that the bars have risen."""
        designs, settings, energies = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for numbers, setting, lows in found:
            technology = self.block.settings[setting].technology
            levels = None
            if self.bars.axes is not None:
                columns = len(ranked(self.experiment, technology))
                levels = self.bars.axes.of_rows(technology, columns, numbers, setting)
            index = np.flatnonzero(self._kept(technology, lows, levels))
            designs.append(numbers[index])
            settings.append(np.full(len(index), setting))
            energies.append(lows[index, figures(self.experiment, technology).index("energy_nj")])
        return np.concatenate(designs), np.concatenate(settings), np.concatenate(energies)

    def _tally(self, region: Region, setting: Setting, looked: Bools, shape: tuple[int, ...]) -> None:
        """Count what became of the rows that were priced."""
        reason = np.full(int(looked.sum()), "", "U64")
        columns = _Columns(region, looked, shape)
        reason = over(reason, "clock_mhz", columns["max_clock_mhz"] < setting.clock_mhz)
        for name, limit in technology(setting.technology).limits.items():
            reason = over(reason, name, columns[name] > limit)
        reason = constrained(self.experiment.constraints, setting.technology, columns, reason)
        self.reasons.update(Counter(reason[reason != ""].tolist()))
        self.feasible += int((reason == "").sum())
        self.priced += len(reason)

    def _cells(self, cores: Ints) -> tuple[Any, Ints]:
        """(cores, cells) reasons and (cores, cells, COUNTS) counts; cores with equal depths of their own go together."""
        machines = self.machines.take(cores)
        depths = np.stack([getattr(machines, name) for name in DEPTHS], axis=1)
        kinds, kind = np.unique(depths, axis=0, return_inverse=True)
        reasons = np.full((len(cores), self.grid.cells), "", "U32")
        counts = np.zeros((*reasons.shape, len(COUNTS)), np.int64)
        for number in range(len(kinds)):
            index = np.flatnonzero(kind.reshape(-1) == number)
            own = machines.take(index)
            layers = self.variant.network.layers
            reasons[index], counts[index] = cells(
                layers, own, self.grid.depths(own), machine_code=self.machine_code
            )  # fmt: skip
        return reasons, counts


class _Columns(Mapping[str, Any]):
    """Middle values of the columns of some regions, as constraints ask for them."""

    def __init__(self, region: Region, mask: Bools, shape: tuple[int, ...]) -> None:
        self._region, self._mask, self._shape = region, mask, shape

    def __getitem__(self, name: str) -> Any:
        interval = self._region.column(name)
        middle = np.broadcast_to((interval.low + interval.high) / 2, self._shape)
        return middle.reshape(self._mask.shape)[self._mask]

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


def _within(region: Region, name: str) -> Any:
    """Whether the design can have this clock, and a device can hold it at all."""
    found: Any = region.silicon["max_clock_mhz"].high >= region.clock_mhz
    for resource, limit in technology(name).limits.items():
        found = found & (region.silicon[resource].low <= limit)
    return found


def _check(table: pa.Table, estimates: Mapping[int, float]) -> None:
    """The bounds hold only as far as the estimates are true: a row that shows otherwise must not pass."""
    for row, energy in zip(table["row"].to_pylist(), table["energy_nj"].to_pylist(), strict=True):
        if abs(estimates[row] / energy - 1) > 4 * SLACK:
            raise RuntimeError(f"row {row}: the linear prices give {estimates[row]} nJ, the model {energy}")
