"""How far an encoded network is from a float one: signal to quantization noise, layer by layer.

A layer's codes are compared with the tensor that they stand for, computed without rounding anywhere. Noise adds up from layer to layer, so a
figure belongs to the whole network up to there. Of a file with quantizers the float network is the same file with every Quant
replaced by the range that it clips to (training knows that range), and every QuantizeLinear by nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workloads.calibration import sqnr_db
from workloads.encoded import Codes, EncodedNetwork, Floats
from workloads.executor import Run, run
from workloads.layers import sums
from workloads.onnx_float import float_values, quantize_model
from workloads.onnx_float_maps import Precision
from workloads.onnx_graph import Array, Graph, GraphNode, graph_of, read_model
from workloads.onnx_import import imported
from workloads.onnx_quantizer import QUANT_DOMAINS, read_quantizer
from workloads.onnx_values import CodeMap, viewed

if TYPE_CHECKING:
    import onnx

OUTPUT = "output"
"""The row of the network's outputs."""

ROUNDING = ("Quant", "IntQuant", "BipolarQuant")
LINEAR = ("QuantizeLinear", "DequantizeLinear")


def layer_sqnr(path: str | Path, images: Array, *, input_codes: Codes | None = None) -> dict[str, float]:
    """dB of every layer that makes sums, and of the outputs, on images (N, channels, height, width).

    Raises what `load_onnx` raises, and ValueError where the file describes no float network (integer operators, thresholds).
    """
    path = Path(path)
    content, model = read_model(path)
    graph = graph_of(path, content, model)
    encoded, tensors = imported(graph, input_codes=input_codes)
    return _compared(graph, encoded, tensors, unquantized(graph, model), {}, images)


def float_sqnr(path: str | Path, precision: Precision, images: Array, method: str) -> dict[str, float]:
    """The same for a float file encoded after training, against the file itself, on the images that its scales are searched on.

    Images are as the graph takes them.
    """
    path = Path(path)
    content, model = read_model(path)
    made, _ = quantize_model(graph_of(path, content, model), model, precision, images, method)
    graph = graph_of(path, content, made)
    encoded, tensors = imported(graph)
    read = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.op in ROUNDING}
    return _compared(graph, encoded, tensors, model, read, _maps(graph, images))


def _compared(
    graph: Graph,
    encoded: EncodedNetwork,
    tensors: Mapping[str, CodeMap],
    floats: onnx.ModelProto,
    names: Mapping[str, str],
    images: Array,
) -> dict[str, float]:
    """`floats` computes the tensors without rounding, some of them under other `names`."""
    makers = {layer.name for layer in encoded.network.layers if sums(layer)}
    made = {value.producer: name for name, value in reversed(list(tensors.items())) if value.producer in makers}
    order = [layer.name for layer in encoded.network.layers if layer.name in made]
    wanted = {layer: names.get(made[layer], made[layer]) for layer in order}
    done = run(encoded, images, keep_integers=True, products=True)
    values = float_values(floats, graph, [*wanted.values(), graph.output_name], _fed(graph, images))
    found = {
        name: _decibels(values[tensor], _reals(tensors[made[name]], done, name)) for name, tensor in wanted.items()
    }
    return found | {OUTPUT: _decibels(values[graph.output_name], done.outputs)}


def unquantized(graph: Graph, model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in which nothing that a quantizer reads is rounded."""
    from onnx import ModelProto

    integer = [node for node in graph.nodes if node.domain in QUANT_DOMAINS and node.op not in ROUNDING]
    integer += [node for node in graph.nodes if node.op.startswith("QLinear") or node.op.endswith("Integer")]
    if integer:
        raise ValueError(f"graph {graph.name!r}: must have quantizers that can be left out, not {integer[0]}")
    made, nodes = ModelProto(), {node.outputs[0]: node for node in graph.nodes}
    made.CopyFrom(model)
    rewritten = [item for node in made.graph.node for item in _without_rounding(graph, nodes.get(node.output[0]), node)]
    del made.graph.node[:], made.graph.value_info[:]
    made.graph.node.extend(rewritten)
    return made


def _without_rounding(graph: Graph, seen: GraphNode | None, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A quantizer as max and min, or as nothing; any other node as it is."""
    from onnx import helper

    if seen is None or seen.op not in (*ROUNDING, *LINEAR) or (seen.op in LINEAR and seen.inputs[0] in graph.constants):
        return [node]
    if seen.op in LINEAR:
        return [helper.make_node("Identity", [seen.inputs[0]], [seen.outputs[0]])]
    name, (low, high) = seen.outputs[0], _range(graph, seen)
    ends = [(f"{name}_low", low), (f"{name}_high", high)]
    constants = [helper.make_node("Constant", [], [end], value=_tensor(array)) for end, array in ends]
    clipped = helper.make_node("Max", [seen.inputs[0], ends[0][0]], [f"{name}_raised"])
    return [*constants, clipped, helper.make_node("Min", [f"{name}_raised", ends[1][0]], [name])]


def _range(graph: Graph, node: GraphNode) -> tuple[Array, Array]:
    """Smallest and largest value of a quantizer. Raises ValueError where its parameters are computed."""
    missing = [name for name in node.inputs[1:] if name not in graph.constants]
    if missing:
        raise ValueError(f"{node}: {missing[0]!r} must be an initializer for the quantizer to be left out")
    quantizer = read_quantizer(node, tuple(graph.constants[name] for name in node.inputs[1:]))
    scale, zero = quantizer.scale, quantizer.zero_point
    return scale * (quantizer.lowest - zero), scale * (quantizer.highest - zero)


def _tensor(array: Array) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(array, np.float32))


def _fed(graph: Graph, images: Array) -> Array:
    """Images as the graph takes them."""
    if graph.input_rank == 4:
        return images
    return images.reshape(len(images), -1) if graph.input_rank == 2 else images[:, :, 0].swapaxes(1, 2)


def _maps(graph: Graph, given: Array) -> Array:
    """Images (N, channels, height, width) of what a graph takes."""
    if graph.input_rank == 4:
        return given
    return given.reshape(len(given), -1, 1, 1) if graph.input_rank == 2 else given.swapaxes(1, 2)[:, :, None]


def _reals(value: CodeMap, done: Run, layer: str) -> Floats:
    """The tensor that the codes of a layer stand for: slope * c + intercept in every channel."""
    codes = np.moveaxis(done.codes[layer], 0, -1).astype(np.float64)
    slopes, intercepts = (
        np.array([float(getattr(line, name)) for line in value.channel_lines]) for name in ("slope", "intercept")
    )
    shape = (-1, 1, 1, 1) if len(slopes) == len(codes) else (*codes.shape[:3], 1)
    return np.asarray(viewed(value).tensor(codes * slopes.reshape(shape) + intercepts.reshape(shape)))


def _decibels(values: Array, rounded: Floats) -> float:
    return sqnr_db(values.astype(np.float64), rounded.reshape(values.shape))
