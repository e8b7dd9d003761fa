"""What a quantizer makes of a map, whichever node says it: the codes, where each level begins, what each code stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from workloads.encoded import Codes, Singles
from workloads.layers import max_code
from workloads.onnx_graph import Array
from workloads.thresholds import Ladder, Line

Levels = Callable[[Singles], npt.NDArray[np.integer]]
"""Unsigned codes of float32 values (channels or 1, n), computed as the executor of the file computes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Codes of `bits` planes, u = 0..highest. `ladders` and `lines` (value of an odd code) hold one entry, or one a channel."""

    where: str
    bits: int
    highest: int
    ladders: tuple[Ladder, ...]
    lines: tuple[Line, ...]
    levels: Levels

    def __post_init__(self) -> None:
        if self.highest < 1:
            raise ValueError(f"{self.where}: an activation must have at least two levels, not {self.highest + 1}")


class Emitting(Protocol):
    """A quantizer that has been read but not met its map."""

    def activation(self, channels: int, rank: int) -> Activation:
        """For a map (batch, channels, ...) of so many axes. Raises ValueError where parameters do not fit it."""


def channel_array(
    where: str, array: Array, channels: int, rank: int, *, axis: int | None = 1, vector: bool = False
) -> Array:
    """A constant as (1,) or (channels,) numbers; ValueError if it varies along another axis than that of the channels (None: any).

    Broadcasting aligns the last axes, so a plain vector is per channel only for matrices; a BatchNormalization and
    a bias name the channels themselves (`vector`).
    """
    behind = rank - 1 - (axis or 0)
    aligned = array.reshape(-1, *(1,) * behind) if vector and array.ndim == 1 else array
    shape = (1,) * (rank - aligned.ndim) + aligned.shape
    if (
        len(shape) != rank
        or shape[axis or 0] not in (1, channels)
        or array.size != shape[axis or 0]
        or (axis is None and array.size > 1)
    ):
        raise ValueError(
            f"{where}: constants must be one number or {channels}, one per channel, not of shape {array.shape}"
        )
    return array.ravel()


def exact_numbers(array: Array, channels: int) -> list[Fraction]:
    """What `channel_array` gives, as one exact number a channel."""
    return [Fraction(value) for value in np.broadcast_to(array, (channels,)).tolist()]


def level_line(bits: int, lowest: Fraction, distance: Fraction) -> Line:
    """The value of an odd code c where u = (c + 2^M - 1) / 2 stands for lowest + distance * u."""
    return Line(distance / 2, lowest + distance * max_code(bits) / 2)


def codes_of(bits: int, highest: int, lines: Sequence[Line]) -> Codes | None:
    """The codes that say the same as these lines, or None where they differ, fall, or have no integer offset."""
    line = lines[0]
    if any(other != line for other in lines[1:]) or line.slope <= 0:
        return None
    offset = line.intercept / line.slope
    if offset.denominator != 1 or Fraction(float(line.slope)) != line.slope:
        return None
    return Codes(bits=bits, step=float(line.slope), offset=int(offset), highest=highest)
