"""How far the fitted areas are from synthesis on designs that the fit never saw: a third held out, the largest, and whole widths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hwmodels.areas import PARTS, RESOURCES, Fit, fit, fit_unit, measured
from hwmodels.structure import UNEVEN, UNITS
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import Row, Table, shipped, shipped_table, shipped_widths

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


def shipped_steps() -> pd.DataFrame:
    """Steps from width to width of every such table that comes with the package."""
    return pd.concat([width_steps(table) for table in shipped_widths()], ignore_index=True)


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
    done = [row for row in table.rows if row.counted]
    return {
        "target": table.head["target"],
        "origin": table.head["origin"],
        "tool": table.head["tool"],
        "points": len(done),
        "planned": len(plan("full", table.head["kind"], routed=table.head["router"] != "none")),
        "cpu_min": sum(row.cpu_s for row in done) / 60,
    }


def _rows(table: Table) -> Iterator[dict[str, object]]:
    rows = [row for row in table.rows if row.counted]
    if not set(BLOCKS) <= {row.point.block for row in rows}:
        return
    held, large = list(_thirds(table, rows)), list(_largest(table, rows))
    for resource in RESOURCES[table.head["kind"]]:
        errors, largest, unseen = _errors(held, resource), _errors(large, resource), _unseen(rows, resource)
        for block in BLOCKS:
            if block in errors:
                yield _row(table, resource, block, errors[block], largest.get(block, []), unseen.get(block, []))


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


Held = tuple[Fit, list[Row]]
"""A fit, and points that it did not see."""


def _thirds(table: Table, rows: Sequence[Row]) -> Iterator[Held]:
    """Every point once, in one of three parts. A block's last points stay where it has too few."""
    numbers = _numbers(rows)
    for third in range(THIRDS):
        yield _without(
            table,
            rows,
            [
                row
                for row, (number, many) in zip(rows, numbers, strict=True)
                if _enough(row, many) and number % THIRDS == third
            ],
        )


def _largest(table: Table, rows: Sequence[Row]) -> Iterator[Held]:
    """The largest third of every block."""
    ordered = sorted(rows, key=lambda row: measured(row, RESOURCES[table.head["kind"]][0]))
    numbers = _numbers(ordered)
    yield _without(
        table,
        ordered,
        [
            row
            for row, (number, many) in zip(ordered, numbers, strict=True)
            if _enough(row, many) and number >= many - max(1, many // THIRDS)
        ],
    )


def _without(table: Table, rows: Sequence[Row], out: list[Row]) -> Held:
    hidden = {id(row) for row in out}
    return fit(table, [row for row in rows if id(row) not in hidden]), out


def _errors(held: Sequence[Held], resource: str) -> dict[str, list[float]]:
    """Relative errors by block of the points that were held out."""
    found: dict[str, list[float]] = {}
    for model, out in held:
        for row in out:
            if row.point.block in BLOCKS and measured(row, resource) > 0:
                found.setdefault(row.point.block, []).append(_error(model, row, resource))
    return found


def _error(model: Fit, row: Row, resource: str) -> float:
    return float(model.block(resource, row.point.block, row.point.design)) / measured(row, resource) - 1


def _unseen(rows: Sequence[Row], resource: str) -> dict[str, list[float]]:
    """Errors of PEs by a fit that has no point of their width, or code widths, at all; those at either end are extrapolated."""
    found: dict[str, list[float]] = {}
    for block, tabulated in UNEVEN.items():
        points = [(float(tabulated.place(row.point.design)), row) for row in rows if row.point.block == block]
        for here in sorted({place for place, _ in points}):
            model = fit_unit(block, resource, [row for place, row in points if place != here])
            errors = [_error(model, row, resource) for place, row in points if place == here]
            found.setdefault(block, []).extend(errors)
    return found


def _enough(row: Row, many: int) -> bool:
    """Whether points of a block can be held out: three of a unit; two of the frame or engine, which are fitted together."""
    return many >= (2 if row.point.block in PARTS else THIRDS)


def _numbers(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Of every row its number among those of its block, and how many these are."""
    many = {block: sum(row.point.block == block for row in rows) for block in {row.point.block for row in rows}}
    seen: dict[str, int] = {}
    numbers = []
    for row in rows:
        seen[row.point.block] = seen.get(row.point.block, -1) + 1
        numbers.append((seen[row.point.block], many[row.point.block]))
    return numbers
