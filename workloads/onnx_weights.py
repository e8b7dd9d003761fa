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
        first = rows.reshape(len(rows), -1)[:, 0] if rows.size else rows
        if (rows != first.reshape(-1, *(1,) * (rows.ndim - 1))).any():
            raise ValueError(f"{self.where}: scale must be one number or one per output channel, not of another axis")
        return [Fraction(step) for step in first.tolist()]


@dataclass(frozen=True, slots=True)
class WeightEncoding:
    """K, offset and kind of the planes of one layer, as `Conv` and `Dense` have them."""

    bits: int
    offset: int
    ternary: bool

    def planes(self, values: Integers) -> Planes:
        """Words of weights (out_channels, N)."""
        return encode_weights(values - np.int32(self.offset), self.bits, ternary=self.ternary)


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
