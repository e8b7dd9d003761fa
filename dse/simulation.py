"""`dse simulate`: a network on one design, cycle by cycle: where the time goes, layer by layer and unit by unit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hwmodels.activity import Activity
from hwmodels.build import Build
from hwmodels.cost import price
from hwmodels.design import Design
from hwmodels.exact import Timed, simulated_times, timed
from hwmodels.rates import RANDOM, Rates
from hwmodels.technology import technology
from workloads.network import Network

UNITS = ("loader", "grid", "drain", "writer")
SPANS = 100
"""Equal parts of the latency over which utilisation is shown."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A network on a design by event simulation: one row a layer, and one interval a unit and tile."""

    network: Network
    design: Design
    layers: pd.DataFrame
    intervals: pd.DataFrame
    """layer, tile, unit, begin and end in cycles from the first cycle of the network."""
    energy_nj: Mapping[str, float]
    """By where the toggle rates come from: random data, and what was observed if anything was."""

    @property
    def cycles(self) -> int:
        """Latency of the network."""
        return int(self.layers["latency_cycles"].sum())

    @property
    def utilisation(self) -> float:
        """Share of all cycles in which the grid (or the vector unit) works."""
        return float(self.layers["compute_cycles"].sum() / self.cycles)

    @property
    def over_time(self) -> pd.DataFrame:
        """Utilisation over time: a row for each of at most 100 equal spans, from `begin`, and the share that a unit is busy.

        The drain is left out: it is busy for two tiles at a time where tiles are short.
        """
        edges = np.linspace(0, self.cycles, min(SPANS, self.cycles) + 1)
        shares = {
            unit: _busy(self.intervals[self.intervals["unit"] == unit], edges) for unit in UNITS if unit != "drain"
        }
        return pd.DataFrame({"begin": edges[:-1], **shares})

    @property
    def summary(self) -> dict[str, Any]:
        """Everything but the intervals, for a script."""
        return {
            "network": self.network.name,
            "design": asdict(self.design),
            "latency_cycles": self.cycles,
            "latency_us": self.cycles / self.design.clock_mhz,
            "utilisation": self.utilisation,
            "energy_nj": dict(self.energy_nj),
            "layers": self.layers.to_dict("records"),
            "over_time": self.over_time.to_dict("list"),
        }


def simulate(network: Network, design: Design, rates: Rates = RANDOM) -> Simulation:
    """Every layer under the closed form's best mapping, energy for random data and for `rates`.

    Raises Misfit, naming layer and buffer, where one does not fit.
    """
    rows, intervals, begin, done = [], [], 0, Activity()
    for layer in network.layers:
        found = timed(layer, design, simulated_times)
        if found is None:
            continue
        rows.append(_row(layer.name, found, design))
        intervals += list(_intervals(layer.name, found, begin))
        begin += found.evaluated.activity.cycles.total
        done += found.evaluated.activity
    build, node = Build.of(design), technology(design.technology)
    energy = {each.source: float(price(done, build, node, each).energy_nj) for each in (RANDOM, rates)}
    return Simulation(network, design, pd.DataFrame(rows), pd.DataFrame(intervals), energy)


def write_trace(found: Simulation, path: Path) -> None:
    """A trace that Perfetto and chrome://tracing open: one track a unit, a slice a tile; a microsecond is a cycle."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": place, "name": "thread_name", "args": {"name": unit}}
        for place, unit in enumerate(("layer", *UNITS))
    ]
    for name, part in found.intervals.groupby("layer", sort=False):
        first, last = int(part["begin"].min()), int(part["end"].max())
        events.append({"ph": "X", "pid": 1, "tid": 0, "name": str(name), "ts": first, "dur": last - first})
    for row in found.intervals.itertuples():
        place = 1 + UNITS.index(str(row.unit))
        args = {"layer": row.layer}
        events.append(
            {"ph": "X", "pid": 1, "tid": place, "name": f"tile {row.tile}", "ts": row.begin, "dur": row.end - row.begin, "args": args}
        )  # fmt: skip
    path.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}), encoding="utf-8")


def _busy(part: pd.DataFrame, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of every span between edges that intervals cover, which are in order and do not overlap."""
    knots = part[["begin", "end"]].to_numpy().reshape(-1)
    covered = np.cumsum(np.diff(knots, prepend=knots[0]) * (np.arange(len(knots)) % 2))
    shares: npt.NDArray[np.float64] = np.diff(np.interp(edges, knots, covered)) / np.diff(edges)
    return shares


def _row(name: str, found: Timed, design: Design) -> dict[str, Any]:
    activity, mapping = found.evaluated.activity, found.evaluated.mapping
    latency = activity.cycles.total
    return {
        "layer": name,
        "mapping": f"{mapping.dataflow}, {mapping.groups * design.rows} channels, {mapping.block[0]}x{mapping.block[1]}",
        "tiles": found.plan.tiles,
        "latency_cycles": latency,
        **asdict(activity.cycles),
        "utilisation": activity.cycles.compute_cycles / latency,
        "port_utilisation": _port_share(activity, design),
        "bytes_per_cycle": (activity.memory_read_bits + activity.memory_write_bits) / 8 / latency,
        "wait_for": _cause(found),
    }


def _port_share(activity: Activity, design: Design) -> float:
    """Busy cycles of the ports over what they had: one port's cycles if shared, two ports' otherwise."""
    ports = 1 if design.port_shared else 2
    return (activity.load_busy + activity.store_busy) / (ports * activity.cycles.total)


def _cause(found: Timed) -> str:
    """What the grid waited for between tiles, in cycles: the loader, or the writer that must free an output half."""
    times, plan = found.times, found.plan
    loader = writer = 0
    for tile in range(1, plan.tiles):
        free = int(times.started[tile - 1] + plan.steps[tile - 1] * plan.pace)
        waited = int(times.started[tile]) - free
        late_store = int(times.stored[tile - 2]) if tile > 1 else 0
        if int(times.loaded[tile]) >= late_store:
            loader += waited
        else:
            writer += waited
    return f"loader {loader}, writer {writer}"


def _intervals(name: str, found: Timed, begin: int) -> Iterator[dict[str, Any]]:
    """Busy intervals of every unit, in cycles of the network."""
    times, plan = found.times, found.plan
    for tile in range(plan.tiles):
        spans = {
            "loader": (times.loading[tile], times.loaded[tile]),
            "grid": (times.started[tile], times.read[tile]),
            "drain": (times.read[tile], times.done[tile]),
            "writer": (times.writing[tile], times.stored[tile]),
        }
        for unit, (first, last) in spans.items():
            yield {"layer": name, "tile": tile, "unit": unit, "begin": begin + int(first), "end": begin + int(last)}
