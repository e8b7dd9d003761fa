"""One layer on machines without their buffers (*cores*): what its walk is made of, and what its smallest tile needs of the buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.geometry import Geometry, geometry, reduction
from hwmodels.knobs import Knobs
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreWalk:
    """One layer on cores of one width: (cores,) arrays; names as in `hwmodels.batch`.

    index: the places of these cores among all that were asked for. times: how often the network has the layer.
    """

    shape: Geometry
    times: int
    index: npt.NDArray[np.intp]
    cores: Knobs
    width: int
    words: Ints
    groups: Ints
    expanded: Ints
    streamed: Ints

    @property
    def act_passes(self) -> Ints:
        """Passes over the activation planes."""
        return ceil_div(self.shape.act_bits, self.cores.act_lanes)

    @property
    def weight_passes(self) -> Ints:
        """Passes over the weight planes."""
        return ceil_div(self.streamed, self.cores.weight_lanes)

    @property
    def planes(self) -> Ints:
        """Planes of what the layer emits: codes, or the two's complement of its sums."""
        if self.shape.out_bits is None:
            return self.shape.acc_bits + self.expanded
        return np.full(self.cores.size, self.shape.out_bits)

    @property
    def raw_factor(self) -> Ints:
        """Output entries and drain cycles of a value."""
        if self.shape.out_bits is None:
            return ceil_div(self.planes, self.cores.max_act_bits)
        return np.ones(self.cores.size, np.int64)

    @property
    def fewest_groups(self) -> Ints:
        """Channel groups of the smallest tile."""
        return np.minimum(np.maximum(self.cores.rows, self.width) // self.cores.rows, self.groups)

    @property
    def patch_entries(self) -> Ints:
        """Entries of the activation buffer for a pixel of a patch of the smallest tile."""
        shape = self.shape
        words = ceil_div(shape.channels * shape.groups, self.width)
        if shape.vector:
            words = ceil_div(np.minimum(self.fewest_groups * self.cores.rows, shape.out_channels), self.width)
        return np.asarray(shape.operands * words * self.act_passes)

    @property
    def output_entries(self) -> Ints:
        """Entries of the output buffer for a position a column of the smallest tile."""
        per_word = np.maximum(1, self.width // self.cores.rows)
        return np.asarray(self.cores.cols * self.raw_factor * ceil_div(self.fewest_groups, per_word) * per_word)

    @property
    def step(self) -> Ints:
        """F."""
        if self.shape.vector:
            return self.shape.taps * self.act_passes
        return np.asarray(self.words * self.act_passes * self.weight_passes)


def core_walks(layers: Sequence[Layer], cores: Knobs) -> Iterator[CoreWalk]:
    """Every different layer that costs something on the cores of every width."""
    times: dict[Layer, int] = {}
    for layer in layers:
        times[replace(layer, name="")] = times.get(replace(layer, name=""), 0) + 1
    for width in np.unique(cores.width).tolist():
        index = np.flatnonzero(cores.width == width)
        own = cores.take(index)
        rows, where = np.unique(own.rows, return_inverse=True)
        for layer, count in times.items():
            shape = geometry(layer, width)
            if shape is not None:
                columns = np.array([_columns(shape, row, width) for row in rows.tolist()], np.int64)[where].T
                words, groups, expanded, streamed = columns
                yield CoreWalk(
                    shape=shape, times=count, index=index, cores=own, width=width,
                    words=words, groups=groups, expanded=expanded, streamed=streamed,
                )  # fmt: skip


def _columns(shape: Geometry, rows: int, width: int) -> tuple[int, int, int, int]:
    walk = reduction(shape, rows=rows, width=width)
    return walk.words, walk.channel_groups, int(walk.expanded), walk.weight_planes


def ceil_div(dividend: Any, divisor: Any) -> Ints:
    """Rounded up."""
    return np.asarray(-(-dividend // divisor), np.int64)
