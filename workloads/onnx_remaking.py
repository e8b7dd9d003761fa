"""Finished layers made again for the one node that reads them: outputs in another order, codes in more bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workloads.encoded import Parameters, Thresholds
from workloads.layers import Conv, max_code
from workloads.network import Node
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Translation
from workloads.onnx_values import CodeMap, Summing


def permuted(state: Translation, node: GraphNode, source: CodeMap, order: Sequence[int]) -> CodeMap:
    """Finished codes with their channels in another order: that of the rows of the Conv that makes them for this node alone."""
    layer = next((found.layer for found in state.nodes if found.layer.name == source.producer), None)
    own = state.parameters.get(source.producer, Parameters())
    if not (
        _alone(state, source)
        and isinstance(layer, Conv)
        and layer.groups == 1
        and own.weights is not None
        and own.thresholds
    ):
        raise ValueError(f"{node}: must be the only reader of a Conv without groups, whose outputs can change places")
    rows = np.asarray(order)
    thresholds = Thresholds(own.thresholds.sign[rows], own.thresholds.values[rows])
    weights = np.ascontiguousarray(own.weights[:, rows])
    state.parameters[source.producer] = replace(own, weights=weights, thresholds=thresholds)
    return source


def reemitted(state: Translation, source: CodeMap, bits: int) -> bool:
    """Whether the layer that makes these codes, for one reader alone, now emits them in more bits: the same odd codes.

    u becomes u + spare / 2: as many levels below are always reached, and as many above never.
    """
    place = next((place for place, node in enumerate(state.nodes) if node.layer.name == source.producer), None)
    own = state.parameters.get(source.producer, Parameters())
    if place is None or own.thresholds is None or not _alone(state, source):
        return False
    layer, thresholds, spare = state.nodes[place].layer, own.thresholds, max_code(bits) - max_code(source.codes.bits)
    if not isinstance(layer, Summing):
        return False
    ends = np.full((len(thresholds.sign), spare // 2), layer.acc_bound + 1, np.int64)
    values = np.concatenate([-ends, thresholds.values, ends], axis=1)
    state.nodes[place] = Node(replace(layer, out_bits=bits), state.nodes[place].inputs)
    state.parameters[layer.name] = replace(own, thresholds=Thresholds(thresholds.sign, values))
    return True


def _alone(state: Translation, source: CodeMap) -> bool:
    """Whether one node reads the codes of a layer."""
    names = [
        name for name, value in state.values.items() if isinstance(value, CodeMap) and value.producer == source.producer
    ]
    return len(names) == 1 and state.readers[names[0]] == 1
