"""A sweep stores what one-design evaluation says, whatever the workers and whatever interrupts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dse import grid, results, sweep_plan
from dse import keep as keep_rules
from dse.compare import Choice, decide
from dse.conflicts import conflict
from dse.executors.registry import executor
from dse.experiment import Experiment, applies, constraint, load, parse
from dse.explanation import design_of
from dse.front import front_rows
from dse.pool import finished
from dse.results import Results, open_results
from dse.rows import CAUSES
from dse.space import blocks, design
from dse.sweep_plan import plan
from dse.sweeps import sweep
from hwmodels.cost import Cost
from hwmodels.mapping import Misfit
from hwmodels.models import evaluate


def part_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "parts").iterdir())}


LARGE = "cols = { from = 1, to = 12, step = 1 }"


@pytest.fixture(autouse=True)
def _small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enlarged tiny space, of 3,456 rows, is searched, and not taken whole; as machine code, for it is quicker."""
    monkeypatch.setattr(keep_rules, "SAMPLE_ROWS", 1500)
    monkeypatch.setattr(sweep_plan, "SAMPLE_ROWS", 1500)
    monkeypatch.setattr(sweep_plan, "WORTHWHILE", 0)


def enlarged(tiny: Path) -> Path:
    text = (tiny / "experiment.toml").read_text().replace("cols = [1, 4]", LARGE)
    (tiny / "experiment.toml").write_text(text)
    return tiny / "experiment.toml"


@pytest.mark.parametrize("keep", ["best", "all"])
def test_rows_do_not_depend_on_workers(keep: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "SPAN_CORES", 40)
    experiment = load(enlarged(tiny))
    one = sweep(experiment, tiny / "one", keep=keep)
    for workers in (2, 8) if keep == "best" else (2,):
        many = sweep(experiment, tiny / str(workers), workers=workers, keep=keep)
        assert part_bytes(one.path) == part_bytes(many.path)
        assert (one.path / "manifest.json").read_bytes() == (many.path / "manifest.json").read_bytes()
    assert (one.manifest["skipped"] > 0) == (keep == "best")
    assert sorted(path.name for path in one.path.iterdir()) == [".lock", "experiment.toml", "manifest.json", "parts"]


def test_every_row_is_what_one_evaluation_says(tiny: Path) -> None:
    opened = sweep(load(tiny / "experiment.toml"), tiny / "results")
    table = opened.table()
    for row in table.sample(150, random_state=1).to_dict("records"):
        network, machine = design_of(opened, row["row"])
        wanted = evaluate(network, machine)
        assert row["network"] == network.name
        for name in Cost.__dataclass_fields__:
            assert row[name] == pytest.approx(float(getattr(wanted.cost, name)), rel=1e-12, nan_ok=True), name
        for cause in CAUSES:
            assert row[f"{cause}_cycles"] == getattr(wanted.activity.cycles, f"{cause}_cycles")
        assert row["utilisation"] == pytest.approx(wanted.utilisation, rel=1e-12)
        assert row["bound"] == wanted.activity.bound
        assert (row["rows"], row["lanes_a"], row["technology"]) == (machine.rows, machine.lanes_a, machine.technology)


def test_infeasible_rows_are_counted_by_reason(tiny: Path) -> None:
    """Brute force: every row of the space by itself, the reason that a single evaluation gives."""
    text = (tiny / "experiment.toml").read_text().replace('bits = ["1x1", "2x3"]', 'bits = "2x3"')
    text = text.replace("width = [16, 32]", "width = [24, 32]").replace(
        'name = "tiny"', 'name = "t"\nconstraints = ["latency_us <= 2000"]'
    )
    experiment = parse(text, base=tiny, where="test")
    prepared = plan(experiment)
    grid = blocks(experiment.space, [variant.network for variant in prepared.variants])
    reasons: Counter[str] = Counter()
    for row in range(prepared.rows):
        try:
            block, machine = design(grid, row)
            cost = evaluate(prepared.variants[block.network].network, machine).cost
            reasons["latency_us <= 2000" if cost.latency_us > 2000 else ""] += 1
        except Misfit as misfit:
            reasons[misfit.reason] += 1
        except ValueError as error:
            names = {"rows must divide width": "rows x width", "port_bits must divide width": "port_bits x width"}
            reasons[next((name for words, name in names.items() if words in str(error)), str(error))] += 1
    counts = sweep(experiment, tiny / "results").counts()
    assert counts.feasible == reasons.pop("")
    assert dict(counts.infeasible) == dict(reasons)
    assert counts.evaluated == prepared.rows
    assert len(reasons) >= 3


SCRIPT = """
import sys, time
from dse import grid, keep, results, sweep_plan, sweeps
from dse.cli import main
write_part = results.write_part
def slowly(*arguments):
    write_part(*arguments)
    time.sleep(0.3)
results.write_part = slowly
grid.SPAN_CORES, sweep_plan.CHUNK_DESIGNS = 24, 64
keep.SAMPLE_ROWS = sweep_plan.SAMPLE_ROWS = 1500
sweep_plan.WORTHWHILE = 0
sys.argv = ["dse", *sys.argv[1:]]
main()
"""
"""`dse` with units so small, and so slowly written, that a kill always finds some finished and some not."""


def started(tiny: Path, *arguments: str) -> subprocess.Popen[str]:
    """A sweep into `cut` in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, "sweep", "experiment.toml", "-o", "cut", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    return subprocess.Popen(
        command, cwd=tiny, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )


def units(tiny: Path) -> list[Path]:
    """Finished units of the sweep that was started."""
    return sorted((tiny / "cut").glob("[pw]*/part-*.parquet"))


def wait_for_units(tiny: Path, process: subprocess.Popen[str], count: int) -> None:
    while process.poll() is None and len(units(tiny)) < count:
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("keep", "workers", "stop"),
    [
        ("best", "1", signal.SIGKILL),
        ("best", "2", signal.SIGTERM),
        ("all", "2", signal.SIGKILL),
        ("all", "1", signal.SIGINT),
    ],
)
def test_stopped_sweep_resumes_to_the_same_rows(
    keep: str, workers: str, stop: signal.Signals, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = load(enlarged(tiny))
    monkeypatch.setattr(grid, "SPAN_CORES", 24)
    monkeypatch.setattr(sweep_plan, "CHUNK_DESIGNS", 64)
    whole = sweep(experiment, tiny / "whole", keep=keep)
    process = started(tiny, "--keep", keep, "--workers", workers)
    wait_for_units(tiny, process, 3)
    process.send_signal(stop)
    _, stderr = process.communicate()
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[stop]
    if stop != signal.SIGKILL:
        assert stderr.splitlines()[-1].startswith("error: interrupted"), stderr
    done = units(tiny)
    assert len(done) >= 3
    assert json.loads((tiny / "cut" / "manifest.json").read_text())["status"] == "running"
    # A torn part, as a disk without room would leave it: it is not whole, so it is made again.
    done[0].write_bytes(done[0].read_bytes()[:100])
    (done[0].parent / ".part-000001.parquet.1.tmp").write_bytes(b"torn")
    resumed = _resumed(experiment, tiny / "cut", keep)
    assert part_bytes(resumed.path) == part_bytes(whole.path)
    assert open_results(tiny / "cut").manifest == open_results(tiny / "whole").manifest


def _resumed(experiment: Experiment, path: Path, keep: str) -> Results:
    """Resume; workers of a killed sweep let go of the folder within a moment."""
    for _ in range(50):
        try:
            return sweep(experiment, path, resume=True, keep=keep)
        except ValueError as error:
            if "one sweep at a time" not in str(error):
                raise
            time.sleep(0.1)
    raise AssertionError("the workers of a killed sweep must end")


def test_killed_while_it_puts_the_results_together(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are there, the manifest does not say so yet: it never points to what is not there, and resuming makes the same."""
    experiment = load(enlarged(tiny))
    whole = sweep(experiment, tiny / "whole")
    write = results.write_manifest

    def killed(path: Path, manifest: dict[str, object]) -> None:
        if manifest["status"] == "complete":
            raise KeyboardInterrupt
        write(path, manifest)

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(experiment, tiny / "cut")
    with pytest.raises(ValueError, match="must be results of a finished sweep"):
        open_results(tiny / "cut")
    resumed = sweep(experiment, tiny / "cut", resume=True)
    assert part_bytes(resumed.path) == part_bytes(whole.path)
    again = sweep(experiment, tiny / "cut", resume=True)
    assert part_bytes(again.path) == part_bytes(whole.path)


def test_disk_without_room(tiny: Path) -> None:
    """A limit on the size of files is met as a full disk is: in the middle of a write."""
    experiment = load(enlarged(tiny))
    script = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n{SCRIPT}"
    command = [sys.executable, "-c", script, "sweep", "experiment.toml", "-o", "cut", "--keep", "all"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    done = subprocess.run(command, cwd=tiny, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: cut/parts/part-"), done.stderr
    assert "must be writable and have room" in last
    assert list((tiny / "cut").glob("**/.*.tmp")) == []
    assert sweep(experiment, tiny / "cut", resume=True, keep="all").manifest["status"] == "complete"


def test_a_worker_that_dies_is_said(tiny: Path) -> None:
    with (
        executor("local", workers=2) as start,
        pytest.raises(ValueError, match="workers: every process must live to the end, but one died"),
    ):
        list(finished(start, _die, [1, 2, 3]))
    del tiny


def _die(_unit: int) -> bytes:
    os._exit(9)


def test_a_space_too_large_to_number_is_refused(tiny: Path) -> None:
    huge = "{ from = 1, to = 9000, step = 1 }"
    text = (tiny / "experiment.toml").read_text().replace("cols = [1, 4]", f"cols = {huge}\nport_burst = {huge}")
    text = text.replace("act_depth = 4096", f"act_depth = {huge}".replace("from = 1", "from = 2"))
    text = text.replace(
        "out_depth = 2048", f"out_depth = {huge}\nport_latency = {huge}".replace("from = 1", "from = 2")
    )
    with pytest.raises(
        ValueError, match=r"space: must have at most 9,223,372,036,854,775,807 rows, not [\d,]+; give some axis"
    ):
        plan(parse(text, base=tiny, where="test"))


def test_what_a_search_did_not_keep_is_said(tiny: Path) -> None:
    opened = sweep(load(enlarged(tiny)), tiny / "results")
    with pytest.raises(
        ValueError, match="objective must be one of energy_nj, latency_us, area_mm2, whose front was kept"
    ):
        front_rows(opened, ["lut"])
    with pytest.raises(ValueError, match=r"minimise must be one of energy_nj, latency_us, area_mm2, .* not 'power_mw'"):
        decide(opened, Choice("power_mw", (), "asic45"))
    assert len(front_rows(opened, ["latency_us", "energy_nj"], technology="asic45"))
    with pytest.raises(ValueError, match="keep must be one of best, front, all, not 'some'"):
        sweep(load(tiny / "experiment.toml"), tiny / "other", keep="some")


def test_resuming_with_another_keep_is_refused(tiny: Path) -> None:
    experiment = load(enlarged(tiny))
    sweep(experiment, tiny / "results")
    with pytest.raises(ValueError, match="must have been begun with the same keep"):
        sweep(experiment, tiny / "results", resume=True, keep="all")


def test_one_sweep_at_a_time_and_no_overwriting(tiny: Path) -> None:
    from dse.results import exclusive

    experiment = load(tiny / "experiment.toml")
    with exclusive(tiny / "results"), pytest.raises(ValueError, match="used by one sweep at a time"):
        sweep(experiment, tiny / "results")
    sweep(experiment, tiny / "results")
    with pytest.raises(ValueError, match="must be a new folder, but holds results of this experiment; add --resume"):
        sweep(experiment, tiny / "results")
    other = parse(experiment.text + "\n# changed", base=tiny, where="test")
    with pytest.raises(ValueError, match="must hold results of this experiment, but holds another one"):
        sweep(other, tiny / "results", resume=True)


def test_resuming_with_other_inputs_is_refused(tiny: Path) -> None:
    experiment = load(tiny / "experiment.toml")
    sweep(experiment, tiny / "results")
    np.save(tiny / "labels.npy", 3 - np.load(tiny / "labels.npy"))
    with pytest.raises(ValueError, match="must have been begun with the same networks, but they changed"):
        sweep(experiment, tiny / "results", resume=True)


def test_nothing_feasible_says_why(tiny: Path) -> None:
    text = (
        (tiny / "experiment.toml")
        .read_text()
        .replace('name = "tiny"', 'name = "t"\nconstraints = ["latency_us <= 0.001"]')
    )
    with pytest.raises(
        ValueError, match=r"at least one design must be feasible, but none of \d+ is: .*latency_us <= 0.001"
    ):
        sweep(parse(text, base=tiny, where="test"), tiny / "results")


FITTING = """
[[networks]]
zoo = "cifar_convnet"
[space]
technology = ["asic45", "zynq7020"]
rows = [8, 64]
cols = [4, 32]
weight_depth = [16, 4096]
act_depth = 2048
out_depth = 2048
"""


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (
            ["latency_us <= 0.5"],
            r"of the 4 that fit in all, none satisfies 'latency_us <= 0\.5', they have 1392 to 2557$",
        ),
        (
            ["power_mw > 0", "latency_us <= 1500", "energy_nj <= 1e9", "area_mm2 <= 8"],
            r"of the 4 that fit in all, 2 satisfy 'latency_us <= 1500', 2 'area_mm2 <= 8', none both$",
        ),
    ],
)
def test_constraints_that_leave_nothing_are_named(constraints: list[str], words: str, tiny: Path) -> None:
    with pytest.raises(ValueError, match=words):
        sweep(parse(f"constraints = {constraints}\n{FITTING}", base=tiny, where="test"), tiny / "results")


def test_a_conflict_is_what_brute_force_finds() -> None:
    """Of random rows and constraints: the first that alone leaves nothing, else the first pair, else all of them."""
    rng, seen = np.random.default_rng(5), Counter[str]()
    for _ in range(300):
        rows = pd.DataFrame(
            {name: rng.integers(0, 6, 6).astype(float) for name in ("energy_nj", "latency_us", "area_mm2", "lut")}
        )
        rows["technology"] = rng.choice(["asic45", "zynq7020"], 6)
        columns = rng.permutation(["energy_nj", "latency_us", "area_mm2", "lut"])[:3]
        given = [constraint(f"{name} {rng.choice(['<=', '>'])} {rng.integers(0, 6)}") for name in columns]
        holds = [
            {place for place, row in enumerate(rows.to_dict("records"))
             if not applies(item.column, row["technology"]) or item.holds(row[item.column])}
            for item in given
        ]  # fmt: skip
        words = conflict(given, rows)
        alone = [str(item) for item, left in zip(given, holds, strict=True) if not left]
        pairs = [(str(given[i]), str(given[j])) for i in range(3) for j in range(i + 1, 3) if not holds[i] & holds[j]]
        if alone:
            assert words.startswith(f"none satisfies '{alone[0]}'")
        elif pairs:
            assert re.fullmatch(rf"\d satisfy '{pairs[0][0]}', \d '{pairs[0][1]}', none both", words)
        else:
            assert words == "every two of the constraints leave some, all together none"
        seen["alone" if alone else "pair" if pairs else "three"] += 1
    assert len(seen) == 3
    assert conflict(given, rows[:0]) == ""


def test_memory_does_not_grow_with_the_space(tiny: Path) -> None:
    """Peak resident memory of a space 8 times as large: the parts leave memory as they are made."""

    def peak(cols: int, name: str) -> int:
        text = (
            (tiny / "experiment.toml")
            .read_text()
            .replace("cols = [1, 4]", f"cols = {{ from = 1, to = {cols}, step = 1 }}")
        )
        (tiny / f"{name}.toml").write_text(text)
        script = (
            "import resource, sys; sys.argv[0] = 'dse'\nfrom dse.experiment import load\nfrom dse.sweeps import sweep\n"
        )
        script += f"sweep(load('{name}.toml'), '{name}', keep='all'); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tiny, capture_output=True, text=True, check=True, env=environment
        )
        return int(done.stdout)

    small, large = peak(12, "small"), peak(96, "large")
    assert large < 1.3 * small


def test_accuracy_is_measured_cited_or_unknown(tiny: Path) -> None:
    prepared = plan(load(tiny / "experiment.toml"))
    sources = {variant.network.name: variant.accuracy_source for variant in prepared.variants}
    assert sources["tiny"] == "measured"
    assert sources["cifar_convnet_1x1"].startswith("cited: ")
    assert sources["cifar_convnet_2x3"] == "unknown"
    values = {variant.network.name: variant.accuracy for variant in prepared.variants}
    assert values["cifar_convnet_1x1"] == pytest.approx(0.9039)
    assert np.isnan(values["cifar_convnet_2x3"])
