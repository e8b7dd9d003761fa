"""Which knob moves which objective, from the rows that a sweep drew at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dse.compare import swept_technology
from dse.experiment import Experiment
from dse.explanation import experiment_of
from dse.front import shared
from dse.report import sample
from dse.results import Results
from dse.space import Space

AXES = tuple(Space.__dataclass_fields__)
LEAST_ROWS = 10
EVEN = ("random", "halton")
"""Samplers whose designs are a fair sample of the space."""


def sensitivity(opened: Results, *, technology: str | None = None, objectives: Sequence[str] = ()) -> pd.DataFrame:
    """One row an objective and swept knob, strongest first, over at most 3000 rows drawn uniformly.

    `share`: how much of the variance of the logarithm of the objective lies between the values of the knob (the correlation
    ratio eta squared; interactions make the shares of all knobs add up to less than one). `factor`: the largest geometric mean
    over the values, divided by the least. Raises ValueError for an unknown objective or too few rows.
    """
    experiment = experiment_of(opened)
    chosen = swept_technology(experiment, technology)
    rows = sample(opened, chosen, experiment.seed)
    if len(rows) < LEAST_ROWS:
        raise ValueError(
            f"{opened.path}: must hold at least {LEAST_ROWS} rows in {chosen} to tell what moves them, not {len(rows)}"
        )
    names = shared(tuple(objectives) or experiment.objectives, chosen)
    return effects(rows, knobs(experiment, rows), names)


def drawn(opened: Results) -> str:
    """Where the rows come from, for no share means more than they do."""
    sampling = opened.manifest["sampling"]
    if not sampling:
        return "rows drawn uniformly from the space"
    kind = "spread evenly over the space" if sampling["sampler"] in EVEN else "gathered where it found good ones"
    return f"designs that the sampler {sampling['sampler']} asked for, {kind}"


def knobs(experiment: Experiment, rows: pd.DataFrame) -> tuple[str, ...]:
    """The network, and the knobs that were swept over more than one value, where they vary in the rows."""
    swept = (name for name in AXES if len(getattr(experiment.space, name)) > 1)
    return tuple(name for name in ("network", *swept) if name in rows.columns and rows[name].nunique() > 1)


def effects(rows: pd.DataFrame, names: Sequence[str], objectives: Sequence[str]) -> pd.DataFrame:
    """share and factor of every knob for every objective that is positive and not constant."""
    found = [
        {"objective": objective, "knob": name, "share": share, "factor": factor}
        for objective in objectives
        for name in names
        for share, factor in [_effect(rows[name].astype(str), rows[objective].astype(float))]
        if share == share
    ]
    table = pd.DataFrame(found, columns=["objective", "knob", "share", "factor"])
    order = {name: place for place, name in enumerate(objectives)}
    place = table["objective"].map(order)
    return table.iloc[np.lexsort((-table["share"], place))].reset_index(drop=True)


def _effect(knob: pd.Series, objective: pd.Series) -> tuple[float, float]:
    known = objective > 0
    logs = np.log(objective[known])
    total = float(((logs - logs.mean()) ** 2).sum())
    if total <= 0:
        return float("nan"), float("nan")
    groups = logs.groupby(knob[known])
    means, sizes = groups.mean(), groups.size()
    between = float((sizes * (means - logs.mean()) ** 2).sum())
    return between / total, float(np.exp(means.max() - means.min()))
