"""The accumulators of a layer as products of its codes in floating point: the same integers, faster than planes at many bits.

Exact, because no sum, in whatever order it is made, reaches the integers that the type cannot hold: 2^24 in float32, 2^53 in
float64. At M K = 16 and above numpy needs less time for it than for M K branches; machine code has products of its own (`native.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workloads import kernels
from workloads.encoding import Bits, decode_weights, unsigned
from workloads.kernels import Integers
from workloads.layers import Conv, Weighted, max_code

Reals = npt.NDArray[np.floating[Any]]

LEAST_BRANCHES = 16
"""M K from which products in floating point are faster than branches in numpy."""

CHUNK = 2**23
"""Elements of the windows of one product: 32 to 64 MiB."""


def product_type(layer: Weighted) -> type[np.float32] | type[np.float64] | None:
    """The type in which the layer's sums are exact, or None where branches are faster or no type is wide enough."""
    if layer.act_bits * layer.weight_bits < LEAST_BRANCHES or layer.acc_bound >= 2**53:
        return None
    return np.float32 if layer.acc_bound < 2**24 else np.float64


def product_weights(layer: Weighted, words: npt.NDArray[np.uint64]) -> Reals | None:
    """Weights (groups, out_channels / groups, N) of planes as `Parameters` holds them, or None as `product_type` says."""
    dtype, groups = product_type(layer), layer.groups if isinstance(layer, Conv) else 1
    if dtype is None:
        return None
    weights = decode_weights(words, layer.reduction, ternary=layer.ternary) + layer.weight_offset
    return weights.reshape(groups, -1, layer.reduction).astype(dtype)


def product_sums(layer: Weighted, source: Bits, weights: Reals, dtype: npt.DTypeLike) -> Integers:
    """(groups, out_channels / groups, positions * images) of sums over a map (channels, height, width, images) of codes u.

    Taps outside the map count as the smallest code or the layer's pad code, as they do in planes.
    """
    images = source.shape[-1]
    step = max(1, CHUNK // max(1, layer.reduction * layer.positions * weights.shape[0]))
    shape = (*weights.shape[:2], layer.positions, images)
    sums = np.empty(shape, dtype)
    for first in range(0, images, step):
        part = source[..., first : first + step]
        sums[..., first : first + step] = (weights @ _windows(layer, part, weights)).reshape(*shape[:3], -1)
    return sums.reshape(*shape[:2], -1)


def _windows(layer: Weighted, source: Bits, weights: Reals) -> Reals:
    """Codes of the windows, (groups, N, positions * images), N in the order of the weights."""
    codes = 2 * source.astype(weights.dtype) - weights.dtype.type(max_code(layer.act_bits))
    if not isinstance(layer, Conv):
        return codes.reshape(1, layer.reduction, -1)
    pad_u = 0 if layer.pad_code is None else int(unsigned(layer.pad_code, layer.act_bits))
    padded = kernels.pad(codes, layer.padding, 2 * pad_u - max_code(layer.act_bits))
    view = kernels.windows(padded, layer.kernel, layer.stride, layer.dilation)
    return np.ascontiguousarray(view.transpose(0, 4, 5, 1, 2, 3)).reshape(layer.groups, layer.reduction, -1)
