"""What can be synthesized: the engine, its frame, and its units, each of any `Design`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from hwmodels.design import Design
from hwmodels.rtl.package import package, parameters, shift_mask
from hwmodels.rtl.sources import ENGINE, PACKAGE, sources
from hwmodels.synthesis.essence import needed, plain

PE = ("pe", "pe_mac")


@dataclass(frozen=True, slots=True)
class Block:
    """A module as the top of a synthesis. Modules in `empty` are left out: only their ports are read.

    `parameters` gives the module parameters of a design; a block without them reads the engine's package.
    """

    top: str
    empty: tuple[str, ...] = ()
    parameters: Callable[[Design], Mapping[str, int]] | None = None
    kind: str | None = None


_STAGES = ("CountStages", "SumStages", "AccStages")


def _pe(design: Design) -> dict[str, int]:
    known = parameters(design)
    names = ("Width", "LanesA", "LanesW", "AccBits", "BiasBits", "ShiftMax", *_STAGES)
    return {**{name: known[name] for name in names}, "ShiftMask": shift_mask(design)}


def _pe_mac(design: Design) -> dict[str, int]:
    known = parameters(design)
    return {name: known[name] for name in ("Width", "LanesA", "LanesW", "AccBits", *_STAGES)}


def _weight_bank(design: Design) -> dict[str, int]:
    return {"Depth": design.weight_depth, "Lanes": design.weight_lanes, "LaneW": design.width}


BLOCKS: Mapping[str, Block] = {
    "pe": Block("pe", parameters=_pe, kind="array"),
    "pe_mac": Block("pe_mac", parameters=_pe_mac, kind="mac"),
    "grid": Block("grid", empty=PE),
    "columns": Block("columns"),
    "vector_unit": Block("vector_unit"),
    "post_unit": Block("post_unit", empty=("bank",)),
    "drain": Block("drain"),
    "sequencer": Block("sequencer"),
    "loader": Block("loader"),
    "writer": Block("writer"),
    "controller": Block("controller"),
    "frame": Block("engine", empty=(*PE, "bank")),
    "engine": Block("engine", empty=("bank",)),
    "bank": Block("bank", parameters=_weight_bank),
    "array": Block("grid"),
    "whole": Block("engine"),
}
"""`grid` is without its PEs, `array` with them. `frame` is the engine without PEs and memories, `engine` without its memories, `whole` with
all that it has; `bank` is one memory."""


@dataclass(frozen=True, slots=True)
class Point:
    """One synthesis: a block of a design. Raises ValueError for a block that nobody knows or that the design has not."""

    block: str
    design: Design

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise ValueError(f"point: block must be one of {', '.join(BLOCKS)}, not {self.block!r}")
        if BLOCKS[self.block].kind not in (None, self.design.kind):
            raise ValueError(f"point: block {self.block} needs a design of kind {BLOCKS[self.block].kind}")

    @property
    def top(self) -> str:
        """Name of the top module."""
        return BLOCKS[self.block].top

    @property
    def has_memories(self) -> bool:
        """Whether memories are synthesized with it."""
        known = BLOCKS[self.block]
        return "bank" not in known.empty and "bank" in _below(known.top, known.empty)

    @property
    def name(self) -> str:
        """The block and what makes it unlike others, in words."""
        known = BLOCKS[self.block].parameters
        chosen = known(self.design) if known else {name: getattr(self.design, name) for name in KNOBS}
        return f"{self.block} " + " ".join(f"{name}={value}" for name, value in chosen.items())

    def files(self) -> dict[str, str]:
        """Text by name of every file that the top reads, lowest first: of the sources what matters, nothing else."""
        known = BLOCKS[self.block]
        own = {f"{name}.sv": plain(sources()[f"{name}.sv"]) for name in _below(known.top, known.empty)}
        return {PACKAGE: needed(package(self.design), own.values()), **own} if known.parameters is None else own

    def reading(self) -> list[str]:
        """Yosys commands that read the files and set the parameters."""
        known = BLOCKS[self.block]
        empty = [name for name in self.files() if name.removesuffix(".sv") in known.empty]
        whole = [name for name in self.files() if name not in empty]
        commands = [f"read_verilog -sv -lib {' '.join(empty)}"] if empty else []
        commands.append(f"read_verilog -sv {' '.join(whole)}")
        if known.parameters:
            pairs = " ".join(f"-set {name} {value}" for name, value in known.parameters(self.design).items())
            commands.append(f"chparam {pairs} {known.top}")
        return commands

    def digest(self, context: str) -> str:
        """Content hash of the sources, the parameters and of `context` (tool, options, libraries): equal means done before."""
        content = json.dumps([self.files(), self.reading(), self.top, context], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


KNOBS = (
    "kind", "rows", "cols", "width", "lanes_a", "lanes_w", "max_act_bits", "max_weight_bits", "count_stages",
    "sum_stages", "acc_stages", "weight_depth", "act_depth", "out_depth", "threshold_depth", "port_bits",
)  # fmt: skip
"""Knobs of a design that the RTL depends on, apart from the port's timing."""


@cache
def _below(top: str, empty: tuple[str, ...]) -> tuple[str, ...]:
    """Modules that a top is made of, lowest first, itself the last; what is in `empty` modules is not looked at."""
    text = sources()
    found, left = {top}, [top]
    while left:
        body = text[f"{left.pop()}.sv"]
        used = {name for name in ENGINE if re.search(rf"^\s*{name} (#\(|u_)", body, flags=re.M)} - found
        found |= used
        left += [name for name in used if name not in empty]
    return tuple(name for name in ENGINE if name in found)


@cache
def rtl_digest() -> str:
    """Content hash of the engine's RTL, whatever its parameters."""
    text = sources()
    return hashlib.sha256("".join(text[f"{name}.sv"] for name in ENGINE).encode()).hexdigest()[:16]


def design_of(values: Mapping[str, str]) -> Design:
    """The design of a table's row. Raises ValueError naming a knob that is missing or no number."""
    missing = [name for name in KNOBS if name not in values]
    if missing:
        raise ValueError(f"table: must have the columns {', '.join(missing)}")
    types = {item.name: item.type for item in fields(Design)}
    chosen: dict[str, Any] = {
        name: values[name] if types[name].startswith("Literal") else int(values[name]) for name in KNOBS
    }
    return Design(**chosen)
