"""Against published machines: what is claimed holds, what is not is said, and the figures follow from the formulas by hand."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from dse.cli import app
from dse.published import CNV_FOLDING, Comparison, comparisons, published_table
from hwmodels.technology import energy_factor

FOUND = {one.what: one for one in comparisons()}


def test_what_is_claimed_holds_and_the_rest_says_why() -> None:
    assert len(FOUND) >= 13
    for one in FOUND.values():
        assert one.holds, one
        assert one.source
        assert one.why
        assert (one.verdict == "agrees") == (one.allowed is not None), one


def test_cycles_of_cnv_are_finns_folding() -> None:
    """MH / PE x MW / SIMD x positions, from the shapes that FINN publishes: 27 x 64 of layer 0 left out."""
    shapes = {
        "conv1b": (576, 64, 784), "conv2a": (576, 128, 144), "conv2b": (1152, 128, 100), "conv3a": (1152, 256, 9),
        "conv3b": (2304, 256, 1), "fc1": (256, 512, 1), "fc2": (512, 512, 1), "fc3": (512, 64, 1),
    }  # fmt: skip
    for name, (width, height, positions) in shapes.items():
        simd, pe, cycles = CNV_FOLDING[name]
        assert (height // pe) * (width // simd) * positions == cycles, name
    assert FOUND["CNV W1A1, compute cycles of layers 1 to 8"].got == 190_656


def test_bismo_by_hand() -> None:
    assert FOUND["BISMO v1 peak, 8x256x8 at 200 MHz"].got == pytest.approx(2 * 8 * 8 * 256 * 200e6 / 1e12)
    assert FOUND["BISMO v2 array, 8x64x8"].expected == pytest.approx(64 * (1.17 * 64 + 44.1 + 120.1))


def test_the_pes_of_a_chip_by_hand() -> None:
    """Per word of 64 bits: 64 xnor, 63 adder bits, an accumulation of 20 adder and register bits, operands shared by 13 and 32."""
    scale = energy_factor("65", 0.8) / energy_factor("45", 0.9)
    words, reads = 1, 1 / 13 + 1 / 32
    accumulator = 1 + 1 + 17 + 1
    energy = words * (64 * 0.018 / 32 + 63 * 0.03 / 8 + accumulator * (0.03 / 8 + 0.009)) + reads * 64 * 0.009
    # 13 columns take the map without an idle one.
    assert FOUND["XNORBIN, PEs alone"].got == pytest.approx(2 * 64 / (energy * scale), rel=0.01)


def test_verdicts() -> None:
    base = {"what": "x", "unit": "LUT", "expected": 100.0, "source": "s", "why": "w"}
    assert Comparison(**base, got=101.0, allowed=0.02).verdict == "agrees"  # type: ignore[arg-type]
    broken = Comparison(**base, got=110.0, allowed=0.02)  # type: ignore[arg-type]
    assert (broken.verdict, broken.holds) == ("off: 1.10x", False)
    assert Comparison(**base, got=50.0, low=40.0, high=100.0).verdict == "in range"  # type: ignore[arg-type]
    assert Comparison(**base, got=50.0, low=40.0, high=99.0).verdict == "off: 0.50x"  # type: ignore[arg-type]


def test_the_command_prints_both_and_fails_where_a_claim_does(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads(CliRunner().invoke(app, ["validate", "--published", "--json"]).output)
    assert list(said) == ["published"]
    assert [row["what"] for row in said["published"]] == list(FOUND)
    monkeypatch.setattr("dse.published.published_table", lambda: published_table().assign(holds=False))
    assert CliRunner().invoke(app, ["validate", "--published"]).exit_code == 1
