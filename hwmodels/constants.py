"""A number of the models with its unit, its source and, where one is known, the range that it may lie in; DRAM by type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Constant:
    """A number with its unit and where it comes from; `low` and `high` where a source or an assumption gives a range."""

    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        low, high = self.span
        if not low <= 1 <= high:
            raise ValueError(f"constant: value must lie within {self.low} and {self.high}, not {self.value}")

    @property
    def span(self) -> tuple[float, float]:
        """Low and high as multiples of the value: 1 where no range is known."""
        return (
            1.0 if self.low is None else self.low / self.value,
            1.0 if self.high is None else self.high / self.value,
        )

    def scaled(self, factor: float, note: str) -> Constant:
        """The same times a factor, range and all, with a note on the source."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Constant(self.value * factor, self.unit, self.source + note, low, high)


def assumed(value: float, unit: str, what: str, *, within: float) -> Constant:
    """A value without a source, taken to be right within a factor."""
    return Constant(value, unit, f"{ASSUMED}: {what}, within {within:g}x", value / within, value * within)


# H14 as in technology.py. CP = Accelergy-Project/accelergy-cacti-plug-in @ 02cd6de, cacti_wrapper.py, which names the papers.
OFF_CHIP: Mapping[str, Constant] = MappingProxyType({
    "dram_energy": Constant(
        1300 / 64, "pJ/bit", "H14 DRAM 1300-2600 pJ per access, lower end; 64 bit an access is assumed", high=2600 / 64
    ),
    "ddr3_energy": Constant(70.0, "pJ/bit", "Malladi et al., ISCA 2012, as transcribed in CP"),
    "lpddr_energy": Constant(40.0, "pJ/bit", "Malladi et al., ISCA 2012, as transcribed in CP"),
    "lpddr4_energy": Constant(8.0, "pJ/bit", "CP, which says no more than public data"),
    "gddr5_energy": Constant(14.0, "pJ/bit", "Chatterjee et al., MICRO 2017, as transcribed in CP"),
    "hbm2_energy": Constant(3.9, "pJ/bit", "Chatterjee et al., MICRO 2017, as transcribed in CP"),
})  # fmt: skip
"""Reads and writes of memory off the chip, by type. They do not scale with the node of the logic."""
