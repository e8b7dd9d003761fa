"""The quantizers of QONNX: what their levels are as codes, and where their steps lie.

Quant (integer levels i in lowest..highest, zero point z, scale s):  q(x) = s * (clip(round(x / s + z)) - z).
BipolarQuant and a signed Quant of one bit:                        q(x) = s * (i - z), i = 1 if x / s + z >= 0 else -1.
Both are u = 0, 1, 2, ... with value s * (lowest + d * u - z), d = 1 or 2, so with the odd code c = 2u - (2^M - 1)

    value = step * (c + offset),  step = s * d / 2,  offset = 2^M - 1 + 2 (lowest - z) / d.

Eq. 15 of arXiv:1905.13389 has z = (2^M - 1) / 2 and offset 0, an unsigned integer offset 2^M - 1, two's complement -1.
A narrow range leaves the top code unused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Codes, Singles
from workloads.layers import check_bits
from workloads.onnx_activation import Activation, channel_array, codes_of, level_line
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_weights import IntegerWeights
from workloads.thresholds import Ladder, Rung, rounding_ladder

QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
"""The names under which exporters have registered the same operators over time."""

ROUNDING_NAMES = {name: name for name in ("HALF_EVEN", "HALF_UP", "HALF_DOWN", "FLOOR", "CEIL", "UP", "DOWN")} | {
    "ROUND": "HALF_EVEN",
    "ROUND_TO_ZERO": "DOWN",
}
"""Rounding modes by all the names that files give them."""

Rounding = Callable[[Array], Array]

ROUNDING_FUNCTIONS: dict[str, Rounding] = {
    "HALF_EVEN": np.round,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + x.dtype.type(0.5)),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - x.dtype.type(0.5)),
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
}
"""The modes in floating point, step by step as QONNX executors compute them."""


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
    rounding: str = "HALF_EVEN"
    stored: bool = False
    """Whether constants behind it are stored as levels already."""

    @property
    def distance(self) -> int:
        """From one level to the next, in units of the scale."""
        return 2 if self.bipolar else 1

    @property
    def codes(self) -> Codes:
        """Its levels as codes of a map with one scale. Raises ValueError where there are several, or no integer offset."""
        made = self.activation(max(self.scale.size, self.zero_point.size), 2)
        codes = codes_of(made.bits, made.highest, made.lines)
        if codes is None:
            raise ValueError(f"{self.where}: must have one scale and a zero point that is a multiple of 1/2")
        return codes

    def activation(self, channels: int, rank: int) -> Activation:
        """Its levels as codes of a map of so many channels and axes."""
        check_bits(self.where, bitwidth=self.bits)
        scale, zero = (channel_array(self.where, item, channels, rank) for item in (self.scale, self.zero_point))
        pairs = [_exact(pair) for pair in zip(*np.broadcast_arrays(scale, zero), strict=True)]
        ladders = {pair: self._ladder(*pair) for pair in set(pairs)}
        return Activation(
            where=self.where,
            bits=self.bits,
            highest=(self.highest - self.lowest) // self.distance,
            ladders=tuple(ladders[pair] for pair in pairs),
            lines=tuple(level_line(self.bits, s * (self.lowest - z), s * self.distance) for s, z in pairs),
            levels=lambda values: self._unsigned(values, scale[:, None], zero[:, None]),
        )

    def weights(self, values: Array) -> IntegerWeights:
        """Constants as integers, rounded in the arithmetic they are stored in (float32), as QONNX executors do."""
        check_bits(self.where, bitwidth=self.bits)
        counts = 2 // self.distance
        doubled = counts * self.zero_point.astype(np.float64)
        whole = np.rint(doubled).astype(np.int32)
        if (whole != doubled).any() or (whole % 2 != whole.flat[0] % 2).any():
            wanted = "integers" if self.bipolar else "multiples of 1/2, all whole or all not"
            raise ValueError(
                f"{self.where}: zero points must be {wanted}, not {np.unique(self.zero_point).tolist()[:4]}"
            )
        integers = counts * self._levels(values).astype(np.int32) - whole
        return IntegerWeights(
            where=self.where,
            values=integers,
            steps=np.broadcast_to(self.scale.astype(np.float64) / counts, integers.shape),
            lowest=counts * self.lowest - int(whole.max()),
            highest=counts * self.highest - int(whole.min()),
        )

    def constant_values(self, values: Array) -> Array:
        """Constants rounded to the levels: a quantized bias, say. Raises ValueError if they overflow."""
        with np.errstate(over="ignore"):
            rounded = np.asarray((self._levels(values) - self.zero_point) * self.scale)
        if not np.isfinite(rounded).all():
            raise ValueError(f"{self.where}: quantized constants must be finite, but its largest levels overflow")
        return rounded

    def _ladder(self, scale: Fraction, zero: Fraction) -> Ladder:
        """Where its levels begin, exactly."""
        if self.bipolar:
            return (Rung(-zero * scale, True),)
        return rounding_ladder(scale, zero, self.lowest, self.highest, self.rounding)

    def _unsigned(self, values: Singles, scale: Array, zero: Array) -> npt.NDArray[np.integer[Any]]:
        """u of float32 values, computed in float32."""
        position = _position(values, scale.astype(np.float32), zero.astype(np.float32))
        return ((self._rounded(position) - self.lowest) / self.distance).astype(np.int64)

    def _levels(self, values: Array) -> npt.NDArray[np.floating[Any]]:
        if self.stored:
            return values.astype(np.float32)
        return self._rounded(_position(values, self.scale, self.zero_point))

    def _rounded(self, position: Array) -> Array:
        if self.bipolar:
            return np.where(position >= 0, 1.0, -1.0).astype(position.dtype)
        return ROUNDING_FUNCTIONS[self.rounding](np.clip(position, self.lowest, self.highest))


def _position(values: Array, scale: Array, zero: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(values / scale + zero)


def _exact(pair: tuple[Any, Any]) -> tuple[Fraction, Fraction]:
    scale, zero = pair
    return Fraction(float(scale)), Fraction(float(zero))


def read_quantizer(node: GraphNode, parameters: tuple[Array, ...]) -> Quantizer:
    """The quantizer of a Quant (scale, zero point, bit width) or BipolarQuant (scale) node; ValueError if malformed."""
    if not parameters[0].size or (parameters[0] <= 0).any():
        raise ValueError(f"{node}: scale must be > 0, not {parameters[0].min() if parameters[0].size else 'empty'}")
    if node.op == "BipolarQuant":
        return _bipolar(node, parameters[0], np.zeros((), dtype=parameters[0].dtype))
    scale, zero_point, width = parameters
    bits, rounding = bit_width(node, "bitwidth", width), rounding_mode(node, "ROUND")
    signed, narrow = bool(node.integer("signed")), bool(node.integer("narrow"))
    if not zero_point.size:
        raise ValueError(f"{node}: zero point must be a number, not empty")
    if signed and bits == 1:  # -1 and +1 in QONNX, whatever two's complement would say
        return _bipolar(node, scale, zero_point)
    lowest, highest = integer_range(bits, signed=signed, narrow=narrow)
    return Quantizer(
        where=str(node),
        bits=bits,
        scale=scale,
        zero_point=zero_point,
        lowest=lowest,
        highest=highest,
        rounding=rounding,
    )


def integer_range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """The levels of a Quant: narrow leaves out the lowest of signed ones, the highest of unsigned ones."""
    if signed:
        return narrow - 2 ** (bits - 1), 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def rounding_mode(node: GraphNode, default: str) -> str:
    """The rounding mode of a node, by its one name. Raises ValueError for one that QONNX does not have."""
    name = node.text("rounding_mode", default).upper()
    if name not in ROUNDING_NAMES:
        raise ValueError(f"{node}: rounding_mode must be one of {', '.join(sorted(ROUNDING_NAMES))}, not {name!r}")
    return ROUNDING_NAMES[name]


def bit_width(node: GraphNode, name: str, width: Array) -> int:
    """A constant number of bits. Raises ValueError for a fraction; up to 32, for biases."""
    if width.size != 1 or width.flat[0] != np.floor(width.flat[0]) or not 1 <= width.flat[0] <= 32:
        raise ValueError(f"{node}: {name} must be one integer between 1 and 8, not {width.tolist()}")
    return int(width.flat[0])


def _bipolar(node: GraphNode, scale: Array, zero_point: Array) -> Quantizer:
    return Quantizer(where=str(node), bits=1, scale=scale, zero_point=zero_point, lowest=-1, highest=1, bipolar=True)
