"""The datatypes with which QONNX and FINN annotate tensors: integers of a few bits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workloads.checks import MAX_BITS
from workloads.encoded import Codes
from workloads.layers import max_code

NAMED = {"BIPOLAR": (1, -1, 2), "BINARY": (1, 0, 1), "TERNARY": (2, -1, 1)}
"""Bits, lowest and distance of the levels."""


@dataclass(frozen=True, slots=True)
class IntegerDatatype:
    """Levels lowest, lowest + distance, ..., highest."""

    bits: int
    lowest: int
    highest: int
    distance: int = 1

    @property
    def codes(self) -> Codes:
        """The integers themselves as codes. Raises ValueError beyond 8 bits."""
        step = self.distance / 2
        offset = max_code(self.bits) + 2 * self.lowest // self.distance
        return Codes(bits=self.bits, step=step, offset=offset, highest=(self.highest - self.lowest) // self.distance)


def integer_type(name: str) -> IntegerDatatype | None:
    """The datatype of that name, or None for one that is no integer of at most 8 bits."""
    if name in NAMED:
        bits, lowest, distance = NAMED[name]
        return IntegerDatatype(bits, lowest, 1, distance)
    found = re.fullmatch(r"(U?)INT([1-9]\d?)", name)
    if found is None or int(found[2]) > MAX_BITS:
        return None
    bits = int(found[2])
    lowest = 0 if found[1] else -(2 ** (bits - 1))
    return IntegerDatatype(bits, lowest, lowest + 2**bits - 1)
