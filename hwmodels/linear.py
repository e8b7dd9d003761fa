"""Prices as linear forms: the sums of `hwmodels.energy`, run once with names in the place of counts.

Every energy is a sum of count x price. Run with a `Linear` for every count, the same lines give the price of each: arrays that
depend on the knobs alone, so that a sweep takes them once for many activities, and bounds them over a part of the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hwmodels.activity import Activity, Cycles
from hwmodels.build import Build
from hwmodels.energy import energy_terms
from hwmodels.technology import Technology
from hwmodels.terms import total
from workloads.actions import Actions

Number = Any

CYCLES = "cycles"
"""The count that stands for the sum of all cycles by cause."""
DYNAMIC, LEAKAGE = "dynamic", "leakage"
"""Forms of the sum of all components but leakage, and of leakage, the only one that the clock enters."""
COMPONENTS = ("pe", "post", "buffer", "memory", "control", LEAKAGE)


@dataclass(frozen=True, slots=True)
class Linear:
    """Sum of coefficient x count, by the name of the count; coefficients are numbers or arrays over designs."""

    coefficients: Mapping[str, Number]

    __array_ufunc__ = None
    """numpy hands `array * form` on to the form."""

    def __mul__(self, factor: Number) -> Linear:
        return Linear({name: value * factor for name, value in self.coefficients.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: Number) -> Linear:
        return Linear({name: value / divisor for name, value in self.coefficients.items()})

    def __add__(self, other: Linear | float) -> Linear:
        """The sum; of plain numbers only zero can be added, as sums begin with it."""
        if not isinstance(other, Linear):
            if other != 0:
                raise TypeError(f"a linear form has no constant, so only 0 can be added, not {other}")
            return self
        names = dict.fromkeys((*self.coefficients, *other.coefficients))
        return Linear({name: self.coefficients.get(name, 0.0) + other.coefficients.get(name, 0.0) for name in names})

    __radd__ = __add__

    def of(self, counts: Mapping[str, Number]) -> Number:
        """The value at these counts."""
        return sum((value * counts[name] for name, value in self.coefficients.items()), 0.0)


def energy_forms(build: Build, technology: Technology) -> dict[str, Linear]:
    """pJ of every component, and DYNAMIC. The clock enters LEAKAGE alone, as cycles / clock_mhz: build with 1 MHz to put it in later."""
    symbols = {name: Linear({name: 1.0}) for name in COUNTED}
    named: Any = {item.name: symbols[item.name] for item in fields(Actions)}
    traffic: Any = {name: symbols[name] for name in TRAFFIC}
    cycles: Any = symbols[CYCLES]
    activity = Activity(cycles=Cycles(load_cycles=cycles), actions=Actions(**named), **traffic)
    terms = energy_terms(activity, build, technology)
    forms = {name: Linear({}) + total(terms, component=name) for name in COMPONENTS}
    return forms | {DYNAMIC: sum((forms[name] for name in COMPONENTS if name != LEAKAGE), Linear({}))}


TRAFFIC = ("memory_read_bits", "memory_write_bits")
COUNTED = (CYCLES, *(item.name for item in fields(Actions)), *TRAFFIC)
"""The counts that cost energy."""
