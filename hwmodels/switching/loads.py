"""What a cell's tables are looked up at: the load of every net, and the transition with which it switches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.switching.netlist import OPEN, Instances, Netlist

Floats = npt.NDArray[np.float64]

INPUT_SLEW_NS = 0.1
"""Transition of input ports and of the clock; assumed."""
ROUNDS = 60
"""Transitions are handed on gate by gate; what a gate gets from far behind is damped, so that few rounds are enough."""
STEADY_NS = 1e-6


@dataclass(frozen=True, slots=True)
class Conditions:
    """(nets,) capacitance of a net with its pins and wires, and its transition, mean of both edges."""

    loads_ff: Floats
    slews_ns: Floats

    def load(self, nets: npt.NDArray[np.int64]) -> Floats:
        """Loads of these nets; an output that goes nowhere has none."""
        return np.where(nets == OPEN, 0.0, self.loads_ff[nets])


def conditions(netlist: Netlist, *, wire_ff: float) -> Conditions:
    """Loads, with `wire_ff` of wire for every pin that a net drives, and transitions, worked out from input to output."""
    loads = netlist.pin_load_ff() + wire_ff * netlist.fanout
    slews = np.full(netlist.nets, INPUT_SLEW_NS)
    for _ in range(ROUNDS):
        before, found = slews, Conditions(loads, slews)
        slews = before.copy()
        for group in netlist.cells:
            _hand_on(group, found, slews)
        if np.abs(slews - before).max() < STEADY_NS:
            break
    return Conditions(loads, slews)


def _hand_on(group: Instances, found: Conditions, slews: Floats) -> None:
    """Transitions of a cell's outputs: the mean over its inputs and both edges."""
    for pin in group.cell.outputs:
        nets = group.nets[pin.name]
        used = nets != OPEN
        arcs = [arc for arc in pin.arcs if arc.related in group.nets]
        if not arcs or not used.any():
            continue
        load = found.load(nets)
        edges = [
            table.at(found.slews_ns[group.nets[arc.related]], load)
            for arc in arcs
            for table in (arc.edges.rise, arc.edges.fall)
        ]
        slews[nets[used]] = np.mean(edges, axis=0)[used]
