"""How a search went, in words and steps; the axes of the page to look around in; what the report counts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports import Report, render_page
from reports.document import figure_html
from reports.figures.explore import explore_points, matrix_figure, parallel_figure
from reports.figures.hypervolume import growth_figure, growth_takeaway
from reports.figures.style import Picture

GROWTH = pd.DataFrame({"designs": [1, 50, 100], "hypervolume": [0.2, 0.76, 0.8], "energy_nj": [9.0, 5.0, 4.0]})


def test_growth_in_words() -> None:
    assert (
        growth_takeaway(GROWTH) == "95 % of the hypervolume was reached by 50 designs of 100; it still grew at the end."
    )
    early = GROWTH.assign(hypervolume=[0.8, 0.8, 0.8])
    assert (
        growth_takeaway(early) == "95 % of the hypervolume was reached by 1 design of 100; nothing better came after 1."
    )


def test_growth_in_steps() -> None:
    line = growth_figure(GROWTH).data[0]
    assert (list(line.x), list(line.y), line.line.shape) == ([1, 50, 100], [0.2, 0.76, 0.8], "hv")
    assert "best so far" in line.hovertext[1]
    assert "Energy per inference: 5 nJ" in line.hovertext[1]


def test_only_a_search_has_the_figure(report_with: Callable[..., Report]) -> None:
    report = report_with()
    assert 'id="growth"' not in render_page(report)
    assert 'id="growth"' in render_page(replace(report, growth=GROWTH))


def test_the_header_counts_what_was_skipped(report_with: Callable[..., Report]) -> None:
    page = render_page(replace(report_with(), counts={"rows": 1000, "skipped": 600, "evaluated": 400, "feasible": 0}))
    assert "<dt>designs in the space</dt><dd>1,000</dd>" in page
    assert "<dt>skipped by bounds</dt><dd>600</dd>" in page
    assert "<dt>feasible</dt>" not in page, "a count of none is left out"


@pytest.fixture
def table() -> pd.DataFrame:
    rows = pd.DataFrame({"row": range(40), "machine": ["array", "mac"] * 20, "rows": [8, 16, 32, 64] * 10})
    return rows.assign(energy_nj=np.geomspace(1, 1e4, 40), latency_us=np.linspace(50, 90, 40))


def test_an_axis_has_steps_or_a_scale(table: pd.DataFrame) -> None:
    points = explore_points(table, table.iloc[:2], ("machine", "rows"), ("energy_nj", "latency_us"))
    machine, rows, energy, latency = parallel_figure(points).data[0].dimensions
    assert (list(machine.tickvals), list(machine.ticktext)) == ([0, 1], ["array", "mac"])
    assert (list(rows.tickvals), list(rows.ticktext)) == ([0, 1, 2, 3], ["8", "16", "32", "64"])
    assert max(energy.values) == pytest.approx(4), "logarithms"
    assert list(energy.ticktext) == ["1", "10", "100", "1,000", "10,000"]
    assert latency.tickvals is None
    assert max(latency.values) == 90
    assert points.table["on_front"].tolist() == [False] * 38 + [True] * 2, "the front is drawn last"
    figure = matrix_figure(points)
    assert (figure.layout.xaxis.type, figure.layout.yaxis2.type) == ("log", "linear")


def test_a_wide_figure_scrolls(table: pd.DataFrame) -> None:
    points = explore_points(table, table.iloc[:2], ("machine", "rows"), ("energy_nj",))
    html = figure_html(Picture("parallel", "", "", "", parallel_figure(points)))
    assert "min-width:304px" in html
