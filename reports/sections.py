"""The sections of a page: which tables and figures stand where, under which words."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from reports.columns import describe, is_chosen, values_of
from reports.document import figure_html
from reports.figures.style import NoPicture, Picture
from reports.report import Report, listed_designs
from reports.tables import html_table
from reports.wording import counted, design_words, escape

GLOSSARY = (
    ("Precision MxK", "Activations of M bits times weights of K bits; 2x4 is 2-bit activations and 4-bit weights."),
    (
        "xnor-popcount array",
        "Multiplies M-bit by K-bit numbers as M x K products of single bits: an xnor compares, a popcount adds up.",
    ),
    ("MAC twin", "The best array at the same precision with ordinary integer multipliers: the design to beat."),
    (
        "PE",
        "Processing element: one dot-product unit of the array. '16x8 PEs x 64 bit' is 128 of them, each 64 bits wide.",
    ),
    (
        "Lanes",
        "How many activation bits and weight bits a PE handles at once; '1x1 lanes' takes one pair of bits per cycle.",
    ),
    (
        "Observed toggles",
        "Energies stand for random data, where half of the operand bits change every cycle; the column 'observed toggles' "
        "charges operand registers, xnor and popcount for the bits that changed on real images.",
    ),
    ("Pareto front", "The designs that no other design beats in every objective at once."),
    (
        "fp32 speed-up bound",
        "W/(M*K): word width over binary branches, the most that the decomposition can gain per operation.",
    ),
    ("fp32 weight ratio", "32/K: how many times smaller the weights are than as 32-bit floating point."),
)

DECISION = (
    "precision",
    "design",
    "accuracy",
    "latency_us",
    "energy_nj",
    "observed_energy_nj",
    "power_mw",
    "area_mm2",
    "lut",
    "bram36",
    "dsp",
    "utilisation",
    "model_kib",
    "mac_energy_nj",
    "mac_latency_us",
    "mac_area_mm2",
    "mac_lut",
    "fp32_speedup_bound",
    "fp32_memory_ratio",
)
DESIGNS = (
    "row",
    "precision",
    "machine",
    "design",
    "memory",
    "dataflow",
    "accuracy",
    "latency_us",
    "energy_nj",
    "power_mw",
    "area_mm2",
    "lut",
    "ff",
    "bram36",
    "dsp",
    "utilisation",
    "bandwidth_gbit_s",
    "bound",
)
LAYERS = (
    "layer",
    "kind",
    "macs",
    "latency_us",
    "time_share",
    "energy_nj",
    "utilisation",
    "ops_per_byte",
    "gops",
    "bound",
)

SHORT = {
    "pareto": "Front",
    "growth": "Search",
    "crossover": "Multipliers",
    "accuracy": "Accuracy",
    "cost": "Worth it?",
    "layers": "Layers",
    "roofline": "Roofline",
    "area": "Area",
}


class Section(NamedTuple):
    """One section: its anchor, the word in the contents, its heading, and its body, which is safe HTML."""

    name: str
    short: str
    heading: str
    body: str


def sections(report: Report, drawn: Mapping[str, Picture | NoPicture]) -> tuple[Section, ...]:
    """All sections in the order of the page."""
    return (
        Section("decision", "Decision", "The decision", decision_body(report)),
        *(_figure_section(picture, report) for picture in drawn.values()),
        Section("swept", "Swept", "What was tried, and what could not be built", swept_body(report)),
        Section("designs", "Designs", "The designs, one by one", designs_body(report)),
        Section("limits", "Assumptions", "What these numbers rest on", limits_body(report)),
        Section("provenance", "Versions", "How to get these numbers again", provenance_body(report)),
        Section("words", "Words", "Words used on this page", words_body()),
    )


def _figure_section(picture: Picture | NoPicture, report: Report) -> Section:
    extra = layers_body(report) if picture.name == "layers" else ""
    return Section(picture.name, SHORT[picture.name], picture.heading, figure_html(picture) + extra)


def decision_body(report: Report) -> str:
    """The table of the best design per precision, the chosen one marked by a word and a star."""
    if report.decision.empty:
        return '<p class="absent">No design meets the constraints; the table of reasons below says why.</p>\n'
    table = report.decision.reset_index(drop=True)
    table["design"] = [design_words(row) for _, row in table.iterrows()]
    wins = is_chosen(table)
    heads = [_decision_head(row, win) for (_, row), win in zip(table.iterrows(), wins, strict=True)]
    marks = ['class="winner"' if win else "" for win in wins]
    lead = (
        "One row per precision (activation bits x weight bits) at its best design under the constraints; "
        "a precision links to its design."
    )
    caption = "Best design per precision" + (", the chosen one marked with a star" if any(wins) else "")
    return f"<p>{escape(lead)}</p>\n" + html_table(
        table, caption, columns=_filled(table, DECISION), heads=heads, attributes=marks
    )


def _decision_head(row: pd.Series, winner: bool) -> str:
    link = f'<a href="#row-{int(row["row"])}">{escape(row["precision"])}</a>'
    return f'<span class="mark">★ chosen</span> {link}' if winner else link


def _filled(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of `names` that the table carries and that are not empty from top to bottom."""
    return [name for name in names if name in table.columns and bool(table[name].notna().any())]


def layers_body(report: Report) -> str:
    """The per-layer numbers behind the figure."""
    if report.layers.empty:
        return ""
    times = values_of(report.layers, "latency_us")
    table = report.layers.assign(time_share=times / times.sum())
    return html_table(table, "The chosen design, layer by layer", columns=_filled(table, LAYERS))


def swept_body(report: Report) -> str:
    """The knobs with their values, and the reasons for which designs fell out."""
    return _or_absent(report.swept, "What was swept", "The results do not say what was swept.") + _infeasible(report)


def _infeasible(report: Report) -> str:
    if report.infeasible.empty:
        return '<p class="absent">No design was infeasible.</p>\n'
    counts = values_of(report.infeasible, "count")
    table = report.infeasible.assign(share=counts / counts.sum()).sort_values("count", ascending=False, kind="stable")
    return html_table(table, "Why designs were infeasible", columns=("reason", "count", "share"))


def _or_absent(table: pd.DataFrame, caption: str, absent: str) -> str:
    return f'<p class="absent">{escape(absent)}</p>\n' if table.empty else html_table(table, caption)


def designs_body(report: Report) -> str:
    """The table that the links lead to: the decision and the front, one design a row."""
    table = listed_designs(report)
    if table.empty:
        return '<p class="absent">There is no feasible design to list.</p>\n'
    rows = [int(row) for row in table["row"]]
    heads = [f'<a href="#row-{row}">{row}</a>' for row in rows]
    marks = [f'id="row-{row}" tabindex="-1"' for row in rows]
    same = {
        name: escape(table[name].iloc[0])
        for name in ("machine", "memory", "dataflow", "bound")
        if _is_constant(table, name)
    }
    shown = [name for name in _filled(table, DESIGNS) if name not in same]
    return f"<p>{escape(_listing(report, table))}{_shared(same)}</p>\n" + html_table(
        table, "Designs of the front and of the decision", columns=shown, heads=heads, attributes=marks
    )


def _is_constant(table: pd.DataFrame, name: str) -> bool:
    return name in table.columns and table[name].nunique(dropna=False) == 1 and bool(table[name].notna().all())


def _shared(same: Mapping[str, str]) -> str:
    """What all listed designs have in common, as a sentence instead of columns that never change."""
    return (
        f" All have {', '.join(f'{describe(name).label.lower()} {value}' for name, value in same.items())}."
        if same
        else ""
    )


def _listing(report: Report, table: pd.DataFrame) -> str:
    shown = int(report.front["row"].isin(table["row"]).sum()) if len(report.front) else 0
    whole = "All" if shown == len(report.front) else f"{shown:,} of"
    return (
        f"{whole} {counted(len(report.front), 'design')} of the front and the best design of each precision. "
        "The number of a row is its place in the results table."
    )


def limits_body(report: Report) -> str:
    """What the model leaves out, and each constant with its source."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    constants = _or_absent(report.constants, "Constants and where they come from", "The results list no constants.")
    return (f"<ul>{notes}</ul>\n" if notes else "") + constants


def provenance_body(report: Report) -> str:
    """Versions, hashes, seed and command."""
    return _or_absent(report.provenance, "Versions, hashes, seed and command", "The results carry no versions.")


def words_body() -> str:
    """The glossary."""
    entries = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in GLOSSARY)
    return f"<dl class=words>{entries}</dl>\n"
