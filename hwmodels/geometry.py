"""A layer as the machine walks it: words, windows, blocks and patches (docs/machine.md, sections 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from workloads.encoding import packed_windows
from workloads.layers import (
    Add,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Move,
    Pool,
    Upsample,
    Vector,
    ceil_div,
    sums,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The numbers of one layer that do not depend on rows, cols or buffers.

    `vector` layers (pooling, add, upsampling, moves) use the vector unit; the others use the PE grid. For a first layer whose
    windows the host packs, the kernel is 1x1 over `channels` = N and the map is the output map. `operands`: words that a position of
    a window loads; `additions`: how often one of them is added. `row_sums`: weights have an offset, which multiplies the sum of the
    codes of every window; `column_sums`: activations have one that is only known to multiply the weights when the layer runs.
    """

    vector: bool
    operands: int
    additions: int
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
    row_sums: bool = False
    column_sums: bool = False

    @property
    def positions(self) -> int:
        """Output positions."""
        return prod(self.out_size)

    @property
    def taps(self) -> int:
        """Additions of one output."""
        return prod(self.kernel) * self.additions

    @property
    def thresholds(self) -> bool:
        """Whether sums become codes; a max pool hands codes on, a last layer its raw sums."""
        return self.sums and self.out_bits is not None

    @property
    def levels(self) -> int:
        """Thresholds per channel."""
        return 2 ** (self.out_bits or 0) - 1 if self.thresholds else 0


def geometry(layer: Layer, width: int) -> Geometry | None:
    """The walk of a layer on a machine of this width, or None for a layer that costs the machine nothing."""
    if isinstance(layer, Flatten | Host):
        return None
    if isinstance(layer, Conv | Dense | MatMul):
        return _packed(layer) if packed_windows(layer, width) else _contraction(layer)
    return _vector(layer)


@dataclass(frozen=True, slots=True)
class Reduction:
    """How one dot product is walked: words per window, weight planes streamed, channel groups of R in all.

    `spanned`: channel words of one tap. `expanded`: a group does not fill words, so zeros are streamed as two opposite
    planes, one after the other: words = 2 * taps * spanned, and every sum is doubled.
    """

    words: int
    weight_planes: int
    channel_groups: int
    spanned: int
    expanded: bool = False


@lru_cache(maxsize=65536)
def reduction(shape: Geometry, *, rows: int, width: int) -> Reduction:
    """F1, K and the number of groups of `rows` output channels (docs/machine.md, section 2)."""
    groups, taps = ceil_div(shape.out_channels, rows), prod(shape.kernel)
    words = ceil_div(shape.channels, width)
    if shape.vector:
        return Reduction(words, 0, groups, words)
    aligned = shape.channels % width == 0 and (shape.out_channels // shape.groups) % rows == 0
    if shape.groups == 1 or aligned:
        return Reduction(taps * words, shape.weight_bits, groups, words)
    spanned = _spanned_words(shape, rows, width)
    # Every row has a window of its own there, so the sum of its codes is one more weight plane, +1 on its own channels.
    planes = shape.weight_bits + shape.row_sums
    return Reduction(2 * taps * spanned, planes, groups, spanned, expanded=True)


def block_sides(size: int) -> tuple[int, ...]:
    """Legal block sides for an output side: powers of two below it, and the whole side."""
    sides = []
    side = 1
    while side < size:
        sides.append(side)
        side *= 2
    return (*sides, size)


@dataclass(frozen=True, slots=True)
class Axis:
    """What blocks of `side` outputs read along one axis: `windows` pieces of `span` pixels, `step` apart.

    Where windows meet (stride <= window) a block reads one piece; where they do not, one a window, and skips what lies
    between. `origins`: first coordinate of each block, negative inside the padding. `inside`: for each block the pixels
    of its pieces that lie inside the map, pieces that lie outside left out. `outputs`: outputs of each block in the map.
    """

    windows: int
    span: int
    step: int
    origins: tuple[int, ...]
    inside: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """Blocks along the axis."""
        return len(self.origins)

    @property
    def pixels(self) -> int:
        """Pixels that a block's patch holds, pads included."""
        return self.windows * self.span


@lru_cache(maxsize=65536)
def axis(shape: Geometry, index: int, side: int) -> Axis:
    """Blocks of `side` outputs along axis 0 (rows) or 1 (columns) of a layer."""
    stride, size, out = shape.stride[index], shape.in_size[index], shape.out_size[index]
    window = (shape.kernel[index] - 1) * shape.dilation[index] + 1
    meet = stride <= window
    windows, span = (1, (side - 1) * stride + window) if meet else (side, window)
    origins = tuple(first * stride - shape.before[index] for first in range(0, out, side))
    inside = []
    for origin in origins:
        pieces = (origin + number * stride for number in range(windows))
        lengths = (min(size, begin + span) - max(0, begin) for begin in pieces)
        inside.append(tuple(length for length in lengths if length > 0))
    outputs = tuple(min(side, out - first) for first in range(0, out, side))
    return Axis(windows, span, stride, origins, tuple(inside), outputs)


def _spanned_words(shape: Geometry, rows: int, width: int) -> int:
    """Most channel words that the inputs of `rows` consecutive output channels of a grouped layer touch."""
    outputs = shape.out_channels // shape.groups
    spans = []
    for first in range(0, shape.out_channels, rows):
        last = min(shape.out_channels, first + rows) - 1
        low, high = first // outputs * shape.channels, (last // outputs + 1) * shape.channels - 1
        spans.append(high // width - low // width + 1)
    return max(spans)


def _packed(layer: Conv | Dense | MatMul) -> Geometry:
    size = layer.out_shape[1:]
    return Geometry(
        vector=False, operands=1, additions=1, channels=layer.reduction, groups=1, out_channels=layer.out_channels,
        out_size=size, in_size=size, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), before=(0, 0),
        act_bits=layer.act_bits, weight_bits=layer.weight_bits, out_bits=layer.out_bits,
        sums=True, acc_bits=layer.acc_bits, macs=layer.macs, row_sums=bool(layer.weight_offset),
    )  # fmt: skip


def _contraction(layer: Conv | Dense | MatMul) -> Geometry:
    channels, height, width = layer.in_shape
    kernel, in_size, before = (1, 1), (height, width), (0, 0)
    stride, dilation, groups = (1, 1), (1, 1), 1
    if isinstance(layer, Dense):
        kernel, in_size, stride = (height, width), (height, width * layer.positions), (1, width)
    elif isinstance(layer, Conv):
        kernel, before, groups = layer.kernel, (layer.padding[0], layer.padding[1]), layer.groups
        stride, dilation = layer.stride, layer.dilation
    else:
        groups = layer.heads
    return Geometry(
        vector=False, operands=1, additions=1, channels=channels // groups, groups=groups, out_channels=layer.out_channels,
        out_size=layer.out_shape[1:], in_size=in_size, kernel=kernel, stride=stride, dilation=dilation, before=before,
        act_bits=layer.act_bits, weight_bits=layer.weight_bits, out_bits=layer.out_bits,
        sums=True, acc_bits=layer.acc_bits, macs=layer.macs, row_sums=bool(layer.weight_offset),
        column_sums=isinstance(layer, MatMul) and bool(layer.act_offset),
    )  # fmt: skip


def _vector(layer: Vector | Move) -> Geometry:
    """Pools walk windows; all others an output position at a time, whose operands the loader fetches wherever they lie."""
    pool = isinstance(layer, Pool)
    kernel = layer.kernel if isinstance(layer, Pool) else (1, 1)
    stride = layer.stride if isinstance(layer, Pool) else (1, 1)
    before = (layer.padding[0], layer.padding[1]) if isinstance(layer, Pool) else (0, 0)
    operands = 2 if isinstance(layer, Add) else layer.reads if isinstance(layer, Upsample) else 1
    return Geometry(
        vector=True, operands=operands, additions=layer.additions if isinstance(layer, Add | Upsample) else 1,
        channels=layer.out_shape[0], groups=1, out_channels=layer.out_shape[0],
        out_size=layer.out_shape[1:], in_size=layer.in_shape[1:] if pool else layer.out_shape[1:], kernel=kernel,
        stride=stride, dilation=(1, 1), before=before, act_bits=layer.act_bits, weight_bits=0, out_bits=layer.out_bits,
        sums=sums(layer), acc_bits=layer.acc_bits if isinstance(layer, Vector) else layer.act_bits, macs=0,
    )  # fmt: skip
