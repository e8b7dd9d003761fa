"""What `dse run` says about how it computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dse.execute import execute, ways_text
from workloads import compiled
from workloads.compiled import Meter

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.mark.parametrize(("limit", "name", "way"), [
    (2**62, "digits_m2k2.onnx", "branches"),
    (2**62, "digits_m4k4.onnx", "products"),
    (-1, "digits_m4k4.onnx", "products, machine code"),
])  # fmt: skip
def test_the_summary_says_by_which_way_each_layer_was_computed(
    limit: int, name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit < 0:
        pytest.importorskip("numba")
    monkeypatch.setattr(compiled, "METER", Meter(limit))
    np.save(tmp_path / "few.npy", np.load(DIGITS / "images.npy")[:2])
    summary = execute(DIGITS / name, tmp_path / "few.npy").summary
    assert set(summary["ways"]) <= {row["layer"] for row in summary["actions"]}
    assert way in summary["ways"].values()


def test_ways_are_counted() -> None:
    ways = {"one": "branches", "two": "products, machine code", "three": "branches"}
    assert ways_text(ways) == "2 layers by branches; 1 layer by products, machine code"
