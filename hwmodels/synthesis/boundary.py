"""A mapped netlist with a flip-flop at every port: what a router needs to time the paths that begin or end there.

A router tells the clock of paths from register to register. A unit alone takes its operands from ports, and in the engine these
come from registers of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

Netlist = Mapping[str, Any]
"""A module of Yosys' JSON: `ports` with their bits, and `cells` with their connections; bits are numbers, or constants as text."""

CLOCK, RESET = "clk_i", "rst_ni"
FLIP_FLOP = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}
"""Of ECP5: always enabled, never reset. (A text that looks like bits ends with a space in this format.)"""


def registered(module: Netlist) -> dict[str, Any]:
    """The module with an ECP5 flip-flop behind every input but clock and reset, and before every output.

    Outputs that are constants stay. Raises ValueError for a module without the clock.
    """
    ports = module["ports"]
    if CLOCK not in ports:
        raise ValueError(f"netlist: must have the clock {CLOCK}, but the ports are {', '.join(ports)}")
    clock, fresh = ports[CLOCK]["bits"][0], count(_highest(module) + 1)
    outside, cells = {}, dict(module["cells"])
    for name, port in ports.items():
        bits = list(port["bits"])
        if name not in (CLOCK, RESET):
            for index, bit in enumerate(port["bits"]):
                if isinstance(bit, int):
                    bits[index] = next(fresh)
                    data, state = (bits[index], bit) if port["direction"] == "input" else (bit, bits[index])
                    cells[f"{name}_{index}_boundary"] = _flip_flop(clock, data, state)
        outside[name] = {**port, "bits": bits}
    return {**module, "ports": outside, "cells": cells}


def with_boundary(design: Netlist, top: str) -> dict[str, Any]:
    """The same of the top of a whole JSON file; the other modules, which are those of cells, stay."""
    return {**design, "modules": {**design["modules"], top: registered(design["modules"][top])}}


def _highest(module: Netlist) -> int:
    """The last number that a net has."""
    return max((bit for bit in _bits(module) if isinstance(bit, int)), default=0)


def _bits(module: Netlist) -> Iterator[Any]:
    for port in module["ports"].values():
        yield from port["bits"]
    for net in module.get("netnames", {}).values():
        yield from net["bits"]
    for cell in module["cells"].values():
        for bits in cell["connections"].values():
            yield from bits


def _flip_flop(clock: int, data: int, state: int) -> dict[str, Any]:
    return {
        "hide_name": 0,
        "type": "TRELLIS_FF",
        "parameters": dict(FLIP_FLOP),
        "attributes": {},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [clock], "DI": [data], "LSR": ["0"], "Q": [state]},
    }
