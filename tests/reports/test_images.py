"""Figures as files: the errors here, the drawing wherever kaleido is installed."""

from pathlib import Path

import pytest

from reports import Report, pictures, write_images
from reports.figures.style import Picture
from reports.images import titled


def test_without_kaleido_the_install_line_is_named(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.images.find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"pip install 'dse\[images\]'"):
        write_images(pictures(report), tmp_path)


def test_an_unknown_format_lists_the_known_ones(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="png, svg, pdf, not 'bmp'"):
        write_images(pictures(report), tmp_path, suffix="bmp")


def test_a_figure_without_a_page_carries_its_takeaway(report: Report) -> None:
    picture = pictures(report)["area"]
    assert isinstance(picture, Picture)
    assert titled(picture).layout.title.text == picture.takeaway
    assert picture.figure.layout.title.text is None
