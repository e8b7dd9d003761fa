"""The units of a machine over time, tile by tile, as one HTML page that opens offline and zooms."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

COLOURS = {"loader": "#4477aa", "grid": "#228833", "drain": "#ccbb44", "writer": "#ee6677"}
"""Paul Tol's bright set: told apart by people who do not see red and green alike."""


def timeline(intervals: pd.DataFrame, title: str) -> go.Figure:
    """Bars of `intervals` (layer, tile, unit, begin, end in cycles): one line a unit, first unit on top."""
    figure = go.Figure()
    for unit, colour in COLOURS.items():
        part = intervals[intervals["unit"] == unit]
        labels = part["layer"].astype(str) + ", tile " + part["tile"].astype(str)
        figure.add_bar(
            base=part["begin"], x=part["end"] - part["begin"], y=part["unit"], orientation="h", name=unit, text=labels,
            textposition="none", marker={"color": colour, "line": {"width": 0.5, "color": "white"}},
            hovertemplate="%{text}<br>cycles %{base} + %{x}<extra>" + unit + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        title=title, template="plotly_white", barmode="overlay", showlegend=False, xaxis_title="cycle", dragmode="zoom",
        yaxis={"autorange": "reversed", "fixedrange": True}, xaxis={"rangeslider": {"visible": True}}, height=420,
    )  # fmt: skip
    return figure


def write_timeline(intervals: pd.DataFrame, title: str, path: Path) -> None:
    """Write the page, Plotly included."""
    path.write_text(timeline(intervals, title).to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
