"""Bad input, through the real entry point: one line, exit code 2, nothing half-written, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import Dse

SWEEP = ("sweep", "experiment.toml", "-o", "results")


def replace(folder: Path, old: str, new: str) -> None:
    path = folder / "experiment.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refused(done: object, *fragments: str) -> None:
    stderr, code = done.stderr, done.returncode  # type: ignore[attr-defined]
    assert code == 2, stderr
    assert len(stderr.splitlines()) == 1, stderr
    assert stderr.startswith("error: ")
    for fragment in fragments:
        assert fragment in stderr, stderr


EXPERIMENTS = {
    "unknown section": (
        'name = "tiny"',
        'name = "tiny"\nobjectivs = []',
        "objectivs: must be one of",
        "did you mean 'objectives'?",
    ),
    "unknown knob": ("rows = [4, 16]", "rowz = [4, 16]", "space.rowz: must be one of", "did you mean 'rows'?"),
    "unknown network key": (
        'zoo = "cifar_convnet"',
        'zoo = "cifar_convnet"\nbitz = "1x1"',
        "networks[1].bitz",
        "did you mean 'bits'?",
    ),
    "unknown zoo network": (
        'zoo = "cifar_convnet"',
        'zoo = "resnet-18"',
        "networks[1].zoo: must be one of",
        "did you mean 'resnet18'?",
    ),
    "unknown technology": ('"asic45"', '"asic54"', "space.technology: must be one of", "did you mean 'asic"),
    "wrong type": ("rows = [4, 16]", 'rows = ["many"]', "space.rows: must be an integer between 1 and", "'many'"),
    "negative": ("rows = [4, 16]", "rows = [-4]", "space.rows: must be an integer between 1 and", "not -4"),
    "bits of nine": ('"2x3"', '"2x9"', "networks[1].bits: must be 'MxK' with M and K between 1 and 8, not '2x9'"),
    "lanes of nine": (
        'lanes_a = [1, "full"]',
        "lanes_a = 9",
        "space.lanes_a: must be an integer between 1 and 8 or 'full', not 9",
    ),
    "empty axis": ("rows = [4, 16]", "rows = []", "space.rows: at least one value must be given"),
    "no networks": ("[[networks]]", "[[networkz]]", "networkz: must be one of"),
    "not TOML": ('name = "tiny"', "name = ", "must be TOML"),
    "bad constraint": ('name = "tiny"', 'name = "t"\nconstraints = ["lut < many"]', "constraints: "),
    "unknown column": (
        'name = "tiny"',
        'name = "t"\nconstraints = ["luts <= 5"]',
        "constraints: must be one of",
        "did you mean 'lut'?",
    ),
    "objective of another table": (
        'objectives = ["energy_nj", "latency_us", "area_mm2"]',
        'objectives = ["top5_accuracy"]',
        "objectives: must be one of latency_cycles, latency_us",
        "not 'top5_accuracy'",
    ),
    "constraints that contradict each other": (
        'name = "tiny"',
        'name = "t"\nconstraints = ["area_mm2 < 9", "latency_us <= 5", "latency_us > 5"]',
        "constraints: 'latency_us <= 5' and 'latency_us > 5' must leave some value of latency_us, but leave none",
    ),
    "only infeasible": (
        'name = "tiny"',
        'name = "t"\nconstraints = ["latency_us <= 0"]',
        "at least one design must be feasible",
    ),
    "missing network file": ("tiny.safetensors", "none.safetensors", "none.safetensors: the network file must exist"),
    "missing images": ('"images.npy"', '"none.npy"', "none.npy: must be a readable .npy file"),
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_experiment(case: str, tiny: Path, dse_command: Dse) -> None:
    old, new, *fragments = EXPERIMENTS[case]
    replace(tiny, old, new)
    done = dse_command(*SWEEP)
    if case == "only infeasible":
        done.stderr = done.stderr.splitlines()[-1]  # the lines before it are progress
    refused(done, *fragments)
    if case != "only infeasible":
        assert not (tiny / "results" / "manifest.json").exists()


def test_missing_experiment(tiny: Path, dse_command: Dse) -> None:
    del tiny
    refused(dse_command("sweep", "none.toml"), "none.toml: the experiment file must be readable")


def test_unwritable_output(tiny: Path, dse_command: Dse) -> None:
    (tiny / "file").write_text("")
    refused(dse_command("sweep", "experiment.toml", "-o", "file/results"), "the output folder must be writable")
    refused(dse_command("encode", "none.onnx", "-o", "file/x.safetensors"), "none.onnx")
    assert dse_command(*SWEEP).returncode == 0
    refused(dse_command("report", "results", "-o", "file/report.html"), "file/report.html")
    assert (tiny / "file").read_text() == ""


def test_results_of_another_version(tiny: Path, dse_command: Dse) -> None:
    assert dse_command(*SWEEP).returncode == 0
    path = tiny / "results" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    for command in (("pareto", "results"), ("compare", "results"), ("explain", "results", "0"), ("report", "results")):
        refused(dse_command(*command), "must be results of version 3, not 99")
    path.write_text("{")
    refused(dse_command("pareto", "results"), "manifest.json: must be JSON")
    refused(dse_command("pareto", "nowhere"), "nowhere: must be a results folder")


def test_questions_to_results(tiny: Path, dse_command: Dse) -> None:
    del tiny
    assert dse_command(*SWEEP).returncode == 0
    refused(dse_command("explain", "results", "999999"), "row must be between 0 and")
    refused(dse_command("compare", "results", "--by", "colour"), "--by must be precision, not 'colour'")
    refused(dse_command("compare", "results", "--technology", "asic7"), "technology must be one of asic45, zynq7020")
    refused(dse_command("compare", "results", "--minimise", "energy"), "minimise: must be one of")
    refused(dse_command("pareto", "results", "--objective", "beauty"), "objective: must be one of")
    refused(dse_command("pareto", "results", "-o", "front.pdf"), "the suffix must be one of .csv, .md")
    refused(dse_command("networks", "show", "lenet"), "network must be a file or one of")
    refused(dse_command("technologies", "show", "tsmc3"), "technology must be one of")
    refused(dse_command(*SWEEP[:3], "other", "--keep", "some"), "keep must be one of best, front, all, not 'some'")
    refused(dse_command("sweeep"), "No such command")


def test_networks(tiny: Path, dse_command: Dse) -> None:
    (tiny / "garbage.safetensors").write_bytes(bytes(range(256)) * 8)
    (tiny / "short.safetensors").write_bytes((tiny / "tiny.safetensors").read_bytes()[:-40])
    (tiny / "garbage.onnx").write_bytes(b"\xff" * 2000)
    for name in ("garbage.safetensors", "short.safetensors", "garbage.onnx", "none.onnx", "none.safetensors"):
        refused(dse_command("run", name, "--input", "images.npy", "--output", "out.npy"), name)
    assert not (tiny / "out.npy").exists()


def test_inputs(tiny: Path, dse_command: Dse) -> None:
    images = np.load(tiny / "images.npy")
    np.save(tiny / "shape.npy", images[:, :2])
    np.save(tiny / "nan.npy", np.where(images > 0.9, np.nan, images))
    np.save(tiny / "text.npy", np.array(["a", "b"]))
    np.save(tiny / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tiny / "labels3.npy", np.arange(3))
    for name in ("shape.npy", "nan.npy", "text.npy", "object.npy"):
        refused(dse_command("run", "tiny.safetensors", "--input", name, "--output", "out.npy"))
    refused(
        dse_command(
            "run", "tiny.safetensors", "--input", "images.npy", "--labels", "labels3.npy", "--output", "out.npy"
        )
    )
    refused(dse_command("run", "tiny.safetensors", "--input", "images.npy", "--width", "7", "--output", "out.npy"))
    assert not (tiny / "out.npy").exists()


def onnx_file(path: Path, weights: np.ndarray, operator: str) -> None:
    """image -> Quant -> Conv with quantized weights -> `operator`."""
    quant = {"domain": "qonnx.custom_op.general", "signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    scalars = {"one": 1.0, "zero": 0.0, "bits": 2.0, "step": 2 / 3, "half": 1.5}
    constants = [helper.make_tensor(name, TensorProto.FLOAT, (), [value]) for name, value in scalars.items()]
    constants.append(helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel().tolist()))
    nodes = [
        helper.make_node("Quant", ["image", "one", "zero", "bits"], ["codes"], name="image_quant", **quant),
        helper.make_node("Quant", ["w", "step", "half", "bits"], ["wq"], name="weight_quant", **quant),
        helper.make_node("Conv", ["codes", "wq"], ["sums"], name="conv"),
        helper.make_node(operator, ["sums"], ["out"], name="last"),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 1, 4, 4))]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 2, 2, 2))]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports), path)


def test_encode(tiny: Path, dse_command: Dse) -> None:
    weights = np.linspace(-1, 1, 18, dtype=np.float32).reshape(2, 1, 3, 3)
    onnx_file(tiny / "good.onnx", weights, "Identity")
    onnx_file(tiny / "softmax.onnx", weights, "Mish")
    onnx_file(tiny / "nan.onnx", np.where(weights > 0.9, np.nan, weights).astype(np.float32), "Identity")
    assert dse_command("encode", "good.onnx").returncode == 0
    refused(dse_command("encode", "softmax.onnx"), "last", "Mish", "Conv")
    refused(dse_command("encode", "nan.onnx"), "'w'")
    assert sorted(path.name for path in tiny.glob("*.safetensors")) == ["good.safetensors", "tiny.safetensors"]
