"""Ask and tell: a sampler sees the sizes of the axes, a seed, and what became of its own points; never the evaluator or a file."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Sampler(Protocol):
    """Proposes points of a grid of axes; the same sizes, seed, batches and answers give the same points."""

    batch: int
    """Points that are best asked for at once: many where answers do not matter, a generation where they do."""

    def ask(self, count: int) -> Ints:
        """(count, axes) int64, every entry in 0..size - 1 of its axis. Every ask must be told before the next."""

    def tell(self, values: Floats) -> None:
        """What became of the points last asked for: (count, objectives), less is better, NaN where a point cannot be built."""


class MakesSampler(Protocol):
    """Begins a search."""

    def __call__(self, sizes: tuple[int, ...], objectives: int, seed: int) -> Sampler:
        """A sampler of a grid with so many values on each axis."""
