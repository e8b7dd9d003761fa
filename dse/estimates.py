"""What a column can be in a part of the space: intervals, from bounds of cycles and counts and from linear prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dse.variants import Variant
from hwmodels.linear import CYCLES, DYNAMIC, LEAKAGE, TRAFFIC, Linear

Number = Any
"""A number, or an array over parts of the space."""

SLACK = 1e-9
"""How far, relatively, an estimate may be from the stored figure: both are sums of some fifty float64 products of one sign, so
they differ by less than 1e-13; a search checks every row that it stores."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From low to high, both included."""

    low: Number
    high: Number

    def widened(self) -> Interval:
        """The same with SLACK at both ends, for figures that are not negative."""
        return Interval(self.low * (1 - SLACK), self.high * (1 + SLACK))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Designs under settings that differ in the clock: single ones (`exact`), or sets of which only the least cycles and counts
    are known.

    `forms` are `hwmodels.linear.energy_forms`, at their least over a set; `silicon` intervals of area or
    resources; `work_per_cycle` useful operations over what the grid could do in one cycle.
    """

    exact: bool
    counts: Mapping[str, Number]
    forms: Mapping[str, Linear]
    silicon: Mapping[str, Interval]
    work_per_cycle: Number
    clock_mhz: Interval
    variant: Variant
    energies: dict[str, Number] = field(default_factory=dict, compare=False)
    known: dict[str, Interval] = field(default_factory=dict, compare=False)

    def at(self, clock_mhz: float) -> Region:
        """The same at one clock."""
        return replace(self, clock_mhz=Interval(clock_mhz, clock_mhz), known={})

    def column(self, name: str) -> Interval:
        """What the column `name` of a results table can be; worked out once."""
        if name not in self.known:
            self.known[name] = self._column(name)
        return self.known[name]

    def _column(self, name: str) -> Interval:
        if name in self.silicon:
            return self.silicon[name]
        if name in CONSTANT:
            return self._same(name)
        if name == "latency_cycles":
            return self._cycles()
        if name == "latency_us":
            return self._latency()
        return self._derived(name).widened()

    def _derived(self, name: str) -> Interval:
        latency = self._latency()
        if name == "throughput_per_s":
            return Interval(1e6 / latency.high, 1e6 / latency.low)
        if name == "utilisation":
            cycles = self._cycles()
            return Interval(self.work_per_cycle / cycles.high, self.work_per_cycle / cycles.low)
        if name == "bandwidth_gbit_s":
            bits = self._at_least(sum(self.counts[item] for item in TRAFFIC))
            return Interval(bits.low / latency.high / 1000.0, bits.high / latency.low / 1000.0)
        energy = self._energy(name)
        if name == "power_mw":
            return Interval(energy.low / latency.high, energy.high / latency.low)
        return energy

    def _energy(self, name: str) -> Interval:
        """In nJ: only leakage depends on the clock, and the faster the less it is."""
        forms, clock = forms_of((name,)), self.clock_mhz
        fixed = sum(self._pj(part) for part in forms if part != LEAKAGE)
        leaking = self._pj(LEAKAGE) if LEAKAGE in forms else 0.0
        low = (fixed + leaking / clock.high) / 1000.0
        if not self.exact:
            return Interval(low, np.inf)
        return Interval(low, low if clock.low is clock.high else (fixed + leaking / clock.low) / 1000.0)

    def _pj(self, part: str) -> Number:
        """One form at the counts; leakage is that at 1 MHz. Worked out once for all clocks."""
        if part not in self.energies:
            self.energies[part] = self.forms[part].of(self.counts)
        return self.energies[part]

    def _same(self, name: str) -> Interval:
        value = self.variant.accuracy if name == "accuracy" else self.variant.network.weight_storage_bits / 8192
        return Interval(value, value)

    def _cycles(self) -> Interval:
        return self._at_least(self.counts[CYCLES])

    def _latency(self) -> Interval:
        cycles = self._cycles()
        return Interval(cycles.low / self.clock_mhz.high, cycles.high / self.clock_mhz.low)

    def _at_least(self, value: Number) -> Interval:
        return Interval(value, value if self.exact else np.inf)


def forms_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The energy forms that these columns of a results table are made of."""
    found: dict[str, None] = {}
    for name in columns:
        if name in ("energy_nj", "power_mw"):
            found |= dict.fromkeys((DYNAMIC, LEAKAGE))
        elif name.startswith("energy_"):
            found[name.removeprefix("energy_").removesuffix("_nj")] = None
    return tuple(found)


CONSTANT = ("accuracy", "model_kib")
"""Columns that are the same for all designs of a network."""


def stacked(numbers: Sequence[Number], count: int) -> Any:
    """(count, columns) float64 of numbers that may or may not be arrays."""
    found = np.empty((count, len(numbers)))
    for place, number in enumerate(numbers):
        found[:, place] = number
    return found
