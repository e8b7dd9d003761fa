"""How far each layer is from what the array could compute and from what the memory could deliver."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.columns import COLUMNS, values_of
from reports.figures import style
from reports.wording import counted, escape, is_missing, number, percent, shorten

LABELLED = 4
SYMBOLS = {"compute": "circle", "load": "triangle-down", "store": "triangle-up", "drain": "diamond"}


class RooflinePoints(NamedTuple):
    """Layers under a roof.

    `layers`: layer, ops_per_byte, gops, bound, time_share, roof_share (achieved over attainable). `roof`: ops_per_byte
    and gops of its corners, empty when a peak is not known. `ridge`: ops per byte where the slope meets the peak.
    """

    layers: pd.DataFrame
    roof: pd.DataFrame
    ridge: float


def roofline_points(layers: pd.DataFrame, peaks: Mapping[str, float]) -> RooflinePoints:
    """The layers that compute and move data, under the roof min(peak, ops_per_byte * bandwidth)."""
    table = pd.DataFrame(
        {"layer": layers["layer"].astype(str), "bound": layers.get("bound", pd.Series("", index=layers.index))}
    )
    for name in ("ops_per_byte", "gops", "latency_us"):
        table[name] = values_of(layers, name)
    table["time_share"] = table.pop("latency_us") / values_of(layers, "latency_us").sum()
    table = table[
        (table["ops_per_byte"] > 0) & (table["gops"] > 0) & (table["ops_per_byte"] != float("inf"))
    ].reset_index(drop=True)
    peak, bandwidth = peaks.get("peak_gops", float("nan")), peaks.get("memory_gbyte_s", float("nan"))
    table["roof_share"] = table["gops"] / (table["ops_per_byte"] * bandwidth).clip(upper=peak)
    return RooflinePoints(table, _roof(table, peak, bandwidth), peak / bandwidth if bandwidth else float("nan"))


def _roof(table: pd.DataFrame, peak: float, bandwidth: float) -> pd.DataFrame:
    """The three corners of the roof, a little wider than the layers; empty when a peak is not known."""
    if not (peak > 0 and bandwidth > 0) or table.empty:
        return pd.DataFrame({"ops_per_byte": [], "gops": []})
    ridge = peak / bandwidth
    low, high = min(float(table["ops_per_byte"].min()), ridge) / 2, max(float(table["ops_per_byte"].max()), ridge) * 2
    return pd.DataFrame({"ops_per_byte": [low, ridge, high], "gops": [low * bandwidth, peak, peak]})


def roofline_takeaway(points: RooflinePoints) -> str:
    """How many layers wait for the memory, and how close to the roof the slowest one is."""
    slowest = points.layers.loc[points.layers["time_share"].fillna(0.0).idxmax()]
    name = shorten(slowest["layer"], 40)
    if points.roof.empty:
        return f"The slowest layer, {name}, does {number(float(slowest['gops']))} billion binary operations per second."
    starved = f"Memory limits {_starved(points)} of {counted(len(points.layers), 'layer')}"
    return f"{starved}; the slowest layer, {name}, reaches {percent(slowest['roof_share'])} of what it could."


def _starved(points: RooflinePoints) -> int:
    """How many layers wait for memory: by their own word, or by standing left of the ridge when they do not say."""
    said = points.layers["bound"].astype(str)
    if said.isin(SYMBOLS).all():
        return int(said.isin(["load", "store"]).sum())
    return int((points.layers["ops_per_byte"] < points.ridge).sum())


def roofline_reading(points: RooflinePoints) -> str:
    """How to read the figure."""
    marks = "Each mark is a layer; its size is its share of the time, its shape is what limits it. "
    if points.roof.empty:
        return f"{marks}The peaks of the machine are not in these results, so no roof is drawn."
    return (
        f"{marks}No layer can be above the line: its slope is the memory bandwidth, its flat part is the peak of the "
        "array. A mark far below the line wastes what the machine could do."
    )


def roofline_figure(points: RooflinePoints) -> go.Figure:
    """Achieved operations per second against operations per byte, with the roof."""
    figure = go.Figure(layout=style.blank(430))
    if not points.roof.empty:
        figure.add_trace(_roof_line(points))
    for bound in [*(name for name in SYMBOLS if name in set(points.layers["bound"])), *_other_bounds(points)]:
        figure.add_trace(_layer_marks(points, bound))
    for axis, name in (("xaxis", "ops_per_byte"), ("yaxis", "gops")):
        spread = pd.concat([points.layers[name], points.roof[name]])
        figure.update_layout({axis: style.value_axis(escape(COLUMNS[name].heading)) | style.log_scale(spread)})
    return figure


def _other_bounds(points: RooflinePoints) -> list[str]:
    return sorted({str(bound) for bound in points.layers["bound"]} - set(SYMBOLS))


def _roof_line(points: RooflinePoints) -> go.Scatter:
    peak = number(float(points.roof["gops"].iloc[-1]))
    return go.Scatter(
        x=list(points.roof["ops_per_byte"]),
        y=list(points.roof["gops"]),
        mode="lines+text",
        text=["", "", f"peak {peak} Gop/s"],
        textposition="top left",
        textfont={"color": style.MUTED},
        line={"color": style.MUTED, "width": 1.6},
        name="attainable",
        hoverinfo="skip",
    )


def _layer_marks(points: RooflinePoints, bound: str) -> go.Scatter:
    """The layers that one thing limits; the slowest layers carry their names."""
    part = points.layers[points.layers["bound"].astype(str) == bound]
    named = set(points.layers["time_share"].nlargest(LABELLED).index)
    return go.Scatter(
        x=list(part["ops_per_byte"]),
        y=list(part["gops"]),
        mode="markers+text",
        text=[escape(shorten(name, 18)) if place in named else "" for place, name in part["layer"].items()],
        textposition=_label_places(part["ops_per_byte"]),
        cliponaxis=False,
        textfont={"size": 11.5, "color": style.INK},
        name=escape(f"limited by {bound}" if bound else "layer"),
        hovertext=[_hover(row) for _, row in part.iterrows()],
        hoverinfo="text",
        marker={
            "symbol": SYMBOLS.get(bound, "circle"),
            "size": [8 + 22 * (share if not is_missing(share) else 0.0) ** 0.5 for share in part["time_share"]],
            "color": style.PART_COLOURS.get(bound, style.MUTED),
            "opacity": 0.88,
            "line": {"width": 1, "color": style.PAPER},
        },
    )


def _label_places(places: pd.Series) -> list[str]:
    """Labels go below the marks, to the left and to the right in turn, so that neighbours and the roof stay clear."""
    return ["bottom right" if rank % 2 else "bottom left" for rank in places.rank(method="first").astype(int)]


def _hover(row: pd.Series) -> str:
    facts = [(COLUMNS[name].heading, number(float(row[name]))) for name in ("gops", "ops_per_byte")]
    shares = [("Share of time", row["time_share"]), ("Of what it could reach", row["roof_share"])]
    return style.hover(
        row["layer"], facts + [(label, percent(share)) for label, share in shares if not is_missing(share)]
    )
