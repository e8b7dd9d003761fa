"""A long search is announced with the time it takes; a short one is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse import grid, keep, pilot, sweep_plan
from dse.experiment import Experiment, parse
from dse.pilot import Estimate
from dse.sweeps import forecast, sweep
from tests.conftest import Dse

TEXT = """
objectives = ["energy_nj", "latency_us", "area_mm2"]
[[networks]]
zoo = "cifar_convnet"
[space]
rows = [8, 16, 32]
cols = { from = 1, to = 12, step = 1 }
weight_depth = [4096, 8192]
act_depth = [1024, 2048]
"""


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A small space of 36 cores, which is searched, and large enough for an estimate."""
    for module in (keep, sweep_plan):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 40)
    monkeypatch.setattr(pilot, "LARGE_CORES", 30)
    monkeypatch.setattr(grid, "SPAN_CORES", 8)
    return parse(TEXT, base=Path(), where="x.toml")


def test_the_line() -> None:
    assert Estimate(12_000_000_000, 40, 180, 2).words == "space of 1.2e+10 designs: about 40 s to 3 min on 2 workers"
    assert Estimate(10**7, 0.2, 119.4, 1).words == "space of 1e+07 designs: about 1 s to 119 s on 1 worker"
    assert Estimate(10**12, 7200, 200_000, 2).words == (
        "space of 1e+12 designs: about 2 h to 2 days on 2 workers; `--keep front` where it is not asked for, fewer "
        "values or `--sampler nsga2` take less"
    )


def test_a_long_sweep_says_it_first_and_finds_the_same(experiment: Experiment, tmp_path: Path) -> None:
    lines: list[str] = []
    told = sweep(experiment, tmp_path / "told", tell=lines.append)
    silent = sweep(experiment, tmp_path / "silent")
    assert len(lines) == 1
    assert lines[0].startswith("space of 144 designs: about ")
    assert told.table().equals(silent.table())
    assert told.manifest == silent.manifest


def test_a_forecast_writes_nothing(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert forecast(experiment, workers=2).endswith("on 2 workers")
    monkeypatch.setattr(pilot, "LARGE_CORES", 37)
    assert forecast(experiment) == "space of 144 designs: seconds"
    assert forecast(experiment, keep="all") == "space of 144 designs: all of them are evaluated"
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path, dse_command: Dse) -> None:
    (tmp_path / "x.toml").write_text(TEXT)
    done = dse_command("sweep", "x.toml", "--estimate", "-o", "out")
    assert (done.returncode, done.stdout) == (0, "space of 144 designs: all of them are evaluated\n")
    assert not (tmp_path / "out").exists()
