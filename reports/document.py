"""An HTML file that opens offline, in a window and on paper: its head, its figures, its scripts, its policy."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from reports.figures.style import NoPicture, Picture
from reports.wording import escape


def document(title: str, body: str, figures: Sequence[Picture], *, compiles: bool = False) -> str:
    """The whole file as text; `body` is safe HTML, with the place of every figure in it (`figure_html`).

    `compiles`: its figures are drawn by WebGL, for which Plotly compiles code in the page.
    """
    scripts = (get_plotlyjs(), _asset("page.js"))
    data = "".join(_figure_data(picture) for picture in figures)
    code = "".join(f"<script>{script}</script>\n" for script in scripts)
    return f"{_head(title, _policy(scripts, compiles))}<body>\n{body}\n{data}{code}</body>\n</html>\n"


def figure_page(title: str, lead: str, parts: Sequence[Picture | str], *, compiles: bool = False) -> str:
    """A page of figures, and of tables in safe HTML, under one title and a sentence."""
    figures = [part for part in parts if isinstance(part, Picture)]
    said = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    body = "".join(
        f"<section>{f'<h2>{escape(part.heading)}</h2>{figure_html(part)}' if isinstance(part, Picture) else part}</section>\n"
        for part in parts
    )
    return document(
        title, f"<header><h1>{escape(title)}</h1>{said}</header><main>{body}</main>", figures, compiles=compiles
    )


def figure_html(picture: Picture | NoPicture) -> str:
    """The words of a figure and the place where page.js draws it."""
    if isinstance(picture, NoPicture):
        return f'<p class="absent">{escape(picture.reason)}</p>\n'
    layout = picture.figure.layout
    width = (layout.meta or {}).get("least_width", 0)
    return (
        f'<figure id="figure-{picture.name}"><figcaption><h3>{escape(picture.takeaway)}</h3>\n'
        f"<p>{escape(picture.reading)}</p></figcaption>\n"
        f'<div class="plot" id="plot-{picture.name}" role="img" aria-label="{escape(picture.alt)}" '
        f'style="height:{int(layout.height)}px{f";min-width:{width}px" if width else ""}">'
        "<noscript>This figure needs JavaScript; the tables say the same in numbers.</noscript></div></figure>\n"
    )


def write_document(text: str, path: Path) -> Path:
    """Write the file, all of it or nothing, and return its path. OSError names the path when that cannot be done."""
    try:
        _replace_file(path, text.encode("utf-8"))
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


def _head(title: str, policy: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{_asset('page.css')}</style>\n</head>\n"
    )


def _policy(scripts: tuple[str, ...], compiles: bool) -> str:
    """No request leaves the page and no script runs but the ones written here, even if a name went in unescaped."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) + (" 'unsafe-eval'" if compiles else "")
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _asset(name: str) -> str:
    return files("reports").joinpath(name).read_text(encoding="utf-8")


def _figure_data(picture: Picture) -> str:
    """The figure as JSON that is data to the browser, whatever stands in it."""
    data = script_safe(picture.figure.to_json())
    return f'<script type="application/json" data-plot="plot-{picture.name}">{data}</script>\n'


def script_safe(json_text: str) -> str:
    """JSON without a character that could end the script element or start a comment in it."""
    for char in "<>&\u2028\u2029":
        json_text = json_text.replace(char, f"\\u{ord(char):04x}")
    return json_text
