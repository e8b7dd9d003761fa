"""The units of a machine over time, tile by tile, as one HTML page that opens offline and zooms."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.document import figure_page, write_document
from reports.figures import style
from reports.wording import escape, percent

COLOURS = {"loader": "#4477aa", "grid": "#228833", "drain": "#ccbb44", "writer": "#ee6677"}
"""Paul Tol's bright set: told apart by people who do not see red and green alike."""
READING = (
    "One line a unit, one bar a tile, and the layers above them; below, the share of time that a unit works. "
    "Drag to zoom into some cycles, double-click to come back; a box names layer, tile and cycles."
)


def timeline(intervals: pd.DataFrame, over_time: pd.DataFrame) -> go.Figure:
    """A line of layers and a line a unit, and below them, on the same cycles, how busy the units are.

    intervals: layer, tile, unit, begin, end in cycles; over_time: begin, and a share for each unit that it has.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    figure.update_layout(style.blank(520))
    layers = intervals.groupby("layer", sort=False).agg(begin=("begin", "min"), end=("end", "max")).reset_index()
    _add_bars(figure, layers.assign(unit="layer"), layers["layer"].astype(str), "#c9c7c2", "inside")
    for unit, colour in COLOURS.items():
        part = intervals[intervals["unit"] == unit]
        labels = part["layer"].astype(str) + ", tile " + part["tile"].astype(str)
        _add_bars(figure, part, labels, colour, "none")
    for unit in over_time.columns.drop("begin"):
        figure.add_scatter(
            x=over_time["begin"], y=over_time[unit], line={"shape": "hv", "color": COLOURS[unit], "width": 1.5}, name=unit,
            hovertemplate="from cycle %{x}: %{y:.0%}<extra>" + unit + "</extra>", row=2, col=1, showlegend=True,
        )  # fmt: skip
    # A name that does not fit its bar would lie over the next one.
    figure.update_layout(barmode="overlay", dragmode="zoom", bargap=0.25, uniformtext={"mode": "hide", "minsize": 10})
    figure.update_xaxes(style.value_axis("") | {"range": [0, int(intervals["end"].max())]})
    figure.update_xaxes(showticklabels=False, row=1, col=1)
    figure.update_xaxes(title_text="Cycle", row=2, col=1)
    figure.update_yaxes({"autorange": "reversed", "fixedrange": True, "automargin": True, "ticks": ""}, row=1, col=1)
    figure.update_yaxes(
        style.value_axis("Busy") | {"range": [0, 1.02], "tickformat": ".0%", "fixedrange": True}, row=2, col=1
    )
    return figure


def _add_bars(figure: go.Figure, part: pd.DataFrame, labels: pd.Series, colour: str, text: str) -> None:
    figure.add_bar(
        base=part["begin"], x=part["end"] - part["begin"], y=part["unit"], orientation="h",
        text=[escape(label) for label in labels], textposition=text, textangle=0, constraintext="inside",
        customdata=part["end"], marker={"color": colour, "line": {"width": 0.5, "color": "white"}}, showlegend=False,
        hovertemplate="%{text}<br>cycle %{base} to %{customdata}<extra></extra>", insidetextanchor="middle", row=1, col=1,
    )  # fmt: skip


def timeline_takeaway(intervals: pd.DataFrame) -> str:
    """How much of the time the grid computes."""
    end, grid = int(intervals["end"].max()), intervals[intervals["unit"] == "grid"]
    return f"The grid works in {percent(float((grid['end'] - grid['begin']).sum()) / end)} of the time."


def write_timeline(intervals: pd.DataFrame, over_time: pd.DataFrame, title: str, path: Path) -> None:
    """Write the page, Plotly included."""
    figure = timeline(intervals, over_time)
    picture = style.Picture("timeline", "Units over time", timeline_takeaway(intervals), READING, figure)
    write_document(figure_page(title, "", [picture]), path)
