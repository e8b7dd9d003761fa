"""The numbers of each figure exactly, on small tables made by hand; the pictures for traces and axes."""

import math
from collections.abc import Callable

import pandas as pd
import pytest

from reports import Report
from reports.columns import COLUMNS
from reports.figures import area, layers, pareto, precision, roofline, style
from reports.gallery import colours_of, pictures

NAN = float("nan")
DESIGNS = pd.DataFrame(
    {
        "row": [1, 2, 3, 4],
        "precision": ["2x2", "1x1", "2x2", "8x8"],
        "machine": ["array", "array", "mac", "array"],
        "rows": [4, 8, 4, 2],
        "cols": [4, 8, 4, 2],
        "width": [64, 32, 8, 64],
        "lanes_a": [1, 1, 1, 1],
        "lanes_w": [1, 1, 1, 1],
        "clock_mhz": [500, 500, 500, 500],
        "energy_nj": [20.0, 10.0, 30.0, 90.0],
        "latency_us": [2.0, 6.0, 1.0, 9.0],
        "accuracy": [0.95, 0.90, 0.95, 0.99],
    }
)
FRONT = DESIGNS.iloc[:3]
DECISION = DESIGNS.iloc[[3, 0, 1]].assign(
    winner=[False, True, False],
    mac_energy_nj=[45.0, 30.0, NAN],
    area_pe_mm2=[0.3, 0.1, 0.05],
    area_buffer_mm2=[0.1, 0.3, 0.05],
    energy_pe_nj=[60.0, 15.0, 6.0],
    energy_memory_nj=[30.0, 5.0, 4.0],
)
LAYERS = pd.DataFrame(
    {
        "layer": ["conv1", "fc", "pool"],
        "latency_us": [6.0, 3.0, 1.0],
        "compute_cycles": [40, 10, 0],
        "load_cycles": [10, 30, 10],
        "stall_cycles": [0, 0, 0],
        "energy_pe_nj": [4.0, 1.0, 0.0],
        "ops_per_byte": [200.0, 10.0, 0.0],
        "gops": [100.0, 30.0, 0.0],
        "bound": ["compute", "load", "load"],
    }
)
PEAKS = {"peak_gops": 400.0, "memory_gbyte_s": 4.0}  # ridge at 400 / 4 = 100 operations per byte


def points_of(objectives: tuple[str, ...]) -> pareto.ParetoPoints:
    return pareto.pareto_points(DESIGNS, FRONT, DECISION, objectives, linked=[1, 2, 3])


def test_pareto_points_hold_each_design_once_the_front_last() -> None:
    points = points_of(("energy_nj", "accuracy"))
    assert points.table["row"].tolist() == [4, 1, 2, 3]
    assert points.table["on_front"].tolist() == [False, True, True, True]
    assert points.table["linked"].tolist() == [False, True, True, True]
    assert points.table["accuracy"].tolist() == [99.0, 95.0, 90.0, 95.0]
    assert points.table["words"][1] == "4x4 PEs x 64 bit, 1x1 lanes, 500 MHz"
    assert points.winner_row == 1


def test_pareto_takeaway_states_the_spans() -> None:
    # energy 10..30 is a factor of 3, accuracy of the front 90..95 %
    assert pareto.pareto_takeaway(points_of(("energy_nj", "accuracy"))) == (
        "3 designs are unbeaten; between them energy per inference spans 3x and accuracy runs from 90.0 to 95.0 %."
    )


def test_pareto_takeaway_of_one_objective_names_the_design() -> None:
    points = pareto.pareto_points(DESIGNS, DESIGNS.iloc[[1]], DECISION, ("energy_nj",), linked=[])
    assert pareto.pareto_takeaway(points) == (
        "The best energy per inference is 10 nJ, at 1x1 with 8x8 PEs x 32 bit, 1x1 lanes, 500 MHz."
    )


def test_pareto_figure_has_a_panel_per_pair_with_the_first_objective() -> None:
    figure = pareto.pareto_figure(points_of(("energy_nj", "latency_us", "accuracy")), {})
    assert figure.layout.xaxis.title.text == "Energy per inference (nJ)<br>less is better"
    assert figure.layout.yaxis.title.text == "Latency (µs), less is better"
    assert figure.layout.yaxis2.title.text == "Accuracy (%), more is better"


def test_pareto_figure_of_one_objective_stands_by_precision() -> None:
    figure = pareto.pareto_figure(points_of(("energy_nj",)), {})
    assert list(figure.layout.yaxis.ticktext) == ["1x1", "2x2", "8x8"]


def test_pareto_figure_marks_machines_by_shape_and_links_rows() -> None:
    figure = pareto.pareto_figure(points_of(("energy_nj", "latency_us")), {"2x2": "#123456"})
    trace = next(one for one in figure.data if one.name == "2x2" and len(one.x) == 2)
    assert list(trace.marker.symbol) == ["circle", "square"]
    assert trace.marker.color == "#123456"
    assert list(trace.customdata) == [1, 3]
    assert trace.hovertext[0].startswith("<b>2x2, xnor-popcount array</b><br>4x4 PEs x 64 bit")


def test_pareto_points_are_bounded() -> None:
    many = pd.concat([DESIGNS] * 2000, ignore_index=True).assign(row=range(8000))
    points = pareto.pareto_points(many, many.iloc[:100], DECISION.iloc[:0], ("energy_nj",), linked=[])
    assert len(points.table) == pareto.MOST_POINTS
    assert int(points.table["on_front"].sum()) == 100


def test_precision_points_are_in_order_and_in_per_cent() -> None:
    points = precision.precision_points(DECISION)
    assert points["precision"].tolist() == ["1x1", "2x2", "8x8"]
    assert points["accuracy"].tolist() == [90.0, 95.0, 99.0]
    assert points["winner"].tolist() == [False, True, False]
    assert points["mac_energy_nj"].tolist()[1:] == [30.0, 45.0]


def test_precision_takeaways_compare_with_the_best_and_with_multipliers() -> None:
    points = precision.precision_points(DECISION)
    # 99 - 95 points; 90 / 20 = 4.5; the twins: 30 / 20 = 1.5 wins at 2x2, 45 / 90 loses at 8x8, 1x1 has none
    assert precision.accuracy_takeaway(points) == "2x2 reaches 95.0 %, 4.0 points below 8x8, for 4.5x less energy."
    assert precision.cost_takeaway(points) == (
        "xnor-popcount needs less energy than integer multipliers at 1 of 2 precisions, up to 1.5x less (at 2x2)."
    )


def test_cost_takeaway_without_multipliers_compares_precisions() -> None:
    points = precision.precision_points(DECISION.drop(columns="mac_energy_nj"))
    assert precision.cost_takeaway(points) == "1x1 needs the least energy per inference, 9x less than 8x8."


def test_accuracy_figure_says_what_it_leaves_out() -> None:
    points = precision.precision_points(DECISION.assign(accuracy=[0.99, 0.95, NAN]))
    assert "Not shown for want of a known accuracy: 1 precision." in precision.accuracy_reading(points)
    figure = precision.accuracy_figure(points, {})
    assert figure.layout.yaxis.title.text == "Accuracy (%), more is better"
    assert [len(trace.x) for trace in figure.data if trace.name == "xnor-popcount array" and trace.hovertext] == [2, 2]


def test_cost_figure_names_the_chosen_row_and_has_twins() -> None:
    figure = precision.cost_figure(precision.precision_points(DECISION), {})
    assert list(figure.layout.yaxis.ticktext) == ["1x1", "2x2, chosen", "8x8"]
    assert {"xnor-popcount array", "integer multipliers", "joins"} <= {trace.name for trace in figure.data}


def test_layer_points_drop_parts_that_never_occur() -> None:
    points = layers.layer_points(LAYERS)
    assert [part.name for part in points.cycles] == ["compute_cycles", "load_cycles"]
    assert points.table["load_cycles"].tolist() == [10.0, 30.0, 10.0]
    # conv1 has 50 of 100 cycles, and 50 of 100 cycles compute
    assert layers.layers_takeaway(points) == (
        "Layer conv1 takes 50 % of the time; over all layers the array computes in 50 % of the cycles."
    )


def test_many_layers_are_summed_into_the_last_bar() -> None:
    many = pd.DataFrame({"layer": [f"l{i}" for i in range(40)], "compute_cycles": range(1, 41)})
    points = layers.layer_points(many)
    # 35 stay, the 5 least (1 + 2 + 3 + 4 + 5 = 15 cycles) are one
    assert (len(points.table), points.merged) == (36, 5)
    assert points.table.iloc[-1].tolist() == ["5 smaller layers", 15.0]
    assert layers.layers_takeaway(points).startswith("Layer l39 takes 5 %")


def test_layers_that_share_a_name_or_look_like_numbers_keep_their_own_bars() -> None:
    figure = layers.layers_figure(layers.layer_points(LAYERS.assign(layer=["2", "2", "<b>"])))
    assert list(figure.layout.yaxis.ticktext) == ["2", "2", "&lt;b&gt;"]
    assert list(figure.data[0].y) == [0, 1, 2]
    assert figure.layout.xaxis.title.text == "Cycles"


def test_roofline_points_leave_out_layers_without_work() -> None:
    points = roofline.roofline_points(LAYERS, PEAKS)
    assert points.layers["layer"].tolist() == ["conv1", "fc"]
    assert points.layers["time_share"].tolist() == [0.6, 0.3]
    # conv1: 100 of 400, under the flat part; fc: 30 of 10 * 4 = 40, under the slope
    assert points.layers["roof_share"].tolist() == [0.25, 0.75]
    assert points.roof.to_dict("list") == {"ops_per_byte": [5.0, 100.0, 400.0], "gops": [20.0, 400.0, 400.0]}


def test_roofline_takeaway_and_axes() -> None:
    points = roofline.roofline_points(LAYERS, PEAKS)
    assert roofline.roofline_takeaway(points) == (
        "Memory limits 1 of 2 layers; the slowest layer, conv1, reaches 25 % of what it could."
    )
    figure = roofline.roofline_figure(points)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert figure.layout.yaxis.title.text == "Binary operations per second (Gop/s)"
    assert [trace.name for trace in figure.data] == ["attainable", "limited by compute", "limited by load"]


def test_roofline_without_peaks_has_no_roof() -> None:
    points = roofline.roofline_points(LAYERS, {})
    assert points.roof.empty
    assert (
        roofline.roofline_takeaway(points) == "The slowest layer, conv1, does 100 billion binary operations per second."
    )


def test_area_points_and_takeaway() -> None:
    points = area.area_points(DECISION)
    assert points.table["label"].tolist() == ["1x1", "2x2, chosen", "8x8"]
    assert [part.name for part in points.area] == ["area_pe_mm2", "area_buffer_mm2"]
    assert points.table["area_buffer_mm2"].tolist() == [0.05, 0.3, 0.1]
    assert area.area_takeaway(points) == (
        "In the chosen 2x2 design buffers take 75 % of the area (0.400 mm²) and PEs take 75 % of the energy (20 nJ)."
    )


def test_area_figure_on_an_fpga_counts_logic() -> None:
    table = DECISION.drop(columns=["area_pe_mm2", "area_buffer_mm2"]).assign(
        lut_pe=[300, 100, 50], lut_control=[9, 9, 9]
    )
    figure = area.area_figure(area.area_points(table))
    assert figure.layout.xaxis.title.text == "Logic (LUT)"
    assert figure.layout.xaxis2.title.text == "Energy per inference (nJ)"


def test_precisions_sort_by_branches_and_colours_keep_the_order() -> None:
    assert style.in_order(["8x8", "mixed", "2x1", "1x2", "1x1", "10x1"]) == [
        "1x1",
        "1x2",
        "2x1",
        "10x1",
        "8x8",
        "mixed",
    ]
    colours = style.precision_colours(["8x8", "mixed", "1x1"])
    assert colours == {"1x1": "#2b1d5c", "8x8": "#d9a520", "mixed": style.OTHER_PRECISION}


def test_the_ramp_gets_lighter_all_the_way() -> None:
    channels = [[int(style.ramp_colour(i / 20)[j : j + 2], 16) for j in (1, 3, 5)] for i in range(21)]
    light = [0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2 for r, g, b in channels]
    assert light == sorted(light)


@pytest.mark.parametrize(
    ("values", "log"), [([1, 10], False), ([1, 11], True), ([0, 100], False), ([-1, 100], False), ([NAN], False)]
)
def test_axes_are_logarithmic_beyond_a_factor_of_10(values: list[float], log: bool) -> None:
    axis = style.quantity_axis(COLUMNS["energy_nj"], pd.Series(values, dtype="float64"))
    assert axis["type"] == ("log" if log else "linear")


def test_log_ticks_are_plain_numbers_and_few() -> None:
    axis = style.log_scale(pd.Series([0.5, 40.0]))
    assert axis["ticktext"] == ["0.1", "0.3", "1", "3", "10", "30", "100", "300"]


def test_hover_text_is_escaped() -> None:
    assert style.hover("<x>", [("", "a&b"), ("k", "<v>")]) == "<b>&lt;x&gt;</b><br>a&amp;b<br>k: &lt;v&gt;"


def test_a_full_report_gets_every_figure_and_one_colour_per_precision(report: Report) -> None:
    drawn = pictures(report)
    assert list(drawn) == ["pareto", "accuracy", "cost", "layers", "roofline", "area"]
    assert all(isinstance(picture, style.Picture) for picture in drawn.values())
    assert len(set(colours_of(report).values())) == 13


def test_what_cannot_be_drawn_says_why(report_with: Callable[..., Report]) -> None:
    absent = pictures(report_with(accuracy=False, objectives=("energy_nj",)))["accuracy"]
    assert isinstance(absent, style.NoPicture)
    assert absent.reason == "No accuracy is known for this network, so it cannot be set against cost."


def test_no_figure_asks_for_anything_but_svg(report: Report) -> None:
    kinds = {
        trace.type
        for picture in pictures(report).values()
        if isinstance(picture, style.Picture)
        for trace in picture.figure.data
    }
    assert kinds <= {"scatter", "bar"}


def test_all_heights_are_finite(report: Report) -> None:
    for picture in pictures(report).values():
        assert isinstance(picture, style.Picture)
        assert math.isfinite(picture.figure.layout.height)
