"""What the chip is made of and what spends the energy, precision by precision."""

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.columns import AREA_PARTS, ENERGY_PARTS, LUT_PARTS, Column, is_chosen, known, values_of
from reports.figures import style
from reports.figures.layers import Stack, add_stack
from reports.wording import percent, quantity


class AreaPoints(NamedTuple):
    """One row per precision, few bits first: precision, label (the winner says so), winner, and one column per part."""

    table: pd.DataFrame
    area: tuple[Column, ...]
    energy: tuple[Column, ...]


def area_points(decision: pd.DataFrame) -> AreaPoints:
    """Area by component (or logic on an FPGA) and energy by component of the best design of each precision."""
    area = known(decision, AREA_PARTS) or known(decision, LUT_PARTS)
    energy = known(decision, ENERGY_PARTS)
    table = pd.DataFrame({"precision": decision["precision"].astype(str), "winner": is_chosen(decision)})
    table["label"] = [
        f"{name}, chosen" if win else name for name, win in zip(table["precision"], table["winner"], strict=True)
    ]
    for column in (*area, *energy):
        table[column.name] = values_of(decision, column.name).fillna(0.0)
    table = table.sort_values("precision", key=lambda names: names.map(style.precision_key)).reset_index(drop=True)
    return AreaPoints(table, area, energy)


def area_takeaway(points: AreaPoints) -> str:
    """The largest component of the chosen design; of all designs together when none is chosen."""
    rows = points.table[points.table["winner"]].head(1)
    whose = f"the chosen {rows['precision'].iloc[0]} design" if len(rows) else "these designs together"
    rows = rows if len(rows) else points.table
    noun = "logic" if points.area and points.area[0].unit == "LUT" else "area"
    shares = [_largest(rows, parts, word) for parts, word in ((points.area, noun), (points.energy, "energy")) if parts]
    return f"In {whose} {' and '.join(shares)}."


def _largest(rows: pd.DataFrame, parts: tuple[Column, ...], noun: str) -> str:
    sums = {part.label: float(rows[part.name].sum()) for part in parts}
    label, total = max(sums, key=lambda key: sums[key]), sum(sums.values())
    verb = "takes" if label in ("memory", "leakage", "control", "post-processing") else "take"
    size = f" ({quantity(total, parts[0])})" if len(rows) == 1 else ""
    return f"{label} {verb} {percent(sums[label] / total if total else 0.0)} of the {noun}{size}"


def area_reading() -> str:
    """How to read the figure."""
    return (
        "One bar per precision at its best design, split by component; a longer bar costs more. "
        "The designs may differ in the size of the array."
    )


def area_figure(points: AreaPoints) -> go.Figure:
    """Stacked bars: area (or logic) by component and energy by component."""
    panels = [parts for parts in (points.area, points.energy) if parts]
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, horizontal_spacing=0.04)
    figure.update_layout(style.blank(175 + 24 * len(points.table)))
    for panel, parts in enumerate(panels, start=1):
        title = {"mm2": "Area (mm²)", "LUT": "Logic (LUT)", "nJ": "Energy per inference (nJ)"}[parts[0].unit]
        add_stack(figure, points.table, Stack("precision", parts, panel, title))
    figure.update_yaxes(style.name_axis(points.table["label"]))
    return figure
