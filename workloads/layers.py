"""Frozen layer records: the shapes, the bit widths and the counts that follow from them.

A layer knows geometry and precision, never weights: those live in `workloads.encoded`. Layout words: a feature map
is (channels, height, width); a kernel, stride or dilation is (vertical, horizontal); padding is (top, left, bottom,
right). `act_bits` is the paper's M (the codes a layer reads), `weight_bits` its K, `out_bits` the M of the codes it
emits, or None where raw accumulators leave the machine (the last layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

MAX_BITS = 8
"""Largest M and K: the paper's 64 encodings are the pairs in 1..8."""

Shape = tuple[int, int, int]
Pair = tuple[int, int]


def ceil_div(dividend: int, divisor: int) -> int:
    """ceil(dividend / divisor) in integers; divisor > 0."""
    return -(-dividend // divisor)


def check_positive(where: str, **values: int) -> None:
    """Raise ValueError, naming the field, unless every value is an integer >= 1."""
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{where}: {field} must be an integer >= 1, not {value!r}")


def check_bits(where: str, **values: int) -> None:
    """Raise ValueError, naming the field, unless every bit width lies in 1..MAX_BITS."""
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_BITS:
            raise ValueError(f"{where}: {field} must be between 1 and {MAX_BITS}, not {value!r}")


def output_size(size: int, kernel: int, *, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Output positions of a window along one axis: floor((size + pads - span) / stride) + 1, span = (kernel-1)*dilation+1."""
    return (size + before + after - ((kernel - 1) * dilation + 1)) // stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
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
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    pad_code: int | None = None
    from_host: bool = False

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_positive(where, in_channels=self.in_shape[0], in_height=self.in_shape[1], in_width=self.in_shape[2])
        check_positive(where, out_channels=self.out_channels, groups=self.groups)
        check_positive(where, kernel_h=self.kernel[0], kernel_w=self.kernel[1])
        check_positive(where, stride_h=self.stride[0], stride_w=self.stride[1])
        check_positive(where, dilation_h=self.dilation[0], dilation_w=self.dilation[1])
        _check_precision(where, self.act_bits, self.weight_bits, self.out_bits)
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
        top, left, bottom, right = self.padding
        _, height, width = self.in_shape
        return (
            self.out_channels,
            output_size(
                height, self.kernel[0], stride=self.stride[0], before=top, after=bottom, dilation=self.dilation[0]
            ),
            output_size(
                width, self.kernel[1], stride=self.stride[1], before=left, after=right, dilation=self.dilation[1]
            ),
        )

    @property
    def reduction(self) -> int:
        """N, the length of one dot product."""
        return prod(self.kernel) * self.in_shape[0] // self.groups

    @property
    def positions(self) -> int:
        """Output positions per channel."""
        return self.out_shape[1] * self.out_shape[2]

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padded taps included (the usual convention)."""
        return self.positions * self.out_channels * self.reduction

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.out_channels * self.reduction

    @property
    def acc_bits(self) -> int:
        """Signed accumulator width that no input can overflow."""
        return accumulator_bits(self.reduction, self.act_bits, self.weight_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
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
    from_host: bool = False

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_positive(where, in_channels=self.in_shape[0], in_height=self.in_shape[1], in_width=self.in_shape[2])
        check_positive(where, out_channels=self.out_channels, positions=self.positions)
        if self.positions > 1 and self.in_shape[1:] != (1, 1):
            raise ValueError(
                f"{where}: in_shape must be (features, 1, 1) where {self.positions} positions share the weights, "
                f"not {self.in_shape}"
            )
        _check_precision(where, self.act_bits, self.weight_bits, self.out_bits)

    @property
    def out_shape(self) -> Shape:
        """(channels, 1, positions) of the output."""
        return (self.out_channels, 1, self.positions)

    @property
    def reduction(self) -> int:
        """N, the length of one dot product."""
        return prod(self.in_shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.positions * self.out_channels * self.reduction

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.out_channels * self.reduction

    @property
    def acc_bits(self) -> int:
        """Signed accumulator width that no input can overflow."""
        return accumulator_bits(self.reduction, self.act_bits, self.weight_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A window over each channel: `max` keeps the largest code, `average` sums codes for thresholds to divide.

    Padded positions never win a maximum; an average pool takes no padding.
    """

    name: str
    kind: Literal["max", "average"]
    in_shape: Shape
    kernel: Pair
    act_bits: int
    out_bits: int | None
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        if self.kind not in ("max", "average"):
            raise ValueError(f"{where}: kind must be 'max' or 'average', not {self.kind!r}")
        check_positive(where, channels=self.in_shape[0], in_height=self.in_shape[1], in_width=self.in_shape[2])
        check_positive(where, kernel_h=self.kernel[0], kernel_w=self.kernel[1])
        check_positive(where, stride_h=self.stride[0], stride_w=self.stride[1])
        check_bits(where, act_bits=self.act_bits)
        if self.out_bits is not None:
            check_bits(where, out_bits=self.out_bits)
        if self.kind == "max" and self.out_bits != self.act_bits:
            raise ValueError(
                f"{where}: a max pool keeps its code, so out_bits must be {self.act_bits}, not {self.out_bits}"
            )
        if any(pad < 0 for pad in self.padding):
            raise ValueError(f"{where}: padding must be >= 0, not {self.padding}")
        if self.kind == "average" and any(self.padding):
            raise ValueError(f"{where}: an average pool must have no padding, not {self.padding}")
        top, left, bottom, right = self.padding
        if max(top, bottom) >= self.kernel[0] or max(left, right) >= self.kernel[1]:
            raise ValueError(f"{where}: padding must be smaller than the kernel {self.kernel}, not {self.padding}")
        if min(self.out_shape) < 1:
            raise ValueError(f"{where}: the kernel must fit the padded input, but the output would be {self.out_shape}")

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        top, left, bottom, right = self.padding
        channels, height, width = self.in_shape
        return (
            channels,
            output_size(height, self.kernel[0], stride=self.stride[0], before=top, after=bottom),
            output_size(width, self.kernel[1], stride=self.stride[1], before=left, after=right),
        )

    @property
    def acc_bits(self) -> int:
        """Signed width of the running value: one code for max, the sum of a window for average."""
        return accumulator_bits(prod(self.kernel) if self.kind == "average" else 1, self.act_bits, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """The sum of two maps of equal shape, bits and step (a residual connection), followed by thresholds."""

    name: str
    in_shape: Shape
    act_bits: int
    out_bits: int | None

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_positive(where, channels=self.in_shape[0], in_height=self.in_shape[1], in_width=self.in_shape[2])
        check_bits(where, act_bits=self.act_bits)
        if self.out_bits is not None:
            check_bits(where, out_bits=self.out_bits)

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        return self.in_shape

    @property
    def acc_bits(self) -> int:
        """Signed width of the sum of two codes."""
        return accumulator_bits(2, self.act_bits, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """A map read as one vector in (channel, height, width) order, as ONNX does; costs nothing in hardware."""

    name: str
    in_shape: Shape
    act_bits: int

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        check_positive(where, channels=self.in_shape[0], in_height=self.in_shape[1], in_width=self.in_shape[2])
        check_bits(where, act_bits=self.act_bits)

    @property
    def out_shape(self) -> Shape:
        """(features, 1, 1)."""
        return (prod(self.in_shape), 1, 1)

    @property
    def out_bits(self) -> int:
        """Codes pass unchanged."""
        return self.act_bits


Contraction = Conv | Dense
"""Layers that reduce with weights: what the PE grid computes."""

Layer = Conv | Dense | Pool | Add | Flatten


def accumulator_bound(reduction: int, act_bits: int, weight_bits: int) -> int:
    """Largest |sum| of N products of odd codes: N (2^M - 1)(2^K - 1)."""
    return reduction * ((1 << act_bits) - 1) * ((1 << weight_bits) - 1)


def accumulator_bits(reduction: int, act_bits: int, weight_bits: int) -> int:
    """Two's-complement width that holds +-N (2^M - 1)(2^K - 1)."""
    return accumulator_bound(reduction, act_bits, weight_bits).bit_length() + 1


def _check_precision(where: str, act_bits: int, weight_bits: int, out_bits: int | None) -> None:
    check_bits(where, act_bits=act_bits, weight_bits=weight_bits)
    if out_bits is not None:
        check_bits(where, out_bits=out_bits)


def _check_pad_code(where: str, pad_code: int | None, act_bits: int) -> None:
    bound = 2**act_bits - 1
    if pad_code is not None and (abs(pad_code) > bound or pad_code % 2 == 0):
        raise ValueError(f"{where}: pad_code must be an odd integer in -{bound}..{bound}, not {pad_code}")
