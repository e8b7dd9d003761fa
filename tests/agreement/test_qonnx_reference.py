"""The trained digits networks: our integers against qonnx' float32, on all 500 test images."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from workloads.encoded import EncodedNetwork
from workloads.executor import accuracy, run
from workloads.onnx_import import load_onnx

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FILES = sorted(DIGITS.glob("digits_*.onnx"))

pytestmark = pytest.mark.skipif(
    not FILES, reason="examples/digits holds no .onnx files (python examples/digits/train.py)"
)

Array = npt.NDArray[Any]


QUANTIZED = ("conv1", "conv2", "conv3", "conv4", "add")
OUTPUT = "fc_bias_out"
TIE = 1e-4


class Comparison(NamedTuple):
    """Outputs (500, 10) of both; `alive` (500,) images of equal codes; the largest distance of a first difference.

    The distance is in levels, from the float32 value before the quantizer to the nearest rounding boundary. Behind a
    first difference an image is another computation, so it is compared no further, except in its decision.
    """

    outputs: Array
    expected: Array
    alive: Array
    tie_distance: float


def reference(path: Path, images: Array) -> dict[str, Array]:
    """Every tensor that qonnx computes, all images in one batch: the graphs are exported for one."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = onnx.load(path)
    del model.graph.value_info[:]
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(images)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    wrapped = ModelWrapper(model).transform(InferShapes())
    return dict(execute_onnx(wrapped, {model.graph.input[0].name: images}, return_full_exec_context=True))


@cache
def compared(path: Path) -> Comparison:
    """Run both and find the images that float32 decides differently."""
    images = np.load(DIGITS / "images.npy").astype(np.float32)
    expected, network = reference(path, images), load_onnx(path)
    got, alive, distances = run(network, images, keep_integers=True), np.ones(len(images), dtype=bool), [0.0]
    for name in QUANTIZED:
        n = 2 ** _bits(network, name) - 1
        differs = np.rint(expected[f"{name}_quant_out"].astype(np.float64) * n) != got.codes[name]
        differs &= alive[:, None, None, None]
        position = expected[f"{name}_bn_out"].astype(np.float64) * n / 2 + n / 2
        distances += np.abs(position - np.floor(position) - 0.5)[differs].tolist()
        alive &= ~differs.any(axis=(1, 2, 3))
    return Comparison(got.outputs, expected[OUTPUT], alive, max(distances))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestDigits:
    def test_all_500_decisions_equal_qonnx(self, path: Path) -> None:
        found = compared(path)
        assert len(found.outputs) == 500
        assert (found.outputs.argmax(axis=1) == found.expected.argmax(axis=1)).all()

    def test_outputs_equal_qonnx_where_all_codes_do(self, path: Path) -> None:
        found = compared(path)
        tolerance = 1e-5 * np.abs(found.expected).max()
        np.testing.assert_allclose(found.outputs[found.alive], found.expected[found.alive], rtol=0, atol=tolerance)

    def test_codes_differ_only_where_float32_stands_on_a_tie(self, path: Path) -> None:
        found = compared(path)
        assert found.tie_distance < TIE
        # Few images, and the fewer the coarser the levels: up to 4 bits there is not one.
        assert (~found.alive).sum() <= (25 if "8" in path.stem or "6" in path.stem else 0)

    def test_image_codes_are_the_pixels(self, path: Path) -> None:
        images = np.load(DIGITS / "images.npy")
        got = run(load_onnx(path), images[:20].astype(np.float32), keep_integers=True)
        np.testing.assert_array_equal(got.codes["image"], 2 * images[:20].astype(np.int64) - 31)

    def test_accuracy_is_what_the_file_claims(self, path: Path) -> None:
        claimed = float(load_onnx(path).source["accuracy"])
        assert accuracy(compared(path).outputs, np.load(DIGITS / "labels.npy")) == pytest.approx(claimed, abs=1e-9)
        rows = {row["file"]: row["accuracy"] for row in json.loads((DIGITS / "networks.json").read_text())}
        assert rows[path.name] == pytest.approx(claimed, abs=1e-9)


def _bits(network: EncodedNetwork, name: str) -> int:
    bits = next(layer for layer in network.network.layers if layer.name == name).out_bits
    assert bits is not None
    return bits
