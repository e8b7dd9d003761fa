"""The linear quantization of ONNX: which integers a type holds, and what they stand for.

    QuantizeLinear      q = saturate(round_half_even(x / scale) + zero_point)
    DequantizeLinear    x = scale (q - zero_point)

With v = q - zero_point, in lowest - zero_point .. highest - zero_point, that is a quantizer without a zero point, whose codes are

    x = step (c + offset),  step = scale / 2,  offset = 2^bits - 1 + 2 (lowest - zero_point).

The integers themselves are the case scale 1, zero point 0: a tensor of a type is a map of codes with step 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from workloads.encoded import Codes
from workloads.onnx_graph import Array
from workloads.onnx_quantizer import Quantizer


@dataclass(frozen=True, slots=True)
class IntegerType:
    """An integer type of ONNX that is a map of codes: `bits` bits from `lowest` up."""

    name: str
    bits: int
    lowest: int

    @property
    def highest(self) -> int:
        """Largest integer."""
        return self.lowest + (1 << self.bits) - 1

    @property
    def codes(self) -> Codes:
        """The integers as codes: q = (c + 2^bits - 1 + 2 lowest) / 2."""
        return Codes(bits=self.bits, step=0.5, offset=2**self.bits - 1 + 2 * self.lowest)


TYPES = {
    name: IntegerType(name, bits, lowest)
    for bits in (8, 4, 2)
    for name, lowest in ((f"uint{bits}", 0), (f"int{bits}", -(2 ** (bits - 1))))
}
"""The types that are codes; a bias is int32."""


def integers_of(codes: Codes) -> IntegerType | None:
    """The type whose integers the codes stand for, if they do."""
    return next((kind for kind in TYPES.values() if kind.codes == codes), None)


SCALES = ("float32", "float16")


def integer_type(where: str, name: str) -> IntegerType:
    """The type of that name. Raises ValueError for floats and for integers of more than 8 bits."""
    if name not in TYPES:
        raise ValueError(f"{where}: the quantized type must be one of {', '.join(TYPES)}, not {name}")
    return TYPES[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Scale and zero point of integers, each one number or one for each place along an axis; `where` names them in errors."""

    where: str
    kind: IntegerType
    scale: Array
    zero_point: Array

    @property
    def activation(self) -> Quantizer:
        """The quantizer of a map. Raises ValueError where there is more than one scale or zero point."""
        if np.unique(self.scale).size != 1 or np.unique(self.zero_point).size != 1:
            raise ValueError(
                f"{self.where}: scale and zero point of an activation must be one number, not one per channel"
            )
        zero = int(self.zero_point.flat[0])
        return Quantizer(
            where=self.where,
            bits=self.kind.bits,
            scale=np.asarray(self.scale.flat[0], np.float64),
            zero_point=np.zeros(()),
            lowest=self.kind.lowest - zero,
            highest=self.kind.highest - zero,
        )

    @property
    def constant(self) -> Quantizer:
        """The quantizer of constants that are stored as integers."""
        return Quantizer(
            where=self.where,
            bits=self.kind.bits,
            scale=self.scale.astype(np.float64),
            zero_point=self.zero_point.astype(np.float64),
            lowest=self.kind.lowest,
            highest=self.kind.highest,
            stored=True,
        )

    def along(self, axis: int, shape: tuple[int, ...]) -> Linear:
        """The same, laid along an axis of that shape. Raises ValueError where it does not match."""
        if self.scale.size == 1:
            return self._shaped(())
        rank = len(shape)
        if not -rank <= axis < rank:
            raise ValueError(f"{self.where}: axis must be between {-rank} and {rank - 1}, not {axis}")
        if self.scale.size != shape[axis]:
            raise ValueError(
                f"{self.where}: scale must be one number or {shape[axis]}, one for each place along axis {axis}, "
                f"not {self.scale.size}"
            )
        return self._shaped(tuple(size if place == axis % rank else 1 for place, size in enumerate(shape)))

    def quantize(self, values: Array) -> Array:
        """Constants to integers, divided in the arithmetic of the file (float32), as ONNX does."""
        with np.errstate(over="ignore"):
            levels = np.rint(values / self.scale.astype(values.dtype)).astype(np.float64) + self.zero_point
        return np.asarray(np.clip(levels, self.kind.lowest, self.kind.highest).astype(np.int64))

    def _shaped(self, shape: tuple[int, ...]) -> Linear:
        return replace(self, scale=self.scale.reshape(shape), zero_point=self.zero_point.reshape(shape))


def read_linear(where: str, kind: IntegerType, scale: Array, zero_point: Array | None) -> Linear:
    """A scale and its zero point (None: 0). Raises ValueError, one sentence, where they are unusable."""
    check_scale(where, scale)
    zeros = np.zeros(scale.shape, np.int64) if zero_point is None else zero_point
    if zero_point is not None and zero_point.dtype.name != kind.name:
        raise ValueError(f"{where}: zero point must be {kind.name}, as the integers are, not {zero_point.dtype.name}")
    if zeros.size != scale.size:
        raise ValueError(f"{where}: scale and zero point must have one shape, not {scale.shape} and {zeros.shape}")
    return Linear(where=where, kind=kind, scale=scale.ravel(), zero_point=zeros.astype(np.int64).ravel())


def check_scale(where: str, scale: Array) -> None:
    """Raise ValueError unless it is a positive number or a vector of them."""
    if scale.dtype.name not in SCALES:
        raise ValueError(f"{where}: scale must be {' or '.join(SCALES)}, not {scale.dtype.name}")
    if not scale.size or (scale <= 0).any():
        raise ValueError(f"{where}: scale must be > 0, not {scale.min() if scale.size else 'empty'}")
    if scale.ndim > 1:
        raise ValueError(f"{where}: scale must be one number or a vector along an axis, not of shape {scale.shape}")


def exact_products(integers: Array, scale: Array) -> Array:
    """integers * scale as fractions (dtype object): 32 bits times 24 do not fit float64."""
    integers, scale = np.broadcast_arrays(integers, scale)
    products = np.empty(integers.size, dtype=object)
    for place, (integer, factor) in enumerate(zip(integers.ravel().tolist(), scale.ravel().tolist(), strict=True)):
        products[place] = integer * Fraction(factor)
    return products.reshape(integers.shape)
