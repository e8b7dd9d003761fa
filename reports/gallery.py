"""Which figures a report gets, and what stands in the place of one that its tables cannot feed."""

from collections.abc import Callable

import pandas as pd

from reports.columns import CYCLE_PARTS, ENERGY_PARTS, known, values_of
from reports.figures import area, crossover, hypervolume, layers, pareto, precision, roofline
from reports.figures.style import NoPicture, Picture, precision_colours
from reports.report import Report, listed_designs

Painter = Callable[[Report, dict[str, str]], Picture | NoPicture | None]
"""None: the figure belongs to other results."""


def colours_of(report: Report) -> dict[str, str]:
    """One colour per precision for the whole page."""
    tables = [table for table in (report.decision, report.front, report.points) if len(table)]
    return precision_colours(pd.concat([table["precision"] for table in tables]).astype(str)) if tables else {}


def pictures(report: Report) -> dict[str, Picture | NoPicture]:
    """All figures of a report by name, in the order of the page."""
    colours = colours_of(report)
    drawn = [paint(report, colours) for paint in PAINTERS]
    return {picture.name: picture for picture in drawn if picture is not None}


def _pareto(report: Report, colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "pareto", "The designs worth a look"
    if report.front.empty:
        return NoPicture(name, heading, "No feasible design was found, so there is no front to draw.")
    linked = [int(row) for row in listed_designs(report)["row"]]
    points = pareto.pareto_points(report.points, report.front, report.decision, report.objectives, linked)
    figure = pareto.pareto_figure(points, colours)
    return Picture(name, heading, pareto.pareto_takeaway(points), pareto.pareto_reading(points), figure)


def _accuracy(report: Report, colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "accuracy", "What accuracy costs"
    if not values_of(report.decision, "accuracy").notna().any():
        return NoPicture(name, heading, "No accuracy is known for this network, so it cannot be set against cost.")
    points = precision.precision_points(report.decision)
    figure = precision.accuracy_figure(points, colours)
    return Picture(name, heading, precision.accuracy_takeaway(points), precision.accuracy_reading(points), figure)


def _cost(report: Report, colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "cost", "Is the decomposition worth it?"
    if not known(report.decision, precision.COSTS):
        return NoPicture(name, heading, "The decision carries no energy, latency or area.")
    points = precision.precision_points(report.decision)
    figure = precision.cost_figure(points, colours)
    return Picture(name, heading, precision.cost_takeaway(points), precision.cost_reading(points), figure)


def _layers(report: Report, _colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "layers", "Where time and energy go, layer by layer"
    if not known(report.layers, (*CYCLE_PARTS, *ENERGY_PARTS)):
        return NoPicture(name, heading, "The chosen design was not broken down by layer.")
    points = layers.layer_points(report.layers)
    return Picture(
        name, heading, layers.layers_takeaway(points), layers.layers_reading(points), layers.layers_figure(points)
    )


def _roofline(report: Report, _colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "roofline", "Compute or memory?"
    if not (values_of(report.layers, "gops") > 0).any() or not (values_of(report.layers, "ops_per_byte") > 0).any():
        return NoPicture(name, heading, "The layers carry no operation rates, so no roofline can be drawn.")
    points = roofline.roofline_points(report.layers, report.peaks)
    figure = roofline.roofline_figure(points)
    return Picture(name, heading, roofline.roofline_takeaway(points), roofline.roofline_reading(points), figure)


def _area(report: Report, _colours: dict[str, str]) -> Picture | NoPicture:
    name, heading = "area", "What the chip is made of"
    if report.decision.empty:
        return NoPicture(name, heading, "No design was chosen, so there is nothing to break down.")
    points = area.area_points(report.decision)
    if not points.area and not points.energy:
        return NoPicture(name, heading, "The decision carries no area or energy by component.")
    return Picture(name, heading, area.area_takeaway(points), area.area_reading(), area.area_figure(points))


def _growth(report: Report, _colours: dict[str, str]) -> Picture | None:
    if report.growth.empty:
        return None
    takeaway, figure = hypervolume.growth_takeaway(report.growth), hypervolume.growth_figure(report.growth)
    return Picture("growth", "How the search went", takeaway, hypervolume.growth_reading(), figure)


def _crossover(report: Report, _colours: dict[str, str]) -> Picture | None:
    return None if report.crossover.empty else crossover.crossover_picture(report.crossover)


PAINTERS: tuple[Painter, ...] = (_pareto, _growth, _accuracy, _cost, _crossover, _layers, _roofline, _area)
