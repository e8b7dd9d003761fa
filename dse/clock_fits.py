"""How far the fitted clock limits are from timing on designs that the fit never saw: a third held out, and the slowest ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from dse.fits import THIRDS, error_sizes
from hwmodels.clocks import PARTS, Clocks, delay_ps, fit_clocks, fit_unit
from hwmodels.synthesis.table import Row, Table, shipped, shipped_table

COLUMNS = ("target", "block", "points", "fastest_ps", "slowest_ps", "median", "p95", "worst", "worst_slowest")
SUMS = ("engine", "whole")
"""Blocks that no fit is made of: all their points are predictions."""
BLOCKS = (*PARTS, *SUMS)


def clock_table(table: Table) -> pd.DataFrame:
    """Relative errors of the longest path by block: of points held out, each in one of three fits, and of the slowest third predicted
    from the others. Blocks of fewer than three timed points are left out, but for whole engines, which no fit is made of. Empty
    where the PEs were not timed."""
    timed = [row for row in table.rows if row.counted and delay_ps(row)]
    return pd.DataFrame(list(_rows(table, timed)), columns=list(COLUMNS))


def shipped_clocks() -> pd.DataFrame:
    """The same of every target whose table comes with the package."""
    tables = (clock_table(shipped_table(name)) for name in shipped())
    return pd.concat([table for table in tables if not table.empty], ignore_index=True)


def _rows(table: Table, timed: Sequence[Row]) -> Iterator[dict[str, object]]:
    whole = fit_clocks(table, timed)
    if whole is None:
        return
    for block in BLOCKS:
        points = [row for row in timed if row.point.block == block]
        if len(points) < (1 if block in SUMS else THIRDS):
            continue
        thirds = (_errors(whole, timed, points[start::THIRDS]) for start in range(min(THIRDS, len(points))))
        errors = [error for third in thirds for error in third]
        slowest = _errors(whole, timed, sorted(points, key=delay_ps)[-max(1, len(points) // THIRDS) :])
        yield {
            "target": table.head["target"],
            "block": block,
            "points": len(points),
            "fastest_ps": min(map(delay_ps, points)),
            "slowest_ps": max(map(delay_ps, points)),
            **error_sizes(errors),
            "worst_slowest": max(slowest),
        }


def _errors(whole: Clocks, timed: Sequence[Row], out: Sequence[Row]) -> list[float]:
    """Sizes of the relative errors of points of one block, by the fit of all others; no fit sees whole engines."""
    hidden, block = {id(row) for row in out}, out[0].point.block
    if block in SUMS:
        model = whole
    else:
        model = Clocks(whole.target, {block: fit_unit(block, [row for row in timed if id(row) not in hidden])})
    return [abs(float(model.unit(row.point.block, row.point.design)) / delay_ps(row) - 1) for row in out]
