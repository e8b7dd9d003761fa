"""The page: complete, self-contained, safe against names from files, written whole or not at all."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reports import Report, render_page, write_page
from reports.document import script_safe

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"><svg onload='x'>",
    "%{x}<a href='javascript:alert(1)'>k</a>",
    "$\\href{x}{y}$\u2028",
)
SECTIONS = [
    "decision",
    "pareto",
    "accuracy",
    "cost",
    "layers",
    "roofline",
    "area",
    "swept",
    "designs",
    "limits",
    "provenance",
    "words",
]


class Outline(HTMLParser):
    """The tags of a page with their attributes, as a browser would cut them."""

    def __init__(self, page: str) -> None:
        """Read the whole page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one tag."""
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def hostile_outline(report_with: Callable[..., Report]) -> Outline:
    return Outline(render_page(report_with(layers=HOSTILE)))


def without_plotly(page: str) -> str:
    """The page without its scripts' code, whose text mentions addresses that nobody asks for."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_every_section_is_there_and_in_the_contents(report: Report) -> None:
    outline = Outline(render_page(report))
    assert [part["id"] for part in outline.all("section")] == SECTIONS
    links = {link["href"] for link in outline.all("a")}
    assert {f"#{name}" for name in SECTIONS} <= links


def test_every_link_leads_to_something_on_the_page(report: Report) -> None:
    outline = Outline(render_page(report))
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {str(link["href"])[1:] for link in outline.all("a")} <= set(names)


def test_every_linked_mark_has_a_row(report: Report) -> None:
    page = render_page(report)
    rows = {int(row) for row in re.findall(r'<tr id="row-(\d+)"', page)}
    assert set(report.front["row"]) | set(report.decision["row"]) == rows
    data = re.search(r'data-plot="plot-pareto">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    marks = {row for trace in json.loads(data[1])["data"] for row in trace.get("customdata", []) if row is not None}
    assert marks == rows


def test_nothing_is_loaded_from_anywhere(report: Report) -> None:
    page = render_page(report)
    outline = Outline(page)
    sources = [str(value) for _, tag in outline.tags for key, value in tag.items() if key in ("src", "href", "srcset")]
    assert all(source.startswith("#") or source == "data:," for source in sources)
    assert "http" not in without_plotly(page).replace("http-equiv", "")
    assert "url(" not in without_plotly(page)
    assert "@import" not in without_plotly(page)
    assert page.count("plotly.js v") == 1


def test_hostile_names_add_no_element(hostile_outline: Outline) -> None:
    tags = {tag for tag, _ in hostile_outline.tags}
    assert not tags & {"img", "svg", "b", "i", "iframe", "object"}
    assert len(hostile_outline.all("script")) == 6 + 2  # the data of six figures, plotly.js, page.js
    assert not any(key.startswith("on") for _, attributes in hostile_outline.tags for key in attributes)


def test_hostile_names_are_inert_in_plotly_text(report_with: Callable[..., Report]) -> None:
    page = render_page(report_with(layers=HOSTILE))
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        assert not set("<>&\u2028") & set(data)
        shown = json.dumps(json.loads(data)["data"]) + json.dumps(json.loads(data)["layout"])
        assert set(re.findall(r"<[^>]*>", shown)) <= {"<b>", "</b>", "<br>"}


def test_every_sentence_of_the_report_is_escaped(report: Report) -> None:
    evil = "<img src=x>"
    table = pd.DataFrame({"key": [evil], "value": [evil]})
    page = render_page(
        replace(report, title=evil, question=evil, answer=evil, notes=(evil,), provenance=table, swept=table)
    )
    assert evil not in page
    assert page.count("&lt;img src=x&gt;") >= 8


def test_json_cannot_end_a_script() -> None:
    text = script_safe(json.dumps({"a": "</script><!--&\u2028"}, ensure_ascii=False))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028"}


def test_figures_and_tables_are_labelled(report: Report) -> None:
    page = render_page(report)
    outline = Outline(page)
    plots = [part for part in outline.all("div") if part.get("class") == "plot"]
    assert len(plots) == 6
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    assert len(outline.all("table")) == len(outline.all("caption"))
    assert all(head["scope"] in ("row", "col") for head in outline.all("th"))
    assert outline.all("html")[0]["lang"] == "en"
    assert page.count("<title>") >= 1


def test_the_winner_is_marked_by_a_word(report: Report) -> None:
    assert without_plotly(render_page(report)).count("★ chosen") == 1


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert render_page(report) == render_page(report)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "missing", ["accuracy", "twins", "winner", "layers", "peaks", "costs", "decision", "everything"]
)
def test_a_page_reads_without(report: Report, missing: str) -> None:
    none = pd.DataFrame()
    short = {
        "accuracy": lambda: replace(report, decision=report.decision.assign(accuracy=float("nan"))),
        "twins": lambda: replace(report, decision=report.decision[[c for c in report.decision if "mac_" not in c]]),
        "winner": lambda: replace(report, decision=report.decision.drop(columns="winner")),
        "layers": lambda: replace(report, layers=none),
        "peaks": lambda: replace(report, peaks={}),
        "costs": lambda: replace(report, decision=report.decision[["row", "precision", "machine"]]),
        "decision": lambda: replace(report, decision=report.decision.iloc[:0]),
        "everything": lambda: Report("t", "q", "a", none, none, none, ("energy_nj",)),
    }[missing]()
    page = without_plotly(render_page(short))
    assert Outline(page).all("section")
    assert ">nan" not in page.lower()


def test_an_fpga_page_has_logic_and_no_area(report_with: Callable[..., Report]) -> None:
    page = without_plotly(render_page(report_with(target="fpga", objectives=("energy_nj", "lut"))))
    assert "BRAM36" in page
    assert "mm²</span>" not in page


def test_a_report_must_carry_what_it_draws(report: Report) -> None:
    with pytest.raises(ValueError, match=r"'front' must have the columns \['energy_nj'.*lacks \['energy_nj'\]"):
        replace(report, front=report.front.drop(columns="energy_nj"))
    with pytest.raises(ValueError, match="at least one column"):
        replace(report, objectives=())


def test_the_page_is_written_whole(report: Report, tmp_path: Path) -> None:
    path = write_page(report, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render_page(report)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_named(report: Report, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "no" / "report.html"))):
        write_page(report, tmp_path / "no" / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_page_alone(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")

    def refuse(_source: str, _destination: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reports.document.os.replace", refuse)
    with pytest.raises(OSError, match=r"report\.html: Permission denied"):
        write_page(report, target)
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("report.html", "old")]


def test_a_target_that_is_a_folder_is_refused(report: Report, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="report must go to"):
        write_page(report, tmp_path)
    assert list(tmp_path.iterdir()) == []
