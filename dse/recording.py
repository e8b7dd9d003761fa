"""What the ports of the engine's units carry while the RTL runs a real network: the operand streams of gate-level simulations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dse.image import image
from dse.rtl import best_mappings, file_list, memory_units, plusargs, testbench, write_engine, write_image
from hwmodels.design import Design
from hwmodels.rtl.sources import TESTBENCH
from hwmodels.rtl.verilator import compile_simulator, run_tool
from workloads.encoded import EncodedNetwork

Bits = npt.NDArray[np.bool_]

TOOL_S = 900
UNITS = 1 << 18
"""Memory of the testbench."""
START = "u_controller.start_o"
"""Set in the cycle in which a layer begins."""


@dataclass(frozen=True, slots=True)
class Recording:
    """(cycles, bits) of every unit's sources, by its name; `starts` are the cycles in which layers begin."""

    units: Mapping[str, Bits]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recorder:
    """A compiled engine that writes down signals of its units while it runs."""

    design: Design
    signals: Mapping[str, Mapping[str, int]]
    folder: Path

    def run(self, encoded: EncodedNetwork, inputs: npt.NDArray[np.floating]) -> Recording:
        """Record inputs (N, channels, height, width) of a network, cycle by cycle.

        Raises ValueError where the engine's outputs are not the executor's: then the streams are not those of the network.
        """
        found = image(encoded, self.design, best_mappings(encoded.network, self.design), inputs)
        if memory_units(found) > UNITS:
            raise ValueError(
                f"network {encoded.network.name!r}: must fit {UNITS} memory units to be recorded, not {memory_units(found)}"
            )
        write_image(found, self.folder)
        arguments = plusargs(found, Path(), self.design.port_latency, len(inputs))
        if "PASS" not in run_tool(["obj/Vtb", *arguments], self.folder, TOOL_S):
            raise ValueError(
                f"design {self.design.name}: the engine's outputs must equal the executor's, but they differ"
            )
        bits = [sum(signals.values()) for signals in self.signals.values()]
        streams = {name: _read(self.folder / f"{place}.hex", bits[place]) for place, name in enumerate(self.signals)}
        starts = np.flatnonzero(_read(self.folder / f"{len(bits)}.hex", 1)[:, 0])
        return Recording(streams, tuple(int(cycle) for cycle in starts))


def build_recorder(
    design: Design, signals: Mapping[str, Mapping[str, int]], folder: Path, *, library: Path | None = None
) -> Recorder:
    """Compile an engine that records: by a name of the caller's, signals as paths below the engine, with their bits.

    `library` as in `compile_simulator`. Raises ToolError where that fails.
    """
    write_engine(design, folder)
    (folder / "recorder.sv").write_text(recorder({**signals, "starts": {START: 1}}), encoding="utf-8")
    arguments = (*testbench(UNITS), "-O1", *file_list(), "recorder.sv")
    compile_simulator(arguments, folder, top=TESTBENCH, level="-O0", seconds=TOOL_S, library=library)
    return Recorder(design, signals, folder)


def recorder(units: Mapping[str, Mapping[str, int]]) -> str:
    """A module, bound into the testbench, that writes a line a cycle and unit: its signals, the first one lowest, in hexadecimal."""
    lines = ["module recorder;"]
    for place, signals in enumerate(units.values()):
        joined = ", ".join(f"tb.u_engine.{path}" for path in reversed(list(signals)))
        lines.append(f'  int file{place};\n  initial file{place} = $fopen("{place}.hex", "w");')
        lines.append(f'  always @(posedge tb.clk) $fwrite(file{place}, "%h\\n", {{{joined}}});')
    return "\n".join([*lines, "endmodule", "bind tb recorder u_recorder ();", ""])


def _read(path: Path, bits: int) -> Bits:
    """(cycles, bits) of a file of equal lines."""
    digits = (bits + 3) // 4
    text = (
        np.fromfile(path, np.uint8).reshape(-1, digits + 1)[:, digits - 1 :: -1]
        if digits > 0
        else np.zeros((0, 0), np.uint8)
    )
    values = np.where(text >= ord("a"), text - ord("a") + 10, text - ord("0")).astype(np.uint8)
    return np.asarray(
        np.unpackbits(values[..., None], axis=2, bitorder="little")[..., :4].reshape(len(values), -1)[:, :bits], bool
    )
