"""Clock limits fitted to timing: the longest path of every part of the engine, from structural features times coefficients.

A unit is as slow as the slowest of its parts, the engine as its slowest unit. Timing names one delay a unit, so a fit also finds
which part it belongs to: each point is given to the part that the fit so far calls the longest, then every part is fitted to its
points (least squares, relative, no coefficient negative), until nothing changes.

Delays are those of the netlist whose area is fitted: of standard cells abc's estimate, mapped for area, without wires; of an FPGA
after place and route, median of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress, product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hwmodels.adders import adder_levels
from hwmodels.build import Build, banks
from hwmodels.least_squares import Floats, non_negative
from hwmodels.macro_model import MacroModel
from hwmodels.structure import Features, Machine, Number, shifts, sum_bits
from hwmodels.synthesis.table import Row, Table, shipped_table
from hwmodels.technology import Technology

FeatureTable = tuple[tuple[str, ...], Floats]
"""Names, and (points, names)."""

ROUNDS = 30
"""Of giving points to parts and fitting; a handful is enough."""
STARTS = (1.0, 1.6)
"""How much longer than its mean a part is first taken to be, for every combination of parts; and every combination is left out once."""


def _counts(k: Machine) -> Features:
    """xnor and popcount: a full adder and a joining adder a level."""
    return _halved(k.count_stages, {"popcount level": np.log2(k.width)})


def _sum(k: Machine) -> Features:
    """Branches three to two, level by level, then a carry through all bits of the sum; in two cycles the sums of the longer side of
    lanes are behind a register."""
    branches = np.where(k.sum_stages == 1, k.lanes_a * k.lanes_w, np.maximum(k.lanes_a, k.lanes_w))
    return {"constant": _one(k), "adder level": adder_levels(branches), "carry bit": sum_bits(k)}


def _accumulator(k: Machine) -> Features:
    """A carry through all bits, or through the longer half."""
    return {"constant": _one(k), "carry bit": np.where(k.acc_stages == 1, k.acc_bits, k.acc_bits - k.acc_bits // 2)}


def _shifted_accumulator(k: Machine) -> Features:
    """The same behind the choice of a shift."""
    return {**_accumulator(k), "shift": shifts(k) - 1}


def _products(k: Machine) -> Features:
    """Rows of a multiplier, of which a signed code has one more than bits, and the carry of the last addition; in two cycles, those
    of half of the weight's bits."""
    rows = 1 + np.minimum(
        k.max_act_bits, np.where(k.count_stages == 1, k.max_weight_bits, (k.max_weight_bits + 1) // 2)
    )
    return {"constant": _one(k), "adder level": adder_levels(rows), "code bit": k.max_act_bits + k.max_weight_bits}


def _tree(k: Machine) -> Features:
    """Products three to two, then a carry through all bits of the sum; in two cycles, about the square root of the products."""
    operands = np.where(k.sum_stages == 1, k.width, 2 ** ((np.ceil(np.log2(k.width)).astype(np.int64) + 1) // 2))
    return {"constant": _one(k), "adder level": adder_levels(operands), "carry bit": sum_bits(k)}


def _vector(k: Machine) -> Features:
    """A comparison of codes, and the fan-out to all lanes."""
    return {"constant": _one(k), "width level": np.log2(k.width), "code bit": _one(k) * k.max_act_bits}


def _columns(k: Machine) -> Features:
    """Additions and comparisons of coordinates, and the fan-out to all columns."""
    return {"constant": _one(k), "column level": np.log2(k.cols)}


def _drain(k: Machine) -> Features:
    """Counters and an address; where a word has several rows' slices, their choice behind the end of a part."""
    return {"constant": _one(k), "slice counter": np.where(k.rows < k.width, 1, 0)}


def _plane_order(k: Machine) -> Features:
    """The heaviest pair of planes, then the next, each a comparison after the other over the passes of activations."""
    return {"pass": -(-k.max_act_bits // k.act_lanes)}


def _constant(k: Machine) -> Features:
    return {"constant": _one(k)}


def _halved(stages: Number, features: Features) -> Features:
    """The features with a constant, and others of their own where a register lies in the middle."""
    whole, half = np.where(stages == 1, 1, 0), np.where(stages == 1, 0, 1)
    named = {"constant": 1, **features}
    return {name: whole * value for name, value in named.items()} | {
        f"{name}, halved": half * value for name, value in named.items()
    }


def _one(k: Machine) -> Number:
    return np.ones_like(k.rows)


Parts = Mapping[str, Callable[[Machine], Features]]
PARTS: Mapping[str, Parts] = MappingProxyType({
    "pe": {"counts": _counts, "sum": _sum, "accumulator": _shifted_accumulator},
    "pe_mac": {"counts": _products, "sum": _tree, "accumulator": _accumulator},
    "vector_unit": {"vector unit": _vector},
    "columns": {"columns": _columns},
    "drain": {"drain": _drain},
    "sequencer": {"sequencer": _constant, "plane order": _plane_order},
    **{name: {name: _constant} for name in ("bank", "loader", "writer", "controller", "frame")},
})  # fmt: skip
"""Features of the parts of every unit whose timing is fitted; `frame` is all but PEs and memories, where it could be timed,
`bank` a memory of an FPGA."""
READ_BY_PES = ("weight", "activation")
"""Banks that are read in the cycle of the first part of a PE."""
PES = {"array": "pe", "mac": "pe_mac"}


@dataclass(frozen=True, slots=True)
class Clocks:
    """Picoseconds of one of each feature, by unit, part and feature. A part that was nowhere the longest has none."""

    target: str
    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]

    def part(self, unit: str, part: str, k: Machine) -> Number:
        """ps of the longest path through a part."""
        known = self.coefficients[unit].get(part, {})
        return sum(value * known[name] for name, value in PARTS[unit][part](k).items() if name in known)

    def unit(self, unit: str, k: Machine) -> Number:
        """ps of the longest path of a unit; of blocks `engine` and `whole`, of an engine without and with its memories."""
        if unit in ("engine", "whole"):
            return _longest(self.paths(k).values())
        return _longest(self.part(unit, part, k) for part in self.coefficients[unit])

    def paths(self, k: Machine) -> dict[str, Number]:
        """ps by part of an engine. The frame stands for the units in it, where it was timed, but for the order of planes: of it a
        frame knows only as many passes as it has itself. A bank that was timed is read in the cycle of a PE's counts."""
        units = [name for name in self.coefficients if name not in ("bank", *PES.values())]
        inside = {part: unit for unit in units for part in self.coefficients[unit]}
        if "frame" in inside:
            inside = {part: unit for part, unit in inside.items() if part in ("frame", "plane order")}
        pe = PES[k.kind]
        paths = {part: self.part(unit, part, k) for part, unit in inside.items()}
        paths |= {f"PE {part}": self.part(pe, part, k) for part in self.coefficients.get(pe, ())}
        if "bank" in self.coefficients:
            read = self.part("bank", "bank", k) + paths.get("PE counts", 0.0)
            paths |= {f"{name} bank and PE counts": read for name in READ_BY_PES}
        return paths


def delay_ps(row: Row) -> float:
    """What timing gave; 0 where it gave nothing."""
    return 1e6 / row.counts.clock_mhz if row.counts.clock_mhz else row.counts.delay_ps


def fit_clocks(table: Table, rows: Iterable[Row] | None = None) -> Clocks | None:
    """Coefficients of a table, or of some of its rows; None where the PEs were not timed."""
    timed = [row for row in (table.rows if rows is None else rows) if row.counted and delay_ps(row)]
    found = {unit: fit for unit in PARTS if (fit := fit_unit(unit, timed))}
    return Clocks(table.head["target"], found) if set(PES.values()) <= set(found) else None


def fit_unit(unit: str, timed: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Coefficients of one unit by part, from the points of it among timed ones; {} where there are none."""
    points = [row for row in timed if row.point.block == unit]
    return _fit_parts(PARTS[unit], points) if points else {}


@cache
def fitted_clocks(target: str) -> Clocks | None:
    """The fit of a table that comes with the package. Raises ValueError listing the targets."""
    return fit_clocks(shipped_table(target))


def engine_paths(build: Build, technology: Technology) -> dict[str, Number]:
    """ps by part of a machine; {} where the technology has no fit.

    A foundry's memories are read in the cycle of the first part of a PE: their access time and that part are one path.
    """
    clocks = fitted_clocks(technology.fit) if technology.fit else None
    if clocks is None:
        return {}
    paths = clocks.paths(build.knobs)
    if isinstance(technology.sram, MacroModel):
        for bank in (bank for bank in banks(build.knobs) if bank.name in READ_BY_PES):
            access = technology.sram.access_time_ns(bank.depth, bank.bits) * 1000.0
            paths[f"{bank.name} bank and PE counts"] = access + paths.get("PE counts", 0.0)
    return paths


def max_clock_mhz(build: Build, technology: Technology) -> Number:
    """The fastest clock of a machine: one over its longest path, or what the technology is assumed to allow."""
    paths = engine_paths(build, technology)
    return 1e6 / _longest(paths.values()) if paths else technology["max_clock"]


def _longest(delays: Iterable[Number]) -> Number:
    found = 0.0
    for delay in delays:
        found = np.maximum(found, delay)
    return found


def _fit_parts(parts: Parts, points: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of the fits from every start the one of least surprise."""
    values = np.array([delay_ps(row) for row in points])
    tables = {name: _table([part(row.point.design) for row in points]) for name, part in parts.items()}
    present = [start for start in product((0.0, 1.0), repeat=len(parts)) if any(start)]
    starts = dict.fromkeys([*present, *product(STARTS, repeat=len(parts))])
    fits = [_alternate(tables, values, start) for start in starts]
    return min(fits, key=lambda fit: _surprise(_predict(tables, fit).max(axis=0) / values - 1, fit))


def _surprise(errors: Floats, fit: Mapping[str, Mapping[str, float]]) -> float:
    """Akaike's criterion for few points (Hurvich & Tsai, Biometrika 76, 1989): coefficients must earn their place, or else a part
    that no point tells of would be made up from noise."""
    points, used = len(errors), sum(value > 0 for part in fit.values() for value in part.values())
    spare = points - used - 1
    penalty = 2 * used * (1 + (used + 1) / spare) if spare > 0 else 4.0 * points * used
    return points * float(np.log(np.mean(errors**2) + 1e-12)) + penalty


def _alternate(
    tables: Mapping[str, FeatureTable], values: Floats, start: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Give every point to a part, fit the parts, and again."""
    sizes = np.array([matrix.sum(axis=1) for _, matrix in tables.values()])
    owner = np.argmax(sizes / sizes.mean(axis=1, keepdims=True) * np.array(start)[:, None], axis=0)
    for _ in range(ROUNDS):
        fit = {name: _solve(tables[name], owner == index, values) for index, name in enumerate(tables)}
        again = np.argmax(_predict(tables, fit), axis=0)
        if (again == owner).all():
            break
        owner = again
    return {name: found for name, found in fit.items() if found}


def _predict(tables: Mapping[str, FeatureTable], fit: Mapping[str, Mapping[str, float]]) -> Floats:
    """(parts, points) ps."""
    return np.array(
        [matrix @ [fit.get(part, {}).get(name, 0.0) for name in names] for part, (names, matrix) in tables.items()]
    )


def _solve(table: FeatureTable, chosen: npt.NDArray[np.bool_], values: Floats) -> dict[str, float]:
    """Relative least squares, no coefficient negative; {} where there are not more points than features to tell apart."""
    matrix, own = table[1][chosen], values[chosen]
    there = np.asarray(matrix.any(axis=0))
    used = int(there.sum())
    if not used or len(own) < used + (used > 1):
        return {}
    found = non_negative(matrix[:, there] / own[:, None], np.ones(len(own)))
    return dict(zip(compress(table[0], there.tolist()), found.tolist(), strict=True))


def _table(rows: Sequence[Features]) -> FeatureTable:
    names = tuple(rows[0])
    return names, np.array([[float(row[name]) for name in names] for row in rows])
