"""The designs that cannot be improved in one objective without losing in another, among all that were feasible."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.columns import COLUMNS, Column, chosen, describe, values_of
from reports.figures import style
from reports.wording import counted, design_words, factor, quantity

MOST_POINTS = 5000
MOST_PANELS = 2
FLAT = 2  # objectives that one panel shows completely


class ParetoPoints(NamedTuple):
    """What the figure shows.

    `table` holds one row per design: row, precision, machine, on_front, linked (the page has a row for it), words, and
    the objectives in the units that people read.
    """

    table: pd.DataFrame
    objectives: tuple[Column, ...]
    winner_row: int | None


def pareto_points(
    points: pd.DataFrame, front: pd.DataFrame, decision: pd.DataFrame, objectives: Sequence[str], linked: Sequence[int]
) -> ParetoPoints:
    """The front and a bounded sample of the designs behind it, each design once. `linked` are rows with a link."""
    columns = tuple(describe(name) for name in objectives)
    kept = thin(front, MOST_POINTS)
    named = decision[~decision["row"].isin(front["row"])]
    behind = points[~points["row"].isin([*front["row"], *named["row"]])]
    parts = (thin(behind, max(0, MOST_POINTS - len(kept))), named, kept)
    table = pd.concat([_design_rows(part, columns) for part in parts])
    table["on_front"] = table["row"].isin(front["row"])
    table["linked"] = table["row"].isin(list(linked))
    winners = chosen(decision)
    return ParetoPoints(table.reset_index(drop=True), columns, int(winners["row"].iloc[0]) if len(winners) else None)


def thin(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` rows, evenly picked, always the same ones."""
    if len(table) <= limit:
        return table
    return table.iloc[[place * len(table) // limit for place in range(limit)]]


def _design_rows(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    shown = pd.DataFrame(
        {name: table[name] for name in ("row", "precision", "machine")}, columns=["row", "precision", "machine"]
    )
    shown["words"] = [design_words(row) for _, row in table.iterrows()]
    for column in columns:
        shown[column.name] = values_of(table, column.name) * column.scale
    return shown.astype({"precision": str, "machine": str})


def pareto_takeaway(points: ParetoPoints) -> str:
    """How many designs are worth a look, and how much there is to win between them."""
    front = points.table[points.table["on_front"]]
    if len(points.objectives) == 1:
        return _best_of_one(front.iloc[0], points.objectives[0])
    if len(front) == 1:
        return "One design is best in every objective at once."
    spans = [_span(front[column.name], column) for column in points.objectives]
    return f"{counted(len(front), 'design')} are unbeaten; between them {_listed([span for span in spans if span])}."


def _best_of_one(best: pd.Series, column: Column) -> str:
    value = quantity(float(best[column.name]) / column.scale, column)
    return f"The best {column.label.lower()} is {value}, at {best['precision']}" + (
        f" with {best['words']}." if best["words"] else "."
    )


def _span(values: pd.Series, column: Column) -> str:
    """How far the values of one objective lie apart: a factor, or a range for a share."""
    low, high = float(values.min()), float(values.max())
    if column.unit == "1":
        return f"{column.label.lower()} runs from {low:.1f} to {high:.1f} %" if high > low else ""
    return f"{column.label.lower()} spans {factor(high / low)}" if low > 0 and high > low else ""


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing is left to trade"


def pareto_reading(points: ParetoPoints) -> str:
    """How to read the figure."""
    many = "The front is taken over all objectives at once, so a full mark may look beaten in one panel. "
    return (
        "Each mark is one design: circles are xnor-popcount arrays, squares integer multipliers; pale marks are "
        f"feasible designs that a full mark beats. {many if len(points.objectives) > FLAT else ''}"
        "Point at a mark to see the design, click a full one to go to its row."
    )


def pareto_figure(points: ParetoPoints, colours: Mapping[str, str]) -> go.Figure:
    """Objective against objective, one panel per pair with the first; by precision when there is only one objective."""
    pairs = _pairs(points)
    figure = make_subplots(rows=1, cols=len(pairs), horizontal_spacing=0.11)
    figure.update_layout(style.blank(500))
    for panel, pair in enumerate(pairs, start=1):
        _draw_panel(figure, points, pair, panel, colours)
    _legend(figure, points, colours)
    return figure


def _pairs(points: ParetoPoints) -> list[tuple[Column, Column]]:
    """The columns of each panel, x first."""
    first, others = points.objectives[0], points.objectives[1 : 1 + MOST_PANELS]
    return [(first, other) for other in others] or [(first, COLUMNS["precision"])]


def _draw_panel(
    figure: go.Figure, points: ParetoPoints, pair: tuple[Column, Column], panel: int, colours: Mapping[str, str]
) -> None:
    x, y = pair
    order = style.in_order(points.table["precision"])
    for on_front in (False, True):
        for precision in order:
            part = points.table[(points.table["on_front"] == on_front) & (points.table["precision"] == precision)]
            heights = _heights(part, y, order)
            figure.add_trace(_trace(part, heights, points, x, style.colour_of(precision, colours)), row=1, col=panel)
            figure.data[-1].update(name=precision, legendgroup=precision, showlegend=False)
    _mark_winner(figure, points, pair, panel, colours)
    figure.update_xaxes(style.quantity_axis(x, points.table[x.name]), row=1, col=panel)
    vertical = (
        style.name_axis(order) if y.name == "precision" else style.quantity_axis(y, points.table[y.name], upright=True)
    )
    figure.update_yaxes(vertical, row=1, col=panel)


def _heights(part: pd.DataFrame, y: Column, order: Sequence[str]) -> list[float]:
    if y.name == "precision":
        return [float(order.index(precision)) for precision in part["precision"]]
    return [float(value) for value in part[y.name]]


def _trace(part: pd.DataFrame, heights: list[float], points: ParetoPoints, x: Column, colour: str) -> go.Scatter:
    """The designs of one precision, on the front or behind it; `part` holds only one of the two kinds."""
    on_front = bool(part["on_front"].any())
    return go.Scatter(
        x=[float(value) for value in part[x.name]],
        y=heights,
        mode="markers",
        customdata=[int(row) if link else None for row, link in zip(part["row"], part["linked"], strict=True)],
        hovertext=[_hover(row, points.objectives) for _, row in part.iterrows()],
        hoverinfo="text",
        marker={
            "color": colour,
            "size": 9 if on_front else 5,
            "opacity": 1.0 if on_front else 0.28,
            "symbol": [style.SYMBOLS.get(machine, "circle") for machine in part["machine"]],
            "line": {"width": 0.8 if on_front else 0, "color": style.PAPER},
        },
    )


def _hover(row: pd.Series, objectives: Sequence[Column]) -> str:
    facts = [("", row["words"])] if row["words"] else []
    facts += [(column.label, quantity(float(row[column.name]) / column.scale, column)) for column in objectives]
    facts += [("Row", str(int(row["row"])))] if row["linked"] else []
    return style.hover(f"{row['precision']}, {style.MACHINES.get(row['machine'], row['machine'])}", facts)


def _mark_winner(
    figure: go.Figure, points: ParetoPoints, pair: tuple[Column, Column], panel: int, colours: Mapping[str, str]
) -> None:
    """A ring and a word around the design that the decision names."""
    x, y = pair
    order = style.in_order(points.table["precision"])
    winner = points.table[points.table["row"] == points.winner_row].head(1)
    if winner.empty:
        return
    dot = _trace(
        winner.assign(on_front=True),
        _heights(winner, y, order),
        points,
        x,
        style.colour_of(winner["precision"].iloc[0], colours),
    )
    figure.add_trace(dot.update(showlegend=False, name="chosen design"), row=1, col=panel)
    figure.add_trace(style.ring([float(winner[x.name].iloc[0])], _heights(winner, y, order)), row=1, col=panel)


def _legend(figure: go.Figure, points: ParetoPoints, colours: Mapping[str, str]) -> None:
    """An entry for each precision, and one for the shape of each machine when both occur."""
    for precision in style.in_order(points.table["precision"]):
        entry = style.legend_entry(precision, "circle", style.colour_of(precision, colours))
        figure.add_trace(entry.update(legendgroup=precision))
    machines = [machine for machine in style.SYMBOLS if machine in set(points.table["machine"])]
    for machine in machines if len(machines) > 1 else []:
        figure.add_trace(style.legend_mark(machine))
