"""The graph input on its way to its quantizer: what the host computes in float32, and the inputs at which its codes change.

A file may scale and shift its input before quantizing it (2 x - 1, a mean and a deviation). Each of those steps is monotone in
float32 too, rounding included, so level j begins at one float32 number: bisection over all of them finds it, and the host
needs neither the steps nor their rounding to give exactly the codes that the file's own executor gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Codes, HostLevels, Singles
from workloads.encoding import quantize_unsigned
from workloads.layers import Shape
from workloads.onnx_activation import Activation, Levels
from workloads.thresholds import Curve
from workloads.views import View

Step = Callable[[Singles], Singles]
"""One float32 operation on rows (channels or 1, n)."""

LARGEST = int(np.float32(2.0**100).view(np.int32))
"""Inputs beyond 2^100 are taken for as large: nothing in between overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawInput:
    """The graph input, or what steps have made of it. `curves` say the same as `steps`, exactly, one a channel of `shape`.

    `flatten` names the node that made (batch, features) of it.
    """

    shape: Shape
    curves: tuple[Curve, ...]
    flat: bool
    flatten: str | None = None
    view: View | None = None
    steps: tuple[Step, ...] = ()

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the map."""
        return self.shape

    @property
    def channels(self) -> int:
        """Channels, or features of a matrix."""
        return len(self.curves)

    def scaled(self, slopes: Sequence[Fraction], intercepts: Sequence[Fraction]) -> RawInput:
        """The input followed by slope * x + intercept, one of each a channel; the float32 step is added by `stepped`."""
        curves = [curve.scaled(a, b) for curve, a, b in zip(self.curves, slopes, intercepts, strict=True)]
        return replace(self, curves=tuple(curves))

    def spread(self, positions: int) -> RawInput:
        """Every channel as so many features."""
        return replace(self, steps=tuple(_widened(step, self.channels, positions) for step in self.steps))

    def stepped(self, step: Step) -> RawInput:
        """The same after one more float32 operation."""
        return replace(self, steps=(*self.steps, step))


def _widened(step: Step, channels: int, positions: int) -> Step:
    """A step on rows of channels as one on rows of features."""

    def wide(values: Singles) -> Singles:
        if len(values) > 1:
            return step(values.reshape(channels, -1)).reshape(values.shape)
        found = step(values)
        return found if len(found) == 1 else np.repeat(found, positions, axis=0)

    return wide


def host_levels(source: RawInput, activation: Activation) -> HostLevels:
    """Where the unsigned code of a float32 input changes, per channel, or once where all agree."""

    def levels(values: Singles) -> npt.NDArray[Any]:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for step in source.steps:
                values = step(values)
        if np.isnan(values).any():
            raise ValueError(f"{activation.where}: arithmetic on the graph input must not give NaN")
        return activation.levels(values)

    return _search(levels, activation.highest)


def are_nearest(levels: HostLevels, codes: Codes) -> bool:
    """Whether the host may as well take the nearest code, as `encoding.quantize` does."""
    nearest = _search(lambda values: quantize_unsigned(values, codes).astype(np.int64), int(codes.highest or 0))
    return np.array_equal(nearest.values, levels.values) and np.array_equal(nearest.sign, levels.sign)


def _search(levels: Levels, highest: int) -> HostLevels:
    ends = levels(_floats(np.array([[-LARGEST, LARGEST]])))
    sign = np.where(ends[:, 0] > ends[:, 1], -1, 1)
    wanted = np.arange(1, highest + 1)
    low = np.full((len(sign), highest), -LARGEST - 1)
    high = np.full((len(sign), highest), LARGEST + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = (levels(_floats(sign[:, None] * middle)) >= wanted) & (middle >= -LARGEST)
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    values = np.where(high > LARGEST, np.inf, np.where(high == -LARGEST, -np.inf, _floats(high))).astype(np.float32)
    if (values == values[:1]).all() and (sign == sign[0]).all():
        sign, values = sign[:1], values[:1]
    return HostLevels(sign, values)


def _floats(keys: npt.NDArray[np.int64]) -> Singles:
    """float32 numbers in the order of integers: key k is the k-th from zero."""
    sizes = np.minimum(np.abs(keys), LARGEST).astype(np.int32).view(np.float32)
    return np.asarray(np.where(keys < 0, -sizes, sizes), np.float32)
