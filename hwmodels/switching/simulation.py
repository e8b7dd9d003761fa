"""A netlist in Verilator: cells as Verilog from their liberty functions, and the value of every net in every cycle.

Zero delay: a row holds the values to which the nets settle before the clock's rising edge. What happens on the way there
(glitches) is `hwmodels.switching.glitches`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwmodels.rtl.verilator import compile_simulator, run_tool
from hwmodels.switching.cells import Cell, FlipFlop
from hwmodels.switching.netlist import OPEN, Instances, Netlist

Bits = npt.NDArray[np.bool_]

BUILD_S = 900


@dataclass(frozen=True, slots=True)
class Trace:
    """Values of all nets in every cycle, before its rising edge; packed, because a network takes many cycles."""

    packed: npt.NDArray[np.uint8]
    nets: int

    def __len__(self) -> int:
        return len(self.packed)

    def rows(self, begin: int, end: int) -> Bits:
        """(cycles, nets) of some cycles."""
        return np.asarray(np.unpackbits(self.packed[begin:end], axis=1, count=self.nets, bitorder="little"), bool)


@dataclass(frozen=True, slots=True)
class Simulator:
    """A compiled netlist. `run` takes what the sources are in every cycle: (cycles, bits), in the order of `Netlist.sources`."""

    binary: Path
    netlist: Netlist

    def run(self, stimulus: Bits) -> Trace:
        """Every cycle of the stimulus. Raises ToolError where the simulator fails."""
        folder = self.binary.parent
        given, found = folder / "stimulus.bin", folder / "nets.bin"
        np.packbits(stimulus, axis=1, bitorder="little").tofile(given)
        run_tool([str(self.binary), str(given), str(found)], folder, BUILD_S)
        packed = np.fromfile(found, np.uint8).reshape(len(stimulus), -1)
        found.unlink()
        return Trace(packed, self.netlist.nets)


def build(netlist: Netlist, folder: Path, *, library: Path | None = None) -> Simulator:
    """Compile a netlist in `folder`, which is made; `library` as in `compile_simulator`. Raises ToolError where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gates.v").write_text(verilog(netlist), encoding="utf-8")
    (folder / "main.cpp").write_text(driver(netlist), encoding="utf-8")
    arguments = ("--cc", "--exe", "-O1", "gates.v", "main.cpp")
    binary = compile_simulator(arguments, folder, top="gates", level="-O0", seconds=BUILD_S, library=library)
    return Simulator(binary.resolve(), netlist)


def verilog(netlist: Netlist) -> str:
    """The netlist as structural Verilog, with a module for every cell; every net is a port, so that it can be read."""
    return "".join(cell_module(group.cell) for group in netlist.cells) + structure(netlist)


def structure(netlist: Netlist) -> str:
    """The module alone, cells of the library in it; instances are named by `instance_name`, nets by number."""
    driven = sorted(
        {int(net) for group in netlist.cells for pin in group.cell.outputs for net in group.nets[pin.name]} - {OPEN}
    )
    given = sorted({net for bits in netlist.sources.values() for net in bits})
    ports = [f"input n{netlist.clock}", *(f"input n{net}" for net in given), *(f"output n{net}" for net in driven)]
    # A line each: Verilator takes so many words on a line and no more.
    lines = ["module gates(\n  {});".format(",\n  ".join(ports))]
    lines += [line for group in netlist.cells for line in _instances(group)]
    return "\n".join(lines) + "\nendmodule\n"


def _instances(group: Instances) -> Iterator[str]:
    for place in range(len(group.names)):
        pins = [(name, int(nets[place])) for name, nets in group.nets.items()]
        joined = ", ".join(f".{name}({'' if net == OPEN else _net(net)})" for name, net in pins)
        yield f"  {group.cell.name} {instance_name(group, place)}({joined});"


def instance_name(group: Instances, place: int) -> str:
    """The name of a cell in `structure`."""
    return f"u{hashlib.sha256(group.cell.name.encode()).hexdigest()[:6]}_{place}"


def _net(net: int) -> str:
    return f"1'b{net}" if net < 2 else f"n{net}"


def cell_module(cell: Cell) -> str:
    """A cell as a Verilog module: its functions, and its state where it is a flip-flop."""
    ports = [f"{'output' if pin.output else 'input'} {pin.name}" for pin in cell.pins.values()]
    body = _state(cell.flip_flop) if cell.flip_flop else ""
    for pin in cell.outputs:
        assert pin.function is not None
        body += f"  assign {pin.name} = {pin.function.verilog};\n"
    return f"module {cell.name}({', '.join(ports)});\n{body}endmodule\n"


def _state(ff: FlipFlop) -> str:
    clear, preset = (part.verilog if part else "1'b0" for part in (ff.clear, ff.preset))
    edges = ["posedge clocked", *(["posedge clear"] * bool(ff.clear)), *(["posedge preset"] * bool(ff.preset))]
    return (
        f"  reg {ff.state};\n  wire {ff.inverse} = ~{ff.state};\n"
        f"  wire clocked = {ff.clock.verilog};\n  wire clear = {clear};\n  wire preset = {preset};\n"
        f"  always @({' or '.join(edges)})\n"
        f"    if (clear) {ff.state} <= 1'b0;\n    else if (preset) {ff.state} <= 1'b1;\n"
        f"    else {ff.state} <= {ff.next_state.verilog};\n"
    )


def driver(netlist: Netlist) -> str:
    """The C++ program that reads a stimulus, bit-packed a cycle a row, and writes all nets the same way."""
    sources = [net for bits in netlist.sources.values() for net in bits]
    driven = {int(net) for group in netlist.cells for pin in group.cell.outputs for net in group.nets[pin.name]} - {
        OPEN
    }
    known = driven | set(sources)
    rows = "".join(f"  {f'&top.n{net}' if net in known else '&zero'},\n" for net in range(2, netlist.nets))
    inputs = "".join(f"  &top.n{net},\n" for net in sources)
    return DRIVER.format(rows=rows, inputs=inputs, clock=netlist.clock)


DRIVER = """#include <cstdio>
#include <vector>
#include "Vgates.h"
#include "verilated.h"

static Vgates top;
static CData zero = 0, one = 1;
static CData* const inputs[] = {{
{inputs}  nullptr}};
static CData* const nets[] = {{
  &zero, &one,
{rows}  nullptr}};

int main(int, char** names) {{
  std::FILE* given = std::fopen(names[1], "rb");
  std::FILE* found = std::fopen(names[2], "wb");
  if (!given || !found) return 1;
  const size_t wide = sizeof(inputs) / sizeof(*inputs) - 1, many = sizeof(nets) / sizeof(*nets) - 1;
  std::vector<unsigned char> stimulus((wide + 7) / 8), row((many + 7) / 8);
  while (std::fread(stimulus.data(), 1, stimulus.size(), given) == stimulus.size()) {{
    top.n{clock} = 0;
    for (size_t i = 0; i < wide; i++) *inputs[i] = (stimulus[i / 8] >> (i % 8)) & 1;
    top.eval();
    for (auto& byte : row) byte = 0;
    for (size_t i = 0; i < many; i++) row[i / 8] |= *nets[i] << (i % 8);
    std::fwrite(row.data(), 1, row.size(), found);
    top.n{clock} = 1;
    top.eval();
  }}
  return std::fclose(found) != 0;
}}
"""
