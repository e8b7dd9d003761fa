"""Measuring a block: synthesize it, simulate its gates under streams, and add up what toggles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwmodels.rates import Rates
from hwmodels.switching.cells import Cells
from hwmodels.switching.energy import Bits, Switching, switching, total
from hwmodels.switching.glitches import glitch_share
from hwmodels.switching.loads import Conditions, conditions
from hwmodels.switching.netlist import Netlist, read_netlist
from hwmodels.switching.parts import Part, parts
from hwmodels.switching.simulation import Simulator, Trace, build
from hwmodels.switching.streams import STREAMS, pe_stimulus
from hwmodels.switching.table import PARTS, WORK, Sample
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.targets import Target
from hwmodels.synthesis.yosys import MAPPED, Yosys, synthesize

NAMED = {"count_q": "count", "product_q": "count", "sum_q": "sum", "acc_q": "accumulate", "hold_q": "hold"}
"""Part of a table by the register that logic ends in."""
OPERANDS = ("port act_i", "port weight_i")
CHUNK = 4096
"""Cycles that are looked at side by side."""
GLITCH_CYCLES = 512


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement works with: cells and the target made of them, tools, femtofarads of wire for every pin driven."""

    aim: Target
    cells: Cells
    tool: Yosys
    wire_ff: float
    timeout_s: float
    shared: Path
    """Folder of what compiled netlists, and compiled engines, share."""


@dataclass(frozen=True, slots=True)
class Gates:
    """A block as gates, ready to be simulated."""

    point: Point
    digest: str
    netlist: Netlist
    simulator: Simulator
    found: Conditions
    area_um2: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a block is given in some cycles of a trace: a name, toggle rates, and how many actions it does."""

    stream: str
    rates: Rates
    actions: Mapping[str, float]


def gates(point: Point, digest: str, bench: Bench, folder: Path) -> Gates:
    """Synthesize and compile a block in an empty folder. Raises ToolError where a tool fails."""
    netlist, area_um2 = mapped(point, bench, folder)
    simulator = build(netlist, folder / "gates", library=bench.shared / "gates")
    return Gates(point, digest, netlist, simulator, conditions(netlist, wire_ff=bench.wire_ff), area_um2)


def mapped(point: Point, bench: Bench, folder: Path) -> tuple[Netlist, float]:
    """The netlist of a block and its area. Raises ToolError where synthesis fails."""
    found = synthesize(point, bench.aim, bench.tool, folder, timeout_s=bench.timeout_s)
    return read_netlist(folder / MAPPED, point.top, bench.cells), found.counts.area_um2


def random_samples(found: Gates, bench: Bench) -> Iterator[Sample]:
    """A PE under every random stream; each cycle is one of work."""
    for stream in STREAMS:
        trace = found.simulator.run(pe_stimulus(found.point.design, stream, found.netlist.sources))
        name = f"random {stream.activations:g} {stream.weights:g}"
        cycles, k = float(len(trace) - 1), found.point.design
        work = Work(name, stream.rates, {"xnor_words": cycles * k.act_lanes * k.weight_lanes, "accumulations": cycles})
        yield sample(found, bench, trace, 0, len(trace), work, glitches=True)


def sample(
    found: Gates, bench: Bench, trace: Trace, begin: int, end: int, work: Work, *, glitches: bool = False
) -> Sample:
    """Energy of the cycles of a trace from `begin` to the one before `end`."""
    energy = total([chunk(found, bench, trace, at, min(end, at + CHUNK + 1)) for at in range(begin, end - 1, CHUNK)])
    own = parts(found.netlist, energy)
    middle = max(begin, (begin + end - GLITCH_CYCLES) // 2)
    return Sample(
        point=found.point,
        stream=work.stream,
        rates=work.rates,
        cycles=energy.cycles,
        work={name: work.actions.get(name, 0.0) for name in WORK},
        parts_fj=_by_part(own, energy.cycles),
        clock_fj=sum(part.clock_fj for part in own.values()) / energy.cycles,
        leakage_nw=energy.leakage_nw,
        flip_flops=sum(part.flip_flops for part in own.values()),
        area_um2=found.area_um2,
        glitches=_glitches(found, bench, trace.rows(middle, min(end, middle + GLITCH_CYCLES + 1))) if glitches else 0.0,
        digest=found.digest,
    )


def chunk(found: Gates, bench: Bench, trace: Trace, begin: int, end: int) -> Switching:
    """Energy of the transitions within some rows."""
    return switching(found.netlist, bench.cells, found.found, trace.rows(begin, end))


def _glitches(found: Gates, bench: Bench, rows: Bits) -> float:
    return glitch_share(found.netlist, bench.cells, found.found, rows)


def _by_part(own: Mapping[str, Part], cycles: int) -> dict[str, float]:
    """fJ a cycle by the parts of a table."""
    result = dict.fromkeys(PARTS, 0.0)
    for name, part in own.items():
        result["operands" if name in OPERANDS else NAMED.get(name, "other")] += part.switching_fj / cycles
    return result
