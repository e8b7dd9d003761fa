"""What results are used for: SQL over the rows, two folders side by side, which knob moves what, the page to look around in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dse.difference import difference
from dse.experiment import parse
from dse.explore import write_explore
from dse.optima import axis_optima
from dse.query import query
from dse.results import Results, open_results
from dse.sensitivity import effects, sensitivity
from dse.sweeps import sweep

TEXT = """
name = "use"
objectives = ["energy_nj", "latency_us", "area_mm2"]
[[networks]]
zoo = "cifar_convnet"
bits = ["1x1", "2x2"]
[space]
rows = {rows}
cols = [4, 8]
weight_depth = 8192
act_depth = 4096
out_depth = 4096
"""


def swept(folder: Path, rows: str) -> Results:
    return sweep(parse(TEXT.format(rows=rows), base=folder, where="use.toml"), folder)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return swept(tmp_path_factory.mktemp("use") / "a", "[8, 16, 32]")


def test_sql_sees_every_row_and_the_networks(opened: Results) -> None:
    pytest.importorskip("duckdb")
    table = opened.table()
    counted = query(
        opened, "SELECT network, count(*) AS n, min(energy_nj) AS least FROM rows GROUP BY network ORDER BY network"
    )
    wanted = table.groupby(table["network"].astype(str))["energy_nj"].agg(["count", "min"])
    assert counted["n"].tolist() == wanted["count"].tolist()
    assert counted["least"].tolist() == wanted["min"].tolist()
    joined = "SELECT count(*) AS n FROM rows JOIN networks ON rows.network = networks.name"
    assert query(opened, joined)["n"].tolist() == [len(table)]
    assert len(query(opened, "EXPLAIN SELECT * FROM rows"))


def test_sql_sees_the_best_at_every_value(opened: Results) -> None:
    pytest.importorskip("duckdb")
    asked = (
        "SELECT value, row FROM Axes WHERE knob = 'rows' AND objective = 'energy_nj' AND network = 'cifar_convnet_2x2'"
    )
    found = query(opened, asked)
    table = opened.table()
    own = table[table["network"] == "cifar_convnet_2x2"]
    wanted = {str(value): int(own.loc[rows["energy_nj"].idxmin(), "row"]) for value, rows in own.groupby("rows")}
    assert dict(zip(found["value"], found["row"], strict=True)) == wanted
    assert len(wanted) == 3
    assert set(query(opened, "SELECT DISTINCT knob FROM axes")["knob"]) == {"rows", "cols"}


def test_the_best_at_every_value_must_have_been_kept(opened: Results) -> None:
    only = Results(opened.path, {**opened.manifest, "keep": "front"})
    with pytest.raises(ValueError, match="must hold the best at every value, but was swept with --keep front"):
        axis_optima(only)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1", "SELECT nothing FROM rows", "COPY rows TO 'written.csv'", "SELECT * FROM 'secret.csv'", "", "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('secret.csv')", "SELECT * FROM read_text('secret.csv')", "SET enable_external_access = true",
        "ATTACH 'written.db'", "DROP VIEW rows", "CREATE TABLE t AS SELECT 1", "SELECT * FROM sql", "EXPLAIN ANALYZE COPY rows TO 'written.csv'",
        "INSTALL httpfs", "SELECT * FROM glob('*')", "PRAGMA database_list",
    ],
)  # fmt: skip
def test_sql_that_is_wrong_or_does_more_is_one_line(
    opened: Results, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"^query: ") as error:
        query(opened, sql)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_folder_does_not_differ_from_itself(opened: Results) -> None:
    found = difference(opened, opened)
    assert len(found.inputs) == 0
    assert set(found.front["on"]) == {"both"}
    assert (found.front["energy_nj_a"] == found.front["energy_nj_b"]).all()


def test_what_changed_is_named_and_designs_are_matched_by_their_knobs(opened: Results, tmp_path: Path) -> None:
    other = swept(tmp_path / "b", "[32, 64]")
    found = difference(opened, other)
    assert found.inputs.set_index("what").loc["experiment.space.rows"].tolist() == ["[8, 16, 32]", "[32, 64]"]
    assert "manifest.evaluated" in set(found.inputs["what"])
    on_both = found.front[found.front["on"] == "both"]
    assert on_both["design"].str.startswith("32x").all()
    assert (on_both["latency_us_a"] == on_both["latency_us_b"]).all()
    assert found.front.loc[found.front["on"] == "a", "energy_nj_b"].isna().all()
    assert (
        f"best energy_nj {found.front['energy_nj_a'].min():.6g} -> {found.front['energy_nj_b'].min():.6g}"
        in found.words
    )


def test_effects_by_hand() -> None:
    """Two knobs; the objective is 10^a times 2^b: shares follow the squares of the logarithms, factors the steps."""
    rows = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]})
    rows["energy_nj"] = 10.0 ** rows["a"] * 2.0 ** rows["b"]
    found = effects(rows.assign(flat=1.0), ("a", "b"), ("energy_nj", "flat"))
    ten, two = np.log(10) ** 2, np.log(2) ** 2
    assert found["knob"].tolist() == ["a", "b"]
    assert found["share"].tolist() == pytest.approx([ten / (ten + two), two / (ten + two)])
    assert found["factor"].tolist() == pytest.approx([10, 2])


def test_only_swept_knobs_are_named(opened: Results) -> None:
    found = sensitivity(opened)
    assert set(found["knob"]) == {"network", "rows", "cols"}
    assert set(found["objective"]) == {"energy_nj", "latency_us", "area_mm2"}
    assert found["share"].between(0, 1).all()
    with pytest.raises(ValueError, match="must hold a figure of asic45"):
        sensitivity(opened, objectives=["lut"])


def test_a_folder_without_rows_to_look_at(opened: Results, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(opened.path, small)
    few = sweep(parse(TEXT.format(rows="[16]"), base=tmp_path, where="x"), tmp_path / "few")
    with pytest.raises(ValueError, match="must hold at least 10 rows in asic45"):
        sensitivity(few)
    assert len(open_results(small).table()) == 12


def test_the_page_to_look_around_in(opened: Results, tmp_path: Path) -> None:
    text = write_explore(opened, tmp_path / "explore.html").read_text(encoding="utf-8")
    assert '"type":"parcoords"' in text
    assert '"type":"splom"' in text
    assert "Which knob moves which objective" in text
    with pytest.raises(ValueError, match="the page must go to a folder that can be written"):
        write_explore(opened, tmp_path / "nowhere" / "explore.html")
