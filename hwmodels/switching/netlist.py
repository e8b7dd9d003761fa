"""A mapped netlist as Yosys writes it in JSON: nets by number, cells by type, and where each net goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.switching.cells import Cell, Cells

Indices = npt.NDArray[np.int64]

FALSE, TRUE = 0, 1
"""Nets that are constant; the others have Yosys' own numbers, which begin at 2."""
OPEN = -1
"""An output that goes nowhere."""


@dataclass(frozen=True, slots=True)
class Instances:
    """All cells of one type: their names, and for every pin the net of each."""

    cell: Cell
    names: tuple[str, ...]
    nets: Mapping[str, Indices]


@dataclass(frozen=True)
class Netlist:
    """`ports` and `boxes` (instances of modules that were left out, as instance.port) name nets, lowest bit first.

    `sources` are what a simulation must be told every cycle, in order: input ports but the clock, and outputs of boxes.
    """

    top: str
    clock: int
    nets: int
    names: tuple[str, ...]
    cells: tuple[Instances, ...]
    sources: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]

    @cached_property
    def fanout(self) -> Indices:
        """(nets,) input pins that each net drives."""
        counts = np.zeros(self.nets, np.int64)
        for group in self.cells:
            for pin in group.cell.inputs:
                np.add.at(counts, group.nets[pin.name], 1)
        return counts

    def pin_load_ff(self) -> npt.NDArray[np.float64]:
        """(nets,) capacitance of the input pins that each net drives."""
        loads = np.zeros(self.nets)
        for group in self.cells:
            for pin in group.cell.inputs:
                np.add.at(loads, group.nets[pin.name], pin.capacitance_ff)
        return loads


def read_netlist(path: Path, top: str, cells: Cells, *, clock: str = "clk_i") -> Netlist:
    """The module `top` of a file that `write_json` wrote. Raises ValueError for a cell that the liberty files do not describe."""
    module = json.loads(path.read_text(encoding="utf-8"))["modules"][top]
    ports = {name: (port["direction"], _nets(port["bits"])) for name, port in module["ports"].items()}
    known = {name: one for name, one in module["cells"].items() if one["type"] in cells}
    boxes = {
        name: one for name, one in module["cells"].items() if one["type"] not in cells and "port_directions" in one
    }
    sources = {name: bits for name, (direction, bits) in ports.items() if direction == "input" and name != clock}
    for name, box in boxes.items():
        for port, direction in box["port_directions"].items():
            if direction == "output":
                sources[f"{name}.{port}"] = _nets(box["connections"][port])
    names = _net_names(module)
    return Netlist(
        top=top,
        clock=ports[clock][1][0] if clock in ports else FALSE,
        nets=len(names),
        names=names,
        cells=_grouped(known, cells),
        sources=sources,
        outputs={name: bits for name, (direction, bits) in ports.items() if direction == "output"},
    )


def _nets(bits: list[Any]) -> tuple[int, ...]:
    """Numbers of nets; what is undefined counts as 0."""
    return tuple(int(bit) if isinstance(bit, int) or bit in "01" else FALSE for bit in bits)


def _net_names(module: Mapping[str, Any]) -> tuple[str, ...]:
    """Name of every net, of several a register's and then the shortest, as name[bit]; a number where the sources give none."""
    numbers = [0, 1, *(bit for one in module["netnames"].values() for bit in one["bits"] if isinstance(bit, int))]
    found = [str(number) for number in range(max(numbers) + 1)]
    given = [(name, one) for name, one in module["netnames"].items() if not one["hide_name"]]
    for name, one in sorted(given, key=lambda item: ("_q" in item[0], -len(item[0]), item[0])):
        for place, bit in enumerate(one["bits"]):
            if isinstance(bit, int):
                found[bit] = f"{name}[{place}]"
    return tuple(found)


def _grouped(found: Mapping[str, Any], cells: Cells) -> tuple[Instances, ...]:
    types = sorted({one["type"] for one in found.values()})
    return tuple(
        _instances(cells[name], {key: one for key, one in found.items() if one["type"] == name}) for name in types
    )


def _instances(cell: Cell, found: Mapping[str, Any]) -> Instances:
    nets = {name: [_nets(one["connections"].get(name, []) or []) for one in found.values()] for name in cell.pins}
    arrays = {name: np.array([bits[0] if bits else OPEN for bits in each], np.int64) for name, each in nets.items()}
    for pin in cell.inputs:
        arrays[pin.name] = np.where(arrays[pin.name] == OPEN, FALSE, arrays[pin.name])
    return Instances(cell, tuple(found), arrays)
