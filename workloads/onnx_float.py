"""A float ONNX network encoded after training: quantizers with searched scales are put into the graph, then it is read as QONNX.

Weights get one scale an output channel. Every activation that must be codes (`onnx_float_maps`) is quantized where it is made,
with a scale of its own: maps that meet in an Add keep theirs, for integer multipliers join them exactly, and a scale shared
by two maps would cost the accuracy of one of them. What is never negative becomes unsigned codes, everything else the paper's
symmetric ones. The integers are then those of the quantized graph, exactly; how far that is from the float graph is what `Fit`
and a measured accuracy say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workloads.calibration import Floats, Values, find_steps, quantized, sqnr_db
from workloads.encoded import EncodedNetwork
from workloads.onnx_float_maps import Precision, codes_read, maps_to_quantize, weighted
from workloads.onnx_graph import Array, Graph, GraphNode, graph_of, read_model
from workloads.onnx_import import translate
from workloads.onnx_qlinear import QLINEAR
from workloads.onnx_quantizer import QUANT_DOMAINS

if TYPE_CHECKING:
    import onnx

SAMPLE = 1 << 18
"""Values of an activation that the search looks at, spread over all of them."""

ERRORS_ONLY = 3
"""Log level of onnxruntime: it would remark on every initializer that a graph without quantizers no longer reads."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the codes of one tensor fit its float values: signal to quantization noise over the calibration images."""

    tensor: str
    kind: str
    bits: int
    sqnr_db: float


def encode_float(
    path: str | Path, precision: Precision, images: Array, *, method: str = "mse"
) -> tuple[EncodedNetwork, list[Fit]]:
    """Read a float ONNX file, search scales on images (N, ...), and encode. Raises ValueError, one sentence, where it cannot."""
    path = Path(path)
    content, model = read_model(path)
    made, fits = quantize_model(graph_of(path, content, model), model, precision, images, method)
    return translate(graph_of(path, content, made)), fits


def quantize_model(
    graph: Graph, model: onnx.ModelProto, precision: Precision, images: Array, method: str
) -> tuple[onnx.ModelProto, list[Fit]]:
    """A float model, and the graph that it was read as, with quantizers: QONNX, and how well every tensor fits its codes."""
    _check(graph, precision, images)
    maps = dict(maps_to_quantize(graph, precision))
    values = {name: _sample(found) for name, found in float_values(model, graph, list(maps), images).items()}
    surgery = _Surgery(model)
    fits = [surgery.quantize_map(name, bits, values[name], method) for name, bits in maps.items()]
    fits += [
        surgery.quantize_weights(node, graph.constants[node.inputs[1]], precision.of(node.name)[1], method)
        for node in weighted(graph)
    ]
    return surgery.finished(), fits


def layer_fits(
    path: str | Path, precision: Precision, images: Array, *, method: str = "mse"
) -> list[tuple[str, Fit, Fit]]:
    """For every layer with weights its name, the fit of the codes that it reads, and that of its weights."""
    content, model = read_model(Path(path))
    graph = graph_of(Path(path), content, model)
    fits = {(fit.kind, fit.tensor): fit for fit in quantize_model(graph, model, precision, images, method)[1]}
    return [(name, fits["activation", read], fits["weight", name]) for name, read in codes_read(graph).items()]


def _check(graph: Graph, precision: Precision, images: Array) -> None:
    names = [node.name for node in weighted(graph)]
    if any(node.domain in QUANT_DOMAINS or node.op in QLINEAR for node in graph.nodes):
        raise ValueError(
            f"graph {graph.name!r}: must be a float network to be encoded with bits, but has quantizers of its own"
        )
    if not names:
        raise ValueError(f"graph {graph.name!r}: must have a Conv, Gemm or MatMul with constant weights to encode")
    unknown = sorted(set(precision.layers) - set(names))
    if unknown:
        raise ValueError(f"precision: {unknown[0]!r} must be a layer with weights; there are {', '.join(names)}")
    features, _, positions = graph.input_shape
    wanted = {4: graph.input_shape, 3: (positions, features), 2: (features,)}[graph.input_rank]
    if images.shape[1:] != wanted or not len(images):
        raise ValueError(f"calibration images: must be (N, {', '.join(map(str, wanted))}), not {images.shape}")
    if images.dtype.kind not in "fiu" or not np.isfinite(images).all():
        raise ValueError("calibration images: must be finite real numbers")


def float_values(model: onnx.ModelProto, graph: Graph, names: Sequence[str], images: Array) -> dict[str, Array]:
    """The named tensors of a float model on images, as its input takes them."""
    from onnx import ModelProto, helper

    probed = ModelProto()
    probed.CopyFrom(model)
    inner = [name for name in names if name != graph.input_name]
    del probed.graph.output[:]
    probed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inner)
    source = next(value for value in probed.graph.input if value.name == graph.input_name)
    source.type.tensor_type.shape.dim[0].dim_param = "batch"
    found = dict(zip(inner, _run(probed, images, graph.input_name), strict=True)) if inner else {}
    return {name: np.asarray(found.get(name, images)) for name in names}


def _run(model: onnx.ModelProto, images: Array, name: str) -> list[Array]:
    """All outputs, by onnxruntime where it is installed, else by the slow evaluator that comes with onnx."""
    feeds = {name: images.astype(np.float32)}
    try:
        from onnxruntime import InferenceSession, SessionOptions
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return list(ReferenceEvaluator(model).run(None, feeds))
    options = SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def _sample(values: Array) -> Values:
    flat = values.reshape(1, -1)
    return np.asarray(flat[:, :: max(1, flat.size // SAMPLE)])


class _Surgery:
    """A copy of a float graph into which quantizers go, one at a time."""

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import ModelProto

        self._model = ModelProto()
        self._model.CopyFrom(model)
        self._added: dict[str, onnx.NodeProto] = {}
        self._renamed: dict[str, str] = {}

    def quantize_map(self, name: str, bits: int, values: Values, method: str) -> Fit:
        """One quantizer for a map."""
        signed = bool((values < 0).any())
        step = find_steps(values, bits, method, signed=signed)
        self._renamed[name] = self._quantizer(name, f"{name}_codes", step, bits, signed=signed)
        return Fit(name, "activation", bits, sqnr_db(values, quantized(values, step[:, None], bits, signed=signed)))

    def quantize_weights(self, node: GraphNode, array: Array, bits: int, method: str) -> Fit:
        """One quantizer with a scale for every output channel; each node has its own, also where weights are shared."""
        first = node.op == "Conv" or (node.op == "Gemm" and node.integer("transB", 0))
        axis = 0 if first else 1 if node.op == "ConvTranspose" else array.ndim - 1
        rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)
        steps = find_steps(rows, bits, method, signed=True)
        shape = [len(steps) if place == axis else 1 for place in range(array.ndim)]
        target = self._quantizer(node.inputs[1], f"{node.name}_weight_codes", steps.reshape(shape), bits, signed=True)
        reader = next(found for found in self._model.graph.node if node.outputs[0] in found.output)
        reader.input[1] = target
        return Fit(node.name, "weight", bits, sqnr_db(rows, quantized(rows, steps[:, None], bits, signed=True)))

    def finished(self) -> onnx.ModelProto:
        """The graph in which everybody reads codes, every quantizer just before its first reader."""
        from onnx import helper

        graph, order = self._model.graph, list[Any]()
        for node in list(graph.node):
            for place, name in enumerate(node.input):
                node.input[place] = self._renamed.get(name, name)
            order += [self._added.pop(name) for name in node.input if name in self._added]
            order.append(node)
        del graph.node[:]
        graph.node.extend(order)
        self._model.opset_import.append(helper.make_opsetid(QUANT_DOMAINS[0], 1))
        return self._model

    def _quantizer(self, source: str, target: str, steps: Floats, bits: int, *, signed: bool) -> str:
        """A Quant of symmetric levels (zero point amid them) or unsigned ones, or the sign alone."""
        from onnx import helper

        sign = bits == 1 and signed
        scale = self._constant(f"{target}_scale", steps if sign else 2 * steps)
        inputs, flags = [source, scale], dict[str, Any]()
        if not sign:
            inputs.append(self._constant(f"{target}_zero", np.float64((2**bits - 1) / 2 if signed else 0)))
            inputs.append(self._constant(f"{target}_bits", np.float64(bits)))
            flags = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
        op = "BipolarQuant" if sign else "Quant"
        self._added[target] = helper.make_node(op, inputs, [target], name=target, domain=QUANT_DOMAINS[0], **flags)
        return target

    def _constant(self, name: str, value: Floats | np.float64) -> str:
        from onnx import numpy_helper

        self._model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name
