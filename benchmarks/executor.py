"""How fast the executor is, in one run on one core: `python -m benchmarks.executor`. Prints ratios and times.

Two questions: how much faster is the packed kernel than the same integers without packing, and how long does one
inference of ResNet-18 (random weights, 224 x 224, 8-bit input) take.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tests import reference
from workloads.executor import prepare, run_prepared
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters
from workloads.zoo import NETWORKS


def main() -> None:
    """Print all figures."""
    report_layer(act_bits=1, weight_bits=1)
    report_layer(act_bits=2, weight_bits=2)
    report_network(NETWORKS["resnet18"](m=1, k=1))
    report_network(NETWORKS["resnet18"](m=2, k=2))


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of a few calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def report_layer(*, act_bits: int, weight_bits: int) -> None:
    """A 64-channel 3x3 layer on 56x56 against plain int64 sums in numpy and against the reference of the tests."""
    layer = Conv(
        name="conv", in_shape=(64, 56, 56), out_channels=64, kernel=(3, 3), padding=(1, 1, 1, 1),
        act_bits=act_bits, weight_bits=weight_bits, out_bits=None,
    )  # fmt: skip
    network = Network("layer", Input(name="input", shape=layer.in_shape, bits=act_bits), (Node(layer, ("input",)),))
    rng = np.random.default_rng(1)
    encoded = random_parameters(network, rng)
    image = rng.uniform(-1, 1, size=(1, *layer.in_shape))
    prepared = prepare(encoded)
    codes = run_prepared(prepared, image, keep_integers=True).codes["input"][0]
    packed = seconds(lambda: run_prepared(prepared, image))
    weights = np.array(reference.weight_codes(layer, encoded.parameters["conv"]))
    plain = seconds(lambda: plain_sums(layer, codes, weights), repeats=2)
    rows = reference_sample(layer, codes.tolist(), weights.tolist())
    print(f"64 x 56 x 56, 3x3, 64 outputs, M={act_bits} K={weight_bits}: {1e3 * packed:.1f} ms packed")
    print(f"  plain int64 sums in numpy   {1e3 * plain:10.1f} ms  {plain / packed:8.1f} x")
    print(f"  Python integers, one row scaled {1e3 * rows:6.0f} ms  {rows / packed:8.1f} x")


def plain_sums(layer: Conv, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same sums without packing: (out, N) @ (N, positions) in int64."""
    padded = np.pad(codes, ((0, 0), (1, 1), (1, 1)))
    view = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(1, 2))
    columns: np.ndarray = view.transpose(0, 3, 4, 1, 2).reshape(layer.reduction, -1)
    sums: np.ndarray = weights @ columns
    return sums


def reference_sample(layer: Conv, codes: list[list[list[int]]], weights: list[list[int]]) -> float:
    """Seconds of the whole layer in Python integers, from one row of one output channel."""
    width = layer.out_shape[2]
    row = seconds(lambda: [reference._conv_at(layer, codes, weights[0], 0, 5, x) for x in range(width)], repeats=2)
    return row * layer.out_shape[1] * layer.out_channels


def report_network(network: Network) -> None:
    """Repacking once, then one image."""
    rng = np.random.default_rng(2)
    encoded = random_parameters(network, rng)
    image = rng.uniform(-1, 1, size=(1, *network.input.shape))
    prepared = prepare(encoded)
    once = seconds(lambda: prepare(encoded), repeats=2)
    inference = seconds(lambda: run_prepared(prepared, image), repeats=3)
    words = sum(actions.xnor_words for actions in run_prepared(prepared, image).actions.values())
    print(f"{network.name} {network.precision}: {network.macs / 1e9:.2f} GMAC, {words / 1e6:.0f} M xnor words of 64")
    print(f"  prepare {once:.2f} s once, one image {inference:.2f} s, {words / inference / 1e9:.2f} G xnor words/s")


if __name__ == "__main__":
    main()
