"""The main job on the shipped example, from a QONNX file to a decision and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dse.compare import Choice, Decision, decide
from dse.examples import digits
from dse.experiment import load
from dse.progress import Progress
from dse.report import write_report
from dse.results import Results
from dse.sweeps import sweep
from dse.variants import load_array
from workloads.executor import accuracy, run
from workloads.files import save
from workloads.onnx_import import load_onnx

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo leaves behind."""

    results: Results
    decision: Decision
    report: Path


def demo(folder: Path, *, workers: int = 1, say: Say = print, progress: Progress | None = None) -> Demo:
    """Encode one network and run it, sweep the whole family, decide, and write the report into `folder`."""
    source = digits()
    folder.mkdir(parents=True, exist_ok=True)
    encoded = load_onnx(source / "digits_m2k2.onnx")
    save(encoded, folder / "digits_m2k2.safetensors")
    say(f"encoded  {source / 'digits_m2k2.onnx'} -> {folder / 'digits_m2k2.safetensors'}")
    images, labels = load_array(source / "images.npy"), load_array(source / "labels.npy")
    measured = accuracy(run(encoded, images).outputs, labels)
    say(f"executed {len(images)} images bit-exactly with xnor and popcount: accuracy {measured:.3f}")
    opened = sweep(load(source / "experiment.toml"), folder / "sweep", workers=workers, resume=True, progress=progress)
    found = opened.manifest
    say(
        f"swept    {found['rows']:,} designs, {found['skipped']:,} skipped by bounds, {found['feasible']:,} feasible -> {opened.path}"
    )
    decision = decide(opened, Choice.of(load(source / "experiment.toml")))
    report = write_report(opened, folder / "report.html", command="dse demo")
    return Demo(opened, decision, report)
