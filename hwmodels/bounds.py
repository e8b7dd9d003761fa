"""What a network costs a machine at the very least, if no buffer is deeper than its own: bounds of the closed form without its search.

Let b be a block of outputs, S(b) the steps of a layer that is cut into such blocks, T channel tiles and s(b) space tiles. The
latency of `hwmodels.analytical` is

    2 λ + fill + first load + S F + (S - 1)(max(F, D) - F) + D + stall + last store,     stall = Σ changes · (period - unit).

Work. period >= unit, so stall >= 0; S depends on b alone; the first load is at least the weights of the smallest tile and the
first patches, cut into as few bursts as can be.

Port. F + D >= max(F, D) and the units of all tiles add up to S max(F, D), so latency >= 2 λ + fill + first load + last store +
Σ changes · period, and period >= λ + load (+ store, on a shared port). Over the T s - 1 changes every weight crosses the port at
least once, and every patch, but for one mean space tile: the first tile loads its own patches, where the estimate has the mean. So
loads >= weights + patches - (mean patches of a full space tile) + (patches of the first). A vector layer has slices of channels,
whose runs are no shorter: there at least half of a single space tile, or all but one mean space tile, remains. Of the stores,
those before the last space tile are all among the changes, and at least half of the last one (1 - 1/T of it, or it is the last).

Both hold for every tile, so the larger of the two at its least over the blocks whose smallest tile the buffers hold is a bound. Counts
are those of positions without waste: no output beyond the map, no word read twice but where such blocks overlap. A test draws designs
and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import blocks, port_cycles
from hwmodels.core_walk import CoreWalk, ceil_div, core_walks
from hwmodels.geometry import Geometry
from hwmodels.knobs import Knobs
from hwmodels.linear import CYCLES, TRAFFIC
from hwmodels.mapping import DESCRIPTOR_BITS, FINISH_CYCLES, SETUP_CYCLES, THRESHOLD_BITS
from workloads.actions import Actions
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
ROUNDING = 1e-9
"""Room for the rounding of the float sums in a stall, relative."""
BOUNDED = (CYCLES, *(item.name for item in fields(Actions)), *TRAFFIC)


def least(layers: Sequence[Layer], machines: Knobs) -> dict[str, Floats]:
    """(machines,) lower bounds of cycles and of every count that costs energy, of the whole network, with buffers up to theirs."""
    found = {name: np.zeros(machines.size) for name in BOUNDED}
    for walk in core_walks(layers, machines):
        fits = _fitting(walk)
        for name, values in {**_counts(walk, fits), CYCLES: _cycles(walk, fits)}.items():
            found[name][walk.index] += walk.times * values
    return found


def _fitting(walk: CoreWalk) -> Bools:
    """(machines, blocks) which blocks the buffers hold, at the fewest channels; all where they hold none, and nothing is to be bound."""
    cut, cores = blocks(walk.shape), walk.cores
    fits = cut.patch * walk.patch_entries[:, None] <= (cores.act_depth // 2)[:, None]
    fits &= cut.area * walk.output_entries[:, None] <= (cores.out_depth // 2)[:, None]
    return fits | ~fits.any(axis=1, keepdims=True)


def _cycles(walk: CoreWalk, fits: Bools) -> Ints:
    """Lower bound of the latency: the larger of what the work takes and what the port takes, in the best block."""
    shape, cores = walk.shape, walk.cores
    loads, first, stores, steps = _port(walk)
    step, drain = walk.step[:, None], walk.drain[:, None]
    steps = steps * (walk.words if shape.vector else walk.groups)[:, None]
    work = steps * step + (steps - 1) * (np.maximum(step, drain) - step) + drain + first
    port = loads + np.where(cores.port_shared[:, None] != 0, stores, 0.0)
    work = work + _weights(walk, np.minimum(np.maximum(cores.rows, walk.width), shape.out_channels))[:, None]
    port = port + _weights(walk, np.full(cores.size, shape.out_channels))[:, None]
    either = np.where(fits, np.maximum(work, port), np.inf).min(axis=1) * (1 - ROUNDING)
    return np.asarray(np.floor(either).astype(np.int64) + _fixed(walk))


def _fixed(walk: CoreWalk) -> Ints:
    """Descriptor, pipeline, end, and the latencies of the first load and the last store."""
    shape, cores = walk.shape, walk.cores
    beats = ceil_div(DESCRIPTOR_BITS, cores.port_bits)
    pipeline = cores.max_act_bits + cores.pe_cycles + 2
    if shape.vector:
        pipeline = cores.max_act_bits + 3 if shape.sums else np.full(cores.size, 2)
    fetch = beats + ceil_div(beats, cores.port_burst) + cores.port_latency + SETUP_CYCLES
    return np.asarray(2 * cores.port_latency + fetch + pipeline + FINISH_CYCLES)


def _weights(walk: CoreWalk, channels: Ints) -> Ints:
    """Port cycles of the weights and thresholds of that many channels in one run."""
    shape, cores = walk.shape, walk.cores
    per_beat = np.maximum(1, cores.port_bits // walk.width)
    full, rest = np.divmod(channels, cores.rows)
    rows = full * ceil_div(cores.rows, per_beat) + ceil_div(rest, per_beat)
    beats = rows * walk.words * walk.streamed * walk.beats
    beats = beats + channels * shape.levels * ceil_div(THRESHOLD_BITS, cores.port_bits)
    return np.asarray(beats + ceil_div(beats, cores.port_burst))


def _port(walk: CoreWalk) -> Floats:
    """(4, machines, blocks) least loads of patches, those of the first tile, stores among the changes, and steps for a channel group."""
    cores, shape = walk.cores, walk.shape
    words = ceil_div(shape.channels * shape.groups, walk.width) * shape.act_bits
    out_words = ceil_div(shape.out_channels, walk.width) * walk.planes
    key = np.stack([cores.cols, words * walk.beats, out_words * walk.beats, cores.port_burst])
    first, where = _distinct(key)
    return _moves(shape, key.T[first])[:, where]


def _counts(walk: CoreWalk, fits: Bools) -> dict[str, Any]:
    """Lower bounds of the counts: every position walked once, every word moved once."""
    shape, cores = walk.shape, walk.cores
    results, step = shape.positions * shape.out_channels, walk.step
    pixels = np.where(fits, blocks(shape).inside, NEVER).min(axis=1) * shape.operands
    acts = pixels * ceil_div(shape.channels * shape.groups, walk.width) * shape.act_bits
    weights = shape.out_channels * walk.words * walk.streamed
    map_words = ceil_div(shape.out_channels, walk.width) * walk.planes
    found = dict.fromkeys(BOUNDED, np.zeros(cores.size, np.int64)) | {
        "threshold_compares": results * (shape.out_bits or 0) if shape.thresholds else 0,
        "activation_writes": acts,
        "weight_writes": weights,
        "threshold_writes": shape.out_channels * shape.levels,
        "output_writes": shape.positions * map_words,
        "memory_read_bits": DESCRIPTOR_BITS + (weights + acts) * walk.width + shape.out_channels * shape.levels * THRESHOLD_BITS,
        "memory_write_bits": shape.positions * map_words * walk.width,
    }  # fmt: skip
    if shape.vector:
        taps = shape.positions * shape.taps * walk.words
        return found | {
            "vector_words": taps * shape.act_bits,
            "activation_reads": taps * walk.act_passes * cores.act_lanes,
        }
    rows = shape.row_sums * (1 - walk.expanded) * (cores.kind == "array")
    sums = shape.column_sums * (cores.kind == "array")
    one_column = ceil_div(shape.positions, cores.cols)
    return found | {
        "xnor_words": results * walk.words * shape.act_bits * walk.streamed,
        "accumulations": results * step,
        "combines": results * shape.act_bits * walk.streamed,
        "correction_words": rows * shape.positions * walk.words * shape.act_bits * shape.groups + sums * weights,
        "correction_adds": results * (rows + sums),
        "activation_reads": walk.groups * shape.positions * step * cores.act_lanes,
        "weight_reads": shape.out_channels * one_column * step * cores.weight_lanes,
    }


def _moves(shape: Geometry, kinds: Ints) -> Floats:
    """(4, kinds, blocks) as `_port`, for kinds of columns, beats of a pixel read and written, and burst."""
    cut = blocks(shape)
    cols, beats, out_beats, burst = kinds.T
    every = np.broadcast_to(cut.count, (len(kinds), cut.count.size))
    space = ceil_div(every, cols[:, None])
    before, first = (space - 1) * cols[:, None], np.minimum(cols[:, None], every)
    acts = _moved(shape, False, beats, burst, [before, every, first])
    stores = _moved(shape, True, out_beats, burst, [before, every])
    mean = acts[0] / np.maximum(space - 1, 1)
    if shape.vector:
        loads, begin = np.where(space == 1, acts[1] / 2, acts[1] - mean), 0 * acts[2]
    else:
        loads, begin = np.where(space == 1, acts[1], acts[1] - mean + acts[2]), acts[2]
    steps = (every if shape.vector else space) * cut.area
    return np.stack([loads, begin, stores[0] + (stores[1] - stores[0]) / 2, steps])


def _moved(shape: Geometry, store: bool, beats: Ints, burst: Ints, counts: list[Ints]) -> list[Ints]:
    whole, split = np.arange(counts[0].shape[1]), np.zeros((len(beats), 1), np.bool_)
    found = port_cycles(shape, whole, store=store, beats=beats[:, None], burst=burst, split=split, counts=counts)
    return [values[:, 0] for values in found]


def _distinct(columns: Ints) -> tuple[Ints, Ints]:
    """(kinds,) an index of every distinct column of a (rows, columns) array, and (columns,) which kind each is."""
    code = np.zeros(columns.shape[1], np.int64)
    for row in columns:
        values, where = np.unique(row, return_inverse=True)
        code = code * len(values) + where
    _, first, where = np.unique(code, return_index=True, return_inverse=True)
    return first, where
