"""What each ONNX operator does to codes and sums: one short function an operator, and the table `NODES`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workloads.layers import Pool
from workloads.onnx_affine import (
    add_constant,
    batch_normalization,
    clip,
    divide,
    multiply,
    negate,
    relu,
    subtract_constant,
)
from workloads.onnx_contractions import conv, gemm
from workloads.onnx_graph import GraphNode
from workloads.onnx_quantizer import QUANT_DOMAINS
from workloads.onnx_quantizing import multi_threshold, quant, trunc
from workloads.onnx_residual import residual
from workloads.onnx_shapes import decision, flatten, identity, reshape, shape, squeeze, transpose, unsqueeze
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import Constant, Value
from workloads.onnx_windows import kernel_shape, map_shape, read_window

FLOAT_TYPES = (1, 10, 11, 16)
"""FLOAT, FLOAT16, DOUBLE and BFLOAT16 of TensorProto."""


def add(state: Translation, node: GraphNode) -> Value:
    """A constant added to a map, or two maps of codes added: a residual connection."""
    if state.is_constant(node, 0) or state.is_constant(node, 1):
        return add_constant(state, node)
    return residual(state, node, state.term(node, 0), state.term(node, 1), 1)


def subtract(state: Translation, node: GraphNode) -> Value:
    """A map minus a constant, a constant minus a map, or one map of codes minus another."""
    if state.is_constant(node, 0) or state.is_constant(node, 1):
        return subtract_constant(state, node)
    return residual(state, node, state.term(node, 0), state.term(node, 1), -1)


def max_pool(state: Translation, node: GraphNode) -> Value:
    """The largest code is the code of the largest value, so nothing else changes."""
    source = state.any_codes(node, 0)
    if any(line.slope < 0 for line in source.channel_lines):
        raise ValueError(f"{node}: codes of {source.producer!r} must grow with what they stand for, not fall")
    window = read_window(node, kernel_shape(node), map_shape(node, source), dilated=False)
    bits = source.codes.bits
    layer = Pool(
        name=node.name,
        kind="max",
        in_shape=source.shape,
        kernel=window.kernel,
        act_bits=bits,
        out_bits=bits,
        stride=window.stride,
        padding=window.padding,
    )
    state.finish(layer, (source.producer,))
    return replace(source, producer=layer.name, shape=layer.out_shape, from_host=False)


def cast(state: Translation, node: GraphNode) -> Value:
    """Integers as real numbers of the same value."""
    if node.integer("to") not in FLOAT_TYPES:
        raise ValueError(f"{node}: must cast to a floating point type, not to type {node.integer('to')}")
    value = state.value(node, 0)
    if isinstance(value, Constant):
        return Constant(value.array.astype(np.float64))
    return value


NODES: dict[str, Operator] = {
    "MultiThreshold": Operator(range(2, 3), multi_threshold, QUANT_DOMAINS),
    "Trunc": Operator(range(5, 7), trunc, QUANT_DOMAINS),
    "Quant": Operator(range(4, 5), quant, QUANT_DOMAINS),
    "IntQuant": Operator(range(4, 5), quant, QUANT_DOMAINS),
    "BipolarQuant": Operator(range(2, 3), quant, QUANT_DOMAINS),
    "Conv": Operator(range(2, 4), conv),
    "Gemm": Operator(range(2, 4), gemm),
    "BatchNormalization": Operator(range(5, 6), batch_normalization),
    "Add": Operator(range(2, 3), add),
    "Sub": Operator(range(2, 3), subtract),
    "Mul": Operator(range(2, 3), multiply),
    "Div": Operator(range(2, 3), divide),
    "Relu": Operator(range(1, 2), relu),
    "Clip": Operator(range(1, 4), clip),
    "MaxPool": Operator(range(1, 2), max_pool),
    "Flatten": Operator(range(1, 2), flatten),
    "Reshape": Operator(range(2, 3), reshape),
    "Squeeze": Operator(range(1, 3), squeeze),
    "Unsqueeze": Operator(range(1, 3), unsqueeze),
    "Transpose": Operator(range(1, 2), transpose),
    "Shape": Operator(range(1, 2), shape),
    "Identity": Operator(range(1, 2), identity),
    "Cast": Operator(range(1, 2), cast),
    "Neg": Operator(range(1, 2), negate),
    "TopK": Operator(range(2, 3), decision),
    "ArgMax": Operator(range(1, 2), decision),
}
"""The operators of networks without branches, and residual sums."""
