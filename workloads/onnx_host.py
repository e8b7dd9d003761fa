"""What stands between codes and the next quantizer and is no sum of codes: one `Host` layer, computed in float32.

The steps are found backwards from the quantizer to the codes that they start from; the functions are those of `workloads.host`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from workloads.encoded import Parameters
from workloads.host import FUNCTIONS, HostFunction, HostMap, Step
from workloads.layers import Host
from workloads.onnx_activation import Emitting, codes_of
from workloads.onnx_graph import Array, GraphNode
from workloads.onnx_residual import widened
from workloads.onnx_sequences import mean
from workloads.onnx_translation import Operator, Translation, uniform
from workloads.onnx_values import CodeMap, Constant, QuantizedConstant, Real, Value, viewed
from workloads.views import SEQUENCE, view_of

JOINING = ("Add", "Sub", "Mul", "Div", "Pow")
"""Operators of two operands that the machine has for constants a channel (and Add, Sub for two maps)."""


def on_host(state: Translation, node: GraphNode) -> bool:
    """Whether the host computes a node that the machine could have computed for other operands."""
    values = [state.values[name] for name in node.inputs if name]
    if node.op not in FUNCTIONS or not values:
        return False
    if any(isinstance(value, Real) for value in values):
        return True
    if node.op == "Concat":
        return any(isinstance(value, Constant | QuantizedConstant) for value in values)
    if node.op not in JOINING or len(values) != 2:
        return False
    constants = [value for value in values if isinstance(value, Constant | QuantizedConstant)]
    maps = [value for value in values if isinstance(value, CodeMap)]
    if not constants:
        return node.op in ("Mul", "Div") and len(maps) == 2
    return len(maps) == 1 and not _per_channel(maps[0], constants[0].array)


def _per_channel(source: CodeMap, array: Array) -> bool:
    """Whether a constant is one number, or one a channel."""
    view = viewed(source)
    shape = (1,) * (len(view.axes) - array.ndim) + array.shape[-len(view.axes) :]
    wide = [place for place, size in enumerate(shape) if size > 1]
    return not wide or (len(wide) == 1 and view.shape[wide[0]] == source.shape[0] and 0 in view.axes[wide[0]])


def scores(state: Translation, node: GraphNode) -> Value:
    """A function that ends a network without changing which score is the largest: the host does it, the network gives the scores."""
    if node.outputs[0] != state.graph.output_name or isinstance(state.values[node.inputs[0]], Real):
        return computed(state, node)
    state.left_to_host.append(f"{node.op} of {node.name!r}")
    return state.live(node, 0)


def computed(state: Translation, node: GraphNode) -> Value:
    """A real value, to be computed when its quantizer is known."""
    return Real(partial(host_layer, state, node.outputs[0]))


def reduce_mean(state: Translation, node: GraphNode) -> Value:
    """The mean over positions is an average pool, over features what the host computes."""
    value, axes = state.values[node.inputs[0]], _axes(state, node)
    if isinstance(value, CodeMap):
        view = viewed(value)
        rank = 1 + len(view.axes)
        places = sorted(axis % rank for axis in axes)
        inner = [factor for place in places for factor in (view.axes[place - 1] if place else ())]
        if (
            0 not in places
            and prod(view.factors[factor] for factor in inner) == prod(value.shape[1:])
            and 0 not in inner
        ):
            return mean(state, node, places)
    return computed(state, node)


def host_layer(state: Translation, name: str, quantizer: Emitting) -> CodeMap:
    """The layer that computes a tensor, in the codes of its quantizer."""
    trace = _Trace(state)
    trace.follow(name)
    last, maps = trace.made[-1], list(trace.maps.values())
    if len({source.shape for source in maps}) != 1:
        raise ValueError(f"{last}: the host must read maps of one shape, not {[source.shape for source in maps]}")
    bits = max(source.codes.bits for source in maps)
    read = [widened(state, f"{last.name}_{place}", source, bits) for place, source in enumerate(maps)]
    operands = tuple(_end(operand, source) for operand, source in zip(trace.maps, read, strict=True))
    result = _result(last, read, _shape(operands, trace, name))
    activation = quantizer.activation(result.channels, 1 + len(viewed(result).axes))
    codes = codes_of(activation.bits, activation.highest, activation.lines)
    if codes is None:
        raise ValueError(f"{activation.where}: what the host computes must have one scale and a zero point in halves")
    end = HostMap(name=name, step=codes.step, offset=codes.offset, view=viewed(result), highest=codes.highest)
    function = HostFunction(operands=operands, steps=tuple(trace.steps), constants=trace.constants, result=end)
    layer = Host(
        name=last.name,
        function=function.text,
        in_shape=maps[0].shape,
        out_shape=result.shape,
        act_bits=bits,
        out_bits=codes.bits,
        operands=len(maps),
    )
    state.finish(layer, tuple(one.producer for one in read), Parameters(host=function))
    return replace(result, producer=layer.name, codes=codes, lines=(), from_host=False)


class _Trace:
    """The steps behind a tensor, each after what it reads."""

    def __init__(self, state: Translation) -> None:
        self._state = state
        self._makers = {node.outputs[0]: node for node in state.graph.nodes}
        self._done: set[str] = set()
        self.maps: dict[str, CodeMap] = {}
        self.constants: dict[str, Any] = {}
        self.steps: list[Step] = []
        self.made: list[GraphNode] = []

    def follow(self, name: str) -> None:
        """Add what a tensor needs, and it."""
        if not name or name in self._done:
            return
        self._done.add(name)
        value = self._state.values[name]
        if isinstance(value, CodeMap) and not (value.lines and self._makes(name)):
            self.maps[name] = uniform(self._makers.get(name) or self._state.graph.nodes[0], value)
        elif isinstance(value, Constant | QuantizedConstant):
            array = value.array if isinstance(value, Constant) else value.quantizer.constant_values(value.array)
            self.constants[name] = np.asarray(array, np.float32)
        else:
            self._step(name)

    def _makes(self, name: str) -> bool:
        """Whether a tensor is what a function makes of another."""
        return name in self._makers and self._makers[name].op in FUNCTIONS

    def _step(self, name: str) -> None:
        node = self._makers.get(name)
        if node is None or node.op not in FUNCTIONS:
            raise ValueError(f"{node or name}: the host reads {name!r}, which must be codes: put a Quant behind it")
        inputs = node.inputs[:1] if node.op in ("Reshape", "ReduceMean") else node.inputs
        for own in inputs:
            self.follow(own)
        self.made.append(node)
        self.steps.append(Step(op=node.op, inputs=inputs, output=name, attributes=_attributes(self._state, node)))


def _attributes(state: Translation, node: GraphNode) -> dict[str, Any]:
    """The attributes of a node as numbers and texts; what later operator sets made inputs is an attribute here."""
    own = {name: _plain(value) for name, value in node.attributes.items() if value is not None}
    if node.op == "ReduceMean":
        own["axes"] = tuple(_axes(state, node))
    if node.op == "Reshape":
        own["shape"] = tuple(int(size) for size in state.constant(node, 1).ravel())
    if node.op == "Clip" and own:
        raise ValueError(f"{node}: min and max must be inputs, not attributes, where the host clips")
    return own


def _axes(state: Translation, node: GraphNode) -> list[int]:
    if len(node.inputs) > 1 and node.inputs[1]:
        return [int(axis) for axis in state.constant(node, 1).ravel()]
    return [int(axis) for axis in node.attributes.get("axes") or ()]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return tuple(value) if isinstance(value, list) else value


def _end(name: str, source: CodeMap) -> HostMap:
    return HostMap(name=name, step=source.codes.step, offset=source.codes.offset, view=viewed(source))


def _shape(operands: tuple[HostMap, ...], trace: _Trace, name: str) -> tuple[int, ...]:
    """The shape of a tensor without its batch, found by computing it for zeros."""
    zeros = [np.zeros((1, *own.view.shape), np.float32) for own in operands]
    result = HostMap(name=name, step=1.0, offset=0, view=operands[0].view)
    function = HostFunction(operands=operands, steps=tuple(trace.steps), constants=trace.constants, result=result)
    try:
        return tuple(function(zeros).shape[1:])
    except (ValueError, IndexError, KeyError, TypeError) as error:
        line = " ".join(str(error).split())
        raise ValueError(
            f"{trace.made[-1]}: the shapes and attributes of {function.text} must fit, but: {line}"
        ) from None


def _result(node: GraphNode, read: list[CodeMap], shape: tuple[int, ...]) -> CodeMap:
    """How the result lies: as an operand of its axes does, else as a vector, a sequence or a map of its own."""
    like = next((source for source in read if viewed(source).shape == shape), None)
    if like is not None:
        return like
    first = read[0]
    if len(shape) == 3:
        return replace(first, shape=(shape[0], shape[1], shape[2]), flat=False, view=None)
    if len(shape) == 2:
        lying = (shape[1], 1, shape[0])
        return replace(first, shape=lying, flat=False, view=view_of(lying, SEQUENCE))
    if len(shape) == 1:
        return replace(first, shape=(shape[0], 1, 1), flat=True, view=None)
    raise ValueError(f"{node}: the host must compute vectors, sequences or maps, not a tensor of shape {shape}")


_ONLY = sorted(
    set(FUNCTIONS)
    - {"Add", "Sub", "Mul", "Div", "Relu", "Clip", "Identity", "Reshape", "Transpose", "ReduceMean", "Neg", "Concat"}
)

HOSTED: dict[str, Operator] = {op: Operator(range(1, 4), computed) for op in _ONLY} | {
    "Softmax": Operator(range(1, 2), scores),
    "LogSoftmax": Operator(range(1, 2), scores),
    "Sigmoid": Operator(range(1, 2), scores),
    "ReduceMean": Operator(range(1, 3), reduce_mean),
}
"""Operators that only the host computes, and the mean, of which it computes one kind."""
