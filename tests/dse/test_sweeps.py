"""A sweep stores what one-design evaluation says, whatever the workers and whatever interrupts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dse.experiment import load, parse
from dse.explanation import design_of
from dse.results import open_results
from dse.rows import CAUSES
from dse.space import blocks, design
from dse.sweeps import plan, sweep
from hwmodels.cost import Cost
from hwmodels.mapping import Misfit
from hwmodels.models import evaluate


def part_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "parts").iterdir())}


def test_rows_do_not_depend_on_workers(tiny: Path) -> None:
    experiment = load(tiny / "experiment.toml")
    one = sweep(experiment, tiny / "one")
    two = sweep(experiment, tiny / "two", workers=2)
    assert part_bytes(one.path) == part_bytes(two.path)
    assert (one.path / "manifest.json").read_bytes() == (two.path / "manifest.json").read_bytes()


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


def test_killed_sweep_resumes_to_the_same_rows(tiny: Path) -> None:
    text = (tiny / "experiment.toml").read_text().replace("cols = [1, 4]", "cols = { from = 1, to = 40, step = 1 }")
    (tiny / "experiment.toml").write_text(text)
    whole = sweep(load(tiny / "experiment.toml"), tiny / "whole")
    command = [sys.executable, "-m", "dse.cli", "sweep", "experiment.toml", "-o", "cut"]
    process = subprocess.Popen(command, cwd=tiny, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list((tiny / "cut").glob("parts/part-*"))) < 2:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list((tiny / "cut").glob("parts/part-*.parquet")))
    assert 2 <= done < len(part_bytes(whole.path)), (
        "the sweep must be killed in the middle for this test to mean anything"
    )
    # A torn part, as a full disk would leave it: it is not whole, so it is made again.
    torn = tiny / "cut" / "parts" / "part-000000.parquet"
    torn.write_bytes(torn.read_bytes()[:100])
    resumed = sweep(load(tiny / "experiment.toml"), tiny / "cut", resume=True)
    kept = {
        name: data for name, data in part_bytes(resumed.path).items() if name.endswith(".parquet") and name[0] != "."
    }
    assert kept == part_bytes(whole.path)
    assert open_results(tiny / "cut").manifest == open_results(tiny / "whole").manifest


def test_interrupt_is_said_and_resumable(tiny: Path) -> None:
    text = (tiny / "experiment.toml").read_text().replace("cols = [1, 4]", "cols = { from = 1, to = 60, step = 1 }")
    (tiny / "experiment.toml").write_text(text)
    command = [sys.executable, "-m", "dse.cli", "sweep", "experiment.toml", "-o", "cut"]
    process = subprocess.Popen(command, cwd=tiny, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tiny / "cut").glob("parts/part-*.parquet")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.splitlines()[-1].startswith("error: interrupted")
    assert sweep(load(tiny / "experiment.toml"), tiny / "cut", resume=True).manifest["status"] == "complete"


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
        script += f"sweep(load('{name}.toml'), '{name}'); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
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
