"""Which part of a machine a cell belongs to: the registers that its logic ends in, or those registers themselves.

Synthesis flattens the hierarchy, but a register keeps the name of its signal. A gate that feeds several registers belongs to the
first of them in the order of `ORDER`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.switching.energy import Switching
from hwmodels.switching.netlist import OPEN, Netlist

Indices = npt.NDArray[np.int64]

REGISTER = re.compile(r"(?:^|[.\]])(\w+?_q)\d*(?:\[|$)")
ORDER = ("count_q", "product_q", "sum_q", "acc_q", "hold_q", "value_q", "code_q")
OTHER = "other"
"""Logic that ends in output ports or in registers whose name is lost."""


@dataclass(frozen=True, slots=True)
class Part:
    """fJ over a simulation: of gates and registers that toggle and of the nets they drive, and of clock pins; nW; flip-flops."""

    switching_fj: float
    clock_fj: float
    leakage_nw: float
    flip_flops: int


def parts(netlist: Netlist, found: Switching) -> dict[str, Part]:
    """Energy by part; nets that come in are parts of their own, under the name of their port. The clock's net is shared out by pins."""
    names, owners = owners_of(netlist)
    switching, clock, leakage = (np.zeros(len(names)) for _ in range(3))
    flip_flops = np.zeros(len(names), np.int64)
    clock_pins = max(1, int(netlist.fanout[netlist.clock]))
    nets = np.zeros(len(names))
    for group, own, energy in zip(netlist.cells, owners, found.cells, strict=True):
        np.add.at(switching, own, energy.internal_fj)
        np.add.at(clock, own, energy.clock_fj)
        np.add.at(leakage, own, energy.leakage_nw)
        for pin in group.cell.outputs:
            used = group.nets[pin.name] != OPEN
            np.add.at(nets, own[used], found.nets_fj[group.nets[pin.name][used]])
        if group.cell.flip_flop:
            np.add.at(flip_flops, own, 1)
            np.add.at(clock, own, found.clock_net_fj / clock_pins)
    own_parts = {
        name: Part(
            float(switching[place] + nets[place]), float(clock[place]), float(leakage[place]), int(flip_flops[place])
        )
        for place, name in enumerate(names)
    }
    ports = {
        f"port {name}": Part(float(found.nets_fj[[bit for bit in bits if bit > 1]].sum()), 0.0, 0.0, 0)
        for name, bits in netlist.sources.items()
    }
    return own_parts | ports


def owners_of(netlist: Netlist) -> tuple[tuple[str, ...], list[Indices]]:
    """Names of the parts, in order of precedence, and for every group of cells the part of each cell."""
    registers = [_registers(netlist, place) for place in range(len(netlist.cells))]
    seen = {name for own in registers for name in own}
    names = (*(name for name in ORDER if name in seen), *sorted(seen - {*ORDER, OTHER, ""}), OTHER)
    rank = {name: place for place, name in enumerate(names)}
    owners = [np.array([rank.get(name, len(names) - 1) for name in own], np.int64) for own in registers]
    _spread(netlist, owners, len(names) - 1)
    return names, owners


def _registers(netlist: Netlist, place: int) -> list[str]:
    """Register of every cell of a group: of a flip-flop the name behind its output; "" for a gate."""
    group = netlist.cells[place]
    if group.cell.flip_flop is None:
        return [""] * len(group.names)
    outputs = [group.nets[pin.name] for pin in group.cell.outputs]
    texts = [
        " ".join(netlist.names[nets[one]] for nets in outputs if nets[one] != OPEN) for one in range(len(group.names))
    ]
    return [found[1] if (found := REGISTER.search(text)) else OTHER for text in texts]


def _spread(netlist: Netlist, owners: list[Indices], last: int) -> None:
    """Give every gate the first part among those that its output leads to, from the registers backwards."""
    wanted = np.full(netlist.nets, last, np.int64)
    for group, own in zip(netlist.cells, owners, strict=True):
        if group.cell.flip_flop:
            for pin in group.cell.inputs:
                if pin.name != group.cell.flip_flop.clock_pin:
                    np.minimum.at(wanted, group.nets[pin.name], own)
    gates = [(group, own) for group, own in zip(netlist.cells, owners, strict=True) if not group.cell.flip_flop]
    changed = True
    while changed:
        before = wanted.copy()
        for group, own in gates:
            outputs = [
                np.where(group.nets[pin.name] == OPEN, last, wanted[group.nets[pin.name]]) for pin in group.cell.outputs
            ]
            own[:] = np.min(outputs, axis=0)
            for pin in group.cell.inputs:
                np.minimum.at(wanted, group.nets[pin.name], own)
        changed = bool((wanted != before).any())


def merged(found: Mapping[str, Part]) -> Part:
    """The sum of parts."""
    own = list(found.values())
    return Part(
        sum(one.switching_fj for one in own),
        sum(one.clock_fj for one in own),
        sum(one.leakage_nw for one in own),
        sum(one.flip_flops for one in own),
    )
