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
from tests.hwmodels.samples import random_any_layer, random_design
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
        port_shared=False,
        weight_depth=4096,
        act_depth=2**14,
        out_depth=2**14,
    )
    # Blocks of 8 x 8 leave nothing over of 56 x 56; a patch of 10 x 10 loads in 1,800 cycles, behind 2,304 of compute.
    cycles = at(CONV2X, design, Mapping("weight", 2, (8, 8))).cycles
    assert CONV2X.macs == 115_605_504
    assert cycles.compute_cycles == 112_896
    # One column drains in one cycle, while the next of 18-cycle dot products runs.
    assert cycles.drain_cycles == 1
    assert cycles.stall_cycles == 0


@pytest.mark.parametrize(("m", "k"), [(1, 1), (2, 2), (4, 3), (8, 8)])
def test_plane_serial_cycles_grow_with_m_times_k_and_mac_cycles_do_not(m: int, k: int) -> None:
    layer = replace(CONV2X, act_bits=m, weight_bits=k, out_bits=1)
    array = Design(rows=32, cols=4, width=32, weight_depth=2**14, act_depth=2**16, port_bits=4096)
    # 196 blocks of 4 x 4 give 4 columns the same to do.
    mapping = Mapping("weight", 2, (4, 4))
    assert at(layer, array, mapping).cycles.compute_cycles == 112_896 // 4 * m * k
    assert at(layer, replace(array, kind="mac"), mapping).cycles.compute_cycles == 112_896 // 4


@pytest.mark.parametrize(
    ("lanes_a", "lanes_w", "passes"), [(1, 1, 15), (2, 1, 10), (3, 5, 1), (4, 8, 1), (2, 4, 4), (1, 5, 3)]
)
def test_lanes_take_planes_at_once(lanes_a: int, lanes_w: int, passes: int) -> None:
    layer = replace(CONV2X, act_bits=3, weight_bits=5, out_bits=1)
    design = Design(rows=32, cols=4, width=32, lanes_a=lanes_a, lanes_w=lanes_w, weight_depth=2**14, act_depth=2**16)
    assert at(layer, design, Mapping("weight", 2, (4, 4))).cycles.compute_cycles == 112_896 // 4 * passes


def test_one_tile_by_hand() -> None:
    # Weights: 4 channels of 1 word of 8 bits and 1 threshold of 32: 160 bits = 20 beats + 5 bursts = 25.
    # Activations: 4 rows of 4 pixels of 8 bits: 4 * (4 beats + 1 burst) = 20. First load 3 + 25 + 20 = 48.
    # Descriptor: 256 beats + 64 bursts + 3 = 323, 2 to set up, 8 + 5 stages, 1 to finish: 339.
    # 16 positions of 1 cycle; 1 column drains in 1 cycle. Store: 4 rows of 4 words of 8 bits, 20, and 3 of latency.
    activity = at(TINY, SMALL, Mapping("weight", 1, (4, 4)))
    assert activity == Activity(
        cycles=Cycles(load_cycles=48, fill_cycles=339, compute_cycles=16, drain_cycles=1, store_cycles=23),
        compute_busy=16, drain_busy=16, load_busy=320 + 45, store_busy=20,
        actions=Actions(
            xnor_words=64, accumulations=64, combines=64, threshold_compares=64, activation_reads=16, weight_reads=64,
            activation_writes=16, weight_writes=4, threshold_writes=4, output_writes=16,
        ),
        memory_read_bits=2048 + 4 * (8 + 32) + 16 * 8, memory_write_bits=16 * 8,
    )  # fmt: skip
    assert activity.cycles.total == 427
    assert activity.bound == "load"


def test_two_tiles_by_hand() -> None:
    # First load 3 + 25 + 10; the change loads 3 + 10 and stores 10 through one port while 8 positions take 8: waits 15.
    shared = at(TINY, SMALL, Mapping("weight", 1, (2, 4))).cycles
    assert (shared.load_cycles, shared.stall_cycles, shared.store_cycles, shared.total) == (38, 15, 13, 422)
    # With a port each the longer counts: max(13, 10) - 8 = 5.
    assert at(TINY, replace(SMALL, port_shared=False), Mapping("weight", 1, (2, 4))).cycles.stall_cycles == 5


def test_drain_longer_than_a_step_sets_the_pace() -> None:
    # F = 1, but 4 columns leave in 4 cycles: 4 blocks of 2 x 2 are 1 tile of 4 steps: 4 compute, 3 * 3 + 4 of drain.
    activity = at(TINY, replace(SMALL, cols=4), Mapping("weight", 1, (2, 2)))
    assert (activity.cycles.compute_cycles, activity.cycles.drain_cycles) == (4, 13)
    assert activity.bound == "load"
    # Sums of 8 codes of +-1 take 5 bits, 3 entries of 2: 12 cycles a step.
    narrow = replace(SMALL, cols=4, max_act_bits=2)
    raw = at(replace(TINY, out_bits=None), narrow, Mapping("weight", 1, (2, 2)))
    assert (raw.cycles.compute_cycles, raw.cycles.drain_cycles) == (4, 3 * 11 + 12)
    # 5 planes of 16 positions.
    assert raw.actions.output_writes == 16 * 5
    assert raw.memory_write_bits == 16 * 5 * 8


def test_add_by_hand() -> None:
    # 4 positions of 2 operands of 2 planes: 4 cycles a word; the post units need ceil(8 / 4) = 2, the tail.
    layer = Add(name="add", in_shape=(8, 2, 2), act_bits=2, out_bits=2)
    activity = best(layer, SMALL).activity
    assert (activity.cycles.compute_cycles, activity.cycles.drain_cycles) == (16, 2)
    # 4 positions * 2 operands * 2 planes; 8 channels * 4 positions * 2 levels; 4 words of 2 planes out.
    assert activity.actions == Actions(
        vector_words=16,
        threshold_compares=64,
        activation_reads=16,
        activation_writes=16,
        threshold_writes=8 * 3,
        output_writes=8,
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


LAWS = ("port_burst", "weight_depth", "act_depth", "out_depth", "threshold_depth")


@pytest.mark.parametrize("knob", LAWS)
def test_more_of_it_is_never_slower(knob: str) -> None:
    """The search is exact: what was legal stays legal, and no mapping gets slower."""
    for seed in range(150):
        rng = Random(seed)
        layer, design = random_any_layer(rng), random_design(rng)
        more = replace(design, **{knob: getattr(design, knob) * rng.choice((2, 3, 8))})
        assert try_cycles(layer, more) <= try_cycles(layer, design), (layer, design, knob)


def test_a_port_of_twice_the_bits_is_never_slower() -> None:
    for seed in range(150):
        rng = Random(seed)
        layer, design = random_any_layer(rng), random_design(rng)
        wider = replace(design, port_bits=design.port_bits * rng.choice((2, 4)))
        assert try_cycles(layer, wider) <= try_cycles(layer, design), (layer, design)


def test_separate_ports_lower_latency_and_free_dataflow_are_never_slower() -> None:
    for seed in range(200):
        rng = Random(seed)
        layer, design = random_any_layer(rng), random_design(rng)
        slow = replace(design, port_shared=True, port_latency=design.port_latency + 5)
        assert try_cycles(layer, replace(slow, port_shared=False)) <= try_cycles(layer, slow)
        assert try_cycles(layer, replace(slow, port_latency=0)) <= try_cycles(layer, slow)
        free = try_cycles(layer, replace(design, dataflow="best"))
        assert free == min(try_cycles(layer, replace(design, dataflow=order)) for order in ("weight", "activation"))


def test_no_resource_is_busy_longer_than_the_layer_takes() -> None:
    for seed in range(300):
        rng = Random(seed)
        layer, design = random_any_layer(rng), random_design(rng)
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
    # 2 groups of 4 channels, whatever the bits.
    ({"out_bits": 3, "out_channels": 8}, {"threshold_depth": 3}, "threshold_depth",
     "threshold_depth / 2 must be at least 2, not 1"),
    ({"in_shape": (80, 1, 1)}, {"act_depth": 18}, "act_depth", "act_depth / 2 must be at least 10, not 9"),
    ({"out_channels": 8}, {"cols": 3, "out_depth": 10}, "out_depth", "out_depth / 2 must be at least 6, not 5"),
    # 1 group, rounded up to a word of 8 channels; sums of 5 bits, 2 entries of 4.
    ({"out_bits": None}, {"out_depth": 6, "max_act_bits": 4}, "out_depth", "out_depth / 2 must be at least 4, not 3"),
    ({"padding": (1, 0, 0, 0)}, {}, "padding", "padding must be smaller than the window on every side"),
    ({"padding": (0, 0, 0, 1), "kernel": (1, 1)}, {}, "padding", "padding must be smaller than the window on every side"),
    # 2 inputs of 4 x 2 taps are 16 * 1 * 1, 6 bits; 4 rows hold both groups, so zeros are streamed and the sum doubles.
    ({"in_shape": (4, 4, 4), "kernel": (4, 2), "groups": 2}, {"max_act_bits": 1, "max_weight_bits": 1, "weight_depth": 2},
     "acc_bits", "acc_bits must be at least 7, not 6"),
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
    # A descriptor, 1000 * 8 words of 64 * 2 planes, and 8 words of activations of 2 planes.
    assert activity.memory_read_bits == 2048 + 1000 * 8 * 2 * 64 + 8 * 2 * 64
    # 512 * 3 * 3 = 4608 takes 14 bits; 1000 channels are 16 words.
    assert activity.memory_write_bits == 16 * 14 * 64


def test_rows_without_a_channel_load_nothing() -> None:
    """10 channels of 1024 inputs are the same weights on 2 rows as on 64, which load 10 and not 64."""
    layer = Dense(name="fc", in_shape=(1024, 1, 1), out_channels=10, act_bits=1, weight_bits=1, out_bits=None)
    few, many = (Design(rows=rows, cols=1, width=128, weight_depth=4096) for rows in (2, 64))
    activities = [best(layer, design).activity for design in (few, many)]
    assert activities[0].load_busy == activities[1].load_busy
    assert activities[0].memory_read_bits == activities[1].memory_read_bits
