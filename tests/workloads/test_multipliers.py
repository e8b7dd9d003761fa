"""The integers that join maps of unlike steps: equal levels for every pair, and no smaller ones would do."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.encoded import Thresholds
from workloads.layers import Add, max_code
from workloads.multipliers import simplest, smallest


def levels(layer: Add, thresholds: Thresholds, channel: int) -> list[list[int]]:
    """The level of every pair of codes, one by one."""
    codes = range(-max_code(layer.act_bits), max_code(layer.act_bits) + 1, 2)
    sign, values = int(thresholds.sign[channel]), thresholds.values[channel].tolist()
    one, other = layer.multipliers
    return [[sum(sign * (one * x + other * y) >= value for value in values) for y in codes] for x in codes]


def reproducible(layer: Add, thresholds: Thresholds, pair: tuple[int, int]) -> bool:
    """Brute force: whether sums with these multipliers, sorted, have levels that never fall (or rise, where the sign is -1)."""
    codes = range(-max_code(layer.act_bits), max_code(layer.act_bits) + 1, 2)
    for channel in range(len(thresholds.sign)):
        wanted, found = levels(layer, thresholds, channel), dict[int, set[int]]()
        for i, x in enumerate(codes):
            for j, y in enumerate(codes):
                found.setdefault(int(thresholds.sign[channel]) * (pair[0] * x + pair[1] * y), set()).add(wanted[i][j])
        order = [level for key in sorted(found) for level in sorted(found[key])]
        if any(len(levels) > 1 for levels in found.values()) or order != sorted(order):
            return False
    return True


@st.composite
def joins(draw: st.DrawFn) -> tuple[Add, Thresholds]:
    bits, out_bits, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    ratio = Fraction(draw(st.integers(1, 4000)), draw(st.integers(1, 4000)))
    multipliers = (ratio.numerator, draw(st.sampled_from([-1, 1])) * ratio.denominator)
    layer = Add(name="a", in_shape=(channels, 1, 1), act_bits=bits, out_bits=out_bits, multipliers=multipliers)
    rungs = st.lists(
        st.integers(-layer.acc_bound - 1, layer.acc_bound + 1), min_size=max_code(out_bits), max_size=max_code(out_bits)
    )
    values = np.sort(np.array([draw(rungs) for _ in range(channels)], np.int64), axis=1)
    return layer, Thresholds(np.array([draw(st.sampled_from([-1, 1])) for _ in range(channels)]), values)


@settings(max_examples=60, deadline=None)
@given(joins())
def test_every_pair_keeps_its_level_and_smaller_multipliers_fail(join: tuple[Add, Thresholds]) -> None:
    layer, thresholds = join
    made, found = smallest(layer, thresholds)
    for channel in range(len(thresholds.sign)):
        assert levels(made, found, channel) == levels(layer, thresholds, channel)
    one, other = made.multipliers
    sign = 1 if other > 0 else -1
    smaller = [
        (a, sign * b) for a in range(1, min(one, 12) + 1) for b in range(1, min(abs(other), 12) + 1) if gcd(a, b) == 1
    ]
    assert not any(reproducible(layer, thresholds, pair) for pair in smaller if pair != (one, other))


def test_eight_bits_are_proven_over_all_pairs() -> None:
    layer = Add(name="a", in_shape=(1, 1, 1), act_bits=8, out_bits=8, multipliers=(13421773, 5033165))
    values = np.linspace(-layer.acc_bound, layer.acc_bound, 257)[1:-1].astype(np.int64)[None]
    made, found = smallest(layer, Thresholds(np.ones(1, np.int64), values))
    assert made.multipliers[0] < 1000  # 8/3 is within reach of 255 levels
    codes = np.arange(-255, 256, 2)
    for pair, rungs in ((layer.multipliers, values[0]), (made.multipliers, found.values[0])):
        sums = pair[0] * codes[:, None] + pair[1] * codes
        emitted = np.searchsorted(rungs, sums, side="right")
        if pair == layer.multipliers:
            wanted = emitted
    assert (emitted == wanted).all()


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, None, 1),
        (2, 3, "5/2"),
        ("1/3", "1/2", "2/5"),
        (1, "5/4", "6/5"),
        ("7/2", None, 4),
        (0, "1/5", "1/6"),
    ],
)
def test_the_simplest_fraction_between_two(low: int | str, high: int | str | None, found: int | str) -> None:
    assert simplest(Fraction(low), None if high is None else Fraction(high)) == Fraction(found)


@given(st.fractions(0, 5, max_denominator=30), st.fractions(0, 5, max_denominator=30))
def test_no_fraction_of_smaller_terms_lies_between(low: Fraction, high: Fraction) -> None:
    if low < high:
        found = simplest(low, high)
        assert low < found < high
        for denominator in range(1, found.denominator):
            assert not low < Fraction(low * denominator // 1 + 1, denominator) < high
