"""Every point of the grid equally likely: the search that others must beat."""

from __future__ import annotations

import numpy as np

from dse.samplers.protocol import Floats, Ints


class Uniform:
    """Seeded, independent draws."""

    batch = 4096

    def __init__(self, sizes: tuple[int, ...], objectives: int, seed: int) -> None:
        del objectives
        self._sizes, self._random = sizes, np.random.default_rng(seed)

    def ask(self, count: int) -> Ints:
        return self._random.integers(0, self._sizes, size=(count, len(self._sizes)))

    def tell(self, values: Floats) -> None:
        del values
