"""Numbers, names and designs in words."""

import numpy as np
import pandas as pd
import pytest

from reports.columns import COLUMNS
from reports.wording import cell, design_words, escape, factor, number, quantity, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (64.0, "64"),
        (1234567.0, "1,234,567"),
        (15686.6, "15,687"),
        (153.26, "153"),
        (12.345, "12.3"),
        (9.6, "9.60"),
        (0.0518, "0.0518"),
        (0.00001234, "1.23e-05"),
        (-12.345, "-12.3"),
        (float("nan"), "\u2013"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_have_separators_and_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.9531, "95.3"),
        ("row", np.int64(12345), "12345"),
        ("macs", np.int64(12501632), "12,501,632"),
        ("winner", np.True_, "yes"),
        ("port_shared", False, "no"),
        ("dataflow", None, "\u2013"),
        ("dsp", float("nan"), "\u2013"),
        ("value", 0.021, "0.021"),
        ("layer", "a\nb\x1b[31m", "a b\\u001b[31m"),
    ],
)
def test_a_cell_follows_its_column(name: str, value: object, text: str) -> None:
    assert cell(value, COLUMNS[name]) == text


def test_a_quantity_carries_its_unit() -> None:
    assert quantity(0.971, COLUMNS["accuracy"]) == "97.1 %"
    assert quantity(1204.0, COLUMNS["energy_nj"]) == "1,204 nJ"
    assert quantity(float("nan"), COLUMNS["energy_nj"]) == "\u2013"


@pytest.mark.parametrize(("ratio", "text"), [(1.26, "1.3x"), (9.71, "9.7x"), (12.4, "12x"), (3400.4, "3,400x")])
def test_factors(ratio: float, text: str) -> None:
    assert factor(ratio) == text


def test_an_array_in_words() -> None:
    row = pd.Series(
        {"machine": "array", "rows": 16, "cols": 8, "width": 64, "lanes_a": 1, "lanes_w": 2, "clock_mhz": 500}
    )
    assert design_words(row) == "16x8 PEs x 64 bit, 1x2 lanes, 500 MHz"


def test_a_multiplier_array_has_no_lanes_and_missing_knobs_are_left_out() -> None:
    assert design_words(
        pd.Series({"machine": "mac", "rows": 4, "cols": 4, "width": 8, "lanes_a": 2, "lanes_w": 2})
    ) == ("4x4 integer PEs x 8 bit")
    assert design_words(pd.Series({"rows": float("nan"), "cols": 4, "width": 8})) == ""


def test_a_long_name_keeps_both_ends() -> None:
    assert shorten("model/stage1/block2/conv", 11) == "model…/conv"
    assert shorten("conv1", 11) == "conv1"


def test_markup_and_control_characters_cannot_act() -> None:
    assert escape("<b>\u202e'&") == "&lt;b&gt;\\u202e&#x27;&amp;"
