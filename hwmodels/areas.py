"""Areas and resources fitted to synthesis: structural features of every unit times coefficients, with the range of the fit.

The coefficients are least squares, relative to what was measured, over the points of a characterization table: each unit by
itself and none negative, then `glue` over the engines and frames less the units in them, of either sign, because units share
registers when an engine is flattened.

LUTs of popcounts, and LUTs and area of multipliers, are not smooth: equal structures of 48 and of 40 bits differ by a fifth a bit.
There the table itself is part of the fit: what a bit took beside the structure, at every width (or pair of code widths) that was
synthesized, and linear in between. Nothing else is learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hwmodels.least_squares import Floats, non_negative
from hwmodels.structure import CONSTANT, ONLY, REGISTER, REPEATED, UNEVEN, UNITS, Machine, Number, counts, features_of
from hwmodels.synthesis.table import Row, Table, shipped_table

RESOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType({"asic": ("area_um2", "ff"), "fpga": ("lut", "ff")})
"""What is fitted, by kind of technology. LUTs include those used as small memories; multipliers are built of LUTs as well."""
PES = {"array": "pe", "mac": "pe_mac"}
PARTS = {"frame": frozenset(UNITS) - set(PES.values()), "engine": frozenset(UNITS)}
"""Blocks that are several units."""
RANGE = {
    "pe": ("width", "lanes_a", "lanes_w"),
    "pe_mac": ("width", "max_act_bits", "max_weight_bits"),
    "grid": ("rows", "cols"),
}
"""Knobs whose range a fit states, by the block whose points set it."""
STIFFNESS = 0.25
"""As much a bit beside the structure as a bit takes on average weighs as this relative error: the structure explains what it can."""


@dataclass(frozen=True, slots=True)
class Uneven:
    """What a bit takes beside the structure, at the widths, or pairs of code widths, that were synthesized; `places` rise."""

    places: tuple[float, ...]
    amounts: tuple[float, ...]

    def at(self, place: Number) -> Number:
        """Linear between the places, the same beyond them."""
        return np.interp(place, self.places, self.amounts)


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of one target: by resource, then unit, then feature; what is beside the structure, by resource and unit; and
    lowest and highest knob of its points, by block."""

    target: str
    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]
    uneven: Mapping[str, Mapping[str, Uneven]]
    ranges: Mapping[str, Mapping[str, tuple[int, int]]]

    def unit(self, resource: str, unit: str, k: Machine) -> Number:
        """Amount of a resource that one unit takes."""
        found = self.coefficients[resource][unit]
        smooth = sum(value * found[name] for name, value in UNITS[unit](k).items() if name in found)
        beside = self.uneven.get(resource, {}).get(unit)
        return smooth if beside is None else smooth + UNEVEN[unit].bits(k) * beside.at(UNEVEN[unit].place(k))

    def block(self, resource: str, block: str, k: Machine) -> Number:
        """The same of a block of the characterization: a unit, the frame, or a whole engine without its memories."""
        if block not in PARTS:
            return self.unit(resource, block, k)
        return sum(many * self.unit(resource, unit, k) for unit, many in counts(k).items() if unit in PARTS[block])

    def outside(self, k: Machine) -> npt.NDArray[np.bool_]:
        """Whether a machine has a knob below or above every point that the fit was made from."""
        return self._beyond(k, {**self.ranges["grid"], **self.ranges[PES[k.kind]]})

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
    chosen = [row for row in (table.rows if rows is None else rows) if row.counted]
    target, resources = table.head["target"], RESOURCES[table.head["kind"]]
    points = _by_unit(chosen, target)
    parts = {resource: {unit: _parts(unit, resource, points[unit]) for unit in points} for resource in resources}
    coefficients = {
        resource: {unit: smooth for unit, (smooth, _) in units.items()} for resource, units in parts.items()
    }
    uneven = {
        resource: {unit: beside for unit, (_, beside) in units.items() if beside} for resource, units in parts.items()
    }
    known = Fit(target, coefficients, uneven, {block: _span(chosen, block) for block in RANGE})
    glue = {resource: _glue(known, resource, chosen) for resource in resources}
    return replace(known, coefficients={name: {**coefficients[name], "glue": glue[name]} for name in resources})


def _by_unit(rows: Sequence[Row], target: str) -> dict[str, list[Row]]:
    found = {unit: [row for row in rows if row.point.block == unit] for unit in UNITS if unit != "glue"}
    missing = [unit for unit, points in found.items() if not points]
    if missing:
        raise ValueError(
            f"target {target}: a fit needs a finished point of every unit, but there is none of {missing[0]}"
        )
    if not any(row.point.block in PARTS for row in rows):
        raise ValueError(f"target {target}: a fit needs a finished frame or engine, but there is none")
    return found


def _span(rows: Sequence[Row], block: str) -> dict[str, tuple[int, int]]:
    designs = [row.point.design for row in rows if row.point.block == block]
    values = {name: [int(getattr(design, name)) for design in designs] for name in RANGE[block]}
    return {name: (min(found), max(found)) for name, found in values.items() if found}


@cache
def fitted(target: str) -> Fit:
    """The fit of a table that comes with the package. Raises ValueError listing the targets."""
    return fit(shipped_table(target))


def fit_unit(unit: str, resource: str, rows: Sequence[Row]) -> Fit:
    """One unit and resource alone, from the unit's points."""
    smooth, beside = _parts(unit, resource, rows)
    return Fit("", {resource: {unit: smooth}}, {resource: {unit: beside} if beside else {}}, {})


def _parts(unit: str, resource: str, rows: Sequence[Row]) -> tuple[dict[str, float], Uneven | None]:
    """Coefficients by feature, and what is beside them where the unit is not smooth."""
    if unit in UNEVEN and resource in UNEVEN[unit].resources:
        return _uneven(unit, resource, rows)
    return _smooth(unit, resource, rows), None


def _smooth(unit: str, resource: str, rows: Sequence[Row]) -> dict[str, float]:
    """Coefficients of one unit by feature."""
    values = np.array([measured(row, resource) for row in rows])
    names, matrix = _features(unit, resource, rows)
    weights = 1.0 / np.maximum(values, 1.0)
    return _named(names, non_negative(matrix * weights[:, None], values * weights))


def _uneven(unit: str, resource: str, rows: Sequence[Row]) -> tuple[dict[str, float], Uneven]:
    """Of one unit: coefficients by feature, and what a bit takes beside them at every place that its points have.

    One least squares over both. What a bit takes beside the structure is of either sign: the difference of two that are not.
    """
    values = np.array([measured(row, resource) for row in rows])
    names, matrix = _features(unit, resource, rows)
    designs, table = [row.point.design for row in rows], UNEVEN[unit]
    at, bits = (np.array([float(find(design)) for design in designs]) for find in (table.place, table.bits))
    places = np.unique(at)
    beside = bits[:, None] * (at[:, None] == places)
    known = np.hstack([matrix, beside, -beside]) / values[:, None]
    weight = STIFFNESS * bits.sum() / values.sum() * np.eye(len(places))
    stiff = np.hstack([np.zeros((len(places), len(names))), weight, -weight])
    found = non_negative(np.vstack([known, stiff]), np.concatenate([np.ones(len(rows)), np.zeros(len(places))]))
    more, less = np.split(found[len(names) :], 2)
    return _named(names, found[: len(names)]), Uneven(tuple(places.tolist()), tuple((more - less).tolist()))


def _glue(known: Fit, resource: str, rows: Sequence[Row]) -> dict[str, float]:
    """What frames and engines have beyond their units, of either sign; an engine weighs as a frame does."""
    wholes = [row for row in rows if row.point.block in PARTS]
    bare = replace(known, coefficients={resource: {**known.coefficients[resource], "glue": {}}})
    values = np.array([measured(row, resource) for row in wholes])
    parts = np.array([float(bare.block(resource, row.point.block, row.point.design)) for row in wholes])
    names, matrix = _features("glue", resource, wholes)
    found = np.linalg.lstsq(matrix / values[:, None], (values - parts) / values, rcond=None)[0]
    return _named(names, np.asarray(found))


def _features(unit: str, resource: str, rows: Sequence[Row]) -> tuple[list[str], Floats]:
    """Names, and (rows, names). Flip-flops have no features but those that are counted."""
    table = [features_of(unit, row.point.design) for row in rows]
    others = frozenset().union(*(ONLY[other] for other in ONLY if other != resource))
    if resource == "ff":
        names = [name for name in table[0] if name in (REGISTER, REPEATED, CONSTANT)]
    else:
        names = [name for name in table[0] if name not in others]
    return names, np.array([[float(row[name]) for name in names] for row in table])


def _named(names: Sequence[str], found: Floats) -> dict[str, float]:
    return dict(zip(names, found.tolist(), strict=True))
