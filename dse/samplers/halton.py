"""A Halton sequence: points that fill the grid evenly, so that few of them see every value of every axis.

Coordinate d of point n is the radical inverse of n in the d-th prime base, its digits scrambled by a seeded permutation of each
base (0 stays 0 would make first points alike, so all digits are permuted; trailing zeros are not counted). It is fifteen lines of
numpy, so scipy is not needed for it.
"""

from __future__ import annotations

import numpy as np

from dse.samplers.protocol import Floats, Ints

DIGITS = 2.0**-40
"""Digits whose weight is below this no longer move a point of the grid."""


class Halton:
    """Scrambled Halton points; axes with one value take no base."""

    batch = 4096

    def __init__(self, sizes: tuple[int, ...], objectives: int, seed: int) -> None:
        del objectives
        random, self._sizes = np.random.default_rng(seed), sizes
        self._free = [axis for axis, size in enumerate(sizes) if size > 1]
        self._bases = _primes(len(self._free))
        self._digits = [random.permutation(base) for base in self._bases]
        self._next = 0

    def ask(self, count: int) -> Ints:
        numbers = np.arange(self._next, self._next + count)
        self._next += count
        places = np.zeros((count, len(self._sizes)), np.int64)
        for axis, base, digits in zip(self._free, self._bases, self._digits, strict=True):
            places[:, axis] = np.floor(_radical_inverse(numbers, base, digits) * self._sizes[axis])
        return places

    def tell(self, values: Floats) -> None:
        del values


def _radical_inverse(numbers: Ints, base: int, digits: Ints) -> Floats:
    """sum over i of digits[n_i] base^-(i + 1), n_i the i-th digit of n; in [0, 1)."""
    rest, weight, found = numbers.copy(), 1.0 / base, np.zeros(len(numbers))
    while weight > DIGITS:
        found += digits[rest % base] * weight
        rest //= base
        weight /= base
    return np.minimum(found, 1 - DIGITS)


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found
