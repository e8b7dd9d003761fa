"""Where the time and the energy of the chosen design go, layer by layer."""

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.columns import CYCLE_PARTS, ENERGY_PARTS, Column, known, values_of
from reports.figures import style
from reports.wording import counted, percent, quantity, shorten

MOST_LAYERS = 36


class LayerPoints(NamedTuple):
    """Parts per layer, in the order of the network: `table` has a column `layer` and one column per part.

    When `merged` is not 0, the last row is the sum of so many small layers.
    """

    table: pd.DataFrame
    cycles: tuple[Column, ...]
    energy: tuple[Column, ...]
    merged: int


class Stack(NamedTuple):
    """One panel of stacked bars: the column of names, the parts, the place from the left (1, 2), the axis title."""

    name: str
    parts: tuple[Column, ...]
    panel: int
    title: str


def layer_points(layers: pd.DataFrame) -> LayerPoints:
    """Cycles by cause and energy by component; beyond 36 layers the least ones are summed up in a last row."""
    cycles, energy = _used(layers, CYCLE_PARTS), _used(layers, ENERGY_PARTS)
    names = [column.name for column in (*cycles, *energy)]
    table = pd.DataFrame(
        {"layer": layers["layer"].astype(str)} | {name: values_of(layers, name).fillna(0.0) for name in names}
    )
    merged = len(table) - MOST_LAYERS + 1 if len(table) > MOST_LAYERS else 0
    return LayerPoints(_merge(table.reset_index(drop=True), cycles or energy, merged), cycles, energy, merged)


def _used(layers: pd.DataFrame, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The parts that are more than zero somewhere."""
    return tuple(column for column in known(layers, columns) if bool((values_of(layers, column.name) > 0).any()))


def _merge(table: pd.DataFrame, weigh: tuple[Column, ...], least: int) -> pd.DataFrame:
    """The table with its `least` smallest rows (by the sum of `weigh`) summed into one."""
    if not least:
        return table
    weight = table[[column.name for column in weigh]].sum(axis=1)
    kept = weight.sort_values(ascending=False, kind="stable").index[: len(table) - least]
    rest = table.drop(index=kept)
    last = {"layer": f"{len(rest)} smaller layers"} | {name: float(rest[name].sum()) for name in table.columns[1:]}
    return pd.concat([table.loc[kept.sort_values()], pd.DataFrame([last])], ignore_index=True)


def layers_takeaway(points: LayerPoints) -> str:
    """The layer that takes most of the time, and the share of cycles that compute."""
    parts, noun = (points.cycles, "time") if points.cycles else (points.energy, "energy")
    sums = points.table[[column.name for column in parts]].sum(axis=1)
    most = sums.iloc[: len(sums) - (points.merged > 0)].idxmax()
    first = f"Layer {shorten(points.table['layer'][most], 40)} takes {percent(sums[most] / sums.sum())} of the {noun}"
    return f"{first}{_computing(points)}."


def _computing(points: LayerPoints) -> str:
    if "compute_cycles" not in points.table.columns:
        return ""
    total = float(points.table[[column.name for column in points.cycles]].sum().sum())
    return (
        f"; over all layers the array computes in {percent(points.table['compute_cycles'].sum() / total)} of the cycles"
    )


def layers_reading(points: LayerPoints) -> str:
    """How to read the figure."""
    bars = counted(len(points.table), "bar")
    return (
        f"One bar per layer of the chosen design, in the order of the network ({bars}): on the left the cycles by what "
        "the machine did in them, on the right the energy by the component that spent it."
    )


def layers_figure(points: LayerPoints) -> go.Figure:
    """Stacked bars: cycles by cause and energy by component."""
    panels = [(parts, title) for parts, title in ((points.cycles, "Cycles"), (points.energy, "Energy (nJ)")) if parts]
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, horizontal_spacing=0.04)
    figure.update_layout(style.blank(185 + 21 * len(points.table)))
    for panel, (parts, title) in enumerate(panels, start=1):
        add_stack(figure, points.table, Stack("layer", parts, panel, title))
    figure.update_yaxes(style.name_axis(shorten(name) for name in points.table["layer"]))
    return figure


def add_stack(figure: go.Figure, table: pd.DataFrame, stack: Stack) -> None:
    """Stacked bars of the parts, one per row of `table`, with a line of its own for the legend above the figure."""
    totals = table[[part.name for part in stack.parts]].sum(axis=1)
    legend = "legend" if stack.panel == 1 else f"legend{stack.panel}"
    for part in stack.parts:
        figure.add_trace(_bars(table, stack.name, part, totals).update(legend=legend), row=1, col=stack.panel)
    figure.update_xaxes(style.value_axis(stack.title) | {"rangemode": "tozero"}, row=1, col=stack.panel)
    line = _legend_line(float(figure.layout.height), stack.panel, stack.title)
    figure.update_layout({"barmode": "stack", "bargap": 0.28, "margin": {"t": 84}, legend: line})


def _legend_line(height: float, panel: int, title: str) -> dict[str, object]:
    """The legend of a panel as the `panel`-th line from the top; panels are too narrow for a legend each."""
    place = {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1 - (28 * panel - 20) / height,
        "yanchor": "top",
    }
    look = {
        "title": {"text": f"{title.partition(' (')[0]}:  ", "side": "left", "font": {"size": 12, "color": style.MUTED}},
        "font": {"size": 12},
        "traceorder": "normal",
    }
    return {**place, **look, "yref": "container"}


def _bars(table: pd.DataFrame, name: str, part: Column, totals: pd.Series) -> go.Bar:
    return go.Bar(
        x=list(table[part.name]),
        y=list(range(len(table))),
        orientation="h",
        name=part.label,
        marker={"color": style.PART_COLOURS[part.label], "line": {"width": 0.6, "color": style.PAPER}},
        hovertext=[
            style.hover(
                label, [(part.label, f"{quantity(value, part)} ({percent(value / total) if total else '0 %'})")]
            )
            for label, value, total in zip(table[name], table[part.name], totals, strict=True)
        ],
        textposition="none",
        hoverinfo="text",
    )
