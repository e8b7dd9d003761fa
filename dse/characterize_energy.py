"""`dse characterize --energy`: gate-level energy of the engine's units under random streams, and of units and arrays that run the
digits networks, into one table."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dse.characterize import TIMEOUT_S
from dse.examples import digits
from dse.progress import Progress
from dse.recording import Recorder, Recording, build_recorder
from dse.variants import load_array, load_network
from hwmodels.activity import Activity
from hwmodels.analytical import evaluate_layer
from hwmodels.design import Design
from hwmodels.rates import Rates
from hwmodels.rtl.verilator import simulator_name
from hwmodels.switching.cells import read_cells
from hwmodels.switching.loads import INPUT_SLEW_NS
from hwmodels.switching.measure import Bench, Gates, Work, gates, random_samples, sample
from hwmodels.switching.table import HEAD, WORK, EnergyTable, Sample, read_table, table_text
from hwmodels.synthesis.blocks import Point, rtl_digest
from hwmodels.synthesis.targets import target
from hwmodels.synthesis.yosys import find_yosys
from hwmodels.tool_error import ToolError
from workloads.encoded import EncodedNetwork
from workloads.observation import Observation, observe

Job = Callable[[Path], list[Sample]]
"""What measures a point in a folder of its own."""
PLACES = {
    "array": "u_grid.", "post_unit": "gen_post[0].u_post.", "vector_unit": "u_vector.", "sequencer": "u_sequencer.",
    "loader": "u_loader.", "writer": "u_writer.", "controller": "u_controller.", "columns": "u_columns.", "drain": "u_drain.",
}  # fmt: skip
"""Where a block sits in the engine."""
UNITS = tuple(block for block in PLACES if block != "array")
"""Blocks that are small: their energies are of more machines than an array's."""
LAYERED = ("array", "post_unit", "vector_unit")
"""Blocks that are looked at layer by layer; control is, over a whole run."""
NEEDS = {"array": "accumulations", "post_unit": "threshold_compares", "vector_unit": "vector_words"}

# width, lanes_a, lanes_w, max_act_bits, max_weight_bits, weight_depth
_PES = (
    (8, 1, 1, 2, 2, 256), (16, 1, 1, 5, 2, 512), (16, 1, 1, 8, 8, 1024), (32, 1, 1, 2, 2, 512), (32, 1, 1, 4, 4, 1024),
    (64, 1, 1, 4, 4, 512), (128, 1, 1, 2, 2, 512), (8, 2, 2, 2, 2, 256), (16, 2, 2, 4, 4, 512), (32, 2, 2, 2, 2, 512),
    (16, 1, 2, 4, 4, 512), (16, 4, 4, 4, 4, 512), (16, 3, 3, 3, 3, 512), (8, 4, 4, 4, 4, 1024), (32, 1, 4, 4, 4, 512),
)  # fmt: skip
# width, max_act_bits, max_weight_bits
_MACS = (
    (8, 1, 1), (16, 1, 1), (16, 2, 2), (8, 2, 2), (16, 3, 3), (8, 4, 4), (16, 4, 4), (8, 8, 8), (16, 5, 2), (8, 6, 6), (16, 8, 4),
    (4, 8, 8), (8, 2, 8),
)  # fmt: skip

# width, lanes_a, lanes_w, max_act_bits, max_weight_bits, count_stages, sum_stages, acc_stages
_DEEP = ((16, 1, 1, 5, 2, 2, 1, 2), (32, 2, 2, 2, 2, 2, 2, 2), (64, 1, 1, 4, 4, 2, 1, 1))
_DEEP_MACS = ((8, 1, 1, 2, 2, 2, 1, 1), (8, 1, 1, 4, 4, 2, 2, 2), (16, 1, 1, 3, 3, 1, 2, 1), (16, 1, 1, 2, 2, 2, 1, 2))


@dataclass(frozen=True, slots=True)
class Machine:
    """A design whose blocks run networks of the digits example; every digits network has 5-bit images."""

    design: Design
    blocks: tuple[str, ...]
    networks: tuple[str, ...]


def _machine(blocks: Sequence[str], networks: Sequence[str], **knobs: Any) -> Machine:
    base = Design(
        rows=4, cols=2, width=16, port_bits=16, max_act_bits=5, max_weight_bits=2, act_depth=1024, weight_depth=1024,
        out_depth=512, threshold_depth=64,
    )  # fmt: skip
    return Machine(replace(base, **knobs), tuple(blocks), tuple(networks))


MACHINES = (
    _machine(tuple(PLACES), ("digits_m1k1",)),
    _machine(("array",), ("digits_m2k2",), lanes_a=2, lanes_w=2),
    _machine(("array",), ("digits_m1k2",), cols=4),
    _machine(("array", "post_unit"), ("digits_m2k2",), kind="mac"),
    _machine(("array",), ("digits_m1k1",), width=32, port_bits=32),
    _machine(
        UNITS,
        ("digits_m1k2",),
        width=32,
        port_bits=32,
        act_depth=512,
        weight_depth=512,
        out_depth=256,
        threshold_depth=32,
    ),
    _machine(UNITS, ("digits_m2k2",), rows=8, width=8, port_bits=8, act_depth=2048, weight_depth=2048),
    _machine(UNITS, ("digits_m1k1",), max_act_bits=6, max_weight_bits=4, weight_depth=4096, out_depth=1024),
)
"""Whole arrays, in which PEs, grid and control do what a real network asks of them."""


def unit_points(points: str) -> tuple[Point, ...]:
    """PEs that are simulated by themselves. Raises ValueError for an unknown plan."""
    if points not in ("full", "small"):
        raise ValueError(f"points must be one of full, small, not {points!r}")
    arrays = [
        Point("pe", replace(_alone(width, depth), lanes_a=la, lanes_w=lw, max_act_bits=act, max_weight_bits=weight))
        for width, la, lw, act, weight, depth in _PES
    ]
    macs = [
        Point("pe_mac", replace(_alone(w, 512), kind="mac", max_act_bits=m, max_weight_bits=k)) for w, m, k in _MACS
    ]
    deep = [_deep("pe", *knobs) for knobs in _DEEP] + [_deep("pe_mac", *knobs) for knobs in _DEEP_MACS]
    return (*arrays, *macs, *deep) if points == "full" else (*arrays[:2], *macs[:1])


def _deep(unit: str, width: int, la: int, lw: int, act: int, weight: int, count: int, add: int, acc: int) -> Point:
    """A PE with more stages."""
    design = replace(
        _alone(width, 512), kind="mac" if unit == "pe_mac" else "array", lanes_a=la, lanes_w=lw, max_act_bits=act,
        max_weight_bits=weight, count_stages=count, sum_stages=add, acc_stages=acc,
    )  # fmt: skip
    return Point(unit, design)


def _alone(width: int, depth: int) -> Design:
    return Design(rows=width, width=width, port_bits=width, weight_depth=depth)


@dataclass(frozen=True, slots=True)
class EnergyRun:
    """The finished table and where it lies; names of points that failed, with the reason; samples taken from the run before."""

    table: EnergyTable
    path: Path
    failed: tuple[str, ...]
    reused: int

    @property
    def summary(self) -> dict[str, Any]:
        """Counts for a script."""
        return {
            "table": str(self.path),
            "samples": len(self.table.samples),
            "failed": len(self.failed),
            "reused": self.reused,
        }

    @property
    def words(self) -> str:
        """For people."""
        said = f"wrote {self.path}: {len(self.table.samples)} samples, {self.reused} of them before, by {self.table.head['tool']}"
        return "\n".join([said, *(f"failed: {one}" for one in self.failed)])


def characterize_energy(
    name: str, output: Path, *, liberty: Sequence[Path], points: str = "full", workers: int = 1, resume: bool = False,
    timeout_s: float = TIMEOUT_S, yosys: str | None = None, wire_ff: float = 0.0, progress: Progress | None = None,
) -> EnergyRun:  # fmt: skip
    """Synthesizes and simulates the points of a plan and writes the table as they finish; `small` is PEs only.

    Raises ValueError for a target without liberty files or an existing table that does not fit, ToolError where a tool is missing.
    """
    if not liberty:
        raise ValueError(f"target {name!r}: energy must have --liberty files, because an FPGA's cells state none")
    aim, tool = target(name, tuple(liberty)), find_yosys(yosys)
    machines = MACHINES if points == "full" else ()
    units = unit_points(points)
    head = {
        "target": name, "tool": tool.name, "simulator": simulator_name(), "options": aim.options, "origin": aim.origin,
        "voltage_v": f"{aim.voltage_v:g}", "wire_ff": f"{wire_ff:g}", "input_slew_ns": f"{INPUT_SLEW_NS:g}", "rtl": rtl_digest(),
    }  # fmt: skip
    context = "|".join(head[key] for key in HEAD if key not in ("rtl", "target"))
    kept = _kept(output, head, resume)
    with TemporaryDirectory(prefix="dse-energy-") as folder:
        bench = Bench(aim, read_cells(aim.libraries), tool, wire_ff, timeout_s, Path(folder) / "shared")
        bench.shared.mkdir()
        jobs: dict[str, Job] = {}
        for point in units:
            digest = point.digest(context)
            jobs[digest] = partial(_unit, point, digest, bench)
        for machine in machines:
            digest = Point("engine", machine.design).digest(f"{context}|{machine.blocks}|{machine.networks}")
            jobs[digest] = partial(_whole, machine, digest, bench)
        done = {digest: samples for digest, samples in kept.items() if digest in jobs}
        reused = sum(len(samples) for samples in done.values())
        failed = _run(jobs, done, head, output, Path(folder), workers, progress)
    return EnergyRun(_table(jobs, done, head), output, tuple(failed), reused)


def _run(
    jobs: Mapping[str, Job], done: dict[str, list[Sample]], head: Mapping[str, str], output: Path, folder: Path,
    workers: int, progress: Progress | None,
) -> list[str]:  # fmt: skip
    """Fill `done`, the table written after every job; what went wrong, one line each."""
    failed: list[str] = []
    left = [digest for digest in jobs if digest not in done]
    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(_job, jobs[digest], folder / digest): digest for digest in left}
        for future in as_completed(waiting):
            try:
                done[waiting[future]] = future.result()
            except (ToolError, ValueError) as error:
                failed.append(" ".join(str(error).split()))
            _write(output, _table(jobs, done, head))
            if progress:
                progress(len(done) + len(failed), len(jobs))
    return failed


def _job(job: Job, folder: Path) -> list[Sample]:
    folder.mkdir(parents=True)
    try:
        return job(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unit(point: Point, digest: str, bench: Bench, folder: Path) -> list[Sample]:
    return list(random_samples(gates(point, digest, bench, folder), bench))


def _whole(machine: Machine, digest: str, bench: Bench, folder: Path) -> list[Sample]:
    """All blocks of a machine on all its networks."""
    found = {block: _block(Point(block, machine.design), digest, bench, folder / block) for block in machine.blocks}
    inputs = load_array(digits() / "images.npy")[:1]
    recorder, samples = _recorder(machine, found, bench, folder), list[Sample]()
    for name in machine.networks:
        encoded = load_network(digits() / f"{name}.onnx")
        recorded = recorder.run(encoded, inputs)
        seen = observe(encoded, inputs, width=machine.design.width)
        for block, one in found.items():
            samples += _recorded(one, bench, recorded, encoded, seen, block)
    return samples


def _recorder(machine: Machine, found: Mapping[str, Gates], bench: Bench, folder: Path) -> Recorder:
    """The machine's engine, which writes down what the ports of its blocks carry."""
    signals = {
        block: {PLACES[block] + name: len(bits) for name, bits in one.netlist.sources.items()}
        for block, one in found.items()
    }
    return build_recorder(machine.design, signals, folder / "engine", library=bench.shared / "engines")


def _block(point: Point, digest: str, bench: Bench, folder: Path) -> Gates:
    folder.mkdir()
    return gates(point, digest, bench, folder)


def _recorded(
    one: Gates, bench: Bench, recorded: Recording, encoded: EncodedNetwork, seen: Mapping[str, Observation], block: str
) -> Iterator[Sample]:
    """A block under what its ports carried: a sample a layer of its kind, or one of the whole run."""
    trace = one.simulator.run(recorded.units[block])
    name = encoded.network.name
    activities = _activities(encoded, one.point.design)
    ends = [*recorded.starts[1:], len(trace)]
    if block not in LAYERED:
        yield sample(one, bench, trace, recorded.starts[0], ends[-1], Work(name, Rates(source=name), {}))
        return
    for (layer, activity), begin, end in zip(activities.items(), recorded.starts, ends, strict=True):
        actions = {key: float(getattr(activity.actions, key)) for key in WORK}
        if actions[NEEDS[block]]:
            work = Work(f"{name} {layer}", _rates(seen.get(layer)), actions)
            yield sample(one, bench, trace, begin, end, work, glitches=block == "array")


def _activities(encoded: EncodedNetwork, design: Design) -> dict[str, Activity]:
    """What the machine does in every layer that costs something, in the order in which it runs them."""
    found = {layer.name: evaluate_layer(layer, design) for layer in encoded.network.layers}
    return {name: best.activity for name, best in found.items() if best is not None}


def _rates(seen: Observation | None) -> Rates:
    if seen is None:
        return Rates()
    return Rates(
        activations=seen.activation_toggle_rate,
        weights=seen.weight_toggle_rate,
        products=seen.product_toggle_rate,
        source="observed",
    )


def _kept(output: Path, head: Mapping[str, str], resume: bool) -> dict[str, list[Sample]]:
    """Samples of the table that is there, by digest."""
    if not output.exists():
        return {}
    if not resume:
        raise ValueError(f"{output}: must not exist yet; go on with it by --resume, or remove it")
    before = read_table(output)
    if before.head["target"] != head["target"]:
        raise ValueError(f"{output}: must be of target {head['target']}, not {before.head['target']}")
    found: dict[str, list[Sample]] = {}
    for one in before.samples:
        found.setdefault(one.digest, []).append(one)
    return found


def _table(jobs: Mapping[str, object], done: Mapping[str, list[Sample]], head: Mapping[str, str]) -> EnergyTable:
    """As planned, however the points finished."""
    return EnergyTable(head, tuple(one for digest in jobs for one in done.get(digest, [])))


def _write(output: Path, table: EnergyTable) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f"{output.name}.part")
    part.write_text(table_text(table), encoding="utf-8")
    shutil.move(part, output)
