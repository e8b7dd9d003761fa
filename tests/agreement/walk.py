"""A brute-force walk of one layer on the machine, written from docs/machine.md alone: loops and counters, no formula.

It visits every tile, block, position, channel group, plane group and word, and counts one by one what happens.
Readings of the document where it is silent: positions of a block beyond the map are walked (the counters know no
border) but produce nothing; a weight bank is read for them, the bank of a column is not; a bank entry is read whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

from hwmodels.design import Design
from workloads.layers import Add, Conv, Dense, Layer, Pool

RAW = THRESHOLD = 32
Position = tuple[int, int]
Block = tuple[Position, ...]


def up(dividend: int, divisor: int) -> int:
    return (dividend + divisor - 1) // divisor


@dataclass
class Tile:
    """Cycles of one tile with its own size: compute steps, and beats plus bursts of its two loads and its store."""

    compute: int = 0
    steady: int = 0
    weight_load: int = 0
    act_load: int = 0
    store: int = 0
    loads_weights: bool = False
    loads_acts: bool = False


@dataclass
class Walked:
    """What the walk counted; `counts` has the names of workloads.actions.Actions."""

    counts: Counter[str] = field(default_factory=Counter)
    compute: int = 0
    steady: int = 0
    drain_busy: int = 0
    tail: int = 0
    read_bits: int = 0
    written: set[tuple[object, ...]] = field(default_factory=set)
    write_bits: int = 0
    tiles: list[Tile] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """A layer as (docs, section 2) stores and reads it; all sides are (vertical, horizontal)."""

    channels: int
    groups: int
    outputs: int
    size: Position
    out_size: Position
    kernel: Position
    stride: Position
    dilation: Position
    before: Position
    act_bits: int
    weight_bits: int
    out_bits: int | None
    operands: int = 1
    vector: bool = False
    post: bool = True


def window(layer: Layer, width: int) -> Window:
    """How the machine sees the layer: as it is, or 1x1 over packed windows."""
    if isinstance(layer, Pool | Add):
        pool = layer if isinstance(layer, Pool) else None
        return Window(
            layer.in_shape[0], 1, layer.in_shape[0], layer.in_shape[1:], layer.out_shape[1:],
            pool.kernel if pool else (1, 1), pool.stride if pool else (1, 1), (1, 1),
            (pool.padding[0], pool.padding[1]) if pool else (0, 0), layer.act_bits, 0, layer.out_bits,
            operands=1 if pool else 2, vector=True, post=not (pool and pool.kind == "max"),
        )  # fmt: skip
    assert isinstance(layer, Conv | Dense)
    out_size, bits = layer.out_shape[1:], (layer.act_bits, layer.weight_bits, layer.out_bits)
    if _host_packs(layer, width):
        return Window(layer.reduction, 1, layer.out_channels, out_size, out_size, (1, 1), (1, 1), (1, 1), (0, 0), *bits)
    if isinstance(layer, Dense):
        kernel = layer.in_shape[1:]
        size = (1, layer.positions) if layer.positions > 1 else kernel
        return Window(layer.in_shape[0], 1, layer.out_channels, size, out_size, kernel, (1, 1), (1, 1), (0, 0), *bits)
    return Window(
        layer.in_shape[0], layer.groups, layer.out_channels, layer.in_shape[1:], out_size, layer.kernel, layer.stride,
        layer.dilation, (layer.padding[0], layer.padding[1]), *bits,
    )  # fmt: skip


def _host_packs(layer: Conv | Dense, width: int) -> bool:
    """A first layer whose padding has a code (or there is none), where packing saves words."""
    if not layer.from_host:
        return False
    if isinstance(layer, Conv):
        if any(layer.padding) and layer.pad_code is None:
            return False
        by_tap = layer.kernel[0] * layer.kernel[1] * up(layer.in_shape[0] // layer.groups, width)
    else:
        by_tap = layer.in_shape[1] * layer.in_shape[2] * up(layer.in_shape[0], width)
    return up(layer.reduction, width) < by_tap


@dataclass(frozen=True)
class Walk:
    """The loops. `groups` channel groups and C blocks of `block` positions make a tile."""

    seen: Window
    design: Design
    dataflow: str
    groups: int
    block: Position

    @property
    def lanes(self) -> tuple[int, int]:
        d = self.design
        return (d.max_act_bits, d.max_weight_bits) if d.kind == "mac" else (d.lanes_a, d.lanes_w)

    @property
    def unaligned(self) -> bool:
        return self.seen.groups > 1 and (self.seen.channels // self.seen.groups) % self.design.width != 0

    @property
    def weight_planes(self) -> int:
        doubled = self.unaligned and self.design.kind == "array"
        return 2 * self.seen.weight_bits if doubled else self.seen.weight_bits

    def channel_groups(self) -> list[list[int]]:
        """Output channels that the rows work on at once: R of them, never of two groups where the groups fill words."""
        s, rows = self.seen, self.design.rows
        per = s.outputs if s.groups == 1 or self.unaligned else s.outputs // s.groups
        runs = [list(range(first, first + per)) for first in range(0, s.outputs, per)]
        return [run[i : i + rows] for run in runs for i in range(0, len(run), rows)]

    def window_words(self) -> int:
        """F1, counted: words that the taps of a window touch."""
        s, width = self.seen, self.design.width
        inputs, outputs = s.channels // s.groups, s.outputs // s.groups
        if not self.unaligned:
            return sum(1 for _ in product(range(s.kernel[0]), range(s.kernel[1]), range(0, inputs, width)))
        touched = [
            {(channel // outputs * inputs + i) // width for channel in group for i in range(inputs)}
            for group in self.channel_groups()
        ]
        spanned = max(max(words) - min(words) + 1 for words in touched)
        return sum(1 for _ in product(range(s.kernel[0]), range(s.kernel[1]), range(spanned)))

    def blocks(self) -> list[Block]:
        """Blocks of output positions in row-major order; those at the border reach beyond the map."""
        (height, width), (bh, bw) = self.seen.out_size, self.block
        origins = product(range(0, height, bh), range(0, width, bw))
        return [tuple((y + i, x + j) for i in range(bh) for j in range(bw)) for y, x in origins]

    def inside(self, position: Position) -> bool:
        return position[0] < self.seen.out_size[0] and position[1] < self.seen.out_size[1]

    def patch(self, block: Block, axis: int) -> list[int]:
        """Rows (axis 0) or columns of the map, pads included, that the windows of a block span."""
        s = self.seen
        span = (s.kernel[axis] - 1) * s.dilation[axis] + 1
        starts = {position[axis] * s.stride[axis] - s.before[axis] for position in block}
        return sorted({start + offset for start in starts for offset in range(span)})

    def tile_words(self, tile: list[list[int]]) -> int:
        """Channel words of a pixel that an activation tile takes: those of its own channels in a vector layer."""
        channels = sum(len(group) for group in tile) if self.seen.vector else self.seen.channels
        return up(channels, self.design.width)

    def order(self, channel_tiles: int, space_tiles: int) -> Iterator[tuple[int, int]]:
        if self.dataflow == "weight":
            yield from product(range(channel_tiles), range(space_tiles))
        else:
            yield from ((channel, space) for space, channel in product(range(space_tiles), range(channel_tiles)))

    def run(self, *, count: bool = True) -> Walked:
        """Walk the layer; without `count` the tiles only, whose steps then are multiplied instead of visited."""
        result = Walked()
        groups, blocks = self.channel_groups(), self.blocks()
        channel_tiles = [groups[i : i + self.groups] for i in range(0, len(groups), self.groups)]
        space_tiles = [blocks[i : i + self.design.cols] for i in range(0, len(blocks), self.design.cols)]
        held: tuple[int | None, object] = (None, None)
        for channel, space in self.order(len(channel_tiles), len(space_tiles)):
            wanted = (channel, (channel, space) if self.seen.vector else space)
            tile = Tile(loads_weights=held[0] != wanted[0], loads_acts=held[1] != wanted[1])
            held = wanted
            whole = len(channel_tiles) == 1
            self.load_weights(result, tile, channel_tiles[channel])
            self.load_acts(result, tile, channel_tiles[channel], space_tiles[space], whole)
            if not count:
                self.compute_uncounted(result, tile, channel_tiles[channel], space_tiles[space])
            elif self.seen.vector:
                self.compute_vector(result, tile, channel_tiles[channel], space_tiles[space])
            else:
                self.compute_grid(result, tile, channel_tiles[channel], space_tiles[space])
            self.store(tile, channel_tiles[channel], space_tiles[space], whole)
            result.tiles.append(tile)
        result.counts["output_writes" if self.seen.out_bits is not None else "raw_writes"] = len(result.written)
        return result

    def load_weights(self, result: Walked, tile: Tile, groups: list[list[int]]) -> None:
        s, bits = self.seen, 0
        for _ in (channel for group in groups for channel in group):
            words = 0 if s.vector else self.window_words() * self.weight_planes
            levels = 2**s.out_bits - 1 if s.post and s.out_bits is not None else 0
            bits += words * self.design.width + levels * THRESHOLD
            if tile.loads_weights:
                result.counts["weight_writes"] += words
        tile.weight_load = self.run_cycles(bits)
        result.read_bits += bits if tile.loads_weights else 0

    def load_acts(self, result: Walked, tile: Tile, groups: list[list[int]], blocks: list[Block], whole: bool) -> None:
        s, pixel_words = self.seen, self.tile_words(groups) * self.seen.act_bits
        for _, block in product(range(s.operands), blocks):
            columns = self.patch(block, 1)
            if s.vector and not whole:
                runs = [1] * len(columns)
            else:
                breaks = [i for i in range(1, len(columns)) if self.breaks(columns, i)]
                runs = [b - a for a, b in zip([0, *breaks], [*breaks, len(columns)], strict=True)]
            for y in self.patch(block, 0):
                tile.act_load += sum(self.run_cycles(run * pixel_words * self.design.width) for run in runs)
                real = sum(1 for x in columns if 0 <= y < s.size[0] and 0 <= x < s.size[1])
                if tile.loads_acts:
                    result.counts["activation_writes"] += real * pixel_words
                    result.read_bits += real * pixel_words * self.design.width

    def breaks(self, columns: list[int], index: int) -> bool:
        """A run ends where the next column does not follow, or where the next window starts if windows do not meet."""
        s = self.seen
        span = (s.kernel[1] - 1) * s.dilation[1] + 1
        return columns[index] != columns[index - 1] + 1 or (s.stride[1] > span and index % span == 0)

    def compute_grid(self, result: Walked, tile: Tile, groups: list[list[int]], blocks: list[Block]) -> None:
        s, counts = self.seen, result.counts
        la, lw = self.lanes
        entries = self.window_words()
        result.tail = drain = self.drain_cycles()
        for group, step in product(groups, range(len(blocks[0]))):
            useful = [(block[step], channel) for block in blocks if self.inside(block[step]) for channel in group]
            columns = sum(1 for block in blocks if self.inside(block[step]))
            cycles = 0
            for m, k in product(range(0, s.act_bits, la), range(0, self.weight_planes, lw)):
                planes = min(la, s.act_bits - m) * min(lw, self.weight_planes - k)
                counts["combines"] += len(useful) * planes
                for _ in range(entries):
                    cycles += 1
                    counts["activation_reads"] += columns * la
                    counts["weight_reads"] += len(group) * lw
                    counts["accumulations"] += len(useful)
                    counts["xnor_words"] += len(useful) * planes
            tile.compute += cycles
            tile.steady += max(cycles, drain)
            result.drain_busy += drain
            for position, channel in useful:
                self.emit(result, position, channel)
        result.compute += tile.compute
        result.steady += tile.steady

    def compute_uncounted(self, result: Walked, tile: Tile, groups: list[list[int]], blocks: list[Block]) -> None:
        s, d, (la, lw) = self.seen, self.design, self.lanes
        result.tail = self.drain_cycles()
        cycles = s.operands * s.kernel[0] * s.kernel[1] * up(s.act_bits, la)
        steps = len(blocks) * len(blocks[0]) * up(sum(len(group) for group in groups), d.width)
        if not s.vector:
            cycles = self.window_words() * up(s.act_bits, la) * up(self.weight_planes, lw)
            steps = len(groups) * len(blocks[0])
        tile.steady = steps * max(cycles, result.tail)
        result.steady += tile.steady

    def drain_cycles(self) -> int:
        """Cycles for the results of one step to leave: column by column, or R of a word's sums a cycle."""
        s, d = self.seen, self.design
        if s.vector:
            raw = 1 if s.out_bits is not None else up(RAW, d.max_act_bits)
            return up(d.width, d.rows) * raw if s.post else 1
        return d.cols * (1 if s.out_bits is not None else up(RAW, d.max_act_bits))

    def compute_vector(self, result: Walked, tile: Tile, groups: list[list[int]], blocks: list[Block]) -> None:
        s, counts = self.seen, result.counts
        la, channels = self.lanes[0], [channel for group in groups for channel in group]
        words = [channels[i : i + self.design.width] for i in range(0, len(channels), self.design.width)]
        result.tail = post = self.drain_cycles()
        for block, word in product(blocks, words):
            for position in block:
                cycles = 0
                for _ in product(range(s.operands), range(s.kernel[0]), range(s.kernel[1])):
                    for m in range(0, s.act_bits, la):
                        cycles += 1
                        if self.inside(position):
                            counts["activation_reads"] += la
                            counts["vector_words"] += min(la, s.act_bits - m)
                tile.compute += cycles
                tile.steady += max(cycles, post)
                result.drain_busy += post
                if self.inside(position):
                    for channel in word:
                        self.emit(result, position, channel)
        result.compute += tile.compute
        result.steady += tile.steady

    def emit(self, result: Walked, position: Position, channel: int) -> None:
        s, width = self.seen, self.design.width
        if s.out_bits is None:
            result.written.add((position, channel))
            result.write_bits += RAW
            return
        if s.post:
            result.counts["threshold_compares"] += s.out_bits
        for plane in range(s.out_bits):
            word = (position, channel // width, plane)
            if word not in result.written:
                result.written.add(word)
                result.write_bits += width

    def store(self, tile: Tile, groups: list[list[int]], blocks: list[Block], whole: bool) -> None:
        s, channels = self.seen, sum(len(group) for group in groups)
        words = up(channels, self.design.width)
        pixel = channels * RAW if s.out_bits is None else words * s.out_bits * self.design.width
        for block in blocks:
            real = [position for position in block if self.inside(position)]
            for row in sorted({y for y, _ in real}):
                pixels = sum(1 for y, _ in real if y == row)
                tile.store += self.run_cycles(pixels * pixel) if whole else pixels * self.run_cycles(pixel)

    def run_cycles(self, bits: int) -> int:
        """One cycle a beat and one a burst."""
        beats = up(bits, self.design.port_bits)
        return beats + up(beats, self.design.port_burst)


@dataclass(frozen=True)
class Timeline:
    """Cycles around the compute: first load, waits of all tile changes, last store."""

    first_load: int
    stall: int
    last_store: int

    @property
    def total(self) -> int:
        return self.first_load + self.stall + self.last_store


def timeline(tiles: list[Tile], design: Design) -> Timeline:
    """Section 5 with every tile's own numbers: change i waits for the load of tile i + 1 and the store of tile i."""
    stall = 0
    for now, following in pairwise(tiles):
        stall += max(now.steady, _port_busy(design, following, now.store)) - now.steady
    return _around(tiles, design, stall)


def double_buffered(tiles: list[Tile], design: Design) -> Timeline:
    """What two halves of a buffer allow: while tile i computes, tile i + 1 is loaded and tile i - 1 is stored."""
    stall = 0
    for i, now in enumerate(tiles):
        following = tiles[i + 1] if i + 1 < len(tiles) else None
        stall += max(now.steady, _port_busy(design, following, tiles[i - 1].store if i else 0)) - now.steady
    return _around(tiles, design, stall)


def _around(tiles: list[Tile], design: Design, stall: int) -> Timeline:
    first = design.port_latency + tiles[0].weight_load + tiles[0].act_load
    return Timeline(first, stall, tiles[-1].store + design.port_latency)


def _port_busy(design: Design, following: Tile | None, store: int) -> int:
    if following is None:
        return store
    beats = following.weight_load * following.loads_weights + following.act_load * following.loads_acts
    load = design.port_latency + beats
    return load + store if design.port_shared else max(load, store)
