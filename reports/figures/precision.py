"""What each precision costs at its best design: accuracy against cost, xnor-popcount against integer multipliers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.columns import COLUMNS, Column, is_chosen, known, values_of
from reports.figures import style
from reports.wording import counted, design_words, escape, factor, is_missing, quantity

NOUN = "precision"
COSTS = (COLUMNS["energy_nj"], COLUMNS["latency_us"], COLUMNS["area_mm2"], COLUMNS["lut"])


class _Panel(NamedTuple):
    """One cost across, one mark per row of `points` at its height; `place` counts panels from the left, from 1."""

    points: pd.DataFrame
    column: Column
    heights: Sequence[float]
    place: int
    colours: Mapping[str, str]

    @property
    def twin(self) -> str:
        """The column of the same cost of the integer-multiplier twin."""
        return f"mac_{self.column.name}"


def precision_points(decision: pd.DataFrame) -> pd.DataFrame:
    """One row per precision, few bits first.

    Columns: row, precision, words, winner, accuracy in per cent, the costs, and mac_<cost> of the twin.
    """
    table = pd.DataFrame({"row": decision["row"], "precision": decision["precision"].astype(str)})
    table["words"] = [design_words(row) for _, row in decision.iterrows()]
    table["winner"] = is_chosen(decision)
    table["accuracy"] = 100 * values_of(decision, "accuracy")
    for column in COSTS:
        table[column.name] = values_of(decision, column.name)
        table[f"mac_{column.name}"] = values_of(decision, f"mac_{column.name}")
    return table.sort_values("precision", key=lambda names: names.map(style.precision_key)).reset_index(drop=True)


def cost_columns(points: pd.DataFrame) -> tuple[Column, ...]:
    """The costs that the points carry: area on an ASIC, logic on an FPGA."""
    return known(points, COSTS)


def accuracy_takeaway(points: pd.DataFrame) -> str:
    """What the chosen precision gives up in accuracy against the best one, and what that saves."""
    best = points.loc[points["accuracy"].idxmax()]
    winner = points[points["winner"] & points["accuracy"].notna()].head(1)
    if winner.empty:
        return f"The most accurate precision is {best['precision']} at {best['accuracy']:.1f} %."
    mine = winner.iloc[0]
    return f"{mine['precision']} reaches {mine['accuracy']:.1f} %" + _compared(mine, best)


def _compared(mine: pd.Series, best: pd.Series) -> str:
    if mine["precision"] == best["precision"]:
        return ", and no other precision is more accurate."
    gap = f", {best['accuracy'] - mine['accuracy']:.1f} points below {best['precision']}"
    ratio = best["energy_nj"] / mine["energy_nj"]
    return f"{gap}, for {_times_less(ratio, 'energy')}." if ratio > 0 else f"{gap}."


def _times_less(ratio: float, noun: str) -> str:
    return f"{factor(ratio)} less {noun}" if ratio >= 1 else f"{factor(1 / ratio)} more {noun}"


def accuracy_reading(points: pd.DataFrame) -> str:
    """How to read the accuracy figure."""
    unknown = int(points["accuracy"].isna().sum())
    twin = " A square is the best design with integer multipliers at the same precision, joined by a line."
    return (
        "Each circle is one precision (activation bits x weight bits) at its best design; up and left is better."
        f"{twin if _has_twins(points) else ''}"
        f"{f' Not shown for want of a known accuracy: {counted(unknown, NOUN)}.' if unknown else ''}"
    )


def _has_twins(points: pd.DataFrame) -> bool:
    return any(bool(points[f"mac_{column.name}"].notna().any()) for column in COSTS)


def accuracy_figure(points: pd.DataFrame, colours: Mapping[str, str]) -> go.Figure:
    """Accuracy against energy and against latency, one mark per precision."""
    shown = points[points["accuracy"].notna()].reset_index(drop=True)
    costs = [column for column in cost_columns(shown) if column.name in ("energy_nj", "latency_us")]
    figure = make_subplots(rows=1, cols=max(1, len(costs)), shared_yaxes=True, horizontal_spacing=0.05)
    figure.update_layout(style.blank(430))
    for place, column in enumerate(costs, start=1):
        panel = _Panel(shown, column, list(shown["accuracy"]), place, colours)
        _draw(figure, panel)
        _label(figure, panel)
    figure.update_yaxes(style.value_axis(""))
    figure.update_yaxes(style.quantity_axis(COLUMNS["accuracy"], shown["accuracy"], upright=True), col=1)
    _twin_legend(figure, points)
    return figure


def _label(figure: go.Figure, panel: _Panel) -> None:
    """The name of the precision beside each mark; the chosen one says so."""
    names = go.Scatter(
        x=list(panel.points[panel.column.name]),
        y=list(panel.heights),
        mode="markers+text",
        marker={"size": 13, "opacity": 0},  # not seen, but it keeps the text off the mark below it
        text=[escape(name) for name in _row_names(panel.points)],
        textfont={"color": [style.ACCENT if win else style.INK for win in panel.points["winner"]]},
        textposition=_label_places(panel.points, panel.column.name),
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        name="names",
    )
    figure.add_trace(names, row=1, col=panel.place)


def _label_places(shown: pd.DataFrame, name: str) -> list[str]:
    """Labels go above and below in turn along the axis, so that neighbours stay clear; the chosen one is long, and goes above."""
    rank = shown[name].rank(method="first").fillna(0).astype(int)
    return [
        "top center" if win else "top left" if place % 2 else "bottom right"
        for place, win in zip(rank, shown["winner"], strict=True)
    ]


def cost_takeaway(points: pd.DataFrame) -> str:
    """Where the decomposition into binary branches pays, against integer multipliers of the same widths."""
    ratio = (points["mac_energy_nj"] / points["energy_nj"]).dropna()
    if ratio.empty:
        return _cost_range(points)
    wins, all_of_them = ratio[ratio > 1], counted(len(ratio), NOUN)
    if wins.empty:
        return f"Integer multipliers need no more energy than xnor-popcount at any of {all_of_them}."
    most = f"up to {factor(float(wins.max()))} less (at {points['precision'][wins.idxmax()]})"
    return f"xnor-popcount needs less energy than integer multipliers at {len(wins)} of {all_of_them}, {most}."


def _cost_range(points: pd.DataFrame) -> str:
    column = cost_columns(points)[0]
    values = points[column.name]
    low, high = values.idxmin(), values.idxmax()
    least = f"{points['precision'][low]} needs the least {column.label.lower()}"
    if low == high:
        return f"{least}: {quantity(float(values[low]), column)}."
    return f"{least}, {factor(values[high] / values[low])} less than {points['precision'][high]}."


def cost_reading(points: pd.DataFrame) -> str:
    """How to read the cost figure."""
    twin = (
        " The square is the best design with integer multipliers: a square to the right means that xnor-popcount is "
        "cheaper."
    )
    lead = "One line per precision, its best design as a circle; further left is better."
    return f"{lead}{twin if _has_twins(points) else ''}"


def cost_figure(points: pd.DataFrame, colours: Mapping[str, str]) -> go.Figure:
    """Energy, latency and area (or logic) by precision, with the integer-multiplier twin."""
    costs = cost_columns(points)
    figure = make_subplots(rows=1, cols=len(costs), shared_yaxes=True, horizontal_spacing=0.04)
    figure.update_layout(style.blank(130 + 26 * len(points)))
    heights = [float(place) for place in range(len(points))]
    for place, column in enumerate(costs, start=1):
        _draw(figure, _Panel(points, column, heights, place, colours))
    figure.update_yaxes(style.name_axis(_row_names(points)))
    _twin_legend(figure, points)
    return figure


def _row_names(points: pd.DataFrame) -> list[str]:
    return [f"{name}, chosen" if win else name for name, win in zip(points["precision"], points["winner"], strict=True)]


def _draw(figure: go.Figure, panel: _Panel) -> None:
    """Twins, marks, the ring around the winner, and the axis."""
    if panel.points[panel.twin].notna().any():
        figure.add_trace(_joins(panel), row=1, col=panel.place)
        figure.add_trace(_marks(panel, panel.twin, "mac"), row=1, col=panel.place)
    figure.add_trace(_marks(panel, panel.column.name, "array"), row=1, col=panel.place)
    winner = panel.points[panel.points["winner"]]
    ring = style.ring(list(winner[panel.column.name]), [panel.heights[place] for place in winner.index], "")
    figure.add_trace(ring, row=1, col=panel.place)
    spread = pd.concat([panel.points[panel.column.name], panel.points[panel.twin]])
    figure.update_xaxes(style.quantity_axis(panel.column, spread) | {"nticks": 6}, row=1, col=panel.place)


def _joins(panel: _Panel) -> go.Scatter:
    """A line from each circle to the square of its twin."""
    pairs = zip(panel.points[panel.column.name], panel.points[panel.twin], strict=True)
    return go.Scatter(
        x=[value for pair in pairs for value in (*pair, None)],
        y=[value for height in panel.heights for value in (height, height, None)],
        mode="lines",
        line={"color": "#bdbab2", "width": 1.4},
        hoverinfo="skip",
        showlegend=False,
        name="joins",
    )


def _marks(panel: _Panel, name: str, machine: str) -> go.Scatter:
    """One mark per precision; the design in words belongs to the array only."""
    return go.Scatter(
        x=list(panel.points[name]),
        y=list(panel.heights),
        mode="markers",
        name=style.MACHINES[machine],
        showlegend=False,
        hovertext=[_hover(row, name, machine, panel.column) for _, row in panel.points.iterrows()],
        hoverinfo="text",
        marker={
            "symbol": style.SYMBOLS[machine],
            "size": 11 if machine == "array" else 8,
            "color": [style.colour_of(precision, panel.colours) for precision in panel.points["precision"]],
            "opacity": 1.0 if machine == "array" else 0.75,
            "line": {"width": 0.8, "color": style.PAPER},
        },
    )


def _hover(row: pd.Series, name: str, machine: str, column: Column) -> str:
    facts = [("", row["words"])] if machine == "array" and row["words"] else []
    facts.append((column.label, quantity(float(row[name]), column)))
    if not is_missing(row["accuracy"]):
        facts.append(("Accuracy", f"{row['accuracy']:.1f} %"))
    return style.hover(f"{row['precision']}, {style.MACHINES[machine]}", facts)


def _twin_legend(figure: go.Figure, points: pd.DataFrame) -> None:
    for machine in style.SYMBOLS if _has_twins(points) else ():
        figure.add_trace(style.legend_mark(machine))
    figure.update_layout(showlegend=_has_twins(points))
