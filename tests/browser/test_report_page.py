"""The report in a real browser, without a network: every figure is drawn, and the console stays silent."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from reports import Report, render_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--v=0",
    "--window-size=1280,2000",
    "--virtual-time-budget=20000",
)
FIGURES = ("pareto", "accuracy", "cost", "layers", "roofline", "area")
EVIL = "</script><img src=x onerror=alert(1)><b>%{x}"
LAYERS = ("conv1", EVIL, "2", "2")


class Visit(NamedTuple):
    """What a browser made of a page: the document after the scripts ran, and the lines of its console."""

    document: str
    console: list[str]


Browser = Callable[[str], Visit]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Opens a page given as text; skips when there is no browser."""
    program = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if program is None:
        pytest.skip(f"the report page was NOT looked at: none of {', '.join(BROWSERS)} is on PATH")

    def visit(page: str) -> Visit:
        file = tmp_path / "report.html"
        file.write_text(page, encoding="utf-8")
        command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return Visit(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])

    return visit


def small_report() -> Report:
    """Three precisions on both machines and four layers, one of them with a hostile name."""
    draw = np.random.default_rng(5)
    table = pd.DataFrame(
        {"row": range(24), "precision": ["1x1", "2x2", "4x4"] * 8, "machine": ["array"] * 12 + ["mac"] * 12}
    )
    for name, low, high in (("energy_nj", 2, 4), ("latency_us", 0, 3), ("area_pe_mm2", -2, 0), ("energy_pe_nj", 1, 2)):
        table[name] = 10 ** draw.uniform(low, high, len(table))
    table["accuracy"] = table["precision"].map({"1x1": 0.9, "2x2": 0.95, "4x4": 0.98})
    decision = table.iloc[:3].assign(winner=[False, True, False], mac_energy_nj=list(table["energy_nj"].iloc[12:15]))
    return Report(
        title=f"A test {EVIL}",
        question="Does it draw?",
        answer="Yes.",
        decision=decision,
        points=table,
        front=table.iloc[3:9],
        objectives=("energy_nj", "latency_us"),
        layers=layer_table(),
        peaks={"peak_gops": 500.0, "memory_gbyte_s": 4.0},
    )


def layer_table() -> pd.DataFrame:
    """Four layers with cycles, energy and rates."""
    return pd.DataFrame(
        {
            "layer": list(LAYERS),
            "latency_us": [4.0, 3.0, 2.0, 1.0],
            "compute_cycles": [40, 30, 20, 10],
            "load_cycles": [4, 3, 2, 1],
            "energy_pe_nj": [4.0, 3.0, 2.0, 1.0],
            "ops_per_byte": [300.0, 50.0, 20.0, 10.0],
            "gops": [300.0, 100.0, 50.0, 20.0],
            "bound": ["compute", "load", "load", "load"],
        }
    )


def with_script(page: str, code: str) -> str:
    """The page with one more script, which its own policy would refuse."""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    return open_page.replace("</body>", f"<script>{code}</script></body>")


def plot_of(visit: Visit, name: str) -> str:
    """What the browser built inside the box of one figure."""
    start = visit.document.index(f'id="plot-{name}"')
    return visit.document[start : visit.document.index("</figure>", start)]


def test_every_figure_is_drawn_and_the_console_is_silent(browser: Browser) -> None:
    visit = browser(render_page(small_report()))
    assert visit.console == []
    for name in FIGURES:
        assert 'class="main-svg"' in plot_of(visit, name), name
        assert re.search(r'class="(point|points|barlayer)', plot_of(visit, name)), name


def test_hostile_names_are_text(browser: Browser) -> None:
    visit = browser(render_page(small_report()))
    assert "<img" not in visit.document
    assert "&lt;/script&gt;" in plot_of(visit, "layers")


def test_a_click_on_a_mark_goes_to_its_row(browser: Browser) -> None:
    code = (
        "document.getElementById('plot-pareto').emit('plotly_click', {points: [{customdata: 4}]});"
        "document.title = location.hash + ' ' + document.activeElement.id;"
    )
    visit = browser(with_script(render_page(small_report()), code))
    assert "<title>#row-4 row-4</title>" in visit.document
    assert visit.console == []


def test_figures_fit_paper_and_come_back(browser: Browser) -> None:
    code = (
        "const wide = () => document.querySelector('#plot-layers .main-svg').getAttribute('width');"
        "const before = wide(); dispatchEvent(new Event('beforeprint')); const paper = wide();"
        "dispatchEvent(new Event('afterprint')); document.title = paper + ' ' + (wide() === before);"
    )
    assert "<title>680 true</title>" in browser(with_script(render_page(small_report()), code)).document


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda page: with_script(page, "throw new Error('on purpose')"), "on purpose"),
        (lambda page: page.replace("</body>", "<script>1</script></body>"), "Content Security Policy"),
        (lambda page: page.replace('<div class="plot" id="plot-area"', '<div class="plot" id="plot-lost"'), "null"),
        (lambda page: page.replace("</main>", '<img src="https://example.org/x.png"></main>'), "example.org"),
    ],
    ids=["exception", "foreign script", "lost figure", "request"],
)
def test_this_test_would_notice(browser: Browser, broken: Callable[[str], str], complaint: str) -> None:
    visit = browser(broken(render_page(small_report())))
    assert any(complaint in line for line in visit.console), visit.console
