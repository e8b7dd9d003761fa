"""The units of a machine over time, tile by tile, as one HTML page that opens offline and zooms."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = {"loader": "#4477aa", "grid": "#228833", "drain": "#ccbb44", "writer": "#ee6677"}
"""Paul Tol's bright set: told apart by people who do not see red and green alike."""


def timeline(intervals: pd.DataFrame, over_time: pd.DataFrame, title: str) -> go.Figure:
    """A line of layers and a line a unit, and below them, on the same cycles, how busy the units are.

    intervals: layer, tile, unit, begin, end in cycles; over_time: begin, and a share for each unit that it has.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    layers = intervals.groupby("layer", sort=False).agg(begin=("begin", "min"), end=("end", "max")).reset_index()
    _add_bars(figure, layers.assign(unit="layer"), layers["layer"].astype(str), "#bbbbbb", "inside")
    for unit, colour in COLOURS.items():
        part = intervals[intervals["unit"] == unit]
        labels = part["layer"].astype(str) + ", tile " + part["tile"].astype(str)
        _add_bars(figure, part, labels, colour, "none")
    for unit in over_time.columns.drop("begin"):
        figure.add_scatter(
            x=over_time["begin"], y=over_time[unit], line={"shape": "hv", "color": COLOURS[unit], "width": 1.5}, name=unit,
            hovertemplate="from cycle %{x}: %{y:.0%}<extra>" + unit + "</extra>", row=2, col=1,
        )  # fmt: skip
    figure.update_layout(
        title=title, template="plotly_white", barmode="overlay", showlegend=False, dragmode="zoom", height=560
    )
    figure.update_yaxes(fixedrange=True)
    figure.update_yaxes(autorange="reversed", row=1, col=1)
    figure.update_yaxes(title="busy", range=[0, 1.02], tickformat=".0%", row=2, col=1)
    figure.update_xaxes(title="cycle", row=2, col=1)
    return figure


def _add_bars(figure: go.Figure, part: pd.DataFrame, labels: pd.Series, colour: str, text: str) -> None:
    figure.add_bar(
        base=part["begin"], x=part["end"] - part["begin"], y=part["unit"], orientation="h", text=labels, textposition=text,
        customdata=part["end"], marker={"color": colour, "line": {"width": 0.5, "color": "white"}},
        hovertemplate="%{text}<br>cycle %{base} to %{customdata}<extra></extra>", insidetextanchor="middle", row=1, col=1,
    )  # fmt: skip


def write_timeline(intervals: pd.DataFrame, over_time: pd.DataFrame, title: str, path: Path) -> None:
    """Write the page, Plotly included."""
    page = timeline(intervals, over_time, title).to_html(include_plotlyjs=True, full_html=True)
    path.write_text(page, encoding="utf-8")
