"""Energy of a netlist while its nets toggle as in a simulation, cell by cell.

    E = sum over toggles of (internal energy of the cell + 1/2 C V^2 of the net) + clock pins every cycle + leakage x time

The internal energy is what the liberty file's `internal_power` says at the cell's load and input transition. A toggle of an output
is charged to the inputs that changed in that cycle, in equal shares where several did; a toggle of an input that moves no output
costs what the input's own table says. Tables that hold for some states only (`when`) are looked up in the state after the toggle.
Where all an input has is a table without a state, that holds for every toggle, and the output's tables leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.switching.cells import Cells, Pin, Power
from hwmodels.switching.expression import Expression
from hwmodels.switching.loads import Conditions
from hwmodels.switching.netlist import FALSE, OPEN, Instances, Netlist

Bits = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LEAKAGE_ROWS = 64
"""Cycles, spread evenly, whose states give the leakage."""


@dataclass(frozen=True, slots=True)
class CellEnergy:
    """Of all cells of one type, (cells,) each, over a simulation: fJ inside for toggles, fJ of clock pins, and nW of leakage."""

    internal_fj: Floats
    clock_fj: Floats
    leakage_nw: Floats


@dataclass(frozen=True, slots=True)
class Switching:
    """Energy of a simulation of `cycles` clock cycles: by cell type, and (nets,) of the nets; the clock's net is apart."""

    cycles: int
    cells: tuple[CellEnergy, ...]
    nets_fj: Floats
    clock_net_fj: float

    @property
    def dynamic_fj(self) -> float:
        """All of it but leakage."""
        inside = sum(float(one.internal_fj.sum() + one.clock_fj.sum()) for one in self.cells)
        return inside + float(self.nets_fj.sum()) + self.clock_net_fj

    @property
    def leakage_nw(self) -> float:
        """Mean leakage of the whole."""
        return sum(float(one.leakage_nw.sum()) for one in self.cells)

    def __add__(self, other: Switching) -> Switching:
        """Both simulations, one after the other; leakage is the mean over their cycles."""
        cycles = self.cycles + other.cycles
        pairs = zip(self.cells, other.cells, strict=True)
        share = self.cycles / cycles
        cells = tuple(
            CellEnergy(
                one.internal_fj + two.internal_fj,
                one.clock_fj + two.clock_fj,
                share * one.leakage_nw + (1 - share) * two.leakage_nw,
            )
            for one, two in pairs
        )
        return Switching(cycles, cells, self.nets_fj + other.nets_fj, self.clock_net_fj + other.clock_net_fj)


def switching(netlist: Netlist, cells: Cells, found: Conditions, rows: Bits) -> Switching:
    """Energy of the toggles between the rows (cycles + 1, nets) of a simulation, each the settled values of a cycle."""
    values = np.ascontiguousarray(rows.T)
    values[:2] = [[False], [True]]
    halves = 0.5 * found.loads_ff * cells.voltage_v**2
    toggles = np.count_nonzero(values[:, 1:] != values[:, :-1], axis=1)
    toggles[netlist.clock] = 0
    cycles = len(rows) - 1
    return Switching(
        cycles=cycles,
        cells=tuple(_Group(group, found, values).energy() for group in netlist.cells),
        nets_fj=toggles * halves,
        clock_net_fj=2.0 * cycles * float(halves[netlist.clock]) if netlist.clock != FALSE else 0.0,
    )


@dataclass(slots=True)
class _Group:
    """All cells of one type in a simulation; every array is (cells, cycles)."""

    group: Instances
    found: Conditions
    values: Bits

    def energy(self) -> CellEnergy:
        cell = self.group.cell
        state = self._state()
        before, after = (
            {name: bits[:, rows] for name, bits in state.items()} for rows in (slice(None, -1), slice(1, None))
        )
        changed = {name: before[name] != after[name] for name in before}
        internal, clock = np.zeros(len(self.group.names)), np.zeros(len(self.group.names))
        moved = np.zeros_like(next(iter(changed.values())))
        for pin in cell.outputs:
            internal += self._output(pin, after, changed)
            moved = moved | changed[pin.name]
        for pin in cell.inputs:
            if cell.flip_flop and pin.name == cell.flip_flop.clock_pin:
                clock += self._clock(pin, before, after)
            else:
                # Tables of a gate's states hold where no output moves; a flip-flop's data pin moves before its output does.
                always = cell.flip_flop or all(power.when is None for power in pin.powers)
                quiet = changed[pin.name] if always else changed[pin.name] & ~moved
                internal += self._input(pin, after, quiet)
        return CellEnergy(internal, clock, self._leakage(state))

    def _state(self) -> dict[str, Bits]:
        """Values of all pins by name, state variables of a flip-flop as well; the clock counts as 1, as it is behind its edge."""
        group, cell = self.group, self.group.cell
        shape = (len(group.names), self.values.shape[1])  # a tie cell has no input to take it from
        found = {pin.name: self.values[group.nets[pin.name]] for pin in cell.inputs}
        if cell.flip_flop:
            ff = cell.flip_flop
            found[ff.clock_pin] = np.ones_like(self.values[group.nets[ff.clock_pin]])
            found |= self._stored(found)
        for pin in cell.outputs:
            assert pin.function is not None
            found[pin.name] = np.broadcast_to(np.asarray(pin.function.of(found)), shape)
        return found

    def _stored(self, inputs: Mapping[str, Bits]) -> dict[str, Bits]:
        """A flip-flop's state, read from whichever of its outputs goes somewhere."""
        ff = self.group.cell.flip_flop
        assert ff is not None
        state = np.zeros_like(next(iter(inputs.values())))
        for pin in self.group.cell.outputs:
            nets = self.group.nets[pin.name]
            seen = self.values[np.where(nets == OPEN, FALSE, nets)]
            inverted = pin.function is not None and bool(pin.function.of({ff.state: False, ff.inverse: True}))
            state = np.where((nets == OPEN)[:, None], state, seen ^ inverted)
        return {ff.state: state, ff.inverse: ~state}

    def _output(self, pin: Pin, after: Mapping[str, Bits], changed: Mapping[str, Bits]) -> Floats:
        """fJ of an output's toggles: of each, the mean of the tables whose input changed and whose state holds."""
        rises, falls = changed[pin.name] & after[pin.name], changed[pin.name] & ~after[pin.name]
        if not pin.powers or not changed[pin.name].any():
            return np.zeros(len(self.group.names))
        load = self.found.load(self.group.nets[pin.name])
        each = [self._edges(power, load) for power in pin.powers]
        causes = [self._causes(power, after, changed) for power in pin.powers]
        total = np.zeros(len(self.group.names))
        for toggled, side in ((rises, 0), (falls, 1)):
            energy = np.array([edges[side] for edges in each])
            matched = np.array([(cause & toggled).astype(np.float32) for cause in causes])
            many = matched.sum(axis=0)
            share = np.divide(1.0, many, out=np.zeros_like(many), where=many > 0)
            total += np.einsum("gct,ct,gc->c", matched, share, energy)
            total += (toggled & (many == 0)).sum(axis=1) * energy.mean(axis=0)
        return total

    def _causes(self, power: Power, after: Mapping[str, Bits], changed: Mapping[str, Bits]) -> Bits:
        """Where an input that this table is about has changed, and its state holds; a clock changes in every cycle."""
        ff = self.group.cell.flip_flop
        clocked = ff is not None and (not power.related or ff.clock_pin in power.related)
        names = power.related or tuple(pin.name for pin in self.group.cell.inputs)
        any_changed = np.logical_or.reduce([changed[name] for name in names if name in changed])
        return np.asarray((any_changed | clocked) & _holds(power.when, after))

    def _edges(self, power: Power, load: Floats) -> tuple[Floats, Floats]:
        """fJ of a rise and of a fall, (cells,), at the mean transition of the inputs that the table is about."""
        known = [name for name in power.related if name in self.group.nets] or [
            one.name for one in self.group.cell.inputs
        ]
        slew = np.mean([self.found.slews_ns[self.group.nets[name]] for name in known], axis=0)
        return power.edges.rise.at(slew, load), power.edges.fall.at(slew, load)

    def _input(self, pin: Pin, after: Mapping[str, Bits], toggled: Bits) -> Floats:
        """fJ of toggles of an input by its own tables."""
        if not toggled.any():
            return np.zeros(len(self.group.names))
        return self._by_state(pin, toggled & after[pin.name], 0, after) + self._by_state(
            pin, toggled & ~after[pin.name], 1, after
        )

    def _clock(self, pin: Pin, before: Mapping[str, Bits], after: Mapping[str, Bits]) -> Floats:
        """fJ of a clock pin's edges: the rise in the state before the edge, the fall in the state to which the data settle."""
        always = np.ones_like(next(iter(after.values())))
        return self._by_state(pin, always, 0, before) + self._by_state(pin, always, 1, after)

    def _by_state(self, pin: Pin, toggled: Bits, side: int, state: Mapping[str, Bits]) -> Floats:
        """fJ of toggles in one direction: the table of the state, or else the one that has no state."""
        slew = self.found.slews_ns[self.group.nets[pin.name]]
        total, left = np.zeros(len(self.group.names)), toggled.copy()
        for power in sorted(pin.powers, key=lambda one: one.when is None):
            here = left & _holds(power.when, state)
            table = power.edges.fall if side else power.edges.rise
            total += here.sum(axis=1) * table.at(slew, np.zeros_like(slew))
            left &= ~here
        return total

    def _leakage(self, state: Mapping[str, Bits]) -> Floats:
        """nW of each cell, mean over some of the cycles, and over both halves of the clock."""
        cell = self.group.cell
        step = max(1, self.values.shape[1] // LEAKAGE_ROWS)
        some = {name: bits[:, ::step] for name, bits in state.items()}
        halves = [some]
        if cell.flip_flop:
            halves.append(some | {cell.flip_flop.clock_pin: np.zeros_like(some[cell.flip_flop.clock_pin])})
        return np.asarray(np.mean([self._leaking(half) for half in halves], axis=0))

    def _leaking(self, state: Mapping[str, Bits]) -> Floats:
        shape = next(iter(state.values())).shape
        total, left = np.zeros(shape[0]), np.ones(shape, bool)
        for when, leakage_nw in self.group.cell.leakage:
            here = left & _holds(when, state)
            total += here.sum(axis=1) * leakage_nw
            left &= ~here
        return np.asarray((total + left.sum(axis=1) * self.group.cell.leakage_nw) / shape[1])


def _holds(when: Expression | None, state: Mapping[str, Bits]) -> Bits:
    """Whether a state holds, (cells, cycles)."""
    shape = next(iter(state.values())).shape
    return np.broadcast_to(np.asarray(True if when is None else when.of(state)), shape)


def total(parts: Sequence[Switching]) -> Switching:
    """All simulations, one after the other."""
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found
