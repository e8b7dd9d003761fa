"""The crossover against the fit, one design at a time, and against what was synthesized; its words and its chart by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from dse.crossover import SHOWN, crossover, measured_pairs, shown, verdicts, write_crossover
from hwmodels.areas import RESOURCES, fitted
from hwmodels.build import Build
from hwmodels.clocks import engine_paths, fitted_clocks
from hwmodels.design import Design
from hwmodels.switching.table import shipped_energies, shipped_energy_table
from hwmodels.synthesis.table import shipped, shipped_table
from hwmodels.technology import TECHNOLOGIES, technology
from reports.figures.crossover import FORMS, clock_words, crossover_figure, crossover_picture, panels

each_target = pytest.mark.parametrize("target", shipped())
ENDINGS = {"area_um2": ("area_um2", "per_mm2", 1e-6), "lut": ("lut", "per_klut", 1e-3)}


def forms_of(m: int, k: int) -> dict[str, Design]:
    """The three forms of an engine of M x K bits."""
    bits = {"max_act_bits": m, "max_weight_bits": k, "width": 16, "port_bits": 16, "weight_depth": 512, "rows": 16}
    return {
        "mac": Design(kind="mac", cols=8, **bits),
        "parallel": Design(cols=8, lanes_a=m, lanes_w=k, **bits),
        "serial": Design(cols=8 * m * k, **bits),
    }


@each_target
def test_every_cell_is_the_fit_of_one_design(target: str) -> None:
    """PEs and engines by themselves, as plain numbers."""
    resource = RESOURCES[shipped_table(target).head["kind"]][0]
    size, per, unit = ENDINGS[resource]
    model, table = fitted(target), crossover([target], bits=((1, 1), (2, 3), (8, 8)))
    for row in table.to_dict("records"):
        for form, design in forms_of(row["m"], row["k"]).items():
            many = row["m"] * row["k"] if form == "serial" else 1
            pe = model.unit(resource, "pe_mac" if form == "mac" else "pe", design)
            assert row[f"{form}_{size}"] == pytest.approx(many * float(pe), rel=1e-12)
            engine = float(model.block(resource, "engine", design)) * unit
            assert row[f"{form}_{per}"] == pytest.approx(16 * 8 * 16 / engine, rel=1e-12)


@each_target
def test_clocks_are_those_of_the_engines(target: str) -> None:
    """One design at a time, where the target has timing; throughput follows from the clock and the density."""
    table = crossover([target], bits=((1, 1), (3, 2)))
    assert ("mac_clock_mhz" in table.columns) == (fitted_clocks(target) is not None)
    if fitted_clocks(target) is None:
        return
    per = next(name for name in ("mm2", "klut") if f"mac_per_{name}" in table.columns)
    node = next(found for name in TECHNOLOGIES if (found := technology(name)).fit == target)
    for row in table.to_dict("records"):
        for form, design in forms_of(row["m"], row["k"]).items():
            paths = {part: float(path) for part, path in engine_paths(Build.of(design), node).items()}
            assert row[f"{form}_clock_mhz"] == pytest.approx(1e6 / max(paths.values()), rel=1e-12)
            assert paths[row[f"{form}_limit"]] == max(paths.values())
            at_clock = row[f"{form}_per_{per}"] * row[f"{form}_clock_mhz"] / 1000
            assert row[f"{form}_gmac_s_per_{per}"] == pytest.approx(at_clock, rel=1e-12)


@each_target
def test_the_best_form_is_named(target: str) -> None:
    table = crossover([target])
    assert len(table) == 64
    for ending, name, best in (("area_um2", "smallest", "idxmin"), ("lut", "smallest", "idxmin"),
                               ("per_mm2", "densest", "idxmax"), ("per_klut", "densest", "idxmax"),
                               ("energy_pj", "leanest", "idxmin")):  # fmt: skip
        columns = [f"{form}_{ending}" for form in FORMS]
        if columns[1] in table.columns:
            assert (getattr(table[columns], best)(axis=1).str.split("_").str[0] == table[name]).all()
    one = table[(table["m"] == 1) & (table["k"] == 1)].iloc[0]
    # At 1 x 1 bits one lane is all lanes.
    assert one["parallel_to_mac"] == one["serial_to_mac"]


def test_energies_are_near_what_gates_took() -> None:
    """PEs of the table under random streams, their clock pins included: a product of a PE with all lanes, or of multipliers."""
    compared = 0
    for sample in shipped_energy_table("sg13g2").samples:
        design, form = sample.point.design, {"pe": "parallel", "pe_mac": "mac"}.get(sample.point.block)
        bits = (design.max_act_bits, design.max_weight_bits)
        if (
            form is None
            or sample.stream != "random 0.5 0.5"
            or design.pe_cycles > 3
            or (design.act_lanes, design.weight_lanes) != bits
        ):
            continue
        per_product = sample.dynamic_fj / 1000 / design.width
        one = crossover(["sg13g2"], width=design.width, bits=(bits,)).iloc[0]
        assert one[f"{form}_energy_pj"] == pytest.approx(per_product, rel=0.2), sample.point.name
        compared += 1
    assert compared > 6


@each_target
def test_only_measured_gates_have_energies(target: str) -> None:
    assert ("mac_energy_pj" in crossover([target], bits=((1, 1),)).columns) == (target in shipped_energies())


@each_target
def test_the_ratio_is_near_what_was_synthesized(target: str) -> None:
    pairs = measured_pairs(shipped_table(target))
    assert len(pairs) >= 3
    for row in pairs.itertuples():
        modelled = crossover([target], width=row.width, bits=((row.m, row.k),))["parallel_to_mac"].iloc[0]
        assert math.isclose(modelled, row.parallel_to_mac, rel_tol=0.2), row


def test_every_width_makes_a_machine() -> None:
    for width in (1, 7, 24, 63, 64):
        assert (crossover(["sg13g2"], width=width, bits=((2, 2),))["width"] == width).all()


def test_a_target_without_a_fit_is_one_line() -> None:
    with pytest.raises(ValueError, match="target must be one with a characterization"):
        crossover(["asic45"])


def two_by_two(**columns: list[float]) -> pd.DataFrame:
    """A target with M, K in 1..2, in the order 1x1, 1x2, 2x1, 2x2."""
    head = {
        "target": "toy",
        "width": 16,
        "m": [1, 1, 2, 2],
        "k": [1, 2, 1, 2],
        "outside_fit": [False, False, False, True],
    }
    return pd.DataFrame({**head, **columns})


AREA = {
    "mac_area_um2": [4.0, 4.0, 4.0, 4.0],
    "parallel_area_um2": [2.0, 2.0, 2.0, 3.2],
    "serial_area_um2": [2.0, 8.0, 4.0, 16.0],
}
DENSITY = {"mac_per_mm2": [1.0] * 4, "parallel_per_mm2": [1.5, 1.5, 1.5, 0.5], "serial_per_mm2": [0.5] * 4}


def test_factors_and_words_by_hand() -> None:
    found = panels(two_by_two(**AREA, **DENSITY))
    assert [(panel.quantity, panel.planes) for panel in found] == [
        ("area of the PEs", "parallel"), ("area of the PEs", "serial"),
        ("throughput per area of the engine", "parallel"), ("throughput per area of the engine", "serial"),
    ]  # fmt: skip
    assert found[0].factors.to_numpy().tolist() == [[2, 2], [2, 1.25]]
    assert found[1].factors.to_numpy().tolist() == [[2, 0.5], [1, 0.25]]
    assert found[2].factors.to_numpy().tolist() == [[1.5, 1.5], [1.5, 0.5]]
    assert found[0].outside.to_numpy().tolist() == [[False, False], [False, True]]
    assert verdicts(two_by_two(**AREA)) == [
        "toy: planes in parallel win at every M and K, by 1.25x or more; planes in series lose at 2 of 4 pairs in area of the PEs "
        "(from 1x2 on)."
    ]
    both = verdicts(two_by_two(**AREA, **DENSITY))[0]
    assert (
        "planes in parallel win everywhere in area of the PEs and lose at 1 of 4 pairs in throughput per area" in both
    )


CLOCKED = {
    **{f"{form}_gmac_s_per_mm2": [1.0] * 4 for form in FORMS},
    **{f"{form}_clock_mhz": [100.0] * 4 for form in ("mac", "serial")},
    "parallel_clock_mhz": [100.0, 100.0, 80.0, 100.0],
}


def test_what_limits_the_clock_by_hand() -> None:
    frames = {f"{form}_limit": ["frame"] * 4 for form in FORMS}
    assert clock_words(two_by_two(**AREA)) == ""
    alike = clock_words(two_by_two(**AREA, **CLOCKED, **frames))
    assert alike == (
        " The clock is limited by the frame for all three; at equal bits the clocks are at most 1.25x apart."
    )
    sums = {**frames, "parallel_limit": ["frame", "frame", "PE sum", "frame"]}
    said = clock_words(two_by_two(**AREA, **CLOCKED, **sums))
    assert (
        "limited by the frame for multipliers and serial planes and by the frame (3 pairs) or the PE sum (1 pair) for"
        in said
    )
    found = panels(two_by_two(**AREA, **DENSITY, **CLOCKED, **frames))
    assert [panel.quantity for panel in found[2:]] == ["throughput per area of the engine, each at its own clock"] * 2


def test_the_chart_marks_what_is_extrapolated() -> None:
    figure = crossover_figure(panels(two_by_two(**AREA)))
    assert [trace.type for trace in figure.data] == ["heatmap", "heatmap"]
    assert [list(line) for line in figure.data[0].text] == [["2", "2"], ["2", "<i>1.2</i>"]]
    assert figure.data[1].z[0][0] == pytest.approx(0.5), "2 is half of the way to 4"
    assert "extrapolated" in crossover_picture(two_by_two(**AREA)).reading
    assert "extrapolated" not in crossover_picture(two_by_two(**AREA).assign(outside_fit=False)).reading


def test_tables_and_page(tmp_path: Path) -> None:
    table = crossover()
    assert list(zip(*(shown(crossover(["sg13g2"]))[name] for name in "mk"), strict=True)) == list(SHOWN)
    for name in ("a.csv", "a.md", "a.html"):
        write_crossover(table, tmp_path / name)
    assert len(pd.read_csv(tmp_path / "a.csv")) == 64 * len(shipped())
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count('class="plot"') == len(shipped())
    with pytest.raises(ValueError, match="the suffix must be one of"):
        write_crossover(table, tmp_path / "a.png")
    with pytest.raises(ValueError, match="the folder must exist and be writable"):
        write_crossover(table, tmp_path / "nowhere" / "a.html")
