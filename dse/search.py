"""Bound and skip: every row of a space that is worth keeping, without evaluating what provably holds none.

`dse.look` finds them by bounds and estimates. What it finds is evaluated as any other row, so a stored figure never comes from
there, and every one is held against its estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dse.estimates import SLACK
from dse.experiment import Experiment
from dse.grid import Grid, Span
from dse.keep import Bars, chosen, figures
from dse.look import Look, Rows
from dse.results import Counts
from dse.rows import SCHEMA, rows_of
from dse.space import Block
from dse.variants import Variant

Ints = npt.NDArray[np.int64]

SEED_CORES, SEED_SHARE = 2048, 16
"""Cores of a block that are looked at before the rest: at most so many, and one in so many."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that may be kept, in row order, and the counts of what was looked at."""

    table: pa.Table
    counts: Counts


def search(experiment: Experiment, variant: Variant, span: Span, bars: Bars, *, machine_code: bool) -> Found:
    """All rows of a span that may be kept in view of `bars`, which do not change."""
    outers = np.arange(span.start, span.stop)
    looked = Look(experiment, variant, span.block, outers, bars.copy(), machine_code=machine_code)
    table = _rows(looked, looked.rows(np.arange(len(outers) * looked.grid.ports)))
    evaluated, rows = sum(looked.reasons.values()) + looked.feasible, len(span.rows)
    reasons = dict(sorted(looked.reasons.items()))
    counts = Counts(evaluated, looked.feasible, reasons, skipped=rows - evaluated, priced=looked.priced)
    return Found(_best_of(experiment, table, axes=bars.axes is not None).sort_by("row"), counts)


def sample(experiment: Experiment, variant: Variant, block: Block, rows: Ints, *, machine_code: bool) -> pa.Table:
    """The feasible ones of some rows of a block."""
    return rows_of(variant, block, experiment.constraints, rows, machine_code=machine_code)[0]


def seeds(experiment: Experiment, variant: Variant, block: Block, bars: Bars, *, machine_code: bool) -> pa.Table:
    """Good rows of a block to begin with: all that may be kept of some cores, drawn from all over the block.

    None where the block is one span: its search finds them as it goes.
    """
    grid = Grid.of(block)
    if grid.outers <= grid.span:
        return SCHEMA.empty_table()
    count = max(1, min(min(SEED_CORES, grid.cores // SEED_SHARE) // grid.ports, grid.span))
    drawn = np.sort(np.random.default_rng(experiment.seed).choice(grid.outers, count, replace=False))
    looked = Look(experiment, variant, block, drawn, bars, machine_code=machine_code)
    return _rows(looked, looked.rows(np.arange(len(drawn) * grid.ports)))


def _rows(looked: Look, found: Sequence[Rows]) -> pa.Table:
    """The rows that a look found, evaluated."""
    if not found:
        return SCHEMA.empty_table()
    designs = np.concatenate([item.designs for item in found])
    settings = np.concatenate([np.full(len(item.designs), item.setting) for item in found])
    energies = np.concatenate(
        [item.lows[:, figures(looked.experiment, item.group.technology).index("energy_nj")] for item in found]
    )
    rows = looked.block.first_row + designs * len(looked.block.settings) + settings
    table = sample(looked.experiment, looked.variant, looked.block, rows, machine_code=looked.machine_code)
    _check(table, rows, energies)
    return table


def _best_of(experiment: Experiment, table: pa.Table, *, axes: bool) -> pa.Table:
    masks = chosen(experiment, table.to_pandas(), axes=axes)
    return table.filter(pa.array(np.logical_or.reduce(list(masks.values()))))


def _check(table: pa.Table, rows: Ints, estimates: npt.NDArray[np.float64]) -> None:
    """The bounds hold only as far as the estimates are true: a row that shows otherwise must not pass."""
    order = np.argsort(rows, kind="stable")
    place = order[np.searchsorted(rows[order], table["row"].to_numpy())]
    energy = table["energy_nj"].to_numpy()
    for wrong in np.flatnonzero(np.abs(estimates[place] / energy - 1) > 4 * SLACK)[:1]:
        raise RuntimeError(
            f"row {rows[place[wrong]]}: the linear prices give {estimates[place[wrong]]} nJ, the model {energy[wrong]}"
        )
