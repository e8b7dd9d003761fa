"""docs/graphs.md: its table names the operators of branches, maps, sequences and the host, and every refusal is as shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_docs import names, rows, same
from tests.workloads.qonnx_builder import Builder, paper, unsigned
from workloads.onnx_host import HOSTED
from workloads.onnx_import import load_onnx
from workloads.onnx_maps import MAPS
from workloads.onnx_pads import PADS
from workloads.onnx_sequences import SEQUENCES
from workloads.onnx_transposed import TRANSPOSED

REFUSALS = rows("graphs.md", "<!-- checked: refusals -->")


def test_nodes() -> None:
    assert set(names(rows("graphs.md", ""))) == {*MAPS, *PADS, *SEQUENCES, *TRANSPOSED, *HOSTED}


def reading(op: str, name: str, *constants: Any, empty: int = 0, quantized: bool = True, **attributes: Any) -> Builder:
    """x (1, 4, 4, 4) -> Quant -> Conv 1x1 (-> Quant) -> the node -> Quant -> Conv."""
    builder = Builder((1, 4, 4, 4))
    ones = builder.weights("w", np.ones((4, 4, 1, 1)), paper(1))
    x = builder.node("Conv", [builder.quant("x", "q", unsigned(4, 0.1)), ones], "conv")
    if quantized:
        x = builder.quant(x, "act", unsigned(4, 0.1))
    given = [builder.constant(f"c{place}", value, np.asarray(value).dtype) for place, value in enumerate(constants)]
    inputs = [x, *[""] * empty, *given]
    x = builder.node(op, [x, x] if op == "Concat" else inputs, name, **attributes)
    x = builder.quant(x, "after", unsigned(4, 0.1))
    builder.node("Conv", [x, ones], "last", output="y")
    return builder


def transposed(kernel: int, strides: list[int]) -> Builder:
    builder = Builder((1, 4, 4, 4))
    weights = builder.weights("w", np.ones((4, 2, kernel, kernel)), paper(1))
    builder.node("ConvTranspose", [builder.quant("x", "q", paper(2)), weights], "up", output="y", strides=strides)
    return builder


def resized(factor: float, **attributes: Any) -> Builder:
    return reading("Resize", "grown", np.float32([1, 1, factor, 1]), empty=1, **attributes)


REFUSED: dict[str, Callable[[], Builder]] = {
    "a Concat of rows": lambda: reading("Concat", "joined", axis=2),
    "an enlargement by 1.5": lambda: resized(1.5, mode="linear"),
    "cubic interpolation": lambda: resized(2, mode="cubic"),
    "nearest neighbours of another rule": lambda: resized(
        2, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil"
    ),
    "unequal strides of a ConvTranspose": lambda: transposed(3, [2, 1]),
    "a ConvTranspose that skips outputs": lambda: transposed(3, [4, 4]),
    "a Slice with steps": lambda: reading("Slice", "cut", np.int64([0]), np.int64([4]), np.int64([2]), np.int64([2])),
    "a Pad of ones": lambda: reading("Pad", "pad", np.int64([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(1)),
    "an average pool whose pads do not count": lambda: reading(
        "AveragePool", "mean", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    ),
    "sums that the host would read": lambda: reading("Softmax", "soft", quantized=False, axis=1),
    "a Reshape across channels and rows": lambda: reading("Reshape", "shape", np.int64([1, 8, 6])),
}


def test_refusals_are_all_shown() -> None:
    assert [row[0] for row in REFUSALS] == list(REFUSED)


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row[0])
def test_refusal_message(row: list[str], tmp_path: Path) -> None:
    path = REFUSED[row[0]]().save(tmp_path / "refused.onnx")
    with pytest.raises(ValueError, match=r"\w") as refusal:
        load_onnx(path)
    assert same(row[1].strip("`"), str(refusal.value)), refusal.value
