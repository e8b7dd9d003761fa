"""The quantizers of QONNX: what their levels are as codes, and where their steps lie.

Quant (integer levels i in lowest..highest, zero point z, scale s):  q(x) = s * (clip(round(x / s + z)) - z).
BipolarQuant:                                                      q(x) = s if x >= 0 else -s.
Both are u = 0..2^M-1 with value s * (lowest + d * u - z), d = 1 or 2, so with the odd code c = 2u - (2^M - 1)

    value = step * (c + offset),  step = s * d / 2,  offset = 2^M - 1 + 2 (lowest - z) / d.

Eq. 15 of arXiv:1905.13389 has z = (2^M - 1) / 2 and offset 0, an unsigned integer offset 2^M - 1, two's complement -1.
A narrow range leaves the top code unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Codes
from workloads.layers import check_bits, max_code
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_weights import IntegerWeights
from workloads.thresholds import SIGN_LADDER, Ladder, rounding_ladder

QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
"""The names under which exporters have registered the same operators over time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """One Quant or BipolarQuant; `where` names it in errors, scale and zero point may be arrays."""

    where: str
    bits: int
    scale: Array
    zero_point: Array
    lowest: int
    highest: int
    bipolar: bool = False

    @property
    def distance(self) -> int:
        """From one level to the next, in units of the scale."""
        return 2 if self.bipolar else 1

    @property
    def codes(self) -> Codes:
        """Its levels as codes of an activation. Raises ValueError for a scale or zero point per channel."""
        check_bits(self.where, bitwidth=self.bits)
        if np.unique(self.scale).size != 1:
            raise ValueError(f"{self.where}: the scale of an activation must be one number, not one per channel")
        top = (self.highest - self.lowest) // self.distance
        if top < 1:
            raise ValueError(f"{self.where}: an activation must have at least two levels, not {top + 1}")
        step = float(self.steps().flat[0])
        return Codes(bits=self.bits, step=step, offset=max_code(self.bits) + self._lowest_value(), highest=top)

    @property
    def ladder(self) -> Ladder:
        """Where its levels begin, exactly."""
        if self.bipolar:
            return SIGN_LADDER
        return rounding_ladder(Fraction(float(self.scale.flat[0])), self._zero(), self.lowest, self.highest)

    def steps(self) -> npt.NDArray[np.float64]:
        """step of its codes, in the shape of the scale."""
        return self.scale.astype(np.float64) * (self.distance / 2)

    def weights(self, values: Array) -> IntegerWeights:
        """Constants as integers, rounded in the arithmetic they are stored in (float32), as QONNX executors do."""
        check_bits(self.where, bitwidth=self.bits)
        doubled = np.rint(2 * np.asarray(self.zero_point, np.float64)).astype(np.int32)
        if (doubled != 2 * self.zero_point).any() or (doubled % 2 != doubled.flat[0] % 2).any():
            raise ValueError(
                f"{self.where}: zero points must be multiples of 1/2, all whole or all not, "
                f"not {np.unique(self.zero_point).tolist()[:4]}"
            )
        counts = 2 // self.distance
        integers = counts * self._levels(values).astype(np.int32) - doubled
        return IntegerWeights(
            where=self.where,
            values=integers,
            steps=np.broadcast_to(self.steps(), integers.shape),
            lowest=counts * self.lowest - int(doubled.max()),
            highest=counts * self.highest - int(doubled.min()),
        )

    def constant_values(self, values: Array) -> Array:
        """Constants rounded to the levels: a quantized bias, say. Raises ValueError if they overflow."""
        zero = values.dtype.type(0) if self.bipolar else self.zero_point
        with np.errstate(over="ignore"):
            rounded = np.asarray((self._levels(values) - zero) * self.scale)
        if not np.isfinite(rounded).all():
            raise ValueError(f"{self.where}: quantized constants must be finite, but its largest levels overflow")
        return rounded

    def _levels(self, values: Array) -> npt.NDArray[np.floating[Any]]:
        if self.bipolar:
            return np.where(values >= 0, 1.0, -1.0).astype(values.dtype)
        with np.errstate(over="ignore"):
            return np.asarray(np.round(np.clip(values / self.scale + self.zero_point, self.lowest, self.highest)))

    def _lowest_value(self) -> int:
        """What the lowest level stands for, in steps."""
        value = 2 * (self.lowest - self._zero()) / self.distance
        if value.denominator != 1:
            raise ValueError(f"{self.where}: zero point must be a multiple of 1/2, not {float(self._zero())}")
        return int(value)

    def _zero(self) -> Fraction:
        if np.unique(self.zero_point).size != 1:
            raise ValueError(f"{self.where}: zero point of an activation must be one number, not one per channel")
        return Fraction(float(self.zero_point.flat[0]))


def check_host_ties(quantizer: Quantizer) -> None:
    """Raise ValueError where `encoding.quantize`, which encodes inputs on the host, breaks ties another way.

    It rounds before adding an integer zero point, QONNX after; the two differ at ties if the zero point is odd. And
    its single bit is +1 at the boundary, where a 1-bit Quant with a fractional zero point rounds down to even.
    """
    zero = Fraction(0) if quantizer.bipolar else Fraction(float(quantizer.zero_point.flat[0]))
    if zero.denominator == 1 and zero % 2:
        raise ValueError(
            f"{quantizer.where}: zero point of the graph input must be even or fractional, not {int(zero)}"
        )
    if quantizer.bits == 1 and zero.denominator != 1:
        raise ValueError(f"{quantizer.where}: a 1-bit graph input must use BipolarQuant, not zero point {float(zero)}")


def read_quantizer(node: GraphNode, parameters: tuple[Array, ...]) -> Quantizer:
    """The quantizer of a Quant (scale, zero point, bit width) or BipolarQuant (scale) node; ValueError if malformed."""
    if (parameters[0] <= 0).any() or not parameters[0].size:
        raise ValueError(f"{node}: scale must be > 0, not {parameters[0].min() if parameters[0].size else 'empty'}")
    if node.op == "BipolarQuant":
        return _bipolar(node, parameters[0])
    scale, zero_point, width = parameters
    bits = _bit_width(node, width)
    if node.text("rounding_mode", "ROUND").upper() not in ("ROUND", "HALF_EVEN"):
        raise ValueError(f"{node}: rounding_mode must be ROUND (half to even), not {node.text('rounding_mode', '')!r}")
    signed, narrow = bool(node.integer("signed")), bool(node.integer("narrow"))
    if not zero_point.size:
        raise ValueError(f"{node}: zero point must be a number, not empty")
    if signed and bits == 1:
        return _one_bit(node, scale, zero_point)
    lowest = (narrow - 2 ** (bits - 1)) if signed else 0
    highest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    return Quantizer(where=str(node), bits=bits, scale=scale, zero_point=zero_point, lowest=lowest, highest=highest)


def _bipolar(node: GraphNode, scale: Array) -> Quantizer:
    zero = np.zeros((), dtype=scale.dtype)
    return Quantizer(where=str(node), bits=1, scale=scale, zero_point=zero, lowest=-1, highest=1, bipolar=True)


def _one_bit(node: GraphNode, scale: Array, zero_point: Array) -> Quantizer:
    """A signed 1-bit Quant means -1 and +1 in QONNX, whatever two's complement would say."""
    if zero_point.any():
        raise ValueError(f"{node}: zero point of a signed 1-bit Quant must be 0, not {zero_point.flat[0]}")
    return _bipolar(node, scale)


def _bit_width(node: GraphNode, width: Array) -> int:
    if width.size != 1 or width.flat[0] != np.floor(width.flat[0]) or not 1 <= width.flat[0] <= 32:
        raise ValueError(f"{node}: bitwidth must be one integer between 1 and 8, not {width.tolist()}")
    return int(width.flat[0])
