"""The documentation says what is true: examples run, tables name what the code has, links lead somewhere."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields
from pathlib import Path

import pytest

from dse.experiment import CHOICES, NETWORK_KEYS, SECTIONS
from dse.space import FULL, Space
from dse.sweep import COLUMN_ORDER
from workloads.onnx_nodes import OPERATORS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md")])


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading ("" for the first of the page)."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    lines = text[text.index(heading) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| ---"))
    found = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.mark.parametrize(
    "path", [path for path in PAGES if ">>> " in path.read_text(encoding="utf-8")], ids=lambda path: path.name
)
def test_examples_run(path: Path) -> None:
    code = "\n".join(re.findall(r"```python run\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.S))
    test = doctest.DocTestParser().get_doctest(code, {}, path.name, str(path), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    said: list[str] = []
    runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    assert test.examples


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_experiment_keys() -> None:
    assert [row[0] for row in rows("experiment-file.md", "")] == list(SECTIONS)
    assert {row[0] for row in rows("experiment-file.md", "## networks")} == set(NETWORK_KEYS)


def test_space_knobs_and_defaults() -> None:
    table = rows("experiment-file.md", "## space")
    defaults = {item.name: item.default for item in fields(Space)}
    assert [row[0] for row in table] == list(defaults)
    for name, default, values, _ in table:
        value = defaults[name][0]
        word = (
            "network"
            if name.startswith("max_") and value == FULL
            else str(value).lower()
            if value is True
            else str(value)
        )
        assert default == word, name
        if name in CHOICES and name != "technology":
            assert values.split(", ") == list(CHOICES[name])


def test_result_columns() -> None:
    named = [name for row in rows("results.md", "## Columns") for name in row[0].split(", ")]
    assert sorted(named) == sorted(COLUMN_ORDER)


def test_imported_nodes() -> None:
    named = {name for row in rows("importing.md", "") for name in row[0].split(", ")}
    assert named == set(OPERATORS)
