"""Average pools: sums of codes over windows, and what divides them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from workloads.encoding import encode_weights
from workloads.layers import Conv, Pool
from workloads.onnx_contractions import pad_code
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import CodeMap, Sums, Value
from workloads.onnx_windows import Window, kernel_shape, map_shape, read_window
from workloads.thresholds import Curve


def average_pool(state: Translation, node: GraphNode) -> Value:
    """The mean of a window."""
    return average(node, state.any_codes(node, 0))


def global_average_pool(state: Translation, node: GraphNode) -> Value:
    """An average pool over the whole map."""
    return global_average(node, state.any_codes(node, 0))


def average(node: GraphNode, source: CodeMap) -> Sums:
    """slope * (sum of codes / count) + intercept. With pads that count, a convolution of one weight +1 a channel, zero padded."""
    window = read_window(node, kernel_shape(node), map_shape(node, source), dilated=False)
    if node.integer("ceil_mode", 0) and window != read_window(_floored(node), window.kernel, source.shape):
        raise ValueError(f"{node}: ceil_mode must be 0 where windows end outside the map: they divide by other counts")
    if not any(window.padding):
        return _average(node, source, window)
    if not node.integer("count_include_pad", 0):
        raise ValueError(
            f"{node}: count_include_pad must be 1 where there are pads: else windows at the border divide by other counts"
        )
    return _padded_average(node, source, window)


def global_average(node: GraphNode, source: CodeMap) -> Sums:
    """The average pool over a whole map."""
    _, height, width = map_shape(node, source)
    return _average(node, source, Window((height, width)))


def _floored(node: GraphNode) -> GraphNode:
    return replace(node, attributes={**node.attributes, "ceil_mode": 0})


def _average(node: GraphNode, source: CodeMap, window: Window) -> Sums:
    layer = Pool(
        name=node.name,
        kind="average",
        in_shape=source.shape,
        kernel=window.kernel,
        act_bits=source.codes.bits,
        out_bits=None,
        stride=window.stride,
    )
    return _divided(layer, source, prod(window.kernel))


def _padded_average(node: GraphNode, source: CodeMap, window: Window) -> Sums:
    channels, count = source.shape[0], prod(window.kernel)
    layer = Conv(
        name=node.name,
        in_shape=source.shape,
        out_channels=channels,
        kernel=window.kernel,
        act_bits=source.codes.bits,
        weight_bits=1,
        out_bits=None,
        stride=window.stride,
        padding=window.padding,
        groups=channels,
        pad_code=pad_code(node, source, window.padding),
        from_host=source.from_host,
    )
    sums = _divided(layer, source, count)
    return Sums(
        layer=layer,
        inputs=sums.inputs,
        curves=sums.curves,
        bound=sums.bound,
        flat=False,
        weights=encode_weights(np.ones((channels, count), np.int64), 1),
    )


def _divided(layer: Pool | Conv, source: CodeMap, count: int) -> Sums:
    curves = [Curve().scaled(line.slope / count, line.intercept) for line in source.channel_lines]
    return Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=tuple(curves),
        bound=layer.acc_bound,
        flat=False,
    )


AVERAGES: dict[str, Operator] = {
    "AveragePool": Operator(range(1, 2), average_pool),
    "GlobalAveragePool": Operator(range(1, 2), global_average_pool),
}
"""Average pools."""
