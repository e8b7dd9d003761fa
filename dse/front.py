"""The Pareto front of a results folder, read part by part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse import pareto
from dse.results import Results, read_part
from reports.columns import COLUMNS


def smaller_is_better(table: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """(rows, columns) float64 with every column turned so that less is better."""
    flipped = [table[name].to_numpy(np.float64) * (-1 if COLUMNS[name].direction == "larger" else 1) for name in columns]
    return np.stack(flipped, axis=1)


def front_rows(opened: Results, objectives: Sequence[str], *, technology: str | None = None) -> pd.DataFrame:
    """All rows that no other row beats in every objective, in row order; memory holds one part and the front so far.

    Rows whose objective is unknown (NaN) cannot be on the front. Raises ValueError for an objective that is no column.
    """
    check_objectives(objectives)
    best = pd.DataFrame()
    needed = list(dict.fromkeys(["row", "technology", *objectives]))
    for part in opened.parts():
        table = read_part(part, needed).to_pandas()
        if technology is not None:
            table = table[table["technology"] == technology]
        both = pd.concat([best, table], ignore_index=True) if len(best) else table
        best = both[pareto.front(smaller_is_better(both, objectives))]
    return opened.rows(best["row"].tolist() if len(best) else [])


def check_objectives(objectives: Sequence[str]) -> None:
    """Raise ValueError unless every objective is a column with a better and a worse side."""
    known = [name for name, column in COLUMNS.items() if column.direction != "none"]
    for name in objectives:
        if name not in known:
            raise ValueError(f"objective must be one of {', '.join(known)}, not {name!r}")
