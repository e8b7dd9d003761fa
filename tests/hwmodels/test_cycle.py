"""The event simulation against a machine that is stepped cycle by cycle and burst by burst, and against the recurrence."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import few, random_any_layer, random_design

from hwmodels import recurrence
from hwmodels.cycle import Deadlock, simulate
from hwmodels.geometry import geometry
from hwmodels.mapping import FINISH_CYCLES, Misfit, check_fit, mappings
from hwmodels.schedule import Schedule, Times, cycles_by_cause, schedule

EVENTS = tuple(Times.__slots__)


class Stepped:
    """Every unit looks at the others once a cycle; the port takes one burst at a time. Slow and without any formula."""

    def __init__(self, plan: Schedule) -> None:
        self.plan, self.now = plan, 0
        self.reads = [list(plan.load_bursts(tile)) for tile in range(plan.tiles)]
        self.writes = [list(plan.store_bursts(tile)) for tile in range(plan.tiles)]
        self.times: dict[str, list[int]] = {name: [] for name in EVENTS}
        self.port_free = {"load": 0, "store": 0}
        self.read_end = self.write_end = 0

    def run(self) -> dict[str, list[int]]:
        while len(self.times["stored"]) < self.plan.tiles:
            if self.now >= self.plan.fetched:
                # Whatever one unit finishes in a cycle, the others see in it: look until nothing moves any more.
                while self.look():
                    pass
                self.arbitrate()
            self.now += 1
        return self.times

    def happened(self, name: str) -> int:
        """How many tiles this has happened to by now."""
        return sum(time <= self.now for time in self.times[name])

    def look(self) -> bool:
        before = sum(map(len, self.times.values()))
        self.loader()
        self.grid()
        self.writer()
        return sum(map(len, self.times.values())) > before

    def loader(self) -> None:
        times, tile = self.times, len(self.times["loaded"])
        waiting = len(times["loading"]) > tile
        if waiting and not self.reads[tile] and self.now == self.read_end + self.plan.latency:
            times["loaded"].append(self.now)
        elif not waiting and tile < self.plan.tiles and self.happened("done") >= tile - 1:
            times["loading"].append(self.now)

    def grid(self) -> None:
        times, plan, tile = self.times, self.plan, len(self.times["started"])
        pace = max(plan.step, plan.drain)
        free = tile == 0 or self.now >= times["started"][-1] + plan.steps[tile - 1] * pace
        if tile < plan.tiles and free and self.happened("loaded") > tile and self.happened("stored") >= tile - 1:
            times["started"].append(self.now)
            times["read"].append(self.now + (int(plan.steps[tile]) - 1) * pace + plan.step)
            times["done"].append(times["read"][-1] + plan.drain + plan.pipeline)

    def writer(self) -> None:
        times, tile = self.times, len(self.times["stored"])
        waiting = len(times["writing"]) > tile
        if waiting and not self.writes[tile] and self.now == self.write_end:
            times["stored"].append(self.now)
        elif not waiting and self.happened("done") > tile:
            times["writing"].append(self.now)

    def arbitrate(self) -> None:
        """The writer first; a burst of b beats keeps its port for 1 + b cycles."""
        tile = len(self.times["stored"])
        if len(self.times["writing"]) > tile and self.writes[tile] and self.free("store"):
            self.write_end = self.take("store", self.writes[tile].pop(0))
        tile = len(self.times["loaded"])
        if len(self.times["loading"]) > tile and self.reads[tile] and self.free("load"):
            self.read_end = self.take("load", self.reads[tile].pop(0))

    def free(self, side: str) -> bool:
        sides = self.port_free if self.plan.shared else (side,)
        return all(self.now >= self.port_free[name] for name in sides)

    def take(self, side: str, beats: int) -> int:
        self.port_free[side] = self.now + 1 + beats
        return self.port_free[side]


def plans(seed: int, count: int = 2) -> list[Schedule]:
    """Some schedules of a random layer on a random design; none where nothing fits."""
    rng = Random(seed)
    layer, design = random_any_layer(rng), random_design(rng)
    shape = geometry(layer, design.width)
    if shape is None:
        return []
    try:
        check_fit(layer, shape, design)
    except Misfit:
        return []
    return [schedule(shape, design, mapping) for mapping in few(rng, list(mappings(shape, design)), count)]


def columns(times: Times) -> dict[str, list[int]]:
    return {name: getattr(times, name).tolist() for name in EVENTS}


def latency(plan: Schedule, times: Times) -> int:
    return int(times.stored[-1]) + plan.latency + FINISH_CYCLES


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_events_are_those_of_the_stepped_machine(seed: int) -> None:
    for plan in plans(seed):
        cycles = int(plan.loads.sum() + plan.stores.sum() + plan.steps.sum() * plan.pace)
        if cycles < 20_000:
            assert columns(simulate(plan)) == Stepped(plan).run()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_events_are_those_of_a_stepped_machine_with_any_times(seed: int, shared: bool) -> None:
    """Loads, stores and steps of like size, so that every unit waits for every other one in turn."""
    rng = Random(seed)
    for plan in plans(seed, 1):
        quick = replace(
            plan, shared=shared, step=rng.randint(1, 40), drain=rng.randint(1, 40), latency=rng.randint(0, 9)
        )
        if int(plan.steps.sum()) * 40 + int(plan.loads.sum() + plan.stores.sum()) < 30_000:
            assert columns(simulate(quick)) == Stepped(quick).run()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_recurrence_is_the_simulation_where_ports_are_separate(seed: int) -> None:
    for plan in plans(seed, 4):
        alone = replace(plan, shared=False)
        assert columns(recurrence.times(alone)) == columns(simulate(alone))


def test_compiled_recurrence_is_the_plain_one() -> None:
    plan = replace(next(found for seed in range(100) for found in plans(seed) if found.tiles > 3), shared=False)
    events = np.zeros((7, plan.tiles), np.int64)
    recurrence.recurrence(
        plan.steps, plan.loads, plan.stores, plan.step, plan.drain, plan.pipeline, plan.fetched, plan.latency, events
    )
    assert columns(recurrence.times(plan)) == columns(Times(*events))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_causes_add_up_to_the_latency(seed: int) -> None:
    for plan in plans(seed):
        times = simulate(plan)
        assert cycles_by_cause(plan, times).total == latency(plan, times)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_shared_port_is_never_faster(seed: int) -> None:
    for plan in plans(seed):
        shared, alone = (simulate(replace(plan, shared=shared)) for shared in (True, False))
        assert latency(plan, shared) >= latency(plan, alone)


def test_recurrence_refuses_a_shared_port() -> None:
    plan = replace(next(found for seed in range(100) for found in plans(seed)), shared=True)
    with pytest.raises(ValueError, match="port_shared must be false"):
        recurrence.times(plan)


def test_a_deadlock_says_who_waits_for_what() -> None:
    plan = next(found for seed in range(100) for found in plans(seed))
    with pytest.raises(Deadlock, match=r"grid waits for loaded tile 1 .*loader waits for free input half 1"):
        simulate(plan, halves=0)
