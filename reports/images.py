"""Figures as PNG, SVG or PDF files, drawn by kaleido when it is installed."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import plotly.graph_objects as go

from reports.figures.style import NoPicture, Picture
from reports.wording import escape

FORMATS = ("png", "svg", "pdf")


def write_images(
    drawn: Mapping[str, Picture | NoPicture], folder: Path, *, suffix: str = "png", width: int = 1100
) -> list[Path]:
    """Write each picture as `<folder>/<name>.<suffix>`, takeaway on top, and return the paths. `width` is in pixels."""
    if suffix not in FORMATS:
        raise ValueError(f"image format must be one of {', '.join(FORMATS)}, not {suffix!r}")
    if find_spec("kaleido") is None:
        raise ValueError("images need the package kaleido, which is not installed: pip install 'dse[images]'")
    pictures = [picture for picture in drawn.values() if isinstance(picture, Picture)]
    return [_write_image(picture, folder / f"{picture.name}.{suffix}", width) for picture in pictures]


def _write_image(picture: Picture, path: Path, width: int) -> Path:
    titled(picture).write_image(path, width=width, height=int(picture.figure.layout.height) + 50, scale=2)
    return path


def titled(picture: Picture) -> go.Figure:
    """A copy of the figure that carries its takeaway itself, as a figure without a page must."""
    figure = go.Figure(picture.figure)
    top = int(figure.layout.margin.t) + 50
    figure.update_layout(
        title={"text": escape(picture.takeaway), "x": 0.01, "y": 0.98, "yanchor": "top"}, margin={"t": top}
    )
    return figure
