"""What all figures share: colours, symbols, axes and hover boxes."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.columns import Column
from reports.wording import escape

INK = "#1f2430"
MUTED = "#646b78"
RULE = "#e3e1da"
PAPER = "#ffffff"
ACCENT = "#b5371c"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"

# Lightness rises steadily from few bits to many: the order survives every kind of colour blindness and grey print.
_RAMP = ((43, 29, 92), (47, 79, 156), (31, 130, 165), (42, 165, 138), (127, 181, 74), (217, 165, 32))
OTHER_PRECISION = "#8a8f99"

SYMBOLS = {"array": "circle", "mac": "square"}
MACHINES = {"array": "xnor-popcount array", "mac": "integer multipliers"}

# One colour per part of a machine or cause of a cycle; the most useful part is the darkest.
PART_COLOURS = {
    "compute": "#34506b",
    "load": "#7fa8c9",
    "fill": "#c3d5e3",
    "drain": "#dcc9a3",
    "store": "#a98c62",
    "stall": "#7a3550",
    "PEs": "#34506b",
    "post-processing": "#7fa8c9",
    "buffers": "#dcc9a3",
    "memory": "#a98c62",
    "leakage": "#c9c7c2",
    "control": "#c9c7c2",
}

LOG_SPAN = 10.0


class Picture(NamedTuple):
    """A figure and the words that stand around it. `name` is unique on a page; `alt` says what a blind reader needs."""

    name: str
    heading: str
    takeaway: str
    reading: str
    figure: go.Figure

    @property
    def alt(self) -> str:
        """The takeaway and the reading in one text."""
        return f"{self.takeaway} {self.reading}"


class NoPicture(NamedTuple):
    """A figure that cannot be drawn, and why."""

    name: str
    heading: str
    reason: str


def precision_key(precision: str) -> tuple[float, float, str]:
    """Few branches first: MxK sorts by M*K, then by M; any other word comes last."""
    match = re.fullmatch(r"(\d+)x(\d+)", str(precision))
    if match is None:
        return (float("inf"), float("inf"), str(precision))
    act_bits, weight_bits = int(match[1]), int(match[2])
    return (act_bits * weight_bits, act_bits, str(precision))


def in_order(precisions: Iterable[str]) -> list[str]:
    """The distinct precisions from few branches to many."""
    return sorted({str(precision) for precision in precisions}, key=precision_key)


def precision_colours(precisions: Iterable[str]) -> dict[str, str]:
    """One colour per precision, evenly along the ramp; a precision that is not MxK is grey."""
    ordered = in_order(precisions)
    uniform = [precision for precision in ordered if precision_key(precision)[0] != float("inf")]
    steps = max(1, len(uniform) - 1)
    ramp = {precision: ramp_colour(place / steps) for place, precision in enumerate(uniform)}
    return {precision: ramp.get(precision, OTHER_PRECISION) for precision in ordered}


def ramp_colour(place: float) -> str:
    """The colour at `place` in 0..1 along the ramp, as #rrggbb."""
    scaled = place * (len(_RAMP) - 1)
    left = min(int(scaled), len(_RAMP) - 2)
    mixed = [round(a + (b - a) * (scaled - left)) for a, b in zip(_RAMP[left], _RAMP[left + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def colour_of(precision: str, colours: Mapping[str, str]) -> str:
    """The colour of a precision; grey when it has none."""
    return colours.get(str(precision), OTHER_PRECISION)


def needs_log(values: pd.Series) -> bool:
    """Whether positive values span more than a factor of LOG_SPAN; anything at or below zero asks for a linear axis."""
    finite = values[values.notna()]
    if finite.empty or float(finite.min()) <= 0:
        return False
    return float(finite.max()) / float(finite.min()) > LOG_SPAN


def blank(height: int) -> go.Layout:
    """The layout that every figure starts from."""
    return go.Layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 66, "r": 44, "t": 34, "b": 58},
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": "#b9bcc4", "activecolor": INK},
        font={"family": FONT, "size": 12.5, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        hovermode="closest",
        hoverlabel={
            "bgcolor": PAPER,
            "bordercolor": MUTED,
            "font": {"family": FONT, "size": 13, "color": INK},
            "align": "left",
        },
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "font": {"size": 12},
        },
    )


def quantity_axis(column: Column, values: pd.Series, *, upright: bool = False) -> dict[str, object]:
    """The axis of a column with the hint which way is better: under the heading, or after it on an upright axis."""
    title = (", " if upright else "<br>").join(escape(text) for text in (column.heading, column.hint) if text)
    return value_axis(title) | (log_scale(values) if needs_log(values) else {})


def log_scale(values: pd.Series) -> dict[str, object]:
    """A logarithmic axis with few enough ticks for a narrow panel."""
    ticks = log_ticks(values)
    return {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": [tick_text(tick) for tick in ticks]}


def tick_text(tick: float) -> str:
    """A tick in plain digits."""
    return f"{tick:,.10g}"


def log_ticks(values: pd.Series) -> list[float]:
    """Ticks of a logarithmic axis: 1-2-5, 1-3 or 1 in each decade, or in each nth."""
    finite = values[values > 0]
    low, high = math.log10(float(finite.min())), math.log10(float(finite.max()))
    steps = (1, 2, 5) if high - low <= 1.2 else (1, 3) if high - low <= 2.5 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1, max(1, round((high - low) / 6)))
    return [step * 10.0**decade for decade in decades for step in steps]


def value_axis(title: str) -> dict[str, object]:
    """The look of an axis for numbers; `title` is safe already."""
    return {
        "type": "linear",
        "title": {"text": title, "font": {"size": 12.5, "color": MUTED}, "standoff": 8},
        "tickformat": ",",
        "tickangle": 0,
        "gridcolor": RULE,
        "showgrid": True,
        "zeroline": False,
        "showline": True,
        "linecolor": MUTED,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": MUTED,
        "automargin": True,
    }


def name_axis(names: Iterable[str]) -> dict[str, object]:
    """An axis of names at 0, 1, ..., first on top: names that are equal, or look like numbers, stay apart."""
    texts = [escape(name) for name in names]
    return {
        "type": "linear",
        "tickmode": "array",
        "tickvals": list(range(len(texts))),
        "ticktext": texts,
        "range": [len(texts) - 0.5, -0.5],
        "ticklabelstandoff": 6,
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def hover(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """The text of a hover box: a bold title, then one fact a line. Both are escaped here."""
    lines = [
        f"<b>{escape(title)}</b>",
        *(f"{escape(label)}: {escape(text)}" if label else escape(text) for label, text in facts),
    ]
    return "<br>".join(lines)


def ring(x: list[float], y: list[float], word: str = "chosen") -> go.Scatter:
    """The mark of the chosen design: a ring and a word, so that it does not hang on colour."""
    return go.Scatter(
        x=x,
        y=y,
        mode="markers+text",
        text=[word] * len(x),
        textposition="bottom right",
        textfont={"color": ACCENT, "size": 13, "weight": 600},
        marker={"symbol": "circle-open", "size": 17, "color": ACCENT, "line": {"width": 2.2, "color": ACCENT}},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        name="chosen",
    )


def legend_mark(machine: str) -> go.Scatter:
    """A legend entry for the shape of a machine, without any point."""
    return legend_entry(MACHINES[machine], SYMBOLS[machine], MUTED)


def legend_entry(name: str, symbol: str, colour: str) -> go.Scatter:
    """A legend entry without any point."""
    return go.Scatter(
        x=[None], y=[None], mode="markers", name=name, marker={"symbol": symbol, "size": 9, "color": colour}
    )
