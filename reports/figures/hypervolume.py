"""How a search got better: hypervolume over the designs it asked for."""

import pandas as pd
import plotly.graph_objects as go

from reports.figures import style
from reports.wording import escape


def hypervolume_figure(growth: pd.DataFrame, name: str) -> go.Figure:
    """One line; growth: designs, hypervolume (share of the box of all values seen, on logarithmic scales)."""
    figure = go.Figure(
        go.Scatter(
            x=growth["designs"].tolist(), y=growth["hypervolume"].tolist(), mode="lines", name=escape(name),
            line={"shape": "hv", "color": style.ACCENT},
        )
    )  # fmt: skip
    figure.update_layout(style.blank(420))
    figure.update_xaxes(style.value_axis("designs evaluated"))
    figure.update_yaxes(style.value_axis("hypervolume, more is better"), rangemode="tozero")
    return figure
