"""The digits example: every file is what `networks.json` says, executed by QONNX' own executor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qonnx", reason="qonnx executes the example networks, and it is not installed")
modelwrapper = pytest.importorskip("qonnx.core.modelwrapper")
onnx_exec = pytest.importorskip("qonnx.core.onnx_exec")
infer_shapes = pytest.importorskip("qonnx.transformation.infer_shapes")

# qonnx may be absent, so its ModelWrapper has no type to name here.
Model = Any

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
RECORDS: list[dict[str, Any]] = json.loads((DIGITS / "networks.json").read_text())
QUANTIZERS = {"Quant", "BipolarQuant"}
STANDARD = {"Conv", "BatchNormalization", "MaxPool", "Add", "Flatten", "MatMul", "Mul"}

each_network = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["name"])


def load(record: dict[str, Any]) -> Model:
    return modelwrapper.ModelWrapper(str(DIGITS / record["file"]))


def with_batch(model: Model, batch: int) -> Model:
    """The files have batch 1; QONNX executes exactly the stored shapes, so they are inferred anew."""
    graph = model.graph
    del graph.value_info[:]
    for info in (*graph.input, *graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = batch
    return model.transform(infer_shapes.InferShapes())


def logits(model: Model, images: np.ndarray) -> np.ndarray:
    """Images (N, 1, 8, 8) to logits (N, 10)."""
    feed = {"image": images.astype(np.float32)}
    return onnx_exec.execute_onnx(with_batch(model, len(images)), feed)[model.graph.output[0].name]


def test_all_precisions_are_there() -> None:
    equal = [f"digits_m{bits}k{bits}" for bits in (1, 2, 3, 4, 6, 8)]
    unequal = [f"digits_m{m}k{k}" for m, k in ((1, 2), (2, 1), (2, 4), (4, 2), (4, 8), (8, 4))]
    assert {record["name"] for record in RECORDS} == {*equal, *unequal, "digits_mixed"}


def test_test_split() -> None:
    images, labels = np.load(DIGITS / "images.npy"), np.load(DIGITS / "labels.npy")
    assert (images.shape, images.dtype, images.max()) == ((500, 1, 8, 8), np.uint8, 16)
    assert (labels.shape, labels.dtype) == ((500,), np.uint8)
    assert set(np.bincount(labels)) <= {48, 49, 50, 51}


def test_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in DIGITS.glob("*.*")) < 2_500_000


@each_network
def test_file_has_only_the_listed_nodes(record: dict[str, Any]) -> None:
    assert (DIGITS / record["file"]).stat().st_size < 1_000_000
    nodes = load(record).graph.node
    assert {node.op_type for node in nodes} <= QUANTIZERS | STANDARD
    assert {node.op_type for node in nodes if node.domain} <= QUANTIZERS
    assert len({node.name for node in nodes}) == len(nodes)


@each_network
def test_properties_repeat_the_table(record: dict[str, Any]) -> None:
    properties = {entry.key: entry.value for entry in load(record).model.metadata_props}
    assert properties["precision"] == record["precision"]
    assert float(properties["accuracy"]) == record["accuracy"]
    assert "load_digits" in properties["dataset"]


@each_network
def test_weight_quantizers_have_the_stated_bits(record: dict[str, Any]) -> None:
    """Eq. 15 as a QONNX node: scale 2/n and zero point n/2 with n = 2^bits - 1; one bit is BipolarQuant."""
    model = load(record)
    stated = dict(part.split(" ") for part in record["precision"].split(", "))
    for layer, text in stated.items():
        node = model.get_node_from_name(f"{layer}_weight_quant")
        bits = int(text.split("x")[1])
        values = [float(model.get_initializer(name)) for name in node.input[1:]]
        n = 2**bits - 1
        assert values == ([1.0] if bits == 1 else [np.float32(2 / n), n / 2, bits])


@each_network
def test_accuracy_is_the_stated_one(record: dict[str, Any]) -> None:
    images, labels = np.load(DIGITS / "images.npy"), np.load(DIGITS / "labels.npy")
    hits = logits(load(record), images).argmax(axis=1) == labels
    assert hits.mean() == pytest.approx(record["accuracy"], abs=1e-9)


def test_batches_do_not_change_the_logits() -> None:
    """The stored batch of 1 and a batch of 16 agree; two bits, so no value sits near a rounding tie."""
    record = next(record for record in RECORDS if record["name"] == "digits_m2k2")
    images = np.load(DIGITS / "images.npy")[:16]
    single = [logits(load(record), image[None]) for image in images]
    np.testing.assert_allclose(np.concatenate(single), logits(load(record), images), rtol=1e-4, atol=1e-4)
