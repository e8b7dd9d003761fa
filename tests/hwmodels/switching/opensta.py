"""The same switching through OpenSTA's power report, so that two tools price the same toggles.

Every output pin and every input port is told how often it toggles and how long it is up. The exit code of `sta` says nothing (builds
of 2019 refuse activities of pins and still exit 0), so that its log is read: an error in it is an error. Those builds are told of
ports only and guess the rest: they are good for leakage, and for chains of inverters, in which nothing is left to guess.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwmodels.liberty import text_of
from hwmodels.rtl.verilator import run_tool
from hwmodels.switching.energy import Bits
from hwmodels.switching.netlist import FALSE, OPEN, Netlist
from hwmodels.switching.simulation import instance_name, structure
from hwmodels.tool_error import ToolError

PERIOD_NS = 10.0
CURRENT = (2, 5)
"""Versions before it take no activities of pins, and add the internal energies of both edges where later ones take the mean."""
TOOL_S = 600
WIRES = re.compile(r"^\s*default_wire_load.*$", re.M)
"""Wires of the library's own, which this comparison does without."""
TOTAL = re.compile(r"^Total((?:\s+[-+\d.eE]+){4})", re.M)
ERROR = re.compile(r"^.*(?:\berror\b|invalid command name|\bnot found\b).*$", re.M | re.I)


@dataclass(frozen=True, slots=True)
class Power:
    """Watts of a whole circuit: inside cells, of nets, and leakage."""

    internal_w: float
    switching_w: float
    leakage_w: float


def sta_version() -> tuple[int, ...]:
    """Version of the `sta` on the PATH, () where there is none."""
    if shutil.which("sta") is None:
        return ()
    found = re.search(r"\d+(?:\.\d+)+", run_tool(["sta", "-version"], Path.cwd(), TOOL_S))
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def power(netlist: Netlist, rows: Bits, libraries: Sequence[Path], slew_ns: float, folder: Path) -> Power:
    """What `sta` reports of the toggles between rows (cycles + 1, nets), without wires. Raises ToolError where its log has an error.

    `slew_ns` is the transition of all inputs; results are at PERIOD_NS a cycle.
    """
    version = sta_version()
    (folder / "netlist.v").write_text(structure(netlist), encoding="utf-8")
    names = [f"cells_{place}.lib" for place in range(len(libraries))]
    for name, path in zip(names, libraries, strict=True):
        (folder / name).write_text(WIRES.sub("", text_of(path)), encoding="utf-8")
    (folder / "power.tcl").write_text(script(netlist, rows, names, slew_ns, pins=version >= CURRENT), encoding="utf-8")
    found = read_report(run_tool(["sta", "-no_splash", "-exit", "power.tcl"], folder, TOOL_S))
    return found if version >= CURRENT else replace(found, internal_w=found.internal_w / 2)


def script(netlist: Netlist, rows: Bits, libraries: Sequence[str], slew_ns: float, *, pins: bool) -> str:
    """The commands, with times in ns whatever the unit of the libraries; with activities of output pins or of ports alone."""
    lines = [
        *(f"read_liberty {path}" for path in libraries),
        *(["set_cmd_units -time ns"] if pins else []),
        "read_verilog netlist.v",
        "link_design gates",
        f"create_clock -name clock -period {PERIOD_NS:g} [get_ports n{netlist.clock}]"
        if netlist.clock != FALSE
        else f"create_clock -name clock -period {PERIOD_NS:g}",
        f"set_input_transition {slew_ns:g} [all_inputs]",
        *_activities(netlist, rows, pins),
        "report_power -digits 9",
    ]
    return "\n".join(lines) + "\n"


def _activities(netlist: Netlist, rows: Bits, pins: bool) -> Iterator[str]:
    """Toggles a cycle and the share of cycles in which it is up, of every net where it is driven.

    An old build knows the clock of what is behind a port only where data arrive by it.
    """
    rates = np.count_nonzero(rows[1:] != rows[:-1], axis=0) / (len(rows) - 1)
    up = rows[1:].mean(axis=0)

    def said(what: str, net: int) -> str:
        return f"set_power_activity {what} -activity {rates[net]:.9g} -duty {up[net]:.9g}"

    for net in sorted({net for bits in netlist.sources.values() for net in bits}):
        yield said(f"-input_ports [get_ports n{net}]", net)
        if not pins and net != netlist.clock:
            yield f"set_input_delay 0 -clock clock [get_ports n{net}]"
    for group in netlist.cells if pins else ():
        for pin in group.cell.outputs:
            for place, net in enumerate(group.nets[pin.name]):
                if net != OPEN:
                    yield said(f"-pins [get_pins {instance_name(group, place)}/{pin.name}]", int(net))


def read_report(log: str) -> Power:
    """The totals of `report_power`. Raises ToolError quoting an error of the log, or where it has no totals."""
    wrong = ERROR.search(log)
    if wrong:
        raise ToolError(f"sta: {wrong[0].strip()}")
    found = TOTAL.search(log)
    if found is None:
        raise ToolError("sta: its log must have a line of totals, but has none")
    internal, switching, leakage, _ = (float(text) for text in found[1].split())
    return Power(internal, switching, leakage)
