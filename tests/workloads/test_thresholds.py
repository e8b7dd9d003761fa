"""Folding against fractions: every accumulator value, ties included; nothing here is a float."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from workloads.encoded import Thresholds
from workloads.thresholds import SIGN_LADDER, Curve, Ladder, fold, level, rounding_ladder

BOUND = 45


def half(numerator: int) -> Fraction:
    return Fraction(numerator, 2)


def emitted(thresholds: Thresholds, acc: int, channel: int = 0) -> int:
    return int((thresholds.sign[channel] * acc >= thresholds.values[channel]).sum())


def affine(slope: Fraction | int, intercept: Fraction | int) -> Curve:
    return Curve().scaled(Fraction(slope), Fraction(intercept))


def random_curve(rng: random.Random) -> Curve:
    """Small numerators and denominators, so that ties, zero slopes and Relus at zero all happen."""
    curve = Curve()
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.35:
            curve = curve.rectified()
        slope = Fraction(rng.randint(-4, 4), rng.choice((1, 2, 3, 4)))
        curve = curve.scaled(slope, Fraction(rng.randint(-6, 6), rng.choice((1, 2, 3))))
    return curve


def random_quantizer(rng: random.Random) -> tuple[Fraction, Fraction, int, int]:
    """scale, zero point, lowest, highest."""
    bits, signed = rng.randint(1, 6), rng.random() < 0.5
    lowest = -(2 ** (bits - 1)) if signed else 0
    zero = rng.choice([Fraction(0), half(2**bits - 1), half(1), half(-3)])
    return Fraction(rng.randint(1, 9), rng.choice((1, 2, 3, 5))), zero, lowest, lowest + 2**bits - 1


@pytest.mark.parametrize("seed", range(400))
def test_every_accumulator_gets_the_level_of_exact_rounding(seed: int) -> None:
    rng = random.Random(seed)
    curve, (scale, zero, lowest, highest) = random_curve(rng), random_quantizer(rng)
    thresholds = fold([curve], [rounding_ladder(scale, zero, lowest, highest)], BOUND)
    for acc in range(-BOUND, BOUND + 1):
        # round() of a Fraction goes half to even: an independent statement of the tie rule.
        wanted = min(highest, max(lowest, round(curve(acc) / scale + zero))) - lowest
        assert emitted(thresholds, acc) == wanted, (acc, curve(acc))


@pytest.mark.parametrize("seed", range(100))
def test_every_accumulator_gets_the_sign_with_zero_positive(seed: int) -> None:
    curve = random_curve(random.Random(1000 + seed))
    thresholds = fold([curve], [SIGN_LADDER], BOUND)
    for acc in range(-BOUND, BOUND + 1):
        assert emitted(thresholds, acc) == (curve(acc) >= 0)


def test_the_curve_applies_lines_and_relus_in_order() -> None:
    # max(2*3 - 10, 0) = 0, then -1 * 0 + 5 = 5; and max(2*7 - 10, 0) = 4, then -4 + 5 = 1.
    curve = affine(2, -10).rectified().scaled(Fraction(-1), Fraction(5))
    assert [curve(3), curve(7)] == [5, 1]


def test_eq_15_with_two_bits_by_hand() -> None:
    # v = x / (2/3) + 3/2 with x = acc / 9: levels at v = 1/2, 3/2, 5/2, that is acc = -6, 0, 6.
    # v = 1/2 ties down to 0, v = 3/2 ties up to 2 (so level 1 and 2 differ), v = 5/2 ties down to 2.
    ladder = rounding_ladder(Fraction(2, 3), Fraction(3, 2), 0, 3)
    thresholds = fold([affine(Fraction(1, 9), 0)], [ladder], 27)
    assert thresholds.sign.tolist() == [1]
    assert thresholds.values.tolist() == [[-5, 0, 7]]


def test_a_falling_channel_has_sign_minus_one() -> None:
    # -acc / 2 + 1 >= 1/2 rounds to 1 above the tie: acc < 1, so -acc >= 0; the tie acc = 1 goes down to 0.
    # Level 2 from 3/2 on, where the tie goes up to 2: acc <= -1, so -acc >= 1; level 3 from 5/2: acc < -3, -acc >= 4.
    thresholds = fold([affine(Fraction(-1, 2), 1)], [rounding_ladder(Fraction(1), Fraction(0), 0, 3)], 10)
    assert thresholds.sign.tolist() == [-1]
    assert thresholds.values.tolist() == [[0, 1, 4]]


def test_a_flat_channel_always_emits_its_constant() -> None:
    thresholds = fold([affine(0, 2)], [rounding_ladder(Fraction(1), Fraction(0), 0, 3)], 10)
    assert thresholds.values.tolist() == [[-11, -11, 11]]


def test_unreachable_levels_saturate_just_outside_the_range() -> None:
    thresholds = fold([affine(1, 0)], [rounding_ladder(Fraction(100), Fraction(0), -2, 1)], 20)
    # Levels at -150, -50 and 50 lie outside -20..20.
    assert thresholds.values.tolist() == [[-21, -21, 21]]


def test_a_relu_makes_levels_at_or_below_zero_certain() -> None:
    ladder = rounding_ladder(Fraction(1), half(1), 0, 3)
    # v = max(acc, 0) + 1/2: level 1 at x = 0 ties down to 0 (x > 0), level 2 at x = 1 ties up, level 3 at x = 2 down.
    assert fold([Curve().rectified()], [ladder], 9).values.tolist() == [[1, 1, 3]]
    assert fold([Curve().rectified()], [SIGN_LADDER], 9).values.tolist() == [[-10]]


def test_channels_are_independent() -> None:
    thresholds = fold([affine(1, 0), affine(-1, 0), affine(0, -1)], [SIGN_LADDER] * 3, 5)
    assert thresholds.sign.tolist() == [1, -1, 1]
    assert thresholds.values.tolist() == [[0], [0], [6]]


def test_level_counts_rungs() -> None:
    ladder: Ladder = rounding_ladder(Fraction(1), Fraction(0), -2, 1)
    # Rungs at -3/2 (tie down to -2), -1/2 (tie up to 0), 1/2 (tie down to 0).
    assert [level(ladder, half(value)) for value in (-3, -2, -1, 0, 1, 2)] == [0, 1, 2, 2, 2, 3]


def test_float32_constants_are_taken_exactly() -> None:
    # float32(0.1) is a little more than 1/10, so 0.1f * acc with scale 0.1f ties exactly at acc = 1/2 + integer: never.
    tenth = Fraction(float(np.float32(0.1)))
    assert tenth != Fraction(1, 10)
    values = fold([affine(tenth, 0)], [rounding_ladder(tenth, Fraction(0), 0, 3)], 9).values
    assert values.tolist() == [[1, 2, 3]]
    # Against scale 0.2f = 2 * 0.1f, odd sums are ties: 1 goes down to 0, 3 up to 2, 5 down to 2.
    doubled = fold([affine(tenth, 0)], [rounding_ladder(2 * tenth, Fraction(0), 0, 3)], 9).values
    assert doubled.tolist() == [[2, 3, 6]]


def test_wide_thresholds_stay_integers() -> None:
    # The largest layer of interest: N = 8192, M = K = 8, so |acc| <= 8192 * 255 * 255.
    bound = 8192 * 255 * 255
    curve = affine(Fraction(1, 3 * 10**9), Fraction(1, 7))
    ladder = rounding_ladder(Fraction(1, 128), Fraction(255, 2), 0, 255)
    thresholds = fold([curve], [ladder], bound)
    for target in thresholds.values[0]:
        for acc in (int(target) - 1, int(target)):
            wanted = min(255, max(0, round(curve(acc) * 128 + Fraction(255, 2))))
            assert abs(acc) > bound or emitted(thresholds, acc) == wanted
    assert np.abs(thresholds.values).max() == bound + 1
    assert floor(Fraction(bound)) == bound


@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_must_be_positive(scale: int) -> None:
    with pytest.raises(ValueError, match="scale must be > 0"):
        rounding_ladder(Fraction(scale), Fraction(0), 0, 1)


def next_to_an_integer(rng: random.Random) -> Curve:
    """Products of float32 numbers, shifted so that a boundary lies on an integer, or a hair beside one: float64 cannot tell."""
    slope = Fraction(float(np.float32(rng.uniform(1e-2, 1)))) * Fraction(float(np.float32(rng.uniform(-1, 1))))
    hair = Fraction(rng.choice((-1, 0, 1)), 2 ** rng.randint(30, 90))
    intercept = Fraction(2 * rng.randint(-90, 90) + 1, 2) - slope * rng.randint(-(2**20), 2**20) + hair
    curve = Curve().scaled(slope, intercept)
    return curve.rectified() if rng.random() < 0.5 else curve


@pytest.mark.parametrize("seed", range(60))
def test_thresholds_of_eight_bits_are_where_the_level_begins(seed: int) -> None:
    rng, bound = random.Random(seed), 2**31
    curves = [next_to_an_integer(rng) for _ in range(3)]
    ladder = rounding_ladder(Fraction(1), Fraction(0), -128, 127)
    thresholds = fold(curves, [ladder] * 3, bound)
    for channel, curve in enumerate(curves):
        sign = int(thresholds.sign[channel])
        for rung, value in zip(ladder, thresholds.values[channel].tolist(), strict=True):
            last_below, first = value - 1, max(value, -bound)
            assert last_below < -bound or not level((rung,), curve(sign * last_below))
            assert first > bound or level((rung,), curve(sign * first))
