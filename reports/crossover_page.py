"""Where integer multipliers win, target by target, as one HTML page that opens offline."""

from pathlib import Path

import pandas as pd

from reports.document import figure_page, write_document
from reports.figures.crossover import crossover_picture

LEAD = (
    "Three ways to multiply M-bit activations by K-bit weights, built for the same number of products a cycle: integer multipliers, "
    "xnor-popcount with M x K lanes, and xnor-popcount one pair of planes at a time."
)


def write_crossover_page(table: pd.DataFrame, path: Path) -> Path:
    """Write the page, a figure a target. OSError where that cannot be done."""
    parts = [
        crossover_picture(rows, f"crossover-{place}")
        for place, (_, rows) in enumerate(table.groupby("target", sort=False))
    ]
    return write_document(figure_page("Where integer multipliers win", LEAD, parts), path)
