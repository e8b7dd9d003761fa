"""Many columns of many designs at once: parallel coordinates, which can be brushed, and a matrix of scatter plots."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.columns import Column, describe, values_of
from reports.figures import style
from reports.wording import cell, design_words, escape

MOST_ROWS = 3000
FEW_VALUES = 12
"""Different values of an axis up to which each has a step of its own."""
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
    """A sample and the front, which is drawn last, each design once; knobs and objectives that vary get an axis."""
    rest = points[~points["row"].isin(front["row"])].iloc[: max(0, MOST_ROWS - len(front))]
    both = pd.concat([rest, front.iloc[:MOST_ROWS]], ignore_index=True)
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
                  "colorscale": [[0, "#d5d3cd"], [1, style.ACCENT]], "cmin": 0, "cmax": 1},
            labelangle=-30, labelfont={"size": 12}, tickfont={"size": 11},
        )
    )  # fmt: skip
    figure.update_layout(style.blank(600))
    figure.update_layout(
        margin={"t": 160, "l": 90, "r": 130, "b": 30}, meta={"least_width": 130 + 58 * len(points.axes)}
    )
    return figure


def _dimension(values: pd.Series, column: Column) -> dict[str, object]:
    """One axis: its few values by name, or a scale, logarithmic where they span much."""
    if values.nunique() <= FEW_VALUES or not pd.api.types.is_numeric_dtype(values):
        return {"label": escape(column.label), **_steps(values, column)}
    shown = values * column.scale
    label = escape(column.heading)
    if not style.needs_log(shown):
        return {"label": label, "values": shown.tolist(), "tickformat": ",.4~g"}
    ticks = [tick for tick in style.log_ticks(shown) if shown.min() <= tick <= shown.max()]
    return {
        "label": label, "values": np.log10(shown).tolist(),
        "tickvals": np.log10(ticks).tolist(), "ticktext": [style.tick_text(tick) for tick in ticks],
    }  # fmt: skip


def _steps(values: pd.Series, column: Column) -> dict[str, object]:
    """An axis with equal steps from one value to the next."""
    names, places = np.unique(
        values if pd.api.types.is_numeric_dtype(values) else values.astype(str), return_inverse=True
    )
    texts = [escape(cell(name, column)) for name in names.tolist()]
    return {"values": places.tolist(), "tickvals": list(range(len(texts))), "ticktext": texts}


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
    many = max(2, len(points.objectives))
    figure.update_layout(style.blank(240 * many))
    figure.update_layout(margin={"l": 90}, meta={"least_width": 100 + 180 * many})
    for place, name in enumerate(points.objectives, start=1):
        column, suffix = describe(name), "" if place == 1 else str(place)
        values = values_of(points.table, name) * column.scale
        look = style.value_axis(escape(column.heading)) | (style.log_scale(values) if style.needs_log(values) else {})
        figure.update_layout({f"{side}axis{suffix}": look for side in "xy"})
    return figure
