"""Synthesis targets: FPGA families by name, and standard cells of any liberty files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwmodels.liberty import text_of
from hwmodels.synthesis.liberty import check_libraries

CONSTRAINT = "out.constr"
CELLS = "cells_{index}.lib"
OUTPUT_LOAD_FF = 10
ABC_PERIOD_PS = 20000


@dataclass(frozen=True, slots=True)
class Family:
    """Cells of an FPGA family that are counted: how many LUTs, LUTs used as memory, carry cells, Kbit and multipliers each is.

    `memory_cells` declare what memories alone map to; without them Yosys sweeps a memory away.
    """

    description: str
    synthesis: tuple[str, ...]
    lut: Mapping[str, int]
    lutram: Mapping[str, int]
    carry: tuple[str, ...]
    flip_flop: tuple[str, ...]
    ram_kbit: Mapping[str, int]
    dsp: tuple[str, ...]
    memory_cells: tuple[str, ...] = ()


_XILINX_LUT = {"INV": 1, **{f"LUT{inputs}": 1 for inputs in range(1, 7)}}
_XILINX_LUTRAM = {
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM64X8SW": 8, "RAM32X16DR8": 8,
}  # fmt: skip


_XILINX_MEMORY_CELLS = ("read_verilog -lib +/xilinx/cells_xtra.v",)


def _xilinx(family: str) -> tuple[str, ...]:
    """`synth_xilinx` without the 1.6 MB of cells that no logic maps to, which are half of a small point's time: the counts are equal.

    No DSP slices and no LUTs as shift registers: a design is compared by LUTs, and flip-flops are those of the RTL.
    """
    options = f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -nodsp -nosrl -top {{top}}"
    return (
        "read_verilog -lib -specify +/xilinx/cells_sim.v",
        "hierarchy -check -top {top}",
        f"{options} -run prepare:check",
        "blackbox =A:whitebox",
    )


def _lattice(command: str) -> tuple[str, ...]:
    """All but the last check, which takes a module that is left out for a reason to read the one around it again."""
    return (f"{command} -top {{top}} -run :check", "autoname", "blackbox =A:whitebox")


FAMILIES: Mapping[str, Family] = {
    "xc7": Family(
        "Xilinx 7-series", _xilinx("xc7"), _XILINX_LUT, _XILINX_LUTRAM,
        ("CARRY4",), ("FD",), {"RAMB18E1": 18, "RAMB36E1": 36}, ("DSP48E1",),
    ),
    "xcup": Family(
        "Xilinx UltraScale+", _xilinx("xcup"), _XILINX_LUT, _XILINX_LUTRAM,
        ("CARRY8", "CARRY4"), ("FD",), {"RAMB18E2": 18, "RAMB36E2": 36, "URAM288": 288}, ("DSP48E2",),
        _XILINX_MEMORY_CELLS,
    ),
    # A carry cell of ECP5 takes two LUTs; a 16 x 4 memory four, and two more that its write port blocks. No functions of five and
    # more inputs from several LUTs: with them abc buys 2 to 8 % of clock for a third more LUTs, and equal shapes are a fifth apart.
    "ecp5": Family(
        "Lattice ECP5", _lattice("synth_ecp5 -nodsp -nowidelut"), {"LUT4": 1, "INV": 1, "CCU2C": 2}, {"TRELLIS_DPR16X4": 6},
        ("CCU2C",), ("TRELLIS_FF",), {"DP16KD": 18, "PDPW16KD": 18}, ("MULT18X18D",),
    ),
    "ice40": Family(
        "Lattice iCE40", _lattice("synth_ice40"), {"SB_LUT4": 1}, {},
        ("SB_CARRY",), ("SB_DFF",), {"SB_RAM40_4K": 4}, ("SB_MAC16",),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What synthesis aims at: an FPGA family, or the standard cells of `libraries` (paths; digest and name in `origin`)."""

    name: str
    family: Family | None
    libraries: tuple[Path, ...] = ()
    origin: str = ""
    voltage_v: float | None = None
    flip_flops: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """fpga or asic, as technologies are."""
        return "fpga" if self.family else "asic"

    @property
    def options(self) -> str:
        """The commands of a synthesis, as the table states them."""
        return "; ".join(self.mapping("TOP"))

    def mapping(self, top: str, *, memories: bool = False) -> list[str]:
        """Yosys commands from the read design to mapped cells; with those that declare the cells of memories where it has some."""
        if self.family:
            return [*(self.family.memory_cells if memories else ())] + [
                command.format(top=top) for command in self.family.synthesis
            ]
        cells = " ".join(f"-liberty {name}" for name in self.cell_files())
        return [
            f"synth -flatten -top {top}",
            f"dfflibmap {cells}",
            f"tee -q -o abc.log abc -D {ABC_PERIOD_PS} -constr {CONSTRAINT} {cells}",
            "opt_clean",
        ]

    def statistics(self) -> str:
        """The command that writes counts.json."""
        cells = " ".join(f"-liberty {name}" for name in self.cell_files())
        return f"tee -q -o counts.json stat -json {cells}".rstrip()

    def cell_files(self) -> list[str]:
        """Names of the unpacked libraries in the working folder."""
        return [CELLS.format(index=index) for index in range(len(self.libraries))]

    def write_files(self, folder: Path) -> None:
        """What `mapping` reads: the cells, and the load at every output (with it abc buffers, without it does not)."""
        for path, name in zip(self.libraries, self.cell_files(), strict=True):
            (folder / name).write_text(text_of(path), encoding="utf-8")
        if self.libraries:
            (folder / CONSTRAINT).write_text(f"set_load {OUTPUT_LOAD_FF} [all_outputs]\n", encoding="ascii")


def target(name: str, libraries: tuple[Path, ...] = ()) -> Target:
    """A family by its name, or the cells of liberty files under a name of the user's. Raises ValueError."""
    if not name.isidentifier():
        raise ValueError(f"target must be a name of letters, digits and underscores, not {name!r}")
    if libraries:
        if name in FAMILIES:
            raise ValueError(
                f"target {name!r} is an FPGA family and takes no liberty file; give the cells a name of their own"
            )
        found = check_libraries(libraries)
        origin = ", ".join(f"{one.name} {one.digest}" for one in found)
        flip_flops = frozenset(cell for one in found for cell in one.flip_flops)
        return Target(
            name, None, libraries, origin, next((one.voltage_v for one in found if one.voltage_v), None), flip_flops
        )
    if name not in FAMILIES:
        raise ValueError(f"target must be one of {', '.join(FAMILIES)}, or have --liberty files, not {name!r}")
    return Target(name, FAMILIES[name], origin=FAMILIES[name].description)
