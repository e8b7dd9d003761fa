"""The figure of a front over bits: its numbers, its words, and the page."""

from pathlib import Path

import pandas as pd

from reports.bits_page import write_bits_page
from reports.figures.bits import bits_figure, bits_points, bits_reading, bits_takeaway

LAYERS = ("conv", "fc")
FRONT = pd.DataFrame(
    {
        "point": [0, 1, 2, 3],
        "energy_nj": [10.0, 12.0, 20.0, 40.0],
        "loss": [1.0, 0.5, 0.1, 0.0],
        "output_noise": [0.9, None, 0.2, None],
        "accuracy": [0.5, None, 0.9, None],
        "conv": ["8x1", "8x2", "8x4", "8x8"],
        "fc": ["1x1", "2x1", "3x4", "8x7"],
    }
)


def test_the_numbers_of_the_figure() -> None:
    points = bits_points(FRONT, [2, 0], "energy_nj", LAYERS)
    assert points.front["point"].tolist() == [0, 1, 2, 3]
    assert points.shown["point"].tolist() == [0, 2]
    assert points.shown["output_noise"].tolist() == [0.9, 0.2]
    assert points.acts.loc["fc"].tolist() == [1, 3]
    assert points.weights.loc["conv"].tolist() == [1, 4]
    assert list(points.weights.columns) == [0, 2]
    assert bits_takeaway(points) == "Energy per inference runs from 10 nJ to 40 nJ over the front."


def test_what_was_measured_has_marks_of_its_own() -> None:
    measured = bits_figure(bits_points(FRONT, [0, 2], "energy_nj", LAYERS))
    assert [trace.name for trace in measured.data] == ["front", "picked", "measured", None, None]
    assert list(measured.data[2].y) == [0.9, 0.2]
    unknown = bits_points(FRONT.drop(columns=["output_noise", "accuracy"]), [0, 2], "energy_nj", LAYERS)
    assert [trace.name for trace in bits_figure(unknown).data] == ["front", "picked", None, None]
    assert "Squares" not in bits_reading(unknown)


def test_the_page_is_one_file_and_names_are_safe(tmp_path: Path) -> None:
    write_bits_page(FRONT, [0, 2], "energy_nj", list(LAYERS), "Bits <b>x</b>", tmp_path / "front.html")
    text = (tmp_path / "front.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;x" in text or "\\u0026lt;b" in text
    assert "<script src" not in text
