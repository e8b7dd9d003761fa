"""Two maps of codes added or subtracted: a residual connection, exact whatever their steps, offsets and bits.

    s_1 (c_1 + o_1) + s_2 (c_2 + o_2) = s_1 / n_1 * (n_1 c_1 + n_2 c_2) + s_1 o_1 + s_2 o_2,    n_1 : n_2 = s_1 : s_2 in integers.

Steps are float32 numbers, so n_1 and n_2 are whole but may be large; the quantizer behind them lets `workloads.multipliers` find
the smallest integers that give the same levels.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from workloads.encoded import Codes, Parameters, Thresholds
from workloads.layers import Add, Pool, max_code
from workloads.onnx_graph import GraphNode
from workloads.onnx_remaking import reemitted
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Sums
from workloads.thresholds import Curve

LARGEST = 2**62
"""Sums stay below this, so that twice a sum fits an int64."""


def residual(state: Translation, node: GraphNode, left: CodeMap, right: CodeMap, sign: int) -> Sums:
    """Two maps that a node adds (sign 1) or subtracts (sign -1)."""
    if (left.shape, left.flat, left.view) != (right.shape, right.flat, right.view):
        raise ValueError(f"{node}: both operands must have one shape, not {left.shape} and {right.shape}")
    bits = max(left.codes.bits, right.codes.bits)
    operands = [widened(state, f"{node.name}_{place}", part, bits) for place, part in enumerate((left, right))]
    steps = [Fraction(part.codes.step) for part in operands]
    ratio = steps[0] / steps[1]
    layer = Add(
        name=node.name,
        in_shape=left.shape,
        act_bits=bits,
        out_bits=None,
        multipliers=(ratio.numerator, sign * ratio.denominator),
    )
    if layer.acc_bound >= LARGEST:
        raise ValueError(f"{node}: the steps of the operands must have a ratio of 62 bits, not {float(ratio):.6g}")
    shift = steps[0] * left.codes.offset + sign * steps[1] * right.codes.offset
    curve = Curve().scaled(steps[0] / ratio.numerator, shift)
    return Sums(
        layer=layer,
        inputs=tuple(part.producer for part in operands),
        curves=(curve,) * left.shape[0],
        bound=layer.acc_bound,
        flat=left.flat,
        view=left.view,
    )


def widened(state: Translation, name: str, source: CodeMap, bits: int) -> CodeMap:
    """The same odd codes held in more bits: by the layer that makes them if it makes them for nobody else, or by one pass more."""
    codes, spare = source.codes, max_code(bits) - max_code(source.codes.bits)
    if spare == 0:
        return source
    held = Codes(bits=bits, step=codes.step, offset=codes.offset, highest=(codes.highest or 0) + spare // 2)
    if reemitted(state, source, bits):
        return replace(source, codes=held)
    layer = Pool(
        name=name, kind="average", in_shape=source.shape, kernel=(1, 1), act_bits=codes.bits, out_bits=bits
    )  # fmt: skip
    levels = np.arange(1 - max_code(bits) + 1, max_code(bits) + 1, 2, dtype=np.int64)
    bounded = np.clip(levels, -(layer.acc_bound + 1), layer.acc_bound + 1)
    channels = source.shape[0]
    thresholds = Thresholds(np.ones(channels, np.int64), np.tile(bounded, (channels, 1)))
    state.finish(layer, (source.producer,), Parameters(thresholds=thresholds))
    return replace(source, producer=name, codes=held, from_host=False)
