"""Where integer multipliers win: xnor-popcount against them at every M x K, in area, throughput per area, energy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.figures import style
from reports.wording import counted, escape, number

FORMS = ("mac", "parallel", "serial")
PLANES: Mapping[str, str] = {"parallel": "M x K lanes, planes in parallel", "serial": "one lane, planes in series"}
NAMES: Mapping[str, str] = {"mac": "multipliers", "parallel": "parallel planes", "serial": "serial planes"}
WORDS: Mapping[str, str] = {"parallel": "parallel", "serial": "series"}
WINS, LOSES, DRAW = "#2f7f86", "#b8702e", "#f6f4ee"
WIDEST = 4.0
"""The factor at which a colour is full."""


class Quantity(NamedTuple):
    """One thing that is compared: the ends of its column names, what it is called, whether less of it is better."""

    endings: tuple[str, ...]
    label: str
    less: bool


OWN_CLOCK = ("gmac_s_per_mm2", "gmac_s_per_klut")
QUANTITIES = (
    Quantity(("area_um2", "lut"), "area of the PEs", True),
    Quantity(OWN_CLOCK, "throughput per area of the engine, each at its own clock", False),
    Quantity(("per_mm2", "per_klut"), "throughput per area of the engine", False),
    Quantity(("energy_pj",), "energy of a product", True),
)


class Panel(NamedTuple):
    """One heat map: the factor by which xnor-popcount is better (rows M, columns K), and where no such PE was synthesized."""

    quantity: str
    planes: str
    factors: pd.DataFrame
    outside: pd.DataFrame


def panels(table: pd.DataFrame) -> tuple[Panel, ...]:
    """Of one target, every quantity that the table has, planes in parallel and in series; throughput at equal clocks only where the
    clocks are not known."""
    found: list[Panel] = []
    for quantity in QUANTITIES:
        ending = _ending(table, quantity)
        if "per area" in quantity.label and any("per area" in panel.quantity for panel in found):
            continue
        for planes in PLANES if ending else ():
            ratio = table[f"mac_{ending}"] / table[f"{planes}_{ending}"]
            cells = table.assign(factor=ratio if quantity.less else 1 / ratio)
            found.append(Panel(quantity.label, planes, _grid(cells, "factor"), _grid(cells, "outside_fit")))
    return tuple(found)


def _ending(table: pd.DataFrame, quantity: Quantity) -> str:
    """The end of the column names under which a table has a quantity; "" where it has not."""
    known = (end for end in quantity.endings if f"mac_{end}" in table.columns and table[f"mac_{end}"].notna().any())
    return next(known, "")


def _grid(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table.pivot(index="m", columns="k", values=name).sort_index().sort_index(axis=1)


def crossover_takeaway(found: Sequence[Panel], target: str) -> str:
    """At which M and K multipliers win, one clause a form."""
    said = [
        f"planes in {WORDS[form]} {_verdict([panel for panel in found if panel.planes == form])}" for form in PLANES
    ]
    return f"{target}: {'; '.join(said)}."


def _verdict(found: Sequence[Panel]) -> str:
    """Where one form loses, in which quantity."""
    lost = {panel.quantity: panel.factors < 1 for panel in found}
    if not any(table.to_numpy().any() for table in lost.values()):
        worst = min(float(panel.factors.min(axis=None)) for panel in found)
        return f"win at every M and K, by {number(worst)}x or more"
    return " and ".join(_where(table, quantity) for quantity, table in lost.items())


def _where(lost: pd.DataFrame, quantity: str) -> str:
    """How many pairs are lost, and the one of them with the fewest branches."""
    pairs = [(int(m) * int(k), int(m), int(k)) for m, k in lost[lost].stack().dropna().index]
    if not pairs:
        return f"win everywhere in {quantity}"
    _, m, k = min(pairs)
    return f"lose at {len(pairs)} of {counted(lost.size, 'pair')} in {quantity} (from {m}x{k} on)"


def clock_words(table: pd.DataFrame) -> str:
    """What limits the clock of every form, and how far these clocks are apart; nothing where they are not known."""
    if not any(f"mac_{ending}" in table.columns and table[f"mac_{ending}"].notna().any() for ending in OWN_CLOCK):
        return ""
    clocks = table[[f"{form}_clock_mhz" for form in FORMS]].to_numpy(dtype=float)
    apart = number(float((clocks.max(axis=1) / clocks.min(axis=1)).max()))
    forms: dict[str, list[str]] = {}
    for form, name in NAMES.items():
        forms.setdefault(_limits(table[f"{form}_limit"]), []).append(name)
    said = " and ".join(f"by {parts} for {' and '.join(names)}" for parts, names in forms.items())
    said = f"by {next(iter(forms))} for all three" if len(forms) == 1 else said
    return f" The clock is limited {said}; at equal bits the clocks are at most {apart}x apart."


def _limits(parts: pd.Series) -> str:
    """The part that limits, or each and at how many pairs it does."""
    many = parts.value_counts()
    return " or ".join(
        f"the {part}" + (f" ({counted(times, 'pair')})" if len(many) > 1 else "") for part, times in many.items()
    )


def crossover_reading(found: Sequence[Panel]) -> str:
    """How to read the figure."""
    beyond = any(panel.outside.to_numpy().any() for panel in found)
    marked = " In italics: no PE like that was synthesized, the fit is extrapolated." if beyond else ""
    return (
        "A cell is the factor by which xnor-popcount is better than integer multipliers of the same bits at equal products a cycle: "
        "above 1 (green) it wins, below 1 (brown) multipliers do." + marked
    )


def crossover_figure(found: Sequence[Panel]) -> go.Figure:
    """Heat maps over K and M: a row a quantity, planes in parallel on the left, in series on the right."""
    names, planes = list(dict.fromkeys(panel.quantity for panel in found)), list(PLANES)
    titles = [f"<b>{escape(name[:1].upper() + name[1:])}</b><br>{PLANES[form]}" for name in names for form in planes]
    figure = make_subplots(
        rows=len(names),
        cols=len(planes),
        subplot_titles=titles,
        horizontal_spacing=0.1,
        vertical_spacing=0.26 / len(names),
    )
    figure.update_layout(style.blank(90 + 330 * len(names)))
    figure.update_layout(margin={"t": 64, "l": 52, "r": 20})
    figure.update_annotations(font={"size": 12, "color": style.INK})
    for panel in found:
        row, column = names.index(panel.quantity) + 1, planes.index(panel.planes) + 1
        figure.add_trace(_heat(panel), row=row, col=column)
        figure.update_xaxes(_bits_axis("Weight bits K"), row=row, col=column)
        figure.update_yaxes(_bits_axis("Activation bits M" if column == 1 else ""), row=row, col=column)
    return figure


def _heat(panel: Panel) -> go.Heatmap:
    factors, outside = panel.factors.to_numpy(dtype=float), panel.outside.to_numpy(dtype=bool)
    logs = np.log(factors) / np.log(WIDEST)
    return go.Heatmap(
        z=logs.tolist(), x=[str(k) for k in panel.factors.columns], y=[str(m) for m in panel.factors.index], zmin=-1, zmax=1,
        text=[[f"<i>{number(value, 2)}</i>" if beyond else number(value, 2) for value, beyond in zip(*rows, strict=True)]
              for rows in zip(factors.tolist(), outside.tolist(), strict=True)],
        texttemplate="%{text}", textfont={"size": 10.5}, showscale=False, xgap=1, ygap=1,
        colorscale=[[0, LOSES], [0.5, DRAW], [1, WINS]],
        hovertemplate="M = %{y}, K = %{x}: %{text} times better<extra></extra>",
    )  # fmt: skip


def _bits_axis(title: str) -> dict[str, object]:
    return {
        "type": "category", "title": {"text": title, "font": {"size": 12, "color": style.MUTED}, "standoff": 6},
        "showgrid": False, "fixedrange": True, "ticks": "", "automargin": True,
    }  # fmt: skip


def crossover_picture(table: pd.DataFrame, name: str = "crossover") -> style.Picture:
    """The figure of one target and the words around it."""
    target, width, found = str(table["target"].iloc[0]), int(table["width"].iloc[0]), panels(table)
    heading = f"Where integer multipliers win: {target}, PEs of {width} products"
    takeaway, reading = crossover_takeaway(found, target) + clock_words(table), crossover_reading(found)
    return style.Picture(name, heading, takeaway, reading, crossover_figure(found))
