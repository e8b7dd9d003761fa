"""Why nothing is feasible: the constraint that no row satisfies, or the two that leave nothing together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse.experiment import Constraint, applies

Bools = npt.NDArray[np.bool_]


def conflict(constraints: Sequence[Constraint], rows: pd.DataFrame) -> str:
    """In words, for rows that no constraint was applied to; a pair before anything that takes three. Empty without rows."""
    held = [_held(constraint, rows) for constraint in constraints]
    for constraint, mask in zip(constraints, held, strict=True):
        if len(rows) and not mask.any():
            return f"none satisfies '{constraint}', {_nearest(constraint, rows)}"
    for (one, mask), (other, second) in combinations(zip(constraints, held, strict=True), 2):
        if len(rows) and not (mask & second).any():
            return f"{mask.sum():,} satisfy '{one}', {second.sum():,} '{other}', none both"
    return "every two of the constraints leave some, all together none" if len(rows) and len(held) > 2 else ""


def _held(constraint: Constraint, rows: pd.DataFrame) -> Bools:
    """Which rows satisfy it; a row whose technology has no such figure does."""
    held = np.asarray(constraint.holds(rows[constraint.column]), np.bool_)
    return np.asarray(~_bound(constraint, rows) | held)


def _bound(constraint: Constraint, rows: pd.DataFrame) -> Bools:
    known = {name: applies(constraint.column, name) for name in rows["technology"].unique()}
    return np.asarray(rows["technology"].map(known), np.bool_)


def _nearest(constraint: Constraint, rows: pd.DataFrame) -> str:
    values = rows.loc[_bound(constraint, rows), constraint.column]
    return f"they have {values.min():.4g} to {values.max():.4g}"
