"""An ONNX file read into plain records: nodes in a legal order, constants as arrays, one input and one output.

Everything that makes a file unreadable is refused here, in one sentence each, so that what follows can trust names.
The `onnx` package is imported inside the functions: a network that comes from elsewhere never pays for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from workloads.layers import Shape
from workloads.onnx_external import embed_external
from workloads.onnx_wire import MOST_FIELDS, holds_too_much

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

MIN_OPSET = 9
"""Oldest operator set whose Add, Mul and BatchNormalization mean what they mean today."""

SMALL_INTEGERS = ("int2", "int4", "uint2", "uint4")
"""Types that numpy itself does not have."""

STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operation; `inputs` keeps "" where an optional input is absent."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.op})"

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute; without a default it must be there."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"{self}: attribute {name} must be an integer, not {value!r}")
        return value

    def real(self, name: str, default: float) -> float:
        """A finite float attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, float) or not isfinite(value):
            raise ValueError(f"{self}: attribute {name} must be a finite number, not {value!r}")
        return value

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self.attributes.get(name, default)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if not isinstance(value, str):
            raise ValueError(f"{self}: attribute {name} must be a text, not {value!r}")
        return value

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of as many integers as the default has."""
        value = self.attributes.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, int) for item in value):
            raise ValueError(f"{self}: attribute {name} must be a list of integers, not {value!r}")
        if len(value) != len(default):
            raise ValueError(f"{self}: attribute {name} must have {len(default)} integers (2-D maps), not {len(value)}")
        return tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A checked graph: only nodes that the output depends on, each after what it reads.

    `input_shape` is (channels, height, width), (features, 1, positions) for a sequence, (features, 1, 1) for a matrix;
    `input_rank` is 4, 3 or 2; `input_type` is the name of its numpy type.
    """

    name: str
    nodes: tuple[GraphNode, ...]
    constants: Mapping[str, Array]
    input_name: str
    input_shape: Shape
    input_rank: int
    output_name: str
    source: Mapping[str, str]
    opsets: Mapping[str, int]
    """Version of the operators of every domain; the standard one is ""."""
    datatypes: Mapping[str, str]
    """Datatypes that QONNX and FINN annotate tensors with, by tensor."""
    input_type: str = "float32"


def read_graph(path: str | Path, shape: tuple[int, ...] | None = None) -> Graph:
    """Read an ONNX file. Raises ValueError, one sentence naming the file, for anything that is not a usable graph.

    `shape`: sizes of the input behind its batch, for a file that leaves them open.
    """
    path = Path(path)
    content, model = read_model(path)
    if shape is not None:
        _give_shape(path.name, model.graph, shape)
    return graph_of(path, content, model)


def read_model(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """A file's bytes and the model that they are."""
    content = _content(path)
    model = _parse(path.name, content)
    embed_external(path, model)
    return content, model


def graph_of(path: Path, content: bytes, model: onnx.ModelProto) -> Graph:
    """A model as a graph; `path` and `content` are the file that it comes from."""
    opsets, graph = _opsets(path.name, model), model.graph
    constants = _constants(path.name, graph)
    inputs = [value for value in graph.input if str(value.name) not in constants]
    source, output = _only(path.name, "input", inputs), _only(path.name, "output", list(graph.output))
    shape, rank = _input_shape(source)
    input_name, output_name = str(source.name), str(output.name)
    datatypes = _datatypes(graph)
    nodes = _ordered(path.name, _nodes(graph, input_name), {input_name, *constants}, output_name)
    return Graph(
        name=_printable(graph.name) or path.stem,
        nodes=nodes,
        constants=constants,
        input_name=input_name,
        input_shape=shape,
        input_rank=rank,
        output_name=output_name,
        source=_source(path, content, model),
        opsets=opsets,
        datatypes=datatypes,
        input_type=_input_type(source),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: must be a readable ONNX file, not {reason!r}") from None


def _parse(where: str, content: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if holds_too_much(content):
        raise ValueError(f"{where}: must hold at most {MOST_FIELDS} records to be read as a network")
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise ValueError(
            f"{where}: must be an ONNX protobuf, not {len(content)} bytes cut short or of another kind"
        ) from None
    if not model.graph.node:
        raise ValueError(f"{where}: must be an ONNX model with at least one node, not an empty graph")
    return model


def _opsets(where: str, model: onnx.ModelProto) -> dict[str, int]:
    versions = {
        "" if item.domain in STANDARD_DOMAINS else str(item.domain): item.version for item in model.opset_import
    }
    opset = versions.get("", 0)
    if opset < MIN_OPSET:
        raise ValueError(f"{where}: the ONNX operator set must be at least {MIN_OPSET}, not {opset or 'absent'}")
    if model.graph.sparse_initializer:
        raise ValueError(f"{where}: initializers must be dense, not sparse")
    return versions


def _datatypes(graph: onnx.GraphProto) -> dict[str, str]:
    """Annotated datatypes by tensor."""
    pairs = [
        (item.tensor_name, pair) for item in graph.quantization_annotation for pair in item.quant_parameter_tensor_names
    ]
    return {str(name): str(pair.value) for name, pair in pairs if pair.key == "finn_datatype"}


def _only(where: str, kind: str, values: list[Any]) -> Any:
    if len(values) != 1:
        names = [value.name for value in values]
        raise ValueError(f"{where}: the graph must have one {kind}, not {len(values)} {names}")
    return values[0]


def _give_shape(where: str, graph: onnx.GraphProto, shape: tuple[int, ...]) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    source = _only(where, "input", [value for value in graph.input if value.name not in constants])
    dims = list(source.type.tensor_type.shape.dim)[1:]
    if len(dims) != len(shape) or any(dim.dim_value not in (0, size) for dim, size in zip(dims, shape, strict=True)):
        own = [dim.dim_value or dim.dim_param for dim in dims]
        raise ValueError(
            f"{where}: the shape given for input {source.name!r} must fit its own {own}, not be {list(shape)}"
        )
    for dim, size in zip(dims, shape, strict=True):
        dim.dim_value = size


def _input_shape(value: onnx.ValueInfoProto) -> tuple[Shape, int]:
    """(channels, height, width) and the rank of a (batch, C, H, W), (batch, S, F) or (batch, F) input; batch symbolic or 1."""
    where, dims = f"graph input {value.name!r}", list(value.type.tensor_type.shape.dim)
    if len(dims) not in (2, 3, 4):
        raise ValueError(
            f"{where}: must be (batch, channels, height, width), (batch, positions, features) or (batch, features), "
            f"not {len(dims)}-D"
        )
    if dims[0].HasField("dim_value") and dims[0].dim_value != 1:
        raise ValueError(f"{where}: the batch dimension must be symbolic or 1, not {dims[0].dim_value}")
    sizes = [dim.dim_value for dim in dims[1:]]
    for index, dim in enumerate(dims[1:], start=1):
        if dim.dim_value < 1:
            given = dim.dim_param or dim.dim_value
            raise ValueError(
                f"{where}: dimension {index} must be a fixed size >= 1, or given as a shape, not {given!r}"
            )
    channels, height, width = sizes if len(dims) == 4 else (sizes[-1], 1, sizes[0] if len(dims) == 3 else 1)
    return (channels, height, width), len(dims)


def _input_type(value: onnx.ValueInfoProto) -> str:
    from onnx import helper

    try:
        return str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name)
    except KeyError:
        raise ValueError(f"graph input {value.name!r}: must have a type of numbers") from None


def _constants(where: str, graph: onnx.GraphProto) -> dict[str, Array]:
    """Initializers and Constant nodes as arrays."""
    tensors = [(str(tensor.name), tensor) for tensor in graph.initializer]
    tensors += [(str(node.output[0]), _held(node)) for node in graph.node if _is_constant(node)]
    return {name: _array(where, name, tensor) for name, tensor in tensors}


CONSTANT_VALUES = ("value", "value_float", "value_floats", "value_int", "value_ints")
"""Attributes in which a Constant node may hold its numbers."""


def _is_constant(node: onnx.NodeProto) -> bool:
    """Whether a node is an initializer in disguise."""
    held = [item for item in node.attribute if item.name in CONSTANT_VALUES]
    constant = node.op_type == "Constant" and node.domain in STANDARD_DOMAINS
    return constant and len(held) == len(node.output) == 1


def _held(node: onnx.NodeProto) -> onnx.TensorProto:
    """The tensor of a Constant node: its own, or its numbers as float32 or int64, as ONNX says."""
    from onnx import helper, numpy_helper

    held = next(item for item in node.attribute if item.name in CONSTANT_VALUES)
    if held.name == "value":
        return cast("onnx.TensorProto", held.t)
    kind = np.float32 if "float" in held.name else np.int64
    return numpy_helper.from_array(np.asarray(helper.get_attribute_value(held), kind))


def _array(where: str, name: str, tensor: onnx.TensorProto) -> Array:
    from onnx import numpy_helper

    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except Exception:  # numpy, ml_dtypes and protobuf each complain in their own way about a malformed tensor
        raise ValueError(f"{where}: initializer {name!r} must hold as many numbers as its shape says") from None
    if array.dtype.kind not in "fiub" and array.dtype.name not in SMALL_INTEGERS:
        raise ValueError(f"{where}: initializer {name!r} must be an array of real numbers, not {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: initializer {name!r} must be finite, not NaN or infinite")
    return array


def _nodes(graph: onnx.GraphProto, input_name: str) -> list[GraphNode]:
    """Nodes with unique names: their own, or op_index where it is missing or taken."""
    used, nodes = {input_name}, []
    for index, node in enumerate(graph.node):
        if _is_constant(node):
            continue
        op, own = _printable(node.op_type), _printable(node.name)
        name = own if own and own not in used else f"{op}_{index}"
        while name in used:
            name += "_"
        used.add(name)
        attributes = {item.name: _attribute(item) for item in node.attribute}
        inputs, outputs = tuple(map(str, node.input)), tuple(map(str, node.output))
        nodes.append(GraphNode(name, op, str(node.domain), inputs, outputs, attributes))
    return nodes


def _printable(text: str | bytes) -> str:
    """A name that fits on one line; protobuf hands over bytes where a name is no UTF-8."""
    return text if isinstance(text, str) and text.isprintable() else repr(text)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    from onnx import helper

    try:
        return helper.get_attribute_value(attribute)
    except (ValueError, TypeError):
        return None


def _ordered(where: str, nodes: list[GraphNode], given: set[str], output: str) -> tuple[GraphNode, ...]:
    """The nodes that `output` depends on, each after what it reads; refuses cycles, doubles and dangling inputs."""
    producers = _producers(where, nodes, given)
    _check_dangling(where, nodes, given | set(producers))
    if output not in producers:
        raise ValueError(f"{where}: graph output {output!r} must be computed by a node, not {_kind(output, given)}")
    before = {node.name: [producers[name] for name in node.inputs if name in producers] for node in nodes}
    needed = _reachable(before, producers[output])
    return tuple(node for node in _sorted(where, nodes, before) if node.name in needed)


def _sorted(where: str, nodes: list[GraphNode], before: Mapping[str, list[str]]) -> list[GraphNode]:
    """The nodes in a legal order, which is the order of the file wherever that is one."""
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"{where}: the graph must have no cycle, but {' -> '.join(error.args[1])} is one") from None
    places, ready, order = {node.name: place for place, node in enumerate(nodes)}, list[int](), list[GraphNode]()
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, places[name])
        order.append(nodes[heappop(ready)])
        sorter.done(order[-1].name)
    return order


def _kind(name: str, given: set[str]) -> str:
    return "given as an input or a constant" if name in given else "missing"


def _producers(where: str, nodes: list[GraphNode], given: set[str]) -> dict[str, str]:
    producers: dict[str, str] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in producers or name in given:
                raise ValueError(f"{where}: tensor {name!r} must be written once, but {node} writes it again")
            producers[name] = node.name
    return producers


def _check_dangling(where: str, nodes: list[GraphNode], known: set[str]) -> None:
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in known:
                raise ValueError(
                    f"{where}: {node} reads {name!r}, which must be an input, a constant or a node's output"
                )


def _reachable(before: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found, frontier = {start}, [start]
    while frontier:
        new = [name for name in before[frontier.pop()] if name not in found]
        found.update(new)
        frontier.extend(new)
    return found


def _source(path: Path, content: bytes, model: onnx.ModelProto) -> dict[str, str]:
    """What the file says about itself; the three facts established here win over metadata of the same name."""
    producer = f"{model.producer_name} {model.producer_version}".strip()
    facts = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "producer": producer or "unknown"}
    return {str(item.key): str(item.value) for item in model.metadata_props} | facts
