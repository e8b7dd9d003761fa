"""Banks of FPGAs: the rule by hand, against every synthesized bank, and arrays against single banks."""

from __future__ import annotations

import numpy as np
import pytest

from hwmodels.fpga_memory import MEMORIES
from hwmodels.synthesis.table import Row, shipped, shipped_table
from hwmodels.technology import TECHNOLOGIES, technology

TABLES = [name for name in shipped() if name in MEMORIES]


def found(target: str, depth: int, bits: int) -> dict[str, int]:
    return {name: int(value) for name, value in MEMORIES[target].bank(depth, bits).items()}


def test_a_bank_by_hand() -> None:
    # 64 x 16 bits: six RAM64M of three bits and four LUTs, and a register.
    assert found("xc7", 64, 16) == {"lut": 24, "ff": 16, "ram_kbit": 0}
    # 128 x 20: two by seven of them; a LUT to choose for each bit, one for each half to write. 24 bits are cheaper in a block.
    assert found("xc7", 128, 20) == {"lut": 2 * 7 * 4 + 20 + 2, "ff": 20, "ram_kbit": 0}
    assert found("xc7", 128, 24) == {"lut": 0, "ff": 0, "ram_kbit": 18}
    # 1024 x 20: one block of 36 Kbit and not two of 18; 2048 x 20: three of 18 and not two of 36.
    assert found("xc7", 1024, 20)["ram_kbit"] == 36
    assert found("xc7", 2048, 20)["ram_kbit"] == 54
    # ECP5 keeps both words, both addresses' comparison and two bits more.
    assert found("ecp5", 512, 8)["ff"] == 2 * 8 + 9 + 2


@pytest.mark.parametrize(
    ("depth", "bits", "lut", "ff", "kbit"), [(4096, 16, 48, 47, 64), (8192, 16, 69, 49, 128), (16384, 32, 252, 83, 512)]
)
def test_deep_banks_of_ice40(depth: int, bits: int, lut: int, ff: int, kbit: int) -> None:
    """What Yosys 0.70 made of banks that are deeper than any table has: blocks of two bits one over the other."""
    bank = found("ice40", depth, bits)
    assert bank["ram_kbit"] == kbit
    assert bank["lut"] == pytest.approx(lut, rel=0.1)
    assert bank["ff"] == pytest.approx(ff, rel=0.1)


def measured(row: Row) -> tuple[int, int, int]:
    return row.counts.lut + row.counts.lutram, row.counts.ff, row.counts.ram_kbit


@pytest.mark.parametrize("target", TABLES)
def test_banks_are_built_as_synthesis_builds_them(target: str) -> None:
    """Bits of block RAM are exact. LUTs and registers are where there is no guard; with one they are near."""
    rows = shipped_table(target).done("bank")
    assert len(rows) >= 6
    for row in rows:
        k = row.point.design
        one = found(target, k.weight_depth, k.width)
        luts, ffs, kbit = measured(row)
        assert one["ram_kbit"] * k.weight_lanes == kbit, row.point.name
        near = 0.15 if MEMORIES[target].guard and kbit else 0
        assert one["lut"] * k.weight_lanes == pytest.approx(luts, rel=near), row.point.name
        assert one["ff"] * k.weight_lanes == pytest.approx(ffs, rel=near and 0.1), row.point.name


@pytest.mark.parametrize("target", MEMORIES)
def test_arrays_give_what_single_banks_give(target: str) -> None:
    depths, bits = np.meshgrid([2, 16, 64, 100, 256, 512, 4096], [1, 8, 20, 64, 300], indexing="ij")
    many = MEMORIES[target].bank(depths, bits)
    for i, j in np.ndindex(depths.shape):
        one = found(target, int(depths[i, j]), int(bits[i, j]))
        assert {name: int(values[i, j]) for name, values in many.items()} == one


def test_devices_with_a_fit_have_a_rule_for_their_banks() -> None:
    assert {node.fit for node in map(technology, TECHNOLOGIES) if node.fit and node.kind == "fpga"} <= set(MEMORIES)
