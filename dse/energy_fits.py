"""How far the fitted energies are from gate-level simulations of designs that the fit never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from dse.fits import error_sizes
from hwmodels.design import Design
from hwmodels.energies import fit, predicted_fj
from hwmodels.switching.table import EnergyTable, Sample, shipped_energies, shipped_energy_table

ARRAY = "array"
BLOCKS = ("pe", "pe_mac", ARRAY)
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


Compared = tuple[Design, float, float, float]
"""A design, its dynamic energy, that without clock pins, and the fit's dynamic energy."""


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
        single = [(one.point.design, one.dynamic_fj, one.switching_fj, predicted) for one, predicted in pairs]
        yield _row(table, block, "layers of networks" if block == ARRAY else "random", single)
        if block == ARRAY:
            yield _row(table, block, "whole networks", _networks(pairs))


def _networks(pairs: Sequence[tuple[Sample, float]]) -> list[Compared]:
    """The layers of a network on a machine together."""
    found: dict[tuple[Design, str], list[tuple[Sample, float]]] = {}
    for one, predicted in pairs:
        found.setdefault((one.point.design, one.stream.split()[0]), []).append((one, predicted))
    return [
        (
            design,
            sum(one.dynamic_fj * one.cycles for one, _ in layers),
            sum(one.switching_fj * one.cycles for one, _ in layers),
            sum(predicted * one.cycles for one, predicted in layers),
        )
        for (design, _), layers in found.items()
    ]


def _row(table: EnergyTable, block: str, streams: str, compared: Sequence[Compared]) -> dict[str, object]:
    switching = error_sizes([(predicted - dynamic) / own for _, dynamic, own, predicted in compared])
    return {
        "target": table.head["target"],
        "block": block,
        "streams": streams,
        "designs": len({design for design, *_ in compared}),
        "samples": len(compared),
        **error_sizes([predicted / dynamic - 1 for _, dynamic, _, predicted in compared]),
        "median_switching": switching["median"],
        "worst_switching": switching["worst"],
    }
