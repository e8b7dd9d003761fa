"""Exact models side by side, in one run: the event simulation, the same with SimPy's stores, and the recurrence.

ResNet-18 at 1 x 1 on a 32 x 32 array, each layer under its best mapping and under the one with the smallest tiles, and on
an 8 x 2 array with fifteen times as many tiles; on a port each and on a shared one. Prints microseconds per tile, seconds
per design and simulated cycles per second; the cycles of all models must be the same. The stores' version yields at every
put and get, and on a shared port at every burst, which is how one would write it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import simpy

from hwmodels import recurrence
from hwmodels.analytical import evaluate_layer
from hwmodels.cycle import simulate
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import FINISH_CYCLES, mappings
from hwmodels.schedule import Schedule, schedule
from workloads.zoo import NETWORKS

LARGE = Design(rows=32, cols=32, width=64, act_depth=256, port_bits=256)
SMALL = Design(rows=8, cols=2, width=64, weight_depth=2048)
REPEATS = 5
LAST = 2
"""SimPy runs what is scheduled with this priority after everything else of the cycle."""

Process = Generator[simpy.Event, Any, None]


class Stores:
    """The machine with a Store for every buffer half and token."""

    def __init__(self, plan: Schedule) -> None:
        self.plan, self.env = plan, simpy.Environment()
        self.full, self.results, self.drained = (simpy.Store(self.env) for _ in range(3))
        self.inputs, self.outputs = (simpy.Store(self.env) for _ in range(2))
        self.inputs.items, self.outputs.items = [0, 1], [0, 1]
        self.port = simpy.PriorityResource(self.env)

    def run(self) -> int:
        self.env.process(self.loader())
        self.env.process(self.grid())
        self.env.process(self.drain())
        self.env.run(until=self.env.process(self.writer()))
        return int(self.env.now) + self.plan.latency + FINISH_CYCLES

    def transfer(self, bursts: Sequence[int], cycles: int, priority: int) -> Process:
        """One sleep on a port of one's own; burst by burst on a shared one, the writer (0) before the loader (1)."""
        if not self.plan.shared:
            yield self.env.timeout(cycles)
            return
        for beats in bursts:
            if priority:
                yield from self.end_of_cycle()
            with self.port.request(priority=priority) as granted:
                yield granted
                yield self.env.timeout(1 + beats)

    def end_of_cycle(self) -> Process:
        event = self.env.event()
        event._ok, event._value = True, None
        self.env.schedule(event, priority=LAST)  # type: ignore[arg-type]
        yield event

    def loader(self) -> Process:
        yield self.env.timeout(self.plan.fetched)
        for tile, cycles in enumerate(self.plan.loads.tolist()):
            yield self.inputs.get()
            yield from self.transfer(self.plan.load_bursts(tile) if self.plan.shared else (), cycles, 1)
            yield self.env.timeout(self.plan.latency)
            yield self.full.put(tile)

    def grid(self) -> Process:
        for steps in self.plan.steps.tolist():
            yield self.full.get()
            yield self.outputs.get()
            yield self.env.timeout((steps - 1) * self.plan.pace + self.plan.step)
            yield self.results.put(self.env.now + self.plan.drain + self.plan.pipeline)
            yield self.env.timeout(self.plan.pace - self.plan.step)

    def drain(self) -> Process:
        while True:
            done = yield self.results.get()
            yield self.env.timeout(done - self.env.now)
            yield self.inputs.put(0)
            yield self.drained.put(0)

    def writer(self) -> Process:
        for tile, cycles in enumerate(self.plan.stores.tolist()):
            yield self.drained.get()
            yield from self.transfer(self.plan.store_bursts(tile) if self.plan.shared else (), cycles, 0)
            yield self.outputs.put(0)


def stores(plan: Schedule) -> int:
    """Latency of a layer, with stores."""
    return Stores(plan).run()


def lean(plan: Schedule) -> int:
    """Latency of a layer, simulated."""
    return int(simulate(plan).stored[-1]) + plan.latency + FINISH_CYCLES


def compiled(plan: Schedule) -> int:
    """Latency of a layer by the recurrence."""
    return int(recurrence.times(plan).stored[-1]) + plan.latency + FINISH_CYCLES


def plans(design: Design, smallest: bool) -> Iterator[Schedule]:
    """The layers of the network under their best mappings, or under those with the smallest tiles."""
    for layer in NETWORKS["resnet18"](m=1, k=1).layers:
        shape, best = geometry(layer, design.width), evaluate_layer(layer, design)
        if shape is not None and best is not None:
            yield schedule(shape, design, next(mappings(shape, design)) if smallest else best.mapping)


def measured(model: Callable[[Schedule], int], layers: Sequence[Schedule]) -> tuple[float, int]:
    """Best seconds of some runs over all layers, and their cycles."""
    seconds, cycles = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        cycles = sum(model(plan) for plan in layers)
        seconds.append(time.perf_counter() - began)
    return min(seconds), cycles


def compare(title: str, layers: Sequence[Schedule]) -> None:
    """Run all models that can and print a line for each."""
    models = {"stores": stores, "events": lean} | ({} if layers[0].shared else {"recurrence": compiled})
    found = {name: measured(model, layers) for name, model in models.items()}
    if len({cycles for _, cycles in found.values()}) != 1:
        raise SystemExit(f"cycles must be the same, not {found}")
    tiles = sum(plan.tiles for plan in layers)
    print(f"{title}, {tiles:,} tiles, {found['events'][1]:,} cycles")
    for name, (seconds, cycles) in found.items():
        print(
            f"  {name:10} {seconds * 1e6 / tiles:10.3f} us/tile {seconds:8.4f} s/design {cycles / seconds:.2e} cycles/s"
            f" {found['stores'][0] / seconds:9,.1f} x stores {found['events'][0] / seconds:9,.1f} x events"
        )


def main() -> None:
    """Measure and print."""
    for design, smallest in ((LARGE, False), (LARGE, True), (SMALL, True)):
        began = time.perf_counter()
        layers = list(plans(design, smallest))
        print(f"ResNet-18 1x1 on {design.name}; mappings and schedules in {time.perf_counter() - began:.3f} s")
        compiled(replace(layers[0], shared=False))
        for shared in (False, True):
            title = f"{'smallest tiles' if smallest else 'best mappings'}, {'shared port' if shared else 'a port each'}"
            compare(title, [replace(plan, shared=shared) for plan in layers])


if __name__ == "__main__":
    main()
