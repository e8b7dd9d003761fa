"""`dse characterize`: a run that is killed goes on, a point that fails is a row, and bad input is one line."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import dse.characterize as running
from dse.characterize import characterize
from hwmodels.synthesis import routing, yosys
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.grid import plan
from hwmodels.synthesis.table import read_table
from hwmodels.synthesis.targets import Target
from hwmodels.synthesis.yosys import Synthesis, Yosys
from hwmodels.tool_error import ToolError
from tests.conftest import Dse

CELLS = "library (toy) {{ cell (INV) {{ area : 1.5; }} {} }}"
TOOL = Yosys("path", "9.9", ("yosys",))


def counts_of(point: Point) -> Counts:
    """Any counts that tell points apart."""
    return Counts(lut=point.design.width, ff=len(point.block))


def outcome(point: Point) -> Synthesis:
    """What synthesis gives of a point."""
    return Synthesis(counts_of(point), 1.5)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """A Yosys of no weight; the points that it was asked for."""
    points: list[Point] = []

    def synthesize(point: Point, aim: Target, tool: Yosys, folder: Path, *, timeout_s: float) -> Synthesis:
        assert (aim.name, tool, timeout_s) == ("xc7", TOOL, 900.0)
        (folder / yosys.LOG).write_text("what Yosys said")
        points.append(point)
        return outcome(point)

    monkeypatch.setattr(running, "synthesize", synthesize)
    monkeypatch.setattr(running, "find_yosys", lambda _source: TOOL)
    return points


def test_the_table_does_not_depend_on_workers(tmp_path: Path, seen: list[Point]) -> None:
    one = characterize("xc7", tmp_path / "one.csv", points="small")
    assert seen == list(plan("small", "fpga"))
    two = characterize("xc7", tmp_path / "two.csv", points="small", workers=4)
    for done in (one, two):
        assert [row.counts for row in done.table.rows] == [counts_of(point) for point in plan("small", "fpga")]
        assert [row.digest for row in read_table(done.path).rows] == [row.digest for row in one.table.rows]
    assert (one.reused, one.failed) == (0, ())


def test_a_killed_run_goes_on(tmp_path: Path, seen: list[Point]) -> None:
    output = tmp_path / "table.csv"

    def killed(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        characterize("xc7", output, points="small", progress=killed)
    assert len(read_table(output).rows) == 3
    output.write_text(output.read_text() + "pe,array,16")  # as if it was killed while it wrote a line
    with pytest.raises(ValueError, match="must not exist yet; go on with it by --resume"):
        characterize("xc7", output, points="small")
    seen.clear()
    progress: list[tuple[int, int]] = []
    done = characterize(
        "xc7", output, points="small", resume=True, progress=lambda now, total: progress.append((now, total))
    )
    total = len(plan("small", "fpga"))
    assert (done.reused, len(seen), len(done.table.rows)) == (3, total - 3, total)
    assert (progress[0], progress[-1]) == ((3, total), (total, total))
    seen.clear()
    assert characterize("xc7", output, points="small", resume=True).reused == total
    assert seen == []


def test_points_of_another_tool_are_done_again(
    tmp_path: Path, seen: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    characterize("xc7", tmp_path / "table.csv", points="small")
    assert seen
    newer = Yosys("path", "9.10", ("yosys",))
    monkeypatch.setattr(running, "find_yosys", lambda _source: newer)
    monkeypatch.setattr(running, "synthesize", lambda point, *_rest, **_timeout: outcome(point))
    done = characterize("xc7", tmp_path / "table.csv", points="small", resume=True)
    assert done.reused == 0
    assert done.table.head["tool"] == "Yosys 9.10"


def test_a_point_that_fails_leaves_its_log_and_the_rest_goes_on(
    tmp_path: Path, seen: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = running.synthesize

    def failing(point: Point, aim: Target, tool: Yosys, folder: Path, *, timeout_s: float) -> Synthesis:
        found = good(point, aim, tool, folder, timeout_s=timeout_s)
        if point.block == "writer":
            raise ToolError("Yosys must end within 900 s, but did not")
        return found

    monkeypatch.setattr(running, "synthesize", failing)
    done = characterize("xc7", tmp_path / "table.csv", points="small")
    assert [row.point.block for row in done.failed] == ["writer"]
    (log,) = done.logs.iterdir()
    assert log.stem == done.failed[0].digest
    assert "must end within 900 s" in log.read_text()
    assert "what Yosys said" in log.read_text()
    assert "1 failed, see" in done.words
    seen.clear()
    monkeypatch.setattr(running, "synthesize", good)
    assert characterize("xc7", tmp_path / "table.csv", points="small", resume=True).failed == ()
    assert [point.block for point in seen] == ["writer"]


def test_a_point_that_is_not_routed_keeps_its_counts_and_is_tried_again(
    tmp_path: Path, seen: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unroutable(counts: Counts, point: Point, _aim: Target, folder: Path, *, timeout_s: float) -> Counts:
        (folder / routing.LOG).write_text(f"what nextpnr said within {timeout_s:g} s")
        if point.block == "writer":
            raise ToolError("nextpnr failed with exit code 1 (seed 2): no room")
        return replace(counts, clock_mhz=100.0)

    monkeypatch.setattr(running, "routed", unroutable)
    done = characterize("xc7", tmp_path / "table.csv", points="small")
    (row,) = done.failed
    assert (row.point.block, row.status, row.counts) == ("writer", "unrouted", counts_of(row.point))
    assert row in done.table.done("writer"), "its counts hold"
    (log,) = done.logs.iterdir()
    assert "(seed 2): no room" in log.read_text()
    assert "what nextpnr said" in log.read_text()
    seen.clear()
    monkeypatch.setattr(running, "routed", lambda counts, *_rest, **_timeout: replace(counts, clock_mhz=50.0))
    again = characterize("xc7", tmp_path / "table.csv", points="small", resume=True)
    assert again.failed == ()
    assert [point.block for point in seen] == ["writer"]
    assert again.table.done("writer")[0].counts.clock_mhz == 50.0


def test_a_table_of_another_target_is_not_gone_on_with(tmp_path: Path, seen: list[Point]) -> None:
    characterize("xc7", tmp_path / "table.csv", points="small")
    assert seen
    with pytest.raises(ValueError, match="must be of target ice40, not xc7"):
        characterize("ice40", tmp_path / "table.csv", points="small", resume=True)


def test_a_yosys_that_is_missing_or_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yosys, "SOURCES", {"path": lambda: None})
    with pytest.raises(ToolError, match="Yosys must be there: pip install pyosys"):
        yosys.find_yosys()
    monkeypatch.setattr(yosys, "SOURCES", {"path": lambda: Yosys("path", "0.23", ("yosys",))})
    with pytest.raises(ToolError, match=r"Yosys must be 0.40 or newer, not 0.23"):
        yosys.find_yosys()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('ERROR: no such cell')", "exit code 1: ERROR: no such cell"),
        ("import time; time.sleep(60)", "end within"),
    ],
)
def test_a_yosys_that_crashes_or_hangs_says_so(tmp_path: Path, code: str, message: str) -> None:
    tool = Yosys("path", "9.9", (sys.executable, "-c", code))
    point = plan("small", "fpga")[0]
    aim = Target("xc7", None)
    began = time.monotonic()
    with pytest.raises(ToolError, match=message):
        yosys.synthesize(point, aim, tool, tmp_path, timeout_s=2)
    assert time.monotonic() - began < 30


def refused(done: subprocess.CompletedProcess[str], fragment: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines() == [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert fragment in done.stderr


def test_bad_input_is_one_line(dse_command: Dse, tmp_path: Path) -> None:
    (tmp_path / "toy.lib").write_text(CELLS.format(""))
    (tmp_path / "cut.lib").write_text(CELLS.format("")[:-4])
    for words, fragment in (
        (("gf180",), "target must be one of xc7, xcup, ecp5, ice40, or have --liberty files"),
        (("toy", "--liberty", "toy.lib"), "must hold flip-flops"),
        (("toy", "--liberty", "cut.lib"), "must be a whole liberty file"),
        (("xc7", "--liberty", "toy.lib"), "is an FPGA family and takes no liberty file"),
        (("xc7", "--points", "many"), "points must be one of full, small, widths"),
        (("xc7", "--yosys", "vivado"), "yosys must be one of path, pyosys, yowasp"),
    ):
        refused(dse_command("characterize", *words, "-o", "table.csv"), fragment)
        assert not (tmp_path / "table.csv").exists()
