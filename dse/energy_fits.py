"""How far the fitted energies are from gate-level simulations of designs that the fit never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from dse.fits import error_sizes
from hwmodels.design import Design
from hwmodels.energies import CONTROL, UNIT, Energies, fit, predicted_control_fj, predicted_fj
from hwmodels.switching.table import EnergyTable, Sample, shipped_energies, shipped_energy_table
from hwmodels.toggles import PE_FEATURES

ARRAY = "array"
BLOCKS = (*PE_FEATURES, ARRAY, *UNIT)
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
    clock pins, which are counted and not fitted. `control` is all of its units together. Empty where the table is too small for a
    fit; blocks of which it has one design are left out."""
    return pd.DataFrame(list(_rows(table)), columns=list(COLUMNS))


def shipped_energy_fits() -> pd.DataFrame:
    """The same of every target whose energies come with the package."""
    return pd.concat([energy_fit_table(shipped_energy_table(name)) for name in shipped_energies()], ignore_index=True)


def held_out(table: EnergyTable, block: str) -> list[tuple[Sample, float]]:
    """Every sample of a block and its dynamic fJ a cycle as a fit says that saw none of its design's."""
    found = []
    for design, own in _by_design(table, (block,)).items():
        model = _fit_without(table, design, (block,))
        found += [(one, predicted_fj(model, one)) for one in own]
    return found


def _by_design(table: EnergyTable, blocks: Sequence[str]) -> dict[Design, list[Sample]]:
    found: dict[Design, list[Sample]] = {}
    for one in table.samples:
        if one.point.block in blocks:
            found.setdefault(one.point.design, []).append(one)
    return found


def _fit_without(table: EnergyTable, design: Design, blocks: Sequence[str]) -> Energies:
    return fit(table, [one for one in table.samples if one.point.block not in blocks or one.point.design != design])


def _rows(table: EnergyTable) -> Iterator[dict[str, object]]:
    for block in BLOCKS:
        pairs = _held_out_or_empty(table, block)
        if not pairs:
            continue
        single = [(one.point.design, one.dynamic_fj, one.switching_fj, predicted) for one, predicted in pairs]
        yield _row(table, block, "random" if block in PE_FEATURES else "layers of networks", single)
        if block == ARRAY:
            yield _row(table, block, "whole networks", _networks(pairs))
    control = _control(table)
    if control:
        yield _row(table, "control", "whole networks", control)


def _held_out_or_empty(table: EnergyTable, block: str) -> list[tuple[Sample, float]]:
    """Empty where one design is all that a fit of its kind could be made of."""
    try:
        return held_out(table, block)
    except ValueError:
        return []


def _control(table: EnergyTable) -> list[Compared]:
    """All units of control of a design together, each with one sample, of a whole network; none where only one design has all."""
    designs = {design: own for design, own in _by_design(table, CONTROL).items() if len(own) == len(CONTROL)}
    return [_compared(table, design, own) for design, own in designs.items()] if len(designs) > 1 else []


def _compared(table: EnergyTable, design: Design, own: Sequence[Sample]) -> Compared:
    model = _fit_without(table, design, CONTROL)
    dynamic, switching = sum(one.dynamic_fj for one in own), sum(one.switching_fj for one in own)
    return design, dynamic, switching, predicted_control_fj(model, own)


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
