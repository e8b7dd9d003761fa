"""Inference in plain Python integers, written from the definitions: the truth that the executor is compared with.

No packing, no popcount, no numpy arithmetic: every output is a loop over its taps, every map is a nested list
[channel][row][column] of odd codes. Slow on purpose; use it on small layers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workloads.encoded import EncodedNetwork, Parameters, Thresholds
from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool

Map = list[list[list[int]]]


def infer(encoded: EncodedNetwork, image: Map) -> dict[str, Map]:
    """Sums (or passed codes) of every layer for one image of odd codes [channel][row][column]."""
    maps, sums = {encoded.network.input.name: image}, {}
    for node in encoded.network.nodes:
        layer = node.layer
        parameters = encoded.parameters.get(layer.name, Parameters())
        sums[layer.name] = layer_sums(layer, [maps[name] for name in node.inputs], parameters)
        if parameters.thresholds is not None and layer.out_bits is not None:
            maps[layer.name] = threshold(sums[layer.name], parameters.thresholds, layer.out_bits)
        else:
            maps[layer.name] = sums[layer.name]
    return sums


def layer_sums(layer: Layer, sources: list[Map], parameters: Parameters) -> Map:
    """What one layer sums (or hands on) for the codes it reads."""
    if isinstance(layer, Conv):
        return conv(layer, sources[0], weight_codes(layer, parameters))
    if isinstance(layer, Dense):
        return dense(layer, sources[0], weight_codes(layer, parameters))
    if isinstance(layer, Pool):
        return pool(layer, sources[0])
    if isinstance(layer, Add):
        return add(sources[0], sources[1])
    assert isinstance(layer, Flatten)
    return [[[value]] for value in flat(sources[0])]


def weight_codes(layer: Conv | Dense, parameters: Parameters) -> list[list[int]]:
    """[out][element of the reduction]: sum over planes of 2^k times +1 or -1, read bit by bit from the words."""
    assert parameters.weights is not None
    words = parameters.weights.tolist()
    return [
        [
            sum(2**k * (1 if words[k][out][i // 64] >> (i % 64) & 1 else -1) for k in range(layer.weight_bits))
            for i in range(layer.reduction)
        ]
        for out in range(layer.out_channels)
    ]


def conv(layer: Conv, source: Map, weights: list[list[int]]) -> Map:
    """out[o][y][x] = sum over channel and tap of weight * code; outside the map the pad code or nothing."""
    _, rows, columns = layer.out_shape
    return [
        [[_conv_at(layer, source, weights[out], out, y, x) for x in range(columns)] for y in range(rows)]
        for out in range(layer.out_channels)
    ]


def _conv_at(layer: Conv, source: Map, weights: list[int], out: int, y: int, x: int) -> int:
    per_group = layer.in_shape[0] // layer.groups
    first = out // (layer.out_channels // layer.groups) * per_group
    sum_, index = 0, 0
    for channel in range(first, first + per_group):
        for down in range(layer.kernel[0]):
            for right in range(layer.kernel[1]):
                row = y * layer.stride[0] + down * layer.dilation[0] - layer.padding[0]
                column = x * layer.stride[1] + right * layer.dilation[1] - layer.padding[1]
                inside = 0 <= row < layer.in_shape[1] and 0 <= column < layer.in_shape[2]
                code = source[channel][row][column] if inside else layer.pad_code or 0
                sum_ += weights[index] * code
                index += 1
    return sum_


def dense(layer: Dense, source: Map, weights: list[list[int]]) -> Map:
    """out[o][0][p]: one vector of the whole map, or one vector of channels at each of `positions`."""
    if layer.positions == 1:
        vectors = [flat(source)]
    else:
        vectors = [[channel[0][position] for channel in source] for position in range(layer.positions)]
    return [[[_dot(row, vector) for vector in vectors]] for row in weights]


def _dot(one: list[int], other: list[int]) -> int:
    assert len(one) == len(other)
    return sum(a * b for a, b in zip(one, other, strict=True))


def pool(layer: Pool, source: Map) -> Map:
    """The largest code inside the map, or the sum of the window."""
    combine = max if layer.kind == "max" else sum
    _, rows, columns = layer.out_shape
    return [
        [[combine(_window(layer, channel, y, x)) for x in range(columns)] for y in range(rows)] for channel in source
    ]


def _window(layer: Pool, channel: list[list[int]], y: int, x: int) -> Iterator[int]:
    for down in range(layer.kernel[0]):
        for right in range(layer.kernel[1]):
            row, column = y * layer.stride[0] + down - layer.padding[0], x * layer.stride[1] + right - layer.padding[1]
            if 0 <= row < layer.in_shape[1] and 0 <= column < layer.in_shape[2]:
                yield channel[row][column]


def add(one: Map, other: Map) -> Map:
    """Element by element."""
    return [
        [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(*channels, strict=True)]
        for channels in zip(one, other, strict=True)
    ]


def flat(source: Map) -> list[int]:
    """(channel, row, column) order."""
    return [value for channel in source for row in channel for value in row]


def threshold(sums: Map, thresholds: Thresholds, bits: int) -> Map:
    """2u - (2^bits - 1), u = number of levels that sign * sum reaches, one by one."""
    signs, levels = thresholds.sign.tolist(), thresholds.values.tolist()
    return [
        [[2 * sum(signs[c] * value >= level for level in levels[c]) - (2**bits - 1) for value in row] for row in rows]
        for c, rows in enumerate(sums)
    ]


def as_array(value: Map) -> np.ndarray:
    """For comparisons."""
    return np.array(value, dtype=np.int64)
