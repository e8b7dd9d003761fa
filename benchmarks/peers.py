"""Layers in onnxruntime, one thread: what the executor is measured beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from workloads.layers import Conv, Dense

KINDS = {"int8": np.int8, "uint8": np.uint8, "float32": np.float32}
"""Types of weights: QLinearConv on uint8 x int8 (which saturates on x86 without VNNI), on uint8 x uint8 (exact), Conv on float32."""


def peer(layer: Conv | Dense, kind: str) -> Callable[[], object]:
    """A call that computes one image of the layer with random weights."""
    convolution, integer = isinstance(layer, Conv), kind != "float32"
    shape = (1, *layer.in_shape) if convolution else (1, layer.reduction)
    size = (layer.out_channels, layer.in_shape[0] // layer.groups, *layer.kernel) if isinstance(layer, Conv) else None
    rng = np.random.default_rng(0)
    values = rng.integers(0, 127, size=size or (layer.reduction, layer.out_channels)).astype(KINDS[kind])
    operation = (
        ("QLinearConv" if convolution else "QLinearMatMul") if integer else ("Conv" if convolution else "MatMul")
    )
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] if integer else ["x", "w"]
    node = helper.make_node(operation, names, ["y"], **_attributes(layer))
    given = {"x": rng.integers(0, 256, size=shape).astype(np.uint8 if integer else np.float32)}
    session = _session(node, given["x"], {"w": values} | (_scales(values.dtype) if integer else {}))
    return lambda: session.run(None, given)


def _attributes(layer: Conv | Dense) -> dict[str, object]:
    if not isinstance(layer, Conv):
        return {}
    return {
        "pads": list(layer.padding), "strides": list(layer.stride), "dilations": list(layer.dilation), "group": layer.groups
    }  # fmt: skip


def _scales(weights: np.dtype) -> dict[str, np.generic]:
    one, middle = np.float32(0.1), np.uint8(128)
    return {"xs": one, "xz": middle, "ws": one, "wz": weights.type(0), "ys": np.float32(100), "yz": middle}


def _session(node: object, given: np.ndarray, constants: Mapping[str, object]) -> onnxruntime.InferenceSession:
    element = TensorProto.UINT8 if given.dtype == np.uint8 else TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info("x", element, given.shape)],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
