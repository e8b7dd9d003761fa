"""A graph computed by onnxruntime, tensor by tensor, and by us."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

from workloads.executor import Run, run
from workloads.onnx_import import load_onnx

Array = npt.NDArray[Any]
Level = Literal["as written", "fused"]


def kernels(
    model: onnx.ModelProto, outputs: dict[str, str], images: Array, path: Path, level: Level, *, exact_pairs: bool
) -> tuple[dict[str, Array], onnx.ModelProto]:
    """The named tensors by onnxruntime, and the graph that it ran.

    `exact_pairs` takes the products of uint8 and int8 as those of uint8: on x86 without VNNI the sum of two would saturate at 16 bits.
    """
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    for name, kind in outputs.items():
        wanted = getattr(TensorProto, kind.upper())
        probed.graph.output.append(helper.make_tensor_value_info(name, wanted, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if level == "as written" else levels.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path / "optimized.onnx")
    if exact_pairs:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict(zip(outputs, session.run(None, {"x": images}), strict=True))
    return found, onnx.load(path / "optimized.onnx")


def ours(model: onnx.ModelProto, images: Array, path: Path) -> Run:
    onnx.save(model, path / "model.onnx")
    network = load_onnx(path / "model.onnx")
    return run(network, images.reshape(len(images), *network.network.input.shape), keep_integers=True)
