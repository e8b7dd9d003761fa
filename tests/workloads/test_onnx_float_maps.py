"""Float networks with branches, enlarged maps and attention: codes where they are needed, outputs near the float ones at 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnxruntime import InferenceSession
from qonnx_builder import Array, Builder, as_tensor, reference

from workloads.calibration import sqnr_db
from workloads.encoded import EncodedNetwork
from workloads.executor import run
from workloads.layers import Add, Concat, Host, MatMul, Pool, Shuffle
from workloads.onnx_float import Fit, encode_float, quantize_model
from workloads.onnx_float_maps import Precision, maps_to_quantize
from workloads.onnx_graph import graph_of, read_graph, read_model

EIGHT = Precision((8, 8), {})


class FloatNet:
    """A float graph under construction, with random weights that keep the spread."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.rng, self.builder = np.random.default_rng(5), Builder(("batch", *shape), opset=17)

    def weights(self, name: str, shape: tuple[int, ...], fan_in: int) -> str:
        return self.builder.constant(name, self.rng.normal(size=shape) / np.sqrt(fan_in))

    def conv(self, x: str, name: str, channels: tuple[int, int], kernel: int = 3) -> str:
        w = self.weights(f"{name}_w", (channels[1], channels[0], kernel, kernel), channels[0] * kernel**2)
        bias = self.builder.constant(f"{name}_b", self.rng.normal(0, 0.1, channels[1]))
        return self.builder.node("Conv", [x, w, bias], name, pads=[kernel // 2] * 4)

    def relu(self, x: str) -> str:
        return self.builder.node("Relu", [x], f"{x}_relu")

    def linear(self, x: str, name: str, shape: tuple[int, int]) -> str:
        x = self.builder.node("MatMul", [x, self.weights(f"{name}_w", shape, shape[0])], name)
        return self.builder.node(
            "Add", [x, self.builder.constant(f"{name}_b", self.rng.normal(0, 0.1, shape[1]))], f"{name}_biased"
        )


def unet() -> Builder:
    net = FloatNet((3, 8, 8))
    b = net.builder
    first = net.relu(net.conv("x", "down1", (3, 6)))
    second = net.relu(
        net.conv(b.node("MaxPool", [first], "pool", kernel_shape=[2, 2], strides=[2, 2]), "down2", (6, 8))
    )
    skip = b.node("Add", [second, net.conv(second, "inner", (8, 8))], "residual")
    up = b.node("ConvTranspose", [net.relu(skip), net.weights("up_w", (8, 6, 2, 2), 8)], "up", strides=[2, 2])
    large = b.node("Resize", [second, "", b.constant("scales", [1, 1, 2, 2])], "large", mode="linear")
    joined = b.node("Concat", [first, net.relu(up), large], "joined", axis=1)
    b.node("Conv", [joined, net.weights("last_w", (2, 20, 1, 1), 20)], "last", output="y")
    return b


def super_resolution() -> Builder:
    net = FloatNet((3, 6, 6))
    x = net.relu(net.conv("x", "conv1", (3, 8)))
    near = net.builder.node("Resize", [x, "", net.builder.constant("scales", [1, 1, 2, 2])], "near", mode="nearest")
    x = net.builder.node("DepthToSpace", [net.conv(x, "conv2", (8, 16))], "space", blocksize=2, mode="CRD")
    x = net.builder.node("Add", [net.relu(x), net.conv(near, "side", (8, 4))], "sum")
    net.builder.node("Conv", [x, net.weights("last_w", (3, 4, 1, 1), 4)], "last", output="y")
    return net.builder


def attention() -> Builder:
    net = FloatNet((5, 8))
    b = net.builder
    gamma, beta = b.constant("gamma", net.rng.uniform(0.5, 1.5, 8)), b.constant("beta", net.rng.normal(0, 0.1, 8))
    table = b.node("Add", ["x", b.constant("table", net.rng.normal(0, 0.3, (1, 5, 8)))], "table_add")
    normal = b.node("LayerNormalization", [table, gamma, beta], "norm")
    shape = b.constant("shape", [0, 5, 2, 4], np.int64)
    q, k, v = (b.node("Transpose", [b.node("Reshape", [net.linear(normal, name, (8, 8)), shape], f"{name}_split")], f"{name}_turned",
                      perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]) for name in "qkv")  # fmt: skip
    shares = b.node(
        "Softmax", [b.node("Mul", [b.node("MatMul", [q, k], "scores"), b.constant("root", 0.5)], "scaled")], "shares"
    )
    mixed = b.node("Transpose", [b.node("MatMul", [shares, v], "mixed")], "mixed_turned", perm=[0, 2, 1, 3])
    mixed = b.node("Reshape", [mixed, b.constant("flat", [0, 5, 8], np.int64)], "mixed_flat")
    x = b.node("Add", [table, net.linear(mixed, "out", (8, 8))], "sum")
    inner = net.linear(x, "up", (8, 16))
    inner = b.node("Mul", [inner, b.node("Sigmoid", [inner], "gate")], "silu")
    x = b.node("Add", [x, net.linear(inner, "down", (16, 8))], "sum2")
    x = b.node("ReduceMean", [x], "mean", axes=[1], keepdims=0)
    b.node("MatMul", [x, net.weights("last_w", (8, 4), 8)], "last", output="y")
    return b


NETS: dict[str, tuple[Callable[[], Builder], tuple[int, ...], tuple[type, ...]]] = {
    "unet": (unet, (3, 8, 8), (Add, Concat, Shuffle)),
    "super_resolution": (super_resolution, (3, 6, 6), (Add, Shuffle)),
    "attention": (attention, (5, 8), (Add, Host, MatMul)),
}


def encoded(name: str, tmp_path: Path, precision: Precision = EIGHT) -> tuple[Path, Array, EncodedNetwork, list[Fit]]:
    build, shape, _ = NETS[name]
    path, images = (
        build().save(tmp_path / f"{name}.onnx"),
        np.random.default_rng(7).normal(size=(16, *shape)).astype(np.float32),
    )
    return path, images, *encode_float(path, precision, images)


def signal(wanted: npt.NDArray[np.floating], found: npt.NDArray[np.floating]) -> float:
    return sqnr_db(wanted.reshape(1, -1).astype(np.float64), found.reshape(1, -1).astype(np.float64))


@pytest.mark.parametrize("name", NETS)
def test_outputs_at_eight_bits_are_near_the_float_ones(name: str, tmp_path: Path) -> None:
    path, images, network, _ = encoded(name, tmp_path)
    wanted = np.asarray(InferenceSession(str(path)).run(None, {"x": images})[0])
    found = as_tensor(run(network, images).outputs, wanted.shape)
    assert signal(wanted, found) > 30
    assert {type(layer) for layer in network.network.layers} >= set(NETS[name][2])
    coarse = encoded(name, tmp_path, Precision((3, 3), {}))[2]
    assert signal(wanted, as_tensor(run(coarse, images).outputs, wanted.shape)) < signal(wanted, found)


@pytest.mark.parametrize("name", NETS)
def test_the_integers_are_those_of_the_quantized_graph(name: str, tmp_path: Path) -> None:
    path, images, network, _ = encoded(name, tmp_path)
    content, model = read_model(path)
    made, _ = quantize_model(graph_of(path, content, model), model, EIGHT, images, "mse")
    onnx.save(made, tmp_path / "quantized.onnx")
    wanted = reference(made, images[:2])["y"]
    # One code on the other side of a float32 tie moves an output by less than a hundredth of the largest.
    got = as_tensor(run(network, images[:2]).outputs, wanted.shape)
    assert np.abs(got - wanted).max() < 0.01 * np.abs(wanted).max()


def test_what_a_concat_alone_reads_stays_sums(tmp_path: Path) -> None:
    graph = read_graph(unet().save(tmp_path / "unet.onnx"))
    found = dict(maps_to_quantize(graph, EIGHT))
    # Not up_out_relu nor large_out: the quantizer behind the Concat gives both their codes.
    assert set(found) == {
        "x",
        "down1_out_relu_out",
        "down2_out_relu_out",
        "inner_out",
        "residual_out_relu_out",
        "joined_out",
    }
    assert set(found.values()) == {8}
    layers = encoded("unet", tmp_path)[2].network.layers
    # The skip connection, which a pool reads too, is the only part that gets other levels in a pass of its own.
    assert [layer.name for layer in layers if isinstance(layer, Pool) and layer.kind == "average"] == ["joined_0"]
