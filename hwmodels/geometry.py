"""A layer as the machine walks it: words, windows, blocks and patches (docs/machine.md, sections 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from workloads.encoding import packed_windows
from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool, ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The numbers of one layer that do not depend on rows, cols or buffers.

    `vector` layers (pooling, add) use the vector unit; the others use the PE grid. For a first layer whose windows
    the host packs, the kernel is 1x1 over `channels` = N and the map is the output map.
    """

    vector: bool
    operands: int
    channels: int
    groups: int
    out_channels: int
    out_size: tuple[int, int]
    in_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    act_bits: int
    weight_bits: int
    out_bits: int | None
    sums: bool
    acc_bits: int
    macs: int

    @property
    def positions(self) -> int:
        """Output positions."""
        return prod(self.out_size)

    @property
    def taps(self) -> int:
        """Taps of a window, over all operands."""
        return prod(self.kernel) * self.operands

    @property
    def thresholds(self) -> bool:
        """Whether sums become codes; a max pool hands codes on, a last layer its raw sums."""
        return self.sums and self.out_bits is not None

    @property
    def levels(self) -> int:
        """Thresholds per channel."""
        return 2 ** (self.out_bits or 0) - 1 if self.thresholds else 0


def geometry(layer: Layer, width: int) -> Geometry | None:
    """The walk of a layer on a machine of this width, or None for a layer that costs nothing (Flatten)."""
    if isinstance(layer, Flatten):
        return None
    if isinstance(layer, Conv | Dense):
        return _packed(layer) if packed_windows(layer, width) else _contraction(layer)
    return _vector(layer)


@dataclass(frozen=True, slots=True)
class Reduction:
    """How one dot product is walked: words per window, weight planes streamed, channel groups in all.

    `one_tile`: the channel groups of a grouped layer end inside an output word, so only all of them make a tile.
    """

    words: int
    weight_planes: int
    channel_groups: int
    one_tile: bool = False


@lru_cache(maxsize=65536)
def reduction(shape: Geometry, *, kind: str, rows: int, width: int) -> Reduction:
    """F1, K' and the number of groups of `rows` output channels (docs/machine.md, section 2).

    A multiplier knows zero, so only planes (`kind` "array") pay for the zero weights of a group that shares its words.
    """
    words = ceil_div(shape.channels, width)
    if shape.vector:
        return Reduction(words, 0, ceil_div(shape.out_channels, rows))
    if shape.groups == 1:
        return Reduction(prod(shape.kernel) * words, shape.weight_bits, ceil_div(shape.out_channels, rows))
    if shape.channels % width == 0:
        outputs = shape.out_channels // shape.groups
        channel_groups = shape.groups * ceil_div(outputs, rows)
        return Reduction(prod(shape.kernel) * words, shape.weight_bits, channel_groups, one_tile=outputs % rows != 0)
    planes = shape.weight_bits * (2 if kind == "array" else 1)
    spanned = prod(shape.kernel) * _spanned_words(shape, rows, width)
    return Reduction(spanned, planes, ceil_div(shape.out_channels, rows))


def block_sides(size: int) -> tuple[int, ...]:
    """Legal block sides for an output side: powers of two below it, and the whole side."""
    sides = []
    side = 1
    while side < size:
        sides.append(side)
        side *= 2
    return (*sides, size)


@dataclass(frozen=True, slots=True)
class Patch:
    """What one block reads along one axis: pixels held, runs they come in, and pixels of all blocks inside the map."""

    blocks: int
    pixels: int
    runs: int
    inside: int


@lru_cache(maxsize=65536)
def patch(shape: Geometry, axis: int, side: int) -> Patch:
    """The patch of a block of `side` outputs along axis 0 (rows) or 1 (columns).

    pixels = (side - 1) * min(stride, span) + span, span = (kernel - 1) * dilation + 1: rows and columns that no window
    touches (stride > span) are not loaded, at the price of one run per window along the row.
    """
    stride, span = shape.stride[axis], (shape.kernel[axis] - 1) * shape.dilation[axis] + 1
    blocks = ceil_div(shape.out_size[axis], side)
    pixels = (side - 1) * min(stride, span) + span
    inside = sum(_inside(shape, axis, block * side, side, span) for block in range(blocks))
    return Patch(blocks, pixels, side if stride > span else 1, inside)


def _inside(shape: Geometry, axis: int, first: int, side: int, span: int) -> int:
    """Pixels of one block's patch that lie inside the map; the others are pads that never reach the port."""
    stride, size = shape.stride[axis], shape.in_size[axis]
    start = first * stride - shape.before[axis]
    if stride <= span:
        return max(0, min(size, start + (side - 1) * stride + span) - max(0, start))
    starts = (start + index * stride for index in range(side))
    return sum(max(0, min(size, begin + span) - max(0, begin)) for begin in starts)


def _spanned_words(shape: Geometry, rows: int, width: int) -> int:
    """Most channel words that the inputs of `rows` consecutive output channels of a grouped layer touch."""
    outputs = shape.out_channels // shape.groups
    spans = []
    for first in range(0, shape.out_channels, rows):
        last = min(shape.out_channels, first + rows) - 1
        low, high = first // outputs * shape.channels, (last // outputs + 1) * shape.channels - 1
        spans.append(high // width - low // width + 1)
    return max(spans)


def _packed(layer: Conv | Dense) -> Geometry:
    size = layer.out_shape[1:]
    return Geometry(
        vector=False, operands=1, channels=layer.reduction, groups=1, out_channels=layer.out_channels,
        out_size=size, in_size=size, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), before=(0, 0),
        act_bits=layer.act_bits, weight_bits=layer.weight_bits, out_bits=layer.out_bits,
        sums=True, acc_bits=layer.acc_bits, macs=layer.macs,
    )  # fmt: skip


def _contraction(layer: Conv | Dense) -> Geometry:
    if isinstance(layer, Dense):
        channels, height, width = layer.in_shape
        kernel, in_size, before = (height, width), (height, width * layer.positions), (0, 0)
        stride, dilation, groups = (1, width), (1, 1), 1
    else:
        channels, height, width = layer.in_shape
        kernel, in_size, before = layer.kernel, (height, width), (layer.padding[0], layer.padding[1])
        stride, dilation, groups = layer.stride, layer.dilation, layer.groups
    return Geometry(
        vector=False, operands=1, channels=channels // groups, groups=groups, out_channels=layer.out_channels,
        out_size=layer.out_shape[1:], in_size=in_size, kernel=kernel, stride=stride, dilation=dilation, before=before,
        act_bits=layer.act_bits, weight_bits=layer.weight_bits, out_bits=layer.out_bits,
        sums=True, acc_bits=layer.acc_bits, macs=layer.macs,
    )  # fmt: skip


def _vector(layer: Pool | Add) -> Geometry:
    pool = isinstance(layer, Pool)
    kernel = layer.kernel if isinstance(layer, Pool) else (1, 1)
    stride = layer.stride if isinstance(layer, Pool) else (1, 1)
    before = (layer.padding[0], layer.padding[1]) if isinstance(layer, Pool) else (0, 0)
    sums = not (isinstance(layer, Pool) and layer.kind == "max")
    return Geometry(
        vector=True, operands=1 if pool else 2, channels=layer.in_shape[0], groups=1, out_channels=layer.out_shape[0],
        out_size=layer.out_shape[1:], in_size=layer.in_shape[1:], kernel=kernel, stride=stride, dilation=(1, 1),
        before=before, act_bits=layer.act_bits, weight_bits=0, out_bits=layer.out_bits,
        sums=sums, acc_bits=layer.acc_bits, macs=0,
    )  # fmt: skip
