"""How far the fitted areas are from synthesis on designs that the fit never saw: a third held out, the largest, and whole widths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hwmodels.areas import PARTS, RESOURCES, fit, measured
from hwmodels.structure import UNEVEN, UNITS
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import DONE, Row, Table, shipped, shipped_table

COLUMNS = ("target", "resource", "block", "points", "median", "p95", "worst", "worst_largest", "worst_unseen")
BLOCKS = (*(unit for unit in UNITS if unit != "glue"), "frame", "engine")
THIRDS = 3


def fit_table(table: Table) -> pd.DataFrame:
    """Relative errors by resource and block: of points held out, each in one of three fits; of the largest third of every block
    predicted from the smaller two; of PEs whose width (of multipliers: code widths) no other point has. NaN where the block has
    too few points to hold any out. Empty without a fit."""
    return pd.DataFrame(list(_rows(table)), columns=list(COLUMNS))


def shipped_fits() -> pd.DataFrame:
    """The same of every target whose table comes with the package."""
    return pd.concat([fit_table(shipped_table(name)) for name in shipped()], ignore_index=True)


def shipped_overview() -> pd.DataFrame:
    """Every table that comes with the package: its tool, points of those that the plan has now, and the CPU minutes of Yosys for them."""
    return pd.DataFrame([_overview(shipped_table(name)) for name in shipped()])


def width_steps(table: Table) -> pd.DataFrame:
    """What a PE costs against one that is a bit narrower: the dearest and the cheapest step of a table with neighbouring widths.

    A width far out of line is a defect that no functional test sees, such as a shifter that synthesis cannot rule out.
    """
    target, resource = table.head["target"], RESOURCES[table.head["kind"]][0]
    single = [row for row in table.done("pe") if row.point.design.lanes_a * row.point.design.lanes_w == 1]
    sizes = {row.point.design.width: measured(row, resource) for row in single}
    steps = {width: sizes[width] / sizes[width - 1] - 1 for width in sizes if width - 1 in sizes}
    ends = [extreme(steps, key=lambda width: steps[width]) for extreme in (max, min) if steps]
    found = [(target, resource, width, steps[width], len(steps)) for width in ends]
    return pd.DataFrame(found, columns=["target", "resource", "to_width", "step", "steps"])


def _overview(table: Table) -> dict[str, object]:
    done = [row for row in table.rows if row.status == DONE]
    return {
        "target": table.head["target"],
        "origin": table.head["origin"],
        "tool": table.head["tool"],
        "points": len(done),
        "planned": len(plan("full", table.head["kind"])),
        "cpu_min": sum(row.cpu_s for row in done) / 60,
    }


def _rows(table: Table) -> Iterator[dict[str, object]]:
    rows = [row for row in table.rows if row.status == DONE]
    if not set(BLOCKS) <= {row.point.block for row in rows}:
        return
    for resource in RESOURCES[table.head["kind"]]:
        held, large, unseen = (find(table, rows, resource) for find in (_held_out, _extrapolated, _unseen))
        for block in BLOCKS:
            if errors := held.get(block):
                yield _row(table, resource, block, errors, large.get(block, []), unseen.get(block, []))


def _row(
    table: Table, resource: str, block: str, errors: Sequence[float], large: Sequence[float], unseen: Sequence[float]
) -> dict[str, object]:
    return {
        "target": table.head["target"],
        "resource": resource,
        "block": block,
        "points": len(errors),
        **error_sizes(errors),
        "worst_largest": _worst(large),
        "worst_unseen": _worst(unseen),
    }


def error_sizes(errors: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and worst of the sizes of relative errors, under the names that every table of errors has."""
    sizes = np.abs(errors)
    return {"median": float(np.median(sizes)), "p95": float(np.percentile(sizes, 95)), "worst": float(sizes.max())}


def _worst(errors: Sequence[float]) -> float:
    return float(np.abs(errors).max()) if errors else float("nan")


def _held_out(table: Table, rows: Sequence[Row], resource: str) -> dict[str, list[float]]:
    """Errors by block, every point predicted by the fit that did not see it. A block's last points stay where it has too few."""
    found: dict[str, list[float]] = {}
    numbers = _numbers(rows)
    for third in range(THIRDS):
        out = [
            row
            for row, (number, many) in zip(rows, numbers, strict=True)
            if _enough(row, many) and number % THIRDS == third
        ]
        _collect(found, table, rows, out, resource)
    return found


def _extrapolated(table: Table, rows: Sequence[Row], resource: str) -> dict[str, list[float]]:
    """Errors by block of its largest third, predicted from the others."""
    found: dict[str, list[float]] = {}
    ordered = sorted(rows, key=lambda row: measured(row, RESOURCES[table.head["kind"]][0]))
    numbers = _numbers(ordered)
    out = [
        row
        for row, (number, many) in zip(ordered, numbers, strict=True)
        if _enough(row, many) and number >= many - max(1, many // THIRDS)
    ]
    _collect(found, table, rows, out, resource)
    return found


def _unseen(table: Table, rows: Sequence[Row], resource: str) -> dict[str, list[float]]:
    """Errors of PEs by a fit that has no point of their width, or code widths, at all; those at either end are extrapolated."""
    found: dict[str, list[float]] = {}
    for block, tabulated in UNEVEN.items():
        points = [row for row in rows if row.point.block == block]
        places = [float(tabulated.place(row.point.design)) for row in points]
        for here in sorted(set(places)):
            out = [row for row, place in zip(points, places, strict=True) if place == here]
            _collect(found, table, rows, out, resource)
    return found


def _enough(row: Row, many: int) -> bool:
    """Whether points of a block can be held out: three of a unit; two of the frame or engine, which are fitted together."""
    return many >= (2 if row.point.block in PARTS else THIRDS)


def _collect(
    found: dict[str, list[float]], table: Table, rows: Sequence[Row], out: Sequence[Row], resource: str
) -> None:
    hidden = {id(row) for row in out}
    model = fit(table, [row for row in rows if id(row) not in hidden])
    for row in out:
        actual = measured(row, resource)
        if actual > 0 and row.point.block in BLOCKS:
            predicted = float(model.block(resource, row.point.block, row.point.design))
            found.setdefault(row.point.block, []).append(predicted / actual - 1)


def _numbers(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Of every row its number among those of its block, and how many these are."""
    many = {block: sum(row.point.block == block for row in rows) for block in {row.point.block for row in rows}}
    seen: dict[str, int] = {}
    numbers = []
    for row in rows:
        seen[row.point.block] = seen.get(row.point.block, -1) + 1
        numbers.append((seen[row.point.block], many[row.point.block]))
    return numbers
