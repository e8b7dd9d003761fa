"""Closed form, one design and one layer at a time: docs/machine.md, sections 4 and 5, in plain integers.

This is the readable statement of the model and the oracle of the vectorised one (`hwmodels.batch`). compute_cycles,
drain_cycles, every action and every bit of traffic are exact; stall_cycles uses mean tiles (exact if all tiles are
equal, an estimate otherwise).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod

from hwmodels.activity import Activity, Cycles
from hwmodels.design import Design
from hwmodels.geometry import Geometry, Reduction, block_sides, geometry, patch, reduction
from workloads.actions import Actions
from workloads.layers import Layer, ceil_div

LAYER_OVERHEAD = 16
"""Cycles to fetch a layer's descriptor and set the counters. Assumed; the RTL will state it."""
PIPELINE_CYCLES = 6
"""Stages from buffer read to drain register: read, xnor-popcount (2), combine, accumulate, move. Assumed; ditto."""
RAW_BITS = 32
"""A raw accumulator in memory and in the output buffer."""
THRESHOLD_BITS = 32
"""A threshold in memory."""

WEIGHT, ACTIVATION = "weight", "activation"


class Misfit(ValueError):
    """A layer whose smallest tile does not fit a buffer. `reason` is short and countable, the message complete."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a layer is tiled: the order of the two loops, channel groups of R in a tile, and the block of a column."""

    dataflow: str
    groups: int
    block: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A mapping and what it costs."""

    mapping: Mapping
    activity: Activity


def evaluate_layer(layer: Layer, design: Design) -> Evaluated | None:
    """The best legal mapping of a layer: fewest cycles, then fewest bits moved, then first in order. None for Flatten.

    Raises Misfit, naming the buffer, where nothing fits; ValueError where the built bit widths are too small.
    """
    shape = geometry(layer, design.width)
    if shape is None:
        return None
    check_fit(layer, shape, design)
    candidates = (evaluate_mapping(shape, design, mapping) for mapping in mappings(shape, design))
    return min(candidates, key=lambda item: (item.activity.cycles.total, _bits(item.activity)))


def mappings(shape: Geometry, design: Design) -> Iterator[Mapping]:
    """All legal mappings in the order that breaks ties: dataflow, then groups, then block rows, then block columns."""
    for dataflow in orders(shape, design.dataflow):
        for groups in tile_groups(shape, design):
            for height in block_sides(shape.out_size[0]):
                for width in block_sides(shape.out_size[1]):
                    if overfull(shape, design, groups, (height, width)) is None:
                        yield Mapping(dataflow, groups, (height, width))


def orders(shape: Geometry, dataflow: str) -> tuple[str, ...]:
    """The loop orders to try; a vector layer has no weights to keep, so it knows one only."""
    if shape.vector:
        return (WEIGHT,)
    return (WEIGHT, ACTIVATION) if dataflow == "best" else (dataflow,)


def tile_groups(shape: Geometry, design: Design) -> tuple[int, ...]:
    """Legal numbers of channel groups in a tile: max(R, W) / R times a power of two, and all."""
    walk = walk_of(shape, design)
    total = walk.channel_groups
    unit = total if walk.one_tile else max(design.rows, design.width) // design.rows
    sizes = []
    while unit < total:
        sizes.append(unit)
        unit *= 2
    return (*sizes, total)


def overfull(shape: Geometry, design: Design, groups: int, block: tuple[int, int]) -> str | None:
    """The first buffer whose half a tile does not fit, with what it needs and has; None if all fit."""
    walk = walk_of(shape, design)
    rows, cols = patch(shape, 0, block[0]), patch(shape, 1, block[1])
    needs = {
        "weight": groups * walk.words * ceil_div(walk.weight_planes, design.weight_lanes),
        "threshold": groups * shape.levels,
        "act": rows.pixels * cols.pixels * shape.operands * _input_words(shape, design, groups)
        * ceil_div(shape.act_bits, design.act_lanes),
        "out": design.cols * prod(block) * groups * _raw_factor(shape, design),
    }  # fmt: skip
    for name, entries in needs.items():
        half = getattr(design, f"{name}_depth") // 2
        if entries > half:
            return f"{name}_depth / 2 must be at least {entries}, not {half}"
    return None


def check_fit(layer: Layer, shape: Geometry, design: Design) -> None:
    """Raise Misfit unless the smallest tile fits and the machine is built for the layer's bits."""
    bits = max(shape.act_bits, shape.out_bits or 1)
    if bits > design.max_act_bits:
        raise Misfit(
            "max_act_bits", f"layer {layer.name!r}: max_act_bits must be at least {bits}, not {design.max_act_bits}"
        )
    if shape.weight_bits > design.max_weight_bits:
        raise Misfit(
            "max_weight_bits",
            f"layer {layer.name!r}: max_weight_bits must be at least {shape.weight_bits}, not {design.max_weight_bits}",
        )
    if shape.acc_bits > design.acc_bits:
        raise Misfit(
            "acc_bits", f"layer {layer.name!r}: acc_bits must be at least {shape.acc_bits}, not {design.acc_bits}"
        )
    problem = overfull(shape, design, tile_groups(shape, design)[0], (1, 1))
    if problem is not None:
        raise Misfit(problem.split(" ", 1)[0], f"layer {layer.name!r}: {problem}")


def evaluate_mapping(shape: Geometry, design: Design, mapping: Mapping) -> Evaluated:
    """Cycles, actions and traffic of one mapping."""
    tiles = _tiles(shape, design, mapping)
    port = _port(shape, design, mapping, tiles)
    cycles = _cycles(design, tiles, port)
    activity = Activity(
        cycles=cycles,
        compute_busy=cycles.compute_cycles,
        drain_busy=tiles.drain_busy,
        load_busy=port.load_busy,
        store_busy=port.store_busy,
        actions=_actions(shape, design, mapping, tiles),
        memory_read_bits=_read_bits(shape, design, mapping, tiles),
        memory_write_bits=_write_bits(shape, design),
    )
    return Evaluated(mapping, activity)


def walk_of(shape: Geometry, design: Design) -> Reduction:
    """How a dot product of the layer is walked on this design."""
    return reduction(shape, kind=design.kind, rows=design.rows, width=design.width)


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Tile counts of both loops and the cycles of the unit that computes."""

    channel_tiles: int
    space_tiles: int
    blocks: int
    compute: int
    """Cycles in which the unit works, over the layer."""
    steady: int
    """Cycles of the unit including waits for its own drain, over the layer."""
    drain_busy: int
    tail: int
    """Cycles for the last results to leave."""


@dataclass(frozen=True, slots=True)
class _Port:
    """Cycles of the memory port: first load, mean load of an outer and an inner change, mean and last store."""

    first_load: int
    outer_changes: int
    outer_load: float
    inner_changes: int
    inner_load: float
    mean_store: float
    last_store: int
    load_busy: int
    store_busy: int


def _tiles(shape: Geometry, design: Design, mapping: Mapping) -> _Tiles:
    walk = walk_of(shape, design)
    rows, cols = patch(shape, 0, mapping.block[0]), patch(shape, 1, mapping.block[1])
    blocks = rows.blocks * cols.blocks
    space, positions = ceil_div(blocks, design.cols), prod(mapping.block)
    channel_tiles = ceil_div(walk.channel_groups, mapping.groups)
    if shape.vector:
        passes = shape.taps * ceil_div(shape.act_bits, design.act_lanes)
        post = ceil_div(design.width, design.rows) * _raw_factor(shape, design) if shape.sums else 1
        words = blocks * positions * walk.words
        return _Tiles(channel_tiles, space, blocks, words * passes, words * max(passes, post), words * post, post)
    step = step_cycles(shape, design)
    drain = design.cols * _raw_factor(shape, design)
    steps = walk.channel_groups * space * positions
    return _Tiles(channel_tiles, space, blocks, steps * step, steps * max(step, drain), steps * drain, drain)


def step_cycles(shape: Geometry, design: Design) -> int:
    """F = F1 * ceil(M / la) * ceil(K' / lw), the cycles of one dot product."""
    walk = walk_of(shape, design)
    return walk.words * ceil_div(shape.act_bits, design.act_lanes) * ceil_div(walk.weight_planes, design.weight_lanes)


def _port(shape: Geometry, design: Design, mapping: Mapping, tiles: _Tiles) -> _Port:
    total = walk_of(shape, design).channel_groups
    full, last = tiles.channel_tiles - 1, total - (tiles.channel_tiles - 1) * mapping.groups
    weights = _weight_load(shape, design, mapping.groups)
    all_weights = full * weights + _weight_load(shape, design, last)
    act = _act_load(shape, design, mapping.groups, mapping.block, tiles.channel_tiles)
    last_act = _act_load(shape, design, last, mapping.block, tiles.channel_tiles)
    # One pass over the space; a vector layer reads other channels in every channel tile, so all of them are one pass.
    all_acts = tiles.blocks * (full * act + last_act if shape.vector else act)
    store = _store(shape, design, mapping.block, mapping.groups)
    all_stores = tiles.blocks * (full * store + _store(shape, design, mapping.block, last))
    columns, count = min(design.cols, tiles.blocks), tiles.channel_tiles * tiles.space_tiles
    mean_weights, mean_acts = (
        all_weights / tiles.channel_tiles,
        all_acts / (count if shape.vector else tiles.space_tiles),
    )
    if mapping.dataflow == WEIGHT:
        outer, inner, outer_load, inner_load = tiles.channel_tiles, tiles.space_tiles, mean_weights, mean_acts
    else:
        outer, inner, outer_load, inner_load = tiles.space_tiles, tiles.channel_tiles, mean_acts, mean_weights
    if inner > 1 or shape.vector:
        outer_load = outer_load + inner_load
    return _Port(
        first_load=design.port_latency + weights + columns * act,
        outer_changes=outer - 1,
        outer_load=design.port_latency + outer_load,
        inner_changes=outer * (inner - 1),
        inner_load=design.port_latency + inner_load,
        mean_store=all_stores / count,
        last_store=columns * store + design.port_latency,
        load_busy=all_weights * _weight_reloads(mapping, tiles) + all_acts * _act_reloads(shape, mapping, tiles),
        store_busy=all_stores,
    )


def _cycles(design: Design, tiles: _Tiles, port: _Port) -> Cycles:
    unit = tiles.steady / (tiles.channel_tiles * tiles.space_tiles)
    stall = port.outer_changes * _wait(design, unit, port.outer_load, port.mean_store)
    stall = stall + port.inner_changes * _wait(design, unit, port.inner_load, port.mean_store)
    return Cycles(
        load_cycles=port.first_load,
        fill_cycles=LAYER_OVERHEAD + PIPELINE_CYCLES,
        compute_cycles=tiles.compute,
        drain_cycles=tiles.steady - tiles.compute + tiles.tail,
        stall_cycles=ceil(stall),
        store_cycles=port.last_store,
    )


def _wait(design: Design, unit: float, load: float, store: float) -> float:
    """Cycles that one tile change waits for the port: max(T, load (+ or max) store) - T."""
    busy = load + store if design.port_shared else max(load, store)
    return max(unit, busy) - unit


def _weight_load(shape: Geometry, design: Design, groups: int) -> int:
    """Beats and bursts of the weights and thresholds of one tile: one contiguous run."""
    walk = walk_of(shape, design)
    bits = groups * design.rows * (walk.words * walk.weight_planes * design.width + shape.levels * THRESHOLD_BITS)
    return _run(design, bits)


def _act_load(shape: Geometry, design: Design, groups: int, block: tuple[int, int], channel_tiles: int) -> int:
    """Beats and bursts of one column's patch: runs of a patch row, or of a pixel where a tile takes some channels only."""
    rows, cols = patch(shape, 0, block[0]), patch(shape, 1, block[1])
    words = _input_words(shape, design, groups) * shape.act_bits
    runs_per_row = cols.pixels if shape.vector and channel_tiles > 1 else cols.runs
    run = _run(design, cols.pixels // runs_per_row * words * design.width)
    return shape.operands * rows.pixels * runs_per_row * run


def _store(shape: Geometry, design: Design, block: tuple[int, int], groups: int) -> int:
    """Beats and bursts of one column's output: runs of a block row, or of a pixel where a tile has some channels only."""
    total = walk_of(shape, design).channel_groups
    height, width = block
    per_row, length = (1, width) if groups == total else (width, 1)
    return height * per_row * _run(design, length * _output_bits(shape, design, groups, total))


def _run(design: Design, bits: int) -> int:
    """Beats plus one request cycle per burst of a run of contiguous bits."""
    beats = ceil_div(bits, design.port_bits)
    return beats + ceil_div(beats, design.port_burst)


def _output_bits(shape: Geometry, design: Design, groups: int, total: int) -> int:
    """Bits in memory of one output pixel of a tile."""
    channels = shape.out_channels if groups == total else min(groups * design.rows, shape.out_channels)
    if shape.out_bits is None:
        return channels * RAW_BITS
    return ceil_div(channels, design.width) * shape.out_bits * design.width


def _input_words(shape: Geometry, design: Design, groups: int) -> int:
    """Channel words of a pixel in an activation tile: all of them, or those of the tile's channels in a vector layer."""
    words = ceil_div(shape.channels * shape.groups, design.width)
    if not shape.vector:
        return words
    return min(words, ceil_div(groups * design.rows, design.width))


def _raw_factor(shape: Geometry, design: Design) -> int:
    """Output entries (and drain cycles) per value: one for codes, ceil(32 / max_act_bits) for raw accumulators."""
    return 1 if shape.out_bits is not None else ceil_div(RAW_BITS, design.max_act_bits)


def _weight_reloads(mapping: Mapping, tiles: _Tiles) -> int:
    return 1 if mapping.dataflow == WEIGHT or tiles.channel_tiles == 1 else tiles.space_tiles


def _act_reloads(shape: Geometry, mapping: Mapping, tiles: _Tiles) -> int:
    """A vector layer reads other channels in every channel tile, so it never reads a word twice for that."""
    return 1 if shape.vector or mapping.dataflow == ACTIVATION or tiles.space_tiles == 1 else tiles.channel_tiles


def _act_words(shape: Geometry, design: Design, mapping: Mapping) -> int:
    """Plane words of all patches inside the map: what crosses the port when each is read once."""
    inside = patch(shape, 0, mapping.block[0]).inside * patch(shape, 1, mapping.block[1]).inside
    return inside * shape.operands * ceil_div(shape.channels * shape.groups, design.width) * shape.act_bits


def _read_bits(shape: Geometry, design: Design, mapping: Mapping, tiles: _Tiles) -> int:
    walk = walk_of(shape, design)
    per_channel = walk.words * walk.weight_planes * design.width + shape.levels * THRESHOLD_BITS
    weights = shape.out_channels * per_channel * _weight_reloads(mapping, tiles)
    acts = _act_words(shape, design, mapping) * design.width * _act_reloads(shape, mapping, tiles)
    return weights + acts


def _write_bits(shape: Geometry, design: Design) -> int:
    total = walk_of(shape, design).channel_groups
    return shape.positions * _output_bits(shape, design, total, total)


def _actions(shape: Geometry, design: Design, mapping: Mapping, tiles: _Tiles) -> Actions:
    """Counts of useful work; operand reads are per bank entry (all its planes), broadcast along rows and columns."""
    walk = walk_of(shape, design)
    outputs = shape.positions * shape.out_channels
    act_words = _act_words(shape, design, mapping) * _act_reloads(shape, mapping, tiles)
    compares = outputs * (shape.out_bits or 0) if shape.thresholds else 0
    codes, raw = _output_words(shape, design)
    if shape.vector:
        entries = shape.positions * shape.taps * walk.words * ceil_div(shape.act_bits, design.act_lanes)
        return Actions(
            vector_words=shape.positions * shape.taps * walk.words * shape.act_bits,
            threshold_compares=compares,
            activation_reads=entries * design.act_lanes,
            activation_writes=act_words,
            output_writes=codes,
            raw_writes=raw,
        )
    step = step_cycles(shape, design)
    block_steps = tiles.space_tiles * prod(mapping.block)
    return Actions(
        xnor_words=outputs * walk.words * shape.act_bits * walk.weight_planes,
        accumulations=outputs * step,
        combines=outputs * shape.act_bits * walk.weight_planes,
        threshold_compares=compares,
        activation_reads=walk.channel_groups * shape.positions * step * design.act_lanes,
        weight_reads=shape.out_channels * block_steps * step * design.weight_lanes,
        activation_writes=act_words,
        weight_writes=shape.out_channels * walk.words * walk.weight_planes * _weight_reloads(mapping, tiles),
        output_writes=codes,
        raw_writes=raw,
    )


def _output_words(shape: Geometry, design: Design) -> tuple[int, int]:
    """Plane words of codes, and raw accumulators, that a layer emits: one of them is 0."""
    if shape.out_bits is None:
        return 0, shape.positions * shape.out_channels
    return shape.positions * ceil_div(shape.out_channels, design.width) * shape.out_bits, 0


def _bits(activity: Activity) -> int:
    return activity.memory_read_bits + activity.memory_write_bits
