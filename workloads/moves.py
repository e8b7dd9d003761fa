"""Layers that move codes without computing on them, and those that the host computes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from workloads.checks import Shape, check_bits, check_positive, check_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """A map read as one vector in (channel, height, width) order, as ONNX does; costs nothing in hardware."""

    name: str
    in_shape: Shape
    act_bits: int

    def __post_init__(self) -> None:
        _check_moved(self.name, self.in_shape, self.act_bits)

    @property
    def out_shape(self) -> Shape:
        """(features, 1, 1)."""
        return (prod(self.in_shape), 1, 1)

    @property
    def out_bits(self) -> int:
        """Codes pass unchanged."""
        return self.act_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Maps of equal bits, height and width joined along their channels; `parts` are the channels of each, in order."""

    name: str
    in_shape: Shape
    parts: tuple[int, ...]
    act_bits: int

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        _check_moved(self.name, self.in_shape, self.act_bits)
        if not self.parts or min(self.parts) < 1 or sum(self.parts) != self.in_shape[0]:
            raise ValueError(f"{where}: parts must be >= 1 and add up to {self.in_shape[0]} channels, not {self.parts}")

    @property
    def out_shape(self) -> Shape:
        """(channels of all, height, width)."""
        return self.in_shape

    @property
    def out_bits(self) -> int:
        """Codes pass unchanged."""
        return self.act_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """Depth to space: b x b blocks of pixels out of b^2 channels each (sub-pixel convolution, transposed convolution).

    out[c, b y + i, b x + j] = in[(b i + j) C + c, y, x], C = channels / b^2: ONNX DepthToSpace in mode DCR.
    """

    name: str
    in_shape: Shape
    block: int
    act_bits: int

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        _check_moved(self.name, self.in_shape, self.act_bits)
        check_positive(where, block=self.block)
        if self.in_shape[0] % self.block**2:
            raise ValueError(f"{where}: block^2 = {self.block**2} must divide the channels {self.in_shape[0]}")

    @property
    def out_shape(self) -> Shape:
        """(channels / b^2, height * b, width * b)."""
        channels, height, width = self.in_shape
        return (channels // self.block**2, height * self.block, width * self.block)

    @property
    def out_bits(self) -> int:
        """Codes pass unchanged."""
        return self.act_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A window of a map, copied: out[c, y, x] = in[start_c + c, start_y + y, start_x + x]."""

    name: str
    in_shape: Shape
    out_shape: Shape
    start: Shape
    act_bits: int

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        _check_moved(self.name, self.in_shape, self.act_bits)
        check_positive(where, out_channels=self.out_shape[0], out_height=self.out_shape[1], out_width=self.out_shape[2])
        ends = [first + size for first, size in zip(self.start, self.out_shape, strict=True)]
        if min(self.start) < 0 or any(end > size for end, size in zip(ends, self.in_shape, strict=True)):
            raise ValueError(
                f"{where}: the window {self.out_shape} from {self.start} must lie in the map {self.in_shape}"
            )

    @property
    def out_bits(self) -> int:
        """Codes pass unchanged."""
        return self.act_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A function that no popcount computes (softmax, normalization, activation, reshape): the host does it, codes to codes.

    `operands` maps of one shape go in. It costs the machine nothing, so a report that prices a network must name it.
    """

    name: str
    function: str
    in_shape: Shape
    out_shape: Shape
    act_bits: int
    out_bits: int
    operands: int = 1

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}"
        _check_moved(self.name, self.in_shape, self.act_bits)
        check_positive(where, out_channels=self.out_shape[0], out_height=self.out_shape[1], out_width=self.out_shape[2])
        check_positive(where, operands=self.operands)
        check_bits(where, out_bits=self.out_bits)


def _check_moved(name: str, in_shape: Shape, act_bits: int) -> None:
    where = f"layer {name!r}"
    check_shape(where, in_shape)
    check_bits(where, act_bits=act_bits)
