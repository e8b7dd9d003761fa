"""Scale search: the step of a quantizer that fits given values best, for weights by channel and for activations as a whole.

    value = step * (c + offset),  c odd in -(2^b - 1)..2^b - 1

Symmetric codes have offset 0 (arXiv:1905.13389, Eq. 15, times a scale), unsigned ones offset 2^b - 1, so that zero is a code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.layers import check_bits

Values = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

PERCENTILE = 99.9
"""Share of the magnitudes that `percentile` keeps inside the range, in per cent."""

CANDIDATES = np.linspace(0.02, 1.0, 99)
"""Shares of the largest magnitude that `mse` tries as the end of the range."""


def quantized(values: Values, step: Floats, bits: int, *, signed: bool) -> Floats:
    """Values (channels, n) rounded to their codes and back, with a step (channels, 1): ties to even levels, ends clipped."""
    top = 2**bits - 1
    shift = top / 2 if signed else 0.0
    if bits == 1 and signed:
        return np.asarray(np.where(values >= 0, step, -step))
    return np.asarray((np.clip(np.rint(values / (2 * step) + shift), 0, top) - shift) * 2 * step)


def least_error_steps(values: Values, bits: int, *, signed: bool) -> Floats:
    """The step of every row of (channels, n) with the least mean squared error: the best of 99 ends of the range.

    One symmetric bit needs no search: the mean magnitude is the minimum.
    """
    if bits == 1 and signed:
        return _positive(np.abs(values).mean(axis=1))
    full = largest_steps(values, bits, signed=signed)
    errors = np.stack([_errors(values, full * share, bits, signed) for share in CANDIDATES])
    return np.asarray(full * CANDIDATES[errors.argmin(axis=0)])


def percentile_steps(values: Values, bits: int, *, signed: bool) -> Floats:
    """The step of every row whose range ends at the 99.9th percentile of the magnitudes (of the values, if unsigned)."""
    sizes = np.abs(values) if signed else np.maximum(values, 0)
    return _positive(np.percentile(sizes, PERCENTILE, axis=1)) / _reach(bits, signed)


def largest_steps(values: Values, bits: int, *, signed: bool) -> Floats:
    """The step of every row that clips nothing."""
    return _positive((np.abs(values) if signed else np.maximum(values, 0)).max(axis=1)) / _reach(bits, signed)


METHODS: Mapping[str, Callable[..., Floats]] = MappingProxyType(
    {"mse": least_error_steps, "percentile": percentile_steps, "max": largest_steps}
)
"""Ways to choose a step: (values (channels, n), bits, signed=) -> steps (channels,)."""


def find_steps(values: Values, bits: int, method: str, *, signed: bool) -> Floats:
    """Steps (channels,) of values (channels, n). Raises ValueError for an unknown method, no value, or one that is no number."""
    check_bits("calibration", bits=bits)
    if method not in METHODS:
        raise ValueError(f"calibration: the method must be one of {', '.join(METHODS)}, not {method!r}")
    if not values.size or not np.isfinite(values).all():
        raise ValueError("calibration: values must be finite numbers, and at least one")
    return METHODS[method](values, bits, signed=signed)


def sqnr_db(values: Values, rounded: Floats) -> float:
    """Signal to quantization noise, 10 log10(sum v^2 / sum (v - q)^2); infinite where nothing is lost."""
    noise, signal = float(((values - rounded) ** 2).sum()), float((values.astype(np.float64) ** 2).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _errors(values: Values, steps: Floats, bits: int, signed: bool) -> Floats:
    return np.asarray(((values - quantized(values, steps[:, None], bits, signed=signed)) ** 2).mean(axis=1))


def _reach(bits: int, signed: bool) -> int:
    """The largest level in steps: 2^b - 1, or twice that where codes begin at zero."""
    return ((1 << bits) - 1) * (1 if signed else 2)


def _positive(sizes: Values) -> Floats:
    """All-zero rows take any step."""
    return np.asarray(np.where(sizes > 0, sizes, 1.0), np.float64)
