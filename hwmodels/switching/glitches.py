"""Toggles on the way to a settled state: the same netlist with a delay of one unit a gate, all cycles side by side.

Every transition from one settled state to the next begins with the registers and inputs of the next one, and goes on, a gate's
delay a step, until nothing moves. A real circuit has unlike delays and swallows short pulses; a unit delay is a plain bracket, not a
prediction. It is also an independent check of a simulation: the state that it ends in must be the next one of the trace.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwmodels.switching.cells import Cells
from hwmodels.switching.energy import Bits
from hwmodels.switching.loads import INPUT_SLEW_NS, Conditions
from hwmodels.switching.netlist import OPEN, Netlist

Counts = npt.NDArray[np.int64]

STEPS = 500
ONES = np.uint8(255)


def unit_delay_toggles(netlist: Netlist, rows: Bits) -> Counts:
    """(nets,) toggles between the settled rows (cycles + 1, nets), glitches included.

    Raises ValueError where the nets do not settle to the next row: the trace is not one of this netlist.
    """
    if (len(rows) - 1) % 8:
        raise ValueError(f"rows must hold a multiple of 8 transitions, not {len(rows) - 1}")
    values = rows.T.copy()
    values[:2] = [[False], [True]]
    values[netlist.clock] = False
    now, settled = (np.packbits(values[:, part], axis=1) for part in (slice(None, -1), slice(1, None)))
    moved = np.zeros(netlist.nets, np.int64)
    fixed = _fixed(netlist)
    moved += _differences(now, np.where(fixed[:, None], settled, now))
    now[fixed] = settled[fixed]
    for _ in range(STEPS):
        after = _stepped(netlist, now)
        moved += _differences(now, after)
        if (after == now).all():
            break
        now = after
    if (now != settled).any():
        raise ValueError("netlist: every cycle must settle to the next row of the trace, but one does not")
    return moved


def glitch_share(netlist: Netlist, cells: Cells, found: Conditions, rows: Bits) -> float:
    """Energy of the toggles of a unit-delay simulation over that of the settled ones, of all nets but the clock's."""
    rows = whole_bytes(rows)
    each = toggle_fj(netlist, cells, found)
    settled = np.count_nonzero(rows[1:] != rows[:-1], axis=0)
    settled[netlist.clock] = 0
    return float(unit_delay_toggles(netlist, rows) @ each / max(1e-12, float(settled @ each)))


def whole_bytes(rows: Bits) -> Bits:
    """As many rows as make a multiple of eight transitions."""
    return rows[: (len(rows) - 1) // 8 * 8 + 1]


def toggle_fj(netlist: Netlist, cells: Cells, found: Conditions) -> npt.NDArray[np.float64]:
    """(nets,) energy of a toggle: half C V^2, and the mean of its cell's tables at its load."""
    each = 0.5 * found.loads_ff * cells.voltage_v**2
    for group in netlist.cells:
        for pin in group.cell.outputs:
            nets = group.nets[pin.name]
            used = nets != OPEN
            slew = np.full(len(nets), INPUT_SLEW_NS)
            tables = [table for power in pin.powers for table in (power.edges.rise, power.edges.fall)]
            if tables:
                inside = np.mean([table.at(slew, found.load(nets)) for table in tables], axis=0)
                each[nets[used]] += inside[used]
    return each


def _fixed(netlist: Netlist) -> Bits:
    """Nets that no gate drives: inputs, constants and the outputs of flip-flops."""
    fixed = np.ones(netlist.nets, bool)
    for group in netlist.cells:
        if group.cell.flip_flop is None:
            for pin in group.cell.outputs:
                nets = group.nets[pin.name]
                fixed[nets[nets != OPEN]] = False
    return fixed


def _stepped(netlist: Netlist, now: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Values one gate's delay later."""
    after = now.copy()
    for group in netlist.cells:
        if group.cell.flip_flop is None:
            inputs = {pin.name: now[group.nets[pin.name]] for pin in group.cell.inputs}
            for pin in group.cell.outputs:
                nets = group.nets[pin.name]
                used = nets != OPEN
                assert pin.function is not None
                value = np.broadcast_to(np.asarray(pin.function.of(inputs, ONES), np.uint8), (len(nets), now.shape[1]))
                after[nets[used]] = value[used]
    return after


def _differences(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> Counts:
    """(nets,) bits that differ."""
    return np.asarray(np.bitwise_count(one ^ other).sum(axis=1), np.int64)
