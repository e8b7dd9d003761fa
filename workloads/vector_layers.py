"""Layers without weights that compute on codes: what the vector unit does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, prod
from typing import Literal

from workloads.checks import (
    Pads,
    Pair,
    Shape,
    check_bits,
    check_out_bits,
    check_pair,
    check_shape,
    max_code,
    output_size,
    signed_bits,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A window over each channel: `max` keeps the largest code, `average` sums codes for thresholds to divide.

    Padded positions never win a maximum; an average pool takes no padding. An average over one position requantizes a map.
    """

    name: str
    kind: Literal["max", "average"]
    in_shape: Shape
    kernel: Pair
    act_bits: int
    out_bits: int | None
    stride: Pair = (1, 1)
    padding: Pads = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        if self.kind not in ("max", "average"):
            raise ValueError(f"{where}: kind must be 'max' or 'average', not {self.kind!r}")
        check_shape(where, self.in_shape)
        for name in ("kernel", "stride"):
            check_pair(where, name, getattr(self, name))
        check_bits(where, act_bits=self.act_bits)
        check_out_bits(where, self.out_bits)
        if self.kind == "max":
            _check_kept(where, "a max pool", self.act_bits, self.out_bits)
        if any(pad < 0 for pad in self.padding):
            raise ValueError(f"{where}: padding must be >= 0, not {self.padding}")
        if self.kind == "average" and any(self.padding):
            raise ValueError(f"{where}: an average pool must have no padding, not {self.padding}")
        top, left, bottom, right = self.padding
        if max(top, bottom) >= self.kernel[0] or max(left, right) >= self.kernel[1]:
            raise ValueError(f"{where}: padding must be smaller than the kernel {self.kernel}, not {self.padding}")
        if min(self.out_shape) < 1:
            raise ValueError(f"{where}: the kernel must fit the padded input, but the output would be {self.out_shape}")

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        top, left, bottom, right = self.padding
        channels, height, width = self.in_shape
        return (
            channels,
            output_size(height, self.kernel[0], stride=self.stride[0], before=top, after=bottom),
            output_size(width, self.kernel[1], stride=self.stride[1], before=left, after=right),
        )

    @property
    def acc_bound(self) -> int:
        """Largest |value|: one code for max, the sum of a window for average."""
        return (prod(self.kernel) if self.kind == "average" else 1) * max_code(self.act_bits)

    @property
    def acc_bits(self) -> int:
        """Signed width of the running value."""
        return signed_bits(self.acc_bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """The weighted sum a_1 c_1 + a_2 c_2 of two maps of equal shape and bits (a residual connection), followed by thresholds.

    Multipliers other than 1 bring maps of unlike steps together; the vector unit adds a word once for every bit set in them.
    """

    name: str
    in_shape: Shape
    act_bits: int
    out_bits: int | None
    multipliers: Pair = (1, 1)

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_shape(where, self.in_shape)
        check_bits(where, act_bits=self.act_bits)
        check_out_bits(where, self.out_bits)
        if not all(self.multipliers):
            raise ValueError(f"{where}: multipliers must not be 0, but are {self.multipliers}")

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        return self.in_shape

    @property
    def additions(self) -> int:
        """Words added per word of the output."""
        return sum(abs(multiplier).bit_count() for multiplier in self.multipliers)

    @property
    def acc_bound(self) -> int:
        """(|a_1| + |a_2|) (2^M - 1)."""
        return sum(map(abs, self.multipliers)) * max_code(self.act_bits)

    @property
    def acc_bits(self) -> int:
        """Signed width of the sum of two codes."""
        return signed_bits(self.acc_bound)


Taps = tuple[tuple[int, int], ...]
"""Where an output of one axis comes from: (input coordinate, integer weight)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsample:
    """A map enlarged by whole factors: `nearest` hands codes on, `linear` sums codes with integer weights.

    Along an axis of n inputs and factor f, output i stands at input coordinate x(i), clamped to the map:

        half_pixel     (i + 1/2) / f - 1/2        weights in units of 1 / (2 f)
        asymmetric     i / f                      1 / f
        align_corners  i (n - 1) / (n f - 1)      1 / (n f - 1)

    and takes share x - floor(x) from the right neighbour. `nearest` is input i // f, whatever the coordinates.
    """

    name: str
    kind: Literal["nearest", "linear"]
    in_shape: Shape
    factor: Pair
    act_bits: int
    out_bits: int | None
    coordinates: Literal["half_pixel", "asymmetric", "align_corners"] = "half_pixel"

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        if self.kind not in ("nearest", "linear"):
            raise ValueError(f"{where}: kind must be 'nearest' or 'linear', not {self.kind!r}")
        if self.coordinates not in ("half_pixel", "asymmetric", "align_corners"):
            raise ValueError(
                f"{where}: coordinates must be 'half_pixel', 'asymmetric' or 'align_corners', not {self.coordinates!r}"
            )
        check_shape(where, self.in_shape)
        check_pair(where, "factor", self.factor)
        check_bits(where, act_bits=self.act_bits)
        check_out_bits(where, self.out_bits)
        if self.kind == "nearest":
            _check_kept(where, "a nearest neighbour", self.act_bits, self.out_bits)

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        channels, height, width = self.in_shape
        return (channels, height * self.factor[0], width * self.factor[1])

    @property
    def denominators(self) -> Pair:
        """What the weights of an output add up to, along each axis."""
        if self.kind == "nearest":
            return (1, 1)
        if self.coordinates == "align_corners":
            return (max(1, self.out_shape[1] - 1), max(1, self.out_shape[2] - 1))
        halves = 2 if self.coordinates == "half_pixel" else 1
        return (halves * self.factor[0], halves * self.factor[1])

    def taps(self, axis: int) -> tuple[Taps, ...]:
        """For every output along axis 0 (rows) or 1 (columns): one or two taps, weights in units of 1 / denominator."""
        size, factor = self.in_shape[1 + axis], self.factor[axis]
        if self.kind == "nearest":
            return tuple(((index // factor, 1),) for index in range(size * factor))
        unit = self.denominators[axis]
        return tuple(_between(self._coordinate(index, size, factor), size, unit) for index in range(size * factor))

    @property
    def additions(self) -> int:
        """Most words added per word of the output: one for every bit set in the weights of its taps."""
        rows, cols = ({tuple(weight for _, weight in taps) for taps in self.taps(axis)} for axis in (0, 1))
        return max(sum((down * right).bit_count() for down in row for right in col) for row in rows for col in cols)

    @property
    def reads(self) -> int:
        """Most positions that one output reads."""
        return prod(max(len(taps) for taps in self.taps(axis)) for axis in (0, 1))

    @property
    def acc_bound(self) -> int:
        """Product of the denominators times 2^M - 1."""
        return prod(self.denominators) * max_code(self.act_bits)

    @property
    def acc_bits(self) -> int:
        """Signed width of the weighted sum."""
        return signed_bits(self.acc_bound)

    def _coordinate(self, index: int, size: int, factor: int) -> Fraction:
        if self.coordinates == "half_pixel":
            found = Fraction(2 * index + 1 - factor, 2 * factor)
        elif self.coordinates == "asymmetric":
            found = Fraction(index, factor)
        else:
            found = Fraction(index * (size - 1), max(1, size * factor - 1))
        return min(max(found, Fraction(0)), Fraction(size - 1))


def _between(at: Fraction, size: int, unit: int) -> Taps:
    """The one or two inputs around a coordinate, with integer weights that add up to `unit`."""
    left = min(floor(at), size - 1)
    share = int((at - left) * unit)
    return ((left, unit),) if share == 0 else ((left, unit - share), (left + 1, share))


def _check_kept(where: str, what: str, act_bits: int, out_bits: int | None) -> None:
    if out_bits != act_bits:
        raise ValueError(f"{where}: {what} keeps its code, so out_bits must be {act_bits}, not {out_bits}")
