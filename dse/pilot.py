"""How long a search will take, told before it starts: measured on a few pieces of it, drawn from all over the space."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dse.experiment import Experiment
from dse.grid import Grid, Span
from dse.keep import Bars
from dse.search import search
from dse.variants import Variant

LARGE_CORES = 20_000
"""Cores from which an estimate is worth its second."""
PIECES, PIECE_CORES = 4, 256
LONG_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of the search as the quickest and the slowest of the pieces would have it, on so many workers."""

    rows: int
    least_seconds: float
    most_seconds: float
    workers: int

    @property
    def words(self) -> str:
        """One line, with what to do about a long one."""
        line = (
            f"space of {self.rows:.3g} designs: about {_duration(self.least_seconds)} to {_duration(self.most_seconds)} "
            f"on {self.workers} worker{'s' * (self.workers > 1)}"
        )
        if self.most_seconds < LONG_SECONDS:
            return line
        return f"{line}; `--keep front` where it is not asked for, fewer values or `--sampler nsga2` take less"


def estimate(
    experiment: Experiment,
    variants: Sequence[Variant],
    units: Sequence[Span],
    bars: Mapping[int, Bars],
    *,
    workers: int,
    machine_code: bool,
) -> Estimate | None:
    """Time pieces of the search with the bars that it will begin with; None for a space that is searched in seconds."""
    cores = [(unit.stop - unit.start) * Grid.of(unit.block).ports for unit in units]
    if sum(cores) < LARGE_CORES:
        return None
    drawn = np.random.default_rng(experiment.seed).choice(len(units), min(PIECES, len(units)), replace=False)
    rates = []
    for unit in (units[number] for number in drawn):
        ports = Grid.of(unit.block).ports
        piece = replace(unit, stop=min(unit.stop, unit.start + max(1, PIECE_CORES // ports)))
        began = time.perf_counter()
        search(experiment, variants[unit.block.network], piece, bars[unit.block.first_row], machine_code=machine_code)
        rates.append((time.perf_counter() - began) / ((piece.stop - piece.start) * ports))
    rows = sum(len(unit.rows) for unit in units)
    return Estimate(rows, min(rates) * sum(cores) / workers, max(rates) * sum(cores) / workers, workers)


def _duration(seconds: float) -> str:
    """In one unit that leaves a small number."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(1, round(seconds))} s"
