"""Areas and resources fitted to synthesis: structural features of every unit times coefficients, with the range of the fit.

The coefficients are least squares, relative to what was measured, over the points of a characterization table: each unit by
itself and none negative, then `glue` over the engines and frames less the units in them, of either sign, because units share
registers when an engine is flattened. Nothing else is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hwmodels.least_squares import Floats, non_negative
from hwmodels.structure import CONSTANT, REGISTER, UNITS, Machine, Number, counts
from hwmodels.synthesis.table import Row, Table, shipped_table

Solver = Callable[[Floats, Floats], Floats]
RESOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType({"asic": ("area_um2", "ff"), "fpga": ("lut", "ff", "dsp")})
"""What is fitted, by kind of technology. LUTs include those used as shift registers and small memories."""
PES = {"array": "pe", "mac": "pe_mac"}
PARTS = {"frame": frozenset(UNITS) - set(PES.values()), "engine": frozenset(UNITS)}
"""Blocks that are several units."""
RANGE = {
    "pe": ("width", "lanes_a", "lanes_w"),
    "pe_mac": ("width", "max_act_bits", "max_weight_bits"),
    "frame": ("rows", "cols"),
}
"""Knobs whose range a fit states, by the block whose points set it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of one target: by resource, then unit, then feature; and lowest and highest knob of its points, by block."""

    target: str
    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]
    ranges: Mapping[str, Mapping[str, tuple[int, int]]]

    def unit(self, resource: str, unit: str, k: Machine) -> Number:
        """Amount of a resource that one unit takes."""
        found = self.coefficients[resource][unit]
        return sum(value * found[name] for name, value in UNITS[unit](k).items() if name in found)

    def block(self, resource: str, block: str, k: Machine) -> Number:
        """The same of a block of the characterization: a unit, the frame, or a whole engine without its memories."""
        if block not in PARTS:
            return self.unit(resource, block, k)
        return sum(many * self.unit(resource, unit, k) for unit, many in counts(k).items() if unit in PARTS[block])

    def outside(self, k: Machine) -> npt.NDArray[np.bool_]:
        """Whether a machine has a knob below or above every point that the fit was made from."""
        return self._beyond(k, {**self.ranges["frame"], **self.ranges[PES[k.kind]]})

    def outside_pe(self, k: Machine) -> npt.NDArray[np.bool_]:
        """The same of its PEs, whatever the grid around them."""
        return self._beyond(k, self.ranges[PES[k.kind]])

    def _beyond(self, k: Machine, ranges: Mapping[str, tuple[int, int]]) -> npt.NDArray[np.bool_]:
        beyond = np.zeros(np.shape(k.rows), bool)
        for name, (low, high) in ranges.items():
            value = np.asarray(getattr(k, name))
            beyond = beyond | (value < low) | (value > high)
        return np.asarray(beyond)


def measured(row: Row, resource: str) -> float:
    """What synthesis gave."""
    value = float(getattr(row.counts, resource))
    return value + row.counts.lutram if resource == "lut" else value


def fit(table: Table, rows: Iterable[Row] | None = None) -> Fit:
    """Coefficients of a table, or of some of its rows. Raises ValueError where a unit has no finished point."""
    chosen = [row for row in (table.rows if rows is None else rows) if row.status == "done"]
    resources = RESOURCES[table.head["kind"]]
    coefficients = {resource: _coefficients(chosen, resource, table.head["target"]) for resource in resources}
    return Fit(table.head["target"], coefficients, {block: _span(chosen, block) for block in RANGE})


def _span(rows: Sequence[Row], block: str) -> dict[str, tuple[int, int]]:
    designs = [row.point.design for row in rows if row.point.block == block]
    values = {name: [int(getattr(design, name)) for design in designs] for name in RANGE[block]}
    return {name: (min(found), max(found)) for name, found in values.items() if found}


@cache
def fitted(target: str) -> Fit:
    """The fit of a table that comes with the package. Raises ValueError listing the targets."""
    return fit(shipped_table(target))


def _coefficients(rows: Sequence[Row], resource: str, target: str) -> dict[str, dict[str, float]]:
    """By unit and feature. `glue` explains what frames and engines have beyond their units; engines weigh as frames do."""
    found: dict[str, dict[str, float]] = {}
    for unit in (unit for unit in UNITS if unit != "glue"):
        points = [row for row in rows if row.point.block == unit]
        if not points:
            raise ValueError(
                f"target {target}: a fit needs a finished point of every unit, but there is none of {unit}"
            )
        values = np.array([measured(row, resource) for row in points])
        found[unit] = _solve(_table(unit, resource, points), values, values, non_negative)
    wholes = [row for row in rows if row.point.block in PARTS]
    if not wholes:
        raise ValueError(f"target {target}: a fit needs a finished frame or engine, but there is none")
    known = Fit(target, {resource: {**found, "glue": {}}}, {})
    values = np.array([measured(row, resource) for row in wholes])
    parts = np.array([float(known.block(resource, row.point.block, row.point.design)) for row in wholes])
    found["glue"] = _solve(_table("glue", resource, wholes), values - parts, values, _least_squares)
    return found


def _table(unit: str, resource: str, rows: Sequence[Row]) -> list[dict[str, float]]:
    """Features of every row's design; flip-flops have no others than those that are counted."""
    found = [{name: float(value) for name, value in UNITS[unit](row.point.design).items()} for row in rows]
    return [{name: row[name] for name in row if resource != "ff" or name in (REGISTER, CONSTANT)} for row in found]


def _solve(table: Sequence[Mapping[str, float]], values: Floats, scale: Floats, solver: Solver) -> dict[str, float]:
    """Coefficients by feature: least squares of (features x - values) / scale."""
    names = list(table[0])
    weights = 1.0 / np.maximum(scale, 1.0)
    matrix = np.array([[row[name] for name in names] for row in table]) * weights[:, None]
    return dict(zip(names, solver(matrix, values * weights).tolist(), strict=True))


def _least_squares(matrix: Floats, values: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(matrix, values, rcond=None)[0])
