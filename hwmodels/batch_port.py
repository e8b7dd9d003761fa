"""Port cycles of a layer's tiles for arrays of designs: what `hwmodels.tiles` sums over blocks, from exact tables.

Axes: (designs, channel tiles, blocks). How a block's rows are cut into bursts depends on few numbers (beats of a pixel, burst,
one run a row or one a pixel), so every combination that occurs gets one table of prefix sums and all designs look up in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hwmodels.geometry import Geometry, axis, block_sides
from hwmodels.mapping import run_cycles

Ints = npt.NDArray[np.int64]
LARGEST_BURST = 1 << 20


@dataclass(frozen=True, slots=True)
class Blocks:
    """The legal blocks of a layer, rows before columns, as (blocks,) arrays; `inside` counts pixels of all patches in the map."""

    count: Ints
    columns: Ints
    area: Ints
    patch: Ints
    inside: Ints

    def take(self, index: npt.NDArray[np.intp]) -> Blocks:
        """Some of the blocks, in that order."""
        return Blocks(self.count[index], self.columns[index], self.area[index], self.patch[index], self.inside[index])


def sides(shape: Geometry) -> list[tuple[int, int]]:
    """Height and width of every legal block, in the order that breaks ties."""
    return [(h, w) for h in block_sides(shape.out_size[0]) for w in block_sides(shape.out_size[1])]


@lru_cache(maxsize=4096)
def blocks(shape: Geometry) -> Blocks:
    """All legal blocks of a layer."""
    pairs = [(axis(shape, 0, h), axis(shape, 1, w)) for h, w in sides(shape)]
    return Blocks(
        count=np.array([rows.blocks * cols.blocks for rows, cols in pairs], np.int64),
        columns=np.array([cols.blocks for _, cols in pairs], np.int64),
        area=np.array([h * w for h, w in sides(shape)], np.int64),
        patch=np.array([rows.pixels * cols.pixels for rows, cols in pairs], np.int64),
        inside=np.array([sum(map(sum, rows.inside)) * sum(map(sum, cols.inside)) for rows, cols in pairs], np.int64),
    )


def port_cycles(
    shape: Geometry,
    which: npt.NDArray[np.intp],
    *,
    store: bool,
    beats: Ints,
    burst: Ints,
    split: npt.NDArray[np.bool_],
    counts: Sequence[Ints],
) -> list[Ints]:
    """Cycles of one channel tile over the first `count` blocks, for every (designs, blocks) array of `counts`.

    beats: (designs, tiles) beats of one pixel. split: a run a pixel instead of one a row. Returns (designs, tiles, blocks) arrays.
    """  # fmt: skip
    columns = blocks(shape).columns[which]
    key = (beats * LARGEST_BURST + burst[:, None]) * 2 + split
    found = [np.empty((*key.shape, len(which)), np.int64) for _ in counts]
    for code in np.unique(key):
        table = _table(shape, store, int(code) // 2 // LARGEST_BURST, int(code) // 2 % LARGEST_BURST, bool(code % 2))
        design, tile = np.nonzero(key == code)
        for result, count in zip(found, counts, strict=True):
            full, rest = np.divmod(count[design], columns)
            result[design, tile] = table.over(which, full, rest)
    return found


@dataclass(frozen=True, slots=True)
class _Table:
    """Prefix sums over rows of blocks, the rows themselves, prefix sums over columns of blocks, and their total."""

    rows: Ints
    row: Ints
    cols: Ints
    all_cols: Ints

    def over(self, which: npt.NDArray[np.intp], full: Ints, rest: Ints) -> Ints:
        """Sum of rows[i] * cols[j] over `full` rows of blocks and `rest` blocks of the next."""
        return self.rows[which, full] * self.all_cols[which] + self.row[which, full] * self.cols[which, rest]


@lru_cache(maxsize=65536)
def _table(shape: Geometry, store: bool, beats: int, burst: int, split: bool) -> _Table:
    rows, pieces = _cut(shape, store)
    cols = pieces * run_cycles(beats, burst) if split else _runs(pieces * beats, burst)
    prefix = _prefix(cols.sum(axis=2))
    return _Table(_prefix(rows), rows, prefix, prefix[:, -1])


def _runs(beats: Ints, burst: int) -> Ints:
    """`run_cycles` of arrays."""
    return np.asarray(beats + -(-beats // burst))


@lru_cache(maxsize=4096)
def _cut(shape: Geometry, store: bool) -> tuple[Ints, Ints]:
    """(blocks, rows of blocks) pixel rows of every row of blocks, over all operands, and (blocks, columns, pieces) lengths of the
    pieces of a pixel row of every column; zeros behind."""
    rows: list[list[int]] = []
    pieces: list[Sequence[Sequence[int]]] = []
    for height, width in sides(shape):
        down, across = axis(shape, 0, height), axis(shape, 1, width)
        if store:
            rows.append(list(down.outputs))
            pieces.append([(pixels,) for pixels in across.outputs])
        else:
            rows.append([shape.operands * sum(lengths) for lengths in down.inside])
            pieces.append(across.inside)
    longest = (max(map(len, pieces)) + 1, max(len(lengths) for lists in pieces for lengths in lists))
    padded = np.zeros((len(pieces), *longest), np.int64)
    for row, lists in zip(padded, pieces, strict=True):
        for place, lengths in zip(row, lists, strict=False):
            place[: len(lengths)] = lengths
    return _padded(rows), padded


def _padded(lists: list[list[int]]) -> Ints:
    """One row a list, zeros behind, and one column of zeros at least."""
    longest = max(map(len, lists)) + 1
    return np.array([numbers + [0] * (longest - len(numbers)) for numbers in lists], np.int64)


def _prefix(padded: Ints) -> Ints:
    """Sums of the first 0, 1, 2, ... numbers of every row; behind its end the whole sum."""
    return np.concatenate([np.zeros((len(padded), 1), np.int64), padded.cumsum(axis=1)[:, :-1]], axis=1)
