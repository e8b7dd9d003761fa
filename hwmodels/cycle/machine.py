"""One layer on the machine, event by event: a process for every unit of docs/machine.md, section 3.

Times are whole cycles. A unit makes an event where it waits and nowhere else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from simpy import Environment, Event, Timeout
from simpy.core import SimTime

from hwmodels.cycle.count import Count
from hwmodels.cycle.port import Port
from hwmodels.mapping import FINISH_CYCLES
from hwmodels.schedule import Schedule, Times

HALVES = 2
"""Halves of every double buffer."""

Unit = Generator[Event, Any, None]


class Deadlock(RuntimeError):
    """Units that wait for each other for ever."""


def simulate(plan: Schedule, *, halves: int = HALVES) -> Times:
    """When what happens to every tile of a layer. Raises Deadlock, naming who waits for what."""
    machine = _Machine(plan, halves)
    machine.run()
    return Times(*(np.array(column, np.int64) for column in machine.events))


class _Machine:
    """The units of one layer and what they share: buffer halves, ports, and the book of what happened when."""

    def __init__(self, plan: Schedule, halves: int) -> None:
        self.plan, self.halves = plan, halves
        self.env = env = Environment()
        self.reads = Port(env, plan)
        self.writes = self.reads if plan.shared else Port(env, plan)
        self.loaded = Count(env, "loaded tile", "grid")
        self.computed = Count(env, "computed tile", "writer")
        self.freed = Count(env, "free input half", "loader", halves)
        self.outputs = Count(env, "free output half", "grid", halves)
        self.finished = Event(env)
        self.events: tuple[list[SimTime], ...] = tuple([] for _ in range(7))

    def run(self) -> None:
        """Until nothing happens any more, which must be because the last store was acknowledged."""
        for unit in (self.controller(), self.grid(), self.writer()):
            self.env.process(unit)
        self.env.run()
        if not self.finished.triggered:
            raise Deadlock(self.waits())

    def waits(self) -> str:
        """Who waits for what."""
        counts = (self.loaded, self.computed, self.freed, self.outputs)
        found = [count.waiting for count in counts if count.waiting is not None]
        return f"cycle {self.env.now}: {'; '.join(found)}"

    def controller(self) -> Unit:
        """Read the descriptor, let the loader go, and wait for the last store and its acknowledgement."""
        env, plan = self.env, self.plan
        yield env.timeout(plan.fetched)
        env.process(self.loader())
        yield self.finished
        yield env.timeout(plan.latency + FINISH_CYCLES)

    def loader(self) -> Unit:
        """Fill one input half after the other; a load on a shared port may end later than it first seemed."""
        env, port, freed, latency, halves = self.env, self.reads, self.freed, self.plan.latency, self.halves
        loading, loaded, _, _, done = self.events[:5]
        for tile, cycles in enumerate(self.plan.loads.tolist()):
            if freed.value <= tile:
                yield freed.reach(tile + 1)
            now = env.now
            if tile >= halves and done[tile - halves] > now:
                yield Timeout(env, done[tile - halves] - now)
                now = env.now
            loading.append(now)
            port.load(tile, cycles)
            while (end := port.load_end + latency) > now:
                yield Timeout(env, end - now)
                now = env.now
            loaded.append(now)
            self.loaded.add()

    def grid(self) -> Unit:
        """Work on one loaded tile after the other, a step every max(F, D) cycles, into a free output half.

        Nothing can stop a tile once it has begun, so its begin tells the loader and the writer when it will end.
        """
        env, plan, loaded, outputs = self.env, self.plan, self.loaded, self.outputs
        pace, rest, behind = plan.pace, plan.pace - plan.step, plan.drain + plan.pipeline
        started, read, done = self.events[2:5]
        for tile, steps in enumerate(plan.steps.tolist()):
            if loaded.value <= tile:
                yield loaded.reach(tile + 1)
            if outputs.value <= tile:
                yield outputs.reach(tile + 1)
            now = env.now
            started.append(now)
            read.append(now + steps * pace - rest)
            done.append(read[-1] + behind)
            self.freed.add()
            self.computed.add()
            yield Timeout(env, steps * pace)

    def writer(self) -> Unit:
        """Store one tile after the other, once its last result has come through drain and post unit."""
        env, port, computed = self.env, self.writes, self.computed
        done, writing, stored = self.events[4:]
        for tile, cycles in enumerate(self.plan.stores.tolist()):
            if computed.value <= tile:
                yield computed.reach(tile + 1)
            now = env.now
            if done[tile] > now:
                yield Timeout(env, done[tile] - now)
                now = done[tile]
            writing.append(now)
            yield Timeout(env, port.store(cycles))
            stored.append(env.now)
            self.outputs.add()
        self.finished.succeed()
