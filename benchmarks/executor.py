"""How fast the executor is, in one run on one core: `python -m benchmarks.executor`. Prints ratios and times.

Four questions: how fast is a layer, packing and thresholds included, against onnxruntime; how fast is the sum of the layers of
ResNet-18; how much faster is the packed kernel than the same integers without packing; and how long does one inference of
ResNet-18 (random weights, 224 x 224, 8-bit input) take. Contenders take turns, a few calls each, so that all meet the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

import numpy as np

from benchmarks.peers import peer
from tests import reference
from workloads import compiled
from workloads.compiled import Meter
from workloads.executor import run_prepared
from workloads.layer_run import Emitted, run_layer
from workloads.layers import Conv, Dense
from workloads.network import Input, Network, Node
from workloads.prepared import prepare
from workloads.random_network import random_parameters
from workloads.zoo import NETWORKS

ROUNDS, CALLS = 20, 5


def main() -> None:
    """Print all figures."""
    compiled.METER = Meter(0)
    for bits in range(1, 9):
        report_peers(bits)
    report_sum(NETWORKS["resnet18"](m=1, k=1))
    report_layer(act_bits=1, weight_bits=1)
    report_layer(act_bits=2, weight_bits=2)
    report_network(NETWORKS["resnet18"](m=1, k=1))
    report_network(NETWORKS["resnet18"](m=2, k=2))


def report_peers(bits: int) -> None:
    """The same layer, packing and thresholds included, against onnxruntime on one core."""
    layer = Conv(
        name="conv", in_shape=(64, 56, 56), out_channels=64, kernel=(3, 3), padding=(1, 1, 1, 1),
        act_bits=bits, weight_bits=bits, out_bits=bits,
    )  # fmt: skip
    own, way = own_layer(layer)
    times = taking_turns({"own": own} | {kind: peer(layer, kind) for kind in ("int8", "uint8", "float32")})
    print(f"64 x 56 x 56, 3x3, 64 outputs, M=K={bits}, codes in and out, {way}: {1e3 * min(times['own']):.2f} ms")
    for kind in ("int8", "uint8", "float32"):
        print(f"  onnxruntime {kind:8} {1e3 * min(times[kind]):20.2f} ms  {ratios(times[kind], times['own'])}")


def report_sum(network: Network) -> None:
    """Every convolution and dense layer on its own, one image, summed."""
    own = other = 0.0
    for layer in network.layers:
        if isinstance(layer, Conv | Dense):
            times = taking_turns({"own": own_layer(layer)[0], "peer": peer(layer, "float32")}, rounds=6)
            own, other = own + min(times["own"]), other + min(times["peer"])
    print(f"{network.name} {network.precision}, sum of its convolutions and dense layers: {1e3 * own:.1f} ms")
    print(f"  onnxruntime float32  {1e3 * other:20.2f} ms  {other / own:8.2f} x")


def own_layer(layer: Conv | Dense) -> tuple[Callable[[], object], str]:
    """A call that computes one image of the layer from codes to codes, and by which way it does."""
    single = replace(layer, from_host=False)
    network = Network(
        "layer", Input(name="input", shape=source_shape(layer), bits=layer.act_bits), (Node(single, ("input",)),)
    )
    rng = np.random.default_rng(1)
    prepared = prepare(random_parameters(network, rng), products=True)
    source = rng.integers(0, 2**layer.act_bits, size=(*source_shape(layer), 1)).astype(np.uint8)

    def call() -> Emitted:
        return run_layer(prepared, single, [source])

    return call, str(call().way)


def source_shape(layer: Conv | Dense) -> tuple[int, int, int]:
    """The map that a layer reads."""
    return (
        (layer.in_shape[0], 1, layer.positions) if isinstance(layer, Dense) and layer.positions > 1 else layer.in_shape
    )


def taking_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, each: int = CALLS
) -> dict[str, list[float]]:
    """Seconds of every call; a round gives each contender a few calls in a row, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            times[name] += [seconds(call, repeats=1) for _ in range(each)]
    return times


def ratios(times: list[float], own: list[float]) -> str:
    """Of the shortest and of the middle times."""
    return f"{min(times) / min(own):8.2f} x (of medians {median(times) / median(own):.2f})"


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
