"""Linear quantization in: types, biases, ties, patterns and operators one by one, and every refusal in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto

from tests.workloads.qlinear_graphs import RANGES, Graph, dynamic, small
from tests.workloads.qlinear_kernels import kernels, ours
from workloads.encoded import Codes, EncodedNetwork
from workloads.executor import run
from workloads.layers import Conv, Dense
from workloads.onnx_import import load_onnx

Array = npt.NDArray[Any]


def load(model: onnx.ModelProto, tmp_path: Path) -> EncodedNetwork:
    onnx.save(model, tmp_path / "model.onnx")
    return load_onnx(tmp_path / "model.onnx")


def started(shape: tuple[int, ...], scale: float = 1 / 16, zero: int = 0, kind: str = "int8") -> Graph:
    """x -> QuantizeLinear -> q."""
    graph = Graph(shape)
    graph.node("QuantizeLinear", ["x", *graph.linear("x", scale, zero, kind)], "q")
    return graph


def real(graph: Graph, integers: str, name: str, scale: Any, zero: Any, kind: str, **attributes: Any) -> str:
    return graph.node(
        "DequantizeLinear", [integers, *graph.linear(name, scale, zero, kind)], f"{name}_real", **attributes
    )


def ended(graph: Graph, value: str, scale: float, zero: int, kind: str) -> onnx.ModelProto:
    """value -> QuantizeLinear -> out -> DequantizeLinear -> y."""
    graph.node("QuantizeLinear", [value, *graph.linear("out", scale, zero, kind)], "out")
    graph.node("DequantizeLinear", ["out", *graph.linear("y", scale, zero, kind)], "y")
    return graph.model()


def same_as_onnxruntime(model: onnx.ModelProto, images: Array, tmp_path: Path) -> Array:
    """The outputs, equal to those of onnxruntime on the graph as it is written; scales are powers of two, so float32 is exact."""
    expected, _ = kernels(model, {"y": "float"}, images, tmp_path, "as written", exact_pairs=False)
    outputs = ours(model, images, tmp_path).outputs
    np.testing.assert_array_equal(outputs.reshape(expected["y"].shape), expected["y"])
    return outputs


# --- what integers stand for -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "zero", "codes"),
    [
        ("uint8", 0, Codes(bits=8, step=0.125, offset=255)),
        ("uint8", 255, Codes(bits=8, step=0.125, offset=-255)),
        ("uint8", 100, Codes(bits=8, step=0.125, offset=55)),
        ("int8", 0, Codes(bits=8, step=0.125, offset=-1)),
        ("int8", -128, Codes(bits=8, step=0.125, offset=255)),
        ("uint4", 3, Codes(bits=4, step=0.125, offset=9)),
        ("int4", -2, Codes(bits=4, step=0.125, offset=3)),
        ("int2", 0, Codes(bits=2, step=0.125, offset=-1)),
    ],
)
def test_types_become_codes(kind: str, zero: int, codes: Codes, tmp_path: Path) -> None:
    graph = started((2,), 0.25, zero, kind)
    weights = real(graph, graph.constant("w", [[1], [2]], "int8"), "w", 1, 0, "int8")
    graph.node("MatMul", [real(graph, "q", "again", 0.25, zero, kind), weights], "y")
    assert load(graph.model(), tmp_path).input_codes == codes


@pytest.mark.parametrize(
    ("kind", "zero", "bits", "offset"),
    [
        ("int8", 0, 8, -1),
        ("uint8", 128, 8, -1),
        ("int8", 5, 8, -11),
        ("uint8", 0, 8, 255),
        ("uint4", 8, 4, -1),
        ("int4", 0, 4, -1),
    ],
)
def test_weights_become_planes_with_an_offset(kind: str, zero: int, bits: int, offset: int, tmp_path: Path) -> None:
    graph = started((2,))
    low, high = RANGES[kind]
    weights = real(graph, graph.constant("w", [[low], [high]], kind), "w", 1, zero, kind)
    graph.node("MatMul", [real(graph, "q", "again", 1 / 16, 0, "int8"), weights], "y")
    (layer,) = load(graph.model(), tmp_path).network.layers
    assert isinstance(layer, Dense)
    assert (layer.weight_bits, layer.weight_offset) == (bits, offset)


def test_a_map_read_with_other_scales_is_the_same_codes(tmp_path: Path) -> None:
    # QuantizeLinear writes integers; what they stand for is up to whoever reads them.
    graph = started((2,), 0.5, 3, "uint8")
    weights = real(graph, graph.constant("w", [[1], [1]], "int8"), "w", 1, 0, "int8")
    graph.node("MatMul", [real(graph, "q", "other", 4.0, 7, "uint8"), weights], "y")
    # x = 1, 2: integers 2 + 3 and 4 + 3, read as 4 (5 - 7) and 4 (7 - 7).
    assert ours(graph.model(), np.float32([[1, 2]]), tmp_path).outputs.tolist() == [[-8.0]]


@pytest.mark.parametrize("zero", [0, 1, -3])
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_ties_go_to_even_before_the_zero_point(kind: str, zero: int, tmp_path: Path) -> None:
    # 0.5 and 1.5 both round to an even number, then the zero point is added: at the host, and at hidden thresholds.
    graph = started((2,), 1.0, zero, kind)
    weights = real(graph, graph.constant("w", [[1, 0], [0, 1]], "int8"), "w", 0.5, 0, "int8")
    sums = graph.node("MatMul", [real(graph, "q", "again", 1.0, zero, kind), weights], "fc")
    model = ended(graph, sums, 1.0, zero, kind)
    low, high = (end - zero for end in RANGES[kind])
    halves = np.arange(-20, 20, dtype=np.float32) / 2
    outputs = same_as_onnxruntime(model, np.stack([halves, halves[::-1]], axis=1), tmp_path)
    inner = np.clip([round(Fraction(value)) for value in halves.tolist()], low, high)
    assert outputs[:, 0].tolist() == [min(max(round(Fraction(int(v), 2)), low), high) for v in inner]


@pytest.mark.parametrize("halves", [-1, 1, 3])
def test_a_bias_of_32_bits_is_exact(halves: int, tmp_path: Path) -> None:
    # (2^31 - 1) (1 + 2^-23) = 2^31 + 255 - 2^-23 has 55 bits: float64 would lose the last one, and with it the side of a tie.
    graph, scale = started((1,), 0.5), np.float32(1 + 2**-23)
    weights = real(graph, graph.constant("w", [[1]], "int8"), "w", 1.0, 0, "int8")
    bias = real(graph, graph.constant("b", [2**31 - 1], "int32"), "b", scale, 0, "int32")
    sums = graph.node("Gemm", [real(graph, "q", "again", 0.5, 0, "int8"), weights, bias], "fc")
    sums = graph.node("Add", [sums, graph.constant("shift", -(2.0**31) - 2.0**8)], "shifted")
    expected = round(Fraction(halves, 2) - 1 - Fraction(1, 2**23))
    assert ours(ended(graph, sums, 1.0, 0, "int8"), np.float32([[halves / 2]]), tmp_path).outputs.tolist() == [
        [expected]
    ]


def test_float_weights_behind_quantizers_are_rounded_as_onnxruntime_does(tmp_path: Path) -> None:
    rng, graph = np.random.default_rng(5), started((6,), 0.25, 3, "uint8")
    scale, zero = np.float32([0.3, 0.7, 0.011]), np.array([1, -5, 0])
    pair = graph.linear("w", scale, zero, "int4")
    latent = graph.constant("latent", np.concatenate([rng.normal(0, 1, (4, 3)), [[0.15, 1.05, 9], [-9, 9, 0.0055]]]))
    graph.node("QuantizeLinear", [latent, *pair], "w", axis=1)
    graph.node("DequantizeLinear", ["w", *pair], "w_real", axis=-1)
    graph.node("MatMul", [real(graph, "q", "again", 0.25, 3, "uint8"), "w_real"], "y")
    model = graph.model()
    images = np.eye(6, dtype=np.float32)  # every output is one weight
    expected, _ = kernels(model, {"w_real": "float"}, images, tmp_path, "as written", exact_pairs=False)
    np.testing.assert_array_equal(ours(model, images, tmp_path).outputs.astype(np.float32), expected["w_real"])


@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_the_graph_input_may_be_integers(kind: str, tmp_path: Path) -> None:
    graph, rng = Graph((2, 3, 3)), np.random.default_rng(0)
    weights = real(
        graph, graph.constant("w", rng.integers(-128, 128, (2, 2, 2, 2)), "int8"), "w", 0.5, 0, "int8", axis=0
    )
    source = real(graph, "x", "x", 0.25, 5, kind)
    graph.node("Conv", [source, weights], "y", pads=[1, 1, 0, 0])
    model = graph.model()
    model.graph.input[0].type.tensor_type.elem_type = getattr(TensorProto, kind.upper())
    low, high = RANGES[kind]
    images = rng.integers(low, high + 1, (4, 2, 3, 3)).astype(kind)
    same_as_onnxruntime(model, images, tmp_path)
    assert load(model, tmp_path).input_codes == Codes(bits=8, step=0.5, offset=255 if low == 0 else -1)


def test_padding_is_the_code_of_real_zero(tmp_path: Path) -> None:
    graph = started((1, 2, 2), 0.5, 77, "uint8")
    weights = real(graph, graph.constant("w", np.ones((1, 1, 3, 3)), "int8"), "w", 1, 0, "int8")
    graph.node("Conv", [real(graph, "q", "again", 0.5, 77, "uint8"), weights], "y", pads=[1, 1, 1, 1])
    (layer,) = load(graph.model(), tmp_path).network.layers
    assert isinstance(layer, Conv)
    assert layer.pad_code == 2 * 77 - 255


# --- patterns, against onnxruntime on the graph as written --------------------------------------------------------


def concat(graph: Graph, source: str, other: str) -> str:
    return graph.node("Concat", [source, other], "joined", axis=1)


def add(graph: Graph, source: str, other: str) -> str:
    return graph.node("Add", [source, other], "sum")


def average(graph: Graph, source: str, _other: str) -> str:
    return graph.node("AveragePool", [source], "mean", kernel_shape=[2, 2], strides=[2, 2])


def max_pool(graph: Graph, source: str, _other: str) -> str:
    return graph.node("MaxPool", [source], "largest", kernel_shape=[3, 2], pads=[1, 0, 1, 1])


def relu(graph: Graph, source: str, _other: str) -> str:
    return graph.node("Relu", [source], "relu")


def clip(graph: Graph, source: str, _other: str) -> str:
    return graph.node("Clip", [source, graph.constant("low", -0.75), graph.constant("high", 1.5)], "clip")


def nearest(graph: Graph, source: str, _other: str) -> str:
    scales = graph.constant("scales", [1, 1, 2, 2])
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.node("Resize", [source, "", scales], "grown", **modes)


def linear(graph: Graph, source: str, _other: str) -> str:
    return graph.node("Resize", [source, "", graph.constant("scales", [1, 1, 2, 2])], "grown", mode="linear")


def transposed(graph: Graph, source: str, _other: str) -> str:
    integers = np.random.default_rng(4).integers(-128, 128, (4, 3, 3, 3))
    weights = real(graph, graph.constant("t", integers, "int8"), "t", [0.25, 0.5, 0.125], [0, 0, 0], "int8", axis=1)
    bias = real(graph, graph.constant("tb", [5, -70, 900], "int32"), "tb", 2.0**-6, 0, "int32")
    return graph.node("ConvTranspose", [source, weights, bias], "transposed", strides=[2, 2], pads=[1, 1, 1, 1])


def shuffled(graph: Graph, source: str, _other: str) -> str:
    return graph.node("DepthToSpace", [source], "shuffled", blocksize=2)


@pytest.mark.parametrize(
    "pattern",
    [concat, add, average, max_pool, relu, clip, nearest, linear, transposed, shuffled],
    ids=lambda item: item.__name__,
)
@pytest.mark.parametrize("kind", ["uint8", "int4"])
def test_patterns(pattern: Callable[[Graph, str, str], str], kind: str, tmp_path: Path) -> None:
    """Two maps of unlike scales and zero points, the pattern on one or both, and a quantizer of its own."""
    low, high = RANGES[kind]
    graph, rng, middle = (
        started((2, 4, 6), 1 / 8, 3 if kind == "int4" else 99, kind),
        np.random.default_rng(2),
        (low + high) // 2,
    )
    source, maps = real(graph, "q", "again", 1 / 8, 3 if kind == "int4" else 99, kind), []
    for place, (scale, zero) in enumerate(((2.0**-5, middle), (2.0**-3, middle + 1))):
        integers = graph.constant(f"w{place}", rng.integers(-128, 128, (4, 2, 1, 1)), "int8")
        weights = real(graph, integers, f"w{place}", 2.0**-7, 0, "int8", axis=0)
        sums = graph.node("Conv", [source, weights], f"conv{place}")
        made = graph.node("QuantizeLinear", [sums, *graph.linear(f"m{place}", scale, zero, kind)], f"map{place}")
        maps.append(real(graph, made, f"r{place}", scale, zero, kind))
    model = ended(graph, pattern(graph, maps[0], maps[1]), 2.0**-4, middle - 1, kind)
    images = np.random.default_rng(3).uniform(-2, 2, (3, 2, 4, 6)).astype(np.float32)
    outputs = same_as_onnxruntime(model, images, tmp_path)
    assert len(np.unique(outputs)) > 3


@pytest.mark.parametrize("function", ["Sigmoid", "HardSwish", "Softmax"])
def test_functions_of_the_host_stand_between_quantizers(function: str, tmp_path: Path) -> None:
    graph = started((6,), 1 / 16, 3)
    made = graph.node(function, [real(graph, "q", "again", 1 / 16, 3, "int8")], "made")
    images = np.random.default_rng(0).normal(0, 3, (5, 6)).astype(np.float32)
    same_as_onnxruntime(ended(graph, made, 1 / 256, -100, "int8"), images, tmp_path)


def test_attention_of_quantized_maps(tmp_path: Path) -> None:
    """Queries and keys of a sequence with weights, their product, each behind a quantizer."""
    graph, rng = started((5, 8), 1 / 16, 3), np.random.default_rng(0)
    source, maps = real(graph, "q", "again", 1 / 16, 3, "int8"), []
    for name in ("queries", "keys"):
        integers = graph.constant(f"{name}_w", rng.integers(-128, 128, (8, 6)), "int8")
        sums = graph.node("MatMul", [source, real(graph, integers, f"{name}_w", 1 / 64, 0, "int8")], name)
        made = graph.node("QuantizeLinear", [sums, *graph.linear(f"{name}_map", 1 / 8, 1, "int8")], f"{name}_integers")
        maps.append(real(graph, made, f"{name}_map", 1 / 8, 1, "int8"))
    turned = graph.node("Transpose", [maps[1]], "turned", perm=[0, 2, 1])
    model = ended(graph, graph.node("MatMul", [maps[0], turned], "scores"), 1.0, 10, "int8")
    images = rng.normal(0, 1, (3, 5, 8)).astype(np.float32)
    expected, _ = kernels(model, {"y": "float"}, images, tmp_path, "as written", exact_pairs=False)
    found = run(load(model, tmp_path), np.ascontiguousarray(images.transpose(0, 2, 1))[:, :, None]).outputs
    np.testing.assert_array_equal(found[:, :, 0].transpose(0, 2, 1), expected["y"])


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_gemm_with_alpha_beta_and_a_quantized_bias(alpha: float, tmp_path: Path) -> None:
    graph, rng = started((5,), 1 / 16, 2), np.random.default_rng(1)
    weights = real(
        graph,
        graph.constant("w", rng.integers(-128, 128, (3, 5)), "int8"),
        "w",
        [1, 0.5, 2],
        [0, 3, -1],
        "int8",
        axis=0,
    )
    bias = real(graph, graph.constant("b", [3, -7, 100], "int8"), "b", 0.125, 1, "int8")
    source = real(graph, "q", "again", 1 / 16, 2, "int8")
    graph.node("Gemm", [source, weights, bias], "fc", transB=1, alpha=alpha, beta=2.0)
    images = rng.uniform(-4, 4, (6, 5)).astype(np.float32)
    same_as_onnxruntime(ended(graph, "fc", 4.0, 7, "uint8"), images, tmp_path)


@pytest.mark.parametrize(("acts", "weights"), [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
@pytest.mark.parametrize("zeros", [False, True])
def test_integer_products(acts: str, weights: str, zeros: bool, tmp_path: Path) -> None:
    """MatMulInteger, with one zero point a column, its 32-bit sums scaled and biased behind a Cast."""
    rng, (low, high) = np.random.default_rng(8), RANGES[weights]
    graph = started((6,), 1 / 64, 7, acts)
    integers = graph.constant("w", rng.integers(low // 2, high // 2, (6, 3)), weights)
    ends = [graph.constant("xz", 7, acts), graph.constant("wz", [3, 0, 5] if zeros else 3, weights)]
    graph.node("MatMulInteger", ["q", integers, *ends], "sums")
    cast = graph.node("Cast", ["sums"], "real", to=TensorProto.FLOAT)
    scaled = graph.node("Mul", [cast, graph.constant("scale", np.float32([0.5, 2, 4]))], "scaled")
    graph.node("Add", [scaled, graph.constant("shift", np.float32([1, 0, -8]))], "y")
    images = rng.uniform(-2, 2, (5, 6)).astype(np.float32)
    same_as_onnxruntime(graph.model(), images, tmp_path)


def test_integer_convolution(tmp_path: Path) -> None:
    rng, graph = np.random.default_rng(8), started((2, 4, 4), 1 / 64, 100, "uint8")
    integers = graph.constant("w", rng.integers(0, 256, (3, 2, 3, 3)), "uint8")
    ends = [graph.constant("xz", 100, "uint8"), graph.constant("wz", 120, "uint8")]
    graph.node("ConvInteger", ["q", integers, *ends], "sums", pads=[1, 0, 1, 1], strides=[1, 2])
    graph.node("Cast", ["sums"], "y", to=TensorProto.FLOAT)
    images = rng.uniform(-2, 2, (3, 2, 4, 4)).astype(np.float32)
    same_as_onnxruntime(graph.model(), images, tmp_path)


@pytest.mark.parametrize("op", ["QLinearConcat", "QLinearAveragePool", "QLinearAdd"])
def test_operators_of_com_microsoft(op: str, tmp_path: Path) -> None:
    """On one map and its max pool, each with scales of its own; zero points are even, because QLinearAdd rounds after adding them."""
    graph, rng = started((3, 4, 4), 1 / 32, 90, "uint8"), np.random.default_rng(6)
    first = ["q", *graph.linear("a", 1 / 32, 90, "uint8")]
    second = [graph.node("MaxPool", ["q"], "pool", kernel_shape=[1, 1]), *graph.linear("b", 1 / 8, 12, "uint8")]
    ends = graph.linear("out", 1 / 16, 100, "uint8")
    inputs, attributes = {
        "QLinearConcat": ([*ends, *first, *second], {"axis": 1}),
        "QLinearAveragePool": ([*first, *ends], {"kernel_shape": [2, 2], "strides": [2, 1]}),
        "QLinearAdd": ([*first, *second, *ends], {}),
    }[op]
    graph.node(op, inputs, "out", "com.microsoft", **attributes)
    graph.node("DequantizeLinear", ["out", *graph.linear("y", 1 / 16, 100, "uint8")], "y")
    images = rng.uniform(-4, 6, (3, 3, 4, 4)).astype(np.float32)
    same_as_onnxruntime(graph.model(), images, tmp_path)


def test_a_bias_added_to_integers(tmp_path: Path) -> None:
    graph, rng = started((4,), 1 / 32, 90, "uint8"), np.random.default_rng(6)
    bias = [graph.constant("bias", [1, 200, 30, 77], "uint8"), *graph.linear("bias", 1 / 8, 100, "uint8")]
    source, ends = ["q", *graph.linear("a", 1 / 32, 90, "uint8")], graph.linear("out", 1 / 16, 100, "uint8")
    graph.node("QLinearAdd", [*bias, *source, *ends], "out", "com.microsoft")
    graph.node("DequantizeLinear", ["out", *graph.linear("y", 1 / 16, 100, "uint8")], "y")
    same_as_onnxruntime(graph.model(), rng.uniform(-4, 6, (5, 4)).astype(np.float32), tmp_path)


# --- what is refused -------------------------------------------------------------------------------------------


def refused(graph: Graph, tmp_path: Path, message: str) -> None:
    onnx.save(graph.model(), tmp_path / "bad.onnx")
    with pytest.raises(ValueError, match="must") as caught:
        load_onnx(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.0}, "node 'q' (QuantizeLinear): scale must be > 0, not 0.0"),
        ({"scale": -1.0}, "node 'q' (QuantizeLinear): scale must be > 0, not -1.0"),
        ({"scale": np.nan}, "initializer 'x_scale' must be finite, not NaN or infinite"),
        ({"y_scale": 0.0}, "node 'conv' (QLinearConv): scale must be > 0, not 0.0"),
        ({"w_scale": [1, 0, 1]}, "node 'conv' (QLinearConv): scale must be > 0, not 0.0"),
        ({"w_scale": [1, 2], "w_zero": ([0, 0], "int8")}, "scale must be one number or 3, one for each place along axis 0, not 2"),
        ({"w_zero": (0, "int8")}, "scale and zero point must have one shape, not (3,) and ()"),
        ({"w_zero": ([0, 0, 0], "uint8")}, "node 'conv' (QLinearConv): zero point must be int8, as the integers are, not uint8"),
        ({"zero": (0, "int8")}, "node 'conv' (QLinearConv): zero point must be uint8, as the integers are, not int8"),
        ({"weights": "int16", "w_zero": ([0, 0, 0], "int16")}, "the quantized type must be one of uint8, int8, uint4, int4"),
        ({"kind": "uint16", "zero": (0, "uint16")}, "node 'q' (QuantizeLinear): the quantized type must be one of uint8"),
        ({"kind": "float8e4m3fn", "zero": (0, "uint8")}, "initializer 'x_zero' must be an array of real numbers, not float8_e4m3fn"),
        ({"bias": "int64"}, "node 'conv' (QLinearConv): bias must be int32, not int64"),
        ({"y_scale": [1.0, 2.0, 3.0], "y_zero": ([0, 0, 0], "uint8")}, "scale and zero point of an activation must be one number"),
        ({"x_attributes": {"block_size": 2}}, "node 'q' (QuantizeLinear): block_size must be 0, not 2 (one scale a block)"),
    ],
)  # fmt: skip
def test_refusals(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(small(**change), tmp_path, message)


def test_the_small_graph_itself_is_accepted(tmp_path: Path) -> None:
    assert [layer.name for layer in load(small().model(), tmp_path).network.layers] == ["conv"]


def test_a_type_without_a_zero_point_is_uint8_or_what_is_asked_for(tmp_path: Path) -> None:
    for wanted, offset in ((None, 255), (TensorProto.INT4, -1)):
        graph = Graph((2,))
        attributes = {} if wanted is None else {"output_dtype": wanted}
        graph.node("QuantizeLinear", ["x", graph.constant("s", 1.0)], "q", **attributes)
        weights = real(graph, graph.constant("w", [[1], [1]], "int8"), "w", 1, 0, "int8")
        graph.node("MatMul", [graph.node("DequantizeLinear", ["q", "s"], "again"), weights], "y")
        assert load(graph.model(), tmp_path).input_codes.offset == offset


def test_float8_is_refused_where_no_zero_point_shows_it(tmp_path: Path) -> None:
    graph = Graph((2,))
    graph.node("QuantizeLinear", ["x", graph.constant("s", 1.0)], "q", output_dtype=TensorProto.FLOAT8E4M3FN)
    graph.node("DequantizeLinear", ["q", "s"], "y")
    refused(graph, tmp_path, "node 'q' (QuantizeLinear): the quantized type must be one of uint8, int8, ")


def test_an_axis_that_the_weights_do_not_have_is_refused(tmp_path: Path) -> None:
    graph = started((2,))
    weights = real(graph, graph.constant("w", np.ones((2, 3)), "int8"), "w", [1, 2, 3], [0, 0, 0], "int8", axis=2)
    graph.node("MatMul", [real(graph, "q", "again", 1 / 16, 0, "int8"), weights], "y")
    refused(graph, tmp_path, "node 'w_real' (DequantizeLinear): axis must be between -2 and 1, not 2")


def test_scales_along_the_inputs_of_a_matrix_are_refused(tmp_path: Path) -> None:
    graph = started((2,))
    weights = real(graph, graph.constant("w", np.ones((2, 3)), "int8"), "w", [1, 2], [0, 0], "int8", axis=0)
    graph.node("MatMul", [real(graph, "q", "again", 1 / 16, 0, "int8"), weights], "y")
    refused(graph, tmp_path, "scale must be one number or one per output channel")


def test_blocks_of_an_axis_are_refused(tmp_path: Path) -> None:
    graph = started((2,))
    weights = graph.node(
        "DequantizeLinear",
        [graph.constant("w", np.ones((2, 3)), "int4"), graph.constant("s", np.ones((2, 1)))],
        "w_real",
        axis=1,
    )
    graph.node("MatMul", [real(graph, "q", "again", 1 / 16, 0, "int8"), weights], "y")
    refused(
        graph,
        tmp_path,
        "node 'w_real' (DequantizeLinear): scale must be one number or a vector along an axis, not of shape (2, 1)",
    )


def test_integers_that_nobody_dequantized_are_refused_and_the_other_way_round(tmp_path: Path) -> None:
    graph = started((2, 1, 1))
    real(graph, real(graph, "q", "again", 1 / 16, 0, "int8"), "twice", 1 / 16, 0, "int8")
    graph.node("Identity", ["twice_real"], "y")
    refused(
        graph,
        tmp_path,
        "node 'twice_real' (DequantizeLinear): input 'again_real' must be integers, as a QuantizeLinear emits, not codes",
    )


def test_weights_whose_zero_points_lie_too_far_apart_are_refused(tmp_path: Path) -> None:
    graph = started((2,))
    integers = graph.constant("w", [[0, 255], [255, 0]], "uint8")
    graph.node(
        "MatMul",
        [real(graph, "q", "again", 1 / 16, 0, "int8"), real(graph, integers, "w", [1, 1], [0, 255], "uint8")],
        "y",
    )
    refused(graph, tmp_path, "node 'w_real' (DequantizeLinear): weights must have at most 256 levels, not 511")


def test_dynamic_quantization_is_refused_with_the_reason(tmp_path: Path) -> None:
    refused(
        dynamic(),
        tmp_path,
        "'dynamic' (DynamicQuantizeLinear: its scale is known only while it runs, so quantize statically)",
    )


def test_a_32_bit_bias_has_no_zero_point(tmp_path: Path) -> None:
    graph = started((1,))
    weights = real(graph, graph.constant("w", [[1]], "int8"), "w", 1.0, 0, "int8")
    bias = real(graph, graph.constant("b", [5], "int32"), "b", 1.0, 2, "int32")
    graph.node("Gemm", [real(graph, "q", "again", 1 / 16, 0, "int8"), weights, bias], "y")
    refused(graph, tmp_path, "node 'b_real' (DequantizeLinear): the zero point of int32 must be 0 and int32")


def test_every_flipped_bit_is_an_error_or_a_network(tmp_path: Path) -> None:
    content, rng, path = small().model().SerializeToString(), np.random.default_rng(1), tmp_path / "flipped.onnx"
    for position in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(damaged))
        with suppress(ValueError):
            load_onnx(path)


def test_qgemm_may_emit_real_sums(tmp_path: Path) -> None:
    graph, rng = started((5,), 1 / 32, 90, "uint8"), np.random.default_rng(6)
    weights = [
        graph.constant("w", rng.integers(-64, 64, (3, 5)), "int8"),
        *graph.linear("w", [1 / 8, 1 / 4, 2], [0, 0, 0], "int8"),
    ]
    bias = graph.constant("b", [1000, -7, 30], "int32")
    source = ["q", *graph.linear("a", 1 / 32, 90, "uint8")]
    graph.node("QGemm", [*source, *weights, bias], "y", "com.microsoft", alpha=0.5, transB=1)
    same_as_onnxruntime(graph.model(), rng.uniform(-2, 4, (4, 5)).astype(np.float32), tmp_path)
