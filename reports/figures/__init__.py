"""Each figure in two steps: `..._points(table)` gives the numbers, `..._figure(points)` draws them."""

from reports.figures.area import AreaPoints, area_figure, area_points
from reports.figures.layers import LayerPoints, layer_points, layers_figure
from reports.figures.pareto import ParetoPoints, pareto_figure, pareto_points
from reports.figures.precision import accuracy_figure, cost_figure, precision_points
from reports.figures.roofline import RooflinePoints, roofline_figure, roofline_points
from reports.figures.style import NoPicture, Picture, precision_colours

__all__ = [
    "AreaPoints",
    "LayerPoints",
    "NoPicture",
    "ParetoPoints",
    "Picture",
    "RooflinePoints",
    "accuracy_figure",
    "area_figure",
    "area_points",
    "cost_figure",
    "layer_points",
    "layers_figure",
    "pareto_figure",
    "pareto_points",
    "precision_colours",
    "precision_points",
    "roofline_figure",
    "roofline_points",
]
