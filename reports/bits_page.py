"""The front over bits as one HTML page that opens offline."""

from pathlib import Path

import pandas as pd

from reports.figures.bits import bits_figure, bits_points, bits_reading, bits_takeaway
from reports.wording import escape


def write_bits_page(
    front: pd.DataFrame, shown: list[int], cost: str, layers: list[str], title: str, path: Path
) -> None:
    """Write the page, Plotly included."""
    points = bits_points(front, shown, cost, layers)
    figure = bits_figure(points)
    words = f"{escape(bits_takeaway(points))}<br><sub>{escape(bits_reading(points))}</sub>"
    figure.update_layout(
        title={"text": f"{escape(title)}<br>{words}", "x": 0.02, "font": {"size": 15}}, margin={"t": 130}
    )
    figure.update_layout(height=880)
    path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
