"""From rows to a decision: front, comparison, explanation, report, and what the commands print."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dse import pareto
from dse.cli import app
from dse.compare import Choice, decide
from dse.experiment import constraint, load
from dse.explanation import experiment_of, explain
from dse.front import front_rows
from dse.keep import oriented
from dse.report import build_report, write_report
from dse.results import Results
from dse.space import blocks, design, knobs
from dse.sweeps import sweep
from dse.template import TEMPLATE
from dse.validation import validate

numbers = st.one_of(st.integers(0, 4).map(float), st.just(float("nan")))


@settings(deadline=None)
@given(
    st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), max_size=40))
)
def test_front_is_what_every_pair_says(rows: list[list[float]]) -> None:
    values = np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else 1)
    known = [not np.isnan(row).any() for row in values]
    wanted = [
        known[i]
        and not any(
            known[j] and (values[j] <= values[i]).all() and (values[j] < values[i]).any() for j in range(len(rows))
        )
        for i in range(len(rows))
    ]
    assert pareto.front(values).tolist() == wanted


@pytest.fixture
def swept(tiny: Path) -> Results:
    return sweep(load(tiny / "experiment.toml"), tiny / "results")


def test_front_part_by_part_is_the_front_of_all(swept: Results) -> None:
    objectives = ("energy_nj", "latency_us", "area_mm2")
    table = swept.table()
    asic = table[table["technology"] == "asic45"]
    wanted = asic[pareto.front(oriented(asic, objectives))]
    assert front_rows(swept, objectives, technology="asic45")["row"].tolist() == wanted["row"].tolist()
    assert len(wanted) > 3


def test_rows_and_designs_name_each_other(tiny: Path) -> None:
    from dse.sweep_plan import plan

    prepared = plan(load(tiny / "experiment.toml"))
    rng = np.random.default_rng(0)
    for block in prepared.blocks:
        arrays = knobs(block, np.arange(block.designs))
        for place in rng.integers(0, block.designs, 5).tolist():
            found, machine = design(prepared.blocks, block.first_row + place * len(block.settings))
            assert found == block
            assert all(
                int(getattr(arrays, name)[place]) == getattr(machine, name)
                for name in ("rows", "cols", "width", "lanes_a")
            )
    assert blocks(load(tiny / "experiment.toml").space, [v.network for v in prepared.variants]) == prepared.blocks


def test_the_winner_is_the_best_that_meets_the_requirements(swept: Results) -> None:
    experiment = experiment_of(swept)
    table = swept.table()
    planes = table[(table["machine"] == "array") & (table["technology"] == "asic45")]
    free = decide(swept, Choice.of(experiment))
    assert free.winner == planes.loc[planes["energy_nj"].idxmin(), "row"]
    accurate = decide(swept, Choice.of(experiment, require=[constraint("accuracy >= 0.9")]))
    assert accurate.table.loc[accurate.table["winner"], "network"].tolist() == ["cifar_convnet_1x1"]
    assert accurate.table["network"].nunique() == len(accurate.table) == 3
    fastest = decide(swept, Choice.of(experiment, minimise="throughput_per_s"))
    assert fastest.table["throughput_per_s"].iloc[0] == planes["throughput_per_s"].max()
    nobody = decide(swept, Choice.of(experiment, require=[constraint("accuracy >= 0.99")]))
    assert nobody.winner is None
    assert not nobody.table["winner"].any()


def test_twins_and_the_papers_bound(swept: Results) -> None:
    table = decide(swept, Choice.of(experiment_of(swept))).table.set_index("network")
    all_rows = swept.table()
    twin = all_rows[
        (all_rows["machine"] == "mac")
        & (all_rows["technology"] == "asic45")
        & (all_rows["network"] == "cifar_convnet_2x3")
    ]
    assert table.loc["cifar_convnet_2x3", "mac_energy_nj"] == twin["energy_nj"].min()
    # 32-bit weights in 3 bits; W / (M K) with W = 64, less because the first layer reads 8-bit images.
    assert table.loc["cifar_convnet_2x3", "fp32_memory_ratio"] == pytest.approx(32 / 3)
    assert 64 / (8 * 3) < table.loc["cifar_convnet_2x3", "fp32_speedup_bound"] < 64 / (2 * 3)


@pytest.mark.parametrize("technology", ["asic45", "zynq7020"])
def test_an_explanation_adds_up(swept: Results, technology: str) -> None:
    table = swept.table()
    row = table[table["technology"] == technology].sample(1, random_state=2).iloc[0]
    found = explain(swept, int(row["row"]))
    assert found.energy["amount"].sum() == pytest.approx(row["energy_nj"], rel=1e-9)
    parts = found.energy.groupby("component")["amount"].sum()
    for name in ("pe", "post", "buffer", "leakage"):
        assert parts.get(name, 0.0) == pytest.approx(row[f"energy_{name}_nj"], rel=1e-9)
    if technology == "asic45":
        assert found.silicon["amount"].sum() == pytest.approx(row["area_mm2"], rel=1e-9)
    assert found.layers["latency_us"].sum() == pytest.approx(row["latency_us"], rel=1e-9)
    assert (found.constants["source"].str.len() > 5).all()
    used = {name for text in found.energy["constants"] for name in text.split(", ") if name}
    assert used <= set(found.constants["name"])


def test_report_of_every_technology(swept: Results, tmp_path: Path) -> None:
    experiment = experiment_of(swept)
    for technology in experiment.space.technology:
        choice = Choice.of(experiment, technology=technology)
        page = build_report(swept, choice=choice)
        assert page.winner is not None
        assert len(page.front) > 0
        path = write_report(swept, tmp_path / f"{technology}.html", choice=choice)
        text = path.read_text(encoding="utf-8")
        assert technology in text
        assert "Plotly" in text
    assert set(build_report(swept).provenance["key"]) >= {"command", "seed", "experiment SHA-256", "numpy version"}


def test_commands_and_their_json(swept: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = str(swept.table(["row"])["row"].iloc[0])
    commands = [
        ["networks"], ["networks", "show", "resnet18", "--m", "2", "--k", "2"], ["technologies"], ["technologies", "show", "asic16"],
        ["run", "tiny.safetensors", "--input", "images.npy", "--labels", "labels.npy"], ["pareto", "results"],
        ["compare", "results", "--by", "precision"], ["explain", "results", row], ["validate", "--cases", "3"],
    ]  # fmt: skip
    for command in commands:
        plain = CliRunner().invoke(app, command)
        assert plain.exit_code == 0, (command, plain.output)
        assert len(plain.output.splitlines()) > 2
        coded = CliRunner().invoke(app, [*command, "--json"])
        assert coded.exit_code == 0, (command, coded.output)
        assert json.loads(coded.output), command
    for suffix in ("csv", "md"):
        assert CliRunner().invoke(app, ["pareto", "results", "-o", f"front.{suffix}"]).exit_code == 0
    assert len(pd.read_csv(tmp_path / "front.csv")) == len(
        front_rows(swept, experiment_of(swept).objectives, technology="asic45")
    )
    assert CliRunner().invoke(app, ["report", "results", "-o", "report.html"]).exit_code == 0
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).output


def test_run_writes_outputs_and_integers(tiny: Path) -> None:
    files = {name: str(tiny / name) for name in ("tiny.safetensors", "images.npy", "out.npy", "sums.npz")}
    command = ["run", files["tiny.safetensors"], "--input", files["images.npy"], "--output", files["out.npy"]]
    done = CliRunner().invoke(app, [*command, "--integers", files["sums.npz"], "--json"])
    assert done.exit_code == 0, done.output
    assert np.load(files["out.npy"]).shape == (20, 4)
    with np.load(files["sums.npz"]) as sums:
        assert sums["head"].shape == (20, 4, 1, 1)
        assert sums["conv"].shape == (20, 8, 4, 4)
    assert json.loads(done.output)["accuracy"] is None


def test_the_template_is_an_experiment(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "e.toml")]).exit_code == 0
    assert (tmp_path / "e.toml").read_text() == TEMPLATE
    experiment = load(tmp_path / "e.toml")
    assert [pair for source in experiment.networks for pair in source.bits] == [(1, 1), (2, 2), (4, 4), (8, 8)]
    assert experiment.space.rows == (8, 16, 32, 64)


def test_every_agreement_holds() -> None:
    table = validate(cases=8)
    assert table["agrees"].all(), table
    assert len(table) >= 6
