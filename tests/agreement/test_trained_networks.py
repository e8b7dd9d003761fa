"""Networks that others have trained and published, read as they are: the integers of `qonnx`, layer by layer, and the known classes.

The files are not part of this repository: they are looked for in `shared/models` beside it, or where DSE_SHARED says.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from tests.conftest import SHARED
from tests.workloads.qonnx_builder import TIE, Counted, Emitter, Levels, reference
from workloads.encoded import Codes, EncodedNetwork
from workloads.executor import Run, run
from workloads.layers import Conv, Dense, Flatten, Layer, Shuffle
from workloads.onnx_import import load_onnx

Array = npt.NDArray[Any]

MODELS = SHARED / "models"
FINN, ESPCN = MODELS / "finn_tfc_w1a1", MODELS / "espcn" / "espcn_subpixel_quant.onnx"
TFC = {bits: MODELS / "tfc" / f"TFC_{bits}.onnx" for bits in ("1W1A", "1W2A", "2W2A")}

QUANTIZERS, ENDS = ("Quant", "BipolarQuant", "MultiThreshold"), ("Conv", "DepthToSpace")

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason=f"no trained networks in {MODELS}")


@dataclass(frozen=True)
class Quantized:
    """Where the codes of a layer stand in the reference."""

    before: str
    after: str
    levels: Emitter


def quantizers(model: onnx.ModelProto, layers: set[str]) -> Iterator[tuple[str, Quantized]]:
    """The quantizer that follows each layer, found by walking down the graph; the one of the input is called by its name."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    readers = {name: node for node in reversed(model.graph.node) for name in node.input}
    starts = {node.name: node.output[0] for node in model.graph.node if node.name in layers}
    for layer, tensor in {**starts, model.graph.input[0].name: model.graph.input[0].name}.items():
        while tensor in readers and readers[tensor].op_type not in QUANTIZERS + ENDS:
            tensor = next(iter(readers[tensor].output))
        node = readers.get(tensor)
        if node is not None and node.op_type in QUANTIZERS:
            yield (
                layer,
                Quantized(tensor, node.output[0], levels_of(node, [constants[name] for name in node.input[1:]])),
            )


def levels_of(node: onnx.NodeProto, given: list[Array]) -> Emitter:
    flags = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "BipolarQuant":
        return Levels(1, given[0], bipolar=True)
    if node.op_type == "MultiThreshold":
        return Counted(given[0], flags["out_scale"], flags["out_bias"])
    return Levels(int(given[2]), given[0], given[1], signed=bool(flags["signed"]), narrow=bool(flags["narrow"]))


def digits() -> Array:
    """Four real digits, and noise of all kinds: integers 0..255."""
    rng = np.random.default_rng(0)
    real = np.load(FINN / "input.npy").reshape(-1, 1, 28, 28)
    noise = rng.integers(0, 256, (28, 1, 28, 28))
    mixed = np.where(rng.random((28, 1, 28, 28)) < 0.1, noise, real[rng.integers(0, 4, 28)])
    return np.concatenate([real, noise, mixed]).astype(np.float32)


def one_by_one(path: Path, images: Array) -> dict[str, Array]:
    """As `reference`, for a graph whose shapes are those of one image."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some old-style domain attributes")
        model = ModelWrapper(str(path))
        found = [execute_onnx(model, {"global_in": image[None]}, return_full_exec_context=True) for image in images]
    outputs = {name for node in model.graph.node for name in node.output}
    return {name: np.concatenate([one[name] for one in found]) for name in outputs}


def compare(path: Path, network: EncodedNetwork, got: Run, expected: dict[str, Array]) -> int:
    """Every code of every layer is that of the reference, unless float32 stands on a tie there; returns how many do.

    What lies behind a difference is another computation: a position is compared no further once a window reaches one.
    """
    layers = {layer.name: layer for layer in network.network.layers}
    found, ties, compared = dict(quantizers(onnx.load(path), set(layers))), 0, set()
    alive: Array = np.ones((1, 1, 1, 1), dtype=bool)
    for name in got.codes:
        if name in layers:
            alive = behind(layers[name], alive)
        if name not in found:
            continue
        codes = found[name].levels.codes(expected[found[name].after])
        differs = (got.codes[name].reshape(codes.shape) != codes).reshape(got.codes[name].shape) & alive
        if differs.any():
            assert name in layers, f"the host must round as float32 does, but {name!r} differs"
            distance = found[name].levels.tie_distance(expected[found[name].before]).reshape(differs.shape)
            assert distance[differs].max() < TIE, name
        ties += int(differs.sum())
        alive = alive & ~differs.any(axis=1, keepdims=True)
        compared.add(name)
    emitting = {layer.name for layer in network.network.contractions if layer.out_bits is not None}
    assert emitting - compared <= {
        layer.name for layer in network.network.contractions[-1:]
    }  # or shuffled before its quantizer
    return ties


def behind(layer: Layer, alive: Array) -> Array:
    """Positions whose windows hold no position that differs; a Dense reads all of them."""
    if isinstance(layer, Dense | Flatten):
        return np.asarray(alive.all(axis=(2, 3), keepdims=True))
    if isinstance(layer, Shuffle):
        return np.asarray(alive.repeat(layer.block, axis=2).repeat(layer.block, axis=3))
    assert isinstance(layer, Conv)
    top, left, bottom, right = layer.padding
    padded = np.pad(alive, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=True)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(2, 3)).all(axis=(4, 5)))


@pytest.mark.parametrize("bits", TFC)
def test_tfc_is_that_of_qonnx_code_by_code(bits: str) -> None:
    path, images = TFC[bits], digits() / np.float32(255)
    network, expected = load_onnx(path), reference(onnx.load(path), images)
    got = run(network, images, keep_integers=True)
    assert compare(path, network, got, expected) == 0
    wanted = expected[onnx.load(path).graph.output[0].name]
    same = np.isclose(got.outputs, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max()).all(axis=1)
    assert same.sum() >= len(images) - 2
    assert got.outputs[:4].argmax(axis=1).tolist() == [7, 2, 1, 0]


def test_tfc_has_the_layers_of_its_publishers() -> None:
    for bits, ternary in (("1W1A", False), ("1W2A", False), ("2W2A", True)):
        network = load_onnx(TFC[bits])
        dense = [layer for layer in network.network.layers if isinstance(layer, Dense)]
        assert [(layer.reduction, layer.out_channels) for layer in dense] == [(784, 64), (64, 64), (64, 64), (64, 10)]
        assert [layer.ternary for layer in dense] == [ternary] * 4
        assert network.input_codes.highest == (1 if bits == "1W1A" else 2)


def test_a_finn_graph_gives_its_golden_classes() -> None:
    path, images = FINN / "model.onnx", digits()[[0, 1, 2, 3, 10, 20, 40, 50]]
    network, expected = load_onnx(path), one_by_one(path, images)
    got = run(network, images, keep_integers=True)
    assert compare(path, network, got, expected) == 0
    assert (got.outputs.argmax(axis=1) == expected["global_out"][:, 0]).all()
    assert got.outputs[:4].argmax(axis=1).tolist() == np.load(FINN / "expected_output.npy").ravel().tolist()
    assert network.source["left_to_host"] == "TopK of 'TopK_0'"


def test_espcn_is_that_of_qonnx_pixel_by_pixel() -> None:
    """Its input has no quantizer: images are 8 bits over 255. The output passes a sub-pixel shuffle behind the last layer."""
    step = np.float32(1 / 255)
    network = load_onnx(ESPCN, input_codes=Codes(bits=8, step=float(step) / 2, offset=255))
    rows, cols = np.mgrid[0:128, 0:128]
    smooth = 127 + 100 * np.sin(rows / 9) * np.cos(cols / 7)
    noise = np.random.default_rng(0).integers(-20, 21, (1, 3, 128, 128))
    image = (np.clip(np.rint(smooth) + noise, 0, 255).astype(np.float32) * step).astype(np.float32)
    got, expected = run(network, image, keep_integers=True), reference(onnx.load(ESPCN), image)
    assert compare(ESPCN, network, got, expected) <= 100  # of 2.8 million codes
    levels = np.rint(got.outputs * 255) - np.rint(expected["79"] * 255)
    assert (levels != 0).sum() <= 1e-3 * levels.size
    assert np.abs(levels).max() <= 1
