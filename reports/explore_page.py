"""A page to look around in: parallel coordinates, scatter matrix, and which knob moves which objective."""

from pathlib import Path

import pandas as pd
from plotly.offline import get_plotlyjs

from reports.figures.explore import ExplorePoints, matrix_figure, parallel_figure
from reports.tables import html_table
from reports.wording import escape

STYLE = "body{font-family:system-ui,sans-serif;margin:2rem;max-width:1300px}td,th{padding:.2rem .7rem;text-align:left}"


def write_explore_page(points: ExplorePoints, sensitivity: pd.DataFrame, title: str, path: Path) -> None:
    """Write the page, Plotly included. Unlike the report it lets Plotly compile its WebGL code, so it has no policy against that."""
    parts = [f"<h1>{escape(title)}</h1>"]
    parts.append(
        "<p>One line a design, the front in colour. Drag along an axis to keep a range, drag a name to move its axis.</p>"
    )
    parts.append(parallel_figure(points).to_html(include_plotlyjs=False, full_html=False))
    if len(points.objectives) > 1:
        parts.append(matrix_figure(points).to_html(include_plotlyjs=False, full_html=False))
    if len(sensitivity):
        parts.append(
            html_table(sensitivity, "Which knob moves which objective: share of the variance, and factor between means")
        )
    head = (
        f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script>'
    )
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    path.write_text(page, encoding="utf-8")
