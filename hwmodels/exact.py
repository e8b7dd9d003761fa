"""Exact cycles of a layer: the mapping that the closed form chooses, its schedule, and when everything happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwmodels.analytical import Evaluated, evaluate_layer
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.schedule import Schedule, Times, cycles_by_cause, schedule
from workloads.layers import Layer

Clock = Callable[[Schedule], Times]
"""Every exact model says when everything happens to the tiles of a schedule."""


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A layer with its schedule and its times; the cycles of `evaluated` are the exact ones."""

    evaluated: Evaluated
    plan: Schedule
    times: Times


def exact_layer(layer: Layer, design: Design) -> Evaluated | None:
    """Exact cycles the fastest way: the recurrence where loader and writer have a port each, else the simulation."""
    return _evaluated(timed(layer, design, exact_times))


def simulated_layer(layer: Layer, design: Design) -> Evaluated | None:
    """Exact cycles by event simulation."""
    return _evaluated(timed(layer, design, simulated_times))


def timed(layer: Layer, design: Design, clock: Clock) -> Timed | None:
    """The layer under the closed form's best mapping, by one of the exact models. None for a layer that costs nothing."""
    best, shape = evaluate_layer(layer, design), geometry(layer, design.width)
    if best is None or shape is None:
        return None
    plan = schedule(shape, design, best.mapping)
    times = clock(plan)
    activity = replace(best.activity, cycles=cycles_by_cause(plan, times))
    return Timed(replace(best, activity=activity), plan, times)


def exact_times(plan: Schedule) -> Times:
    """By recurrence or, on a shared port, by simulation."""
    return simulated_times(plan) if plan.shared else recurrence_times(plan)


def recurrence_times(plan: Schedule) -> Times:
    """By recurrence. Raises ValueError on a shared port."""
    from hwmodels.recurrence import times

    return times(plan)


def simulated_times(plan: Schedule) -> Times:
    """By event simulation."""
    from hwmodels.cycle import simulate

    return simulate(plan)


def _evaluated(found: Timed | None) -> Evaluated | None:
    return None if found is None else found.evaluated
