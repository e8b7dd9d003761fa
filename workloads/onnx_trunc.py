"""Trunc, which drops low bits of an integer: what is left behind an average pool that only adds, mostly.

    y = round_half_even(x / scale + zero_point),  q = rounding(y / t),  value = (q - zero_point / t') * out_scale

Version 2 has t = t' = out_scale / scale (a power of two) and clips q to its output bits. Version 1 has t = 2^(input bits -
output bits), t' = 1, out_scale = scale, and clips nothing: its levels are those that its input can reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Singles
from workloads.layers import check_bits
from workloads.onnx_activation import Activation, level_line
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_quantizer import ROUNDING_FUNCTIONS, bit_width, integer_range, rounding_mode
from workloads.thresholds import HALF, ROUNDINGS, Rung

Reach = tuple[Fraction, Fraction]
"""Smallest and largest real value that may come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunc:
    """q runs from lowest to highest and stands for distance * q - shift."""

    where: str
    scale: Fraction
    zero_point: Fraction
    divisor: Fraction
    rounding: str
    lowest: int
    highest: int
    distance: Fraction
    shift: Fraction

    def activation(self, channels: int, rank: int) -> Activation:  # noqa: ARG002 (one row serves any map)
        """Its levels as codes: q >= j where y >= m, m the smallest integer that is truncated to j or more."""
        bits = max(1, (self.highest - self.lowest).bit_length())
        check_bits(self.where, output_bit_width=bits)
        return Activation(
            where=self.where,
            bits=bits,
            highest=self.highest - self.lowest,
            ladders=(tuple(self._rung(level) for level in range(self.lowest + 1, self.highest + 1)),),
            lines=(level_line(bits, self.distance * self.lowest - self.shift, self.distance),),
            levels=self._unsigned,
        )

    def _rung(self, level: int) -> Rung:
        boundary, inclusive = ROUNDINGS[self.rounding](level)
        least = ceil(boundary * self.divisor) if inclusive else floor(boundary * self.divisor) + 1
        return Rung(self.scale * (least - HALF - self.zero_point), least % 2 == 0)

    def _unsigned(self, values: Singles) -> npt.NDArray[np.integer[Any]]:
        scale, zero, divisor = (np.float32(item) for item in (self.scale, self.zero_point, self.divisor))
        with np.errstate(over="ignore", under="ignore"):
            truncated = np.round(values / scale + zero) / divisor
        rounded = ROUNDING_FUNCTIONS[self.rounding](np.clip(truncated, self.lowest, self.highest))
        return rounded.astype(np.int64) - self.lowest


def read_trunc(node: GraphNode, parameters: tuple[Array, ...], reach: Reach) -> Trunc:
    """A Trunc of five inputs (version 1) or six, whose input reaches so far. Raises ValueError where it is malformed."""
    numbers = [_number(node, place, array) for place, array in enumerate(parameters, start=1)]
    scale, zero, rounding = numbers[0], numbers[1], rounding_mode(node, "FLOOR")
    if scale <= 0:
        raise ValueError(f"{node}: scale must be > 0, not {float(scale)}")
    width = bit_width(node, "input_bit_width", parameters[2])
    output = bit_width(node, "output_bit_width", parameters[-1])
    if len(parameters) == 4:
        divisor = Fraction(2) ** (width - output)
        ends = [_truncated(value, scale, zero, divisor, rounding) for value in reach]
        return _trunc(node, scale, zero, divisor, rounding, (ends[0], ends[1]), scale, scale * zero)
    if numbers[3] <= 0:
        raise ValueError(f"{node}: output scale must be > 0, not {float(numbers[3])}")
    divisor = Fraction(2) ** round(np.log2(float(numbers[3] / scale)))
    ends_2 = integer_range(output, signed=bool(node.integer("signed", 1)), narrow=bool(node.integer("narrow", 0)))
    return _trunc(node, scale, zero, divisor, rounding, ends_2, numbers[3], numbers[3] * zero / divisor)


def _trunc(
    node: GraphNode,
    scale: Fraction,
    zero: Fraction,
    divisor: Fraction,
    rounding: str,
    ends: tuple[int, int],
    distance: Fraction,
    shift: Fraction,
) -> Trunc:
    return Trunc(
        where=str(node),
        scale=scale,
        zero_point=zero,
        divisor=divisor,
        rounding=rounding,
        lowest=ends[0],
        highest=ends[1],
        distance=distance,
        shift=shift,
    )


def _truncated(value: Fraction, scale: Fraction, zero: Fraction, divisor: Fraction, rounding: str) -> int:
    """q of one value: Python rounds fractions half to even."""
    position = round(value / scale + zero) / divisor
    level = floor(position) - 1
    while _reaches(position, level + 1, rounding):
        level += 1
    return level


def _reaches(position: Fraction, level: int, rounding: str) -> bool:
    boundary, inclusive = ROUNDINGS[rounding](level)
    return position > boundary or (inclusive and position == boundary)


def _number(node: GraphNode, place: int, array: Array) -> Fraction:
    if array.size != 1:
        raise ValueError(f"{node}: input {node.inputs[place]!r} must be one number, not of shape {array.shape}")
    return Fraction(float(array.flat[0]))
