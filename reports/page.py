"""A report as one HTML file that opens offline, in a window and on paper."""

import base64
import hashlib
import os
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from reports.figures.style import Picture
from reports.gallery import pictures
from reports.report import Report
from reports.sections import Section, sections
from reports.wording import escape


def write_page(report: Report, path: Path) -> Path:
    """Write the page, all of it or nothing, and return its path. OSError names the path when that cannot be done."""
    page = render_page(report).encode("utf-8")
    try:
        _replace_file(path, page)
    except OSError as error:
        raise OSError(
            error.errno, f"report must go to a folder that can be written, not {path}: {error.strerror}"
        ) from error
    return path


def _replace_file(path: Path, content: bytes) -> None:
    """Write beside the target, then rename over it; on failure the target is as it was and nothing is left behind."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def render_page(report: Report) -> str:
    """The whole page as text. The same report always gives the same text."""
    drawn = pictures(report)
    parts = sections(report, drawn)
    scripts = (get_plotlyjs(), _asset("page.js"))
    body = _header(report) + _contents(parts) + "<main>" + "".join(_section(part) for part in parts) + "</main>"
    data = "".join(_figure_data(picture) for picture in drawn.values() if isinstance(picture, Picture))
    code = "".join(f"<script>{script}</script>\n" for script in scripts)
    return f"{_head(report, scripts)}<body>\n{body}\n{data}{code}</body>\n</html>\n"


def _head(report: Report, scripts: tuple[str, ...]) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(report.title)}</title>\n'
        f"<style>{_asset('page.css')}</style>\n</head>\n"
    )


def _policy(scripts: tuple[str, ...]) -> str:
    """No request leaves the page and no script runs but the ones written here, even if a name went in unescaped."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _asset(name: str) -> str:
    return files("reports").joinpath(name).read_text(encoding="utf-8")


def _header(report: Report) -> str:
    counts = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{report.counts[key]:,}</dd></div>"
        for key, label in (
            ("rows", "designs in the space"),
            ("skipped", "skipped by bounds"),
            ("evaluated", "evaluated"),
            ("feasible", "feasible"),
            ("front", "on the Pareto front"),
        )
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


def _figure_data(picture: Picture) -> str:
    """The figure as JSON that is data to the browser, whatever stands in it."""
    data = script_safe(picture.figure.to_json())
    return f'<script type="application/json" data-plot="plot-{picture.name}">{data}</script>\n'


def script_safe(json_text: str) -> str:
    """JSON without a character that could end the script element or start a comment in it."""
    for char in "<>&\u2028\u2029":
        json_text = json_text.replace(char, f"\\u{ord(char):04x}")
    return json_text
