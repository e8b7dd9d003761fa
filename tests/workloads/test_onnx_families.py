"""Small networks of known families, generated whole, layer by layer against qonnx; and random graphs of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx_builder import Levels, Probe, paper, twos_complement, unsigned
from test_onnx_maps import Grower

from workloads.executor import run
from workloads.files import load, save
from workloads.onnx_import import load_onnx

ACTS = unsigned(4, 0.17)


def block(grown: Grower, x: str, name: str, channels: tuple[int, int]) -> str:
    """Convolution 3x3, batch norm, Relu, unsigned codes."""
    out = grown.builder.node(
        "Conv", [x, grown.weights(f"{name}_w", (channels[1], channels[0], 3, 3))], name, pads=[1] * 4
    )
    out = grown.scale(out, name, 9 * channels[0])
    norm = [
        grown.rng.uniform(0.5, 1.5, channels[1]),
        *(grown.rng.normal(0, 0.2, channels[1]) for _ in range(2)),
        np.ones(channels[1]),
    ]
    out = grown.builder.node("Relu", [grown.builder.norm(out, f"{name}_bn", *norm)], f"{name}_relu")
    return grown.builder.quant(out, f"{name}_act", ACTS, name)


def halved(grown: Grower, x: str, name: str, levels: Levels) -> str:
    out = grown.builder.node("MaxPool", [x], name, kernel_shape=[2, 2], strides=[2, 2])
    grown.builder.probes[name] = Probe(out, None, levels)
    return out


@pytest.mark.parametrize("upsampling", ["transposed", "linear", "nearest"])
def test_a_unet(upsampling: str, tmp_path: Path) -> None:
    grown = Grower(20, channels=3, size=(8, 8))
    builder = grown.builder
    first = block(grown, grown.x, "down1", (3, 4))
    second = block(grown, halved(grown, first, "half1", ACTS), "down2", (4, 6))
    bottom = block(grown, halved(grown, second, "half2", ACTS), "bottom", (6, 8))
    for name, skip, channels in (("up2", second, (8, 6)), ("up1", first, (6, 4))):
        if upsampling == "transposed":
            bottom = builder.node(
                "ConvTranspose", [bottom, grown.weights(f"{name}_t", (*channels, 2, 2))], name, strides=[2, 2]
            )
            bottom = builder.quant(grown.scale(bottom, name, channels[0]), f"{name}_act", twos_complement(4, 0.2), name)
        else:
            scales = builder.constant(f"{name}_scales", [1, 1, 2, 2])
            bottom = builder.node(
                "Resize", [bottom, "", scales], name, mode=upsampling, coordinate_transformation_mode="half_pixel"
            )
            if upsampling == "linear":
                bottom = builder.quant(bottom, f"{name}_act", unsigned(5, 0.083), name)
            bottom = block(grown, bottom, f"{name}_conv", channels)
        # Equal codes are joined at once and get other levels behind that, unlike ones before.
        requantized = f"{name}_joined" if upsampling == "transposed" else f"{name}_codes"
        joined = builder.node("Concat", [skip, bottom], f"{name}_joined", axis=1)
        joined = builder.quant(joined, f"{name}_codes", unsigned(4, 0.19), requantized)
        bottom = block(grown, joined, f"{name}_last", (2 * channels[1], channels[1]))
    grown.end(bottom, 4)
    assert grown.agrees(tmp_path) < len(grown.images)


def test_a_super_resolution_network_ends_in_codes_after_a_crd_shuffle(tmp_path: Path) -> None:
    grown = Grower(21, channels=3, size=(6, 5))
    builder = grown.builder
    x = block(grown, block(grown, grown.x, "conv1", (3, 6)), "conv2", (6, 5))
    x = builder.node("Conv", [x, grown.weights("conv3_w", (12, 5, 3, 3))], "conv3", pads=[1] * 4)
    x = builder.node("DepthToSpace", [grown.scale(x, "conv3", 45)], "space", blocksize=2, mode="CRD")
    x = builder.node("Relu", [x], "relu")
    builder.outputs = [builder.quant(x, "pixels", unsigned(8, 0.0037), "space")]
    grown.agrees(tmp_path)
    assert load_onnx(tmp_path / "tested.onnx").out_shape == (3, 12, 10)


def test_an_inception_block(tmp_path: Path) -> None:
    grown = Grower(22, channels=3, size=(7, 6))
    builder = grown.builder
    x = block(grown, grown.x, "stem", (3, 6))
    branches = [
        grown.conv(x, "one", (6, 4), ACTS),
        block(grown, grown.conv(x, "reduce", (6, 3), unsigned(3, 0.3)), "three", (3, 5)),
    ]
    pooled = builder.node("MaxPool", [x], "pool", kernel_shape=[3, 3], pads=[1] * 4)
    branches.append(grown.conv(pooled, "project", (6, 2), twos_complement(5, 0.11)))
    mean = builder.node("AveragePool", [x], "mean", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    branches.append(builder.quant(mean, "mean_act", unsigned(6, 0.041), "mean"))
    x = builder.node("Concat", branches, "joined", axis=1)
    x = builder.quant(x, "joined_act", unsigned(4, 0.19), "joined")
    x = builder.quant(builder.node("GlobalAveragePool", [x], "all"), "all_act", unsigned(6, 0.043), "all")
    grown.end(x, 17)
    assert grown.agrees(tmp_path) < len(grown.images)


def test_outputs_in_several_layers_are_saved(tmp_path: Path) -> None:
    grown = Grower(23, channels=4, size=(5, 4))
    grown.builder.node(
        "ConvTranspose", [grown.x, grown.weights("w", (4, 3, 3, 3))], "up", output="y", strides=[2, 2], pads=[1] * 4
    )
    network = load_onnx(grown.builder.save(tmp_path / "up.onnx"))
    assert len(network.network.layers) == 4
    save(network, tmp_path / "up.safetensors")
    again = load(tmp_path / "up.safetensors")
    assert again.arrangement == network.arrangement
    assert (run(again, grown.images).outputs == run(network, grown.images).outputs).all()


class Wanderer(Grower):
    """Adds one random node after another to a map."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, channels=4, size=(4, 4))
        self.shape, self.map, self.own = (4, 4, 4), self.x, twos_complement(4, 0.15)

    def step(self, kind: str, name: str) -> None:
        getattr(self, f"_{kind}")(name, *self.shape)

    def _quantized(self, x: str, name: str, fan_in: int) -> None:
        self.own = self.levels()
        self.map = self.builder.quant(self.scale(x, name, fan_in), f"{name}_act", self.own, name)

    def _conv(self, name: str, channels: int, height: int, width: int) -> None:
        self.map, self.own = self.conv(self.map, name, (channels, 4), paper(3)), paper(3)
        self.shape = (4, height, width)

    def _add(self, name: str, channels: int, *size: int) -> None:
        other = self.conv(self.map, f"{name}_other", (channels, channels), self.levels())
        op = "Add" if self.rng.random() < 0.5 else "Sub"
        self._quantized(self.builder.node(op, [self.map, other], name), name, 2)
        assert size == self.shape[1:]

    def _concat(self, name: str, channels: int, *size: int) -> None:
        unlike = next(levels for levels in iter(self.levels, None) if levels != self.own)
        other = self.conv(self.map, f"{name}_other", (channels, 2), unlike)
        self._quantized(self.builder.node("Concat", [self.map, other], name, axis=1), name, 1)
        self.shape = (channels + 2, size[0], size[1])

    def _up(self, name: str, channels: int, height: int, width: int) -> None:
        kernel = int(self.rng.integers(2, 5))
        w = self.weights(f"{name}_w", (channels, 4, kernel, kernel))
        pads = [int(self.rng.integers(0, 2)) for _ in range(4)]
        out = self.builder.node("ConvTranspose", [self.map, w], name, strides=[2, 2], pads=pads)
        self._quantized(out, name, 2 * channels)
        tall, wide = (
            2 * (size - 1) + kernel - pads[place] - pads[place + 2] for place, size in enumerate((height, width))
        )
        self.shape = (4, tall, wide)

    def _resize(self, name: str, channels: int, height: int, width: int) -> None:
        mode = "linear" if self.rng.random() < 0.6 else "nearest"
        kind = str(self.rng.choice(["half_pixel", "align_corners"])) if mode == "linear" else "half_pixel"
        scales = self.builder.constant(f"{name}_scales", [1, 1, 2, 1])
        out = self.builder.node("Resize", [self.map, "", scales], name, mode=mode, coordinate_transformation_mode=kind)
        if mode == "linear":
            self._quantized(out, name, 1)
        else:
            self.map = out
        self.shape = (channels, 2 * height, width)

    def _space(self, name: str, channels: int, height: int, width: int) -> None:
        out = self.builder.node("Conv", [self.map, self.weights(f"{name}_w", (8, channels, 1, 1))], f"{name}_conv")
        mode = str(self.rng.choice(["DCR", "CRD"]))
        self._quantized(self.builder.node("DepthToSpace", [out], name, blocksize=2, mode=mode), name, channels)
        self.shape = (2, 2 * height, 2 * width)

    def _cut(self, name: str, channels: int, height: int, width: int) -> None:
        ends = [
            self.builder.constant(f"{name}_{key}", [value], np.int64)
            for key, value in (("s", 1), ("e", height), ("a", 2))
        ]
        self.map = self.builder.node("Slice", [self.map, *ends], name)
        self.shape = (channels, height - 1, width)

    def _pool(self, name: str, channels: int, height: int, width: int) -> None:
        self.map = self.builder.node("MaxPool", [self.map], name, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        self.builder.probes[name] = Probe(self.map, None, self.own)
        self.shape = (channels, (height + 1) // 2, (width + 1) // 2)

    def _host(self, name: str, *shape: int) -> None:
        self.own = unsigned(5, 1 / 31)
        self.map = self.builder.quant(self.builder.node("Sigmoid", [self.map], name), f"{name}_act", self.own, name)
        assert shape == self.shape


KINDS = ("conv", "add", "concat", "up", "resize", "space", "cut", "pool", "host")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(KINDS), min_size=2, max_size=4))
def test_random_graphs_of_every_node(tmp_path_factory: pytest.TempPathFactory, seed: int, kinds: list[str]) -> None:
    grown = Wanderer(seed)
    for place, kind in enumerate(kinds):
        if min(grown.shape[1:]) > 1 or kind in ("conv", "add", "concat", "host"):
            grown.step(kind, f"{kind}{place}")
    grown.end(grown.map, grown.shape[0])
    grown.agrees(tmp_path_factory.mktemp("graph"))
