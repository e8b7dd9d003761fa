"""The fitted energies: what their features mean, that a fit finds what made its table, and what the technology makes of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest

from hwmodels.design import Design
from hwmodels.energies import CONTROL, energies, fit, pe_energy_pj, predicted_fj
from hwmodels.knobs import of_designs
from hwmodels.rates import RANDOM, Rates
from hwmodels.structure import UNITS
from hwmodels.switching.table import (
    COLUMNS,
    HEAD,
    PARTS,
    WORK,
    EnergyTable,
    Sample,
    parse_table,
    shipped_energies,
    shipped_energy_table,
    table_text,
)
from hwmodels.synthesis.blocks import Point
from hwmodels.technology import technology
from hwmodels.toggles import PE_FEATURES, any_rate, grid_features, parity_rate, pipeline_features

PE = Design(rows=16, width=16, port_bits=16, max_act_bits=4, max_weight_bits=4, weight_depth=512)
MAC = replace(PE, kind="mac", max_act_bits=3, max_weight_bits=2)
SLOW = Rates(activations=0.1, weights=0.05, products=0.14)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("bits", [1, 3, 5])
def test_rates_of_several_bits_by_enumeration(rate: float, bits: int) -> None:
    chances = {flips: prod(rate if flip else 1 - rate for flip in flips) for flips in product((0, 1), repeat=bits)}
    assert parity_rate(rate, bits) == pytest.approx(sum(chance for flips, chance in chances.items() if sum(flips) % 2))
    assert any_rate(rate, bits) == pytest.approx(sum(chance for flips, chance in chances.items() if any(flips)))


def made(point: Point, rates: Rates, parts: dict[str, float], **work: float) -> Sample:
    k, block = point.design, point.block
    many = {"pe": 1, "pe_mac": 1, "array": k.rows * k.cols}.get(block, 0)
    pes, still = (
        many * int(UNITS["pe_mac" if k.kind == "mac" else "pe"](k)["register bit"]),
        0 if block in PE_FEATURES else 10,
    )
    return Sample(
        point=point, stream="made", rates=rates, cycles=100, work=dict.fromkeys(WORK, 0.0) | work,
        parts_fj=dict.fromkeys(PARTS, 0.0) | parts, clock_fj=33.0 * pes + 29.0 * still, leakage_nw=20.0, flip_flops=pes + still,
        area_um2=1000.0, glitches=1.5,
        digest="made",
    )  # fmt: skip


def made_table() -> EnergyTable:
    """A table of a world where every coefficient is 3 fJ, a clock pin 33 or 29 fJ, and leakage 0.02 nW/um2."""
    samples = []
    streams = (
        RANDOM,
        SLOW,
        Rates(activations=0.3, weights=0.02, products=0.31),
        Rates(activations=0.02, weights=0.4, products=0.4),
    )
    machines = [
        replace(PE, width=w, rows=w, port_bits=w, lanes_a=la, lanes_w=lw)
        for w, la, lw in ((8, 1, 1), (16, 2, 2), (64, 1, 3))
    ]
    macs = [
        replace(MAC, width=w, rows=w, port_bits=w, max_act_bits=m, max_weight_bits=k)
        for w, m, k in ((8, 1, 1), (16, 3, 3), (8, 8, 4))
    ]
    for unit, designs in (("pe", machines), ("pe_mac", macs)):
        for design, rates in product([*designs, replace(designs[1], acc_stages=2)], streams):
            own = {part: 3.0 * float(sum(found.values())) for part, found in PE_FEATURES[unit](design, rates).items()}
            own["other"] = 3.0 * float(pipeline_features(design, rates)["pipeline bit"])
            samples.append(made(Point(unit, design), rates, own, accumulations=100.0))
    model_pe = {
        (design, rates): 3.0 * sum(float(sum(found.values())) for found in PE_FEATURES["pe"](design, rates).values())
        for design, rates in product(machines, streams)
    }
    work = {"accumulations": 700.0, "activation_reads": 120.0, "weight_reads": 90.0, "threshold_compares": 3.0}
    for (design, rates), each in model_pe.items():
        grid = sum(3.0 * work[action] * float(times) / 100 for action, times in grid_features(design, rates).values())
        pairs = 700.0 * design.lanes_a * design.lanes_w
        samples.append(made(Point("array", design), rates, {"other": 7 * each + grid}, xnor_words=pairs, **work))
    samples.append(
        made(Point("post_unit", PE), RANDOM, {"other": 3.0 * PE.acc_bits}, threshold_compares=100.0 * PE.rows)
    )
    samples.append(made(Point("vector_unit", PE), RANDOM, {"other": 3.0 * PE.width}, vector_words=100.0))
    samples += [made(Point(unit, PE), RANDOM, {"other": 3.0}) for unit in CONTROL]
    return EnergyTable(dict.fromkeys(HEAD, "sg13g2"), tuple(samples))


def test_a_fit_finds_what_made_its_table() -> None:
    table = made_table()
    found = fit(table)
    assert (found.clock_fj, found.still_clock_fj) == (pytest.approx(33.0), pytest.approx(29.0))
    assert (found.leakage_nw_um2, found.glitches) == ((0.02, 0.02, 0.02), (1.5, 1.5, 1.5))
    for one in table.of("pe", "pe_mac", "array"):
        assert predicted_fj(found, one) == pytest.approx(one.dynamic_fj, rel=1e-6), one.point.name
    assert found.coefficients["pe"]["count"] == pytest.approx(
        {"xnor bit": 3.0, "full adder": 3.0, "joining adder bit": 3.0}
    )
    for unit in PE_FEATURES:
        assert found.coefficients[unit]["pipeline"] == pytest.approx({"pipeline bit": 3.0})
    assert found.coefficients["post_unit"]["all"] == pytest.approx({"compared bit": 3.0})
    assert found.coefficients["vector_unit"]["all"] == pytest.approx({"lane": 3.0})
    assert found.coefficients["control"]["all"] == pytest.approx({"cycle": 3.0 * len(CONTROL)})


def test_second_stages_that_no_sample_has_cost_only_their_clock() -> None:
    table = made_table()
    found = fit(table, [one for one in table.samples if one.point.design.acc_stages == 1])
    for unit in PE_FEATURES:
        assert found.coefficients[unit]["pipeline"] == {"pipeline bit": 0.0}


def test_a_table_without_a_unit_has_no_fit() -> None:
    table = made_table()
    with pytest.raises(ValueError, match="a fit must have samples of loader"):
        fit(table, [one for one in table.samples if one.point.block != "loader"])


def test_a_table_reads_what_it_wrote() -> None:
    table = made_table()
    again = parse_table(table_text(table), "made.csv")
    assert again.head == table.head
    assert [one.cells() for one in again.samples] == [one.cells() for one in table.samples]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# wire_ff: sg13g2\n", "", "its head has no wire_ff"),
        ("block,kind", "blok,kind", "must have the columns"),
        ("pe,array,8", "pe,array,8,8", r"line 11: must have \d+ cells"),
        ("pe,array,8", "alu,array,8", "line 11: point: block must be one of"),
        ("made,0.5000", "made,1.5000", "line 11: rates: activations must be between 0 and 1"),
    ],
)
def test_a_broken_table_is_refused_by_line(old: str, new: str, message: str) -> None:
    text = table_text(made_table())
    assert old in text
    with pytest.raises(ValueError, match=message):
        parse_table(text.replace(old, new, 1), "made.csv")
    assert len(COLUMNS) == len(made_table().samples[0].cells())


@pytest.mark.parametrize(
    "design", [PE, replace(PE, lanes_a=2, lanes_w=2, count_stages=2), MAC, replace(MAC, sum_stages=2)]
)
def test_many_designs_are_priced_as_each_alone(design: Design) -> None:
    others = [design, replace(design, width=32, rows=32, port_bits=32), replace(design, max_weight_bits=4)]
    found, knobs = energies("sg13g2"), of_designs(others)
    for rates in (RANDOM, SLOW):
        together = found.events(knobs, rates)
        for place, one in enumerate(others):
            for event, own in zip(together, found.events(one, rates), strict=True):
                assert (event.name, event.coefficients) == (own.name, own.coefficients)
                for name in ("times", "each_fj"):
                    value = np.broadcast_to(getattr(event, name), (3,))[place]
                    assert value == pytest.approx(float(getattr(own, name)), rel=1e-12), event.name


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7, 1.0])
def test_every_rate_has_features(rate: float) -> None:
    rates = Rates(activations=rate, weights=rate, products=rate)
    for unit, design in (("pe", PE), ("pe_mac", MAC)):
        for part in PE_FEATURES[unit](design, rates).values():
            assert all(np.isfinite(value) and value >= 0 for value in part.values())


@pytest.mark.parametrize("design", [PE, MAC])
def test_a_pe_that_toggles_more_takes_more(design: Design) -> None:
    still = Rates(activations=0.0, weights=0.0, products=0.0)
    costs = [pe_energy_pj("sg13g2", design, rates) for rates in (still, SLOW, RANDOM)]
    assert 0 < costs[0] < costs[1] < costs[2]
    # Not in proportion: clock pins and accumulator do not depend on the operands, and counts toggle when few bits do.
    assert costs[1] > 0.3 * costs[2]
    assert pe_energy_pj("sg13g2", replace(design, width=32, rows=32, port_bits=32)) > costs[2]


def test_a_target_without_energies_is_named() -> None:
    with pytest.raises(ValueError, match="target must be one with energies"):
        pe_energy_pj("asic45", PE)


@pytest.mark.parametrize("name", shipped_energies())
def test_every_coefficient_is_a_constant_with_a_source_and_a_range(name: str) -> None:
    node, found = technology(name), energies(name)
    for key, value in found.named.items():
        constant = node.constants[key]
        assert constant.value == pytest.approx(value / 1000)
        assert constant.source.endswith(f"characterization/energy/{name}.csv")
        assert constant.low is not None
        assert constant.high is not None
        assert constant.low < constant.value < constant.high
    assert not {"xnor_energy", "control_energy"} & set(node.constants)
    assert {one.point.block for one in shipped_energy_table(name).samples} >= {"pe", "pe_mac", "array", *CONTROL}
