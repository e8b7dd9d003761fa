"""Which columns a choice of bits can be judged by: sums over layers, and constants of the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dse.bits.costs import FJ_PER_NJ, StepCosts
from dse.bits.losses import UNIT
from dse.experiment import Constraint
from hwmodels.build import Build
from hwmodels.cost import silicon
from hwmodels.design import Design
from hwmodels.technology import technology

LOSS = "loss"
SUMS: Mapping[str, str] = MappingProxyType(
    {"latency_cycles": "latency", "latency_us": "latency", "energy_nj": "energy", "model_kib": "size", LOSS: LOSS}
)
"""Columns that add up over layers, and the integer cost behind each."""
BUILT = ("area_mm2", "lut", "ff", "bram36", "dsp")
"""Columns that bits do not change once a design is built."""
MOST_SUMS = 3
SLACK = 1e-9
"""Relative, so that rounding of a bound in other units drops no point that meets it."""


@dataclass(frozen=True, slots=True)
class Goals:
    """Columns to be small, and constraints; `sums` are the integer costs that the search must carry for both."""

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    def __post_init__(self) -> None:
        known = (*SUMS, *BUILT)
        for name in self.objectives:
            if name not in known:
                raise ValueError(f"bits: objectives must be of {', '.join(known)}, not {name!r}")
        for limit in self.constraints:
            if limit.column not in known:
                raise ValueError(f"bits: constraints must be on {', '.join(known)}, not {str(limit)!r}")
            if limit.column in SUMS and limit.operator not in ("<=", "<"):
                raise ValueError(f"bits: a constraint on {limit.column} must be a largest value, not {str(limit)!r}")
        if not any(name in SUMS and name != LOSS for name in self.objectives):
            raise ValueError(
                f"bits: objectives must hold one of {', '.join(SUMS)} beside the loss, not only {', '.join(self.objectives)}"
            )
        if len(self.sums) > MOST_SUMS:
            raise ValueError(
                f"bits: objectives and constraints must be on at most {MOST_SUMS} of {', '.join(dict.fromkeys(SUMS.values()))}, "
                f"not on {len(self.sums)}"
            )

    @property
    def sums(self) -> tuple[str, ...]:
        """Costs of the objectives first, then those that only constraints need."""
        wanted = [*self.objectives, *(limit.column for limit in self.constraints)]
        return tuple(dict.fromkeys(SUMS[name] for name in wanted if name in SUMS))

    @property
    def judged(self) -> int:
        """How many of `sums` belong to objectives."""
        return len({SUMS[name] for name in self.objectives if name in SUMS})

    def caps(self, design: Design) -> tuple[float, ...]:
        """The largest integer that each of `sums` may be on a design."""
        return tuple(
            min((_cap(limit, design) for limit in self.constraints if SUMS.get(limit.column) == name), default=np.inf)
            for name in self.sums
        )

    def built(self, design: Design) -> bool:
        """Whether a design satisfies the constraints on what is built; those on figures that its technology lacks do not bind."""
        parts = silicon(Build.of(design), technology(design.technology))
        return all(
            bool(limit.holds(parts[limit.column])) or bool(np.isnan(parts[limit.column]))
            for limit in self.constraints
            if limit.column in BUILT
        )


def _cap(limit: Constraint, design: Design) -> float:
    bound = limit.bound / scale(limit.column, design)
    return float(np.floor(bound * (1 + SLACK)) if limit.operator == "<=" else np.ceil(bound * (1 - SLACK)) - 1)


def scale(column: str, design: Design) -> float:
    """A column's value of one integer unit of its cost."""
    return {
        "latency_cycles": 1.0,
        "latency_us": 1 / design.clock_mhz,
        "energy_nj": 1 / FJ_PER_NJ,
        "model_kib": 1 / 8192,
        LOSS: UNIT,
    }[column]


def totals(
    costs: Sequence[StepCosts], places: Sequence[Sequence[npt.NDArray[np.int64]]], name: str
) -> npt.NDArray[np.int64]:
    """(points,) sums of a cost over steps at (M read, K, M written) places of each."""
    return np.asarray(
        sum(found.costs[name][tuple(place)] for found, place in zip(costs, places, strict=True)), np.int64
    )
