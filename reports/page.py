"""A report as one HTML file: what stands where."""

from pathlib import Path

from reports.document import document, write_document
from reports.figures.style import Picture
from reports.gallery import pictures
from reports.report import Report
from reports.sections import Section, sections
from reports.wording import escape


def write_page(report: Report, path: Path) -> Path:
    """Write the page, all of it or nothing, and return its path. OSError names the path when that cannot be done."""
    return write_document(render_page(report), path)


def render_page(report: Report) -> str:
    """The whole page as text. The same report always gives the same text."""
    drawn = pictures(report)
    parts = sections(report, drawn)
    body = _header(report) + _contents(parts) + "<main>" + "".join(_section(part) for part in parts) + "</main>"
    return document(report.title, body, [picture for picture in drawn.values() if isinstance(picture, Picture)])


COUNTS = (
    ("rows", "designs in the space"),
    ("skipped", "skipped by bounds"),
    ("evaluated", "evaluated"),
    ("feasible", "feasible"),
    ("front", "on the Pareto front"),
)
"""What the page counts, in order; a count of none is left out."""


def _header(report: Report) -> str:
    counts = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{report.counts[key]:,}</dd></div>"
        for key, label in COUNTS
        if report.counts.get(key)
    )
    return (
        f'<header><p class="kicker">{escape(report.title)}</p>\n<h1>{escape(report.question)}</h1>\n'
        f'<p class="answer">{escape(report.answer)}</p>\n'
        f"{f'<dl class=counts>{counts}</dl>' if counts else ''}</header>\n"
    )


def _contents(parts: tuple[Section, ...]) -> str:
    links = "".join(f'<li><a href="#{part.name}">{escape(part.short)}</a></li>' for part in parts)
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n'


def _section(part: Section) -> str:
    heading = f'<h2 id="{part.name}-heading">{escape(part.heading)}</h2>'
    return f'<section id="{part.name}" aria-labelledby="{part.name}-heading">{heading}\n{part.body}</section>\n'
