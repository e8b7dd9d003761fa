"""Many columns of many designs at once: parallel coordinates, which can be brushed, and a matrix of scatter plots."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.columns import Column, describe, values_of
from reports.figures import style
from reports.wording import design_words, escape

MOST_ROWS = 3000
MOST_TEXTS = 30
"""Different texts of a column that an axis can still name."""


class ExplorePoints(NamedTuple):
    """What the figures show: the designs, one a row with `on_front` and `words`; the columns with an axis; which are objectives."""

    table: pd.DataFrame
    axes: tuple[str, ...]
    objectives: tuple[str, ...]


def explore_points(
    points: pd.DataFrame, front: pd.DataFrame, knobs: Sequence[str], objectives: Sequence[str]
) -> ExplorePoints:
    """The front and a sample of the rest, each design once; knobs and objectives that vary get an axis."""
    both = pd.concat([front, points[~points["row"].isin(front["row"])]], ignore_index=True).iloc[:MOST_ROWS]
    table = both.assign(
        on_front=both["row"].isin(front["row"]), words=[design_words(row) for _, row in both.iterrows()]
    )
    wanted = [name for name in dict.fromkeys([*knobs, *objectives]) if name in table.columns]
    axes = tuple(name for name in wanted if table[name].nunique() > 1 and _drawable(table[name]))
    return ExplorePoints(table, axes, tuple(name for name in objectives if name in axes))


def _drawable(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or values.nunique() <= MOST_TEXTS)


def parallel_figure(points: ExplorePoints) -> go.Figure:
    """One line a design across all axes; drag along an axis to keep a range. Designs of the front are dark."""
    figure = go.Figure(
        go.Parcoords(
            dimensions=[_dimension(points.table[name], describe(name)) for name in points.axes],
            line={"color": points.table["on_front"].astype(int).tolist(),
                  "colorscale": [[0, "#c9c7c2"], [1, style.ACCENT]], "cmin": 0, "cmax": 1},
            labelangle=-20,
        )
    )  # fmt: skip
    figure.update_layout(style.blank(560))
    figure.update_layout(margin={"t": 120, "l": 80, "r": 80})
    return figure


def _dimension(values: pd.Series, column: Column) -> dict[str, object]:
    label = escape(column.heading)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return {"label": label, "values": (values * column.scale).tolist()}
    texts = sorted(values.astype(str).unique())
    places = {text: place for place, text in enumerate(texts)}
    return {
        "label": label, "values": [places[text] for text in values.astype(str)],
        "tickvals": list(range(len(texts))), "ticktext": [escape(text) for text in texts],
    }  # fmt: skip


def matrix_figure(points: ExplorePoints) -> go.Figure:
    """Every objective against every other, on logarithmic axes where they span much."""
    figure = go.Figure()
    for on_front, name, size in ((False, "feasible", 3), (True, "front", 6)):
        part = points.table[points.table["on_front"] == on_front]
        figure.add_trace(
            go.Splom(
                dimensions=[
                    {"label": escape(describe(column).heading), "values": (values_of(part, column) * describe(column).scale).tolist()}
                    for column in points.objectives
                ],
                name=name, text=[escape(words) for words in part["words"]], diagonal_visible=False, showupperhalf=False,
                marker={"size": size, "color": style.ACCENT if on_front else "#b9bcc4", "opacity": 0.9 if on_front else 0.5},
            )
        )  # fmt: skip
    figure.update_layout(style.blank(240 * max(2, len(points.objectives))))
    for place, column in enumerate(points.objectives, start=1):
        if style.needs_log(points.table[column]):
            suffix = "" if place == 1 else str(place)
            figure.update_layout({f"xaxis{suffix}": {"type": "log"}, f"yaxis{suffix}": {"type": "log"}})
    return figure
