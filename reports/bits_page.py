"""The front over bits as one HTML page that opens offline."""

from pathlib import Path

import pandas as pd

from reports.document import figure_page, write_document
from reports.figures.bits import bits_figure, bits_points, bits_reading, bits_takeaway
from reports.figures.style import Picture


def write_bits_page(
    front: pd.DataFrame, shown: list[int], cost: str, layers: list[str], title: str, path: Path
) -> None:
    """Write the page, Plotly included."""
    points = bits_points(front, shown, cost, layers)
    picture = Picture("bits", "Bits of every layer", bits_takeaway(points), bits_reading(points), bits_figure(points))
    write_document(figure_page(title, "", [picture]), path)
