"""Linear quantization: our integers against plain fractions, and those against the integer kernels of onnxruntime.

The fractions are the ONNX text. onnxruntime multiplies 32-bit sums by one float32 number, so next to a tie it may round the other way;
each tensor that it gives must then equal what exactly that float32 formula makes of the integers before it. Nothing is close here:
all comparisons are of equal integers.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.qlinear_graphs import RANGES, Graph, Random, Style
from tests.workloads.qlinear_kernels import kernels, ours
from tests.workloads.qlinear_reference import exact, real_of, rounded

Array = npt.NDArray[Any]

FEW = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
KERNELS = st.sampled_from([("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
"""The pairs of activation and weight types that QLinearConv of onnxruntime has."""


def check_against_fractions(made: Random, path: Path) -> dict[str, Array]:
    """All integers and the outputs of a random network equal those of the fractions, which come back."""
    model = made.graph.model()
    expected, got = exact(model, made.images), ours(model, made.images, path)
    integers = {}
    for layer, (tensor, kind) in made.graph.integers.items():
        low, high = RANGES[kind]
        integers[tensor] = expected[tensor]
        if layer == "flat" and layer not in got.codes:
            continue  # a map of one position is flat as it is
        found = (got.codes[layer] + high - low) // 2 + low
        np.testing.assert_array_equal(found.reshape(expected[tensor].shape), expected[tensor], err_msg=layer)
    wanted = real_of(expected["y"]).astype(np.float64)
    np.testing.assert_array_equal(got.outputs.reshape(wanted.shape), wanted)
    return integers


def random_network(seed: int, style: Style, *, dyadic: bool, kinds: tuple[str, str], zeros: bool = False) -> Random:
    made = Random(seed, style, dyadic, *kinds, zeros=zeros)
    made.finish()
    return made


compared: dict[str, list[int]] = {"operators": [], "qdq": []}
"""For every random network, how many integers its kernels rounded."""


def check_kernels(made: Random, style: Style, path: Path) -> None:
    """onnxruntime equals its own float32 formula, operator by operator, from the integers that it had itself."""
    integers = check_against_fractions(made, path)
    found, graph = kernels(
        made.graph.model(),
        dict(made.graph.integers.values()),
        made.images,
        path,
        "fused",
        exact_pairs=made.acts == "uint8",
    )
    np.testing.assert_array_equal(found["x_integers"], integers["x_integers"])
    formula = {name: value for name, value in rounded(graph, found).items() if name in found}
    for name, value in formula.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    compared[style].append(sum(value.size for value in formula.values()))


@FEW
@given(SEEDS, st.booleans(), KERNELS)
def test_integer_operators(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dyadic: bool, kinds: tuple[str, str]
) -> None:
    made = random_network(seed, "operators", dyadic=dyadic, kinds=kinds)
    check_kernels(made, "operators", tmp_path_factory.mktemp("operators"))


@FEW
@given(SEEDS, st.booleans(), KERNELS)
def test_fused_quantizers(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dyadic: bool, kinds: tuple[str, str]
) -> None:
    made = random_network(seed, "qdq", dyadic=dyadic, kinds=kinds)
    check_kernels(made, "qdq", tmp_path_factory.mktemp("fused"))


def test_kernels_rounded_most_of_what_was_compared() -> None:
    assert sum(compared["operators"]) > 300 * len(compared["operators"])
    assert sum(compared["qdq"]) > 50 * len(compared["qdq"])


@FEW
@given(
    SEEDS,
    st.sampled_from(["uint8", "int8", "uint4", "int4"]),
    st.sampled_from(["uint8", "int8", "uint4", "int4"]),
    st.booleans(),
)
def test_powers_of_two_leave_float32_no_choice(
    tmp_path_factory: pytest.TempPathFactory, seed: int, acts: str, weights: str, zeros: bool
) -> None:
    # Every scale a power of two: float32 is exact, ties are many, and onnxruntime, as the file is written, must agree everywhere.
    path, zeros = tmp_path_factory.mktemp("dyadic"), zeros and weights.endswith("4")
    made = random_network(seed, "qdq", dyadic=True, kinds=(acts, weights), zeros=zeros)
    integers = check_against_fractions(made, path)
    reals = {str(node.input[0]): node for node in made.graph.nodes if node.op_type == "DequantizeLinear"}
    seen = {name: reals[name] for name in integers}
    outputs = {str(node.output[0]): "float" for node in seen.values()}
    found, _ = kernels(made.graph.model(), outputs, made.images, path, "as written", exact_pairs=False)
    expected = exact(made.graph.model(), made.images)
    for node in seen.values():
        name = str(node.output[0])
        np.testing.assert_array_equal(found[name], real_of(expected[name]).astype(np.float64), err_msg=name)


def test_beside_a_tie_fractions_decide_and_onnxruntime_may_not(tmp_path: Path) -> None:
    # x_scale * w_scale is a little more than 1, but 1 in float32; divided by y_scale = 2, a sum of 1 is a little more than
    # a half, which goes up to 1, where float32 sees the half itself, which goes down to 0.
    candidates = np.linspace(1.1, 1.9, 500, dtype=np.float32)
    products = [Fraction(float(one)) * Fraction(float(1 / one)) for one in candidates]
    x_scale = next(
        one for one, product in zip(candidates, products, strict=True) if 1 < product < 1 + Fraction(1, 2**25)
    )
    graph = Graph((1,))
    graph.node("QuantizeLinear", ["x", *graph.linear("x", x_scale, 0, "int8")], "q")
    weights = [graph.constant("w", [[1]], "int8"), *graph.linear("w", 1 / x_scale, 0, "int8")]
    source, target = ["q", *graph.linear("xs", x_scale, 0, "int8")], graph.linear("y", 2.0, 0, "int8")
    graph.node("QLinearMatMul", [*source, *weights, *target], "fc")
    graph.node("DequantizeLinear", ["fc", *target], "y")
    model, image = graph.model(), np.array([[x_scale]])
    found, optimized = kernels(model, {"q": "int8", "fc": "int8"}, image, tmp_path, "fused", exact_pairs=False)
    assert (found["q"].item(), found["fc"].item(), rounded(optimized, found)["fc"].item()) == (1, 0, 0)
    assert (exact(model, image)["fc"].item(), ours(model, image, tmp_path).outputs.item()) == (1, 2.0)
