"""One layer on many designs of one width: what its walk is made of, and the tiles and blocks that may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import Blocks, blocks
from hwmodels.geometry import Geometry, reduction
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS, overpadded

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def ceil_div(dividend: Ints | int, divisor: Ints | int) -> Ints:
    """Rounded up, as an array."""
    return np.asarray(-(-dividend // divisor), np.int64)


@dataclass(frozen=True, slots=True)
class Precisions:
    """The bits of a layer on every design, as (designs,) int64 arrays; `out` and `levels` are 0 where raw sums leave."""

    act: Ints
    weight: Ints
    out: Ints
    acc: Ints
    levels: Ints

    @classmethod
    def of(cls, shapes: Sequence[Geometry]) -> Precisions:
        """One row a shape."""
        columns = [(item.act_bits, item.weight_bits, item.out_bits or 0, item.acc_bits, item.levels) for item in shapes]
        return cls(*np.array(columns, np.int64).T)

    def take(self, index: Any) -> Precisions:
        """The rows at `index` (indices, mask or slice)."""
        return Precisions(*(getattr(self, item.name)[index] for item in fields(Precisions)))


@dataclass(frozen=True, slots=True)
class Walk:
    """One layer on designs of one width: (designs,) arrays of what the walk needs, and the candidate tiles and blocks.

    `shape` says everything but the bits, which each design may have of its own.
    """

    shape: Geometry
    bits: Precisions
    knobs: Knobs
    width: int
    words: Ints
    weight_planes: Ints
    expanded: Ints
    channel_groups: Ints
    act_passes: Ints
    weight_passes: Ints
    out_planes: Ints
    raw_factor: Ints
    groups: Ints
    """(designs, tiles) channel groups of each candidate; repeated candidates at the end of a row are the whole layer."""
    which: npt.NDArray[np.intp]
    blocks: Blocks

    @classmethod
    def of(cls, shape: Geometry, knobs: Knobs, width: int, bits: Precisions | None = None) -> Walk:
        bits = bits or Precisions.of([shape] * knobs.size)
        rows, where = np.unique(knobs.rows, return_inverse=True)
        walks = [reduction(shape, rows=int(row), width=width) for row in rows]
        channel_groups = np.array([walk.channel_groups for walk in walks], np.int64)[where]
        expanded = np.array([walk.expanded for walk in walks], np.int64)[where]
        # Planes beyond those of the weights do not depend on their bits.
        streamed = bits.weight + np.array([walk.weight_planes - shape.weight_bits for walk in walks], np.int64)[where]
        planes = bits.acc + expanded if shape.out_bits is None else bits.out
        return cls(
            shape=shape,
            bits=bits,
            knobs=knobs,
            width=width,
            words=np.array([walk.words for walk in walks], np.int64)[where],
            weight_planes=streamed,
            expanded=expanded,
            channel_groups=channel_groups,
            act_passes=ceil_div(bits.act, knobs.act_lanes),
            weight_passes=ceil_div(streamed, knobs.weight_lanes),
            out_planes=planes,
            raw_factor=ceil_div(planes, knobs.max_act_bits) if shape.out_bits is None else np.ones_like(planes),
            groups=_tile_groups(np.maximum(knobs.rows, width) // knobs.rows, channel_groups),
            which=np.arange(blocks(shape).count.size),
            blocks=blocks(shape),
        )

    def misfit(self) -> npt.NDArray[np.str_]:
        """Why the smallest tile does not fit, "" where it does."""
        shape, bits, knobs = self.shape, self.bits, self.knobs
        needs = self.needs()
        broken = [
            np.maximum(bits.act, bits.out) > knobs.max_act_bits,
            bits.weight > knobs.max_weight_bits,
            (bits.acc + self.expanded > knobs.acc_bits) | (shape.vector & (bits.acc > VECTOR_BITS)),
            np.full(knobs.size, overpadded(shape)),
            *(need[:, 0, 0] > getattr(knobs, name) // 2 for name, need in needs.items()),
        ]
        names = ["max_act_bits", "max_weight_bits", "acc_bits", "padding", *needs]
        return np.select(broken, names, default="").astype("U32")

    def needs(self) -> dict[str, Ints]:
        """Entries of half of each buffer that a tile takes: broadcastable to (designs, tiles, blocks)."""
        shape, groups = self.shape, self.groups[:, :, None]
        per_word = np.maximum(1, self.width // self.knobs.rows)[:, None, None]
        columns = (self.knobs.cols * self.raw_factor)[:, None, None]
        words = self.input_words(self.groups, 0)[:, :, None] * self.act_passes[:, None, None]
        return {
            "weight_depth": groups * (self.words * self.weight_passes)[:, None, None],
            "threshold_depth": groups * shape.thresholds,
            "act_depth": self.blocks.patch * shape.operands * words,
            "out_depth": columns * self.blocks.area * (ceil_div(groups, per_word) * per_word),
        }

    def channels(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) output channels of a tile of that many channel groups, of which `first` is the first."""
        rows = self.knobs.rows[:, None]
        return np.asarray(np.minimum(groups * rows, self.shape.out_channels - first * rows))

    def output_words(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) channel words of an output pixel of a tile."""
        return ceil_div(self.channels(groups, first), self.width)

    def input_words(self, groups: Ints, first: Ints | int) -> Ints:
        """(designs, tiles) channel words of a pixel in an activation tile."""
        if self.shape.vector:
            return self.output_words(groups, first)
        return np.full_like(groups, ceil_div(self.shape.channels * self.shape.groups, self.width))

    def keep(self, tiles: Bools, kept: Bools) -> Walk:
        """The walk with some of its tile sizes and blocks only."""
        index = np.flatnonzero(kept)
        return replace(self, groups=self.groups[:, tiles], which=self.which[index], blocks=self.blocks.take(index))


def _tile_groups(unit: Ints, channel_groups: Ints) -> Ints:
    """(designs, tiles): the smallest tile times powers of two below the total, then the total."""
    doublings = 1 + max(0, int(np.ceil(np.log2(np.maximum(channel_groups / unit, 1))).max()))
    tiles = unit[:, None] << np.arange(doublings, dtype=np.int64)[None, :]
    return np.asarray(np.minimum(tiles, channel_groups[:, None]))
