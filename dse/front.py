"""The Pareto front of a results folder, read part by part."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dse import pareto
from dse.experiment import applies, check_column
from dse.explanation import experiment_of
from dse.keep import oriented
from dse.results import Results, read_part


def front_rows(opened: Results, objectives: Sequence[str], *, technology: str | None = None) -> pd.DataFrame:
    """All rows that no other row beats in every objective, in row order; memory holds one part and the front so far.

    With a `technology`, objectives that it does not have (area in an FPGA, LUT in an ASIC) are left out; without one,
    all designs compete. Rows whose objective is unknown (NaN) cannot be on the front. Raises ValueError for an
    objective that is no column of a sweep, or for which the sweep kept no front, or where none is left.
    """
    for name in objectives:
        check_column(name, "objective")
    if technology is not None:
        objectives = shared(objectives, technology)
    _check_kept(opened, objectives)
    best = pd.DataFrame()
    needed = list(dict.fromkeys(["row", "technology", *objectives]))
    for part in opened.parts():
        table = read_part(part, needed).to_pandas()
        if technology is not None:
            table = table[table["technology"] == technology]
        both = pd.concat([best, table], ignore_index=True) if len(best) else table
        best = both[pareto.front(oriented(both, objectives))]
    return opened.rows(best["row"].tolist() if len(best) else [])


def _check_kept(opened: Results, objectives: Sequence[str]) -> None:
    """A search keeps the front of the experiment's objectives, in which the front of any of them lies."""
    known = experiment_of(opened).objectives
    for name in objectives:
        if not opened.whole and name not in known:
            raise ValueError(
                f"{opened.path}: objective must be one of {', '.join(known)}, whose front was kept, not {name!r}; "
                "name it in the experiment, or sweep with --keep all"
            )


def shared(objectives: Sequence[str], technology: str) -> tuple[str, ...]:
    """The objectives that a technology has. Raises ValueError where it has none of them."""
    kept = tuple(name for name in objectives if applies(name, technology))
    if not kept:
        raise ValueError(f"objectives must hold a figure of {technology}, not only {', '.join(objectives)}")
    return kept
