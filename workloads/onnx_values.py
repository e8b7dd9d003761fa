"""What is known of a tensor during an import.

A tensor is one of these: the graph input on its way to its quantizer (`onnx_input`), a constant, a quantized constant, a map of
codes, or sums: the accumulators of a layer with the curve that leads from them to the real value, waiting for a quantizer; sums
of several layers may be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from workloads.encoded import Codes, Planes
from workloads.layers import Add, Conv, Dense, MatMul, Pair, Pool, Shape, Upsample
from workloads.onnx_activation import Emitting, codes_of
from workloads.onnx_graph import Array
from workloads.onnx_input import RawInput
from workloads.onnx_quantizer import Quantizer
from workloads.thresholds import Curve, Line
from workloads.views import FLAT, MAP, View, view_of

Summing = Conv | Dense | MatMul | Pool | Add | Upsample


@dataclass(frozen=True, slots=True)
class Constant:
    """An initializer: numbers, or fractions (dtype object) where a wide integer times its scale must stay exact."""

    array: Array


@dataclass(frozen=True, slots=True)
class QuantizedConstant:
    """An initializer behind a quantizer: weights if a contraction reads it, rounded numbers if anything else does."""

    array: Array
    quantizer: Quantizer


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMap:
    """Codes of `producer` (a layer or the network input): the map they form, and whether it has been flattened.

    `lines`: the value of a code in every channel, where `codes` cannot say it (a scale for each, an offset that is no integer).
    """

    producer: str
    shape: Shape
    codes: Codes
    flat: bool
    from_host: bool = False
    lines: tuple[Line, ...] = ()
    view: View | None = None
    """Where the axes of the tensor lie, if it is neither a map nor flat."""

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the map."""
        return self.shape

    @property
    def channels(self) -> int:
        """Channels, or features of a matrix."""
        return prod(self.shape) if self.flat else self.shape[0]

    @property
    def channel_lines(self) -> tuple[Line, ...]:
        """The value of a code in every channel."""
        step = Fraction(self.codes.step)
        return self.lines or (Line(step, step * self.codes.offset),) * self.channels

    def standing_for(self, lines: Sequence[Line]) -> CodeMap:
        """The same codes with other values: in `codes` alone if those can say it."""
        codes = codes_of(self.codes.bits, self.codes.highest or 0, lines)
        return replace(self, codes=codes or self.codes, lines=() if codes else tuple(lines))

    def scaled(self, slopes: Sequence[Fraction], intercepts: Sequence[Fraction]) -> CodeMap:
        """The same codes standing for slope * x + intercept."""
        lines = zip(self.channel_lines, slopes, intercepts, strict=True)
        return self.standing_for([line.then(slope, shift) for line, slope, shift in lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Accumulators of a layer without its quantizer: one curve a channel, |acc| <= bound; flat = (batch, features)."""

    layer: Summing
    inputs: tuple[str, ...]
    curves: tuple[Curve, ...]
    bound: int
    flat: bool
    weights: Planes | None = None
    view: View | None = None
    source: CodeMap | None = None
    """The codes that the layer does nothing to but change their levels (`requantized`)."""

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.layer.name

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return len(self.curves)

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the map."""
        return self.layer.out_shape

    def scaled(self, slopes: Sequence[Fraction], intercepts: Sequence[Fraction]) -> Sums:
        """The sums followed by slope * x + intercept, one of each a channel."""
        return replace(self, curves=_scaled(self.curves, slopes, intercepts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Sums of several layers as one map: `parts` along the channels, then b x b pixels out of b^2 channels, then a window of that.

    `curves` are those of all channels of the parts, in order; they stand for the parts' own. The window begins at `start` and
    has `size` (None: all). A part is one layer, or joined itself.
    """

    name: str
    parts: tuple[Sums | Joined, ...]
    curves: tuple[Curve, ...]
    block: int = 1
    start: Pair = (0, 0)
    size: Pair | None = None
    flat: bool = False

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return sum(part.channels for part in self.parts) // self.block**2

    @property
    def view(self) -> View | None:
        """Joined sums keep the axes of a map."""
        return None

    @property
    def spread(self) -> Shape:
        """(channels, height, width) before the window."""
        _, height, width = self.parts[0].out_shape
        return (self.channels, height * self.block, width * self.block)

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the map."""
        return self.spread if self.size is None else (self.channels, *self.size)

    def scaled(self, slopes: Sequence[Fraction], intercepts: Sequence[Fraction]) -> Joined:
        """The sums followed by slope * x + intercept, one of each a channel of the map: the b^2 phases share them."""
        return replace(self, curves=_scaled(self.curves, self._by_curve(slopes), self._by_curve(intercepts)))

    def _by_curve(self, numbers: Sequence[Fraction]) -> list[Fraction]:
        """Numbers of the channels as numbers of the curves, part by part."""
        spread, found = [*numbers] * self.block**2, list[Fraction]()
        for part in self.parts:
            own, spread = spread[: part.channels], spread[part.channels :]
            found += part._by_curve(own) if isinstance(part, Joined) else own
        return found

    def shared(self) -> tuple[Sums | Joined, ...]:
        """The parts with their share of the curves."""
        first, parts = 0, []
        for part in self.parts:
            last = first + len(part.curves)
            parts.append(replace(part, curves=self.curves[first:last]))
            first = last
        return tuple(parts)


def _scaled(curves: Sequence[Curve], slopes: Sequence[Fraction], shifts: Sequence[Fraction]) -> tuple[Curve, ...]:
    return tuple(curve.scaled(a, b) for curve, a, b in zip(curves, slopes, shifts, strict=True))


@dataclass(frozen=True, slots=True)
class Real:
    """What the host computes from codes (`workloads.onnx_host`); `quantized` makes the layer when the quantizer is known."""

    quantized: Callable[[Emitting], CodeMap]


Value = RawInput | Constant | QuantizedConstant | CodeMap | Sums | Joined | Real

Live = RawInput | CodeMap | Sums | Joined
"""Values that are known only when the network runs."""

WORDS = {
    RawInput: "the graph input",
    Constant: "a constant",
    QuantizedConstant: "a quantized constant",
    CodeMap: "codes",
    Sums: "sums",
    Joined: "sums",
    Real: "a value that the host computes",
}


def viewed(value: Live) -> View:
    """Where the axes of a tensor lie in its map."""
    return value.view or view_of(value.out_shape, FLAT if value.flat else MAP)


def requantized(name: str, source: CodeMap) -> Sums:
    """Codes as sums over windows of one position, so that thresholds can give them other levels."""
    bits, shape = source.codes.bits, (source.channels, 1, 1) if source.flat else source.shape
    layer = Pool(name=name, kind="average", in_shape=shape, kernel=(1, 1), act_bits=bits, out_bits=None)
    return Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=tuple(Curve((line,)) for line in source.channel_lines),
        bound=layer.acc_bound,
        flat=source.flat,
        view=source.view,
        source=source,
    )
