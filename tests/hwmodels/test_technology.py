"""Constants carry sources, scaling follows the published equations, tables hit their own points."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from hwmodels.constants import OFF_CHIP, Constant, assumed
from hwmodels.macro_model import shipped_model
from hwmodels.sram import SramTable
from hwmodels.technology import (
    AREA_MULTIPLIERS,
    ASIC_45,
    CACTI_45,
    DELAY_COEFFICIENTS,
    ENERGY_COEFFICIENTS,
    TECHNOLOGIES,
    delay_factor,
    energy_factor,
    scaled,
    technology,
)

UNITS = {"pJ", "um2", "pJ/bit", "uW/KiB", "mW/mm2", "mW", "MHz", "LUT", "LUT/bit"}


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_every_constant_has_a_value_a_unit_and_a_source(name: str) -> None:
    node = technology(name)
    assert node.name == name
    assert node.description
    for key, constant in node.constants.items():
        assert constant.source.strip(), key
        assert constant.unit in UNITS, key
        assert 0 < constant.value < float("inf"), key
        assert node[key] == constant.value
    if node.sram is not None:
        assert node.sram.source.strip()


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_kinds_have_what_pricing_asks_of_them(name: str) -> None:
    node = technology(name)
    assert node.kind in ("asic", "fpga")
    assert (node.sram is not None) == (node.kind == "asic")
    assert set(node.limits) == (set() if node.kind == "asic" else {"lut", "ff", "bram36", "dsp"})


def test_energy_scales_as_the_authors_check() -> None:
    # 65 nm @ 1.3 V: 3.755 * 1.69 - 4.398 * 1.3 + 1.975 = 2.604; 32 nm @ 0.9 V: 0.4571; 1 pJ -> 0.1755 pJ.
    assert energy_factor("65", 1.3) == pytest.approx(2.604, abs=5e-4)
    assert energy_factor("32", 0.9) == pytest.approx(0.4571, abs=5e-5)
    one = replace(ASIC_45, voltage_v=1.3, constants=MappingProxyType({"adder": Constant(1.0, "pJ", "unit")}))
    assert scaled(one, name="x", node="32", voltage_v=0.9, base_node="65")["adder"] == pytest.approx(0.1755, abs=1e-4)


def test_45_nm_to_32_nm_by_hand() -> None:
    # E: 0.45714 / 0.69885 = 0.6541; area 0.46; dram, leakage and sources' first words stay.
    node = technology("asic32")
    assert node["adder_bit_energy"] == pytest.approx(0.03 / 8 * 0.6541, rel=1e-3)
    assert node["adder_bit_area"] == pytest.approx(179 / 32 * 0.46)
    assert node["dram_energy"] == ASIC_45["dram_energy"]
    assert node["sram_leakage"] == ASIC_45["sram_leakage"]
    assert node["max_clock"] == pytest.approx(1000 * delay_factor("45", 0.9) / delay_factor("32", 0.9))
    assert node.constants["adder_bit_energy"].source == "H14 int add 8 bit 0.03 pJ, 45 nm x SB17 45@0.9 V -> 32@0.9 V"
    assert isinstance(node.sram, SramTable)
    assert node.sram.read_pj[0] == pytest.approx(0.684 * 0.6541, rel=1e-3)
    assert node.sram.area_um2[0] == pytest.approx(1500 * 0.46)
    assert (node.node_nm, node.voltage_v) == (32.0, 0.9)


def test_scaling_onto_itself_changes_nothing_but_the_sources() -> None:
    same = scaled(ASIC_45, name="same", node="45", voltage_v=0.9, base_node="45")
    assert {key: same[key] for key in same.constants} == {key: ASIC_45[key] for key in ASIC_45.constants}


def test_smaller_nodes_cost_less() -> None:
    nodes = [technology(name) for name in ("asic65", "asic45", "asic32", "asic16", "asic7")]
    for key in ("adder_bit_energy", "xnor_energy", "adder_bit_area", "register_bit_area"):
        values = [node[key] for node in nodes]
        assert values == sorted(values, reverse=True), key


def test_tables_of_coefficients_cover_the_same_nodes() -> None:
    assert list(ENERGY_COEFFICIENTS) == list(DELAY_COEFFICIENTS) == list(AREA_MULTIPLIERS)


def test_sram_table_hits_its_own_points() -> None:
    sizes = np.array(CACTI_45.capacity_bytes)
    np.testing.assert_allclose(CACTI_45.read_energy(sizes / 4, 32), CACTI_45.read_pj)
    np.testing.assert_allclose(CACTI_45.write_energy(sizes / 4, 32), CACTI_45.write_pj)
    np.testing.assert_allclose(CACTI_45.area(sizes / 4, 32), CACTI_45.area_um2)


def test_sram_table_between_and_beyond_its_points() -> None:
    # Log-log: halfway between 512 and 2048 in the logarithm is 1024, which is a point of its own; take 128..512 -> 256.
    assert CACTI_45.read_energy(64, 32) == pytest.approx((0.684 * 1.061) ** 0.5)
    # Energy is linear in the entry; small banks cost as the smallest macro, large ones are several macros.
    assert CACTI_45.read_energy(128, 64) == pytest.approx(1.133 * 64 / 32)
    assert CACTI_45.read_energy(1, 32) == pytest.approx(0.684)
    assert CACTI_45.area(1, 8) == pytest.approx(1500)
    assert CACTI_45.read_energy(2**18, 32) == pytest.approx(9.982)
    assert CACTI_45.area(3 * 4096, 32) == pytest.approx(3 * 108580)
    assert CACTI_45.outside([127, 128, 16384, 16385], 8).tolist() == [True, False, False, True]


def test_sram_costs_grow_with_capacity() -> None:
    sizes = np.geomspace(64, 2**20, 200)
    for values in (
        CACTI_45.read_energy(sizes / 4, 32),
        CACTI_45.write_energy(sizes / 4, 32),
        CACTI_45.area(sizes / 4, 32),
    ):
        assert (np.diff(values) >= -1e-9).all()


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^technology must be one of asic65, asic45, .*, lfe5u85, not 'asic28'$"):
        technology("asic28")
    sentence = r"^technology: node must be one of 130, 90, 65, 45, 32, 20, 16, 14, 10, 7, not '28'$"
    for factor in (energy_factor, delay_factor):
        with pytest.raises(ValueError, match=sentence):
            factor("28", 0.9)
    with pytest.raises(ValueError, match=sentence):
        scaled(ASIC_45, name="x", node="28", voltage_v=0.9, base_node="45")


def test_ranges_of_constants_scale_with_them() -> None:
    wide = Constant(2.0, "pJ", "x", low=1.0, high=8.0)
    assert wide.span == (0.5, 4.0)
    assert wide.scaled(0.5, " y") == Constant(1.0, "pJ", "x y", 0.5, 4.0)
    assert Constant(2.0, "pJ", "x").span == (1.0, 1.0)
    assert assumed(0.3, "pJ", "a guess", within=3).span == pytest.approx((1 / 3, 3.0))
    with pytest.raises(ValueError, match=r"^constant: value must lie within 3.0 and None, not 2.0$"):
        Constant(2.0, "pJ", "x", low=3.0)
    # The ambiguous row of the Aladdin table: 0.57 fJ to 18 fJ an xnor bit at 40 nm.
    assert technology("asic16").constants["xnor_energy"].span == pytest.approx((1.0, 32.0))


def test_energies_of_devices_are_assumed_and_carry_their_range() -> None:
    for name in ("zynq7020", "zu3eg", "u250"):
        for key in ("lut_energy", "bram_energy", "dsp_energy", "static_power", "control_energy"):
            constant = technology(name).constants[key]
            assert constant.source.startswith("assumed: "), key
            assert constant.span == pytest.approx((1 / 3, 3.0)), key


def test_memory_off_the_chip_is_the_same_at_every_node() -> None:
    for node in map(technology, TECHNOLOGIES):
        assert {key: node.constants[key] for key in OFF_CHIP} == dict(OFF_CHIP)


def test_a_foundry_brings_its_own_memory() -> None:
    node, macros = technology("sg13g2"), shipped_model()
    assert node.sram is not None
    assert node.sram.read_energy(512, 64) == macros.read_energy(512, 64)
    assert "IHP SG13G2" in node.sram.source
    # 0.012086 nW a bit, 8192 bits a KiB.
    assert node["sram_leakage"] == pytest.approx(0.0990, rel=1e-3)
