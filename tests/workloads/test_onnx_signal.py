"""Signal to noise by layer: against a float graph computed by hand, and about 6 dB for every bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.workloads.qonnx_builder import DOMAIN, Builder, Levels
from workloads.calibration import sqnr_db
from workloads.onnx_float_maps import Precision
from workloads.onnx_signal import OUTPUT, float_sqnr, layer_sqnr

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def small(path: Path, act: Levels) -> tuple[np.ndarray, np.ndarray]:
    """x (batch, 3) -> Quant -> MatMul w -> Relu -> Quant -> MatMul v; weights on their levels already."""
    rng = np.random.default_rng(3)
    builder = Builder(("batch", 3))
    first, second = (rng.choice([-1.0, 1.0], size=size).astype(np.float32) for size in ((3, 5), (5, 2)))
    w = builder.quant(builder.constant("w", first), "w_quant", Levels(bits=1, scale=np.float32(1), bipolar=True))
    x = builder.quant("x", "x_quant", Levels(bits=8, scale=np.float32(1 / 128), signed=True))
    h = builder.node("Relu", [builder.node("MatMul", [x, w], "hidden")], "relu")
    h = builder.quant(h, "act", act)
    v = builder.quant(builder.constant("v", second), "v_quant", Levels(bits=1, scale=np.float32(1), bipolar=True))
    builder.node("MatMul", [h, v], "fc", output="y")
    builder.save(path)
    return first, second


def test_a_clipped_range_is_the_float_networks_own(tmp_path: Path) -> None:
    first, second = small(tmp_path / "n.onnx", Levels(bits=3, scale=np.float32(0.25)))
    images = np.random.default_rng(1).uniform(-0.9, 0.9, size=(50, 3, 1, 1)).astype(np.float32)
    found = layer_sqnr(tmp_path / "n.onnx", images)
    assert list(found) == ["hidden", OUTPUT]
    x = np.clip(images[:, :, 0, 0], -1, 127 / 128).astype(np.float64)
    real = np.clip(np.maximum(x @ first, 0), 0, 7 * 0.25)
    codes = np.clip(np.rint(np.maximum((np.rint(x * 128) / 128) @ first, 0) / 0.25), 0, 7) * 0.25
    assert found["hidden"] == pytest.approx(sqnr_db(real, codes), abs=0.01)
    assert found[OUTPUT] == pytest.approx(sqnr_db(real @ second, codes @ second), abs=0.01)


def test_six_decibels_a_bit() -> None:
    images = np.load(DIGITS / "images.npy")[:20]
    two, four, eight = (layer_sqnr(DIGITS / f"digits_m{bits}k{bits}.onnx", images) for bits in (2, 4, 8))
    assert list(two) == ["conv1", "conv2", "conv3", "conv4", "add", OUTPUT]
    for layer in two:
        assert two[layer] + 6 < four[layer] < eight[layer] - 18, layer


def test_a_float_network_is_compared_with_itself(tmp_path: Path) -> None:
    rng, builder = np.random.default_rng(2), Builder(("batch", 4))
    w, v = (builder.constant(name, rng.normal(size=size)) for name, size in (("w", (4, 6)), ("v", (6, 3))))
    hidden = builder.node("Relu", [builder.node("MatMul", ["x", w], "hidden")], "relu")
    builder.node("MatMul", [hidden, v], "fc", output="y")
    builder.save(tmp_path / "f.onnx")
    images = rng.normal(size=(64, 4)).astype(np.float32)
    low, high = (float_sqnr(tmp_path / "f.onnx", Precision((bits, bits), {}), images, "mse") for bits in (3, 8))
    assert list(low) == ["hidden", OUTPUT]
    assert all(low[name] + 20 < high[name] for name in low)


def test_thresholds_describe_no_float_network(tmp_path: Path) -> None:
    builder, rng = Builder(("batch", 3)), np.random.default_rng(0)
    binary = Levels(bits=1, scale=np.float32(1), bipolar=True)
    x = builder.quant("x", "x_quant", Levels(bits=8, scale=np.float32(1 / 128), signed=True))
    w, v = (builder.weights(name, rng.normal(size=size), binary) for name, size in (("w", (3, 2)), ("v", (2, 2))))
    steps = builder.constant("steps", [[-0.5, 0.0, 0.5]] * 2)
    hidden = builder.node("MatMul", [x, w], "hidden")
    codes = builder.node("MultiThreshold", [hidden, steps], "levels", domain=DOMAIN, out_dtype="UINT2")
    builder.node("MatMul", [codes, v], "fc", output="y")
    builder.save(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="must have quantizers that can be left out, not node 'levels'"):
        layer_sqnr(tmp_path / "m.onnx", np.zeros((2, 3, 1, 1), np.float32))
