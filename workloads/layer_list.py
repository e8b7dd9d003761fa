"""Our own layer list: a network's shapes and bits as TOML, written and read back exactly.

    name = "small"
    [[inputs]]
    name = "image"
    shape = [3, 8, 8]
    bits = 8
    [[layers]]
    layer = "conv"              # the kind, a class of workloads.layers in small letters
    name = "first"
    inputs = ["image"]          # what it reads: inputs or earlier layers
    in_shape = [3, 8, 8]        # and every field of the class

Keys and their types are those of the records, so a new kind of layer needs nothing here. TOML has no null: a field that
may be None is None where it is absent, and a field at its default is left out.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from workloads.layers import Layer
from workloads.network import Input, Network, Node
from workloads.spelling import unknown

KINDS: Mapping[str, type[Layer]] = {kind.__name__.lower(): kind for kind in get_args(Layer)}
"""Every kind of layer by the word that stands for it."""
TOP, WIRING = ("name", "inputs", "layers"), ("layer", "inputs")

Record = type[Layer] | type[Input]


def network_toml(network: Network) -> str:
    """The network as a layer list; `read_layer_list` gives an equal one back."""
    lines = [f"name = {_toml(network.name)}"]
    for source in network.inputs:
        lines += ["", "[[inputs]]", *_fields_toml(source)]
    for node in network.nodes:
        kind = type(node.layer).__name__.lower()
        name, *rest = _fields_toml(node.layer)
        lines += ["", "[[layers]]", f"layer = {_toml(kind)}", name, f"inputs = {_toml(node.inputs)}", *rest]
    return "\n".join(lines) + "\n"


def read_layer_list(text: str) -> Network:
    """The network of a layer list. Raises ValueError naming the layer and the key."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"must be TOML, but {error}") from error
    _check_keys("", data, TOP)
    name = _value("name", data["name"], str) if "name" in data else "network"
    sources = [_record(f"inputs[{index}]", entry, Input) for index, entry in enumerate(_tables("inputs", data))]
    nodes = [_node(f"layers[{index}]", entry) for index, entry in enumerate(_tables("layers", data))]
    return Network(name, sources[0], tuple(nodes), tuple(sources[1:]))


def _tables(name: str, data: Mapping[str, Any]) -> list[Any]:
    found = data.get(name)
    if not isinstance(found, list) or not found:
        raise ValueError(f"{name}: at least one [[{name}]] table must be given")
    return found


def _node(where: str, entry: Any) -> Node:
    table = _table(where, entry)
    kind = table.get("layer")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{where}: layer {unknown(kind, KINDS)}")
    if "inputs" not in table:
        raise ValueError(f"{_named(where, table)}: inputs must be given, the names of what the layer reads")
    inputs = _value(f"{_named(where, table)}: inputs", table["inputs"], tuple[str, ...])
    own = {key: value for key, value in table.items() if key not in WIRING}
    return Node(_record(where, own, KINDS[kind], WIRING), inputs)


def _record(where: str, entry: Any, record: Record, further: tuple[str, ...] = ()) -> Any:
    """A record out of a table: every key a field, every field given unless it has a default or may be None."""
    table, hints = _table(where, entry), get_type_hints(record)
    place = _named(where, table)
    _check_keys(f"{place}: ", table, (*further, *hints))
    values = {}
    for field in fields(record):
        if field.name in table:
            values[field.name] = _value(f"{place}: {field.name}", table[field.name], hints[field.name])
        elif not _absent_is_default(field):
            if not _may_be_none(hints[field.name]):
                raise ValueError(f"{place}: {field.name} must be given")
            values[field.name] = None
    return record(**values)


def _value(where: str, value: Any, hint: Any) -> Any:
    """A TOML value as the type that a field has. Raises ValueError."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _value(where, value, next(item for item in inner if item is not NoneType))
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{where} {unknown(value, inner)}")
        return value
    if origin is tuple:
        return _list(where, value, inner)
    if type(value) is not hint:
        raise ValueError(f"{where} must be {_WORDS[hint]}, not {value!r}")
    return value


def _list(where: str, value: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    any_length = inner[-1] is Ellipsis
    if not isinstance(value, list) or not (any_length or len(value) == len(inner)):
        raise ValueError(f"{where} must be a list{'' if any_length else f' of {len(inner)}'}, not {value!r}")
    hints = (inner[0],) * len(value) if any_length else inner
    return tuple(
        _value(f"{where}[{index}]", item, hint) for index, (item, hint) in enumerate(zip(value, hints, strict=True))
    )


_WORDS = {int: "an integer", bool: "true or false", str: "a text", float: "a number with a point"}


def _may_be_none(hint: Any) -> bool:
    return NoneType in get_args(hint)


def _absent_is_default(field: Field[Any]) -> bool:
    return field.default is not MISSING


def _table(where: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: must be a table, not {entry!r}")
    return entry


def _named(where: str, table: Mapping[str, Any]) -> str:
    """A place, with the name that stands there."""
    return f"{where} {table['name']!r}" if isinstance(table.get("name"), str) else where


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where}{key!r} {unknown(key, known)}")


def _fields_toml(record: Layer | Input) -> Iterator[str]:
    for field in fields(record):
        value = getattr(record, field.name)
        if value is None:
            if field.default not in (MISSING, None):
                raise ValueError(f"{record.name!r}: {field.name} must not be None, which TOML cannot say")
        elif _absent_is_default(field) and value == field.default:
            continue
        else:
            yield f"{field.name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """A text, an integer, a truth value, or a list of them. JSON's escapes are TOML's, but for the delete character."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
