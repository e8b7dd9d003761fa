"""Sequences, attention and what the host computes: small transformer blocks against qonnx, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx_builder import Array, Builder, Levels, agrees, paper, twos_complement, unsigned

from workloads.executor import run
from workloads.files import load, save
from workloads.layers import Add, Dense, Host, MatMul, Pool
from workloads.onnx_import import load_onnx


class Block:
    """A transformer encoder block over x (1, positions, features), every tensor between two nodes quantized."""

    def __init__(self, seed: int, positions: int = 5, features: int = 8, heads: int = 2) -> None:
        self.rng, self.builder = np.random.default_rng(seed), Builder((1, positions, features), opset=17)
        self.positions, self.features, self.heads = positions, features, heads
        self.images = self.rng.normal(0, 0.8, (3, positions, features)).astype(np.float32)
        self.x = self.builder.quant("x", "input_quant", twos_complement(6, 0.07), "x")

    def node(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        return self.builder.node(op, inputs, name, **attributes)

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        return self.builder.constant(name, value, dtype)

    def linear(self, x: str, name: str, shape: tuple[int, int]) -> str:
        """Weights and a bias, scaled to keep the spread."""
        kinds = [paper(3), twos_complement(4, 0.2), Levels(2, np.float32(0.6), signed=True, narrow=True)]
        weights = self.builder.weights(f"{name}_w", self.rng.normal(0, 0.6, shape), kinds[self.rng.integers(3)])
        x = self.node("MatMul", [x, weights], name)
        x = self.node("Mul", [x, self.constant(f"{name}_s", 1.5 / np.sqrt(shape[0]))], f"{name}_scaled")
        return self.node("Add", [x, self.constant(f"{name}_b", self.rng.normal(0, 0.2, shape[1]))], f"{name}_biased")

    def quant(self, x: str, layer: str, levels: Levels) -> str:
        return self.builder.quant(x, f"{layer}_act", levels, layer)

    def norm(self, x: str, name: str) -> str:
        gamma, beta = self.rng.uniform(0.5, 1.5, self.features), self.rng.normal(0, 0.2, self.features)
        inputs = [x, self.constant(f"{name}_gamma", gamma), self.constant(f"{name}_beta", beta)]
        return self.quant(self.node("LayerNormalization", inputs, name, axis=-1), name, twos_complement(5, 0.13))

    def split_heads(self, x: str, name: str, order: list[int]) -> str:
        width = self.features // self.heads
        shape = self.constant(f"{name}_shape", [0, self.positions, self.heads, width], np.int64)
        x = self.node("Reshape", [self.linear(x, name, (self.features, self.features)), shape], f"{name}_split")
        return self.node("Transpose", [x], f"{name}_heads", perm=order)

    def attention(self, x: str) -> str:
        q = self.quant(self.split_heads(x, "q", [0, 2, 1, 3]), "q", twos_complement(4, 0.25))
        k = self.node(
            "Transpose",
            [self.quant(self.split_heads(x, "k", [0, 2, 1, 3]), "k", unsigned(4, 0.2))],
            "k_turned",
            perm=[0, 1, 3, 2],
        )
        v = self.quant(self.split_heads(x, "v", [0, 2, 1, 3]), "v", paper(3))
        scores = self.node("MatMul", [q, k], "scores")
        scores = self.node("Div", [scores, self.constant("root", np.sqrt(self.features // self.heads))], "scaled")
        scores = self.quant(scores, "scores", twos_complement(6, 0.1037))
        shares = self.quant(self.node("Softmax", [scores], "shares", axis=-1), "shares", unsigned(6, 1 / 63))
        mixed = self.node("Transpose", [self.node("MatMul", [shares, v], "mixed")], "mixed_turned", perm=[0, 2, 1, 3])
        joined = self.node(
            "Reshape", [mixed, self.constant("joined_shape", [0, self.positions, -1], np.int64)], "joined"
        )
        joined = self.quant(joined, "mixed", twos_complement(5, 0.0817))
        return self.quant(self.linear(joined, "out", (self.features, self.features)), "out", twos_complement(5, 0.1))

    def gelu(self, x: str) -> str:
        """As exporters spell it: x (1 + erf(x / sqrt 2)) / 2."""
        inner = self.node("Erf", [self.node("Div", [x, self.constant("root_two", np.sqrt(2))], "gelu_div")], "gelu_erf")
        inner = self.node("Add", [inner, self.constant("one", 1)], "gelu_add")
        return self.node("Mul", [self.node("Mul", [x, inner], "gelu_mul"), self.constant("half", 0.5)], "gelu")

    def residual(self, x: str, other: str, name: str) -> str:
        return self.quant(self.node("Add", [x, other], name), name, twos_complement(6, 0.0907))

    def whole(self) -> Builder:
        x = self.residual(self.x, self.attention(self.norm(self.x, "norm1")), "sum1")
        hidden = self.quant(
            self.linear(self.norm(x, "norm2"), "up", (self.features, 12)), "up", twos_complement(6, 0.1)
        )
        hidden = self.quant(self.gelu(hidden), "gelu", twos_complement(6, 0.08))
        x = self.residual(x, self.quant(self.linear(hidden, "down", (12, self.features)), "down", paper(4)), "sum2")
        x = self.node("ReduceMean", [x], "mean", axes=[1], keepdims=0)
        self.end(self.quant(x, "mean", twos_complement(6, 0.0513)))
        return self.builder

    def end(self, x: str) -> None:
        self.builder.node(
            "MatMul",
            [x, self.builder.weights("end_w", self.rng.normal(0, 1, (self.features, 3)), paper(2))],
            "end",
            output="y",
        )


@pytest.mark.parametrize("seed", range(6))
def test_transformer_blocks_agree_with_qonnx_layer_by_layer(seed: int, tmp_path: Path) -> None:
    block = Block(seed)
    lost = agrees(block.whole(), block.images, tmp_path / "block.onnx")
    assert lost < len(block.images)
    network = load_onnx(tmp_path / "block.onnx").network
    kinds = {layer.name: type(layer) for layer in network.layers}
    assert kinds["scores"] is kinds["mixed"] is MatMul
    assert [name for name, kind in kinds.items() if kind is Host] == ["norm1", "shares", "norm2", "gelu"]
    assert kinds["sum1"] is Add
    assert kinds["mean"] is Pool
    query = next(layer for layer in network.layers if layer.name == "q")
    assert isinstance(query, Dense)
    assert query.positions == block.positions


def test_what_the_host_computes_is_saved(tmp_path: Path) -> None:
    block = Block(1)
    network = load_onnx(block.whole().save(tmp_path / "block.onnx"))
    save(network, tmp_path / "block.safetensors")
    again = load(tmp_path / "block.safetensors")
    assert (run(again, block.images).outputs == run(network, block.images).outputs).all()
    save(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "block.safetensors").read_bytes()


def over_map(name: str, x: str, builder: Builder) -> str:
    """A function of one map, as exporters spell it."""
    one = builder.constant("one", 1)
    if name == "Silu":
        return builder.node("Mul", [x, builder.node("Sigmoid", [x], "gate")], "host")
    if name == "PowMean":
        centred = builder.node("Sub", [x, builder.node("ReduceMean", [x], "mean", axes=[-1])], "centred")
        spread = builder.node(
            "ReduceMean", [builder.node("Pow", [centred, builder.constant("two", 2)], "square")], "spread", axes=[-1]
        )
        spread = builder.node("Sqrt", [builder.node("Add", [spread, builder.constant("eps", 1e-5)], "plus")], "root")
        return builder.node("Div", [centred, spread], "host")
    if name == "Position":
        return builder.node("Add", [x, builder.constant("table", np.linspace(-1, 1, 30).reshape(1, 6, 5))], "host")
    if name == "Tanh of a sum":
        return builder.node("Tanh", [builder.node("Add", [x, one], "plus")], "host")
    if name == "Clip":
        lifted = builder.node("Exp", [x], "lifted")
        return builder.node("Clip", [lifted, one, builder.constant("top", 2)], "host")
    if name == "Softmax over channels":
        return builder.node("Softmax", [x], "host", axis=1)
    return builder.node(name, [x], "host")


@pytest.mark.parametrize(
    "name",
    ["Sigmoid", "Tanh", "Silu", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Softplus", "Exp", "Erf", "PowMean", "Position",
     "Tanh of a sum", "Clip", "Softmax over channels"],
)  # fmt: skip
def test_functions_of_the_host(name: str, tmp_path: Path) -> None:
    rng, builder = np.random.default_rng(3), Builder((1, 3, 6, 5), opset=14)
    x = builder.quant("x", "input_quant", twos_complement(5, 0.12), "x")
    x = builder.quant(over_map(name, x, builder), "host_act", twos_complement(6, 0.07), "host")
    builder.node("Conv", [x, builder.weights("w", rng.normal(size=(2, 3, 1, 1)), paper(2))], "end", output="y")
    images: Array = rng.uniform(-1.8, 1.8, (2, 3, 6, 5)).astype(np.float32)
    assert agrees(builder, images, tmp_path / "host.onnx") == 0
    assert isinstance(load_onnx(tmp_path / "host.onnx").network.layers[0], Host)


def test_a_class_token_is_put_before_the_positions_and_taken_out_again(tmp_path: Path) -> None:
    block = Block(9, heads=1)
    b = block.builder
    block.images = block.images[:1]  # the token is one of a batch of 1
    token = block.constant("token", block.rng.normal(size=(1, 1, 8)))
    x = block.quant(b.node("Concat", [token, block.x], "with_token", axis=1), "with_token", twos_complement(6, 0.0907))
    x = block.quant(block.linear(x, "mixer", (8, 8)), "mixer", twos_complement(5, 0.13))
    x = b.node("Gather", [x, block.constant("first", 0, np.int64)], "taken", axis=1)
    b.node(
        "Softmax",
        [b.node("MatMul", [x, b.weights("end_w", block.rng.normal(size=(8, 3)), paper(2))], "end")],
        "last",
        output="y",
    )
    network = load_onnx(b.save(tmp_path / "token.onnx"))
    assert network.source["left_to_host"] == "Softmax of 'last'"
    assert [layer.out_shape for layer in network.network.layers] == [(8, 1, 6), (8, 1, 6), (8, 1, 1), (3, 1, 1)]
    b.outputs = ["end_out"]
    agrees(b, block.images, tmp_path / "token.onnx")


def test_patches_of_an_image_become_a_sequence(tmp_path: Path) -> None:
    rng, b = np.random.default_rng(4), Builder((1, 3, 6, 4), opset=17)
    x = b.quant("x", "input_quant", twos_complement(6, 0.07), "x")
    x = b.node("Conv", [x, b.weights("w", rng.normal(size=(8, 3, 2, 2)), paper(2))], "patches", strides=[2, 2])
    x = b.node("Mul", [x, b.constant("s", 0.3)], "scaled")
    x = b.node(
        "Transpose", [b.node("Reshape", [x, b.constant("to", [0, 8, -1], np.int64)], "rows")], "turned", perm=[0, 2, 1]
    )
    x = b.quant(x, "patches_act", twos_complement(5, 0.0713), "patches")
    x = b.node("MatMul", [x, b.weights("v", rng.normal(size=(8, 5)), paper(3))], "mixer")
    x = b.quant(x, "mixer_act", twos_complement(5, 0.2113), "mixer")
    x = b.quant(b.node("ReduceMean", [x], "mean", axes=[1], keepdims=0), "mean_act", twos_complement(6, 0.0913), "mean")
    b.node("MatMul", [x, b.weights("end_w", rng.normal(size=(5, 3)), paper(2))], "end", output="y")
    images = rng.uniform(-1.8, 1.8, (3, 3, 6, 4)).astype(np.float32)
    assert agrees(b, images, tmp_path / "patches.onnx") == 0
    mixer = next(layer for layer in load_onnx(tmp_path / "patches.onnx").network.layers if layer.name == "mixer")
    assert (type(mixer).__name__, mixer.in_shape, mixer.out_shape) == ("Conv", (8, 3, 2), (5, 3, 2))
