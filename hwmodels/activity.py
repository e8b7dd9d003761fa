"""The narrow waist: what a machine did on a layer, in cycles by cause and counts of actions. Every model returns it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from workloads.actions import Actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """Cycles by cause; they add up to the latency (docs/machine.md, section 5)."""

    load_cycles: int = 0
    """First tile of a layer, with nothing to compute yet."""
    fill_cycles: int = 0
    """Descriptor fetch and pipeline fill."""
    compute_cycles: int = 0
    """The grid (or the vector unit) works."""
    drain_cycles: int = 0
    """The grid waits for its results to leave."""
    stall_cycles: int = 0
    """The grid waits for the memory port."""
    store_cycles: int = 0
    """Last tile of a layer, with nothing left to compute."""

    @property
    def total(self) -> int:
        """Latency in cycles."""
        return sum(getattr(self, item.name) for item in fields(Cycles))

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(**{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(Cycles)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Cycles by cause, how long each resource was busy, actions, and traffic on the memory port.

    `*_busy` are cycles that a resource needs for the whole layer however they overlap: the largest one bounds it.
    """

    cycles: Cycles = field(default_factory=Cycles)
    compute_busy: int = 0
    drain_busy: int = 0
    load_busy: int = 0
    store_busy: int = 0
    actions: Actions = field(default_factory=Actions)
    memory_read_bits: int = 0
    memory_write_bits: int = 0

    @property
    def bound(self) -> str:
        """The resource that is busy longest: compute, drain, load or store."""
        busy = {
            "compute": self.compute_busy,
            "drain": self.drain_busy,
            "load": self.load_busy,
            "store": self.store_busy,
        }
        return max(busy, key=lambda name: busy[name])

    def __add__(self, other: Activity) -> Activity:
        return Activity(
            **{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(Activity)}
        )


def total(activities: Iterable[Activity]) -> Activity:
    """The sum over layers, which run one after the other."""
    result = Activity()
    for item in activities:
        result += item
    return result
