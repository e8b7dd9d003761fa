"""How far the fitted energies are from gate-level simulations of designs that the fit never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hwmodels.energies import fit, predicted_fj
from hwmodels.switching.table import EnergyTable, Sample, shipped_energies, shipped_energy_table

BLOCKS = ("pe", "pe_mac", "array")
COLUMNS = (
    "target",
    "block",
    "streams",
    "designs",
    "samples",
    "median",
    "p95",
    "worst",
    "median_switching",
    "worst_switching",
)


def energy_fit_table(table: EnergyTable) -> pd.DataFrame:
    """Relative errors of dynamic energy by block, every design predicted by a fit to the other ones; `*_switching` without the
    clock pins, which are counted and not fitted. Empty where the table is too small for a fit."""
    return pd.DataFrame(list(_rows(table)), columns=list(COLUMNS))


def shipped_energy_fits() -> pd.DataFrame:
    """The same of every target whose energies come with the package."""
    return pd.concat([energy_fit_table(shipped_energy_table(name)) for name in shipped_energies()], ignore_index=True)


def held_out(table: EnergyTable, block: str) -> list[tuple[Sample, float]]:
    """Every sample of a block and its dynamic fJ a cycle as a fit says that saw none of its design's."""
    found = []
    designs = dict.fromkeys(one.point.design for one in table.of(block))
    for design in designs:
        rest = [one for one in table.samples if not (one.point.block == block and one.point.design == design)]
        model = fit(table, rest)
        found += [(one, predicted_fj(model, one)) for one in table.of(block) if one.point.design == design]
    return found


def _rows(table: EnergyTable) -> Iterator[dict[str, object]]:
    for block in BLOCKS:
        try:
            pairs = held_out(table, block)
        except ValueError:
            return
        yield _row(table, block, pairs)


def _row(table: EnergyTable, block: str, pairs: Sequence[tuple[Sample, float]]) -> dict[str, object]:
    errors = np.abs([predicted / one.dynamic_fj - 1 for one, predicted in pairs])
    switching = np.abs([(predicted - one.dynamic_fj) / one.switching_fj for one, predicted in pairs])
    return {
        "target": table.head["target"],
        "block": block,
        "streams": "real" if block == "array" else "random",
        "designs": len({one.point.design for one, _ in pairs}),
        "samples": len(pairs),
        "median": float(np.median(errors)),
        "p95": float(np.percentile(errors, 95)),
        "worst": float(errors.max()),
        "median_switching": float(np.median(switching)),
        "worst_switching": float(switching.max()),
    }
