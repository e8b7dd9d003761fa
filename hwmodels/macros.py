"""SRAM macros as a foundry's liberty files state them: one row each, in a small table that keeps where it was read.

The names of ports and states are those of the IHP SG13G2 macros (`RM_IHPSG13_1P_<words>x<bits>_c<column address bits>_...`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path

from hwmodels.liberty import Group, read_liberty

PORT = "A_"
READ = frozenset({"A_MEN", "!A_WEN", "A_REN"})
WRITE = frozenset({"A_MEN", "A_WEN", "!A_REN"})
SHIPPED = "ihp_sg13g2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """A single-port macro. Energies are internal energies of a clock cycle that reads or writes, data pins apart.

    `clock_to_q_ns` and `setup_ns` (the largest of all inputs of the port) are taken in the middle of their tables, the worse edge.
    """

    words: int
    bits: int
    column_mux: int
    area_um2: float
    read_energy_pj: float
    write_energy_pj: float
    data_pin_pj: float
    leakage_nw: float
    clock_to_q_ns: float
    setup_ns: float
    min_pulse_ns: float
    voltage_v: float
    temperature_c: float
    file: str
    sha256: str

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in ("file", "sha256", "setup_ns", "temperature_c") and not value > 0:
                raise ValueError(f"{self.file}: {item.name} must be above 0, not {value!r}")
        if self.words % self.column_mux:
            raise ValueError(f"{self.file}: words must be a multiple of column_mux {self.column_mux}, not {self.words}")

    @property
    def name(self) -> str:
        """Words x bits, and words that share a row."""
        return f"{self.words}x{self.bits} /{self.column_mux}"


def read_macro(path: Path) -> Macro:
    """One macro from its liberty file. Raises ValueError naming the file, and the line or what is not there."""
    library = read_liberty(path)
    cell = _group(path, library, "cell", "")
    memory, clock = _group(path, cell, "memory", ""), _group(path, cell, "pin", f"{PORT}CLK")
    mux = re.search(r"_c(\d+)_", cell.arguments[0])
    if mux is None:
        raise ValueError(
            f"{path}: the cell's name must state its column address bits as _c2_, not {cell.arguments[0]!r}"
        )
    return Macro(
        words=2 ** int(_number(path, memory, "address_width")),
        bits=int(_number(path, memory, "word_width")),
        column_mux=2 ** int(mux[1]),
        area_um2=_number(path, cell, "area"),
        read_energy_pj=_cycle_energy(path, clock, READ),
        write_energy_pj=_cycle_energy(path, clock, WRITE),
        data_pin_pj=_cycle_energy(path, _group(path, cell, "bus", f"{PORT}DIN"), frozenset({"A_MEN"})) / 2,
        leakage_nw=_number(path, cell, "cell_leakage_power"),
        clock_to_q_ns=max(_middles(path, _group(path, cell, "bus", f"{PORT}DOUT"), ("cell_rise", "cell_fall"))),
        setup_ns=max(_setups(path, cell)),
        min_pulse_ns=max(_middles(path, clock, ("rise_constraint", "fall_constraint"))),
        voltage_v=_number(path, library, "nom_voltage"),
        temperature_c=_number(path, library, "nom_temperature"),
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def write_macros(macros: Sequence[Macro], path: Path) -> None:
    """A table of macros, smallest first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [item.name for item in fields(Macro)]
    writer.writerow(names)
    for macro in sorted(macros, key=lambda one: (one.words, one.bits)):
        writer.writerow([_text(getattr(macro, name)) for name in names])
    path.write_text(text.getvalue(), encoding="utf-8")


def read_macros(text: str, where: str) -> tuple[Macro, ...]:
    """The same table read. Raises ValueError naming `where` and the row."""
    rows = list(csv.DictReader(io.StringIO(text)))
    names = [item.name for item in fields(Macro)]
    if not rows or list(rows[0]) != names:
        raise ValueError(f"{where}: must be a table with the columns {', '.join(names)}, and rows")
    kinds = {item.name: {"int": int, "float": float, "str": str}[str(item.type)] for item in fields(Macro)}
    macros = []
    for number, row in enumerate(rows, start=2):
        try:
            macros.append(Macro(**{name: kinds[name](row[name]) for name in names}))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: line {number}: {error}") from error
    return tuple(macros)


def shipped_macros(name: str = SHIPPED) -> tuple[Macro, ...]:
    """The table of a foundry's macros that comes with the package."""
    table = files("hwmodels") / "characterization" / "sram" / f"{name}.csv"
    return read_macros(table.read_text(encoding="utf-8"), f"characterization/sram/{name}.csv")


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"


def _group(path: Path, within: Group, name: str, argument: str) -> Group:
    found = within.named(name, argument) if argument else next(within.find(name), None)
    if found is None:
        raise ValueError(f"{path}: must hold a group `{name} ({argument})` in `{within.name}` of line {within.line}")
    return found


def _number(path: Path, group: Group, name: str) -> float:
    text = group.text(name)
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"{path}: line {group.line}: `{name}` of `{group.name}` must be a number, not {text!r}"
        ) from error


def _cycle_energy(path: Path, pin: Group, state: frozenset[str]) -> float:
    """pJ of a rising and a falling edge of a pin in a state of the port."""
    for power in pin.find("internal_power"):
        if frozenset(re.findall(r"!?\w+", power.text("when"))) == state:
            edges = [group for name in ("rise_power", "fall_power") for group in power.find(name)]
            return round(sum(_number(path, edge, "values") for edge in edges), 6)
    raise ValueError(f"{path}: line {pin.line}: must state internal_power when {' & '.join(sorted(state))}")


def _setups(path: Path, cell: Group) -> Iterator[float]:
    for pin in (*cell.find("bus"), *cell.find("pin")):
        if pin.arguments[0].startswith(PORT) and not pin.arguments[0].startswith(f"{PORT}BIST"):
            for timing in pin.find("timing"):
                if timing.text("timing_type") == "setup_rising":
                    yield from _middles(path, timing, ("rise_constraint", "fall_constraint"))


def _middles(path: Path, group: Group, names: Sequence[str]) -> list[float]:
    """The entry in the middle of every table of these names: median slew, and the lower of the two median loads."""
    found = []
    for table in (table for name in names for table in group.find(name)):
        rows = [[float(one) for one in re.findall(r"[-+.\deE]+", row)] for row in _rows(table)]
        row = rows[(len(rows) - 1) // 2] if rows else []
        if not row:
            raise ValueError(f"{path}: line {table.line}: `{table.name}` must hold values")
        found.append(row[(len(row) - 1) // 2])
    if not found:
        raise ValueError(f"{path}: line {group.line}: must hold one of {', '.join(names)}")
    return found


def _rows(table: Group) -> tuple[str, ...]:
    return next((value for name, value in table.attributes if name == "values"), ())
