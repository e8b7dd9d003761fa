"""At which M and K xnor-popcount stops being cheaper than integer multipliers of the same bits, by a fit to synthesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse.summary import write_table
from hwmodels.areas import RESOURCES, Fit, fitted, measured
from hwmodels.build import Build
from hwmodels.clocks import engine_paths, fitted_clocks
from hwmodels.design import Design
from hwmodels.energies import pe_energy_pj
from hwmodels.knobs import Knobs, of_designs
from hwmodels.switching.table import shipped_energies
from hwmodels.synthesis.table import Row, Table, shipped, shipped_table
from hwmodels.technology import TECHNOLOGIES, Technology, technology
from reports.crossover_page import write_crossover_page
from reports.figures.crossover import FORMS, clock_words, crossover_takeaway, panels
from workloads.layers import MAX_BITS

Floats = npt.NDArray[np.float64]

BITS = tuple((m, k) for m in range(1, MAX_BITS + 1) for k in range(1, MAX_BITS + 1))
"""Every M x K."""
SHOWN = ((1, 1), (1, 2), (2, 2), (1, 4), (2, 4), (3, 3), (4, 4), (4, 8), (8, 8))
"""Those that fit a terminal."""
WIDTH = 16
GRID = (16, 8)
"""Rows (where the width allows; else the width itself) and columns of the engines; of serial planes M x K times the columns."""
WEIGHT_DEPTH = 512
PER = {"area_um2": ("mm2", 1e-6), "lut": ("klut", 1e-3)}
"""What throughput is set against, and how many of it one of the resource is."""
EQUAL_CLOCK = (*(f"{form}_per_{per}" for form in FORMS for per, _ in PER.values()), "densest")
LIMITS = tuple(f"{form}_limit" for form in FORMS)


def crossover(
    targets: Sequence[str] = (), *, width: int = WIDTH, bits: Sequence[tuple[int, int]] = BITS
) -> pd.DataFrame:
    """One row per target and M x K, three forms with equal products a cycle side by side.

    targets: those of fits, or technologies that have one; all where none is named.
    mac: multiplier PEs. parallel: as many xnor-popcount PEs with M x K lanes. serial: M x K times as many of one lane, each of which
    takes M x K cycles. Area (um2 or LUT) is that of the PEs that do `width` products a cycle. Throughput per area is products a
    cycle over a whole engine of 16 x 8 PEs without its memories, control included (per mm2, or per 1000 LUT). Where the target's
    clock is fitted, so are the clock that each of these engines allows (MHz), the part of it that limits, and the throughput per area
    at that clock (1e9 products a second). `parallel_to_mac` and `serial_to_mac` are ratios of area; energy (pJ) is that of one
    product in the PEs, where the target has energies: random data, clock pins included, leakage not. `smallest`, `densest`,
    `densest_own_clock` and `leanest` name the best form; `outside_fit`: no such PE was synthesized.
    Raises ValueError for a target without a fit.
    """
    tables = [_of_target(fitted(_target(name)), width, tuple(bits)) for name in targets or shipped()]
    return pd.concat(tables, ignore_index=True)


def _target(name: str) -> str:
    """A target itself, or that of a technology whose area is fitted."""
    return (technology(name).fit if name in TECHNOLOGIES else "") or name


def _of_target(model: Fit, width: int, bits: Sequence[tuple[int, int]]) -> pd.DataFrame:
    resource = RESOURCES[shipped_table(model.target).head["kind"]][0]
    machines = {form: of_designs([_design(form, width, m, k) for m, k in bits]) for form in FORMS}
    branches = np.array([m * k for m, k in bits])
    sizes = _sizes(model, resource, machines, branches)
    per, unit = PER[resource]
    done = machines["mac"].rows * machines["mac"].cols * width
    density = {form: done / (_engine(model, resource, k) * unit) for form, k in machines.items()}
    names = np.array(FORMS)
    return pd.DataFrame(
        {
            "target": model.target,
            "width": width,
            "m": [m for m, _ in bits],
            "k": [k for _, k in bits],
            **{f"{form}_{resource}": values for form, values in sizes.items()},
            "parallel_to_mac": sizes["parallel"] / sizes["mac"],
            "serial_to_mac": sizes["serial"] / sizes["mac"],
            "smallest": names[np.argmin(np.stack(list(sizes.values())), axis=0)],
            **{f"{form}_per_{per}": values for form, values in density.items()},
            "densest": names[np.argmax(np.stack(list(density.values())), axis=0)],
            **_own_clocks(model.target, machines, density, per),
            **_energies(model.target, width, bits),
            "outside_fit": np.any([model.outside_pe(k) for k in machines.values()], axis=0),
        }
    )


def _sizes(
    model: Fit, resource: str, machines: Mapping[str, Knobs], branches: npt.NDArray[np.int64]
) -> dict[str, Floats]:
    """Area or LUTs of the PEs of every form that do as many products a cycle as one multiplier PE."""
    unit = {"mac": "pe_mac", "parallel": "pe", "serial": "pe"}
    sizes = {form: np.asarray(model.unit(resource, unit[form], k), np.float64) for form, k in machines.items()}
    return sizes | {"serial": sizes["serial"] * branches}


def _own_clocks(
    target: str, machines: Mapping[str, Knobs], density: Mapping[str, Floats], per: str
) -> dict[str, npt.NDArray[Any]]:
    """The clock that the engine of every form allows, what limits it, and the throughput per area at it; nothing without timing."""
    if fitted_clocks(target) is None:
        return {}
    node = next(found for name in TECHNOLOGIES if (found := technology(name)).fit == target)
    paths = {form: _paths(node, k) for form, k in machines.items()}
    clocks = {form: 1e6 / np.max(list(found.values()), axis=0) for form, found in paths.items()}
    fastest = {form: density[form] * clocks[form] / 1000 for form in machines}
    limits = {form: np.array(list(found))[np.argmax(list(found.values()), axis=0)] for form, found in paths.items()}
    return {
        **{f"{form}_clock_mhz": values for form, values in clocks.items()},
        **{f"{form}_limit": names for form, names in limits.items()},
        **{f"{form}_gmac_s_per_{per}": values for form, values in fastest.items()},
        "densest_own_clock": np.array(FORMS)[np.argmax(list(fastest.values()), axis=0)],
    }


def _paths(node: Technology, machines: Knobs) -> dict[str, Floats]:
    """ps of every part, engine by engine."""
    build = Build(knobs=machines, memory="", memory_kib=0, clock_mhz=0)
    size = np.ones_like(machines.rows, np.float64)
    return {part: np.asarray(path) * size for part, path in engine_paths(build, node).items()}


def _energies(target: str, width: int, bits: Sequence[tuple[int, int]]) -> dict[str, npt.NDArray[Any]]:
    """pJ of a product of M x K bits in every form, and the form that takes least; nothing where nobody measured the target's gates."""
    if target not in shipped_energies():
        return {}
    cycles = {form: np.array([m * k if form == "serial" else 1 for m, k in bits]) for form in FORMS}
    found = {
        form: cycles[form] * np.array([pe_energy_pj(target, _design(form, width, m, k)) for m, k in bits]) / width
        for form in FORMS
    }
    leanest = np.array(FORMS)[np.argmin(np.stack(list(found.values())), axis=0)]
    return {f"{form}_energy_pj": values for form, values in found.items()} | {"leanest": leanest}


def _engine(model: Fit, resource: str, machines: Knobs) -> Floats:
    return np.asarray(model.block(resource, "engine", machines), np.float64)


def _design(form: str, width: int, m: int, k: int) -> Design:
    rows = GRID[0] if width % GRID[0] == 0 or GRID[0] % width == 0 else width
    plain = Design(
        rows=rows, cols=GRID[1], width=width, port_bits=width, max_act_bits=m, max_weight_bits=k, weight_depth=WEIGHT_DEPTH
    )  # fmt: skip
    if form == "mac":
        return replace(plain, kind="mac")
    return replace(plain, lanes_a=m, lanes_w=k) if form == "parallel" else replace(plain, cols=GRID[1] * m * k)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The pairs of bits that fit a terminal, few branches first, and the columns that are known in at least one of them.

    Throughput per area is at each form's own clock where every target has clocks, at equal clocks elsewhere; the sentence says what limits.
    """
    place = pd.Series([SHOWN.index(pair) if pair in SHOWN else -1 for pair in zip(table["m"], table["k"], strict=True)])
    rows = table.assign(place=place)[place >= 0].sort_values(["target", "place"], kind="stable").drop(columns="place")
    told = "densest_own_clock" in rows and rows["densest_own_clock"].notna().all()
    rows = rows.drop(columns=[*LIMITS, *(EQUAL_CLOCK if told else ())], errors="ignore")
    return rows.dropna(axis="columns", how="all").reset_index(drop=True)


def verdicts(table: pd.DataFrame) -> list[str]:
    """A sentence a target: where multipliers win, over all pairs of the table."""
    return [
        f"{crossover_takeaway(panels(rows), str(target))}{clock_words(rows)}"
        for target, rows in table.groupby("target", sort=False)
    ]


def write_crossover(table: pd.DataFrame, path: Path) -> None:
    """The table as .csv or .md, or the chart as .html. Raises ValueError for another suffix or a folder that cannot be written."""
    if path.suffix != ".html":
        write_table(table, path)
        return
    try:
        write_crossover_page(table, path)
    except OSError as error:
        raise ValueError(f"{path}: the folder must exist and be writable, but {error.strerror}") from error


def measured_pairs(table: Table) -> pd.DataFrame:
    """The ratio of areas without a fit: synthesized PEs of three stages that have such a twin of equal width, M and K, with M x K lanes."""
    resource = RESOURCES[table.head["kind"]][0]
    twins = {_key(row.point.design): measured(row, resource) for row in _shallow(table, "pe_mac")}
    rows = []
    for row in _shallow(table, "pe"):
        design = row.point.design
        whole = (design.lanes_a, design.lanes_w) == (design.max_act_bits, design.max_weight_bits)
        if whole and _key(design) in twins:
            width, m, k = _key(design)
            ratio = measured(row, resource) / twins[width, m, k]
            rows.append({"target": table.head["target"], "width": width, "m": m, "k": k, "parallel_to_mac": ratio})
    return pd.DataFrame(rows, columns=["target", "width", "m", "k", "parallel_to_mac"])


def _shallow(table: Table, block: str) -> list[Row]:
    return [row for row in table.done(block) if row.point.design.pe_cycles == 3]


def _key(design: Design) -> tuple[int, int, int]:
    return design.width, design.max_act_bits, design.max_weight_bits
