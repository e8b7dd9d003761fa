"""Weights that stand in files beside the model: read where those files lie in its folder, refused everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def embed_external(path: Path, model: onnx.ModelProto) -> None:
    """Put all external data of a model into its tensors. Raises ValueError, naming the tensor, for data that leaves its folder."""
    from onnx import TensorProto

    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            tensor.raw_data = _content(path, tensor)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def _content(path: Path, tensor: onnx.TensorProto) -> bytes:
    where = f"{path.name}: external data of {tensor.name!r}"
    entries = {str(item.key): str(item.value) for item in tensor.external_data}
    source = _inside(where, path.parent, entries.get("location", ""))
    offset, size = _number(where, "offset", entries, 0), _size(where, tensor)
    length = _number(where, "length", entries, size)
    if length != size:
        raise ValueError(f"{where} must have {size} bytes as its shape says, not {length}")
    try:
        with open(source, "rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise ValueError(f"{where} must be readable, but {(error.strerror or str(error)).lower()}") from None
    if len(content) != size:
        raise ValueError(f"{where} must have {size} bytes at {offset} of {source.name!r}, not {len(content)}")
    return content


def _inside(where: str, folder: Path, location: str) -> Path:
    """The file of a location. Absolute paths, `..` and links lead a model to other files of this machine, so they are refused."""
    given = PurePosixPath(location)
    outside = given.is_absolute() or PureWindowsPath(location).anchor or ".." in PureWindowsPath(location).parts
    if outside or not location or not (folder / given).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{where} must lie in the folder of the model, not at {location!r}")
    found = (folder / given).resolve()
    if not found.is_file():
        raise ValueError(f"{where} must be a file, but there is none at {location!r}")
    return found


def _size(where: str, tensor: onnx.TensorProto) -> int:
    """Bytes of a tensor by its type and shape."""
    from onnx import TensorProto, helper

    try:
        small = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4)
        bits = 4 if small else 8 * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except KeyError:
        raise ValueError(f"{where} must have a type of numbers, not type {tensor.data_type}") from None
    return -(-prod(map(int, tensor.dims)) * bits // 8)


def _number(where: str, name: str, entries: dict[str, str], default: int) -> int:
    text = entries.get(name, str(default))
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{where}: {name} must be an integer >= 0, not {text!r}")
    return int(text)
