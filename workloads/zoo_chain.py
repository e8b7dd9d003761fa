"""Networks without weights, built layer by layer: what a chip costs depends on shapes alone.

The first layer reads `input_bits`-bit codes of an unsigned image from the host; every hidden map has M-bit codes; the last layer hands
raw sums to the host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from workloads.layers import (
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Pair,
    Pool,
    Shape,
    Shuffle,
    Upsample,
    max_code,
)
from workloads.network import Input, Network, Node

Pads = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Map:
    """A map of a network under construction: the layer that makes it, and its shape."""

    name: str
    shape: Shape


@dataclass
class Chain:
    """A network under construction: every layer reads the newest map unless told otherwise, and returns the map it makes."""

    input: Input
    m: int
    k: int
    ternary: bool = False
    nodes: list[Node] = field(default_factory=list)

    @property
    def newest(self) -> Map:
        """The map that the next layer reads."""
        if not self.nodes:
            return Map(self.input.name, self.input.shape)
        return Map(self.nodes[-1].layer.name, self.nodes[-1].layer.out_shape)

    def append(self, layer: Layer, *sources: Map) -> Map:
        """Add a layer behind the newest map, or behind `sources`."""
        self.nodes.append(Node(layer, tuple(source.name for source in sources or (self.newest,))))
        return self.newest

    def conv(
        self,
        name: str,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int = 1,
        pad: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        source: Map | None = None,
        raw: bool = False,
    ) -> Map:
        """A convolution padded by half its window unless told otherwise; the one that reads the image pads with the code of zero.

        `raw`: its sums leave the machine.
        """
        read = source or self.newest
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        rows, cols = (dilation * (side // 2) if pad is None else pad for side in sides)
        first = read.name == self.input.name
        layer = Conv(
            name=name,
            in_shape=read.shape,
            out_channels=channels,
            kernel=sides,
            act_bits=self.input.bits if first else self.m,
            weight_bits=self.k,
            out_bits=None if raw else self.m,
            stride=(stride, stride),
            padding=(rows, cols, rows, cols),
            dilation=(dilation, dilation),
            groups=groups,
            pad_code=-max_code(self.input.bits) if first and rows + cols else None,
            ternary=self.ternary,
            from_host=first,
        )
        return self.append(layer, read)

    def max_pool(
        self, name: str, kernel: int, *, stride: int, pads: Pads = (0, 0, 0, 0), source: Map | None = None
    ) -> Map:
        """A square max pool."""
        read = source or self.newest
        return self._pool(name, "max", read, (kernel, kernel), stride, pads)

    def mean(self, name: str, *, source: Map | None = None) -> Map:
        """The average of a whole map."""
        read = source or self.newest
        return self._pool(name, "average", read, (read.shape[1], read.shape[2]), 1, (0, 0, 0, 0))

    def _pool(
        self, name: str, kind: Literal["max", "average"], read: Map, kernel: Pair, stride: int, pads: Pads
    ) -> Map:
        layer = Pool(
            name=name,
            kind=kind,
            in_shape=read.shape,
            kernel=kernel,
            act_bits=self.m,
            out_bits=self.m,
            stride=(stride, stride),
            padding=pads,
        )
        return self.append(layer, read)

    def add(self, name: str, one: Map, other: Map) -> Map:
        """A residual sum."""
        return self.append(Add(name=name, in_shape=one.shape, act_bits=self.m, out_bits=self.m), one, other)

    def concat(self, name: str, *parts: Map) -> Map:
        """Maps joined along their channels."""
        channels = tuple(part.shape[0] for part in parts)
        shape = (sum(channels), *parts[0].shape[1:])
        return self.append(Concat(name=name, in_shape=shape, parts=channels, act_bits=self.m), *parts)

    def upsample(self, name: str, factor: Pair, kind: Literal["nearest", "linear"] = "linear") -> Map:
        """The newest map enlarged."""
        layer = Upsample(
            name=name, kind=kind, in_shape=self.newest.shape, factor=factor, act_bits=self.m, out_bits=self.m
        )
        return self.append(layer)

    def transposed(self, name: str, channels: int) -> Map:
        """A transposed convolution of kernel 2 and stride 2: one 1x1 convolution with a kernel for each of four pixels, shuffled."""
        self.conv(name, 4 * channels, 1)
        return self.append(Shuffle(name=f"{name}.space", in_shape=self.newest.shape, block=2, act_bits=self.m))

    def flatten(self, name: str = "flatten") -> Map:
        """The newest map as one vector."""
        return self.append(Flatten(name=name, in_shape=self.newest.shape, act_bits=self.m))

    def dense(
        self, name: str, outputs: int, *, source: Map | None = None, in_shape: Shape | None = None, raw: bool = False
    ) -> Map:
        """A fully connected layer over a vector, or over every position of a sequence (features, 1, positions).

        `in_shape`: the map before a Flatten.
        """
        read = source or self.newest
        first = read.name == self.input.name
        layer = Dense(
            name=name,
            in_shape=in_shape or (read.shape[0], 1, 1),
            out_channels=outputs,
            act_bits=self.input.bits if first else self.m,
            weight_bits=self.k,
            out_bits=None if raw else self.m,
            positions=read.shape[2],
            ternary=self.ternary,
            from_host=first,
        )
        return self.append(layer, read)

    def matmul(
        self, name: str, one: Map, other: Map, heads: int, *, over: Literal["channels", "positions"], cached: bool
    ) -> Map:
        """The product of two maps; a cached one comes from memory."""
        layer = MatMul(
            name=name,
            in_shape=one.shape,
            other_shape=other.shape,
            heads=heads,
            over=over,
            act_bits=self.m,
            weight_bits=self.m,
            out_bits=self.m,
            cached=cached,
        )
        return self.append(layer, one) if cached else self.append(layer, one, other)

    def host(self, name: str, function: str, *sources: Map, shape: Shape | None = None) -> Map:
        """What the host computes on maps of one shape."""
        read = sources or (self.newest,)
        layer = Host(
            name=name,
            function=function,
            in_shape=read[0].shape,
            out_shape=shape or read[0].shape,
            act_bits=self.input.bits if read[0].name == self.input.name else self.m,
            out_bits=self.m,
            operands=len(read),
        )
        return self.append(layer, *read)

    def network(self, name: str) -> Network:
        """The finished network."""
        return Network(name, self.input, tuple(self.nodes))


def image(side: int, bits: int, channels: int = 3) -> Input:
    """A square image of unsigned codes."""
    return Input(name="image", shape=(channels, side, side), bits=bits)
