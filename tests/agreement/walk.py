"""A brute-force walk of one layer on the machine, written from docs/machine.md alone: loops and counters, no formula.

It visits every tile, block, position, channel group, plane group and word, and counts one by one what happens; then it
replays the tiles on the ports, by the recurrence of section 5 where there are two, burst by burst where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

from hwmodels.design import Design
from workloads.layers import Add, Concat, Conv, Dense, Layer, MatMul, Pool, Shuffle, Upsample

THRESHOLD, DESCRIPTOR, SETUP, FINISH = 32, 2048, 2, 1
Position = tuple[int, int]
Block = tuple[Position, ...]
Channels = list[int]


def up(dividend: int, divisor: int) -> int:
    return (dividend + divisor - 1) // divisor


def flat(groups: list[Channels]) -> Channels:
    return [channel for group in groups for channel in group]


@dataclass
class Tile:
    """One tile: its steps, cycles of a step, of its drain and behind it, and the bursts of its loads and its store."""

    steps: int = 0
    step: int = 0
    drain: int = 0
    pipeline: int = 0
    load: list[int] = field(default_factory=list)
    weights: int = 0
    """How many of the loads are weights and thresholds."""
    store: list[int] = field(default_factory=list)

    @property
    def unit(self) -> int:
        """Cycles in which the grid (or the vector unit) is at it."""
        return self.steps * max(self.step, self.drain)


@dataclass
class Walked:
    """What the walk counted; `counts` has the names of workloads.actions.Actions."""

    counts: Counter[str] = field(default_factory=Counter)
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
    acc_bits: int
    operands: int = 1
    additions: int = 1
    vector: bool = False
    post: bool = True
    row_sums: bool = False
    column_sums: bool = False


def window(layer: Layer, width: int) -> Window:
    """How the machine sees the layer: as it is, or 1x1 over packed windows."""
    out_size = layer.out_shape[1:]
    if isinstance(layer, Pool):
        return Window(
            layer.in_shape[0], 1, layer.in_shape[0], layer.in_shape[1:], out_size, layer.kernel, layer.stride, (1, 1),
            (layer.padding[0], layer.padding[1]), layer.act_bits, 0, layer.out_bits, layer.acc_bits,
            vector=True, post=layer.kind == "average",
        )  # fmt: skip
    if isinstance(layer, Add | Upsample | Concat | Shuffle):
        return one_by_one(layer)
    assert isinstance(layer, Conv | Dense | MatMul)
    bits = (layer.act_bits, layer.weight_bits, layer.out_bits, layer.acc_bits)
    rows = layer.weight_offset != 0
    if isinstance(layer, MatMul):
        size, columns = layer.in_shape[1:], layer.act_offset != 0
        return Window(
            layer.in_shape[0], layer.heads, layer.out_channels, size, out_size, (1, 1), (1, 1), (1, 1), (0, 0), *bits,
            row_sums=rows, column_sums=columns,
        )  # fmt: skip
    if _host_packs(layer, width):
        return Window(
            layer.reduction,
            1,
            layer.out_channels,
            out_size,
            out_size,
            (1, 1),
            (1, 1),
            (1, 1),
            (0, 0),
            *bits,
            row_sums=rows,
        )
    if isinstance(layer, Dense):
        kernel = layer.in_shape[1:]
        size = (1, layer.positions) if layer.positions > 1 else kernel
        return Window(
            layer.in_shape[0],
            1,
            layer.out_channels,
            size,
            out_size,
            kernel,
            (1, 1),
            (1, 1),
            (0, 0),
            *bits,
            row_sums=rows,
        )
    return Window(
        layer.in_shape[0], layer.groups, layer.out_channels, layer.in_shape[1:], out_size, layer.kernel, layer.stride,
        layer.dilation, (layer.padding[0], layer.padding[1]), *bits, row_sums=rows,
    )  # fmt: skip


def one_by_one(layer: Add | Upsample | Concat | Shuffle) -> Window:
    """The loader fetches what an output position needs, wherever it lies: as many words as operands."""
    size, operands, additions, post = layer.out_shape[1:], 1, 1, False
    if isinstance(layer, Add):
        operands, post = 2, True
        additions = sum(bin(multiplier).count("1") for multiplier in layer.multipliers)
    if isinstance(layer, Upsample) and layer.kind == "linear":
        pairs = list(product(layer.taps(0), layer.taps(1)))
        operands = max(len(down) * len(right) for down, right in pairs)
        additions = max(sum(bin(a * b).count("1") for (_, a), (_, b) in product(*pair)) for pair in pairs)
        post = True
    return Window(
        layer.out_shape[0], 1, layer.out_shape[0], size, size, (1, 1), (1, 1), (1, 1), (0, 0), layer.act_bits, 0,
        layer.out_bits, layer.acc_bits if isinstance(layer, Add | Upsample) else layer.act_bits,
        operands=operands, additions=additions, vector=True, post=post,
    )  # fmt: skip


def _host_packs(layer: Conv | Dense, width: int) -> bool:
    """A first layer without groups whose padding has a code (or there is none), where packing saves words."""
    if not layer.from_host:
        return False
    if isinstance(layer, Conv):
        if layer.groups > 1 or (any(layer.padding) and layer.pad_code is None):
            return False
        by_tap = layer.kernel[0] * layer.kernel[1] * up(layer.in_shape[0], width)
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
    def expanded(self) -> bool:
        """Zero weights between the groups: the window is walked twice."""
        s, d = self.seen, self.design
        inputs, outputs = s.channels // s.groups, s.outputs // s.groups
        return not s.vector and s.groups > 1 and (inputs % d.width != 0 or outputs % d.rows != 0)

    @property
    def weight_planes(self) -> int:
        """Planes of a weight word that stream; where every row reads channels of its own, their sum is one more."""
        return self.seen.weight_bits + (self.expanded and self.seen.row_sums)

    @property
    def corrected(self) -> bool:
        """Whether codes of windows are summed beside the grid."""
        return self.seen.row_sums and self.design.kind == "array" and not self.expanded

    def summing(self, groups: list[Channels]) -> list[bool]:
        """For each channel group of a tile: whether its windows are not those of the group before."""
        read = [group[0] // (self.seen.outputs // self.seen.groups) for group in groups]
        return [self.corrected and (i == 0 or own != read[i - 1]) for i, own in enumerate(read)]

    @property
    def planes(self) -> int:
        """Planes of what the layer emits: of its codes, or of its sums."""
        s = self.seen
        return s.out_bits if s.out_bits is not None else s.acc_bits + (1 if self.expanded else 0)

    @property
    def levels(self) -> int:
        s = self.seen
        return 2**s.out_bits - 1 if s.post and s.out_bits is not None else 0

    def channel_groups(self) -> list[Channels]:
        """Output channels that the rows work on at once."""
        s, rows = self.seen, self.design.rows
        return [list(range(first, min(s.outputs, first + rows))) for first in range(0, s.outputs, rows)]

    def window_words(self) -> int:
        """F1, counted: words that the taps of a window touch, once, or once for each of two opposite planes."""
        s, width = self.seen, self.design.width
        inputs, outputs = s.channels // s.groups, s.outputs // s.groups
        if not self.expanded:
            return sum(1 for _ in product(range(s.kernel[0]), range(s.kernel[1]), range(0, inputs, width)))
        touched = [
            {(channel // outputs * inputs + i) // width for channel in group for i in range(inputs)}
            for group in self.channel_groups()
        ]
        spanned = max(max(words) - min(words) + 1 for words in touched)
        return sum(1 for _ in product(range(2), range(s.kernel[0]), range(s.kernel[1]), range(spanned)))

    def blocks(self) -> list[Block]:
        """Blocks of output positions in row-major order; those at the border reach beyond the map."""
        (height, width), (bh, bw) = self.seen.out_size, self.block
        origins = product(range(0, height, bh), range(0, width, bw))
        return [tuple((y + i, x + j) for i in range(bh) for j in range(bw)) for y, x in origins]

    def inside(self, position: Position) -> bool:
        return position[0] < self.seen.out_size[0] and position[1] < self.seen.out_size[1]

    def pieces(self, block: Block, axis: int) -> list[list[int]]:
        """Coordinates along an axis that a block reads: one piece where windows meet, else one a window; no pads."""
        s = self.seen
        span = (s.kernel[axis] - 1) * s.dilation[axis] + 1
        starts = sorted({position[axis] * s.stride[axis] - s.before[axis] for position in block})
        windows = [list(range(start, start + span)) for start in starts]
        if s.stride[axis] <= span:
            windows = [list(range(windows[0][0], windows[-1][-1] + 1))]
        real = [[at for at in piece if 0 <= at < s.size[axis]] for piece in windows]
        return [piece for piece in real if piece]

    def tile_words(self, channels: Channels) -> int:
        """Channel words of a pixel that an activation tile takes: those of its own channels in a vector layer."""
        return (
            len({channel // self.design.width for channel in channels})
            if self.seen.vector
            else up(self.seen.channels, self.design.width)
        )

    def order(self, channel_tiles: int, space_tiles: int) -> Iterator[tuple[int, int]]:
        if self.dataflow == "weight":
            yield from product(range(channel_tiles), range(space_tiles))
        else:
            yield from ((channel, space) for space, channel in product(range(space_tiles), range(channel_tiles)))

    def run(self, *, count: bool = True) -> Walked:
        """Walk the layer; without `count` the tiles only, whose steps then are multiplied instead of visited."""
        result, cols = Walked(), self.design.cols
        groups, blocks = self.channel_groups(), self.blocks()
        channel_tiles = [groups[i : i + self.groups] for i in range(0, len(groups), self.groups)]
        space_tiles = [blocks[i : i + cols] for i in range(0, len(blocks), cols)]
        held: tuple[int | None, object] = (None, None)
        result.read_bits += DESCRIPTOR
        for channel, space in self.order(len(channel_tiles), len(space_tiles)):
            wanted = (channel, (channel, space) if self.seen.vector else space)
            tile, whole = Tile(), len(channel_tiles) == 1
            if held[0] != wanted[0]:
                self.load_weights(result, tile, channel_tiles[channel])
            if held[1] != wanted[1]:
                self.load_acts(result, tile, channel_tiles[channel], space_tiles[space], whole)
            held = wanted
            self.compute(result, tile, channel_tiles[channel], space_tiles[space], count)
            self.store(result, tile, channel_tiles[channel], space_tiles[space], whole)
            result.tiles.append(tile)
        return result

    def load_weights(self, result: Walked, tile: Tile, groups: list[Channels]) -> None:
        """One run: for every channel group word by word and plane by plane the rows' words, then the thresholds."""
        s, d, beats = self.seen, self.design, 0
        together = max(1, d.port_bits // d.width)
        for group in groups:
            words = 0 if s.vector else self.window_words() * self.weight_planes
            for _ in range(words):
                beats += sum(self.word_beats() for _ in range(0, len(group), together))
            for _ in range(len(group) * self.levels):
                beats += up(THRESHOLD, d.port_bits)
            result.counts["weight_writes"] += words * len(group)
            if s.column_sums and d.kind == "array":
                result.counts["correction_words"] += words * len(group)
            result.counts["threshold_writes"] += self.levels * len(group)
            result.read_bits += words * len(group) * d.width + self.levels * len(group) * THRESHOLD
        tile.load += self.bursts(beats)
        tile.weights = len(tile.load)

    def load_acts(self, result: Walked, tile: Tile, groups: list[Channels], blocks: list[Block], whole: bool) -> None:
        words = self.tile_words(flat(groups)) * self.seen.act_bits
        for block, _ in product(blocks, range(self.seen.operands)):
            rows = [y for piece in self.pieces(block, 0) for y in piece]
            for _, piece in product(rows, self.pieces(block, 1)):
                runs = [1] * len(piece) if self.seen.vector and not whole else [len(piece)]
                for pixels in runs:
                    tile.load += self.bursts(pixels * words * self.word_beats())
                result.counts["activation_writes"] += len(piece) * words
                result.read_bits += len(piece) * words * self.design.width

    def store(self, result: Walked, tile: Tile, groups: list[Channels], blocks: list[Block], whole: bool) -> None:
        """Positions beyond the map are skipped."""
        words = len({channel // self.design.width for channel in flat(groups)}) * self.planes
        for block in blocks:
            real = [position for position in block if self.inside(position)]
            for row in sorted({y for y, _ in real}):
                pixels = sum(1 for y, _ in real if y == row)
                runs = [pixels] if whole else [1] * pixels
                for length in runs:
                    tile.store += self.bursts(length * words * self.word_beats())
                result.write_bits += pixels * words * self.design.width

    def word_beats(self) -> int:
        return max(1, self.design.width // self.design.port_bits)

    def bursts(self, beats: int) -> list[int]:
        """A run cut into bursts: for each its request cycle and its beats."""
        longest = self.design.port_burst
        return [1 + min(longest, beats - first) for first in range(0, beats, longest)]

    def compute(self, result: Walked, tile: Tile, groups: list[Channels], blocks: list[Block], count: bool) -> None:
        tile.drain, tile.pipeline = self.drain_cycles(), self.pipeline()
        if not count:
            self.compute_uncounted(tile, groups, blocks)
        elif self.seen.vector:
            self.compute_vector(result, tile, groups, blocks)
        else:
            self.compute_grid(result, tile, groups, blocks)

    def compute_grid(self, result: Walked, tile: Tile, groups: list[Channels], blocks: list[Block]) -> None:
        """Columns with a block walk every position of it, those beyond the map as well."""
        s, counts = self.seen, result.counts
        la, lw = self.lanes
        words = self.window_words()
        for (group, summing), step in product(zip(groups, self.summing(groups), strict=True), range(len(blocks[0]))):
            cycles, results = 0, [(block[step], channel) for block in blocks for channel in group]
            if summing:
                counts["correction_words"] += len(blocks) * words * s.act_bits
            if self.design.kind == "array":
                counts["correction_adds"] += len(results) * (self.corrected + s.column_sums)
            for m, k in product(range(0, s.act_bits, la), range(0, self.weight_planes, lw)):
                planes = min(la, s.act_bits - m) * min(lw, self.weight_planes - k)
                counts["combines"] += len(results) * planes
                for _ in range(words):
                    cycles += 1
                    counts["activation_reads"] += len(blocks) * la
                    counts["weight_reads"] += len(group) * lw
                    counts["accumulations"] += len(results)
                    counts["xnor_words"] += len(results) * planes
            tile.step, tile.steps = cycles, tile.steps + 1
            for position, channel in results:
                self.emit(result, position, channel)

    def compute_vector(self, result: Walked, tile: Tile, groups: list[Channels], blocks: list[Block]) -> None:
        s, counts, la = self.seen, result.counts, self.lanes[0]
        channels, width = flat(groups), self.design.width
        words = [channels[i : i + width] for i in range(0, len(channels), width)]
        for block, word in product(blocks, words):
            for position in block:
                cycles = 0
                for _ in product(range(s.additions), range(s.kernel[0]), range(s.kernel[1])):
                    for m in range(0, s.act_bits, la):
                        cycles += 1
                        counts["activation_reads"] += la
                        counts["vector_words"] += min(la, s.act_bits - m)
                tile.step, tile.steps = cycles, tile.steps + 1
                for channel in word:
                    self.emit(result, position, channel)

    def compute_uncounted(self, tile: Tile, groups: list[Channels], blocks: list[Block]) -> None:
        s, d, (la, lw) = self.seen, self.design, self.lanes
        if s.vector:
            tile.step = s.additions * s.kernel[0] * s.kernel[1] * up(s.act_bits, la)
            tile.steps = len(blocks) * len(blocks[0]) * up(sum(len(group) for group in groups), d.width)
        else:
            tile.step = self.window_words() * up(s.act_bits, la) * up(self.weight_planes, lw)
            tile.steps = len(groups) * len(blocks[0])

    def drain_cycles(self) -> int:
        """Cycles for the results of one step to leave: column by column, or R of a word's sums a cycle."""
        s, d = self.seen, self.design
        entries = 1 if s.out_bits is not None else up(self.planes, d.max_act_bits)
        if s.vector:
            return up(d.width, d.rows) * entries if s.post else 1
        return d.cols * entries

    def pipeline(self) -> int:
        stages = self.design.max_act_bits
        if self.seen.vector:
            return stages + 3 if self.seen.post else 2
        # Read, counts, sum, accumulator, move; and one write behind the post unit's stages.
        in_pe = self.design.count_stages + self.design.sum_stages + self.design.acc_stages
        return 1 + in_pe + 1 + stages

    def emit(self, result: Walked, position: Position, channel: int) -> None:
        """Into the output buffer, where positions beyond the map stay."""
        s = self.seen
        if s.post and s.out_bits is not None:
            result.counts["threshold_compares"] += s.out_bits
        for plane in range(self.planes):
            word = (position, channel // self.design.width, plane)
            if word not in result.written:
                result.written.add(word)
                result.counts["output_writes"] += 1


@dataclass(frozen=True)
class Timeline:
    """The events of section 5 that cycles by cause are made of, in cycles from the start of the layer."""

    starts: list[int]
    last_done: int
    last_write: int
    latency: int


def stall(timeline: Timeline, tiles: list[Tile]) -> int:
    """Waits of the grid at every change of tiles, and of the last store."""
    waits = sum(
        after - before - tile.unit for (before, after), tile in zip(pairwise(timeline.starts), tiles, strict=False)
    )
    return waits + timeline.last_write - timeline.last_done


def fetched(design: Design) -> int:
    beats = up(DESCRIPTOR, design.port_bits)
    return design.port_latency + beats + up(beats, design.port_burst) + SETUP


def recurrence(tiles: list[Tile], design: Design) -> Timeline:
    """Section 5 line by line: exact where loader and writer have a port each."""
    starts: list[int] = []
    loaded, reads, done, written, stored = [], [], [], [], []
    for i, tile in enumerate(tiles):
        begin = fetched(design) if i == 0 else max(loaded[i - 1], done[i - 2] if i > 1 else 0)
        loaded.append(begin + design.port_latency + sum(tile.load))
        free = stored[i - 2] if i > 1 else 0
        starts.append(max(loaded[i], starts[i - 1] + tiles[i - 1].unit if i else 0, free))
        reads.append(starts[i] + (tile.steps - 1) * max(tile.step, tile.drain) + tile.step)
        done.append(reads[i] + tile.drain + tile.pipeline)
        written.append(max(done[i], stored[i - 1] if i else 0))
        stored.append(written[i] + sum(tile.store))
    return Timeline(starts, done[-1], written[-1], stored[-1] + design.port_latency + FINISH)


@dataclass
class _Engine:
    """Loader or writer of the burst simulation: which tile it is at, and the bursts of that tile still to be asked for."""

    tile: int
    bursts: list[int]
    ready: int | None
    finished: list[int] = field(default_factory=list)


class Arbiter:
    """One port for both: burst by burst, granted in the cycle in which the port is free, the writer first."""

    def __init__(self, tiles: list[Tile], design: Design) -> None:
        self.tiles, self.latency = tiles, design.port_latency
        self.free, self.begun = 0, [0] * len(tiles)
        self.starts: list[int] = []
        self.loader = _Engine(0, list(tiles[0].load), fetched(design))
        self.writer = _Engine(0, list(tiles[0].store), None)

    def run(self) -> Timeline:
        while len(self.writer.finished) < len(self.tiles):
            self.wake()
            waiting = [engine for engine in (self.writer, self.loader) if engine.ready is not None]
            now = max(self.free, min(engine.ready for engine in waiting if engine.ready is not None))
            self.grant(next(engine for engine in waiting if engine.ready is not None and engine.ready <= now), now)
        stored = self.writer.finished
        return Timeline(self.starts, self.done(len(stored) - 1), self.begun[-1], stored[-1] + self.latency + FINISH)

    def wake(self) -> None:
        """Start every tile that can, then tell each engine from when it may ask."""
        loaded, stored = self.loader.finished, self.writer.finished
        while len(self.starts) < len(loaded) and len(stored) >= len(self.starts) - 1:
            i = len(self.starts)
            before = self.starts[-1] + self.tiles[i - 1].unit if i else 0
            self.starts.append(max(loaded[i], before, stored[i - 2] if i > 1 else 0))
        i = self.loader.tile
        if 0 < i < len(self.tiles) and self.loader.ready is None and len(self.starts) >= i - 1:
            self.loader.ready = max(loaded[i - 1], self.done(i - 2) if i > 1 else 0)
        i = self.writer.tile
        if i < len(self.starts) and self.writer.ready is None:
            self.writer.ready = self.begun[i] = max(self.done(i), stored[i - 1] if i else 0)

    def reads(self, i: int) -> int:
        tile = self.tiles[i]
        return self.starts[i] + (tile.steps - 1) * max(tile.step, tile.drain) + tile.step

    def done(self, i: int) -> int:
        return self.reads(i) + self.tiles[i].drain + self.tiles[i].pipeline

    def grant(self, engine: _Engine, now: int) -> None:
        self.free = now + engine.bursts.pop(0)
        if engine.bursts:
            return
        loads = engine is self.loader
        engine.finished.append(self.free + (self.latency if loads else 0))
        engine.tile, engine.ready = engine.tile + 1, None
        if engine.tile < len(self.tiles):
            following = self.tiles[engine.tile]
            engine.bursts = list(following.load if loads else following.store)


def timeline(tiles: list[Tile], design: Design) -> Timeline:
    """What the machine does, whichever ports it has."""
    return Arbiter(tiles, design).run() if design.port_shared else recurrence(tiles, design)
