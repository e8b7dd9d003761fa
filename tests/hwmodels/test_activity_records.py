"""Cycles and Activity add up."""

from __future__ import annotations

from hwmodels.activity import Activity, Cycles, total
from workloads.actions import Actions

ONE = Activity(
    cycles=Cycles(load_cycles=1, fill_cycles=2, compute_cycles=4, drain_cycles=8, stall_cycles=16, store_cycles=32),
    compute_busy=5, drain_busy=6, load_busy=9, store_busy=8,
    actions=Actions(xnor_words=3, combines=7), memory_read_bits=10, memory_write_bits=11,
)  # fmt: skip


def test_causes_add_up_to_the_latency() -> None:
    assert ONE.cycles.total == 63


def test_a_sum_adds_every_field() -> None:
    twice = ONE + ONE
    assert twice.cycles == Cycles(
        load_cycles=2, fill_cycles=4, compute_cycles=8, drain_cycles=16, stall_cycles=32, store_cycles=64
    )
    assert (twice.compute_busy, twice.drain_busy, twice.load_busy, twice.store_busy) == (10, 12, 18, 16)
    assert twice.actions == Actions(xnor_words=6, combines=14)
    assert (twice.memory_read_bits, twice.memory_write_bits) == (20, 22)


def test_total_of_none_is_nothing() -> None:
    assert total([]) == Activity()
    assert total([ONE, ONE, ONE]) == ONE + ONE + ONE


def test_bound_is_the_busiest_resource() -> None:
    assert ONE.bound == "load"
    assert Activity(store_busy=1).bound == "store"
    assert Activity().bound == "compute"
