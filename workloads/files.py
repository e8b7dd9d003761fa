"""Encoded networks in a file: safetensors with packed planes as tensors and everything else as one JSON text.

Metadata of the file: `format` is dse-network, `version` is 1, `header` is JSON with keys
  network     name, inputs [{name, shape, bits}], nodes [{inputs, layer {layer: one of layer_list.KINDS, ...}}]
  codes       bits, step, offset, highest of the network input
  host_levels whether the host quantizes by levels of its own
  parameters  by layer name: acc_bits, the list of its tensors, and the function of a host layer (`workloads.host_files`)
  arrangement how the host puts the outputs of several layers in place, or null
  source      provenance, text to text
Tensors are named <layer>/<tensor>: weights uint64 (K, out, words); threshold_signs int64 (channels,), threshold_values
int64 (channels, levels); affine_scale, affine_bias float64 and affine_shift int64 (channels,); constant_0, ... float32 of a host function. Host
levels are host_signs int64 (rows,) and host_values float32 (rows, levels). The same network gives the same bytes. Only this
file and `host_files` turn such dicts into records; nothing is ever executed from a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from workloads.encoded import Affine, Codes, EncodedNetwork, HostLevels, Parameters, Thresholds
from workloads.host_files import (
    PREFIX,
    arrangement_from,
    arrangement_header,
    function_from,
    function_header,
    function_tensors,
)
from workloads.layer_list import KINDS
from workloads.layers import Layer
from workloads.network import Input, Network, Node

FORMAT = "dse-network"
VERSION = "1"

_LENGTHS = {
    "in_shape": 3,
    "out_shape": 3,
    "other_shape": 3,
    "shape": 3,
    "start": 3,
    "kernel": 2,
    "stride": 2,
    "dilation": 2,
    "factor": 2,
    "multipliers": 2,
    "padding": 4,
    "parts": None,
}
"""Integers of each list; None: any number."""

_TEXTS = ("name", "kind", "over", "coordinates", "function")
_FLAGS = ("from_host", "ternary", "cached")
_OPTIONAL = ("out_bits", "pad_code", "acc_bits")
_DTYPES = {
    "weights": "U64",
    "threshold_signs": "I64",
    "threshold_values": "I64",
    "affine_scale": "F64",
    "affine_bias": "F64",
    "host_signs": "I64",
    "host_values": "F32",
    "affine_shift": "I64",
}
_HOST = ("host_signs", "host_values")

Tensors = Mapping[str, npt.NDArray[Any]]


def save(network: EncodedNetwork, path: str | Path) -> None:
    """Write the network, all or nothing: a temporary file in the same folder takes the place of `path` at the end.

    Raises ValueError with the path where it cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(_encode(network))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise ValueError(f"{target}: the folder must exist and be writable, but {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path) -> EncodedNetwork:
    """Read what `save` wrote. Raises ValueError, one line with the path, for anything else."""
    source = Path(path)
    if not source.is_file():
        raise ValueError(f"{source}: the network file must exist")
    try:
        return _decode(source)
    except SafetensorError as error:
        raise ValueError(f"{source}: must be a complete safetensors file, but: {_line(error)}") from error
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{source}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _encode(network: EncodedNetwork) -> bytes:
    held = {layer.name: network.parameters.get(layer.name, Parameters()) for layer in network.network.layers}
    tensors = {name: _tensors(parameters) for name, parameters in held.items()}
    header = {
        "network": network_header(network.network),
        "codes": _record(network.input_codes),
        "host_levels": network.input_levels is not None,
        "parameters": {
            name: {"acc_bits": own.acc_bits, "tensors": sorted(tensors[name]), "host": _host(own)}
            for name, own in held.items()
        },
        "arrangement": arrangement_header(network.arrangement),
        "source": dict(network.source),
    }
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    flat = {f"{layer}/{name}": tensor for layer, own in tensors.items() for name, tensor in own.items()}
    if network.input_levels is not None:
        flat["host_signs"], flat["host_values"] = network.input_levels.sign, network.input_levels.values
    return _ordered(to_bytes(flat, metadata={"format": FORMAT, "version": VERSION, "header": text}))


def _ordered(raw: bytes) -> bytes:
    """The same safetensors bytes with metadata in alphabetical order, which the library leaves to a random hash.

    A file is the length of its header (8 bytes, little-endian), the header (JSON, spaces to a multiple of 8), the data.
    """
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + raw[8 + size :]


def _tensors(parameters: Parameters) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    if parameters.weights is not None:
        found["weights"] = parameters.weights.astype(np.uint64, order="C")
    if parameters.thresholds is not None:
        found["threshold_signs"] = parameters.thresholds.sign.astype(np.int64, order="C")
        found["threshold_values"] = parameters.thresholds.values.astype(np.int64, order="C")
    if parameters.affine is not None:
        found["affine_scale"] = parameters.affine.scale.astype(np.float64, order="C")
        found["affine_bias"] = parameters.affine.bias.astype(np.float64, order="C")
        found["affine_shift"] = np.asarray(parameters.affine.shift).astype(np.int64, order="C")
    return found | ({} if parameters.host is None else function_tensors(parameters.host))


def _host(parameters: Parameters) -> dict[str, Any] | None:
    return None if parameters.host is None else function_header(parameters.host)


def network_header(network: Network) -> dict[str, Any]:
    kinds = {record: kind for kind, record in KINDS.items()}
    nodes = [
        {"inputs": list(node.inputs), "layer": {"layer": kinds[type(node.layer)]} | _record(node.layer)}
        for node in network.nodes
    ]
    return {"name": network.name, "inputs": [_record(item) for item in network.inputs], "nodes": nodes}


def _record(record: Layer | Input | Codes) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _decode(path: Path) -> EncodedNetwork:
    with safe_open(path, framework="numpy") as file:
        header = _checked_header(file.metadata() or {})
        layers = _object("parameters", header["parameters"])
        listed = {name: _own_tensors(name, entry) for name, entry in layers.items()}
        names = {f"{layer}/{tensor}": tensor for layer, own in listed.items() for tensor in own}
        if header["host_levels"]:
            names |= {name: name for name in _HOST}
        _check_names(set(names), set(file.keys()))
        for name, tensor in names.items():
            _check_dtype(name, file.get_slice(name).get_dtype(), _DTYPES.get(tensor, "F32"))
        tensors = {name: file.get_tensor(name) for name in names}
    network = network_from_header(header["network"])
    _check_names({layer.name for layer in network.layers}, set(layers), what="layer", where="parameters")
    parameters = {name: _parameters(name, entry, tensors) for name, entry in layers.items()}
    levels = HostLevels(*(tensors[name] for name in _HOST)) if header["host_levels"] else None
    source, arrangement = _texts("source", header["source"]), arrangement_from(header["arrangement"])
    return EncodedNetwork(network, _codes(header["codes"]), parameters, source, arrangement, levels)


def _checked_header(metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"format must be {FORMAT!r}, not {metadata.get('format')!r}")
    if metadata.get("version") != VERSION:
        raise ValueError(f"version must be {VERSION!r}, not {metadata.get('version')!r}")
    try:
        header = json.loads(metadata.get("header", ""))
    except ValueError as error:
        raise ValueError(f"header must be JSON, but: {error}") from error
    found = _keys("header", header, ("network", "codes", "host_levels", "parameters", "source", "arrangement"))
    if not isinstance(found["host_levels"], bool):
        raise ValueError(f"header: host_levels must be of type bool, not {found['host_levels']!r}")
    return found


def _own_tensors(layer: str, entry: Any) -> list[str]:
    """The tensors a layer lists; thresholds and affine come in pairs."""
    where = f"parameters of {layer!r}"
    own = _keys(where, entry, ("acc_bits", "tensors", "host"))["tensors"]
    if not isinstance(own, list) or not all(isinstance(name, str) and _known(name, entry["host"]) for name in own):
        raise ValueError(f"{where}: tensors must be a list out of {sorted(set(_DTYPES) - set(_HOST))}, not {own!r}")
    for one, other in (
        ("threshold_signs", "threshold_values"),
        ("affine_scale", "affine_bias"),
        ("affine_scale", "affine_shift"),
    ):
        if (one in own) != (other in own):
            raise ValueError(f"{where}: {one} and {other} must be given together")
    return own


def _known(tensor: str, host: Any) -> bool:
    return (tensor in _DTYPES and tensor not in _HOST) or (host is not None and tensor.startswith(PREFIX))


def _check_names(wanted: set[str], came: set[str], *, what: str = "tensor", where: str = "file") -> None:
    if wanted - came:
        raise ValueError(f"{where}: {what} {min(wanted - came)!r} must be given, but is missing")
    if came - wanted:
        raise ValueError(f"{where}: {what} {min(came - wanted)!r} must not be given: the header does not know it")


def _check_dtype(name: str, came: str, wanted: str) -> None:
    if came != wanted:
        raise ValueError(f"tensor {name!r}: dtype must be {wanted}, not {came}")


def _parameters(layer: str, entry: Any, tensors: Tensors) -> Parameters:
    own = {name: tensors[f"{layer}/{name}"] for name in entry["tensors"]}
    where = f"parameters of {layer!r}"
    try:
        thresholds = Thresholds(own["threshold_signs"], own["threshold_values"]) if "threshold_signs" in own else None
        affine = Affine(own["affine_scale"], own["affine_bias"], own["affine_shift"]) if "affine_scale" in own else None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    host = None if entry["host"] is None else function_from(where, entry["host"], own)
    acc_bits = _value(where, "acc_bits", entry["acc_bits"])
    return Parameters(acc_bits=acc_bits, weights=own.get("weights"), thresholds=thresholds, affine=affine, host=host)


def network_from_header(entry: Any) -> Network:
    network = _keys("network", entry, ("name", "inputs", "nodes"))
    for name in ("inputs", "nodes"):
        if not isinstance(network[name], list):
            raise ValueError(f"network: {name} must be a list, not {network[name]!r}")
    if not network["inputs"]:
        raise ValueError("network: inputs must hold at least one")
    first, *more = (Input(**_values(f"input {index}", item, Input)) for index, item in enumerate(network["inputs"]))
    nodes = tuple(_node(index, node) for index, node in enumerate(network["nodes"]))
    return Network(_value("network", "name", network["name"]), first, nodes, tuple(more))


def _node(index: int, entry: Any) -> Node:
    where = f"node {index}"
    node = _keys(where, entry, ("inputs", "layer"))
    inputs, layer = node["inputs"], _object(f"{where}: layer", node["layer"])
    if not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs):
        raise ValueError(f"{where}: inputs must be a list of names, not {inputs!r}")
    kind = layer.get("layer")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{where}: layer must be one of {sorted(KINDS)}, not {kind!r}")
    values = {name: value for name, value in layer.items() if name != "layer"}
    return Node(KINDS[kind](**_values(f"{where} ({kind})", values, KINDS[kind])), tuple(inputs))


def _codes(entry: Any) -> Codes:
    codes = _keys("codes", entry, ("bits", "step", "offset", "highest"))
    if isinstance(codes["step"], bool) or not isinstance(codes["step"], int | float):
        raise ValueError(f"codes: step must be a number, not {codes['step']!r}")
    bits, offset, highest = (_value("codes", name, codes[name]) for name in ("bits", "offset", "highest"))
    return Codes(bits=bits, step=float(codes["step"]), offset=offset, highest=highest)


def _texts(where: str, entry: Any) -> dict[str, str]:
    texts = _object(where, entry)
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError(f"{where}: every value must be text, not {texts!r}")
    return texts


def _values(where: str, entry: Any, record: type[Layer] | type[Input]) -> dict[str, Any]:
    """Exactly the fields of a record, each of its type."""
    names = tuple(field.name for field in fields(record))
    return {name: _value(where, name, value) for name, value in _keys(where, entry, names).items()}


def _value(where: str, name: str, value: Any) -> Any:
    """One field as the records hold it: text, flag, tuple of integers, integer or, where allowed, None."""
    if name in _LENGTHS:
        length = _LENGTHS[name]
        integers = isinstance(value, list) and all(type(item) is int for item in value)
        if not integers or (length is not None and len(value) != length):
            raise ValueError(f"{where}: {name} must be a list of {length or 'some'} integers, not {value!r}")
        return tuple(value)
    if value is None and name in _OPTIONAL:
        return None
    wanted = str if name in _TEXTS else bool if name in _FLAGS else int
    if type(value) is not wanted:
        raise ValueError(f"{where}: {name} must be of type {wanted.__name__}, not {value!r}")
    return value


def _keys(where: str, entry: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object with exactly these keys."""
    found = _object(where, entry)
    for name in found:
        if name not in names:
            raise ValueError(f"{where}: {name!r} must not be given; the fields are {sorted(names)}")
    for name in names:
        if name not in found:
            raise ValueError(f"{where}: {name!r} must be given")
    return found


def _object(where: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: must be an object, not {entry!r}")
    return entry
