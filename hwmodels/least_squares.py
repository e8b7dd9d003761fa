"""Least squares with coefficients that are never negative: what a fit of physical parts needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def non_negative(matrix: Floats, values: Floats) -> Floats:
    """x >= 0 with the least |matrix x - values|^2: the active-set method of Lawson and Hanson, 1974, chapter 23.

    matrix: (points, features), values: (points,) -> (features,).
    """
    scale = np.maximum(np.linalg.norm(matrix, axis=0), 1e-12)
    matrix = matrix / scale
    used = np.zeros(matrix.shape[1], bool)
    x = np.zeros(matrix.shape[1])
    for _ in range(3 * matrix.shape[1]):
        gradient = np.where(used, -np.inf, matrix.T @ (values - matrix @ x))
        if used.all() or gradient.max() <= 1e-10:
            break
        used[gradient.argmax()] = True
        x = _step(matrix, values, used, x)
    return np.asarray(x / scale)


def relative(rows: Sequence[Mapping[str, Any]], values: Floats, scale: Floats) -> dict[str, float]:
    """Coefficients by feature, none negative, with the least squares of (features x - values) / scale; every row has the same features."""
    names = list(rows[0])
    matrix = np.array([[float(row[name]) for name in names] for row in rows]) / scale[:, None]
    return dict(zip(names, non_negative(matrix, values / scale).tolist(), strict=True))


def _step(matrix: Floats, values: Floats, used: npt.NDArray[np.bool_], x: Floats) -> Floats:
    """Least squares over the used columns; columns that would become negative are let go on the way there."""
    while True:
        wanted = np.zeros_like(x)
        wanted[used] = np.linalg.lstsq(matrix[:, used], values, rcond=None)[0]
        falling = used & (wanted <= 0)
        if not falling.any():
            return wanted
        step = np.min(x[falling] / np.maximum(x[falling] - wanted[falling], 1e-300))
        x = np.where(used, x + step * (wanted - x), 0.0)
        used &= x > 1e-12
        if not used.any():
            return np.zeros_like(x)
