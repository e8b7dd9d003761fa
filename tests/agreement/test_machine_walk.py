"""The closed form against a brute-force walk of docs/machine.md (tests/agreement/walk.py)."""

from __future__ import annotations

from dataclasses import asdict, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.activity import Activity
from hwmodels.analytical import evaluate_layer, evaluate_mapping
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import Mapping, Misfit, check_fit, mappings
from tests.agreement.walk import Timeline, Walk, Walked, double_buffered, timeline, window
from tests.hwmodels.samples import few, random_design, random_layer
from workloads.layers import Add, Conv, Dense, Layer, Pool
from workloads.zoo import cifar_convnet, resnet18

SMALL = Design(
    rows=4, cols=2, width=8, max_act_bits=4, max_weight_bits=4, port_bits=16, port_burst=4, port_latency=3,
    weight_depth=256, act_depth=256, out_depth=256, threshold_depth=256,
)  # fmt: skip
CONV = Conv(name="conv", in_shape=(11, 5, 6), out_channels=10, kernel=(3, 2), act_bits=3, weight_bits=2, out_bits=2)
GROUPED = replace(CONV, in_shape=(32, 4, 4), groups=4, out_channels=12)
DEPTHWISE = replace(CONV, in_shape=(10, 4, 4), groups=10, kernel=(3, 3), padding=(1, 1, 1, 1))
AVERAGE = Pool(name="pool", kind="average", in_shape=(20, 5, 5), kernel=(2, 2), stride=(2, 2), act_bits=3, out_bits=2)
RAW_AVERAGE = replace(AVERAGE, out_bits=None)
DENSE = Dense(name="fc", in_shape=(9, 1, 1), out_channels=7, act_bits=2, weight_bits=3, out_bits=2)

CORNERS: dict[str, tuple[Layer, Design]] = {
    "channels and width do not divide": (CONV, SMALL),
    "word tail 1": (replace(CONV, in_shape=(9, 4, 4)), SMALL),
    "word without tail": (replace(CONV, in_shape=(16, 4, 4)), SMALL),
    "word of one short": (replace(CONV, in_shape=(15, 4, 4)), SMALL),
    "stride above the kernel": (replace(CONV, kernel=(1, 1), stride=(2, 3)), SMALL),
    "stride above the kernel, padded": (replace(CONV, kernel=(2, 1), stride=(3, 4), padding=(1, 1, 2, 2)), SMALL),
    "dilation": (replace(CONV, dilation=(2, 3), kernel=(2, 2)), SMALL),
    "dilation, stride and padding": (replace(CONV, dilation=(2, 2), stride=(2, 1), padding=(2, 1, 2, 1)), SMALL),
    "masked padding": (replace(CONV, padding=(1, 1, 1, 1)), SMALL),
    "coded padding": (replace(CONV, padding=(1, 1, 1, 1), pad_code=-7), SMALL),
    "padding wider than the map": (replace(CONV, in_shape=(3, 1, 1), kernel=(3, 3), padding=(2, 2, 2, 2)), SMALL),
    "groups that fill words": (GROUPED, SMALL),
    "groups that do not": (replace(GROUPED, in_shape=(24, 4, 4)), replace(SMALL, weight_depth=1024)),
    "groups of more than a word": (replace(GROUPED, in_shape=(48, 4, 4)), replace(SMALL, weight_depth=1024)),
    "depthwise": (DEPTHWISE, SMALL),
    "depthwise with a multiplier": (replace(DEPTHWISE, out_channels=20), SMALL),
    "depthwise, more rows than width": (DEPTHWISE, replace(SMALL, rows=16)),
    "1x1 output": (replace(CONV, in_shape=(11, 3, 2)), SMALL),
    "packed host windows": (replace(CONV, in_shape=(3, 6, 6), kernel=(3, 3), from_host=True), SMALL),
    "packed host windows with a pad code": (
        replace(CONV, in_shape=(3, 6, 6), padding=(1, 1, 1, 1), pad_code=-7, from_host=True), SMALL,
    ),
    "host windows that masks keep apart": (
        replace(CONV, in_shape=(3, 6, 6), padding=(1, 1, 1, 1), from_host=True), SMALL,
    ),
    "dense": (Dense(name="fc", in_shape=(37, 1, 1), out_channels=11, act_bits=2, weight_bits=3, out_bits=4), SMALL),
    "dense after a map": (replace(DENSE, in_shape=(9, 2, 3)), SMALL),
    "dense over positions": (
        Dense(name="fc", in_shape=(9, 1, 1), out_channels=7, act_bits=2, weight_bits=3, out_bits=2, positions=5), SMALL,
    ),
    "dense from the host": (
        replace(DENSE, in_shape=(3, 2, 3), from_host=True), SMALL,
    ),
    "raw outputs": (replace(CONV, out_bits=None), SMALL),
    "raw outputs, wide entries": (replace(CONV, out_bits=None), replace(SMALL, max_act_bits=8)),
    "drain longer than a step": (replace(CONV, kernel=(1, 1), in_shape=(3, 4, 4), act_bits=1), replace(SMALL, cols=5)),
    "max pool": (replace(AVERAGE, kind="max", kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1), out_bits=3), SMALL),
    "average pool": (AVERAGE, SMALL),
    "average pool slower in the post units": (replace(AVERAGE, kernel=(1, 1)), replace(SMALL, rows=1)),
    "global average pool": (replace(AVERAGE, kernel=(5, 5)), SMALL),
    "add": (Add(name="add", in_shape=(20, 3, 5), act_bits=3, out_bits=3), SMALL),
    "lanes that divide the planes": (replace(CONV, act_bits=4, weight_bits=4), replace(SMALL, lanes_a=2, lanes_w=4)),
    "lanes that do not": (CONV, replace(SMALL, lanes_a=2, lanes_w=3)),
    "lanes above the planes": (replace(CONV, act_bits=1, weight_bits=1), replace(SMALL, lanes_a=4, lanes_w=4)),
    "mac twin": (CONV, replace(SMALL, kind="mac")),
    "mac twin, grouped": (GROUPED, replace(SMALL, kind="mac")),
    "mac twin, pool": (AVERAGE, replace(SMALL, kind="mac")),
    "separate ports": (CONV, replace(SMALL, port_shared=False)),
    "one of everything": (CONV, replace(SMALL, rows=1, cols=1, width=1, weight_depth=4096, act_depth=4096)),
    "more rows than channels": (CONV, replace(SMALL, rows=32)),
    "more columns than positions": (CONV, replace(SMALL, cols=64, out_depth=4096)),
}  # fmt: skip


def walk(layer: Layer, design: Design, mapping: Mapping, *, count: bool = True) -> tuple[Walk, Walked]:
    steps = Walk(window(layer, design.width), design, mapping.dataflow, mapping.groups, mapping.block)
    return steps, steps.run(count=count)


def exact(activity: Activity) -> dict[str, int]:
    """What section 5 calls exact."""
    return asdict(activity.actions) | {
        "compute_cycles": activity.cycles.compute_cycles,
        "drain_cycles": activity.cycles.drain_cycles,
        "drain_busy": activity.drain_busy,
        "memory_read_bits": activity.memory_read_bits,
        "memory_write_bits": activity.memory_write_bits,
    }


def walked(result: Walked, names: Any) -> dict[str, int]:
    cycles = {
        "compute_cycles": result.compute,
        "drain_cycles": result.steady - result.compute + result.tail,
        "drain_busy": result.drain_busy,
        "memory_read_bits": result.read_bits,
        "memory_write_bits": result.write_bits,
    }
    return {name: cycles.get(name, result.counts[name]) for name in names}


def check(layer: Layer, design: Design, mapping: Mapping) -> None:
    """Every exact number of the closed form was counted by the walk."""
    shape = geometry(layer, design.width)
    assert shape is not None
    stated = exact(evaluate_mapping(shape, design, mapping).activity)
    assert stated == walked(walk(layer, design, mapping)[1], stated), (layer, design, mapping)


def legal(layer: Layer, design: Design) -> list[Mapping]:
    """Legal mappings; none if the layer does not fit."""
    shape = geometry(layer, design.width)
    assert shape is not None
    try:
        check_fit(layer, shape, design)
    except Misfit:
        return []
    return list(mappings(shape, design))


@pytest.mark.parametrize("corner", CORNERS)
def test_corner_is_counted_exactly(corner: str) -> None:
    layer, design = CORNERS[corner]
    options = legal(layer, design)
    assert options, "a corner must run"
    for mapping in few(Random(corner), options, 6):
        check(layer, design, mapping)


@settings(max_examples=1200, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_random_layers_on_random_designs_are_counted_exactly(seed: int) -> None:
    rng = Random(seed)
    layer, design = random_layer(rng), random_design(rng)
    options = legal(layer, design)
    for mapping in few(rng, options, 2) if options else ():
        check(layer, design, mapping)


def test_uncounted_walk_is_the_counted_one() -> None:
    for layer, design in CORNERS.values():
        for mapping in few(Random(1), legal(layer, design), 1):
            slow, fast = walk(layer, design, mapping)[1], walk(layer, design, mapping, count=False)[1]
            assert [tile.steady for tile in slow.tiles] == [tile.steady for tile in fast.tiles]


def all_tiles_equal(steps: Walk, mapping: Mapping) -> bool:
    """No partial row group, channel tile, block or column."""
    groups, blocks = steps.channel_groups(), steps.blocks()
    return (
        all(len(group) == steps.design.rows for group in groups)
        and len(groups) % mapping.groups == 0
        and len(blocks) % steps.design.cols == 0
        and all(steps.inside(position) for block in blocks for position in block)
    )


def test_overlap_is_exact_where_all_tiles_are_equal() -> None:
    seen = 0
    for seed in range(1500):
        rng = Random(seed)
        layer, design = random_layer(rng), random_design(rng)
        shape, options = geometry(layer, design.width), legal(layer, design)
        assert shape is not None
        for mapping in few(rng, options, 2) if options else ():
            steps = Walk(window(layer, design.width), design, mapping.dataflow, mapping.groups, mapping.block)
            if not all_tiles_equal(steps, mapping):
                continue
            tiles = steps.run(count=False).tiles
            cycles = evaluate_mapping(shape, design, mapping).activity.cycles
            wanted = timeline(tiles, design)
            assert (cycles.load_cycles, cycles.stall_cycles, cycles.store_cycles) == (
                wanted.first_load, wanted.stall, wanted.last_store,
            )  # fmt: skip
            seen += len(tiles) > 1
    assert seen > 100


REAL_DESIGNS: dict[str, tuple[Any, ...]] = {
    "rows": (8, 16, 32, 64), "cols": (1, 4, 8, 16), "width": (32, 64, 128), "lanes_a": (1, 2), "lanes_w": (1, 2),
    "weight_depth": (1024, 2048, 4096), "act_depth": (512, 1024, 4096), "out_depth": (512, 1024, 4096),
    "port_bits": (32, 64, 128, 256), "port_shared": (True, False), "port_latency": (5, 20, 60),
}  # fmt: skip


def latency_errors(count: int) -> dict[str, list[tuple[float, float]]]:
    """Relative error of the latency of best mappings of zoo layers: (to section 5 per tile, to double buffering).

    By kind: layers of the grid or the vector unit that give every column a block, and those that do not.
    """
    errors: dict[str, list[tuple[float, float]]] = {"grid": [], "vector": [], "idle columns": []}
    layers = [layer for network in (resnet18(2, 2), cifar_convnet(1, 1), resnet18(4, 2)) for layer in network.layers]
    for seed in range(count):
        rng = Random(seed)
        design = Design(**{name: rng.choice(values) for name, values in REAL_DESIGNS.items()})
        layer = rng.choice(layers)
        if geometry(layer, design.width) is None or not legal(layer, design):
            continue
        best = evaluate_layer(layer, design)
        assert best is not None
        steps, result = walk(layer, design, best.mapping, count=False)
        cycles = best.activity.cycles
        others = cycles.total - cycles.load_cycles - cycles.stall_cycles - cycles.store_cycles

        def error(real: Timeline, stated: int = cycles.total, others: int = others) -> float:
            return stated / (others + real.total) - 1

        kind = "idle columns" if len(steps.blocks()) < design.cols else "vector" if steps.seen.vector else "grid"
        errors[kind].append((error(timeline(result.tiles, design)), error(double_buffered(result.tiles, design))))
    return errors


@pytest.fixture(scope="module")
def errors() -> dict[str, np.ndarray]:
    return {kind: np.array(values) for kind, values in latency_errors(200).items()}


def test_columns_without_a_block_load_nothing() -> None:
    """A 1x1 output has one block: one column works, so one patch is loaded, whatever C is."""
    pool = Pool(name="avgpool", kind="average", in_shape=(64, 7, 7), kernel=(7, 7), act_bits=2, out_bits=2)
    one, many = (evaluate_layer(pool, Design(cols=cols)) for cols in (1, 16))
    assert one is not None
    assert many is not None
    assert many.activity.cycles.load_cycles == one.activity.cycles.load_cycles
    assert many.activity.load_busy == one.activity.load_busy
    assert many.activity.store_busy == one.activity.store_busy


def test_raw_sums_leave_the_vector_unit_r_a_cycle() -> None:
    """Section 3: an output word costs max(taps * ceil(M / la), ceil(W / R)); only max pools skip the post units."""
    design = Design(rows=1, cols=1, width=8, lanes_a=4, max_act_bits=4)
    layer = replace(RAW_AVERAGE, kernel=(1, 1), stride=(1, 1), in_shape=(8, 5, 5), out_bits=None)
    best = evaluate_layer(layer, design)
    assert best is not None
    cycles = best.activity.cycles
    # One channel word a position, 25 positions: 1 cycle of the vector unit, then 8 sums at one a cycle.
    assert cycles.compute_cycles + cycles.drain_cycles >= prod(layer.out_shape[1:]) * 8


def test_mac_twin_makes_one_pass_whatever_the_bits() -> None:
    """Section 6: P = 1 whatever M and K, also for grouped layers, whose zero weights a multiplier knows."""
    design = replace(SMALL, kind="mac")
    for bits in (1, 2, 3, 4):
        layer = replace(DEPTHWISE, weight_bits=bits, pad_code=None)
        best = evaluate_layer(layer, design)
        one = evaluate_layer(replace(layer, weight_bits=1), design)
        assert best is not None
        assert one is not None
        assert best.activity.actions.accumulations == one.activity.actions.accumulations, bits


def test_every_tile_holds_whole_output_words() -> None:
    """Section 4: a tile is a multiple of max(R, W) output channels, or all; so no code word is written by two tiles."""
    # 4 groups of 3 outputs, R = 4, W = 8: a channel group holds 3 channels, so 2 of them are 6, not 8.
    shape = geometry(GROUPED, SMALL.width)
    assert shape is not None
    for mapping in mappings(shape, SMALL):
        groups = Walk(window(GROUPED, 8), SMALL, mapping.dataflow, mapping.groups, mapping.block).channel_groups()
        channels = sum(len(group) for group in groups[: mapping.groups])
        assert channels % max(SMALL.rows, SMALL.width) == 0 or channels == GROUPED.out_channels, mapping


# Measured over the 200 designs of `latency_errors`, against the per-tile timeline of section 5 and against true double
# buffering: grid -3.1 .. +2.4 % and -3.8 .. +7.7 %, vector -5.7 .. +6.8 % and -8.5 .. +7.8 %; nine in ten within 2.4 %.
@pytest.mark.parametrize(
    ("kind", "low", "high", "nine_in_ten"), [("grid", -0.04, 0.08, 0.016), ("vector", -0.09, 0.08, 0.024)]
)
def test_latency_is_near_the_per_tile_timeline(
    errors: dict[str, np.ndarray], kind: str, low: float, high: float, nine_in_ten: float
) -> None:
    assert len(errors[kind]) > 50
    for error in errors[kind].T:
        assert low <= error.min()
        assert error.max() <= high
        assert abs(np.median(error)) <= 0.001
        assert np.quantile(error, 0.9) <= nine_in_ten
