"""Prices of the designs of a look under settings that differ in the clock only: linear energies, and silicon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from dse.estimates import Interval, forms_of
from dse.grid import Points
from dse.space import Block
from hwmodels.build import Build
from hwmodels.cost import silicon
from hwmodels.knobs import Knobs
from hwmodels.linear import Linear, energy_forms
from hwmodels.technology import technology


@dataclass(frozen=True, slots=True)
class Clocks:
    """Settings of one technology and memory, by clock: their numbers, slowest first."""

    technology: str
    memory: str
    memory_kib: int
    numbers: tuple[int, ...]
    clocks: tuple[float, ...]


def clock_groups(block: Block) -> tuple[Clocks, ...]:
    """All settings of a block, in groups."""
    found = []
    numbered = list(enumerate(block.settings))
    for key, some in groupby(numbered, key=lambda item: (item[1].technology, item[1].memory, item[1].memory_kib)):
        ordered = sorted((item.clock_mhz, number) for number, item in some)
        found.append(Clocks(*key, tuple(number for _, number in ordered), tuple(clock for clock, _ in ordered)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Prices:
    """Energies in pJ and silicon, over (outer points, *shape, ports) or what broadcasts to it.

    `corners`: the same for sets of designs, the least (of silicon also the most) over all cells that are at least as deep.
    """

    forms: Mapping[str, Linear]
    silicon: Mapping[str, Any]
    corner_forms: Mapping[str, Linear]
    corner_silicon: Mapping[str, Interval]

    @classmethod
    def of(cls, spread: Knobs, group: Clocks, columns: Sequence[str], orders: Sequence[Any]) -> Prices:
        """As far as these columns of a results table need them; `orders` sort the depths of the cells."""
        node = technology(group.technology)
        build = Build(knobs=spread, memory=group.memory, memory_kib=group.memory_kib, clock_mhz=1.0)
        energies, parts = energy_forms(build, node), silicon(build, node)
        forms = {name: energies[name] for name in forms_of(columns)}
        wanted = {name: parts[name] for name in (*columns, "max_clock_mhz", *node.limits) if name in parts}
        return cls(
            forms,
            wanted,
            {name: Linear({key: _over_deeper(value, orders, np.minimum) for key, value in form.coefficients.items()})
             for name, form in forms.items()},
            {name: Interval(_over_deeper(value, orders, np.minimum), _over_deeper(value, orders, np.maximum))
             for name, value in wanted.items()},
        )  # fmt: skip

    def at(self, points: Points) -> tuple[dict[str, Linear], dict[str, Interval]]:
        """Those of single designs."""
        found = {name: points.of(value) for name, value in self.silicon.items()}
        return _forms_at(self.forms, points), {name: Interval(value, value) for name, value in found.items()}

    def at_corners(self, points: Points) -> tuple[dict[str, Linear], dict[str, Interval]]:
        """Those of all cells at least as deep as the points, whose places count the depths in ascending order."""
        parts = {
            name: Interval(points.of(item.low), points.of(item.high)) for name, item in self.corner_silicon.items()
        }
        return _forms_at(self.corner_forms, points), parts


def _forms_at(forms: Mapping[str, Linear], points: Points) -> dict[str, Linear]:
    return {
        part: Linear({name: points.of(value) for name, value in form.coefficients.items()})
        for part, form in forms.items()
    }


def _over_deeper(values: Any, orders: Sequence[Any], reduce: Any) -> Any:
    """The least or most of every place and all deeper ones, depths sorted."""
    array = np.asarray(values, np.float64)
    if array.ndim == 0:
        return array
    for axis, order in enumerate(orders, start=1):
        if array.shape[axis] > 1:
            array = np.flip(reduce.accumulate(np.flip(np.take(array, order, axis=axis), axis), axis=axis), axis)
    return np.ascontiguousarray(array)
