"""How a search got better: hypervolume over the designs that a sampler asked for."""

import pandas as pd
import plotly.graph_objects as go

from reports.columns import describe
from reports.figures import style
from reports.wording import counted, percent, quantity

NEARLY = 0.95
AXES = ("designs", "hypervolume")


def growth_takeaway(growth: pd.DataFrame) -> str:
    """When the search had nearly all that it found, and when it found the last of it."""
    designs, values = growth["designs"], growth["hypervolume"]
    last, end = float(values.iloc[-1]), int(designs.iloc[-1])
    near, best = (int(designs[values >= level].iloc[0]) for level in (NEARLY * last, last))
    tail = "it still grew at the end" if best == end else f"nothing better came after {best:,}"
    return f"{percent(NEARLY)} of the hypervolume was reached by {counted(near, 'design')} of {end:,}; {tail}."


def growth_reading() -> str:
    """How to read the figure."""
    return (
        "The share of the box between the best and the worst value seen of every objective (on logarithmic scales) that the designs "
        "so far dominate. A line that still climbs at its end asks for a larger budget; the box is that of this run, so compare "
        "shapes of two runs, not heights."
    )


def growth_figure(growth: pd.DataFrame) -> go.Figure:
    """One line of steps; a box tells the best of every objective so far."""
    figure = go.Figure(
        go.Scatter(
            x=growth["designs"].tolist(), y=growth["hypervolume"].tolist(), mode="lines+markers", showlegend=False,
            line={"shape": "hv", "color": style.ACCENT, "width": 2}, marker={"size": 4},
            hovertext=[_hover(row) for _, row in growth.iterrows()], hoverinfo="text",
        )
    )  # fmt: skip
    figure.update_layout(style.blank(380))
    figure.update_xaxes(style.value_axis("Designs asked for"), rangemode="tozero")
    figure.update_yaxes(style.value_axis("Hypervolume, more is better"), rangemode="tozero", tickformat=".2f")
    return figure


def _hover(row: pd.Series) -> str:
    best = [
        (column.label, quantity(float(row[column.name]), column)) for column in map(describe, row.index[len(AXES) :])
    ]
    return style.hover(
        f"{int(row['designs']):,} designs, hypervolume {row['hypervolume']:.3f}", [("best so far", ""), *best]
    )
