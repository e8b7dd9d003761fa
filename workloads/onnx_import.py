"""QONNX files as encoded networks: every quantized layer with its weight planes and integer thresholds.

    network = load_onnx("digits_m2k2.onnx")

A Conv, MatMul, Gemm, Add or average pool becomes a layer named after its node; what follows it up to its quantizer
(BatchNormalization, constants, Relu) becomes thresholds. The last layer has no quantizer and keeps its real scale.
"""

from __future__ import annotations

from pathlib import Path

from workloads.encoded import Arrangement, Codes, EncodedNetwork
from workloads.layers import Pool, Upsample
from workloads.network import Input, Network
from workloads.onnx_datatypes import integer_type
from workloads.onnx_folding import folded, is_folded
from workloads.onnx_graph import Graph, GraphNode, read_graph
from workloads.onnx_host import computed, on_host
from workloads.onnx_operators import OPERATORS
from workloads.onnx_pads import merge_pads
from workloads.onnx_translation import Translation
from workloads.onnx_values import WORDS, CodeMap, Constant, Joined, Sums, Value

REASONS = {"DynamicQuantizeLinear": ": its scale is known only while it runs, so quantize statically"}
"""Why an operator cannot be supported, where the reader may not expect it."""


def load_onnx(
    path: str | Path, *, input_codes: Codes | None = None, shape: tuple[int, ...] | None = None
) -> EncodedNetwork:
    """Read a QONNX file (operators: `OPERATORS`). Raises ValueError, one sentence naming file or node, for any other.

    Thresholds are exact for the constants in the file: those are taken as fractions, only the slope of a
    BatchNormalization, gamma / sqrt(variance + epsilon), is rounded once, to float64. Weights are rounded to their
    levels in float32, as QONNX executors do, and so is the input by the host.

    `input_codes` are those of an input that the file neither quantizes nor declares to be integers: what its images really
    are, 8 bits and a scale of 1/255, say. `shape`: sizes of the input behind its batch, where the file leaves them open.
    """
    return translate(read_graph(path, shape), input_codes=input_codes)


def translate(graph: Graph, *, input_codes: Codes | None = None) -> EncodedNetwork:
    """A graph as an encoded network."""
    return imported(graph, input_codes=input_codes)[0]


def imported(graph: Graph, *, input_codes: Codes | None = None) -> tuple[EncodedNetwork, dict[str, CodeMap]]:
    """A graph as an encoded network, and by name the tensors that are codes of a layer, in the order in which they are made."""
    graph = merge_pads(graph)
    _check_supported(graph)
    kind = integer_type(graph.datatypes.get(graph.input_name, ""))
    state = Translation(graph, given_codes=input_codes if kind is None else kind.codes)
    for node in graph.nodes:
        made = _translated(state, node)
        state.values |= zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True)
    arrangement = _emit(state)
    if state.input_codes is None:
        raise ValueError(f"graph input {graph.input_name!r}: must pass through one Quant or BipolarQuant to the output")
    source = Input(name=graph.input_name, shape=graph.input_shape, bits=state.input_codes.bits)
    network = Network(graph.name, source, tuple(state.nodes))
    left = {"left_to_host": ", ".join(state.left_to_host)} if state.left_to_host else {}
    encoded = EncodedNetwork(
        network, state.input_codes, state.parameters, {**graph.source, **left}, arrangement, state.input_levels
    )
    return encoded, {name: value for name, value in state.values.items() if isinstance(value, CodeMap)}


def _translated(state: Translation, node: GraphNode) -> Value | tuple[Value, ...]:
    """What the outputs of a node are; a node that reads constants only is computed."""
    inputs = [state.values[name] if name else None for name in node.inputs]
    arrays = [value.array for value in inputs if isinstance(value, Constant)]
    if is_folded(node) and arrays and len(arrays) == sum(value is not None for value in inputs):
        given = [value.array if isinstance(value, Constant) else None for value in inputs]
        return Constant(folded(node, given, state.graph.opsets[""]))
    _check_arity(node)
    if on_host(state, node):
        return computed(state, node)
    return OPERATORS[node.op].translate(state, node)


def _check_supported(graph: Graph) -> None:
    """Refuse all unsupported nodes at once, so that the user sees the whole distance."""
    constants, bad = set(graph.constants), list[GraphNode]()
    for node in graph.nodes:
        if is_folded(node) and (node.op == "Shape" or constants.issuperset(filter(None, node.inputs))):
            constants.update(node.outputs)
        elif node.op not in OPERATORS or node.domain not in OPERATORS[node.op].domains:
            bad.append(node)
    if bad:
        named = ", ".join(f"{node.name!r} ({node.op}{_domain(node)}{REASONS.get(node.op, '')})" for node in bad)
        raise ValueError(f"graph {graph.name!r}: every node must be one of {', '.join(sorted(OPERATORS))}, not {named}")


def _domain(node: GraphNode) -> str:
    return f" of domain {node.domain!r}" if node.domain else ""


def _check_arity(node: GraphNode) -> None:
    allowed = OPERATORS[node.op].inputs
    if len(node.inputs) not in allowed or not all(node.inputs[: allowed.start]):
        raise ValueError(f"{node}: must have {' or '.join(map(str, allowed))} inputs, not {list(node.inputs)}")
    if not any(node.outputs) or (len(node.outputs) != 1 and node.op not in ("Split", "TopK")):
        raise ValueError(f"{node}: must have one output, not {list(node.outputs)}")


def _emit(state: Translation) -> Arrangement | None:
    """Finish the layer, or layers, that compute the graph output."""
    name = state.graph.output_name
    value, where = state.values[name], f"graph output {name!r}"
    if isinstance(value, CodeMap) and value.producer != state.graph.input_name:
        state.emit_codes(value)
        return None
    if not isinstance(value, Sums | Joined):
        raise ValueError(f"{where}: must be the sums or codes of a last layer, not {WORDS[type(value)]}")
    for part in (value,) if isinstance(value, Sums) else value.parts:
        if not isinstance(part, Sums):
            raise ValueError(f"{where}: the sums of {part.name!r} must be followed by a Quant, not end the network")
        if isinstance(part.layer, Pool | Upsample):
            raise ValueError(f"{where}: {part.name!r} must be followed by a Quant, not end the network")
    if any(len(curve.lines) > 1 for curve in value.curves):
        raise ValueError(f"{where}: must be an affine function of the sums of {value.name!r}, without a Relu")
    return state.emit_sums(value)
