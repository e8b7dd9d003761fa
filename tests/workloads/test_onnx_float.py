"""Float networks encoded after training: the integers are the quantized graph's, scales are the best, bits are obeyed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.qonnx_builder import Builder, reference
from workloads.calibration import CANDIDATES, find_steps, quantized, sqnr_db
from workloads.encoding import decode_weights
from workloads.executor import run
from workloads.layers import Conv
from workloads.onnx_float import encode_float, quantize_model
from workloads.onnx_float_maps import Precision
from workloads.onnx_graph import graph_of, read_model

Array = npt.NDArray[Any]


def residual_net(rng: np.random.Generator) -> Builder:
    """conv - norm - relu - pool - (conv - norm - add) - relu - global pool - gemm, all float."""
    made = Builder(("batch", 3, 8, 8))

    def block(source: str, name: str, channels: int, inputs: int) -> str:
        weights = made.constant(f"{name}_w", rng.normal(size=(channels, inputs, 3, 3)) / np.sqrt(9 * inputs))
        out = made.node("Conv", [source, weights], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        parts = (rng.uniform(0.5, 1.5, channels), rng.normal(size=channels) / 4, rng.normal(size=channels) / 4)
        return made.norm(out, f"{name}_norm", *parts, rng.uniform(0.5, 1.5, channels))

    first = made.node("Relu", [block("x", "conv1", 8, 3)], "relu1")
    pooled = made.node("MaxPool", [first], "pool", kernel_shape=[2, 2], strides=[2, 2])
    joined = made.node("Add", [block(pooled, "conv2", 8, 8), pooled], "add")
    mean = made.node("GlobalAveragePool", [made.node("Relu", [joined], "relu2")], "mean")
    flat = made.node("Flatten", [mean], "flat")
    weights, bias = made.constant("fc_w", rng.normal(size=(5, 8))), made.constant("fc_b", rng.normal(size=5))
    made.node("Gemm", [flat, weights, bias], "fc", output="y", transB=1)
    return made


@pytest.fixture(scope="module")
def images() -> Array:
    return np.random.default_rng(3).normal(size=(24, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return residual_net(np.random.default_rng(1)).save(tmp_path_factory.mktemp("float") / "net.onnx")


def outputs_of(model: Path, images: Array) -> Array:
    from onnxruntime import InferenceSession

    return np.asarray(InferenceSession(str(model)).run(None, {"x": images})[0])


def test_more_bits_come_nearer_to_the_float_network(model: Path, images: Array) -> None:
    wanted, errors = outputs_of(model, images), []
    for bits in (1, 2, 4, 8):
        encoded, _ = encode_float(model, Precision((bits, bits), {}), images)
        errors.append(-sqnr_db(wanted, np.asarray(run(encoded, images).outputs, np.float64)))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < -30


def test_the_integers_are_those_of_the_quantized_graph(model: Path, images: Array) -> None:
    """The graph with its quantizers, executed by qonnx in float32, ends with the same outputs; ties of float32 apart."""
    content, read = read_model(model)
    for bits in (1, 3, 4):
        precision = Precision((bits, bits), {})
        made, _ = quantize_model(graph_of(model, content, read), read, precision, images, "mse")
        encoded, _ = encode_float(model, precision, images)
        wanted = reference(made, images)["y"]
        found = np.asarray(run(encoded, images).outputs, np.float64).reshape(wanted.shape)
        assert (np.abs(found - wanted).max(axis=1) < 1e-4).mean() > 0.9


def test_bits_are_obeyed_and_the_fit_is_reported(model: Path, images: Array) -> None:
    encoded, fits = encode_float(model, Precision((4, 3), {}), images)
    layers = {layer.name: (layer.act_bits, layer.weight_bits) for layer in encoded.network.contractions}
    assert layers == {"conv1": (8, 3), "conv2": (4, 3), "fc": (4, 3)}
    assert [(fit.tensor, fit.bits) for fit in fits if fit.kind == "weight"] == [("conv1", 3), ("conv2", 3), ("fc", 3)]
    assert {fit.tensor for fit in fits if fit.kind == "activation"} >= {"x", "relu1_out", "conv2_norm_out"}
    assert all(fit.sqnr_db > 8 for fit in fits)


def test_weight_codes_are_the_nearest_at_the_scale_found(model: Path, images: Array) -> None:
    encoded, _ = encode_float(model, Precision((8, 4), {}), images)
    layer = encoded.network.contractions[0]
    assert isinstance(layer, Conv)
    found = decode_weights(encoded.parameters[layer.name].weights, layer.reduction)  # type: ignore[arg-type]
    import onnx
    from onnx import numpy_helper

    array = next(numpy_helper.to_array(item) for item in onnx.load(model).graph.initializer if item.name == "conv1_w")
    rows = array.reshape(8, -1).astype(np.float64)
    steps = find_steps(rows, 4, "mse", signed=True).astype(np.float32)
    codes = np.arange(-15, 16, 2)
    nearest = codes[np.abs(rows[:, :, None] - steps[:, None, None] * codes).argmin(axis=2)]
    assert (found != nearest).mean() < 0.01  # ties apart
    assert np.abs(found - nearest).max() <= 2


def test_layers_may_have_bits_of_their_own(model: Path, images: Array) -> None:
    encoded, _ = encode_float(model, Precision((4, 4), {"fc": (2, 8)}, images=6), images)
    bits = {layer.name: (layer.act_bits, layer.weight_bits) for layer in encoded.network.contractions}
    assert bits == {"conv1": (6, 4), "conv2": (4, 4), "fc": (2, 8)}


def test_without_onnxruntime_the_reference_evaluator_serves(
    model: Path, images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, wanted = encode_float(model, Precision((4, 4), {}), images[:4])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    _, found = encode_float(model, Precision((4, 4), {}), images[:4])
    assert [fit.tensor for fit in found] == [fit.tensor for fit in wanted]
    assert [fit.sqnr_db for fit in found] == pytest.approx([fit.sqnr_db for fit in wanted], abs=0.5)


@pytest.mark.parametrize("signed", [True, False])
@settings(max_examples=40, deadline=None)
@given(bits=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_the_step_is_the_best_of_its_candidates(bits: int, seed: int, signed: bool) -> None:
    """Brute force: code by code, candidate by candidate."""
    values = np.random.default_rng(seed).normal(size=(1, 40))
    values = values if signed else np.abs(values)
    codes = np.arange(-(2**bits - 1), 2**bits, 2) if signed else np.arange(0, 2 ** (bits + 1), 2)
    largest = np.abs(values).max() / codes.max()

    def error(step: float) -> float:
        return float((np.abs(values[0][:, None] - step * codes).min(axis=1) ** 2).mean())

    best = min(error(largest * share) for share in CANDIDATES)
    found = float(find_steps(values, bits, "mse", signed=signed)[0])
    assert error(found) <= best * (1 + 1e-9) + 1e-15
    rounded = quantized(values, np.array([[found]]), bits, signed=signed)
    assert ((values - rounded) ** 2).mean() == pytest.approx(error(found))


def test_a_wrong_precision_is_one_line(model: Path, images: Array, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'conv9' must be a layer with weights; there are conv1, conv2, fc"):
        encode_float(model, Precision((4, 4), {"conv9": (2, 2)}), images)
    forked = Builder(("batch", 3, 8, 8))
    weights = forked.constant("w", np.ones((3, 3, 1, 1)))
    first = forked.node("Relu", [forked.node("Conv", ["x", weights], "first")], "relu")
    sides = [forked.node("Conv", [first, weights], name) for name in ("left", "right")]
    forked.node("Conv", [forked.node("Add", sides, "add"), weights], "last", output="y")
    path = forked.save(tmp_path / "forked.onnx")
    with pytest.raises(ValueError, match="the readers of 'relu_out' must agree on M, but want 2 and 4"):
        encode_float(path, Precision((4, 4), {"left": (2, 2)}), images)
    encoded, _ = encode_float(path, Precision((4, 4), {"last": (2, 2)}), images)
    assert {layer.name: layer.act_bits for layer in encoded.network.layers}["last"] == 2


def test_wrong_images_are_one_line(model: Path, images: Array) -> None:
    for bad, words in (
        (images[:, :2], "must be (N, 3, 8, 8), not (24, 2, 8, 8)"),
        (images[:0], "must be (N, 3, 8, 8), not (0, 3, 8, 8)"),
        (np.full_like(images, np.nan), "finite"),
        (images.astype(str), "finite real numbers"),
    ):
        with pytest.raises(ValueError, match="calibration images") as error:
            encode_float(model, Precision((4, 4), {}), bad)
        assert words in str(error.value)
    with pytest.raises(ValueError, match="one of mse, percentile, max, not 'best'"):
        encode_float(model, Precision((4, 4), {}), images, method="best")
    with pytest.raises(ValueError, match="m must be between 1 and 8, not 9"):
        Precision((9, 1), {})


DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def trained_mlp(images: Array, labels: Array) -> Builder:
    """64 - 48 - 10 with a Relu, trained by plain gradient descent on the softmax loss."""
    rng, wanted = np.random.default_rng(0), np.eye(10)[labels]
    first, second = rng.normal(size=(64, 48)) / 8, rng.normal(size=(48, 10)) / 7
    for _ in range(400):
        hidden = np.maximum(images @ first, 0)
        scores = np.exp(hidden @ second - (hidden @ second).max(axis=1, keepdims=True))
        error = (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(images)
        slope = (error @ second.T) * (hidden > 0)
        second, first = second - 0.5 * hidden.T @ error, first - 0.5 * images.T @ slope
    made = Builder(("batch", 64))
    hidden_name = made.node("Relu", [made.node("MatMul", ["x", made.constant("w1", first)], "fc1")], "relu")
    made.node("MatMul", [hidden_name, made.constant("w2", second)], "fc2", output="y")
    return made


def test_a_trained_network_keeps_its_accuracy(tmp_path: Path) -> None:
    """Handwritten digits, calibrated on the training images, measured on others."""
    images = np.load(DIGITS / "images.npy").reshape(-1, 64).astype(np.float32)
    images /= images.max()
    labels = np.load(DIGITS / "labels.npy")
    path = trained_mlp(images[:300], labels[:300]).save(tmp_path / "mlp.onnx")
    held_out, truth = images[300:], labels[300:]
    exact = float((outputs_of(path, held_out).argmax(axis=1) == truth).mean())
    assert exact > 0.85
    for bits, loss in ((8, 0.01), (4, 0.02), (2, 0.15)):
        encoded, _ = encode_float(path, Precision((bits, bits), {}), images[:300])
        found = np.asarray(run(encoded, held_out.reshape(-1, 64, 1, 1)).outputs).reshape(len(truth), -1).argmax(axis=1)
        assert float((found == truth).mean()) >= exact - loss, bits
