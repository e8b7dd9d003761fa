"""What a network counts on a machine at the very least, if no buffer is deeper than its own: bounds without a search of mappings.

Counts are those of positions without waste: no output beyond the map, no word moved twice but where blocks overlap, and of the
blocks those whose smallest tile the buffers hold. (Cycles need no such bound: what shallow buffers hold, deep ones hold, so the
least cycles are those with the deepest.) A test draws designs and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import blocks
from hwmodels.core_walk import CoreWalk, ceil_div, core_walks
from hwmodels.knobs import Knobs
from hwmodels.linear import COUNTED, CYCLES
from hwmodels.mapping import DESCRIPTOR_BITS, THRESHOLD_BITS
from workloads.layers import Layer

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
BOUNDED = tuple(name for name in COUNTED if name != CYCLES)


def least(layers: Sequence[Layer], machines: Knobs) -> dict[str, Floats]:
    """(machines,) lower bounds of every count that costs energy but the cycles, of the whole network, with buffers up to theirs."""
    found = {name: np.zeros(machines.size) for name in BOUNDED}
    for walk in core_walks(layers, machines):
        for name, values in _counts(walk, _fitting(walk)).items():
            found[name][walk.index] += walk.times * values
    return found


def _fitting(walk: CoreWalk) -> Bools:
    """(machines, blocks) which blocks the buffers hold, at the fewest channels; all where they hold none, and nothing is to be bound."""
    cut, cores = blocks(walk.shape), walk.cores
    fits = cut.patch * walk.patch_entries[:, None] <= (cores.act_depth // 2)[:, None]
    fits &= cut.area * walk.output_entries[:, None] <= (cores.out_depth // 2)[:, None]
    return fits | ~fits.any(axis=1, keepdims=True)


def _counts(walk: CoreWalk, fits: Bools) -> dict[str, Any]:
    """Lower bounds of the counts: every position walked once, every word moved once."""
    shape, cores = walk.shape, walk.cores
    results, step = shape.positions * shape.out_channels, walk.step
    pixels = np.where(fits, blocks(shape).inside, NEVER).min(axis=1) * shape.operands
    acts = pixels * ceil_div(shape.channels * shape.groups, walk.width) * shape.act_bits
    weights = shape.out_channels * walk.words * walk.streamed
    map_words = ceil_div(shape.out_channels, walk.width) * walk.planes
    found: dict[str, Any] = {
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
