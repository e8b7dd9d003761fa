"""The exact recurrence of docs/machine.md, section 5, compiled: the fast model where loader and writer have a port each.

On a shared port the two delay each other burst by burst, which no recurrence over tiles sees: `hwmodels.cycle` does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hwmodels.schedule import Ints, Schedule, Times


def times(plan: Schedule) -> Times:
    """When what happens to every tile. Raises ValueError on a shared port."""
    if plan.shared:
        raise ValueError("recurrence: port_shared must be false, not true: a shared port is simulated (model 'cycle')")
    events = np.empty((7, plan.tiles), np.int64)
    _compiled()(
        plan.steps, plan.loads, plan.stores, plan.step, plan.drain, plan.pipeline, plan.fetched, plan.latency, events
    )
    return Times(*events)


@lru_cache(maxsize=1)
def _compiled() -> Any:
    """The recurrence as machine code, or as it stands where numba (extra `fast`) is not installed.

    numba loads here and nowhere else, because that takes half a second.
    """
    try:
        from numba import njit
    except ImportError:
        return recurrence
    return njit(cache=True)(recurrence)


def recurrence(
    steps: Ints,
    loads: Ints,
    stores: Ints,
    step: int,
    drain: int,
    pipeline: int,
    fetched: int,
    latency: int,
    events: Ints,
) -> None:
    """Section 5, line by line; `events` takes the seven times of every tile. Plain Python, so that a test can run it."""
    pace = max(step, drain)
    loading = loaded = started = done = stored = before_done = before_stored = 0
    for tile in range(len(steps)):
        loading = fetched if tile == 0 else max(loaded, before_done)
        loaded = loading + latency + loads[tile]
        free = started + steps[tile - 1] * pace if tile else 0
        started = max(loaded, free, before_stored)
        read = started + (steps[tile] - 1) * pace + step
        before_done, done = done, read + drain + pipeline
        writing = max(done, stored)
        before_stored, stored = stored, writing + stores[tile]
        events[0, tile], events[1, tile], events[2, tile] = loading, loaded, started
        events[3, tile], events[4, tile], events[5, tile], events[6, tile] = read, done, writing, stored
