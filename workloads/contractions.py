"""Layers that reduce products of codes: what the PE grid computes.

`act_bits` is the paper's M (planes of the codes a layer reads), `weight_bits` its K, `out_bits` the M of the codes it emits, or
None where raw sums leave the machine. Weights stand for w = c_w + weight_offset with odd codes c_w of K planes; ternary weights
for w = p_0 + p_1 in {-2, 0, +2}, two planes of equal weight. So a layer sums

    acc = sum c_x (c_w + weight_offset),    |acc| <= N (2^M - 1) max|w|.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from workloads.checks import (
    Pads,
    Pair,
    Shape,
    check_bits,
    check_out_bits,
    check_pair,
    check_positive,
    check_shape,
    max_code,
    output_size,
    signed_bits,
)

TERNARY_PLANES = 2
"""Planes of a ternary weight; both count once."""


class _Reducing:
    """What follows from the reduction length N, the outputs and the largest weight."""

    __slots__ = ()

    if TYPE_CHECKING:  # what the records below have, as fields or properties
        act_bits: int

        @property
        def out_channels(self) -> int: ...
        @property
        def positions(self) -> int: ...
        @property
        def reduction(self) -> int: ...
        @property
        def largest_weight(self) -> int: ...

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padded taps included (the usual convention)."""
        return self.positions * self.out_channels * self.reduction

    @property
    def acc_bound(self) -> int:
        """Largest |sum|: N (2^M - 1) max|w|."""
        return self.reduction * max_code(self.act_bits) * self.largest_weight

    @property
    def acc_bits(self) -> int:
        """Signed accumulator width that no input can overflow."""
        return signed_bits(self.acc_bound)


class _Weighted(_Reducing):
    """A contraction with weights of its own."""

    __slots__ = ()

    if TYPE_CHECKING:
        weight_bits: int
        weight_offset: int
        ternary: bool

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.out_channels * self.reduction

    @property
    def plane_weights(self) -> tuple[int, ...]:
        """What each weight plane counts: 1, 2, 4, ..., or twice 1 for ternary weights."""
        return (1,) * TERNARY_PLANES if self.ternary else tuple(1 << plane for plane in range(self.weight_bits))

    @property
    def largest_weight(self) -> int:
        """max|w| = 2^K - 1 + |weight_offset|, or 2 for ternary weights."""
        return sum(self.plane_weights) + abs(self.weight_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(_Weighted):
    """A convolution over codes; reduction length N = kernel_h * kernel_w * in_channels / groups.

    `pad_code` states the padding policy: None masks the taps outside the map (they add nothing, which is real zero),
    an integer fills them with that odd code (exact zero for affine inputs, a chosen code otherwise).
    `from_host` marks a layer that reads the network input: the host packs its windows as the machine likes them.
    """

    name: str
    in_shape: Shape
    out_channels: int
    kernel: Pair
    act_bits: int
    weight_bits: int
    out_bits: int | None
    stride: Pair = (1, 1)
    padding: Pads = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    pad_code: int | None = None
    weight_offset: int = 0
    ternary: bool = False
    from_host: bool = False

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_shape(where, self.in_shape)
        check_positive(where, out_channels=self.out_channels, groups=self.groups)
        for name in ("kernel", "stride", "dilation"):
            check_pair(where, name, getattr(self, name))
        _check_precision(where, self)
        if any(pad < 0 for pad in self.padding):
            raise ValueError(f"{where}: padding must be >= 0, not {self.padding}")
        if self.in_shape[0] % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{where}: groups must divide in_channels {self.in_shape[0]} and out_channels {self.out_channels}, "
                f"not {self.groups}"
            )
        if min(self.out_shape) < 1:
            raise ValueError(f"{where}: the kernel must fit the padded input, but the output would be {self.out_shape}")
        _check_pad_code(where, self.pad_code, self.act_bits)

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        height, width = (
            output_size(
                self.in_shape[1 + axis],
                self.kernel[axis],
                stride=self.stride[axis],
                before=self.padding[axis],
                after=self.padding[2 + axis],
                dilation=self.dilation[axis],
            )
            for axis in (0, 1)
        )
        return (self.out_channels, height, width)

    @property
    def reduction(self) -> int:
        """N, the length of one dot product."""
        return prod(self.kernel) * self.in_shape[0] // self.groups

    @property
    def positions(self) -> int:
        """Output positions per channel."""
        return self.out_shape[1] * self.out_shape[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(_Weighted):
    """A fully connected layer: every output reduces the whole input map, N = channels * height * width.

    `in_shape` is the map before flattening, (features, 1, 1) where there is none; `positions` is the number of
    vectors that share the weights (1 for a classifier head, tokens for a sequence).
    """

    name: str
    in_shape: Shape
    out_channels: int
    act_bits: int
    weight_bits: int
    out_bits: int | None
    positions: int = 1
    weight_offset: int = 0
    ternary: bool = False
    from_host: bool = False

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_shape(where, self.in_shape)
        check_positive(where, out_channels=self.out_channels, positions=self.positions)
        if self.positions > 1 and self.in_shape[1:] != (1, 1):
            raise ValueError(
                f"{where}: in_shape must be (features, 1, 1) where {self.positions} positions share the weights, "
                f"not {self.in_shape}"
            )
        _check_precision(where, self)

    @property
    def out_shape(self) -> Shape:
        """(channels, 1, positions) of the output."""
        return (self.out_channels, 1, self.positions)

    @property
    def reduction(self) -> int:
        """N, the length of one dot product."""
        return prod(self.in_shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul(_Reducing):
    """The product of two maps of codes, head by head: attention's scores and weighted sums.

    The first map is (heads * a, 1, positions), the second (heads * b, 1, other positions); the channels of a head stand together.

        over = "channels"    a = b = N       out[h S + s, t] = sum_i x[h N + i, t] y[h N + i, s]      Q times K transposed
        over = "positions"   a = S = N       out[h b + j, t] = sum_s x[h N + s, t] y[h b + j, s]      P times V

    with x = c_x + act_offset and y = c_y + weight_offset: neither side is known before it runs, so both corrections are made there.
    `weight_bits` are those of the second map, which takes the place of weights. `cached`: it comes from memory, not from a layer.
    """

    name: str
    in_shape: Shape
    other_shape: Shape
    heads: int
    over: Literal["channels", "positions"]
    act_bits: int
    weight_bits: int
    out_bits: int | None
    act_offset: int = 0
    weight_offset: int = 0
    cached: bool = False

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        for shape in (self.in_shape, self.other_shape):
            check_shape(where, shape)
            if shape[1] != 1:
                raise ValueError(f"{where}: both maps must be (channels, 1, positions), not {shape}")
        check_positive(where, heads=self.heads)
        check_bits(where, act_bits=self.act_bits, weight_bits=self.weight_bits)
        check_out_bits(where, self.out_bits)
        if self.over not in ("channels", "positions"):
            raise ValueError(f"{where}: over must be 'channels' or 'positions', not {self.over!r}")
        if self.in_shape[0] % self.heads or self.other_shape[0] % self.heads:
            raise ValueError(
                f"{where}: heads must divide the channels {self.in_shape[0]} and {self.other_shape[0]}, not {self.heads}"
            )
        other = self.other_shape[0] // self.heads if self.over == "channels" else self.other_shape[2]
        if other != self.reduction:
            raise ValueError(f"{where}: the second map must have {self.reduction} {self.over} a head, not {other}")

    @property
    def reduction(self) -> int:
        """N, the length of one dot product."""
        return self.in_shape[0] // self.heads

    @property
    def out_channels(self) -> int:
        """heads * S, or heads * b."""
        return self.heads * self.other_shape[2] if self.over == "channels" else self.other_shape[0]

    @property
    def positions(self) -> int:
        """Positions of the first map."""
        return self.in_shape[2]

    @property
    def out_shape(self) -> Shape:
        """(channels, 1, positions) of the output."""
        return (self.out_channels, 1, self.positions)

    @property
    def groups(self) -> int:
        """Heads are groups that do not meet."""
        return self.heads

    @property
    def weights(self) -> int:
        """None of its own."""
        return 0

    @property
    def largest_weight(self) -> int:
        """max|y| = 2^K - 1 + |weight_offset|."""
        return max_code(self.weight_bits) + abs(self.weight_offset)

    @property
    def acc_bound(self) -> int:
        """N max|x| max|y|."""
        return self.reduction * (max_code(self.act_bits) + abs(self.act_offset)) * self.largest_weight


def _check_precision(where: str, layer: Conv | Dense) -> None:
    check_bits(where, act_bits=layer.act_bits, weight_bits=layer.weight_bits)
    check_out_bits(where, layer.out_bits)
    if layer.ternary and (layer.weight_bits, layer.weight_offset) != (TERNARY_PLANES, 0):
        raise ValueError(
            f"{where}: ternary weights must have {TERNARY_PLANES} planes and offset 0, "
            f"not {layer.weight_bits} and {layer.weight_offset}"
        )


def _check_pad_code(where: str, pad_code: int | None, act_bits: int) -> None:
    bound = max_code(act_bits)
    if pad_code is not None and (abs(pad_code) > bound or pad_code % 2 == 0):
        raise ValueError(f"{where}: pad_code must be an odd integer in -{bound}..{bound}, not {pad_code}")
