"""Makes float.onnx: the float network behind digits_m8k8.onnx, whose quantizers become clips to the range that they had.

python examples/digits/float_network.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

HERE = Path(__file__).parent


def float_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without quantizers: weights as they are, activations clipped to the values that codes had, images as they come."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    kept, renamed = list[onnx.NodeProto](), dict[str, str]()
    for node in model.graph.node:
        if node.op_type != "Quant":
            kept.append(node)
        elif node.input[0] in constants or node.input[0] == model.graph.input[0].name:
            renamed[node.output[0]] = node.input[0]
        else:
            scale, zero, bits = (float(constants[name]) for name in node.input[1:])
            ends = [("low", -zero * scale), ("high", (2**bits - 1 - zero) * scale)]
            names = [f"{node.name}_{end}" for end, _ in ends]
            constants |= {name: np.array(value, np.float32) for name, (_, value) in zip(names, ends, strict=True)}
            kept.append(helper.make_node("Clip", [node.input[0], *names], [node.output[0]], name=f"{node.name}_clip"))
    for node in kept:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    read = {name for node in kept for name in node.input}
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in read]
    graph = helper.make_graph(kept, "digits_float", model.graph.input, model.graph.output, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main() -> None:
    """Write the file."""
    model = float_model(onnx.load(HERE / "digits_m8k8.onnx"))
    onnx.checker.check_model(model)
    onnx.save(model, HERE / "float.onnx")


if __name__ == "__main__":
    main()
