"""The front over per-layer bits: what less loss costs, which bits the layers get along it, and what was measured of it."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.columns import Column, describe, values_of
from reports.figures import style
from reports.wording import escape, quantity, shorten

MOST_POINTS = 5000
MOST_BITS = 8
MARKED = "output_noise"
TOP_PX, GAP_PX, LINE_PX = 330, 110, 21
"""Heights of the front, of what lies between it and the maps, and of a layer's line."""


class BitsPoints(NamedTuple):
    """What the figure shows.

    front: point, the cost and the loss of every point. shown: the same of the points to look at, with output_noise and accuracy
    where they were measured. acts, weights: M and K of every layer (rows, network order) at every shown point (columns).
    """

    front: pd.DataFrame
    shown: pd.DataFrame
    cost: Column
    acts: pd.DataFrame
    weights: pd.DataFrame


def bits_points(front: pd.DataFrame, shown: Sequence[int], cost: str, layers: Sequence[str]) -> BitsPoints:
    """From a table with one row a point: `cost`, loss, measurements if any, and `MxK` of every layer in a column of its name."""
    columns = ["point", cost, "loss"]
    step = max(1, -(-len(front) // MOST_POINTS))
    picked = front[front["point"].isin(list(shown))].sort_values("loss", ascending=False)
    measured = picked[columns].assign(**{name: values_of(picked, name) for name in (MARKED, "accuracy")})
    pairs = picked[list(layers)].astype(str)
    bits = [pairs.map(lambda text, side=side: int(text.split("x")[side])).T for side in (0, 1)]
    for table in bits:
        table.columns = picked["point"].tolist()
    return BitsPoints(front[columns].iloc[::step], measured.reset_index(drop=True), describe(cost), *bits)


def bits_takeaway(points: BitsPoints) -> str:
    """How far cost and loss lie apart over the front."""
    low, high = (quantity(float(value), points.cost) for value in _ends(points.front[points.cost.name]))
    return f"{points.cost.label} runs from {low} to {high} over the front."


def bits_reading(points: BitsPoints) -> str:
    """How to read the figure."""
    measured = " Squares are what the executor measured at the same bits." if points.shown[MARKED].notna().any() else ""
    return (
        "Above: every point of the front, and the points picked from it (rings)." + measured
        + " Below: bits of every layer at the picked points, least loss on the right."
    )  # fmt: skip


def bits_figure(points: BitsPoints) -> go.Figure:
    """Cost against loss on top, M and K of the layers below, a line a layer."""
    lines = LINE_PX * len(points.acts)
    inner = TOP_PX + GAP_PX + lines
    figure = make_subplots(
        rows=2, cols=2, specs=[[{"colspan": 2}, None], [{}, {}]], vertical_spacing=GAP_PX / inner, horizontal_spacing=0.03,
        row_heights=[TOP_PX / (TOP_PX + lines), lines / (TOP_PX + lines)], subplot_titles=["", "Activation bits M", "Weight bits K"],
    )  # fmt: skip
    layout = style.blank(inner + 92)
    figure.update_layout(layout)
    figure.update_annotations(font={"size": 12.5, "color": style.INK})
    figure.add_trace(_front(points), row=1, col=1)
    figure.add_trace(_picked(points), row=1, col=1)
    if points.shown[MARKED].notna().any():
        figure.add_trace(_measured(points), row=1, col=1)
    positive = points.front["loss"][points.front["loss"] > 0]
    figure.update_xaxes(style.quantity_axis(points.cost, points.front[points.cost.name]), row=1, col=1)
    figure.update_yaxes(style.quantity_axis(describe("loss"), positive, upright=True), row=1, col=1)
    for place, table in enumerate((points.acts, points.weights), start=1):
        figure.add_trace(_heat(table, "MK"[place - 1]), row=2, col=place)
        figure.update_xaxes(_point_axis(), row=2, col=place)
        figure.update_yaxes(_layer_axis(shown=place == 1), row=2, col=place)
    return figure


def _point_axis() -> dict[str, object]:
    return {
        "type": "category",
        "title": {"text": "Point", "font": {"size": 12.5, "color": style.MUTED}},
        "fixedrange": True,
    }


def _layer_axis(*, shown: bool) -> dict[str, object]:
    """Every layer by name, once: the maps stand side by side."""
    return {
        "type": "category", "autorange": "reversed", "automargin": True, "dtick": 1, "showticklabels": shown, "fixedrange": True,
    }  # fmt: skip


def _ends(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _front(points: BitsPoints) -> go.Scatter:
    return go.Scatter(
        x=points.front[points.cost.name].tolist(), y=points.front["loss"].tolist(), mode="markers", name="front",
        marker={"size": 4, "color": style.ramp_colour(0.3), "opacity": 0.6}, hoverinfo="skip",
    )  # fmt: skip


def _picked(points: BitsPoints) -> go.Scatter:
    return go.Scatter(
        x=points.shown[points.cost.name].tolist(), y=points.shown["loss"].tolist(), mode="markers", name="picked",
        hovertext=[_hover(row, points.cost) for _, row in points.shown.iterrows()], hoverinfo="text",
        marker={"symbol": "circle-open", "size": 13, "color": style.ACCENT, "line": {"width": 2}},
    )  # fmt: skip


def _measured(points: BitsPoints) -> go.Scatter:
    return go.Scatter(
        x=points.shown[points.cost.name].tolist(), y=points.shown[MARKED].tolist(), mode="markers", name="measured",
        hovertext=[_hover(row, points.cost) for _, row in points.shown.iterrows()], hoverinfo="text",
        marker={"symbol": "square", "size": 8, "color": style.ACCENT},
    )  # fmt: skip


def _hover(row: pd.Series, cost: Column) -> str:
    facts = [(column.label, quantity(float(row[column.name]), column)) for column in (cost, describe("loss"))]
    facts += [
        (column.label, quantity(float(row[column.name]), column))
        for column in (describe(MARKED), describe("accuracy"))
        if pd.notna(row[column.name])
    ]
    return style.hover(f"Point {int(row['point'])}", facts)


def _heat(table: pd.DataFrame, letter: str) -> go.Heatmap:
    names = [escape(shorten(str(name))) for name in table.index]
    return go.Heatmap(
        z=table.to_numpy().tolist(), x=[str(point) for point in table.columns], y=names, zmin=1, zmax=MOST_BITS,
        text=table.to_numpy().tolist(), texttemplate="%{text}", textfont={"size": 11}, showscale=False, xgap=1, ygap=1,
        colorscale=[[place / 5, style.ramp_colour(1 - place / 5)] for place in range(6)],
        hovertemplate="point %{x}, %{y}: " + letter + " = %{z}<extra></extra>",
    )  # fmt: skip
