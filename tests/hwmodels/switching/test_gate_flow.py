"""The flow from RTL to energy still gives the numbers of the table, and its gates compute what the RTL does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dse.characterize_energy import unit_points
from hwmodels.design import Design
from hwmodels.rtl.verilator import verilator
from hwmodels.switching.cells import read_cells
from hwmodels.switching.glitches import unit_delay_toggles, whole_bytes
from hwmodels.switching.measure import Bench, Gates, gates, random_samples
from hwmodels.switching.simulation import build
from hwmodels.switching.streams import STREAMS, pe_stimulus
from hwmodels.switching.table import PARTS, shipped_energy_table
from hwmodels.synthesis.targets import target
from hwmodels.synthesis.yosys import find_yosys
from hwmodels.tool_error import ToolError
from tests.conftest import SHARED, YOSYS_WHEEL
from tests.hwmodels.switching.toy import netlist

LIBERTY = SHARED / "liberty" / "ihp-sg13g2" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"


def has_verilator() -> bool:
    try:
        verilator()
    except ToolError:
        return False
    return True


needs_verilator = pytest.mark.skipif(not has_verilator(), reason="needs Verilator 5, g++, make and perl")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What compiled netlists share."""
    return tmp_path_factory.mktemp("runtime") / "objects"


@needs_verilator
def test_gates_and_registers_run(tmp_path: Path, runtime: Path) -> None:
    # y = not (d and q), q one cycle behind d; QN goes somewhere, too.
    found = netlist(
        tmp_path, {"clk_i": 2, "d": 3, "a": 7}, {"y": 5, "z": 8},
        ("DFF", {"CK": 2, "D": 3, "Q": 4, "QN": 6}), ("NAND2", {"A": 3, "B": 4, "Y": 5}), ("NAND2", {"A": 6, "B": 7, "Y": 8}),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    d, a = rng.random((2, 40)) < 0.5
    rows = build(found, tmp_path / "gates", runtime=runtime).run(np.stack([d, a], axis=1)).rows(0, 40)
    q = np.concatenate([[False], d[:-1]])
    assert (rows[:, [3, 4, 5, 6, 7, 8]] == np.stack([d, q, ~(d & q), ~q, a, ~(~q & a)], axis=1)).all()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> tuple[Gates, Bench]:
    """The smallest PE of the table, as gates."""
    if YOSYS_WHEEL is None or not LIBERTY.exists():
        pytest.skip(f"needs Yosys (pip install pyosys) and the liberty file of sg13g2 under {SHARED}")
    table = shipped_energy_table("sg13g2")
    tool, aim = find_yosys(YOSYS_WHEEL), target("sg13g2", (LIBERTY,))
    if tool.name != table.head["tool"]:
        pytest.skip(f"the table is of {table.head['tool']}, this is {tool.name}")
    bench = Bench(aim, read_cells(aim.libraries), tool, float(table.head["wire_ff"]), 600, runtime)
    return gates(table.of("pe")[0].point, "", bench, tmp_path_factory.mktemp("pe")), bench


@needs_verilator
def test_a_point_comes_out_as_in_the_table(measured: tuple[Gates, Bench]) -> None:
    found, bench = measured
    rows = {one.stream: one for one in shipped_energy_table("sg13g2").of("pe") if one.point == found.point}
    assert len(rows) == len(STREAMS)
    for one in random_samples(found, bench):
        row = rows[one.stream]
        for part in PARTS:
            assert one.parts_fj[part] == pytest.approx(row.parts_fj[part], abs=0.051), (one.stream, part)
        assert (one.clock_fj, one.leakage_nw) == (
            pytest.approx(row.clock_fj, abs=0.051),
            pytest.approx(row.leakage_nw, abs=0.0051),
        )
        assert one.glitches == pytest.approx(row.glitches, abs=0.00051)
        assert one.flip_flops == row.flip_flops


@needs_verilator
def test_gates_are_the_pe(measured: tuple[Gates, Bench]) -> None:
    """Accumulators against plain integers, every cycle; and each cycle settles to the next by another simulator."""
    found, _ = measured
    rows = _accumulated(found)
    whole = whole_bytes(rows)
    settled = np.count_nonzero(whole[1:] != whole[:-1], axis=0)
    moved = unit_delay_toggles(found.netlist, whole)
    assert (moved[2:] >= settled[2:])[np.arange(2, found.netlist.nets) != found.netlist.clock].all()


def _accumulated(found: Gates) -> np.ndarray:
    """All nets under random data, whose accumulators are those of plain integers in every cycle."""
    ports, design = found.netlist.sources, found.point.design
    stimulus = pe_stimulus(design, STREAMS[0], ports)
    rows = found.simulator.run(stimulus).rows(0, len(stimulus))
    places = dict(zip(ports, np.cumsum([0, *map(len, ports.values())]), strict=False))
    given = {name: stimulus[:, places[name] : places[name] + len(bits)] for name, bits in ports.items()}
    acc = _signed(rows[:, list(found.netlist.outputs["acc_o"])])
    reference = _mac_accumulators if design.kind == "mac" else _accumulators
    assert acc.tolist() == reference(given, design)
    return rows


# pJ a cycle of the smallest PE on random data (1.8 in sg13g2, 130 nm, 1.2 V), fJ of a flip-flop's clock, pW/um2 of leakage. An energy
# goes with C V^2: 130 nm at 1.8 V takes up to 2.25 times as much, 7 nm at 0.7 V (and 2 fF of wire a pin, as here) 5 to 40 times less.
WINDOWS = {
    "sky130": ("sky130", (1.8, 4.1), (30.0, 75.0), (0.1, 3.0)),
    "asap7": ("asap7", (0.045, 0.36), (0.8, 6.6), (300.0, 3000.0)),
}


@needs_verilator
@pytest.mark.parametrize("name", WINDOWS)
def test_multipliers_of_other_libraries(name: str, tmp_path: Path, runtime: Path) -> None:
    if "DSE_ALL_LIBRARIES" not in os.environ:
        pytest.skip("takes a while; DSE_ALL_LIBRARIES=1 runs it")
    found, _ = _gates_of(name, 18, tmp_path, runtime)
    assert found.point.block == "pe_mac"
    _accumulated(found)


@needs_verilator
@pytest.mark.parametrize("name", WINDOWS)
def test_cells_of_other_libraries(name: str, tmp_path: Path, runtime: Path) -> None:
    _, energy_pj, clock_fj, leakage = WINDOWS[name]
    found, bench = _gates_of(name, 0, tmp_path, runtime)
    _accumulated(found)
    one = next(random_samples(found, bench))
    assert all(one.parts_fj[part] > 0 for part in ("operands", "count", "sum", "accumulate", "other"))
    for low_high, value in (
        (energy_pj, one.dynamic_fj / 1000),
        (clock_fj, one.clock_fj / one.flip_flops),
        (leakage, one.leakage_nw / one.area_um2 * 1000),
    ):
        assert low_high[0] < value < low_high[1]


def _accumulators(given: dict[str, np.ndarray], design: Design) -> list[int]:
    """acc <- (first ? 0 : acc << shift) + bias - 2 popcount, its three registers in plain integers."""
    bits = design.acc_bits
    count = total = acc = 0
    seen = []
    for cycle in range(len(given["act_i"])):
        seen.append(acc)
        shift = int(np.flatnonzero(given["shift_i"][cycle])[0])
        acc = (0 if given["first_i"][cycle, 0] else acc << shift) + total
        acc = (acc + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        total = int(_signed(given["bias_i"][cycle : cycle + 1])[0]) - 2 * count
        count = int((given["act_i"][cycle] ^ given["weight_i"][cycle]).sum())
    return seen


def _gates_of(name: str, place: int, folder: Path, runtime: Path) -> tuple[Gates, Bench]:
    """A point of the plan in the cells of a library."""
    paths = tuple(sorted((SHARED / "liberty" / WINDOWS[name][0]).glob("*.lib.gz")))
    if YOSYS_WHEEL is None or not paths:
        pytest.skip(f"needs Yosys (pip install pyosys) and the liberty files of {name} under {SHARED}")
    aim = target(name, paths)
    bench = Bench(aim, read_cells(aim.libraries), find_yosys(YOSYS_WHEEL), 2.0, 600, runtime)
    (folder / "pe").mkdir()
    return gates(unit_points("full")[place], "", bench, folder / "pe"), bench


def _mac_accumulators(given: dict[str, np.ndarray], design: Design) -> list[int]:
    """acc <- (first ? 0 : acc) + sum of products of odd codes; a cycle for the products, one for their sum."""
    products = total = acc = 0
    seen = []
    for cycle in range(len(given["act_i"])):
        seen.append(acc)
        acc = (0 if given["first_i"][cycle, 0] else acc) + total
        acc = (acc + (1 << design.acc_bits - 1)) % (1 << design.acc_bits) - (1 << design.acc_bits - 1)
        total = products
        codes = [_odd(given[name][cycle].reshape(-1, design.width)) for name in ("act_i", "weight_i")]
        products = int(np.dot(*codes))
    return seen


def _odd(planes: np.ndarray) -> np.ndarray:
    """Codes of (bits, width) planes: a bit of place b counts +2^b or -2^b."""
    return np.asarray(2 ** np.arange(len(planes)) @ np.where(planes, 1, -1))


def _signed(bits: np.ndarray) -> np.ndarray:
    weights = 2 ** np.arange(bits.shape[1])
    weights[-1] *= -1
    return np.asarray(bits @ weights)
