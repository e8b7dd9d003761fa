"""What a network costs a machine at the very least, whatever its buffers hold: bounds of the closed form without its search.

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

Both hold for every tile; each at its least over all b is a bound for every buffer, and so is the larger of the two. Counts are
those of positions without waste: no output beyond the map, no word read twice. A test draws designs and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import blocks, port_cycles
from hwmodels.geometry import Geometry, geometry, reduction
from hwmodels.knobs import Knobs
from hwmodels.linear import CYCLES, TRAFFIC
from hwmodels.mapping import DESCRIPTOR_BITS, FINISH_CYCLES, SETUP_CYCLES, THRESHOLD_BITS
from workloads.actions import Actions
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROUNDING = 1e-9
"""Room for the rounding of the float sums in a stall, relative."""
BOUNDED = (CYCLES, *(item.name for item in fields(Actions)), *TRAFFIC)


def least(layers: Sequence[Layer], cores: Knobs) -> dict[str, Floats]:
    """(cores,) lower bounds of cycles and of every count that costs energy, of the whole network; depths do not matter."""
    found = {name: np.zeros(cores.size) for name in BOUNDED}
    times: dict[Layer, int] = {}
    for layer in layers:
        times[replace(layer, name="")] = times.get(replace(layer, name=""), 0) + 1
    for width in np.unique(cores.width):
        index = np.flatnonzero(cores.width == width)
        for layer, count in times.items():
            shape = geometry(layer, int(width))
            if shape is not None:
                for name, values in _of_layer(shape, cores.take(index), int(width)).items():
                    found[name][index] += count * values
    return found


def _of_layer(shape: Geometry, cores: Knobs, width: int) -> dict[str, Any]:
    walk = _Least.of(shape, cores, width)
    return {**walk.counts(), CYCLES: walk.cycles()}


def _ceil_div(dividend: Any, divisor: Any) -> Ints:
    return np.asarray(-(-dividend // divisor), np.int64)


_KNOWN: dict[Geometry, dict[tuple[int, ...], list[float]]] = {}
"""What `_least_moves` found for each layer: few kinds of columns and ports make many cores."""


class _Least:
    """One layer on cores of one width: (cores,) arrays; names as in `hwmodels.batch`."""

    def __init__(self, shape: Geometry, cores: Knobs, width: int, columns: Ints) -> None:
        self.shape, self.cores, self.width = shape, cores, width
        self.words, self.groups, expanded, self.streamed = columns
        self.act_passes = _ceil_div(shape.act_bits, cores.act_lanes)
        self.weight_passes = _ceil_div(self.streamed, cores.weight_lanes)
        raw = shape.out_bits is None
        self.expanded = expanded
        self.planes = shape.acc_bits + expanded if raw else np.full(cores.size, shape.out_bits or 0)
        self.raw_factor = _ceil_div(self.planes, cores.max_act_bits) if raw else np.ones(cores.size, np.int64)
        self.beats = np.maximum(1, width // cores.port_bits)

    @classmethod
    def of(cls, shape: Geometry, cores: Knobs, width: int) -> _Least:
        rows, where = np.unique(cores.rows, return_inverse=True)
        walks = [reduction(shape, rows=int(row), width=width) for row in rows]
        columns = [[walk.words, walk.channel_groups, walk.expanded, walk.weight_planes] for walk in walks]
        return cls(shape, cores, width, np.array(columns, np.int64)[where].T)

    def step_drain(self) -> tuple[Ints, Ints]:
        """F and D."""
        shape, cores = self.shape, self.cores
        if not shape.vector:
            return self.words * self.act_passes * self.weight_passes, cores.cols * self.raw_factor
        drain = _ceil_div(self.width, cores.rows) * self.raw_factor if shape.sums else np.ones(cores.size, np.int64)
        return shape.taps * self.act_passes, drain

    def cycles(self) -> Ints:
        """Lower bound of the latency: the larger of what the work takes and what the port takes, each in its best blocks."""
        shape, cores = self.shape, self.cores
        loads, first, stores, steps = self._port()
        step, drain = self.step_drain()
        steps = steps * (self.words if shape.vector else self.groups)
        work = steps * step + (steps - 1) * (np.maximum(step, drain) - step) + drain + first
        port = loads + np.where(cores.port_shared != 0, stores, 0.0)
        work = work + self._weights(np.minimum(np.maximum(cores.rows, self.width), shape.out_channels))
        port = port + self._weights(np.full(cores.size, shape.out_channels))
        either = np.maximum(work, port) * (1 - ROUNDING)
        return np.asarray(np.floor(either).astype(np.int64) + self._fixed())

    def _fixed(self) -> Ints:
        """Descriptor, pipeline, end, and the latencies of the first load and the last store."""
        shape, cores = self.shape, self.cores
        beats = _ceil_div(DESCRIPTOR_BITS, cores.port_bits)
        pipeline = cores.max_act_bits + cores.pe_cycles + 2
        if shape.vector:
            pipeline = cores.max_act_bits + 3 if shape.sums else np.full(cores.size, 2)
        fetch = beats + _ceil_div(beats, cores.port_burst) + cores.port_latency + SETUP_CYCLES
        return np.asarray(2 * cores.port_latency + fetch + pipeline + FINISH_CYCLES)

    def _weights(self, channels: Ints) -> Ints:
        """Port cycles of the weights and thresholds of that many channels in one run."""
        shape, cores = self.shape, self.cores
        per_beat = np.maximum(1, cores.port_bits // self.width)
        full, rest = np.divmod(channels, cores.rows)
        rows = full * _ceil_div(cores.rows, per_beat) + _ceil_div(rest, per_beat)
        beats = rows * self.words * self.streamed * self.beats
        beats = beats + channels * shape.levels * _ceil_div(THRESHOLD_BITS, cores.port_bits)
        return np.asarray(beats + _ceil_div(beats, cores.port_burst))

    def _port(self) -> Floats:
        """(4, cores) least loads of patches, those of the first tile, stores among the changes, and steps for a channel group."""
        cores, shape = self.cores, self.shape
        words = _ceil_div(shape.channels * shape.groups, self.width) * shape.act_bits
        out_words = _ceil_div(shape.out_channels, self.width) * self.planes
        key = np.stack([cores.cols, words * self.beats, out_words * self.beats, cores.port_burst])
        first, where = _distinct(key)
        kinds = key.T[first]
        known, named = _KNOWN.setdefault(shape, {}), [tuple(kind) for kind in kinds.tolist()]
        missing = np.array([kind not in known for kind in named])
        if missing.any():
            rows = _least_moves(shape, kinds[missing]).tolist()
            known.update(zip((kind for kind in named if kind not in known), rows, strict=True))
        return np.array([known[kind] for kind in named])[where].T

    def counts(self) -> dict[str, Any]:
        """Lower bounds of the counts: every position walked once, every word moved once."""
        shape, cores = self.shape, self.cores
        results, (step, _) = shape.positions * shape.out_channels, self.step_drain()
        pixels = int(blocks(self.shape).inside.min()) * shape.operands
        acts = pixels * _ceil_div(shape.channels * shape.groups, self.width) * shape.act_bits
        weights = shape.out_channels * self.words * self.streamed
        map_words = _ceil_div(shape.out_channels, self.width) * self.planes
        found = dict.fromkeys(BOUNDED, np.zeros(cores.size, np.int64)) | {
            "threshold_compares": results * (shape.out_bits or 0) if shape.thresholds else 0,
            "activation_writes": acts,
            "weight_writes": weights,
            "threshold_writes": shape.out_channels * shape.levels,
            "output_writes": shape.positions * map_words,
            "memory_read_bits": DESCRIPTOR_BITS + (weights + acts) * self.width + shape.out_channels * shape.levels * THRESHOLD_BITS,
            "memory_write_bits": shape.positions * map_words * self.width,
        }  # fmt: skip
        if shape.vector:
            taps = shape.positions * shape.taps * self.words
            return found | {
                "vector_words": taps * shape.act_bits,
                "activation_reads": taps * self.act_passes * cores.act_lanes,
            }
        rows = shape.row_sums * (1 - self.expanded) * (cores.kind == "array")
        sums = shape.column_sums * (cores.kind == "array")
        one_column = _ceil_div(shape.positions, cores.cols)
        return found | {
            "xnor_words": results * self.words * shape.act_bits * self.streamed,
            "accumulations": results * step,
            "combines": results * shape.act_bits * self.streamed,
            "correction_words": rows * shape.positions * self.words * shape.act_bits * shape.groups + sums * weights,
            "correction_adds": results * (rows + sums),
            "activation_reads": self.groups * shape.positions * step * cores.act_lanes,
            "weight_reads": shape.out_channels * one_column * step * cores.weight_lanes,
        }


def _least_moves(shape: Geometry, kinds: Ints) -> Floats:
    """(kinds, 4) as `_Least._port`, for kinds of columns, beats of a pixel read and written, and burst; over all blocks."""
    cut = blocks(shape)
    cols, beats, out_beats, burst = kinds.T
    every = np.broadcast_to(cut.count, (len(kinds), cut.count.size))
    space = _ceil_div(every, cols[:, None])
    before, first = (space - 1) * cols[:, None], np.minimum(cols[:, None], every)
    acts = _moved(shape, False, beats, burst, [before, every, first])
    stores = _moved(shape, True, out_beats, burst, [before, every])
    mean = acts[0] / np.maximum(space - 1, 1)
    if shape.vector:
        loads, begin = np.where(space == 1, acts[1] / 2, acts[1] - mean), 0 * acts[2]
    else:
        loads, begin = np.where(space == 1, acts[1], acts[1] - mean + acts[2]), acts[2]
    steps = (every if shape.vector else space) * cut.area
    found = (loads, begin, stores[0] + (stores[1] - stores[0]) / 2, steps)
    return np.stack([values.min(axis=1) for values in found], axis=1)


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
