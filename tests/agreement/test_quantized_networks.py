"""Float networks quantized by onnxruntime's own tool, in both of its formats: their integers, their decisions, their errors.

The integers must equal the fractions everywhere; onnxruntime must equal its float32 formula operator by operator (see
test_qlinear_reference); and where no sum met a tie, both give the same outputs.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from tests.workloads.qlinear_kernels import kernels, ours
from tests.workloads.qlinear_reference import exact, real_of, rounded

Array = npt.NDArray[Any]

IMAGES = 24


class Float(NamedTuple):
    """A float network and images for it."""

    model: onnx.ModelProto
    images: Array


def float_network(shape: tuple[int, ...], nodes: list[onnx.NodeProto], weights: dict[str, Array]) -> Float:
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])
    sink = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None])
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "float", [source], [sink], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return Float(model, np.random.default_rng(1).normal(0, 1, (IMAGES, *shape)).astype(np.float32))


def residual_cnn() -> Float:
    """Three convolutions, a max pool, a residual add, a global average and a classifier."""
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 1 / np.sqrt(9 * fan_in), (8, fan_in, 3, 3))
        for name, fan_in in (("w1", 3), ("w2", 8), ("w3", 8))
    }
    weights |= {"w4": rng.normal(0, 1, (5, 8)), "b4": rng.normal(0, 0.3, 5)}
    weights |= {f"b{place}": rng.normal(0, 0.3, 8) for place in (1, 2, 3)}
    node, pads = helper.make_node, [1, 1, 1, 1]
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=pads),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("MaxPool", ["r1"], ["p1"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"], name="conv2", pads=pads),
        node("Relu", ["c2"], ["r2"], name="relu2"),
        node("Conv", ["r2", "w3", "b3"], ["c3"], name="conv3", pads=pads),
        node("Add", ["c3", "p1"], ["a"], name="add"),
        node("Relu", ["a"], ["r3"], name="relu3"),
        node("GlobalAveragePool", ["r3"], ["g"], name="mean"),
        node("Flatten", ["g"], ["f"], name="flatten"),
        node("Gemm", ["f", "w4", "b4"], ["y"], name="fc", transB=1),
    ]
    return float_network((3, 8, 8), nodes, weights)


def mlp() -> Float:
    """Two dense layers, the bias of the first as an Add of its own."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(0, 0.3, (12, 16)), "b1": rng.normal(0, 0.3, 16), "w2": rng.normal(0, 0.3, (16, 5))}
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w1"], ["m"], name="fc1"),
        node("Add", ["m", "b1"], ["a"], name="bias"),
        node("Relu", ["a"], ["r"], name="relu"),
        node("MatMul", ["r", "w2"], ["y"], name="fc2"),
    ]
    return float_network((12,), nodes, weights)


class Images(CalibrationDataReader):  # type: ignore[misc]
    """What the tool calibrates with."""

    def __init__(self, images: Array) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Array] | None:
        return next(({"x": image[None]} for image in self._images), None)


def integer_layers(model: onnx.ModelProto, layers: Container[str]) -> Iterator[tuple[str, str]]:
    """(layer, tensor of its integers): of an integer operator itself, of a QuantizeLinear the layer that it ends or is."""
    makers = {str(node.output[0]): node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type.startswith(("QLinear", "QGemm")):
            yield str(node.name), str(node.output[0])
        if node.op_type == "QuantizeLinear" and node.input[0] in makers:
            maker = makers[node.input[0]]
            while maker.op_type in ("Relu", "Clip"):
                maker = makers[maker.input[0]]
            if maker.op_type == "Flatten" and maker.name not in layers:
                continue  # of a map of one position: no layer
            yield str(maker.name if maker.name in layers else node.name), str(node.output[0])


CASES = [
    (network, form, acts, weights, per_channel)
    for network in (residual_cnn, mlp)
    for form in (QuantFormat.QDQ, QuantFormat.QOperator)
    for acts, weights, per_channel in (
        (QuantType.QUInt8, QuantType.QInt8, True),
        (QuantType.QInt8, QuantType.QInt8, True),
        (QuantType.QUInt8, QuantType.QUInt8, False),
    )
]


@pytest.mark.parametrize(
    ("network", "form", "acts", "weights", "per_channel"),
    CASES,
    ids=lambda value: getattr(value, "name", getattr(value, "__name__", str(value))),
)
def test_a_network_that_onnxruntime_has_quantized(
    network: Any, form: QuantFormat, acts: QuantType, weights: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    made, kind = network(), acts.name[1:].lower()
    onnx.save(made.model, tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "quantized.onnx",
        Images(made.images),
        quant_format=form,
        activation_type=acts,
        weight_type=weights,
        per_channel=per_channel,
        reduce_range=(acts, weights) == (QuantType.QUInt8, QuantType.QInt8),  # else pairs of products saturate on x86
    )
    model = onnx.load(tmp_path / "quantized.onnx")
    expected, got = exact(model, made.images), ours(model, made.images, tmp_path)
    low = 0 if kind == "uint8" else -128
    layers = dict(integer_layers(model, got.codes))
    for layer, tensor in layers.items():
        found = (got.codes[layer] + 255) // 2 + low
        np.testing.assert_array_equal(found.reshape(expected[tensor].shape), expected[tensor], err_msg=layer)
    outputs = real_of(expected["y"]).astype(np.float64)
    np.testing.assert_array_equal(got.outputs, outputs)

    first = next(str(node.output[0]) for node in model.graph.node if node.input[0] == "x")
    names = dict.fromkeys([first, *layers.values()], kind)
    found, graph = kernels(model, names, made.images, tmp_path, "fused", exact_pairs=acts == QuantType.QUInt8)
    formula = {name: value for name, value in rounded(graph, found).items() if name in found}
    assert formula
    for name, value in formula.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    last = list(layers.values())[-1]
    equal = (found[last] == expected[last]).all(axis=1)
    assert equal.mean() > 0.8
    real, _ = kernels(made.model, {"y": "float"}, made.images, tmp_path, "as written", exact_pairs=False)
    assert (outputs.argmax(axis=1) == real["y"].argmax(axis=1)).mean() >= 0.9
    assert np.abs(outputs - real["y"]).max() < 0.05 * np.abs(real["y"]).max()
