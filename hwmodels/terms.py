"""Sums of terms: the same terms are added up, and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Number = Any
"""An int or float, or an array over designs."""


@dataclass(frozen=True, slots=True)
class Term:
    """count x each, in the unit of `each`; `component` says which part of the machine pays."""

    component: str
    name: str
    count: Number
    each: Number
    unit: str
    constants: tuple[str, ...]

    @property
    def amount(self) -> Number:
        """The product."""
        return self.count * self.each


def total(terms: Sequence[Term], *, component: str | None = None, unit: str | None = None) -> Number:
    """Sum of the terms of one component and unit; 0.0 if there are none."""
    amount: Number = 0.0
    for term in terms:
        if component in (None, term.component) and unit in (None, term.unit):
            amount = amount + term.amount
    return amount
