"""What a machine must have at the very least to run a network: its built bits, and the depth of every buffer.

A buffer must hold the smallest tile of every layer, and none of the four depends on the depth of another, so the depths that
run a network are a box with one least corner: exactly those that `hwmodels.batch` finds no reason against. A test compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import blocks
from hwmodels.core_walk import CoreWalk, ceil_div, core_walks
from hwmodels.design import MAX_ACC_BITS
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS, overpadded
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Room:
    """runs: (cores,) whether any buffers would do; depths: (cores,) least depth of each buffer, by the name of its knob."""

    runs: Bools
    depths: dict[str, Ints]


def room(layers: Sequence[Layer], cores: Knobs) -> Room:
    """The least room of the whole network; the cores' own depths do not matter."""
    found = Room(np.ones(cores.size, np.bool_), {name: np.full(cores.size, 2) for name in DEPTHS})
    for walk in core_walks(layers, cores):
        found.runs[walk.index] &= _runs(walk)
        for name, depths in _depths(walk).items():
            found.depths[name][walk.index] = np.maximum(found.depths[name][walk.index], depths)
    return found


DEPTHS = ("weight_depth", "act_depth", "out_depth", "threshold_depth")


def _runs(walk: CoreWalk) -> Bools:
    shape, cores = walk.shape, walk.cores
    built = (max(shape.act_bits, shape.out_bits or 1) <= cores.max_act_bits) & (
        shape.weight_bits <= cores.max_weight_bits
    )
    wide = (shape.vector and shape.acc_bits > VECTOR_BITS) or overpadded(shape)
    return np.asarray(built & (shape.acc_bits + walk.expanded <= MAX_ACC_BITS) & (not wide))


def _depths(walk: CoreWalk) -> dict[str, Ints]:
    """Twice the entries of the smallest tile: one unit of channel groups, one position a column."""
    weights = 2 * walk.fewest_groups * walk.words * walk.weight_passes
    return {
        "weight_depth": np.maximum(weights, _for_sums(walk)),
        "act_depth": 2 * int(blocks(walk.shape).patch[0]) * walk.patch_entries,
        "out_depth": 2 * walk.output_entries,
        "threshold_depth": 2 * walk.fewest_groups * walk.shape.thresholds,
    }


def _for_sums(walk: CoreWalk) -> Ints:
    """The weight depth from which the accumulator is wide enough: built bits + log2(W depth / 2) + 1 (`Design.acc_bits`)."""
    cores = walk.cores
    bits = walk.shape.acc_bits + walk.expanded - cores.max_act_bits - cores.max_weight_bits - 1
    longest = np.where(bits > 0, 2 ** (np.clip(bits, 1, MAX_ACC_BITS) - 1) + 1, 1)
    return ceil_div(2 * longest, walk.width)
