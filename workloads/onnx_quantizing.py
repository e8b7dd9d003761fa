"""Nodes that quantize: Quant, IntQuant, BipolarQuant, Trunc, MultiThreshold."""

from __future__ import annotations

import numpy as np

from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_input import RawInput
from workloads.onnx_multithreshold import read_multithreshold
from workloads.onnx_quantizer import Quantizer, read_quantizer
from workloads.onnx_translation import Translation
from workloads.onnx_trunc import Reach, read_trunc
from workloads.onnx_values import Constant, Joined, QuantizedConstant, Sums, Value


def quant(state: Translation, node: GraphNode) -> Value:
    """Quant, BipolarQuant: codes from sums, codes or the graph input; constants wait until their reader is known."""
    quantizer = read_quantizer(node, _parameters(state, node))
    value = state.value(node, 0)
    if isinstance(value, QuantizedConstant):
        value = Constant(state.constant(node, 0))
    if isinstance(value, Constant):
        return _quantized_constant(node, value.array, quantizer)
    return state.quantized(node, quantizer)


def multi_threshold(state: Translation, node: GraphNode) -> Value:
    """MultiThreshold: codes from sums, codes or the graph input."""
    return state.quantized(node, read_multithreshold(node, state.constant(node, 1)))


def trunc(state: Translation, node: GraphNode) -> Value:
    """Trunc: codes of fewer bits from sums or codes."""
    if isinstance(state.value(node, 0), RawInput):
        raise ValueError(f"{node}: must truncate sums or codes, not the graph input")
    inputs, sums = 6 if state.graph.opsets.get(node.domain, 1) > 1 else 5, state.sums(node, 0)
    if len(node.inputs) != inputs:
        raise ValueError(f"{node}: must have {inputs} inputs in this version of {node.domain}, not {len(node.inputs)}")
    return state.quantized(node, read_trunc(node, _parameters(state, node), _reach(sums)))


def _parameters(state: Translation, node: GraphNode) -> tuple[Array, ...]:
    return tuple(state.constant(node, index) for index in range(1, len(node.inputs)))


def _reach(sums: Sums | Joined) -> Reach:
    """Smallest and largest real value of sums, from the bound of their accumulators."""
    if isinstance(sums, Joined):
        reaches = [_reach(part) for part in sums.shared()]
        return min(low for low, _ in reaches), max(high for _, high in reaches)
    ends = [curve(acc) for curve in set(sums.curves) for acc in (-sums.bound, sums.bound)]
    return min(ends), max(ends)


def _quantized_constant(node: GraphNode, array: Array, quantizer: Quantizer) -> QuantizedConstant:
    for name, parameter in (("scale", quantizer.scale), ("zero point", quantizer.zero_point)):
        try:
            fits = np.broadcast_shapes(parameter.shape, array.shape) == array.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{node}: {name} must fit the shape {array.shape}, not {parameter.shape}")
    return QuantizedConstant(array, quantizer)
