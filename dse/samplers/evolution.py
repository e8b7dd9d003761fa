"""Optuna's NSGA-II and TPE (extra `search`) behind ask and tell."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from dse.samplers.protocol import Floats, Ints

BATCHES = {"nsga2": 50, "tpe": 10}
"""A generation of NSGA-II, and as many points as TPE draws at random before it begins; as Optuna has them by default."""


class Optuna:
    """A study of integer axes; what cannot be built is told as a failed trial."""

    def __init__(self, sizes: tuple[int, ...], objectives: int, seed: int, *, method: str) -> None:
        optuna, self.batch = _optuna(), BATCHES[method]
        makers = {"nsga2": optuna.samplers.NSGAIISampler, "tpe": partial(optuna.samplers.TPESampler, multivariate=True)}
        self._axes = {
            f"axis{axis:02}": optuna.distributions.IntDistribution(0, size - 1)
            for axis, size in enumerate(sizes)
            if size > 1
        }
        self._sizes, self._trials = sizes, list[Any]()
        with warnings.catch_warnings():
            # Optuna calls `multivariate` experimental: one model of all axes, not one of each; it asks thrice as fast (measured).
            warnings.simplefilter("ignore")
            chosen = makers[method](seed=seed)
        self._study = optuna.create_study(directions=["minimize"] * objectives, sampler=chosen)
        self._failed = optuna.trial.TrialState.FAIL

    def ask(self, count: int) -> Ints:
        self._trials = [self._study.ask(self._axes) for _ in range(count)]
        places = np.zeros((count, len(self._sizes)), np.int64)
        for row, trial in enumerate(self._trials):
            for name, value in trial.params.items():
                places[row, int(name.removeprefix("axis"))] = value
        return places

    def tell(self, values: Floats) -> None:
        for trial, row in zip(self._trials, values, strict=True):
            if np.isnan(row).any():
                self._study.tell(trial, state=self._failed)
            else:
                self._study.tell(trial, row.tolist())
        self._trials = []


def nsga2(sizes: tuple[int, ...], objectives: int, seed: int) -> Optuna:
    """Deb et al. 2002, as Optuna has it."""
    return Optuna(sizes, objectives, seed, method="nsga2")


def tpe(sizes: tuple[int, ...], objectives: int, seed: int) -> Optuna:
    """Tree-structured Parzen estimators, as Optuna has them."""
    return Optuna(sizes, objectives, seed, method="tpe")


def _optuna() -> Any:
    """The module, quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
