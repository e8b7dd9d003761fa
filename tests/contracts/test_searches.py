"""What every sampler must do, whatever it is: one test each over the registry, and what a search makes of them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dse import results
from dse.compare import Choice, decide
from dse.experiment import Experiment, parse
from dse.explanation import explain
from dse.front import front_rows
from dse.hypervolume import hypervolume, hypervolume_over_time
from dse.report import build_report
from dse.results import Results
from dse.samplers import evolution
from dse.samplers.halton import Halton
from dse.samplers.registry import NEEDS, SAMPLERS, sampler
from dse.samplers.uniform import Uniform
from dse.sampling import Axes, Sampling, Survey
from dse.sensitivity import sensitivity
from dse.sweep_plan import plan
from dse.sweeps import evaluate_chunk, sweep
from tests.conftest import Dse

SIZES = (3, 1, 7, 2, 11)
EXPERIMENT = """
objectives = ["energy_nj", "latency_us", "utilisation"]
[[networks]]
zoo = "tfc"
bits = ["1x1", "2x2"]
[space]
machine = ["array", "mac"]
technology = ["asic45", "u250"]
rows = [8, 16, 24, 32]
cols = [1, 2, 4, 8]
lanes_a = [1, "full"]
clock_mhz = [100, 200]
weight_depth = [64, 8192]
act_depth = 4096
out_depth = 4096
"""

each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                any(find_spec(package) is None for package in NEEDS.get(name, ())), reason="it is not installed"
            ),
        )
        for name in SAMPLERS
    ],
)


def told(places: np.ndarray) -> np.ndarray:
    """Two objectives, and some points that cannot be built."""
    values = np.stack([places.sum(axis=1), 30 - places[:, 4] + places[:, 0]], axis=1).astype(float)
    values[places[:, 3] == 1] = np.nan
    return values


def asked(name: str, seed: int, rounds: int = 3) -> np.ndarray:
    one, found = sampler(name, SIZES, 2, seed), []
    for count in (7, *[20] * (rounds - 1)):
        places = one.ask(count)
        assert places.shape == (count, len(SIZES))
        assert places.dtype == np.int64
        found.append(places)
        one.tell(told(places))
    return np.concatenate(found)


@each
def test_points_lie_on_the_grid(name: str) -> None:
    places = asked(name, 1)
    assert (places >= 0).all()
    assert (places < SIZES).all()


@each
def test_the_same_seed_gives_the_same_points(name: str) -> None:
    assert (asked(name, 5) == asked(name, 5)).all()
    assert (asked(name, 5) != asked(name, 6)).any()


@each
def test_every_value_of_every_axis_is_reached(name: str) -> None:
    places = asked(name, 3, rounds=10)
    for axis, size in enumerate(SIZES):
        assert len(np.unique(places[:, axis])) == size or name in NEEDS


@each
def test_nothing_that_can_be_built_is_no_end(name: str) -> None:
    one = sampler(name, SIZES, 2, 0)
    for _ in range(3):
        one.tell(np.full((len(one.ask(10)), 2), np.nan))


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return parse(EXPERIMENT, base=Path(), where="x.toml")


@pytest.fixture(scope="module")
def whole(experiment: Experiment) -> dict[int, dict[str, Any]]:
    """Every feasible row of the experiment by its number."""
    prepared = plan(experiment)
    return {row["row"]: row for chunk in prepared.chunks() for row in plain(evaluate_chunk(prepared, chunk)[0])}


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as values that equal themselves: None for NaN."""
    return [{name: None if value != value else value for name, value in row.items()} for row in table.to_pylist()]


def rows_of(opened: Results) -> list[dict[str, Any]]:
    return [row for part in opened.parts() for row in plain(results.read_part(part))]


@each
def test_a_folder_is_repeatable_and_its_rows_are_those_of_a_whole_sweep(
    name: str, experiment: Experiment, whole: dict[int, dict[str, Any]], tmp_path: Path
) -> None:
    one, two = (sweep(experiment, tmp_path / folder, sampling=Sampling(name, 40, seed=2)) for folder in "ab")
    rows = rows_of(one)
    assert rows == [{**whole[row["row"]], "kept": "asked"} for row in rows]
    assert [row["row"] for row in rows] == sorted({row["row"] for row in rows})
    assert [part.read_bytes() for part in one.parts()] == [part.read_bytes() for part in two.parts()]
    assert (one.path / "hypervolume.csv").read_bytes() == (two.path / "hypervolume.csv").read_bytes()
    assert one.manifest == two.manifest
    assert one.manifest["sampling"] == {
        "sampler": name, "budget": 40, "seed": 2, "technology": "asic45", "hypervolume": "hypervolume.csv"
    }  # fmt: skip
    assert one.manifest["feasible"] == len(rows)
    assert one.manifest["feasible"] + sum(one.manifest["infeasible"].values()) == one.manifest["evaluated"] <= 2 * 40


class Killed(BaseException):
    """What ends a sweep in the middle."""


@each
def test_a_killed_sweep_goes_on_where_it_was(
    name: str, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that a part holds are asked for again, but not priced again; the end is the same to the byte."""
    monkeypatch.setattr(Uniform, "batch", 10)
    monkeypatch.setattr(Halton, "batch", 10)
    monkeypatch.setitem(evolution.BATCHES, name, 10)
    sampling, priced = Sampling(name, 40, seed=3), list[int]()
    price = Survey.price

    def counted(self: Survey, rows: np.ndarray) -> Any:
        if len(priced) == 2:
            raise Killed
        priced.append(len(rows))
        return price(self, rows)

    monkeypatch.setattr(Survey, "price", counted)
    with pytest.raises(Killed):
        sweep(experiment, tmp_path / "killed", sampling=sampling)
    monkeypatch.setattr(Survey, "price", price)
    (tmp_path / "killed" / "work" / "part-000001.parquet").write_bytes(b"torn")
    with pytest.raises(ValueError, match="add --resume to continue"):
        sweep(experiment, tmp_path / "killed", sampling=sampling)
    with pytest.raises(ValueError, match="begun with the same sampling"):
        sweep(experiment, tmp_path / "killed", resume=True, sampling=Sampling(name, 40, seed=4))
    resumed = list[int]()

    def watched(self: Survey, rows: np.ndarray) -> Any:
        resumed.append(len(rows))
        return price(self, rows)

    monkeypatch.setattr(Survey, "price", watched)
    done = sweep(experiment, tmp_path / "killed", resume=True, sampling=sampling)
    assert len(resumed) == 3, "the torn batch and the two that were never begun"
    monkeypatch.setattr(Survey, "price", price)
    fresh = sweep(experiment, tmp_path / "fresh", sampling=sampling)
    assert [part.read_bytes() for part in done.parts()] == [part.read_bytes() for part in fresh.parts()]
    assert (done.path / "hypervolume.csv").read_bytes() == (fresh.path / "hypervolume.csv").read_bytes()


@pytest.fixture(scope="module")
def sampled(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return sweep(experiment, tmp_path_factory.mktemp("sampled") / "found", sampling=Sampling("halton", 120))


def test_what_reads_a_folder_reads_one_of_a_sampler(sampled: Results, experiment: Experiment) -> None:
    mine = sampled.table(["row", "technology", "energy_nj", "latency_us"])
    front = front_rows(sampled, ("energy_nj", "latency_us"), technology="asic45")
    values = mine.loc[mine["technology"] == "asic45", ["energy_nj", "latency_us"]].to_numpy()
    beaten = ((values[:, None] >= values).all(axis=2) & (values[:, None] > values).any(axis=2)).any(axis=1)
    assert len(front) == int((~beaten).sum()) > 0
    for technology in ("asic45", "u250"):
        decision = decide(sampled, Choice.of(experiment, technology=technology))
        best = {row["network"]: row["energy_nj"] for row in decision.table.to_dict("records")}
        found = [row for row in rows_of(sampled) if (row["technology"], row["machine"]) == (technology, "array")]
        assert best == {
            name: min(row["energy_nj"] for row in found if row["network"] == name)
            for name in {row["network"] for row in found}
        }
    assert set(sensitivity(sampled)["objective"]) == {"energy_nj", "latency_us", "utilisation"}
    assert explain(sampled, int(front["row"].iloc[0])).evaluation.cost.energy_nj == front["energy_nj"].iloc[0]
    report = build_report(sampled)
    assert len(report.growth) == 100
    assert report.growth["designs"].iloc[-1] == 120
    assert "halton" in " ".join(report.notes)


def test_growth_says_the_best_so_far(sampled: Results) -> None:
    rows = [row for row in rows_of(sampled) if row["technology"] == "asic45"]
    last = build_report(sampled).growth.iloc[-1]
    assert last["energy_nj"] == min(row["energy_nj"] for row in rows)
    assert last["utilisation"] == max(row["utilisation"] for row in rows)
    growth = build_report(sampled).growth
    assert growth["hypervolume"].is_monotonic_increasing
    assert growth["energy_nj"].dropna().is_monotonic_decreasing
    assert growth["utilisation"].dropna().is_monotonic_increasing


def test_the_grid_covers_every_row_of_the_space(experiment: Experiment) -> None:
    prepared = plan(experiment)
    axes = Axes(prepared.blocks, 2)
    every = np.stack(np.unravel_index(np.arange(np.prod(axes.sizes)), axes.sizes), axis=1)
    rows = axes.rows(every)
    assert set(rows.ravel().tolist()) == set(range(prepared.rows))
    assert (rows[:, 1] - rows[:, 0] == 2).all(), "two clocks a technology"


def test_halton_fills_a_grid_evenly() -> None:
    """Any 2 x 3 consecutive points of bases 2 and 3 take every cell of a 2 x 3 grid once."""
    places = Halton((2, 3), 1, seed=9).ask(60)
    for first in range(0, 60, 6):
        assert len({tuple(place) for place in places[first : first + 6].tolist()}) == 6


def test_hypervolumes_by_hand() -> None:
    worst = np.array([4.0, 4.0])
    assert hypervolume(np.array([[1.0, 3.0], [2.0, 1.0], [3.0, 3.0]]), worst) == 3 * 1 + 2 * 2
    assert hypervolume(np.array([[5.0, 0.0]]), worst) == 0
    assert hypervolume(np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0]]), np.array([3.0, 3.0, 3.0])) == 8 + 3 - 2
    assert hypervolume(np.array([[2.0], [1.0]]), np.array([4.0])) == 3


def test_hypervolume_equals_the_counted_cells_of_a_grid() -> None:
    rng = np.random.default_rng(0)
    for objectives in (2, 3, 4):
        points, worst = rng.integers(0, 5, (6, objectives)), np.full(objectives, 5)
        cells = np.stack(np.unravel_index(np.arange(5**objectives), (5,) * objectives), axis=1)
        covered = (points[:, None, :] <= cells[None]).all(axis=2).any(axis=0).sum()
        assert hypervolume(points.astype(float), worst.astype(float)) == covered


def test_hypervolume_over_time_grows_and_skips_what_is_infeasible() -> None:
    values = np.array([[np.nan, np.nan], [10.0, 10.0], [100.0, 100.0], [1.0, 1.0]])
    found = hypervolume_over_time(values, np.array([1, 2, 3, 4]))
    assert found[0] == 0
    assert (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(1, abs=1e-6)
    assert found[1] == pytest.approx(0.5 * 0.5, abs=1e-6)


def test_the_command(tmp_path: Path, dse_command: Dse) -> None:
    (tmp_path / "x.toml").write_text(EXPERIMENT)
    sampling = ("--sampler", "random", "--budget", "40")
    done = json.loads(dse_command("sweep", "x.toml", *sampling, "-o", "out", "--json").stdout)
    assert done["sampling"]["budget"] == 40
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")) == [
        "experiment.toml", "hypervolume.csv", "manifest.json", "parts"
    ]  # fmt: skip
    failed = dse_command("sweep", "x.toml", "--sampler", "best", "-o", "none")
    assert (failed.returncode, failed.stderr) == (
        2,
        "error: sampler must be one of random, halton, nsga2, tpe, not 'best'\n",
    )
    assert not (tmp_path / "none").exists()


def test_bad_input_is_one_line(experiment: Experiment, tmp_path: Path) -> None:
    impossible = parse('constraints = ["latency_us <= 0.001"]\n' + EXPERIMENT, base=Path(), where="x.toml")
    with pytest.raises(ValueError, match="must be feasible, but none of 10 is: 6 by latency_us"):
        sweep(impossible, tmp_path / "none", sampling=Sampling("random", 5))
    with pytest.raises(ValueError, match="budget must be at least 1, not 0"):
        Sampling("random", 0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, not -1"):
        Sampling("random", 1, seed=-1)
    for words in ({"workers": 2}, {"keep": "all"}):
        with pytest.raises(ValueError, match="leave out workers, executor and keep"):
            sweep(experiment, tmp_path / "none", sampling=Sampling("random", 5), **words)  # type: ignore[arg-type]
