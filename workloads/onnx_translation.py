"""The state of an import: what is known of every tensor so far, and the layers finished so far.

A tensor is one of these: the raw graph input, a constant, a quantized constant, a map of codes, or sums: the accumulators of
a layer with the curve that leads from them to the real value, waiting for a quantizer; sums of several layers may be joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod

import numpy as np

from workloads.encoded import Affine, Arrangement, Codes, Floats, Parameters, Planes, Thresholds
from workloads.layers import Add, Concat, Conv, Dense, Layer, MatMul, Pair, Pool, Shape, Shuffle, Slice, Upsample
from workloads.multipliers import smallest
from workloads.network import Node
from workloads.onnx_graph import STANDARD_DOMAINS, Array, Graph, GraphNode
from workloads.onnx_integers import TYPES
from workloads.onnx_quantizer import Quantizer, check_host_ties
from workloads.onnx_weights import IntegerWeights
from workloads.thresholds import Curve, fold

Summing = Conv | Dense | MatMul | Pool | Add | Upsample


@dataclass(frozen=True, slots=True)
class RawInput:
    """The graph input before its quantizer."""


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
    """Codes of `producer` (a layer or the network input): the map they form, and whether it has been flattened."""

    producer: str
    shape: Shape
    codes: Codes
    flat: bool
    from_host: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Accumulators of a layer without its quantizer: one curve a channel, |acc| <= bound; flat = (batch, features)."""

    layer: Summing
    inputs: tuple[str, ...]
    curves: tuple[Curve, ...]
    bound: int
    flat: bool
    weights: Planes | None = None
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
        return len(self.curves) // self.block**2

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
        phases = self.block**2
        return replace(self, curves=_scaled(self.curves, [*slopes] * phases, [*intercepts] * phases))

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


Value = RawInput | Constant | QuantizedConstant | CodeMap | Sums | Joined

WORDS = {
    RawInput: "the graph input",
    Constant: "a constant",
    QuantizedConstant: "a quantized constant",
    CodeMap: "codes",
    Sums: "sums",
    Joined: "sums",
}


INPUT_READERS = ("Quant", "IntQuant", "BipolarQuant", "QuantizeLinear", "Identity")
"""Operators that may read the graph input as it comes."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How many inputs an operator takes, how it is translated (one value, or one an output), and where it is registered."""

    inputs: range
    translate: Callable[[Translation, GraphNode], Value | tuple[Value, ...]]
    domains: tuple[str, ...] = STANDARD_DOMAINS


@dataclass
class Translation:
    """An import under way. `values` knows every tensor met so far; `nodes` and `parameters` are the finished layers."""

    graph: Graph
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameters] = field(default_factory=dict)
    input_codes: Codes | None = None

    def __post_init__(self) -> None:
        self.values |= {name: Constant(array) for name, array in self.graph.constants.items()}
        self.values[self.graph.input_name] = self._input()
        reads = [name for node in self.graph.nodes for name in node.inputs]
        self._readers = Counter([*reads, self.graph.output_name])

    def _input(self) -> Value:
        """The graph input: integers are codes as they come, real values wait for a quantizer."""
        kind = TYPES.get(self.graph.input_type)
        return RawInput() if kind is None else self._from_host(kind.codes)

    def value(self, node: GraphNode, index: int) -> Value:
        """What input `index` of a node is. Sums read by two nodes and arithmetic on the raw input are refused."""
        name = node.inputs[index]
        value = self.values[name]
        if isinstance(value, Sums | Joined) and self._readers[name] > 1:
            raise ValueError(
                f"{node}: the sums {name!r} of layer {value.name!r} must be read by one node, "
                f"not {self._readers[name]} (quantize before branching)"
            )
        if isinstance(value, RawInput) and node.op not in INPUT_READERS:
            raise ValueError(
                f"{node}: graph input {name!r} must pass through one Quant, BipolarQuant or QuantizeLinear first "
                "(a float network is encoded with bits)"
            )
        return value

    def codes(self, node: GraphNode, index: int) -> CodeMap:
        """Input `index` of a node, which must be codes."""
        value = self.value(node, index)
        if not isinstance(value, CodeMap):
            word = WORDS[type(value)]
            raise ValueError(f"{node}: input {node.inputs[index]!r} must be codes, as a Quant emits, not {word}")
        return value

    def sums(self, node: GraphNode, index: int) -> Sums | Joined:
        """Input `index` of a node, which must be sums, or codes whose levels are to be changed."""
        value = self.value(node, index)
        if isinstance(value, CodeMap):
            return requantized(node.name, value)
        if not isinstance(value, Sums | Joined):
            raise ValueError(
                f"{node}: input {node.inputs[index]!r} must be codes or the sums of a Conv, MatMul, Gemm, Add or average pool, "
                f"not {WORDS[type(value)]}"
            )
        return value

    def is_constant(self, node: GraphNode, index: int) -> bool:
        """Whether input `index` of a node is a constant, quantized or not."""
        return isinstance(self.values[node.inputs[index]], Constant | QuantizedConstant)

    def constant(self, node: GraphNode, index: int) -> Array:
        """Input `index` of a node, which must be a constant, as numbers."""
        value = self.value(node, index)
        if isinstance(value, QuantizedConstant):
            return value.quantizer.constant_values(value.array)
        if not isinstance(value, Constant):
            raise ValueError(f"{node}: input {node.inputs[index]!r} must be a constant, not {WORDS[type(value)]}")
        return value.array

    def per_channel(self, node: GraphNode, index: int, sums: Sums | Joined, *, vector: bool = False) -> list[Fraction]:
        """Constant input `index` as one exact number a channel of `sums`; ValueError if it varies along another axis.

        Broadcasting aligns the last axes, so a plain vector is per channel only for matrices; a BatchNormalization and
        a bias name the channels themselves (`vector`).
        """
        array, rank = self.constant(node, index), 2 if sums.flat else 4
        aligned = array.reshape(-1, *(1,) * (rank - 2)) if vector and array.ndim == 1 else array
        return channel_numbers(node, aligned, sums)

    def weights(self, node: GraphNode, index: int) -> IntegerWeights:
        """Input `index` of a node, which must be quantized constants, as integers."""
        value = self.value(node, index)
        if not isinstance(value, QuantizedConstant):
            raise ValueError(
                f"{node}: weights {node.inputs[index]!r} must be constants behind a Quant, BipolarQuant or DequantizeLinear, "
                f"not {WORDS[type(value)]}"
            )
        return value.quantizer.weights(value.array)

    def quantize_input(self, quantizer: Quantizer) -> CodeMap:
        """The codes of the graph input; a second quantizer is refused."""
        graph = self.graph
        if self.input_codes is not None:
            raise ValueError(f"{quantizer.where}: graph input {graph.input_name!r} must have one quantizer, not two")
        check_host_ties(quantizer)
        return self._from_host(quantizer.codes)

    def _from_host(self, codes: Codes) -> CodeMap:
        graph, self.input_codes = self.graph, codes
        return CodeMap(
            producer=graph.input_name,
            shape=graph.input_shape,
            codes=codes,
            flat=graph.input_rank == 2,
            from_host=True,
        )

    def quantized(self, node: GraphNode, quantizer: Quantizer) -> CodeMap:
        """Input 0 of a node as codes: of the graph input, of sums, or of codes with other levels."""
        if isinstance(self.value(node, 0), RawInput):
            return self.quantize_input(quantizer)
        return self.quantize_sums(self.sums(node, 0), quantizer)

    def quantize_sums(self, sums: Sums | Joined, quantizer: Quantizer) -> CodeMap:
        """Finish a layer: its thresholds follow from curve and quantizer. Of joined sums every part, and then the moves."""
        codes = quantizer.codes
        if isinstance(sums, Joined):
            return self._move(sums, [self.quantize_sums(part, quantizer) for part in sums.shared()])
        if (
            sums.source is not None
            and sums.source.codes == codes
            and sums.curves == requantized("", sums.source).curves
        ):
            return sums.source
        layer = replace(sums.layer, out_bits=codes.bits)
        thresholds = fold(sums.curves, quantizer.ladder, sums.bound)
        if isinstance(layer, Add):
            layer, thresholds = smallest(layer, thresholds)
        self.finish(layer, sums.inputs, Parameters(weights=sums.weights, thresholds=thresholds))
        return CodeMap(producer=layer.name, shape=layer.out_shape, codes=codes, flat=sums.flat)

    def _move(self, sums: Joined, parts: Sequence[CodeMap]) -> CodeMap:
        """Joined maps of codes put in place; the last move bears the name."""
        first, bits = parts[0], parts[0].codes.bits
        moves = [len(parts) > 1, sums.block > 1, sums.out_shape != sums.spread]
        names = [
            sums.name if not any(moves[place + 1 :]) else f"{sums.name}_{part}"
            for place, part in enumerate(("parts", "spread", ""))
        ]
        made = first
        if moves[0]:
            widths = tuple(part.shape[0] for part in parts)
            shape = (sum(widths), *first.shape[1:])
            joined = Concat(name=names[0], in_shape=shape, parts=widths, act_bits=bits)
            self.finish(joined, tuple(part.producer for part in parts))
            made = replace(made, producer=joined.name, shape=shape)
        if moves[1]:
            spread = Shuffle(name=names[1], in_shape=made.shape, block=sums.block, act_bits=bits)
            self.finish(spread, (made.producer,))
            made = replace(made, producer=spread.name, shape=spread.out_shape)
        if moves[2]:
            made = self.cut(names[2], made, (0, *sums.start), sums.out_shape)
        return replace(made, from_host=made.from_host and not any(moves), flat=sums.flat)

    def permuted(self, node: GraphNode, source: CodeMap, order: Sequence[int]) -> CodeMap:
        """Finished codes with their channels in another order: that of the rows of the Conv that makes them for this node alone."""
        names = [
            name
            for name, value in self.values.items()
            if isinstance(value, CodeMap) and value.producer == source.producer
        ]
        layer = next((found.layer for found in self.nodes if found.layer.name == source.producer), None)
        own = self.parameters.get(source.producer, Parameters())
        alone = len(names) == 1 and self._readers[names[0]] == 1
        if not (alone and isinstance(layer, Conv) and layer.groups == 1 and own.weights is not None and own.thresholds):
            raise ValueError(
                f"{node}: must be the only reader of a Conv without groups, whose outputs can change places"
            )
        rows = np.asarray(order)
        thresholds = Thresholds(own.thresholds.sign[rows], own.thresholds.values[rows])
        weights = np.ascontiguousarray(own.weights[:, rows])
        self.parameters[source.producer] = replace(own, weights=weights, thresholds=thresholds)
        return source

    def cut(self, name: str, source: CodeMap, start: Shape, shape: Shape) -> CodeMap:
        """A window of a map of codes."""
        layer = Slice(name=name, in_shape=source.shape, out_shape=shape, start=start, act_bits=source.codes.bits)
        self.finish(layer, (source.producer,))
        return replace(source, producer=name, shape=shape, from_host=False)

    def emit_sums(self, sums: Sums | Joined) -> Arrangement | None:
        """Finish the last layer, or layers: sums leave the machine, and the host computes scale * acc + bias and puts them in place."""
        if isinstance(sums, Joined):
            for part in sums.shared():
                self.emit_sums(part)
            return Arrangement(
                layers=tuple(part.name for part in sums.parts),
                block=sums.block,
                start=sums.start,
                size=sums.out_shape[1:],
            )
        affine = Affine(
            _floats(sums, [curve.lines[0].slope for curve in sums.curves]),
            _floats(sums, [curve.lines[0].intercept for curve in sums.curves]),
        )
        self.finish(sums.layer, sums.inputs, Parameters(weights=sums.weights, affine=affine))
        return None

    def emit_codes(self, source: CodeMap) -> None:
        """The last layer emits codes: the host computes step * (c + offset)."""
        own, channels = self.parameters.get(source.producer, Parameters()), self.nodes[-1].layer.out_shape[0]
        step = np.full(channels, source.codes.step)
        self.parameters[source.producer] = replace(own, affine=Affine(step, step * source.codes.offset))

    def finish(self, layer: Layer, inputs: tuple[str, ...], parameters: Parameters | None = None) -> None:
        """Append a layer; one that needs no parameters has no entry."""
        self.nodes.append(Node(layer, inputs))
        if parameters is not None:
            self.parameters[layer.name] = parameters


def channel_numbers(node: GraphNode, array: Array, sums: Sums | Joined) -> list[Fraction]:
    """Numbers that broadcast against a map, one for each of its channels."""
    channels, rank = sums.channels, 2 if sums.flat else 4
    shape = (1,) * (rank - array.ndim) + array.shape
    if len(shape) != rank or shape[1] not in (1, channels) or array.size != shape[1]:
        raise ValueError(
            f"{node}: constants must be one number or {channels}, one per channel, not of shape {array.shape}"
        )
    return [Fraction(value) for value in np.broadcast_to(array.ravel(), (channels,)).tolist()]


def requantized(name: str, source: CodeMap) -> Sums:
    """Codes as sums over windows of one position, so that thresholds can give them other levels: step * (c + offset)."""
    bits, step = source.codes.bits, Fraction(source.codes.step)
    shape = (prod(source.shape), 1, 1) if source.flat else source.shape
    layer = Pool(name=name, kind="average", in_shape=shape, kernel=(1, 1), act_bits=bits, out_bits=None)
    curve = Curve().scaled(step, step * source.codes.offset)
    return Sums(
        layer=layer,
        inputs=(source.producer,),
        curves=(curve,) * shape[0],
        bound=layer.acc_bound,
        flat=source.flat,
        source=source,
    )


def _floats(sums: Sums, values: list[Fraction]) -> Floats:
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except OverflowError:
        raise ValueError(f"layer {sums.layer.name!r}: scale and bias must be finite in double precision") from None
