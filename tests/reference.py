"""Inference in plain Python integers, written from the definitions: the truth that the executor is compared with.

No packing, no popcount, no numpy arithmetic: every output is a loop over its taps, every map is a nested list
[channel][row][column] of odd codes. Slow on purpose; use it on small layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from workloads.encoded import EncodedNetwork, Parameters, Thresholds
from workloads.layers import Add, Concat, Conv, Dense, Flatten, Layer, MatMul, Pool, Shuffle, Slice, Upsample

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
        return add(layer, sources[0], sources[1])
    if isinstance(layer, MatMul):
        return matmul(layer, sources[0], sources[1])
    if isinstance(layer, Concat):
        return [channel for source in sources for channel in source]
    if isinstance(layer, Shuffle):
        return to_space(layer, sources[0])
    if isinstance(layer, Slice):
        c, y, x = layer.start
        window = sources[0][c : c + layer.out_shape[0]]
        return [[row[x : x + layer.out_shape[2]] for row in rows[y : y + layer.out_shape[1]]] for rows in window]
    if isinstance(layer, Upsample):
        return [upsample(layer, channel) for channel in sources[0]]
    assert isinstance(layer, Flatten)
    return [[[value]] for value in flat(sources[0])]


def weight_codes(layer: Conv | Dense, parameters: Parameters) -> list[list[int]]:
    """[out][element]: the offset, and over planes 2^k (ternary: 1) times +1 or -1, read bit by bit from the words."""
    assert parameters.weights is not None
    words = parameters.weights.tolist()
    return [
        [
            layer.weight_offset
            + sum(
                (1 if layer.ternary else 2**k) * (1 if words[k][out][i // 64] >> (i % 64) & 1 else -1)
                for k in range(layer.weight_bits)
            )
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


def add(layer: Add, one: Map, other: Map) -> Map:
    """Element by element, each with its multiplier."""
    first, second = layer.multipliers
    return [
        [[first * a + second * b for a, b in zip(*rows, strict=True)] for rows in zip(*channels, strict=True)]
        for channels in zip(one, other, strict=True)
    ]


def matmul(layer: MatMul, one: Map, other: Map) -> Map:
    """Head by head; x is (heads * N, 1, T), y (heads * N, 1, S) or (heads * b, 1, N)."""
    outs: Map = []
    n, per_head = layer.reduction, layer.out_channels // layer.heads
    for head in range(layer.heads):
        x = [[code + layer.act_offset for code in one[head * n + i][0]] for i in range(n)]
        for out in range(per_head):
            if layer.over == "channels":
                y = [other[head * n + i][0][out] for i in range(n)]
            else:
                y = other[head * per_head + out][0]
            outs.append(
                [[sum(x[i][t] * (y[i] + layer.weight_offset) for i in range(n)) for t in range(layer.positions)]]
            )
    return outs


def to_space(layer: Shuffle, source: Map) -> Map:
    """Pixel (y, x) comes from channel block (y mod b, x mod b) of pixel (y // b, x // b)."""
    channels, rows, columns = layer.out_shape
    b = layer.block
    return [
        [[source[(b * (y % b) + x % b) * channels + c][y // b][x // b] for x in range(columns)] for y in range(rows)]
        for c in range(channels)
    ]


def upsample(layer: Upsample, channel: list[list[int]]) -> list[list[int]]:
    """Real coordinates in fractions, times the denominators; nothing of the layer's own taps."""
    _, rows, columns = layer.out_shape
    if layer.kind == "nearest":
        return [[channel[y // layer.factor[0]][x // layer.factor[1]] for x in range(columns)] for y in range(rows)]
    scale = layer.denominators[0] * layer.denominators[1]
    values = [[_linear_at(layer, channel, y, x) * scale for x in range(columns)] for y in range(rows)]
    assert all(value.denominator == 1 for row in values for value in row)
    return [[int(value) for value in row] for row in values]


def _linear_at(layer: Upsample, channel: list[list[int]], y: int, x: int) -> Fraction:
    down, right = _coordinate(layer, y, 0), _coordinate(layer, x, 1)
    total = Fraction(0)
    for row, codes in enumerate(channel):
        for column, code in enumerate(codes):
            near_row, near_column = max(Fraction(0), 1 - abs(down - row)), max(Fraction(0), 1 - abs(right - column))
            total += near_row * near_column * code
    return total


def _coordinate(layer: Upsample, index: int, axis: int) -> Fraction:
    size, factor = layer.in_shape[1 + axis], layer.factor[axis]
    found = {
        "half_pixel": (Fraction(index) + Fraction(1, 2)) / factor - Fraction(1, 2),
        "asymmetric": Fraction(index, factor),
        "align_corners": Fraction(index * (size - 1), max(1, size * factor - 1)),
    }[layer.coordinates]
    return min(max(found, Fraction(0)), Fraction(size - 1))


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
