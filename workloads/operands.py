"""How weights and windows of one layer lie in words before the kernels meet them: the layout of the machine.

Maps are channel-last in the machine, so every tap of a kernel starts a new word: word order is (tap, channel word). A
host may pack its windows densely instead, in the (channel, kernel_h, kernel_w) order of the weights; which of the two
holds is `encoding.packed_windows`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads import kernels
from workloads.encoded import Parameters
from workloads.encoding import (
    Bits,
    Ints,
    Words,
    codes,
    pack,
    packed_windows,
    reduction_taps,
    unpack,
    unsigned,
    words_per_window,
)
from workloads.layers import Conv, Weighted, max_code


@dataclass(frozen=True, slots=True)
class Operand:
    """Weights of one layer as the kernels read them.

    words: (weight_bits, words per window, groups, out_channels / groups). dtype: of its accumulators.
    border: (b,) output positions with masked taps; correction: (out_channels, b) what to add there.
    """

    words: Words
    dtype: type[np.int32] | type[np.int64]
    border: Ints
    correction: Ints


def operand(layer: Weighted, parameters: Parameters, width: int) -> Operand:
    """Weights (K, out, dense 64-bit words) regrouped to (K, words per window, groups, out / groups)."""
    if parameters.weights is None:
        raise ValueError(f"layer {layer.name!r}: weight planes must be given")
    groups = layer.groups if isinstance(layer, Conv) else 1
    taps, channels = reduction_taps(layer)
    elements = unpack(parameters.weights, layer.reduction).reshape(layer.weight_bits, groups, -1, channels, taps)
    if packed_windows(layer, width):
        words = pack(elements.reshape(*elements.shape[:3], -1), width)
    else:
        by_tap = pack(np.ascontiguousarray(elements.swapaxes(3, 4)), width)
        words = by_tap.reshape(*by_tap.shape[:3], -1)
    border, correction = _masked(layer, elements)
    dtype = np.int32 if layer.acc_bound < 2**30 else np.int64
    return Operand(np.ascontiguousarray(words.transpose(0, 3, 1, 2)), dtype, border, correction)


def _masked(layer: Weighted, elements: Bits) -> tuple[Ints, Ints]:
    """Border positions (b,) and (out_channels, b) what they miss: (2^M - 1) * sum of the weights of masked taps.

    elements: (K, groups, out / groups, channels, taps) weight plane bits.
    """
    if not (isinstance(layer, Conv) and any(layer.padding) and layer.pad_code is None):
        return np.zeros(0, np.int64), np.zeros((layer.out_channels, 0), np.int64)
    outside = kernels.pad(np.zeros((*layer.in_shape[1:], 1), np.uint8), layer.padding, 1)
    view = kernels.windows(outside, layer.kernel, layer.stride, layer.dilation)
    masked = view.reshape(layer.positions, -1).astype(np.int64)
    border = np.flatnonzero(masked.any(axis=1))
    weights = codes(elements, ternary=layer.ternary) + layer.weight_offset
    by_tap = weights.sum(axis=2).reshape(layer.out_channels, -1)
    return border, max_code(layer.act_bits) * (by_tap @ masked[border].T)


def windows(layer: Weighted, source: Bits, width: int) -> Words:
    """The windows of a map as (act_bits, words per window, groups, positions * images) words."""
    if isinstance(layer, Conv):
        return _conv_windows(layer, source, width)
    images = source.shape[-1]
    if layer.positions > 1:
        return kernels.pack_axis(source.reshape(1, layer.reduction, -1), layer.act_bits, width)
    flat = np.ascontiguousarray(source).reshape(1, layer.reduction, images)
    if packed_windows(layer, width):
        return kernels.pack_axis(flat, layer.act_bits, width)
    taps, channels = reduction_taps(layer)
    words = kernels.pack_axis(flat.reshape(1, channels, taps, images), layer.act_bits, width)
    by_tap = np.ascontiguousarray(words.transpose(0, 3, 1, 2, 4))
    return by_tap.reshape(layer.act_bits, words_per_window(layer, width), 1, images)


def _conv_windows(layer: Conv, source: Bits, width: int) -> Words:
    bits, groups = layer.act_bits, layer.groups
    padded = kernels.pad(source, layer.padding, 0 if layer.pad_code is None else int(unsigned(layer.pad_code, bits)))
    if packed_windows(layer, width):
        view = kernels.windows(padded, layer.kernel, layer.stride, layer.dilation)
        elements = view.transpose(0, 4, 5, 1, 2, 3).reshape(groups, layer.reduction, -1)
        return kernels.pack_axis(elements, bits, width)
    words = kernels.pack_axis(padded.reshape(groups, -1, *padded.shape[1:]), bits, width)
    view = kernels.windows(words, layer.kernel, layer.stride, layer.dilation)
    by_tap = np.ascontiguousarray(view.transpose(0, 6, 7, 1, 2, 3, 4, 5))
    return by_tap.reshape(bits, words_per_window(layer, width), groups, -1)
