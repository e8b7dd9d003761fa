"""How many adders a sum takes: full adders that take three bits to two, the adder that joins the last two numbers, and their levels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

Number = Any

MOST_LEVELS = 24
THREE_TO_TWO = tuple(accumulate(range(MOST_LEVELS), lambda most, _: most * 3 // 2, initial=2))
"""The most numbers that so many levels of adders, three to two each, bring down to two: 2, 3, 4, 6, 9, 13, ..."""


def adder_levels(numbers: Number) -> Number:
    """Levels of adders that take three numbers to two, before the last two are added."""
    return np.searchsorted(THREE_TO_TWO, numbers)


@cache
def popcount_adders(width: int) -> tuple[int, int]:
    """(full adders that take three bits of one weight, bits of the adders that join sums and carries) of `popcount.sv`.

    popcount(W) = popcount(sums of W // 3 full adders) + 2 popcount(their carries) + the bits left over.
    """
    if width < 4:
        return (width // 3, int(width == 2))
    triples, left = divmod(width, 3)
    sums, carries = popcount_adders(triples + left // 2), popcount_adders(triples)
    joined = width.bit_length() - 1 + (left > 0)
    return (triples + sums[0] + carries[0], joined + sums[1] + carries[1])


@cache
def column_adders(columns: tuple[int, ...]) -> tuple[int, int]:
    """(full adders, bits of the last adder) that add columns[c] bits of weight 2^c, for c from 0 on.

    Full adders take three bits of a column and leave one in it and one in the next, until two numbers are left.
    """
    full, last, carried, left = 0, 0, 0, list(columns)
    while left or carried:
        height = carried + (left.pop(0) if left else 0)
        carried = max(height - 1, 0) // 2
        full, last = full + carried, last + int(last > 0 or height - 2 * carried == 2)
    return full, last


@cache
def combining_adders(width: int, lanes_a: int, lanes_w: int, stages: int) -> tuple[int, int]:
    """(full adders, bits of last adders) that join the counts of a PE's branches; in two stages first those of the side with less lanes."""
    if stages == 1:
        return column_adders(_columns([i + j for i in range(lanes_a) for j in range(lanes_w)], width.bit_length()))
    inner, outer = sorted((lanes_a, lanes_w))
    part_bits = (width * (2**inner - 1)).bit_length()
    part, whole = (
        column_adders(_columns(range(inner), width.bit_length())),
        column_adders(_columns(range(outer), part_bits)),
    )
    return outer * part[0] + whole[0], outer * part[1] + whole[1]


def _columns(places: Iterable[int], bits: int) -> tuple[int, ...]:
    """How many bits of each weight numbers of so many bits have, each moved up by its place."""
    found = [0] * (max(places) + bits)
    for place in places:
        for bit in range(bits):
            found[place + bit] += 1
    return tuple(found)


def product_adders(act_bits: int, weight_bits: int, stages: int) -> tuple[int, int]:
    """(full adders, bits of last adders) of one product of codes, each with a sign beside its bits."""
    if stages == 1:
        return _row_adders(act_bits + 1, weight_bits + 1, 1)
    low = (weight_bits + 1) // 2
    lower, upper = _row_adders(act_bits + 1, low, 0), _row_adders(act_bits + 1, weight_bits - low + 1, 1)
    return lower[0] + upper[0], lower[1] + upper[1] + act_bits + weight_bits + 1 - low


def _row_adders(bits: int, others: int, signs: int) -> tuple[int, int]:
    """The same of two numbers: a row of the longer one for every bit of the shorter, and one more where a row is subtracted."""
    longer, rows = max(bits, others), min(bits, others)
    return (longer * max(rows + signs - 2, 0), bits + others - 1) if rows > 1 else (0, 0)


def tree_adders(width: int, product_bits: int, sum_width: int, stages: int) -> int:
    """Full adders that leave two numbers of all products, or of those of every part and then of all parts."""
    if stages == 1:
        return max(width * product_bits - 2 * sum_width, 0)
    levels = ((width - 1).bit_length() + 1) // 2
    parts, part_bits = -(-width // (1 << levels)), product_bits + levels
    return parts * max((product_bits << levels) - 2 * part_bits, 0) + max(parts * part_bits - 2 * sum_width, 0)
