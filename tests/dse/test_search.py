"""The search keeps exactly what brute force over all rows keeps, and no bound on the way is above what it bounds."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dse import grid, keep, look, sweep_plan
from dse.estimates import SLACK
from dse.experiment import Experiment, applies, parse
from dse.keep import Bars, chosen, figures, figures_of, oriented
from dse.look import Look
from dse.optima import GROUP, axis_optima
from dse.rows import table_of
from dse.space import Space
from dse.sweep_plan import Plan, plan
from dse.sweeps import evaluate_chunk, prepare, sweep
from reports.columns import COLUMNS

AXES: dict[str, list[Any]] = {
    "machine": ["array", "mac"], "dataflow": ["best", "weight"], "technology": ["asic45", "zynq7020", "sg13g2", "asic16"],
    "memory": ["dram", "sram"], "clock_mhz": [100.0, 150.0, 400.0], "rows": [4, 16, 24], "cols": [1, 4, 6], "width": [16, 32],
    "lanes_a": [1, 2], "lanes_w": [1, 2], "max_act_bits": [8], "weight_depth": [16384, 8192, 32768], "act_depth": [2048, 4096, 8192],
    "out_depth": [1024, 2048, 4096], "threshold_depth": [128, 256], "port_bits": [16, 64, 24], "port_shared": [True, False],
    "port_latency": [0, 20], "port_burst": [1, 16],
}  # fmt: skip
FIGURES = (
    "energy_nj", "latency_us", "latency_cycles", "throughput_per_s", "area_mm2", "power_mw", "utilisation", "bandwidth_gbit_s", "lut",
    "bram36", "dsp", "energy_leakage_nj", "energy_buffer_nj", "model_kib",
)  # fmt: skip


def drawn(seed: int) -> tuple[Experiment, Plan]:
    """A random small space with random objectives and constraints; some have ties, some technologies lack some objective."""
    rng = Random(seed)
    most, sizes = {}, 1
    for name in rng.sample(list(AXES), len(AXES)):
        count = min(len(AXES[name]), rng.choice((1, 2, 2, 3)) if sizes < 500 else 1)
        most[name], sizes = rng.sample(AXES[name][:count], count), sizes * count
    most["memory_kib"] = [2048]
    axes = "\n".join(f"{name} = {_toml(values)}" for name, values in most.items())
    names = [name for name in FIGURES if any(applies(name, technology) for technology in most["technology"])]
    objectives = rng.sample(names, rng.choice((1, 2, 3, 3, 4)))
    bounds = {
        "latency_us": "<= 9000",
        "energy_nj": "<= 60000",
        "area_mm2": "<= 12",
        "lut": "<= 20000",
        "power_mw": ">= 60",
    }
    known = [f"{name} {bounds[name]}" for name in rng.sample(list(bounds), rng.choice((0, 0, 1, 2))) if name in names]
    text = f"objectives = {_toml(objectives)}\nconstraints = {_toml(known)}\n"
    text += f"[[networks]]\nzoo = 'cifar_convnet'\nbits = ['1x1', '2x2']\n[space]\n{axes}\n"
    experiment = parse(text, base=Path(), where="test")
    return experiment, plan(experiment)


def _toml(values: list[Any]) -> str:
    return "[" + ", ".join(str(v).lower() if isinstance(v, bool) else repr(v) for v in values) + "]"


def brute(prepared: Plan) -> pd.DataFrame:
    return pa.concat_tables([evaluate_chunk(prepared, chunk)[0] for chunk in prepared.chunks()]).to_pandas()


def best_at_every_value(experiment: Experiment, every: pd.DataFrame) -> dict[tuple[str, ...], int]:
    """The rows of `axis_optima`, one row of the space after another."""
    found: dict[tuple[str, ...], tuple[float, ...]] = {}
    knobs = [name for name in Space.__dataclass_fields__ if len(getattr(experiment.space, name)) > 1]
    names = dict.fromkeys((*experiment.objectives, experiment.minimise, "energy_nj"))
    for row in every.to_dict("records"):
        for name in names:
            if name in ("accuracy", "model_kib") or not applies(name, row["technology"]):
                continue
            less = -row[name] if COLUMNS[name].direction == "larger" else row[name]
            score = (less, row["energy_nj"], row["latency_us"], row["row"])
            for knob in knobs:
                if knob in ("machine", "technology"):
                    continue
                value = f"{row[knob]:g}" if isinstance(row[knob], float) else str(row[knob])
                key = (row["network"], row["machine"], row["technology"], knob, value, name)
                found[key] = min(found.get(key, score), score)
    return {key: int(score[-1]) for key, score in found.items()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces of a few thousand rows are searched, in many spans and batches."""
    monkeypatch.setattr(keep, "TOP", 3)
    for module in (keep, sweep_plan):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 40)
    monkeypatch.setattr(sweep_plan, "WORTHWHILE", 0)
    monkeypatch.setattr(grid, "SPAN_CORES", 24)
    monkeypatch.setattr(look, "BATCH_CELLS", 32)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(5))
def test_the_search_keeps_what_brute_force_keeps(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 3 == 0:
        monkeypatch.setattr(grid, "MOST_CELLS", 4)
    if seed == 4:
        monkeypatch.setattr(sweep_plan, "WORTHWHILE", 10**9)
    experiment, prepared = drawn(seed)
    kept = "front" if seed == 1 else "best"
    every = brute(prepared)
    if not len(every):
        with pytest.raises(ValueError, match="at least one design must be feasible"):
            sweep(experiment, tmp_path / "results")
        return
    opened = sweep(experiment, tmp_path / "results", keep=kept)
    masks = chosen(experiment, every, axes=kept == "best")
    masks["sample"] = np.isin(every["row"], keep.sample_rows(prepared.rows, experiment.seed))
    wanted = every[np.logical_or.reduce(list(masks.values()))].reset_index(drop=True)
    found = opened.table()
    pd.testing.assert_frame_equal(found.drop(columns="kept"), wanted)
    for name, mask in masks.items():
        assert found.loc[found["kept"].str.contains(name), "row"].tolist() == every.loc[mask, "row"].tolist(), name
    if kept == "best":
        assert axis_optima(opened).set_index(list(GROUP))["row"].to_dict() == best_at_every_value(experiment, every)
    manifest = opened.manifest
    assert manifest["evaluated"] + manifest["skipped"] == prepared.rows
    assert manifest["evaluated"] == manifest["feasible"] + sum(manifest["infeasible"].values())


def test_the_random_spaces_are_worth_the_test() -> None:
    """Most have rows, some have ties on the front, most are larger than their sample."""
    sizes, ties, rows = [], 0, 0
    for seed in range(8):
        experiment, prepared = drawn(seed)
        every = brute(prepared)
        sizes.append(prepared.rows)
        rows += len(every) > 0
        for technology in every["technology"].unique() if len(every) else ():
            some = every[every["technology"] == technology]
            values = oriented(some, keep.objectives(experiment, technology))[
                chosen(experiment, some, axes=False)["front"]
            ]
            ties += len(values) > len(np.unique(values, axis=0))
    assert rows >= 5
    assert ties >= 2
    assert sum(size > 400 for size in sizes) >= 6


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_every_bound_is_below_every_row(seed: int) -> None:
    """For all rows of a span: the bound of the core and of the cell, over all clocks, against the stored figures."""
    experiment, prepared = drawn(seed)
    checked = 0
    for span in list(grid.spans(prepared.blocks))[:6]:
        block, variant = span.block, prepared.variants[span.block.network]
        outers = np.arange(span.start, span.stop)
        looked = Look(experiment, variant, block, outers, Bars(experiment), machine_code=False)
        cores = np.flatnonzero(looked.reason == "")
        place, points = looked._cells_of(cores)
        for group in looked.groups if len(cores) else ():
            coarse, _ = figures_of(experiment, group.technology, looked._core_bounds(cores, group), len(cores))
            fine, _ = figures_of(experiment, group.technology, looked._cell_bounds(points, group), points.size)
            assert (coarse[place] <= fine + np.abs(fine) * SLACK).all()
            designs = looked.grid.designs(outers[points.axes[0]], looked._cell(points), points.axes[5])
            order = np.argsort(designs)
            wanted = np.zeros((len(designs), len(block.settings)), np.bool_)
            wanted[:, group.numbers] = True
            table = table_of(variant, block, (), designs[order], wanted=wanted)[0].to_pandas()
            values = oriented(table, figures(experiment, group.technology))
            own = order[np.searchsorted(designs[order], (table["row"] - block.first_row) // len(block.settings))]
            assert (fine[own] <= values + np.abs(values) * SLACK * 2).all()
            checked += len(table)
    assert checked > 100


@pytest.mark.usefixtures("small")
def test_most_of_a_larger_space_is_skipped(tmp_path: Path) -> None:
    text = """
    objectives = ["energy_nj", "latency_us", "area_mm2"]
    [[networks]]
    zoo = "cifar_convnet"
    [space]
    clock_mhz = [100, 200, 400]
    rows = [8, 16, 32, 64]
    cols = { from = 1, to = 24, step = 1 }
    width = [16, 32, 64]
    weight_depth = [2048, 4096, 8192]
    act_depth = [1024, 2048]
    out_depth = [1024, 4096]
    """
    experiment = parse(text, base=Path(), where="test")
    front, best = (sweep(experiment, tmp_path / kept, keep=kept) for kept in ("front", "best"))
    assert front.manifest["skipped"] > 0.7 * front.manifest["rows"]
    assert front.manifest["skipped"] > best.manifest["skipped"] > 0.2 * best.manifest["rows"]
    assert (front.manifest["keep"], best.manifest["keep"]) == ("front", "best")
    kept = [set(opened.table(["row"])["row"]) for opened in (front, best)]
    assert kept[0] < kept[1]


def test_prepared_bars_depend_on_the_experiment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (keep, sweep_plan):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 40)
    _, prepared = drawn(5)
    for name in ("one", "two"):
        (tmp_path / name / "work").mkdir(parents=True)
    one, two = (prepare(prepared, tmp_path / name) for name in ("one", "two"))
    for block, bars in one.bars.items():
        for kind in ("_killers", "_best"):
            left, right = getattr(bars, kind), getattr(two.bars[block], kind)
            assert left.keys() == right.keys()
            assert all(np.array_equal(left[key], right[key]) for key in left)
