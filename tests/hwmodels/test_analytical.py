"""The closed form by hand, its laws, and its refusals."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from hwmodels.activity import Activity, Cycles
from hwmodels.analytical import Evaluated, evaluate_layer, evaluate_mapping
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import Mapping, Misfit, mappings
from tests.hwmodels.samples import random_design, random_layer
from workloads.actions import Actions
from workloads.layers import Add, Conv, Dense, Flatten, Layer

CONV2X = Conv(
    name="conv2x", in_shape=(64, 56, 56), out_channels=64, kernel=(3, 3), padding=(1, 1, 1, 1),
    act_bits=8, weight_bits=8, out_bits=8,
)  # fmt: skip
TINY = Conv(name="tiny", in_shape=(8, 4, 4), out_channels=4, kernel=(1, 1), act_bits=1, weight_bits=1, out_bits=1)
SMALL = Design(rows=4, cols=1, width=8, port_bits=8, port_burst=4, port_latency=3, dataflow="weight")


def best(layer: Layer, design: Design) -> Evaluated:
    found = evaluate_layer(layer, design)
    assert found is not None
    return found


def at(layer: Layer, design: Design, mapping: Mapping) -> Activity:
    shape = geometry(layer, design.width)
    assert shape is not None
    assert mapping in list(mappings(shape, design))
    return evaluate_mapping(shape, design, mapping).activity


def try_cycles(layer: Layer, design: Design) -> float:
    """Latency of the best mapping, infinite where nothing fits."""
    try:
        return best(layer, design).activity.cycles.total
    except Misfit:
        return float("inf")


def test_conv2x_takes_the_112_896_cycles_of_the_peers() -> None:
    # 64 * 64 * 9 * 56 * 56 = 115,605,504 MACs on 32 x 32 multipliers: 115,605,504 / 1024 = 112,896.
    design = Design(
        kind="mac",
        rows=32,
        cols=1,
        width=32,
        port_bits=2048,
        threshold_depth=4096,
        weight_depth=4096,
        act_depth=2**14,
        out_depth=2**14,
    )
    cycles = best(CONV2X, design).activity.cycles
    assert CONV2X.macs == 115_605_504
    assert cycles.compute_cycles == 112_896
    # One column drains in one cycle, while the next of 18-cycle dot products runs.
    assert cycles.drain_cycles == 1
    assert cycles.stall_cycles == 0


@pytest.mark.parametrize(("m", "k"), [(1, 1), (2, 2), (4, 3), (8, 8)])
def test_plane_serial_cycles_grow_with_m_times_k_and_mac_cycles_do_not(m: int, k: int) -> None:
    layer = replace(CONV2X, act_bits=m, weight_bits=k, out_bits=1)
    array = Design(rows=32, cols=4, width=32, weight_depth=2**14, act_depth=2**16, port_bits=4096)
    assert best(layer, array).activity.cycles.compute_cycles == 112_896 // 4 * m * k
    assert best(layer, replace(array, kind="mac")).activity.cycles.compute_cycles == 112_896 // 4


@pytest.mark.parametrize(
    ("lanes_a", "lanes_w", "passes"), [(1, 1, 15), (2, 1, 10), (3, 5, 1), (4, 8, 1), (2, 4, 4), (1, 5, 3)]
)
def test_lanes_take_planes_at_once(lanes_a: int, lanes_w: int, passes: int) -> None:
    layer = replace(CONV2X, act_bits=3, weight_bits=5, out_bits=1)
    design = Design(rows=32, cols=4, width=32, lanes_a=lanes_a, lanes_w=lanes_w, weight_depth=2**14, act_depth=2**16)
    assert best(layer, design).activity.cycles.compute_cycles == 112_896 // 4 * passes


def test_one_tile_by_hand() -> None:
    # Weights: 4 channels of 1 word of 8 bits and 1 threshold of 32: 160 bits = 20 beats + 5 bursts = 25.
    # Activations: 4 rows of 4 pixels of 8 bits: 4 * (4 beats + 1 burst) = 20. First load 3 + 25 + 20 = 48.
    # 16 positions of 1 cycle; 1 column drains in 1 cycle. Store: 4 rows of 4 words of 8 bits, 20, and 3 of latency.
    activity = at(TINY, SMALL, Mapping("weight", 1, (4, 4)))
    assert activity == Activity(
        cycles=Cycles(load_cycles=48, fill_cycles=22, compute_cycles=16, drain_cycles=1, store_cycles=23),
        compute_busy=16, drain_busy=16, load_busy=45, store_busy=20,
        actions=Actions(
            xnor_words=64, accumulations=64, combines=64, threshold_compares=64, activation_reads=16, weight_reads=64,
            activation_writes=16, weight_writes=4, output_writes=16,
        ),
        memory_read_bits=4 * (8 + 32) + 16 * 8, memory_write_bits=16 * 8,
    )  # fmt: skip
    assert activity.cycles.total == 110
    assert activity.bound == "load"


def test_two_tiles_by_hand() -> None:
    # First load 3 + 25 + 10; the change loads 3 + 10 and stores 10 through one port while 8 positions take 8: waits 15.
    shared = at(TINY, SMALL, Mapping("weight", 1, (2, 4))).cycles
    assert (shared.load_cycles, shared.stall_cycles, shared.store_cycles, shared.total) == (38, 15, 13, 105)
    # With a port each the longer counts: max(13, 10) - 8 = 5.
    assert at(TINY, replace(SMALL, port_shared=False), Mapping("weight", 1, (2, 4))).cycles.stall_cycles == 5


def test_drain_longer_than_a_step_sets_the_pace() -> None:
    # F = 1, but 4 columns leave in 4 cycles: 4 blocks of 2 x 2 are 1 tile of 4 steps: 4 compute, 4 * 3 + 4 of drain.
    activity = at(TINY, replace(SMALL, cols=4), Mapping("weight", 1, (2, 2)))
    assert (activity.cycles.compute_cycles, activity.cycles.drain_cycles) == (4, 16)
    assert activity.bound == "load"
    # Raw results take ceil(32 / 8) = 4 entries each: 16 cycles a step.
    raw = at(replace(TINY, out_bits=None), replace(SMALL, cols=4), Mapping("weight", 1, (2, 2)))
    assert (raw.cycles.compute_cycles, raw.cycles.drain_cycles) == (4, 4 * 15 + 16)


def test_add_by_hand() -> None:
    # 4 positions of 2 operands of 2 planes: 4 cycles a word; the post units need ceil(8 / 4) = 2, the tail.
    layer = Add(name="add", in_shape=(8, 2, 2), act_bits=2, out_bits=2)
    activity = best(layer, SMALL).activity
    assert (activity.cycles.compute_cycles, activity.cycles.drain_cycles) == (16, 2)
    # 4 positions * 2 operands * 2 planes; 8 channels * 4 positions * 2 levels; 4 words of 2 planes out.
    assert activity.actions == Actions(
        vector_words=16, threshold_compares=64, activation_reads=16, activation_writes=16, output_writes=8
    )


def test_activation_order_reloads_weights_and_weight_order_activations() -> None:
    layer = replace(TINY, out_channels=32)
    design = replace(SMALL, dataflow="best")
    kept = at(layer, design, Mapping("weight", 2, (2, 4))).actions
    streamed = at(layer, design, Mapping("activation", 2, (2, 4))).actions
    # 32 channels in tiles of 8 = 4 channel tiles; 2 space tiles.
    assert (kept.weight_writes, kept.activation_writes) == (32, 4 * 16)
    assert (streamed.weight_writes, streamed.activation_writes) == (2 * 32, 16)


def test_flatten_is_free() -> None:
    assert evaluate_layer(Flatten(name="f", in_shape=(2, 2, 2), act_bits=1), Design()) is None


LAWS: list[tuple[str, dict[str, Any]]] = [
    ("port_bits", {"port_bits": 2}), ("port_burst", {"port_burst": 2}), ("weight_depth", {"weight_depth": 2}),
    ("act_depth", {"act_depth": 2}), ("out_depth", {"out_depth": 2}), ("threshold_depth", {"threshold_depth": 2}),
]  # fmt: skip


@pytest.mark.parametrize("knob", [name for name, _ in LAWS])
def test_more_of_it_is_never_slower(knob: str) -> None:
    """The search is exact: what was legal stays legal, and no mapping gets slower."""
    for seed in range(150):
        rng = Random(seed)
        layer, design = random_layer(rng), random_design(rng)
        more = replace(design, **{knob: getattr(design, knob) * rng.choice((2, 3, 8))})
        assert try_cycles(layer, more) <= try_cycles(layer, design), (layer, design, knob)


def test_separate_ports_lower_latency_and_free_dataflow_are_never_slower() -> None:
    for seed in range(200):
        rng = Random(seed)
        layer, design = random_layer(rng), random_design(rng)
        slow = replace(design, port_shared=True, port_latency=design.port_latency + 5)
        assert try_cycles(layer, replace(slow, port_shared=False)) <= try_cycles(layer, slow)
        assert try_cycles(layer, replace(slow, port_latency=0)) <= try_cycles(layer, slow)
        free = try_cycles(layer, replace(design, dataflow="best"))
        assert free == min(try_cycles(layer, replace(design, dataflow=order)) for order in ("weight", "activation"))


def test_no_resource_is_busy_longer_than_the_layer_takes() -> None:
    for seed in range(300):
        rng = Random(seed)
        layer, design = random_layer(rng), random_design(rng)
        if try_cycles(layer, design) == float("inf"):
            continue
        activity = best(layer, design).activity
        assert activity.compute_busy == activity.cycles.compute_cycles
        for busy in (activity.compute_busy, activity.drain_busy, activity.store_busy):
            assert busy <= activity.cycles.total, (layer, design)


MISFITS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"act_bits": 4}, {"max_act_bits": 3}, "max_act_bits", "max_act_bits must be at least 4, not 3"),
    ({"out_bits": 5}, {"max_act_bits": 3}, "max_act_bits", "max_act_bits must be at least 5, not 3"),
    ({"weight_bits": 3}, {"max_weight_bits": 2}, "max_weight_bits", "max_weight_bits must be at least 3, not 2"),
    # 8 * 1 * 1 needs 5 bits and signs; W * 2 / 2 = 8 gives 1 + 1 + 3 + 1 = 6, enough; 4096 inputs need 14.
    ({"in_shape": (4096, 1, 1)}, {"max_act_bits": 1, "max_weight_bits": 1, "weight_depth": 2}, "acc_bits",
     "acc_bits must be at least 14, not 6"),
    # Smallest tile: max(4, 8) / 4 = 2 groups of 8 words, 16 entries.
    ({"in_shape": (64, 1, 1), "out_channels": 8}, {"weight_depth": 30}, "weight_depth",
     "weight_depth / 2 must be at least 16, not 15"),
    ({"out_bits": 3, "out_channels": 8}, {"threshold_depth": 27}, "threshold_depth",
     "threshold_depth / 2 must be at least 14, not 13"),
    ({"in_shape": (80, 1, 1)}, {"act_depth": 18}, "act_depth", "act_depth / 2 must be at least 10, not 9"),
    ({"out_channels": 8}, {"cols": 3, "out_depth": 10}, "out_depth", "out_depth / 2 must be at least 6, not 5"),
    ({"out_bits": None}, {"out_depth": 6}, "out_depth", "out_depth / 2 must be at least 4, not 3"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "design", "reason", "sentence"), MISFITS)
def test_a_misfit_names_layer_buffer_need_and_what_there_is(
    layer: dict[str, Any], design: dict[str, Any], reason: str, sentence: str
) -> None:
    with pytest.raises(Misfit, match=f"^layer 'tiny': {sentence}$") as raised:
        evaluate_layer(replace(TINY, **layer), replace(SMALL, **design))
    assert raised.value.reason == reason


def test_dense_head_reads_every_weight_once() -> None:
    layer = Dense(name="fc", in_shape=(512, 1, 1), out_channels=1000, act_bits=2, weight_bits=2, out_bits=None)
    activity = best(layer, Design()).activity
    # 1000 * 8 words of 64 * 2 planes, and 8 words of activations of 2 planes.
    assert activity.memory_read_bits == 1000 * 8 * 2 * 64 + 8 * 2 * 64
    assert activity.memory_write_bits == 32_000
