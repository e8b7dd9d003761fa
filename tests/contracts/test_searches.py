"""What every sampler must do, whatever it is: one test each over the registry, and what a search makes of them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dse.experiment import parse
from dse.hypervolume import hypervolume, hypervolume_over_time
from dse.samplers.halton import Halton
from dse.samplers.registry import SAMPLERS, sampler
from dse.sampling import Axes, search, write_search
from dse.sweeps import evaluate_chunk, plan
from tests.conftest import Dse

SIZES = (3, 1, 7, 2, 11)
NEEDS = {"nsga2": "optuna", "tpe": "optuna"}
EXPERIMENT = """
objectives = ["energy_nj", "latency_us", "utilisation"]
[[networks]]
zoo = "cifar_convnet"
bits = ["1x1", "2x2"]
[space]
machine = ["array", "mac"]
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
            name, marks=pytest.mark.skipif(find_spec(NEEDS.get(name, "dse")) is None, reason="it is not installed")
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
def swept() -> dict[int, dict[str, object]]:
    """Every feasible row of the experiment by its number."""
    prepared = plan(parse(EXPERIMENT, base=Path(), where="x.toml"))
    return {row["row"]: row for chunk in prepared.chunks() for row in evaluate_chunk(prepared, chunk)[0].to_pylist()}


@each
def test_a_search_is_repeatable_and_its_rows_are_those_of_a_sweep(
    name: str, swept: dict[int, dict[str, object]]
) -> None:
    experiment = parse(EXPERIMENT, base=Path(), where="x.toml")
    done, again = search(experiment, name, budget=30, seed=2), search(experiment, name, budget=30, seed=2)
    assert done.rows.equals(again.rows)
    assert done.growth.equals(again.growth)
    assert done.asked == 30
    for row in done.rows.to_dict("records")[::7]:
        assert row["energy_nj"] == swept[row["row"]]["energy_nj"]
        assert row["latency_us"] == swept[row["row"]]["latency_us"]
    assert done.growth["hypervolume"].is_monotonic_increasing


def test_the_grid_covers_every_row_of_the_space() -> None:
    prepared = plan(parse(EXPERIMENT, base=Path(), where="x.toml"))
    axes = Axes(prepared.blocks)
    every = np.stack(np.unravel_index(np.arange(np.prod(axes.sizes)), axes.sizes), axis=1)
    assert {axes.row(place) for place in every} == set(range(prepared.rows))


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
    done = json.loads(
        dse_command("search", "x.toml", "--budget", "40", "--sampler", "random", "-o", "out", "--json").stdout
    )
    assert done["asked"] == 40
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "front.csv", "hypervolume.csv", "rows.parquet", "search.html"
    ]  # fmt: skip
    failed = dse_command("search", "x.toml", "--sampler", "best")
    assert (failed.returncode, failed.stderr) == (
        2,
        "error: sampler must be one of random, halton, nsga2, tpe, not 'best'\n",
    )


def test_a_search_that_finds_nothing_or_cannot_write_is_one_line(tmp_path: Path) -> None:
    impossible = parse('constraints = ["latency_us <= 0.001"]\n' + EXPERIMENT, base=Path(), where="x.toml")
    with pytest.raises(ValueError, match="must find a feasible design in asic45, but none of 5 is"):
        search(impossible, "random", budget=5)
    with pytest.raises(ValueError, match="budget must be at least 1, not 0"):
        search(impossible, "random", budget=0)
    (tmp_path / "file").write_text("")
    done = search(parse(EXPERIMENT, base=Path(), where="x.toml"), "random", budget=20)
    with pytest.raises(ValueError, match="the output folder must be writable"):
        write_search(done, tmp_path / "file")
