"""Constant weights as integers, and the planes that say those integers exactly.

Whatever a file calls its weights, they are real = step * w with integers w that are all even (levels of a quantizer count
twice its half step) or all odd (the paper's codes). So are the planes of `workloads.contractions`:

    w in {-2, 0, +2}             ternary: two planes that count once each
    w in lowest..highest         affine: w = c + offset, K = bits of (highest - lowest) / 2, offset = 2^K - 1 + lowest
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from workloads.contractions import TERNARY_PLANES
from workloads.encoded import Planes
from workloads.encoding import encode_weights
from workloads.layers import MAX_BITS, max_code
from workloads.onnx_datatypes import integer_type
from workloads.onnx_graph import Array

Integers = npt.NDArray[np.int32]
Steps = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerWeights:
    """real = steps * values, of one shape; every value has the parity of `lowest` and lies in lowest..highest.

    `where` names the quantizer in errors. The range is the one that the file declares: values may use less of it.
    """

    where: str
    values: Integers
    steps: Steps
    lowest: int
    highest: int

    def channel_steps(self, axis: int) -> list[Fraction]:
        """The step of every output channel, which lies on `axis`. Raises ValueError where a channel has several."""
        rows = np.moveaxis(self.steps, axis, 0)
        first = rows[(slice(None), *(slice(1),) * (rows.ndim - 1))]
        if (rows != first).any():
            raise ValueError(f"{self.where}: scale must be one number or one per output channel, not of another axis")
        return [Fraction(step) for step in first.ravel().tolist()]


@dataclass(frozen=True, slots=True)
class WeightEncoding:
    """K, offset and kind of the planes of one layer, as `Conv` and `Dense` have them."""

    bits: int
    offset: int
    ternary: bool

    def planes(self, values: Integers) -> Planes:
        """Words of weights (out_channels, N)."""
        return encode_weights(values - np.int32(self.offset), self.bits, ternary=self.ternary)


def integer_constant(where: str, array: Array, datatype: str | None) -> IntegerWeights | None:
    """Constants that are integers as they stand, as FINN writes weights; None for fractions and numbers of many bits.

    Integers that are all odd (bipolar ones, say) keep the step 1. Raises ValueError where the annotated type does not hold them.
    """
    if (
        not array.size
        or array.dtype.kind not in "fiub"
        or (np.abs(array) > 2**MAX_BITS).any()
        or (array != np.rint(array)).any()
    ):
        return None
    kind = None if datatype is None else integer_type(datatype)
    lowest, highest = int(array.min()), int(array.max())
    if kind is not None and not (kind.lowest <= lowest and highest <= kind.highest):
        raise ValueError(f"{where} must be {datatype}, as annotated, not integers in {lowest}..{highest}")
    odd = bool((array % 2 == 1).all()) and (kind is None or kind.distance == 2)
    if kind is not None and kind.distance == 1:
        lowest, highest = kind.lowest, kind.highest
    counts = 1 if odd else 2
    values = counts * array.astype(np.int32)
    steps = np.broadcast_to(np.float64(1 / counts), values.shape)
    return IntegerWeights(where=where, values=values, steps=steps, lowest=counts * lowest, highest=counts * highest)


def weight_encoding(weights: IntegerWeights) -> WeightEncoding:
    """The planes of these weights: ternary if only -1, 0 and 1 are used, else affine. Raises ValueError beyond 8 bits."""
    used = int(weights.values.min()), int(weights.values.max())
    lowest, highest = weights.lowest, weights.highest
    if _bits(lowest, highest) > MAX_BITS:
        lowest, highest = used
    bits = _bits(lowest, highest)
    if bits > MAX_BITS:
        raise ValueError(
            f"{weights.where}: weights must have at most {2**MAX_BITS} levels, not {(highest - lowest) // 2 + 1}"
        )
    if bits >= TERNARY_PLANES and lowest % 2 == 0 and used[0] >= -2 and used[1] <= 2:
        return WeightEncoding(TERNARY_PLANES, 0, ternary=True)
    return WeightEncoding(bits, max_code(bits) + lowest, ternary=False)


def _bits(lowest: int, highest: int) -> int:
    """Planes that number the levels lowest, lowest + 2, ..., highest."""
    return max(1, ((highest - lowest) // 2).bit_length())
