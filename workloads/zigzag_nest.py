"""The loop nests of a ZigZag workload: what one entry of the file says, checked for form.

Keys are those of ZigZag 3 (zigzag/parser/workload_validator.py of KULeuven-MICAS/zigzag). Nothing here knows a layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from workloads.layers import MAX_BITS, Pair
from workloads.spelling import unknown

REQUIRED = ("id", "operator_type", "equation", "loop_dims", "loop_sizes", "operand_precision")
KEYS = (
    *REQUIRED,
    "name",
    "dimension_relations",
    "operand_source",
    "pr_loop_dims",
    "pr_loop_sizes",
    "padding",
    "time_dim",
)
PRECISIONS = ("I", "W", "O", "O_final")
CONV_DIMS, GEMM_DIMS = ("B", "G", "K", "C", "OY", "OX", "FY", "FX"), ("B", "H", "D", "C", "K")
POOL_DIMS, ADD_DIMS = ("B", "G", "OY", "OX", "FY", "FX"), ("B", "G", "OY", "OX")
DIMS: Mapping[str, Sequence[str]] = {
    "Conv": CONV_DIMS, "Conv_downsample": CONV_DIMS, "Gemm": GEMM_DIMS, "Pooling": POOL_DIMS, "Pool": POOL_DIMS,
    "MaxPool": POOL_DIMS, "AveragePool": POOL_DIMS, "GlobalAveragePool": POOL_DIMS, "Add": ADD_DIMS,
}  # fmt: skip
"""The loops that each operator may have."""
RELATION = re.compile(r"(\w+)\s*=\s*(?:(\d+)\s*\*\s*)?(\w+)\s*\+\s*(?:(\d+)\s*\*\s*)?(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nest:
    """One entry of the file, checked for form."""

    where: str
    id: int
    name: str
    operator: str
    weight_indices: frozenset[str]
    sizes: Mapping[str, int]
    steps: Mapping[str, Pair]
    """By axis, Y and X: stride and dilation."""
    precision: Mapping[str, int]
    sources: Mapping[str, int]
    maps: Mapping[str, int]
    """By axis: size of the map, where it is stated."""
    padding: Mapping[str, Pair]

    def size(self, *dims: str) -> int:
        """Product of loops; one that is not there runs once."""
        return prod(self.sizes.get(dim, 1) for dim in dims)

    def bits(self, operand: str, override: int | None) -> int:
        """Bits of an operand. Raises ValueError where neither the file nor the user says 1..8."""
        found = override or self.precision.get(operand)
        if found is None or not 1 <= found <= MAX_BITS:
            raise ValueError(
                f"{self.where}: operand_precision {operand} must be between 1 and {MAX_BITS}, not {found} (M and K may be given instead)"
            )
        return found


def read_nests(text: str) -> list[Nest]:
    """The entries of a workload file. Raises ValueError naming the layer and the key."""
    return [_nest(f"layer {index}", entry) for index, entry in enumerate(_parse(text))]


def _parse(text: str) -> list[Any]:
    import yaml

    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"must be YAML, but {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError("must be a list of at least one layer, each with an id")
    return entries


def _nest(where: str, entry: Any) -> Nest:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: must be a mapping with id, operator_type and loops, not {entry!r}")
    for key in entry:
        if key not in KEYS:
            raise ValueError(f"{where}: {key!r} {unknown(key, KEYS)}")
    for key in REQUIRED:
        if key not in entry:
            raise ValueError(f"{where}: {key} must be given")
    number = _integer(f"{where}: id", entry["id"], 0)
    where = f"layer {number}"
    operator = entry["operator_type"]
    if not isinstance(operator, str) or operator not in DIMS:
        raise ValueError(f"{where}: operator_type {unknown(operator, DIMS)}")
    if entry.get("time_dim"):
        raise ValueError(
            f"{where}: time_dim must be empty: layers with a state are not there, not {entry['time_dim']!r}"
        )
    name = entry.get("name") or f"layer{number}"
    if not isinstance(name, str):
        raise ValueError(f"{where}: name must be a text, not {name!r}")
    maps, padding = _maps(where, entry)
    return Nest(
        where=where,
        id=number,
        name=name,
        operator=operator,
        weight_indices=_weight_indices(where, entry["equation"]),
        sizes=_sizes(where, entry, DIMS[operator]),
        steps=_steps(where, entry.get("dimension_relations") or []),
        precision=_integers(f"{where}: operand_precision", entry["operand_precision"], PRECISIONS),
        sources=_integers(f"{where}: operand_source", entry.get("operand_source") or {}, ("I", "W")),
        maps=maps,
        padding=padding,
    )


def _sizes(where: str, entry: Mapping[str, Any], known: Sequence[str]) -> dict[str, int]:
    dims, sizes = _list(f"{where}: loop_dims", entry["loop_dims"]), _list(f"{where}: loop_sizes", entry["loop_sizes"])
    if len(dims) != len(sizes):
        raise ValueError(
            f"{where}: loop_sizes must have one number for each of {len(dims)} loop_dims, not {len(sizes)}"
        )
    found: dict[str, int] = {}
    for dim, size in zip(dims, sizes, strict=True):
        if dim not in known:
            raise ValueError(f"{where}: loop_dims {unknown(dim, known)}")
        if dim in found:
            raise ValueError(f"{where}: loop_dims must be unique, but {dim} comes twice")
        found[dim] = _integer(f"{where}: loop {dim}", size, 1)
    return found


def _steps(where: str, relations: Any) -> dict[str, Pair]:
    """By axis: (stride, dilation) out of `iy=2*oy+1*fy`."""
    found = {}
    for text in _list(f"{where}: dimension_relations", relations):
        match = RELATION.fullmatch(text.strip()) if isinstance(text, str) else None
        terms = {match[3].lower(): int(match[2] or 1), match[5].lower(): int(match[4] or 1)} if match else {}
        axis = match[1].upper()[1:] if match else ""
        if axis not in ("X", "Y") or set(terms) != {f"o{axis.lower()}", f"f{axis.lower()}"} or min(terms.values()) < 1:
            raise ValueError(f"{where}: dimension_relations must read like iy=2*oy+1*fy or ix=1*ox+1*fx, not {text!r}")
        found[axis] = (terms[f"o{axis.lower()}"], terms[f"f{axis.lower()}"])
    return found


def _maps(where: str, entry: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Pair]]:
    """Stated map sizes and paddings by axis."""
    axes = _list(f"{where}: pr_loop_dims", entry.get("pr_loop_dims") or [])
    for axis in axes:
        if axis not in ("IX", "IY"):
            raise ValueError(f"{where}: pr_loop_dims {unknown(axis, ('IX', 'IY'))}")
    given = {key: _list(f"{where}: {key}", entry.get(key) or []) for key in ("pr_loop_sizes", "padding")}
    for key, values in given.items():
        if values and len(values) != len(axes):
            raise ValueError(f"{where}: {key} must have one entry for each of pr_loop_dims {axes}, not {len(values)}")
    sizes = {
        axis[1:]: _integer(f"{where}: {axis}", size, 1)
        for axis, size in zip(axes, given["pr_loop_sizes"], strict=False)
    }
    return sizes, {axis[1:]: _pads(where, pair) for axis, pair in zip(axes, given["padding"], strict=False)}


def _pads(where: str, pair: Any) -> Pair:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"{where}: padding must be a list of [before, after], not {pair!r}")
    before, after = (_integer(f"{where}: padding", value, 0) for value in pair)
    return before, after


def _weight_indices(where: str, equation: Any) -> frozenset[str]:
    found = re.search(r"W((?:\[\w+\])+)", equation) if isinstance(equation, str) else None
    if found is None or not re.match(r"\s*O(\[\w+\])+\s*\+?=", equation):
        raise ValueError(f"{where}: equation must read like O[b][k]+=W[k][c]*I[b][c], not {equation!r}")
    return frozenset(re.findall(r"\w+", found[1].lower()))


def _integers(where: str, table: Any, known: Sequence[str]) -> dict[str, int]:
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a mapping, not {table!r}")
    for key in table:
        if key not in known:
            raise ValueError(f"{where}: {key!r} {unknown(key, known)}")
    return {key: _integer(f"{where} {key}", value, 0) for key, value in table.items()}


def _integer(where: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
        raise ValueError(f"{where} must be an integer between {least} and {2**31 - 1}, not {value!r}")
    return value


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} must be a list, not {value!r}")
    return value
