"""Standard cells as their liberty file describes them: functions, capacitances, energies of a toggle, leakage.

Units here are fF, fJ, ns and nW, whatever those of the file. An energy in a liberty file is in units of capacitance x voltage^2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwmodels.liberty import Group, read_liberty
from hwmodels.switching.expression import Expression, parse

Floats = npt.NDArray[np.float64]

PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


@dataclass(frozen=True, slots=True)
class Table:
    """Values over input transition (ns) and output load (fF), bilinear between its points and held at its ends."""

    slews_ns: Floats
    loads_ff: Floats
    values: Floats

    def at(self, slew_ns: Floats, load_ff: Floats) -> Floats:
        """The value for every pair of a transition and a load."""
        row, along = _place(self.slews_ns, slew_ns)
        column, across = _place(self.loads_ff, load_ff)
        low = self.values[row, column] * (1 - across) + self.values[row, column + 1] * across
        high = self.values[row + 1, column] * (1 - across) + self.values[row + 1, column + 1] * across
        return np.asarray(low * (1 - along) + high * along)


@dataclass(frozen=True, slots=True)
class Edges:
    """A table for the rising edge of a pin, and one for the falling edge."""

    rise: Table
    fall: Table


@dataclass(frozen=True, slots=True)
class Power:
    """Energy (fJ) of a toggle of a pin while `when` holds; of an output, of one that `related` causes ("" any input)."""

    edges: Edges
    when: Expression | None
    related: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arc:
    """Transition (ns) of an output that `related` causes."""

    edges: Edges
    related: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """`function` is that of an output, in input pins and state variables."""

    name: str
    output: bool
    capacitance_ff: float
    function: Expression | None
    powers: tuple[Power, ...]
    arcs: tuple[Arc, ...]


@dataclass(frozen=True, slots=True)
class FlipFlop:
    """A state that takes `next_state` at the rising edge of `clock`, and is 0 while `clear` and 1 while `preset`."""

    state: str
    inverse: str
    next_state: Expression
    clock: Expression
    clear: Expression | None
    preset: Expression | None

    @property
    def clock_pin(self) -> str:
        """The pin that clocks it."""
        return next(iter(self.clock.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell; `leakage` is the nW of every state that the file tells apart, `leakage_nw` of any other."""

    name: str
    area_um2: float
    pins: Mapping[str, Pin]
    flip_flop: FlipFlop | None
    leakage: tuple[tuple[Expression, float], ...]
    leakage_nw: float

    @property
    def inputs(self) -> tuple[Pin, ...]:
        """Input pins."""
        return tuple(pin for pin in self.pins.values() if not pin.output)

    @property
    def outputs(self) -> tuple[Pin, ...]:
        """Output pins."""
        return tuple(pin for pin in self.pins.values() if pin.output)


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one or several files, read when asked for, and their voltage."""

    libraries: tuple[Group, ...]
    voltage_v: float
    _groups: dict[str, tuple[Group, Group]]
    _read: dict[str, Cell] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self._groups

    def __getitem__(self, name: str) -> Cell:
        """A cell. Raises ValueError where the files do not describe it well enough to be simulated."""
        if name not in self._groups:
            raise ValueError(f"cell {name}: must be in the liberty files, but is not")
        if name not in self._read:
            self._read[name] = _Reader(*self._groups[name]).cell()
        return self._read[name]


def read_cells(paths: Sequence[Path]) -> Cells:
    """Cells of liberty files. Raises ValueError naming the file where it cannot be read or states no voltage."""
    libraries = tuple(read_liberty(path) for path in paths)
    return cells_of(libraries)


def cells_of(libraries: Sequence[Group]) -> Cells:
    """Cells of libraries that were read already. Raises ValueError where none states a voltage."""
    voltages = [float(one.text("nom_voltage")) for one in libraries if one.text("nom_voltage")]
    if not voltages:
        raise ValueError("liberty: nom_voltage must be stated, but no file does")
    groups = {cell.arguments[0]: (one, cell) for one in libraries for cell in one.groups if cell.name == "cell"}
    return Cells(tuple(libraries), voltages[0], groups)


@dataclass(frozen=True, slots=True)
class _Reader:
    """One cell of a library."""

    library: Group
    group: Group

    def cell(self) -> Cell:
        pins = {pin.name: pin for pin in self._pins()}
        state = next((one for one in self.group.groups if one.name == "ff"), None)
        found = Cell(
            name=self.group.arguments[0],
            area_um2=float(self.group.text("area", "0")),
            pins=pins,
            flip_flop=_flip_flop(state) if state else None,
            leakage=tuple(self._leakage()),
            leakage_nw=self._leakage_otherwise() * self._leakage_unit(),
        )
        unknown = [pin.name for pin in found.outputs if pin.function is None]
        if unknown or any(one.name in ("latch", "statetable") for one in self.group.groups):
            raise ValueError(f"cell {found.name}: must be a gate or a flip-flop whose outputs have a function")
        return found

    def _pins(self) -> Iterator[Pin]:
        for group in self.group.groups:
            if group.name != "pin":
                continue
            function = group.text("function")
            yield Pin(
                name=group.arguments[0],
                output=group.text("direction") == "output",
                capacitance_ff=float(group.text("capacitance", "0")) * self._femtofarads(),
                function=parse(function) if function else None,
                powers=tuple(self._powers(group)),
                arcs=tuple(self._arcs(group)),
            )

    def _powers(self, pin: Group) -> Iterator[Power]:
        """Energies of a toggle; of cells that tell apart supply pins, what the power pin gives."""
        for group in pin.groups:
            if group.name == "internal_power" and self._from_supply(group):
                edges = self._edges(group, "rise_power", "fall_power", self._femtofarads())
                when = group.text("when")
                related = tuple(group.text("related_pin").split())
                yield Power(edges, parse(when) if when else None, related)

    def _arcs(self, pin: Group) -> Iterator[Arc]:
        for group in pin.groups:
            if group.name == "timing" and any(one.name == "rise_transition" for one in group.groups):
                edges = self._edges(group, "rise_transition", "fall_transition", 1.0, self._nanoseconds())
                for related in group.text("related_pin").split():
                    yield Arc(edges, related)

    def _leakage(self) -> Iterator[tuple[Expression, float]]:
        for group in self.group.groups:
            if group.name == "leakage_power" and group.text("when") and self._from_supply(group):
                yield parse(group.text("when")), float(group.text("value")) * self._leakage_unit()

    def _leakage_otherwise(self) -> float:
        """In the file's unit: `cell_leakage_power`, or the `leakage_power` that names no state."""
        stateless = (
            group.text("value")
            for group in self.group.groups
            if group.name == "leakage_power" and not group.text("when") and self._from_supply(group)
        )
        return float(self.group.text("cell_leakage_power") or next(stateless, "0"))

    def _from_supply(self, group: Group) -> bool:
        named = group.text("related_pg_pin")
        supply = self.group.named("pg_pin", named) if named else None
        return supply is None or supply.text("pg_type") == "primary_power"

    def _edges(self, group: Group, rise: str, fall: str, scale: float, also: float = 1.0) -> Edges:
        """Two tables; one that is not there is 0, or stands for both edges."""
        found = {one.name: self._table(one, scale * also) for one in group.groups if one.name in (rise, fall, "power")}
        nothing = found.get("power", Table(np.zeros(2), np.zeros(2), np.zeros((2, 2))))
        return Edges(found.get(rise, nothing), found.get(fall, nothing))

    def _table(self, group: Group, scale: float) -> Table:
        values = np.array(_numbers(group.text("values"))) * scale
        axes, loads_first = self._axes(group)
        if values.size == 1:
            return Table(np.zeros(2), np.zeros(2), np.full((2, 2), values[0]))
        first, second = axes[0], axes[1] if len(axes) > 1 else np.zeros(1)
        grid = values.reshape(first.size, second.size)
        if loads_first:
            first, second, grid = second, first, grid.T
        return Table(*_doubled(first * self._nanoseconds(), second * self._femtofarads(), grid))

    def _axes(self, group: Group) -> tuple[list[Floats], bool]:
        """Index values of a table, its own or its template's, and whether the load comes first."""
        name = group.arguments[0] if group.arguments else ""
        template = next(
            (one for one in self.library.groups if "template" in one.name and one.arguments[:1] == (name,)), None
        )
        texts = [group.text(key) or (template.text(key) if template else "") for key in ("index_1", "index_2")]
        first = template.text("variable_1") if template else ""
        return [np.array(_numbers(text)) for text in texts if text], "capacitance" in first

    def _femtofarads(self) -> float:
        """The file's unit of capacitance."""
        number, unit = (self.library.text("capacitive_load_unit") or "1 pf").split()
        return float(number) * PREFIX[unit.lower().removesuffix("f")] / 1e-15

    def _nanoseconds(self) -> float:
        return _unit(self.library.text("time_unit", "1ns"), "s") / 1e-9

    def _leakage_unit(self) -> float:
        return _unit(self.library.text("leakage_power_unit", "1nW"), "W") / 1e-9


def _flip_flop(group: Group) -> FlipFlop:
    state, inverse = group.arguments
    clear, preset = group.text("clear"), group.text("preset")
    return FlipFlop(
        state,
        inverse,
        parse(group.text("next_state")),
        parse(group.text("clocked_on")),
        parse(clear) if clear else None,
        parse(preset) if preset else None,
    )


def _unit(text: str, of: str) -> float:
    """Such as 1e-9 of "1ns"."""
    found = re.fullmatch(rf"\s*([\d.]+)\s*([a-z]?){of}\s*", text)
    if found is None:
        raise ValueError(f"liberty: unit must be a number of {of}, not {text!r}")
    return float(found[1]) * PREFIX[found[2]]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in re.split(r"[\s,]+", text.strip()) if word]


def _doubled(first: Floats, second: Floats, grid: Floats) -> tuple[Floats, Floats, Floats]:
    """At least two points along each axis, so that there is something to interpolate between."""
    if first.size == 1:
        first, grid = np.repeat(first, 2), np.repeat(grid, 2, axis=0)
    if second.size == 1:
        second, grid = np.repeat(second, 2), np.repeat(grid, 2, axis=1)
    return first, second, grid


def _place(axis: Floats, values: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Index of the point below each value, and how far it is on the way to the next one, in 0..1."""
    index = np.clip(np.searchsorted(axis, values, side="right") - 1, 0, axis.size - 2)
    step = axis[index + 1] - axis[index]
    share = np.divide(values - axis[index], step, out=np.zeros(np.shape(index)), where=step > 0)
    return index, np.clip(share, 0.0, 1.0)
