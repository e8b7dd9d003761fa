"""Nodes that only read constants become constants themselves, computed by the reference evaluator of `onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from workloads.onnx_graph import STANDARD_DOMAINS, Array, GraphNode

FOLDED = frozenset(
    {
        *(
            "Abs",
            "Add",
            "Cast",
            "Ceil",
            "Concat",
            "ConstantOfShape",
            "Div",
            "Exp",
            "Expand",
            "Floor",
            "Gather",
            "Identity",
        ),
        *(
            "MatMul",
            "Max",
            "Min",
            "Mul",
            "Neg",
            "Pow",
            "Reciprocal",
            "ReduceProd",
            "ReduceSum",
            "Reshape",
            "Round",
            "Shape",
        ),
        *("Sign", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
    }
)
"""Operators that are computed where all inputs are constants."""

LARGEST = 1 << 28
"""Elements that a folded constant may have: 1 GiB in float32."""


def is_folded(node: GraphNode) -> bool:
    """Whether the node is computed where all its inputs are constants."""
    return node.op in FOLDED and node.domain in STANDARD_DOMAINS and len(node.outputs) == 1


def folded(node: GraphNode, inputs: Sequence[Array | None], opset: int) -> Array:
    """The one output of a node. Raises ValueError where it has none or is too large."""
    from onnx import AttributeProto, helper
    from onnx.reference import ReferenceEvaluator

    if (
        node.op in ("Expand", "ConstantOfShape")
        and prod(map(int, (inputs[-1] if inputs[-1] is not None else ()))) > LARGEST
    ):
        raise ValueError(f"{node}: must make at most {LARGEST} numbers, not {inputs[-1]}")
    names = [f"i{place}" if given is not None else "" for place, given in enumerate(inputs)]
    made = helper.make_node(node.op, names, ["o"])
    made.attribute.extend(
        value if isinstance(value, AttributeProto) else helper.make_attribute(name, value)
        for name, value in node.attributes.items()
        if value is not None
    )
    sources = [helper.make_empty_tensor_value_info(name) for name in names if name]
    graph = helper.make_graph([made], "constant", sources, [helper.make_empty_tensor_value_info("o")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    feeds: dict[str, Any] = {name: given for name, given in zip(names, inputs, strict=True) if given is not None}
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(next(iter(ReferenceEvaluator(model).run(None, feeds))))
    except Exception as error:  # numpy and onnx complain in many ways about constants that do not fit together
        raise ValueError(f"{node}: constants must fit together, but {' '.join(str(error).split())[:200]}") from None
    if result.dtype.kind not in "fiub" or not np.isfinite(result).all():
        raise ValueError(f"{node}: constants must stay finite numbers")
    return result
