"""A page to look around in: parallel coordinates, scatter matrix, and which knob moves which objective."""

from pathlib import Path

import pandas as pd

from reports.columns import describe
from reports.document import figure_page, write_document
from reports.figures.explore import ExplorePoints, matrix_figure, parallel_figure
from reports.figures.style import Picture
from reports.tables import html_table
from reports.wording import counted

PARALLEL = "Drag along an axis to keep a range, drag a name to move its axis, click an axis to let go. Designs of the front are in colour."
MATRIX = "Every objective against every other; the front is in colour. A box names the design."


def write_explore_page(points: ExplorePoints, sensitivity: pd.DataFrame, title: str, lead: str, path: Path) -> Path:
    """Write the page. Unlike the report it lets Plotly compile its WebGL code. OSError where it cannot be written."""
    front = counted(int(points.table["on_front"].sum()), "design")
    takeaway = f"{counted(len(points.table), 'design')}, {front} of the front among them."
    parts: list[Picture | str] = [Picture("parallel", "One line a design", takeaway, PARALLEL, parallel_figure(points))]
    if len(points.objectives) > 1:
        said, figure = "What one objective costs in the others.", matrix_figure(points)
        parts.append(Picture("matrix", "Objectives against each other", said, MATRIX, figure))
    if len(sensitivity):
        named = sensitivity.assign(
            **{name: sensitivity[name].map(lambda text: describe(text).label) for name in ("objective", "knob")}
        )
        parts.append(
            "<h2>Which knob moves which objective</h2>"
            + html_table(
                named,
                "Share of the variance of the objective's logarithm, and factor between the means of the knob's values",
            )
        )
    return write_document(figure_page(title, lead, parts, compiles=True), path)
