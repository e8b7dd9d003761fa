"""`dse characterize --energy`: a run goes on where it was, a point that fails is said, and bad input is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import dse.characterize_energy as running
from dse.characterize_energy import MACHINES, characterize_energy, unit_points
from hwmodels.design import PARTS as STAGES
from hwmodels.energies import CONTROL, UNIT
from hwmodels.rates import RANDOM
from hwmodels.switching.measure import Bench
from hwmodels.switching.table import PARTS, WORK, Sample, read_table
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.yosys import Yosys
from hwmodels.tool_error import ToolError
from tests.conftest import Dse
from tests.hwmodels.switching.toy import LIBRARY

TOOL = Yosys("path", "9.9", ("yosys",))


def sample_of(point: Point, digest: str) -> Sample:
    return Sample(
        point=point, stream="made", rates=RANDOM, cycles=9, work=dict.fromkeys(WORK, 1.0), parts_fj=dict.fromkeys(PARTS, 2.0),
        clock_fj=1.0, leakage_nw=1.0, flip_flops=3, area_um2=5.0, glitches=0.0, digest=digest,
    )  # fmt: skip


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Points of no weight; the names of those that were asked for."""
    names: list[str] = []

    def unit(point: Point, digest: str, bench: Bench, folder: Path) -> list[Sample]:
        assert folder.is_dir()
        assert bench.wire_ff == 2.0
        names.append(point.name)
        return [sample_of(point, digest)] * 2

    def whole(machine: running.Machine, digest: str, _bench: Bench, _folder: Path) -> list[Sample]:
        names.append(machine.design.name)
        return [sample_of(Point("array", machine.design), digest)]

    monkeypatch.setattr(running, "_unit", unit)
    monkeypatch.setattr(running, "_whole", whole)
    monkeypatch.setattr(running, "find_yosys", lambda _source: TOOL)
    return names


@pytest.fixture
def liberty(tmp_path: Path) -> list[Path]:
    (tmp_path / "toy.lib").write_text(LIBRARY)
    return [tmp_path / "toy.lib"]


def test_the_table_does_not_depend_on_workers(tmp_path: Path, seen: list[str], liberty: list[Path]) -> None:
    texts = []
    for workers in (1, 3):
        done = characterize_energy("toy", tmp_path / f"{workers}.csv", liberty=liberty, workers=workers, wire_ff=2.0)
        texts.append(done.path.read_text())
        assert len(done.table.samples) == 2 * len(unit_points("full")) + len(MACHINES)
    assert texts[0] == texts[1]
    assert len(seen) == 2 * (len(unit_points("full")) + len(MACHINES))


def test_a_run_goes_on(tmp_path: Path, seen: list[str], liberty: list[Path]) -> None:
    output = tmp_path / "toy.csv"
    small = characterize_energy("toy", output, liberty=liberty, points="small", wire_ff=2.0)
    with pytest.raises(ValueError, match="must not exist yet; go on with it by --resume"):
        characterize_energy("toy", output, liberty=liberty, points="small", wire_ff=2.0)
    seen.clear()
    whole = characterize_energy("toy", output, liberty=liberty, resume=True, wire_ff=2.0)
    assert whole.reused == len(small.table.samples)
    assert len(seen) == len(unit_points("full")) + len(MACHINES) - len(unit_points("small"))
    assert [one.cells() for one in read_table(output).samples] == [one.cells() for one in whole.table.samples]


def test_other_assumptions_are_other_points(
    tmp_path: Path, seen: list[str], liberty: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    characterize_energy("toy", tmp_path / "toy.csv", liberty=liberty, points="small", wire_ff=2.0)
    assert seen
    monkeypatch.setattr(running, "_unit", lambda point, digest, _bench, _folder: [sample_of(point, digest)])
    assert (
        characterize_energy(
            "toy", tmp_path / "toy.csv", liberty=liberty, points="small", resume=True, wire_ff=1.0
        ).reused
        == 0
    )


def test_a_point_that_fails_is_said_and_the_rest_goes_on(
    tmp_path: Path, seen: list[str], liberty: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_machine: running.Machine, _digest: str, _bench: Bench, _folder: Path) -> list[Sample]:
        raise ToolError("verilator failed with exit code 1")

    monkeypatch.setattr(running, "_whole", failing)
    done = characterize_energy("toy", tmp_path / "toy.csv", liberty=liberty, wire_ff=2.0)
    assert done.failed == ("verilator failed with exit code 1",) * len(MACHINES)
    assert len(seen) == len(unit_points("full"))
    assert done.words.endswith("failed: verilator failed with exit code 1")


def test_bad_input_is_one_line(dse_command: Dse, liberty: list[Path]) -> None:
    for words, fragment in (
        (("xc7",), "energy must have --liberty files"),
        (("toy", "--liberty", "toy.lib", "--points", "many"), "points must be one of full, small"),
        (("toy", "--liberty", "none.lib"), "must be a readable liberty file"),
    ):
        done = dse_command("characterize", *words, "--energy", "-o", "table.csv")
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert fragment in done.stderr
    assert liberty[0].exists()


def test_small_units_come_from_four_designs_each() -> None:
    for block in (*CONTROL, *UNIT):
        designs = {one.design for one in MACHINES if block in one.blocks}
        assert len(designs) >= 4, block
        assert len({(one.width, one.acc_bits) for one in designs}) >= 4, block
        assert len({one.weight_depth for one in designs}) >= 3, block


def test_both_kinds_of_pe_have_second_stages_of_every_part() -> None:
    for unit in ("pe", "pe_mac"):
        deep = [one.design for one in unit_points("full") if one.block == unit and one.design.pe_cycles > 3]
        assert len(deep) >= 3
        assert all(max(getattr(one, stage) for one in deep) == 2 for stage in STAGES)
