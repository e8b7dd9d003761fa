"""The closed form as machine code: best mapping and activity of whole networks, for every depth of the buffers at once.

Same formulas as `hwmodels.batch`, same order of operations in every float, so the same bits: `hwmodels.compiled` says where that
holds. Only this file imports numba; nobody imports this file but `hwmodels.compiled`, which does without where it is missing.

A machine without its buffers is a *core*. Buffers decide only which mappings are legal, so a core's mappings are timed once, and
each is offered to all cells (one for every combination of depths) that hold it.

All kernels stand in one file, because numba's cache notices a change of a caller's own file only.
"""

# mypy: disable-error-code="no-any-return"
# numba infers what an entry of an array is; the annotations are for readers.

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwmodels.mapping import DESCRIPTOR_BITS, FINISH_CYCLES, SETUP_CYCLES, THRESHOLD_BITS, VECTOR_BITS
from hwmodels.tables import COUNTS, FIELDS, Tables

compiled = njit(cache=True, error_model="numpy")

(
    VECTOR, OPERANDS, CHANNELS, OUT_CHANNELS, POSITIONS, TAPS, ACT_BITS, WEIGHT_BITS, OUT_BITS, RAW,
    SUMS, ACC_BITS, THRESHOLDS, LEVELS, OVERPADDED, GROUPS, ROW_SUMS, COLUMN_SUMS, FIRST_BLOCK, LAST_BLOCK,
) = range(len(FIELDS))  # fmt: skip
WORDS, CHANNEL_GROUPS, EXPANDED, WEIGHT_PLANES = range(4)
COUNT, COLUMNS, AREA, PATCH, INSIDE, ROW_SIDE, COL_SIDE = range(7)
BEFORE, ALL, FIRST = range(3)
NEVER = np.iinfo(np.int64).max
MOST_TILES = 64
"""Channel tiles double in size, so no layer has more of them."""

FITS, UNASKED = 0, -1
MISFITS = (
    "", "max_act_bits", "max_weight_bits", "acc_bits", "padding", "weight_depth", "threshold_depth", "act_depth", "out_depth",
)  # fmt: skip
"""Reasons by their code; 0 is none."""


class Core(NamedTuple):
    """One machine without its buffers; lanes are those of `Knobs.act_lanes`, `order` is 0 weight, 1 activation, 2 best.

    `plane`: 1 where it computes with planes, 0 in the mac twin.
    """

    rows: int
    cols: int
    width: int
    act_lanes: int
    weight_lanes: int
    max_act_bits: int
    max_weight_bits: int
    pe_cycles: int
    port_bits: int
    port_shared: int
    port_latency: int
    port_burst: int
    plane: int
    width_index: int
    pair_index: int
    order: int


class Depths(NamedTuple):
    """Ascending depths to try of each buffer; a cell is one of each, the last of them the fastest to change."""

    weight: Any
    act: Any
    out: Any
    threshold: Any


class Walk(NamedTuple):
    """What one layer on one core needs again and again: names as in `hwmodels.batch`."""

    vector: bool
    out_channels: int
    words: int
    weight_planes: int
    channel_groups: int
    act_passes: int
    weight_passes: int
    out_planes: int
    raw_factor: int
    step: int
    drain: int
    pipeline: int
    unit: int
    word_beats: int
    pixel_words: int
    fetch: int


@compiled
def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@compiled
def _run(beats: int, burst: int) -> int:
    return beats + _ceil(beats, burst)


@compiled
def _walk(layer: Any, walk: Any, core: Core) -> Walk:
    vector = layer[VECTOR] != 0
    words, groups = walk[WORDS], walk[CHANNEL_GROUPS]
    act_passes, weight_passes = _ceil(layer[ACT_BITS], core.act_lanes), _ceil(walk[WEIGHT_PLANES], core.weight_lanes)
    planes = layer[ACC_BITS] + walk[EXPANDED] if layer[RAW] else layer[OUT_BITS]
    raw = _ceil(planes, core.max_act_bits) if layer[RAW] else 1
    if not vector:
        step, drain, pipeline = (
            words * act_passes * weight_passes,
            core.cols * raw,
            core.max_act_bits + core.pe_cycles + 2,
        )
    elif layer[SUMS]:
        step, drain = layer[TAPS] * act_passes, _ceil(core.width, core.rows) * raw
        pipeline = core.max_act_bits + 3
    else:
        step, drain, pipeline = layer[TAPS] * act_passes, 1, 2
    return Walk(
        vector, layer[OUT_CHANNELS], words, walk[WEIGHT_PLANES], groups, act_passes, weight_passes, planes, raw, step, drain, pipeline,
        max(core.rows, core.width) // core.rows, max(1, core.width // core.port_bits), _ceil(layer[CHANNELS], core.width),
        _run(_ceil(DESCRIPTOR_BITS, core.port_bits), core.port_burst),
    )  # fmt: skip


@compiled
def _channels(walk: Walk, core: Core, groups: int, first: int) -> int:
    return min(groups * core.rows, walk.out_channels - first * core.rows)


@compiled
def _output_words(walk: Walk, core: Core, groups: int, first: int) -> int:
    return _ceil(_channels(walk, core, groups, first), core.width)


@compiled
def _weight_load(layer: Any, walk: Walk, core: Core, groups: int, first: int) -> int:
    """Port cycles of the weights and thresholds of a channel tile."""
    per_beat = max(1, core.port_bits // core.width)
    channels = _channels(walk, core, groups, first)
    full = channels // core.rows
    row_beats = full * _ceil(core.rows, per_beat) + _ceil(channels - full * core.rows, per_beat)
    weights = row_beats * (walk.words * walk.weight_planes * walk.word_beats)
    return _run(weights + channels * layer[LEVELS] * _ceil(THRESHOLD_BITS, core.port_bits), core.port_burst)


@compiled
def _acc_bits(core: Core, weight_depth: int) -> int:
    """`Design.acc_bits`: log2 of the longest reduction, upwards."""
    longest, bits = core.width * weight_depth // 2 - 1, 0
    while longest > 0:
        longest >>= 1
        bits += 1
    return min(32, core.max_act_bits + core.max_weight_bits + bits + 1)


@compiled
def _place(needed: int, depths: Any) -> int:
    """The smallest depth whose half holds that many entries; their number if none does."""
    for index in range(len(depths)):
        if needed <= depths[index] // 2:
            return index
    return len(depths)


@compiled
def _out_entries(walk: Walk, core: Core, groups: int, area: int) -> int:
    per_word = max(1, core.width // core.rows)
    return core.cols * walk.raw_factor * area * (_ceil(groups, per_word) * per_word)


@compiled
def _act_entries(layer: Any, walk: Walk, core: Core, groups: int, patch: int) -> int:
    words = _output_words(walk, core, groups, 0) if walk.vector else walk.pixel_words
    return patch * layer[OPERANDS] * words * walk.act_passes


@compiled
def _misfits(layer: Any, reduced: Any, walk: Walk, core: Core, depths: Depths, tables: Tables, reasons: Any) -> bool:
    """Write the reason of every cell that had none and whose smallest tile does not fit; whether any cell still fits."""
    bits = max(layer[ACT_BITS], layer[OUT_BITS], 1)
    groups = min(walk.unit, walk.channel_groups)
    block = tables.blocks[layer[FIRST_BLOCK]]
    weight = _place(groups * walk.words * walk.weight_passes, depths.weight)
    threshold = _place(groups * layer[THRESHOLDS], depths.threshold)
    act = _place(_act_entries(layer, walk, core, groups, block[PATCH]), depths.act)
    out = _place(_out_entries(walk, core, groups, block[AREA]), depths.out)
    wide = walk.vector and layer[ACC_BITS] > VECTOR_BITS
    cell, fits = 0, False
    for i in range(len(depths.weight)):
        narrow = wide or layer[ACC_BITS] + reduced[EXPANDED] > _acc_bits(core, depths.weight[i])
        for j in range(len(depths.act)):
            for k in range(len(depths.out)):
                for m in range(len(depths.threshold)):
                    if reasons[cell] == FITS:
                        if bits > core.max_act_bits:
                            reasons[cell] = 1
                        elif layer[WEIGHT_BITS] > core.max_weight_bits:
                            reasons[cell] = 2
                        elif narrow:
                            reasons[cell] = 3
                        elif layer[OVERPADDED]:
                            reasons[cell] = 4
                        elif i < weight:
                            reasons[cell] = 5
                        elif m < threshold:
                            reasons[cell] = 6
                        elif j < act:
                            reasons[cell] = 7
                        elif k < out:
                            reasons[cell] = 8
                        else:
                            fits = True
                    cell += 1
    return fits


@compiled
def _column_runs(side: Any, beats: int, burst: int, store: bool, tables: Tables, runs: Any) -> None:
    """Port cycles of one row of a row of blocks, summed over its first 0, 1, ... blocks."""
    blocks, begin = side[0], side[1]
    runs[0] = 0
    known, cycles = -1, 0
    for block in range(blocks):
        total = 0
        if store:
            pixels = tables.stores[begin + block + 1] - tables.stores[begin + block]
            if pixels != known:
                known, cycles = pixels, _run(pixels * beats, burst)
            total = cycles
        else:
            for piece in range(tables.first_piece[begin + block], tables.first_piece[begin + block + 1]):
                pixels = tables.pieces[piece, 0]
                if pixels != known:
                    known, cycles = pixels, _run(pixels * beats, burst)
                total += tables.pieces[piece, 1] * cycles
        runs[block + 1] = runs[block] + total
    runs[blocks + 1] = runs[blocks]


@compiled
def _over(count: int, columns: int, rows: Any, at: int, across: Any, start: int) -> int:
    """Sum over the first `count` blocks, row by row, of what its row is worth times what its column is worth."""
    full = count // columns
    whole = rows[at + full] * across[start + columns]
    return whole + (rows[at + full + 1] - rows[at + full]) * across[start + count - full * columns]


@compiled
def _moves(layer: Any, walk: Walk, core: Core, tables: Tables, runs: Any, moved: Any) -> None:
    """Port cycles and pixels of the blocks: moved[b] = loads in runs (before, all, first), their pixels, stores likewise.

    A run is a row of a block. Where channels are sliced it is a pixel; then pixels times the run of one are asked for.
    """
    load_beats = walk.pixel_words * layer[ACT_BITS] * walk.word_beats
    if walk.vector:
        load_beats = _output_words(walk, core, walk.channel_groups, 0) * layer[ACT_BITS] * walk.word_beats
    store_beats = _output_words(walk, core, walk.channel_groups, 0) * walk.out_planes * walk.word_beats
    first_block, widths = layer[FIRST_BLOCK], 1
    while tables.blocks[first_block + widths - 1, COL_SIDE] != tables.blocks[layer[LAST_BLOCK] - 1, COL_SIDE]:
        widths += 1
    for column in range(widths):
        side = tables.blocks[first_block + column, COL_SIDE]
        _column_runs(tables.sides[side], load_beats, core.port_burst, False, tables, runs[0])
        _column_runs(tables.sides[side], store_beats, core.port_burst, True, tables, runs[1])
        begin = tables.sides[side, 1]
        for block in range(first_block + column, layer[LAST_BLOCK], widths):
            count, columns = tables.blocks[block, COUNT], tables.blocks[block, COLUMNS]
            rows = tables.sides[tables.blocks[block, ROW_SIDE], 1]
            before = (_ceil(count, core.cols) - 1) * core.cols
            out = moved[block - first_block]
            for index in range(3):
                upto = before if index == BEFORE else count if index == ALL else min(core.cols, count)
                out[index] = _over(upto, columns, tables.loads, rows, runs[0], 0)
                if walk.vector:
                    out[3 + index] = _over(upto, columns, tables.loads, rows, tables.loads, begin)
                if index != FIRST:
                    out[6 + index] = _over(upto, columns, tables.stores, rows, runs[1], 0)
                    out[8 + index] = _over(upto, columns, tables.stores, rows, tables.stores, begin)


class Tile(NamedTuple):
    """Channel tiles of one size."""

    groups: int
    tiles: int
    split: bool
    first_weights: int
    weights: int
    load: int
    load_end: int
    store: int
    store_end: int


@compiled
def _tile(layer: Any, walk: Walk, core: Core, groups: int) -> Tile:
    count = _ceil(walk.channel_groups, groups)
    last = (count - 1) * groups
    first = _weight_load(layer, walk, core, groups, 0)
    act, out = layer[ACT_BITS] * walk.word_beats, walk.out_planes * walk.word_beats
    words, words_end = _output_words(walk, core, groups, 0), _output_words(walk, core, groups, last)
    return Tile(
        groups, count, count > 1, first, (count - 1) * first + _weight_load(layer, walk, core, groups, last),
        _run(words * act, core.port_burst), _run(words_end * act, core.port_burst),
        _run(words * out, core.port_burst), _run(words_end * out, core.port_burst),
    )  # fmt: skip


@compiled
def _loads(walk: Walk, tile: Tile, moved: Any, which: int) -> int:
    """Port cycles of the activations of all channel tiles (of the grid: of one) over some blocks; of FIRST: of the first tile."""
    if not (walk.vector and tile.split):
        return moved[which]
    if which == FIRST:
        return moved[3 + FIRST] * tile.load
    return moved[3 + which] * ((tile.tiles - 1) * tile.load + tile.load_end)


@compiled
def _stores(tile: Tile, moved: Any, which: int) -> int:
    """Port cycles of the outputs of all channel tiles over some blocks."""
    if not tile.split:
        return moved[6 + which]
    return moved[8 + which] * ((tile.tiles - 1) * tile.store + tile.store_end)


@compiled
def _last_store(tile: Tile, moved: Any) -> int:
    if not tile.split:
        return moved[7] - moved[6]
    return (moved[9] - moved[8]) * tile.store_end


@compiled
def _steps(walk: Walk, core: Core, block: Any) -> int:
    if walk.vector:
        return block[COUNT] * block[AREA] * walk.words
    return walk.channel_groups * _ceil(block[COUNT], core.cols) * block[AREA]


@compiled
def _known_cycles(walk: Walk, core: Core, tile: Tile, moved: Any, block: Any) -> int:
    """All cycles but the stalls."""
    steps, rest = _steps(walk, core, block), max(walk.step, walk.drain) - walk.step
    loads = core.port_latency + tile.first_weights + _loads(walk, tile, moved, FIRST)
    fill = core.port_latency + walk.fetch + SETUP_CYCLES + walk.pipeline + FINISH_CYCLES
    work = steps * walk.step + (steps - 1) * rest + walk.drain
    return loads + fill + work + _last_store(tile, moved) + core.port_latency


@compiled
def _period(shared: bool, pair: bool, late: float, behind: float, unit: float, store: float, load: float) -> float:
    """Cycles from a tile's start to the next one's; `late`: latency of the port."""
    loaded = late + load
    stores = 2 * store if unit < store + load else store
    once = loaded + store if shared else max(loaded, store)
    twice = unit + behind + loaded + stores if shared else unit + behind + max(loaded, store)
    halves = 0.0 if pair else twice / 2
    return max(max(unit, once), halves)


@compiled
def _stall(order: int, walk: Walk, core: Core, tile: Tile, moved: Any, block: Any) -> int:
    """Waits of the grid at the changes of tiles, kind by kind, added up in the order of `hwmodels.batch`."""
    channels, space = float(tile.tiles), float(_ceil(block[COUNT], core.cols))
    loads_full, stores_full = _loads(walk, tile, moved, BEFORE), _stores(tile, moved, BEFORE)
    loads_last, stores_last = _loads(walk, tile, moved, ALL) - loads_full, _stores(tile, moved, ALL) - stores_full
    per_load = channels if walk.vector else 1.0
    full_load, last_load = loads_full / (per_load * max(space - 1, 1.0)), loads_last / per_load
    full_store, last_store = stores_full / (channels * max(space - 1, 1.0)), stores_last / channels
    later = (tile.weights - tile.first_weights) / max(channels - 1, 1.0)
    pace, behind = max(walk.step, walk.drain), float(min(walk.step, walk.drain) + walk.pipeline)
    words, words_last = walk.channel_groups, walk.channel_groups
    if walk.vector:
        words, words_last = walk.words * core.cols, walk.words * (block[COUNT] - (int(space) - 1) * core.cols)
    unit, unit_last = block[AREA] * words * pace / channels, block[AREA] * words_last * pace / channels
    shared, pair, late = core.port_shared != 0, channels * space == 2, float(core.port_latency)
    wait = 0.0
    if order == 0:
        stays = last_load if walk.vector else 0.0
        begins = later + (full_load if space > 1 else stays)
        wait += (
            channels * max(space - 2, 0.0) * (_period(shared, pair, late, behind, unit, full_store, full_load) - unit)
        )
        wait += (
            channels * min(space - 1, 1.0) * (_period(shared, pair, late, behind, unit, full_store, last_load) - unit)
        )
        wait += (channels - 1) * (_period(shared, pair, late, behind, unit_last, last_store, begins) - unit_last)
    else:
        again = float(tile.first_weights) if channels > 1 else 0.0
        wait += (space - 1) * (channels - 1) * (_period(shared, pair, late, behind, unit, full_store, later) - unit)
        wait += (channels - 1) * (_period(shared, pair, late, behind, unit_last, last_store, later) - unit_last)
        wait += max(space - 2, 0.0) * (_period(shared, pair, late, behind, unit, full_store, again + full_load) - unit)
        wait += min(space - 1, 1.0) * (_period(shared, pair, late, behind, unit, full_store, again + last_load) - unit)
    return int(np.ceil(wait))


@compiled
def _reloads(order: int, walk: Walk, tile: Tile, space: int) -> tuple[int, int]:
    """How often each weight and each activation patch crosses the port."""
    if order != 0:
        return (1 if tile.tiles == 1 else space), 1
    return 1, (1 if walk.vector or space == 1 else tile.tiles)


@compiled
def _read_bits(layer: Any, walk: Walk, core: Core, block: Any, weights: int, acts: int) -> int:
    per_channel = walk.words * walk.weight_planes * core.width + layer[LEVELS] * THRESHOLD_BITS
    pixels = block[INSIDE] * layer[OPERANDS] * walk.pixel_words * layer[ACT_BITS] * acts
    return DESCRIPTOR_BITS + walk.out_channels * per_channel * weights + pixels * core.width


@compiled
def _search(
    layer: Any, walk: Walk, core: Core, depths: Depths, tables: Tables, moved: Any, best: Any, spots: Any
) -> int:
    """The best mapping of every cell: the least cycles, bits read, order, tile and block, in that order; how many tiles fit.

    spots[t] = least weight and threshold depth that hold tile t. best[t, cell] of a depth of the activation and of the output
    buffer is the best over the tiles up to t: tiles grow, so a cell that holds one holds all before it.
    """
    first_block, blocks = layer[FIRST_BLOCK], layer[LAST_BLOCK] - layer[FIRST_BLOCK]
    first_order = 1 if core.order == 1 and not walk.vector else 0
    last_order = 0 if core.order == 0 or walk.vector else 1
    tiles = 1
    while walk.unit << (tiles - 1) < walk.channel_groups:
        tiles += 1
    for index in range(tiles):
        tile = _tile(layer, walk, core, min(walk.unit << index, walk.channel_groups))
        spots[index, 0] = _place(tile.groups * walk.words * walk.weight_passes, depths.weight)
        spots[index, 1] = _place(tile.groups * layer[THRESHOLDS], depths.threshold)
        if spots[index, 0] == len(depths.weight) or spots[index, 1] == len(depths.threshold):
            return index
        held = best[index]
        if index == 0:
            held[:, 0] = NEVER
        else:
            held[:] = best[index - 1]
        for number in range(blocks - 1, -1, -1):
            block = tables.blocks[first_block + number]
            j = _place(_act_entries(layer, walk, core, tile.groups, block[PATCH]), depths.act)
            k = _place(_out_entries(walk, core, tile.groups, block[AREA]), depths.out)
            if j == len(depths.act) or k == len(depths.out):
                continue
            cell = j * len(depths.out) + k
            known = _known_cycles(walk, core, tile, moved[number], block)
            if known > held[cell, 0]:
                continue
            space = _ceil(block[COUNT], core.cols)
            for order in range(first_order, last_order + 1):
                cycles = known + _stall(order, walk, core, tile, moved[number], block)
                if cycles <= held[cell, 0]:
                    weights, acts = _reloads(order, walk, tile, space)
                    bits = _read_bits(layer, walk, core, block, weights, acts)
                    _offer(cycles, bits, order, index, number, j, k, depths, held)
    return tiles


@compiled
def _before(cycles: int, bits: int, order: int, tile: int, block: int, held: Any) -> bool:
    """Whether a mapping comes before the one that a cell holds."""
    if cycles != held[0]:
        return cycles < held[0]
    if bits != held[1]:
        return bits < held[1]
    if order != held[2]:
        return order < held[2]
    return tile < held[3] if tile != held[3] else block < held[4]


@compiled
def _offer(
    cycles: int, bits: int, order: int, tile: int, block: int, j: int, k: int, depths: Depths, best: Any
) -> None:
    """Give the mapping to every cell from (j, k) on that holds none better. If the first holds a better one, so do all."""
    outs = len(depths.out)
    for b in range(j, len(depths.act)):
        for c in range(k, outs):
            held = best[b * outs + c]
            if _before(cycles, bits, order, tile, block, held):
                held[0], held[1], held[2], held[3], held[4] = cycles, bits, order, tile, block
            elif b == j and c == k:
                return


@compiled
def _count(
    order: int,
    layer: Any,
    reduced: Any,
    walk: Walk,
    core: Core,
    tile: Tile,
    moved: Any,
    block: Any,
    cycles: int,
    counts: Any,
) -> None:
    """Write every count of COUNTS under one mapping; a new one is a line here, or in `_act`."""
    space = _ceil(block[COUNT], core.cols)
    steps, rest = _steps(walk, core, block), max(walk.step, walk.drain) - walk.step
    weights, acts = _reloads(order, walk, tile, space)
    counts[0] = core.port_latency + tile.first_weights + _loads(walk, tile, moved, FIRST)
    counts[1] = core.port_latency + walk.fetch + SETUP_CYCLES + walk.pipeline + FINISH_CYCLES
    counts[2] = steps * walk.step
    counts[3] = (steps - 1) * rest + walk.drain
    counts[5] = _last_store(tile, moved) + core.port_latency
    counts[4] = cycles - counts[0] - counts[1] - counts[2] - counts[3] - counts[5]
    counts[6] = counts[2]
    counts[7] = steps * walk.drain
    counts[8] = tile.weights * weights + _loads(walk, tile, moved, ALL) * acts + walk.fetch
    counts[9] = _stores(tile, moved, ALL)
    counts[10] = _read_bits(layer, walk, core, block, weights, acts)
    acts = block[INSIDE] * layer[OPERANDS] * walk.pixel_words * layer[ACT_BITS] * acts
    _act(layer, walk, core, block[COUNT] * block[AREA], space * block[AREA], acts, weights * walk.out_channels, counts)
    _correct(layer, reduced, walk, core, tile, block[COUNT] * block[AREA], weights * walk.out_channels, counts)


@compiled
def _act(
    layer: Any, walk: Walk, core: Core, walked: int, block_steps: int, act_words: int, loaded: int, counts: Any
) -> None:
    """The actions, from the positions that all columns walk, those that one column walks, and the weight rows loaded."""
    results = walked * walk.out_channels
    map_words = _ceil(walk.out_channels, core.width) * walk.out_planes
    counts[11] = layer[POSITIONS] * map_words * core.width
    counts[12:25] = 0
    counts[18] = results * layer[OUT_BITS] if layer[THRESHOLDS] else 0
    counts[21] = act_words
    counts[22] = loaded * walk.words * walk.weight_planes
    counts[23] = loaded * layer[LEVELS]
    counts[24] = walked * map_words
    if walk.vector:
        taps = walked * layer[TAPS] * walk.words
        counts[17] = taps * layer[ACT_BITS]
        counts[19] = taps * walk.act_passes * core.act_lanes
        return
    pairs = layer[ACT_BITS] * walk.weight_planes
    counts[12] = results * walk.words * pairs
    counts[13] = results * walk.step
    counts[14] = results * pairs
    counts[19] = walk.channel_groups * walked * walk.step * core.act_lanes
    counts[20] = walk.out_channels * block_steps * walk.step * core.weight_lanes


@compiled
def _correct(
    layer: Any, reduced: Any, walk: Walk, core: Core, tile: Tile, walked: int, loaded: int, counts: Any
) -> None:
    """Sums of codes that offsets multiply (`_corrections` in `hwmodels.batch`)."""
    if not core.plane:
        return
    rows, changes = layer[ROW_SUMS] * (1 - reduced[EXPANDED]), tile.tiles - 1
    per_group = max(1, walk.channel_groups // layer[GROUPS])
    summed = layer[GROUPS] + changes - changes * gcd(tile.groups, per_group) // per_group
    windows = walked * walk.words * layer[ACT_BITS] * summed
    counts[15] = rows * windows + layer[COLUMN_SUMS] * loaded * walk.words * walk.weight_planes
    counts[16] = walked * walk.out_channels * (rows + layer[COLUMN_SUMS])


@compiled
def _cells(core: Core, depths: Depths, tables: Tables, room: Any, rows: Any, reasons: Any, counts: Any) -> None:
    """Activity of the whole network on the cells of a core that have a row (zeros where it does not fit), and why it does not."""
    runs, moved, best, spots, row, misfit = room
    layers = tables.layers[core.width_index]
    for cell in range(len(rows)):
        misfit[cell] = FITS if rows[cell] >= 0 else UNASKED
    fits = True
    for number in range(len(layers)):
        reduced = tables.walks[core.pair_index, number]
        walk = _walk(layers[number], reduced, core)
        fits = fits and _misfits(layers[number], reduced, walk, core, depths, tables, misfit)
    for cell in range(len(rows)):
        if rows[cell] >= 0:
            reasons[rows[cell]] = misfit[cell]
            counts[rows[cell]] = 0
            if misfit[cell] != FITS:
                rows[cell] = -1
    for number in range(len(layers) if fits else 0):
        layer, reduced = layers[number], tables.walks[core.pair_index, number]
        walk = _walk(layer, reduced, core)
        _moves(layer, walk, core, tables, runs, moved)
        tiles = _search(layer, walk, core, depths, tables, moved, best, spots)
        for tile in range(tiles):
            _add(
                layer,
                reduced,
                walk,
                core,
                depths,
                tables,
                moved,
                best,
                spots,
                tile,
                tiles,
                tables.times[number],
                row,
                rows,
                counts,
            )


@compiled
def _add(
    layer: Any,
    reduced: Any,
    walk: Walk,
    core: Core,
    depths: Depths,
    tables: Tables,
    moved: Any,
    best: Any,
    spots: Any,
    last: int,
    tiles: int,
    times: int,
    row: Any,
    rows: Any,
    counts: Any,
) -> None:
    """Add a layer's counts to every cell with a row whose largest tile is `last`; neighbours mostly share a mapping."""
    outs, thresholds = len(depths.out), len(depths.threshold)
    order, index, number = -1, -1, -1
    for cell in range(len(depths.act) * outs):
        held = best[last, cell]
        for i in range(spots[last, 0], len(depths.weight)):
            for m in range(spots[last, 1], thresholds):
                if last + 1 < tiles and i >= spots[last + 1, 0] and m >= spots[last + 1, 1]:
                    break
                place = rows[(i * len(depths.act) * outs + cell) * thresholds + m]
                if place < 0:
                    continue
                if held[2] != order or held[3] != index or held[4] != number:
                    order, index, number = held[2], held[3], held[4]
                    tile = _tile(layer, walk, core, min(walk.unit << index, walk.channel_groups))
                    block = tables.blocks[layer[FIRST_BLOCK] + number]
                    _count(order, layer, reduced, walk, core, tile, moved[number], block, held[0], row)
                    for column in range(len(row)):
                        row[column] *= times
                for column in range(len(row)):
                    counts[place, column] += row[column]


@compiled
def _core(row: Any) -> Core:
    return Core(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12], row[13], row[14], row[15]
    )  # fmt: skip


@compiled
def _room(depths: Depths, tables: Tables, cells: int) -> Any:
    """Working arrays: column runs of loads and of stores, moves of blocks, best mappings and the depths that hold them, one row of
    counts, reasons of cells."""
    longest, blocks = 0, 0
    for side in range(len(tables.sides)):
        longest = max(longest, tables.sides[side, 0])
    for width in range(tables.layers.shape[0]):
        for layer in range(tables.layers.shape[1]):
            span = tables.layers[width, layer, LAST_BLOCK] - tables.layers[width, layer, FIRST_BLOCK]
            blocks = max(blocks, span)
    return (
        np.empty((2, longest + 2), np.int64),
        np.empty((blocks, 10), np.int64),
        np.empty((MOST_TILES, len(depths.act) * len(depths.out), 5), np.int64),
        np.empty((MOST_TILES, 2), np.int64),
        np.empty(len(COUNTS), np.int64),
        np.empty(cells, np.int64),
    )


@compiled
def grid(cores: Any, depths: Depths, tables: Tables, rows: Any, reasons: Any, counts: Any) -> None:
    """Some depths of all cores: (cores, cells) rows to write to, -1 for cells that nobody asks for; afterwards -1 also for misfits.

    (rows,) reasons and (rows, COUNTS) counts.
    """
    room = _room(depths, tables, rows.shape[1])
    for index in range(len(cores)):
        _cells(_core(cores[index]), depths, tables, room, rows[index], reasons, counts)


@compiled
def designs(cores: Any, depths: Any, tables: Tables, reasons: Any, counts: Any) -> None:
    """One design a core: (designs, 4) depths, in the order of `Depths`."""
    rows = np.arange(len(cores))
    room = _room(_single(depths[0]), tables, 1)
    for index in range(len(cores)):
        _cells(_core(cores[index]), _single(depths[index]), tables, room, rows[index : index + 1], reasons, counts)


@compiled
def _single(own: Any) -> Depths:
    return Depths(own[0:1], own[1:2], own[2:3], own[3:4])
