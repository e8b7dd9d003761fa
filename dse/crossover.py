"""At which M and K an xnor-popcount PE stops being smaller than a multiplier PE of the same throughput."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hwmodels.areas import RESOURCES, Fit, fitted, measured
from hwmodels.design import Design
from hwmodels.synthesis.table import Row, Table, shipped_table
from hwmodels.technology import TECHNOLOGIES

BITS = ((1, 1), (1, 2), (2, 2), (1, 4), (2, 4), (3, 3), (4, 4), (4, 8), (8, 8))
WEIGHT_DEPTH = 512


def crossover(target: str, *, width: int = 16, bits: Sequence[tuple[int, int]] = BITS) -> pd.DataFrame:
    """One row per M x K: area (or LUTs) of three PEs that do `width` products, at the fit of a target, or of a technology that has one.

    mac: one multiplier PE. parallel: one xnor-popcount PE with M x K lanes, the same products a cycle. serial: M x K PEs of one
    lane, the same products in M x K cycles each. `smallest` names the least; `outside_fit` says that no such PE was synthesized.
    Raises ValueError for a target without a fit.
    """
    found = TECHNOLOGIES[target].fit if target in TECHNOLOGIES else target
    model, resource = fitted(found), RESOURCES[shipped_table(found).head["kind"]][0]
    return pd.DataFrame([_row(model, resource, width, m, k) for m, k in bits])


def _row(model: Fit, resource: str, width: int, m: int, k: int) -> dict[str, object]:
    mac = _pe(width, m, k, kind="mac")
    parallel, serial = _pe(width, m, k, lanes=(m, k)), _pe(width, m, k)
    sizes = {
        "mac": float(model.unit(resource, "pe_mac", mac)),
        "parallel": float(model.unit(resource, "pe", parallel)),
        "serial": m * k * float(model.unit(resource, "pe", serial)),
    }
    return {
        "target": model.target,
        "width": width,
        "m": m,
        "k": k,
        **{f"{name}_{resource}": value for name, value in sizes.items()},
        "parallel_to_mac": sizes["parallel"] / sizes["mac"],
        "serial_to_mac": sizes["serial"] / sizes["mac"],
        "smallest": min(sizes, key=lambda name: sizes[name]),
        "outside_fit": bool(np.any([model.outside_pe(one) for one in (mac, parallel, serial)])),
    }


def measured_pairs(table: Table) -> pd.DataFrame:
    """The same without a fit: synthesized PEs of three stages that have such a twin of equal width, M and K, with M x K lanes."""
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


def _pe(width: int, m: int, k: int, *, kind: str = "array", lanes: tuple[int, int] = (1, 1)) -> Design:
    return Design(
        kind="mac" if kind == "mac" else "array",
        rows=width,
        width=width,
        port_bits=width,
        lanes_a=lanes[0],
        lanes_w=lanes[1],
        max_act_bits=m,
        max_weight_bits=k,
        weight_depth=WEIGHT_DEPTH,
    )
