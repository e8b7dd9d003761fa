"""Folding everything between an accumulator and its quantizer into integer thresholds, exactly.

Per channel the real value is a curve over the accumulator: straight lines with a Relu between neighbours. The
quantizer is a ladder: level u is reached at a boundary, and whether the boundary itself counts is the tie rule.
Walking a boundary backwards through the curve leaves one integer per level. What floating
point cannot decide is decided in fractions, so a threshold is right for every accumulator value, not for almost every one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from workloads.encoded import Floats, Ints, Thresholds
from workloads.layers import ceil_div, max_code

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Line:
    """real = slope * x + intercept."""

    slope: Fraction
    intercept: Fraction

    def then(self, slope: Fraction, intercept: Fraction) -> Line:
        """This line followed by another: slope * (self) + intercept."""
        return Line(slope * self.slope, slope * self.intercept + intercept)

    def after(self, first: Line) -> Line:
        """This line of what `first` gives."""
        return first.then(self.slope, self.intercept)

    def __call__(self, x: Fraction) -> Fraction:
        """The value at x."""
        return self.slope * x + self.intercept


IDENTITY = Line(Fraction(1), Fraction(0))


@dataclass(frozen=True, slots=True)
class Curve:
    """What one channel does to its accumulator: lines with max(., 0) between neighbours; the first is applied first."""

    lines: tuple[Line, ...] = (IDENTITY,)

    def scaled(self, slope: Fraction, intercept: Fraction) -> Curve:
        """The curve followed by slope * x + intercept."""
        return Curve((*self.lines[:-1], self.lines[-1].then(slope, intercept)))

    def rectified(self) -> Curve:
        """The curve followed by max(x, 0)."""
        return Curve((*self.lines, IDENTITY))

    def clipped(self, low: Fraction | None, high: Fraction | None) -> Curve:
        """The curve followed by max(x, low) and min(x, high): low + max(x - low, 0), and high - max(high - x, 0)."""
        one, curve = Fraction(1), self
        if low is not None:
            curve = curve.scaled(one, -low).rectified().scaled(one, low)
        return curve if high is None else curve.scaled(-one, high).rectified().scaled(-one, high)

    def __call__(self, acc: int | Fraction) -> Fraction:
        """The real value of an accumulator."""
        value = self.lines[0](Fraction(acc))
        for line in self.lines[1:]:
            value = line(max(value, Fraction(0)))
        return value


@dataclass(frozen=True, slots=True)
class Rung:
    """One level of a quantizer: reached above `boundary`, and at it if `inclusive`."""

    boundary: Fraction
    inclusive: bool


Ladder = tuple[Rung, ...]
"""Rungs in ascending order; the unsigned code is the number of rungs reached, so M bits have at most 2^M - 1."""

SIGN_LADDER: Ladder = (Rung(Fraction(0), True),)
"""BipolarQuant: one rung at zero, and zero itself is +1."""


ROUNDINGS: dict[str, Callable[[int], tuple[Fraction, bool]]] = {
    "HALF_EVEN": lambda level: (level - HALF, level % 2 == 0),
    "HALF_UP": lambda level: (level - HALF, level > 0),
    "HALF_DOWN": lambda level: (level - HALF, level <= 0),
    "FLOOR": lambda level: (Fraction(level), True),
    "CEIL": lambda level: (Fraction(level - 1), False),
    "UP": lambda level: (Fraction(level - 1), False) if level > 0 else (Fraction(level), True),
    "DOWN": lambda level: (Fraction(level), True) if level > 0 else (Fraction(level - 1), False),
}
"""Where round(v) reaches a level, and whether the boundary itself does. Up is away from zero, down towards it."""


def rounding_ladder(
    scale: Fraction, zero_point: Fraction, lowest: int, highest: int, rounding: str = "HALF_EVEN"
) -> Ladder:
    """The ladder of round(x / scale + zero_point) clipped to lowest..highest.

    Rounding half to even, round(v) >= j  <=>  v > j - 1/2, or v = j - 1/2 and j is even (the tie goes up to the even j).
    A boundary b of v stands at x = scale * (b - zero_point). Raises ValueError unless scale > 0.
    """
    if scale <= 0:
        raise ValueError(f"quantizer: scale must be > 0, not {float(scale)}")
    edges = [ROUNDINGS[rounding](level) for level in range(lowest + 1, highest + 1)]
    return tuple(Rung(scale * (boundary - zero_point), inclusive) for boundary, inclusive in edges)


def level(ladder: Ladder, value: Fraction) -> int:
    """Unsigned code of a real value: how many rungs it reaches."""
    return sum(value > rung.boundary or (rung.inclusive and value == rung.boundary) for rung in ladder)


def fold(curves: Sequence[Curve], ladders: Sequence[Ladder], bound: int) -> Thresholds:
    """Thresholds of every channel, one curve and one ladder each, for accumulators in -bound..bound.

    sign = -1 where the curve falls; a level that no accumulator, or every one, reaches gets +-(bound + 1). So do the levels
    that ladders of fewer than 2^M - 1 rungs do not have.
    """
    # Channels share ladders as objects: comparing hundreds of fractions a channel would take longer than folding them.
    pairs = {(curve, id(ladder)): ladder for curve, ladder in zip(curves, ladders, strict=True)}
    seen: dict[tuple[tuple[Line, ...], int], _Reached] = {}
    known = {pair: _fold_channel(pair[0], ladder, bound, seen) for pair, ladder in pairs.items()}
    folded, rungs = [known[curve, id(ladder)] for curve, ladder in zip(curves, ladders, strict=True)], len(ladders[0])
    sign = np.array([channel_sign for channel_sign, _ in folded], dtype=np.int64)
    values = np.full((len(folded), max_code(rungs.bit_length())), bound + 1, dtype=np.int64)
    values[:, :rungs] = np.array([values for _, values in folded]).reshape(len(folded), rungs)
    return Thresholds(sign, values)


@dataclass(frozen=True, slots=True)
class _Reached:
    """Every rung of a ladder seen from behind the first line of a curve, or whether it is always or never reached.

    `floats` are the boundaries once more, NaN where there is none; `rising` is False where the lines behind the first one fall.
    """

    rungs: tuple[Rung | bool, ...]
    floats: Floats
    rising: bool


def _fold_channel(
    curve: Curve, ladder: Ladder, bound: int, seen: dict[tuple[tuple[Line, ...], int], _Reached]
) -> tuple[int, Ints]:
    """Sign and thresholds of one channel. Channels mostly differ in their first line: `seen` keeps what the others make of a ladder."""
    first, tail = curve.lines[0], curve.lines[1:]
    if (tail, id(ladder)) not in seen:
        seen[tail, id(ladder)] = _behind(tail, ladder)
    reached = seen[tail, id(ladder)]
    sign = 1 if (first.slope >= 0) == reached.rising else -1
    return sign, _thresholds(first, reached, sign, bound)


def _behind(tail: tuple[Line, ...], ladder: Ladder) -> _Reached:
    rungs = tuple(_backwards(tail, rung) for rung in ladder)
    floats = [np.nan if isinstance(rung, bool) else _float(rung.boundary) for rung in rungs]
    return _Reached(rungs, np.array(floats), sum(line.slope < 0 for line in tail) % 2 == 0)


def _thresholds(first: Line, reached: _Reached, sign: int, bound: int) -> Ints:
    """Smallest T of every rung with curve(acc) on it exactly where sign * acc >= T, clipped to +-(bound + 1).

    In float64 T is ceil(sign * (boundary - intercept) / slope), off by less than `slack` before it is rounded up: six roundings
    of 2^-53 each. Where an integer lies within that, and only there, fractions decide.
    """
    slope, shift = _float(first.slope), _float(first.intercept)
    with np.errstate(all="ignore"):
        edges = sign * (reached.floats - shift) / slope
        slack = (np.abs(reached.floats) + abs(shift)) / abs(slope) * 2.0**-50 + 1e-100
        beyond = np.abs(edges) - slack > (bound + 2) * (1 + 2.0**-40)
        sure = (np.abs(edges - np.rint(edges)) > slack) & (1e-200 < abs(slope) < 1e200)
    values = np.ceil(np.where(sure & ~beyond, edges, 0)).astype(np.int64)
    values[sure & beyond] = np.where(edges[sure & beyond] > 0, bound + 1, -(bound + 1))
    for place in np.flatnonzero(~sure).tolist():
        values[place] = _threshold(first, reached.rungs[place], sign, reached.rising, bound)
    return np.minimum(np.maximum(values, -(bound + 1)), bound + 1)


def _threshold(first: Line, rung: Rung | bool, sign: int, rising: bool, bound: int) -> int:
    """One threshold in fractions.

    sign * acc >= b  <=>  sign * acc >= ceil(b);  sign * acc > b  <=>  sign * acc >= floor(b) + 1.
    """
    if not isinstance(rung, bool) and first.slope == 0:
        rung = _holds(first.intercept, rung.boundary, rising, rung.inclusive)
    if isinstance(rung, bool):
        return -(bound + 1) if rung else bound + 1
    numerator, denominator = ((rung.boundary - first.intercept) / first.slope).as_integer_ratio()
    edge = sign * numerator
    value = ceil_div(edge, denominator) if rung.inclusive else edge // denominator + 1
    return max(-(bound + 1), min(bound + 1, value))


def _backwards(tail: tuple[Line, ...], rung: Rung) -> Rung | bool:
    """The rung seen from before the lines of a tail, or whether it is always (True) or never (False) reached.

    A falling line turns "at least" into "at most": `rising` follows that. The Relu before each line hides everything below zero.
    """
    boundary, rising = rung.boundary, True
    for line in reversed(tail):
        if line.slope == 0:
            return _holds(line.intercept, boundary, rising, rung.inclusive)
        boundary = (boundary - line.intercept) / line.slope
        rising = rising == (line.slope > 0)
        if boundary < 0 or (boundary == 0 and rung.inclusive == rising):
            return rising
    return Rung(boundary, rung.inclusive)


def _holds(value: Fraction, boundary: Fraction, rising: bool, inclusive: bool) -> bool:
    """Whether a constant lies on the wanted side of a boundary."""
    return (value > boundary if rising else value < boundary) or (inclusive and value == boundary)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
