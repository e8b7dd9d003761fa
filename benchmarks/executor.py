"""How fast the executor is, in one run on one core: `python -m benchmarks.executor`. Prints ratios and times.

Three questions: how fast is a layer, packing included, against onnxruntime; how much faster is the packed kernel than the
same integers without packing; and how long does one inference of ResNet-18 (random weights, 224 x 224, 8-bit input) take.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tests import reference
from workloads import executor, kernels
from workloads.compiled import Meter
from workloads.executor import Prepared, prepare, run_prepared
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters
from workloads.zoo import NETWORKS


def main() -> None:
    """Print all figures."""
    for bits in (1, 2, 4, 8):
        report_peers(bits)
    report_layer(act_bits=1, weight_bits=1)
    report_layer(act_bits=2, weight_bits=2)
    report_network(NETWORKS["resnet18"](m=1, k=1))
    report_network(NETWORKS["resnet18"](m=2, k=2))


def report_peers(bits: int) -> None:
    """The same layer, packing and thresholds included, against onnxruntime on one core: int8 and float32."""
    prepared, source = hidden_layer(bits)
    layer, parameters = prepared.encoded.network.contractions[0], prepared.encoded.parameters["conv"]
    kernels.METER = Meter(0)
    own = seconds(lambda: executor._contract(layer, source, prepared, parameters), repeats=30)
    peers = {name: seconds(peer_layer(name), repeats=30) for name in ("int8", "float32")}
    print(f"64 x 56 x 56, 3x3, 64 outputs, M=K={bits}, codes in and out: {1e3 * own:.2f} ms")
    for name, taken in peers.items():
        print(f"  onnxruntime {name:8} {1e3 * taken:20.2f} ms  {taken / own:8.2f} x")


def hidden_layer(bits: int) -> tuple[Prepared, np.ndarray]:
    """A 64-channel 3x3 layer that emits codes, and a map of codes for it."""
    layer = Conv(
        name="conv", in_shape=(64, 56, 56), out_channels=64, kernel=(3, 3), padding=(1, 1, 1, 1),
        act_bits=bits, weight_bits=bits, out_bits=bits,
    )  # fmt: skip
    network = Network("layer", Input(name="input", shape=layer.in_shape, bits=bits), (Node(layer, ("input",)),))
    rng = np.random.default_rng(1)
    prepared = prepare(random_parameters(network, rng), products=True)
    return prepared, rng.integers(0, 2**bits, size=(*layer.in_shape, 1)).astype(np.uint8)


def peer_layer(kind: str) -> Callable[[], object]:
    """The layer in onnxruntime, one thread: QLinearConv on uint8 x int8, or Conv on float32."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng, shape = np.random.default_rng(0), (1, 64, 56, 56)
    integer = kind == "int8"
    values = rng.integers(-127, 128, size=(64, 64, 3, 3)).astype(np.int8 if integer else np.float32)
    one, zeros = np.float32(0.1), {"xz": np.uint8(128), "wz": np.int8(0), "yz": np.uint8(128)}
    constants = {"w": values} | ({"xs": one, "ws": one, "ys": np.float32(100), **zeros} if integer else {})
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] if integer else ["x", "w"]
    node = helper.make_node("QLinearConv" if integer else "Conv", names, ["y"], pads=[1, 1, 1, 1])
    element = TensorProto.UINT8 if integer else TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {"x": rng.integers(0, 256, size=shape).astype(np.uint8 if integer else np.float32)}
    return lambda: session.run(None, given)


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
