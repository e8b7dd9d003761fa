"""Design: what a machine may be, and the sentence for each knob that is wrong."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from hwmodels.design import Design, illegal


def test_accumulator_holds_the_longest_reduction_that_fits() -> None:
    # N <= 64 * 1024 / 2 = 2^15, so 8 + 8 + 15 + 1 = 32 bits; with 2 x 3 bits 2 + 3 + 15 + 1 = 21.
    assert Design(width=64, weight_depth=1024).acc_bits == 32
    assert Design(width=64, weight_depth=1024, max_act_bits=2, max_weight_bits=3).acc_bits == 21
    # 24 * 4 / 2 = 48 needs 6 bits: 1 + 1 + 6 + 1 = 9, and 48 * 1 * 1 fits into +-255.
    assert Design(rows=8, width=24, port_bits=24, weight_depth=4, max_act_bits=1, max_weight_bits=1).acc_bits == 9


def test_accumulator_never_exceeds_a_raw_word() -> None:
    assert Design(weight_depth=2**20).acc_bits == 32


def test_the_mac_twin_carries_all_planes_of_a_word() -> None:
    array = Design(lanes_a=2, lanes_w=3, max_act_bits=4, max_weight_bits=5)
    assert (array.act_lanes, array.weight_lanes) == (2, 3)
    twin = replace(array, kind="mac")
    assert (twin.act_lanes, twin.weight_lanes) == (4, 5)


def test_name_says_the_machine() -> None:
    assert Design(rows=4, cols=2, width=32, lanes_a=2).name == "array 4x2 PEs x 32, 2x1 lanes, 200 MHz, asic45"
    assert Design(kind="mac", clock_mhz=1.5).name == "mac 16x8 PEs x 64, 1.5 MHz, asic45"


def test_a_design_is_frozen_and_hashable() -> None:
    design = Design()
    assert {design: 1}[replace(design)] == 1
    with pytest.raises(FrozenInstanceError):
        design.rows = 2  # type: ignore[misc]


ERRORS: list[tuple[dict[str, Any], str]] = [
    *(({name: 0}, f"design: {name} must be an integer >= 1, not 0") for name in (
        "rows", "cols", "width", "lanes_a", "lanes_w", "port_bits", "port_burst",
    )),
    ({"rows": 1.5}, "design: rows must be an integer >= 1, not 1.5"),
    ({"cols": True}, "design: cols must be an integer >= 1, not True"),
    *(({name: 9}, f"design: {name} must be between 1 and 8, not 9") for name in ("max_act_bits", "max_weight_bits")),
    *(({name: 1}, rf"design: {name} must be an integer >= 2 \(two halves\), not 1") for name in (
        "weight_depth", "act_depth", "out_depth", "threshold_depth",
    )),
    ({"act_depth": 2.0}, r"design: act_depth must be an integer >= 2 \(two halves\), not 2.0"),
    *(({name: value}, f"design: {name} must be 1 or 2, not {value}")
      for name in ("count_stages", "sum_stages", "acc_stages") for value in (0, 3, True, 1.0)),
    ({"kind": "gpu"}, "design: kind must be one of array, mac, not 'gpu'"),
    ({"dataflow": "row"}, "design: dataflow must be one of weight, activation, best, not 'row'"),
    ({"memory": "hbm"}, "design: memory must be one of dram, sram, ddr3, lpddr, lpddr4, gddr5, hbm2, not 'hbm'"),
    *(({name: value}, f"design: {name} must be an integer >= 0, not {value}") for name, value in (
        ("port_latency", -1), ("port_latency", 2.5), ("memory_kib", -2), ("memory_kib", True),
    )),
    ({"clock_mhz": 0}, "design: clock_mhz must be between 0 and 100000, not 0"),
    ({"clock_mhz": float("nan")}, "design: clock_mhz must be between 0 and 100000, not nan"),
    ({"rows": 24}, "design: rows must divide width or be a multiple of it, not 24 with width 64"),
    ({"port_bits": 96}, "design: port_bits must divide width or be a multiple of it, not 96 with width 64"),
    ({"lanes_a": 3, "max_act_bits": 2}, "design: lanes_a must be at most max_act_bits 2, not 3"),
    ({"lanes_w": 3, "max_weight_bits": 2}, "design: lanes_w must be at most max_weight_bits 2, not 3"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), ERRORS)
def test_a_wrong_knob_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Design(**changes)


def test_lanes_do_not_matter_to_the_mac_twin() -> None:
    assert illegal(Design(kind="mac", lanes_a=8, max_act_bits=1)) is None


@pytest.mark.parametrize(("rows", "width"), [(1, 64), (16, 64), (64, 64), (128, 64), (3, 9)])
def test_rows_and_ports_that_divide_or_are_divided_are_legal(rows: int, width: int) -> None:
    assert illegal(Design(rows=rows, width=width, port_bits=width)) is None
    assert illegal(Design(rows=width, width=width, port_bits=rows)) is None
