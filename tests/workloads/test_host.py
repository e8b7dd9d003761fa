"""Views against numpy's own reshape and transpose, host functions against the evaluator of `onnx`, and what their files refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from workloads.encoded import Arrangement
from workloads.host import FUNCTIONS, HostFunction, HostMap, Step
from workloads.host_files import arrangement_from, arrangement_header, function_from, function_header, function_tensors
from workloads.views import FLAT, MAP, SEQUENCE, View, channel_axis, view_of


@st.composite
def walks(draw: st.DrawFn) -> tuple[tuple[int, int, int], list[tuple[str, list[int]]]]:
    """A map and a few reshapes (to sizes that cut whole factors) and transpositions of its axes."""
    shape = tuple(draw(st.sampled_from([1, 2, 4, 6])) for _ in range(3))
    axes, steps = list(shape), []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            order = draw(st.permutations(range(len(axes))))
            axes = [axes[place] for place in order]
            steps.append(("transpose", list(order)))
        else:
            cuts = sorted(draw(st.sets(st.integers(1, max(1, len(axes) - 1)), max_size=2)) | {0, len(axes)})
            axes = [prod(axes[first:last]) for first, last in pairwise(cuts)]
            if draw(st.booleans()) and axes[0] % 2 == 0:
                axes[:1] = [2, axes[0] // 2]
            steps.append(("reshape", list(axes)))
    return (shape[0], shape[1], shape[2]), steps


@given(walks())
def test_views_follow_numpy(walk: tuple[tuple[int, int, int], list[tuple[str, list[int]]]]) -> None:
    shape, steps = walk
    maps = np.arange(prod(shape) * 2).reshape(*shape, 2)
    tensor, view = np.moveaxis(maps, -1, 0), view_of(shape, MAP)
    for kind, own in steps:
        if kind == "transpose":
            tensor, view = tensor.transpose(0, *(place + 1 for place in own)), view.transposed(own)
        else:
            found = view.reshaped(own)
            if found is None:  # a factor would have been cut across
                return
            tensor, view = tensor.reshape(2, *own), found
    assert view.shape == tensor.shape[1:]
    assert (view.tensor(maps) == tensor).all()
    assert (view.maps(tensor, shape) == maps).all()


def test_axes_of_known_layouts() -> None:
    sequence = view_of((8, 1, 5), SEQUENCE)
    assert (sequence.shape, channel_axis(sequence, 8)) == ((5, 8), 2)
    heads = sequence.reshaped([5, 2, 4])
    assert heads is not None
    assert heads.transposed([1, 0, 2]).shape == (2, 5, 4)
    assert channel_axis(heads, 8) is None
    assert channel_axis(view_of((8, 2, 3), MAP), 8) == 1
    assert view_of((8, 2, 3), FLAT).shape == (48,)
    assert sequence.reshaped([4, 10]) is None
    assert sequence.reshaped([5, 8, 2]) is None
    with pytest.raises(ValueError, match="axes must name each factor"):
        View((2, 3), ((0,), (0,)))


X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
CASES: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "Add": ({}, (np.float32(0.5),)), "Sub": ({}, (np.float32(0.5),)), "Mul": ({}, (np.float32(1.5),)), "Div": ({}, (np.float32(1.5),)),
    "Pow": ({}, (np.float32(2),)), "Neg": ({}, ()), "Reciprocal": ({}, ()), "Sqrt": ({}, ()), "Exp": ({}, ()), "Erf": ({}, ()),
    "Tanh": ({}, ()), "Sigmoid": ({}, ()), "HardSigmoid": ({"alpha": 0.3, "beta": 0.4}, ()), "HardSwish": ({}, ()),
    "LeakyRelu": ({"alpha": 0.2}, ()), "Elu": ({"alpha": 0.7}, ()), "Softplus": ({}, ()), "Gelu": ({"approximate": "tanh"}, ()),
    "Relu": ({}, ()), "Clip": ({}, (np.float32(-0.5), np.float32(0.7))), "Softmax": ({"axis": 1}, ()), "LogSoftmax": ({"axis": -1}, ()),
    "LayerNormalization": ({"axis": -1, "epsilon": 1e-3}, (np.float32([1, 2, 3, 4]), np.float32([0, 1, 0, 1]))),
    "ReduceMean": ({"axes": (1,), "keepdims": 0}, ()), "Reshape": ({"shape": (0, 4, -1)}, ()), "Transpose": ({"perm": (0, 2, 1)}, ()),
    "Concat": ({"axis": 1}, (np.ones((1, 1, 4), np.float32),)), "Identity": ({}, ()),
}  # fmt: skip


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_are_those_of_onnx(op: str) -> None:
    attributes, constants = CASES[op]
    x = np.abs(X) if op in ("Sqrt", "Pow") else X[:1] if op == "Concat" else X
    names = [f"c{place}" for place in range(len(constants))]
    operand = HostMap(name="x", step=1.0, offset=0, view=view_of((4, 1, 3), SEQUENCE))
    step = Step(op=op, inputs=("x", *names), output="y", attributes=attributes)
    held = dict(zip(names, constants, strict=True))
    function = HostFunction(
        operands=(operand,),
        steps=(step,),
        constants=held,
        result=HostMap(name="y", step=1.0, offset=0, view=operand.view),
    )
    feeds: dict[str, Any] = {"x": x} | held
    onnx_names, onnx_attributes = ["x", *names], dict(attributes)
    for moved in {"axes", "shape"} & set(attributes):  # inputs in the operator sets of today
        feeds[moved] = np.int64(onnx_attributes.pop(moved))
        onnx_names.append(moved)
    node = helper.make_node(op, onnx_names, ["y"], **onnx_attributes)
    sources = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in feeds]
    graph = helper.make_graph([node], "one", sources, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    expected = ReferenceEvaluator(model).run(None, feeds)[0]
    np.testing.assert_allclose(function([x]), expected, rtol=2e-6, atol=2e-6)
    again = function_from("here", json.loads(json.dumps(function_header(function))), function_tensors(function))
    assert (again([x]) == function([x])).all()


def test_functions_are_checked() -> None:
    end = HostMap(name="y", step=1.0, offset=0, view=view_of((4, 1, 1), MAP))
    with pytest.raises(ValueError, match="every step must be one of Add"):
        Step(op="Sin", inputs=("x",), output="y")
    with pytest.raises(ValueError, match="must read what is known before it, not 'x'"):
        HostFunction(operands=(), steps=(Step(op="Exp", inputs=("x",), output="y"),), constants={}, result=end)
    with pytest.raises(ValueError, match="the result must be computed, not 'y'"):
        HostFunction(operands=(), steps=(), constants={}, result=end)
    with pytest.raises(ValueError, match="attribute axis of Softmax must be numbers or a text"):
        Step(op="Softmax", inputs=("x",), output="y", attributes={"axis": [1]})


DAMAGES: list[Callable[[dict[str, Any]], Any]] = [
    lambda header: header.pop("steps"),
    lambda header: header["steps"][0].update(op="Sin"),
    lambda header: header["steps"][0].update(inputs=[1]),
    lambda header: header["steps"][0].update(attributes={"axis": None}),
    lambda header: header["operands"][0].update(step=None),
    lambda header: header["operands"][0].update(offset=1.5),
    lambda header: header["operands"][0].update(axes=[[0], [0]]),
    lambda header: header["operands"][0].update(factors=[[2]]),
    lambda header: header["result"].update(name=3),
    lambda header: header.update(constants=["a", "b"]),
    lambda header: header.update(result=[]),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_functions_are_one_line(damage: Callable[[dict[str, Any]], Any]) -> None:
    own = HostMap(name="x", step=1.0, offset=1, view=view_of((4, 1, 3), SEQUENCE))
    step = Step(op="Softmax", inputs=("x",), output="y", attributes={"axis": -1})
    function = HostFunction(
        operands=(own,), steps=(step,), constants={}, result=HostMap(name="y", step=1.0, offset=0, view=own.view)
    )
    header = json.loads(json.dumps(function_header(function)))
    damage(header)
    with pytest.raises(ValueError, match="here") as caught:
        function_from("here", header, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"size": [0, 1]}, {"block": "2"}, {"layers": []}, {"start": [1]}, {"layers": [1]}, None]
)
def test_damaged_arrangements_are_one_line(change: dict[str, Any] | None) -> None:
    arrangement = Arrangement(layers=("a", "b"), block=2, start=(0, 1), size=(3, 4))
    header = json.loads(json.dumps(arrangement_header(arrangement)))
    assert arrangement_from(header) == arrangement
    with pytest.raises(ValueError, match="arrangement"):
        arrangement_from({"nothing": 1} if change is None else header | change)
