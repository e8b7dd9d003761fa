"""The state of an import: what is known of every tensor so far (`onnx_values`), and the layers finished so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np

from workloads.encoded import Affine, Arrangement, Codes, Floats, HostLevels, Parameters
from workloads.layers import Add, Concat, Flatten, Layer, Shape, Shuffle, Slice, max_code
from workloads.multipliers import smallest
from workloads.network import Node
from workloads.onnx_activation import Activation, Emitting, channel_array, codes_of, exact_numbers
from workloads.onnx_graph import STANDARD_DOMAINS, Array, Graph, GraphNode
from workloads.onnx_input import RawInput, are_nearest, host_levels
from workloads.onnx_integers import TYPES
from workloads.onnx_values import (
    WORDS,
    CodeMap,
    Constant,
    Joined,
    Live,
    QuantizedConstant,
    Real,
    Sums,
    Value,
    requantized,
    viewed,
)
from workloads.onnx_weights import IntegerWeights, integer_constant
from workloads.thresholds import Curve, Line, fold, level
from workloads.views import SEQUENCE, channel_axis, view_of

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Operator:
    """How many inputs an operator takes, how it is translated (one value, or one an output), and where it is registered."""

    inputs: range
    translate: Callable[[Translation, GraphNode], Value | tuple[Value, ...]]
    domains: tuple[str, ...] = STANDARD_DOMAINS


@dataclass
class Translation:
    """An import under way. `values` knows every tensor met so far; `nodes` and `parameters` are the finished layers.

    `given_codes` are those of a graph input that is integers already, or is said to be.
    """

    graph: Graph
    given_codes: Codes | None = None
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameters] = field(default_factory=dict)
    input_codes: Codes | None = None
    input_levels: HostLevels | None = None
    left_to_host: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values |= {name: Constant(array) for name, array in self.graph.constants.items()}
        shape, flat = self.graph.input_shape, self.graph.input_rank == 2
        view = view_of(shape, SEQUENCE) if self.graph.input_rank == 3 else None
        raw = RawInput(shape=shape, curves=(Curve(),) * shape[0], flat=flat, view=view)
        kind = TYPES.get(self.graph.input_type)
        self.values[self.graph.input_name] = raw if kind is None else self._take_input(raw, kind.codes, None, "input")
        reads = [name for node in self.graph.nodes for name in node.inputs]
        self.readers = Counter([*reads, self.graph.output_name])

    def value(self, node: GraphNode, index: int) -> Value:
        """What input `index` of a node is. Sums read by two nodes are refused."""
        name = node.inputs[index]
        value = self.values[name]
        if isinstance(value, Sums | Joined) and self.readers[name] > 1:
            raise ValueError(
                f"{node}: the sums {name!r} of layer {value.name!r} must be read by one node, "
                f"not {self.readers[name]} (quantize before branching)"
            )
        return value

    def codes(self, node: GraphNode, index: int) -> CodeMap:
        """Input `index` of a node, which must be codes that stand for step * (c + offset) in all channels."""
        return uniform(node, self.any_codes(node, index))

    def any_codes(self, node: GraphNode, index: int) -> CodeMap:
        """Input `index` of a node, which must be codes of a map or vector, whatever they stand for."""
        source = self.seen(node, index)
        if source.view is not None:
            raise ValueError(
                f"{node}: input {node.inputs[index]!r} must be (batch, channels, height, width) or (batch, features), "
                f"not (batch, {', '.join(map(str, source.view.shape))})"
            )
        return source

    def term(self, node: GraphNode, index: int) -> CodeMap:
        """As `codes`, whatever the axes of the tensor."""
        return uniform(node, self.seen(node, index))

    def seen(self, node: GraphNode, index: int) -> CodeMap:
        """Input `index` of a node, which must be codes, whatever they stand for and whatever the axes of the tensor."""
        value = self.value(node, index)
        if isinstance(value, RawInput):
            value = self._integer_input(node, value)
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

    def live(self, node: GraphNode, index: int) -> Live:
        """Input `index` of a node, which must not be a constant."""
        value = self.value(node, index)
        if isinstance(value, Constant | QuantizedConstant | Real):
            raise ValueError(f"{node}: input {node.inputs[index]!r} must be codes or sums, not {WORDS[type(value)]}")
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

    def channel_array(self, node: GraphNode, index: int, live: Live, *, vector: bool = False) -> Array:
        """Constant input `index` as (1,) or (channels,) numbers for a map; see `onnx_activation.channel_array`."""
        view = viewed(live)
        axis, rank = channel_axis(view, live.channels), 1 + len(view.axes)
        return channel_array(str(node), self.constant(node, index), live.channels, rank, axis=axis, vector=vector)

    def per_channel(self, node: GraphNode, index: int, live: Live, *, vector: bool = False) -> list[Fraction]:
        """Constant input `index` as one exact number a channel of a map."""
        return exact_numbers(self.channel_array(node, index, live, vector=vector), live.channels)

    def weights(self, node: GraphNode, index: int) -> IntegerWeights:
        """Input `index` of a node, which must be quantized constants or integers, as integers."""
        value, name = self.value(node, index), node.inputs[index]
        if isinstance(value, Constant):
            found = integer_constant(f"{node}: weights {name!r}", value.array, self.graph.datatypes.get(name))
            if found is not None:
                return found
        if not isinstance(value, QuantizedConstant):
            raise ValueError(
                f"{node}: weights {name!r} must be constants behind a Quant, BipolarQuant or DequantizeLinear, or integers, "
                f"not {'fractions' if isinstance(value, Constant) else WORDS[type(value)]}"
            )
        return value.quantizer.weights(value.array)

    def quantized(self, node: GraphNode, quantizer: Emitting) -> CodeMap:
        """Input 0 of a node in the codes of a quantizer: the graph input, sums, or codes of other levels."""
        given = self.values[node.inputs[0]]
        if isinstance(given, Real):
            return given.quantized(quantizer)
        value = self.live(node, 0)
        if isinstance(value, RawInput):
            return self.quantize_input(value, quantizer)
        return self.quantize_sums(requantized(node.name, value) if isinstance(value, CodeMap) else value, quantizer)

    def quantize_input(self, source: RawInput, quantizer: Emitting) -> CodeMap:
        """The codes of the graph input; a second quantizer of other levels is refused."""
        activation = quantizer.activation(source.channels, 1 + len(viewed(source).axes))
        codes = codes_of(activation.bits, activation.highest, activation.lines)
        if codes is None:
            raise ValueError(
                f"{activation.where}: the graph input must have one scale and a zero point that is a multiple of 1/2, "
                f"not codes of {activation.lines[0].slope} c + {activation.lines[0].intercept} in the first channel"
            )
        levels = host_levels(source, activation)
        return self._take_input(source, codes, None if are_nearest(levels, codes) else levels, activation.where)

    def quantize_sums(self, sums: Sums | Joined, quantizer: Emitting) -> CodeMap:
        """Finish a layer: its thresholds follow from curves and ladders. Of joined sums every part, and then the moves."""
        return self._quantize(sums, quantizer.activation(sums.channels, 1 + len(viewed(sums).axes)))

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
        affine = _affine(sums.name, [curve.lines[0] for curve in sums.curves])
        self.finish(sums.layer, sums.inputs, Parameters(weights=sums.weights, affine=affine))
        return None

    def emit_codes(self, source: CodeMap) -> None:
        """The last layer's codes leave the machine, and the host says what they stand for."""
        name, channels = source.producer, self.nodes[-1].layer.out_shape[0]
        lines = [source.channel_lines[0]] * channels if len(set(source.channel_lines)) == 1 else source.channel_lines
        own = self.parameters.get(name, Parameters())
        self.parameters[name] = replace(own, affine=_affine(name, lines))

    def cut(self, name: str, source: CodeMap, start: Shape, shape: Shape) -> CodeMap:
        """A window of a map of codes."""
        layer = Slice(name=name, in_shape=source.shape, out_shape=shape, start=start, act_bits=source.codes.bits)
        self.finish(layer, (source.producer,))
        return replace(source, producer=name, shape=shape, from_host=False)

    def _quantize(self, sums: Sums | Joined, activation: Activation) -> CodeMap:
        if isinstance(sums, Joined):
            parts = [
                self._quantize(part, own) for part, own in zip(sums.shared(), _shared(sums, activation), strict=True)
            ]
            return self._move(sums, parts).standing_for(_spread(activation.lines, sums.channels))
        if sums.source is not None and _changes_nothing(sums, sums.source, activation):
            return sums.source
        layer = replace(sums.layer, out_bits=activation.bits)
        thresholds = fold(sums.curves, _spread(activation.ladders, sums.channels), sums.bound)
        if isinstance(layer, Add):
            layer, thresholds = smallest(layer, thresholds)
        self.finish(layer, sums.inputs, Parameters(weights=sums.weights, thresholds=thresholds))
        codes = Codes(bits=activation.bits, step=1.0, highest=activation.highest)
        emitted = CodeMap(producer=layer.name, shape=layer.out_shape, codes=codes, flat=sums.flat, view=sums.view)
        return emitted.standing_for(_spread(activation.lines, emitted.channels))

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

    def finish(self, layer: Layer, inputs: tuple[str, ...], parameters: Parameters | None = None) -> None:
        """Append a layer; one that needs no parameters has no entry."""
        self.nodes.append(Node(layer, inputs))
        if parameters is not None:
            self.parameters[layer.name] = parameters

    def _integer_input(self, node: GraphNode, source: RawInput) -> CodeMap:
        """A graph input that is integers is codes already, and arithmetic on it only changes what they stand for."""
        name = self.graph.input_name
        if self.given_codes is None:
            raise ValueError(
                f"{node}: graph input {name!r} must pass through one Quant, BipolarQuant or QuantizeLinear first, "
                "or be said to be integers of a scale (a float network is encoded with bits)"
            )
        if any(len(curve.lines) > 1 for curve in source.curves):
            raise ValueError(
                f"{node}: graph input {name!r} must be scaled and shifted only, or quantized before a Relu"
            )
        made = self._take_input(source, self.given_codes, None, str(node))
        lines = zip(made.channel_lines, source.curves, strict=True)
        return made.standing_for([line.then(curve.lines[0].slope, curve.lines[0].intercept) for line, curve in lines])

    def _take_input(self, source: RawInput, codes: Codes, levels: HostLevels | None, where: str) -> CodeMap:
        name, shape = self.graph.input_name, self.graph.input_shape
        if self.input_codes is not None and not (self.input_codes == codes and _equal(self.input_levels, levels)):
            raise ValueError(f"{where}: graph input {name!r} must have one quantizer, not two")
        self.input_codes, self.input_levels = codes, levels
        made = CodeMap(producer=name, shape=shape, codes=codes, flat=self.graph.input_rank == 2, from_host=True)
        if source.flatten is None:
            return replace(made, flat=source.flat, view=source.view)
        if source.flatten not in {found.layer.name for found in self.nodes}:
            self.finish(Flatten(name=source.flatten, in_shape=shape, act_bits=codes.bits), (name,))
        return replace(made, producer=source.flatten, flat=True)


def uniform(node: GraphNode, source: CodeMap) -> CodeMap:
    """Codes that stand for step * (c + offset) in all channels; ValueError for any other."""
    if source.lines:
        line = source.lines[0]
        what = "a scale for every channel" if len(set(source.lines)) > 1 else f"{line.slope} c + {line.intercept}"
        raise ValueError(
            f"{node}: codes of {source.producer!r} must stand for step * (c + integer) in all channels, not for {what}"
        )
    return source


def _changes_nothing(sums: Sums, source: CodeMap, activation: Activation) -> bool:
    """Whether a quantizer gives every code of `source` back, which is all that the sums consist of."""
    if (source.codes.bits, source.codes.highest) != (activation.bits, activation.highest):
        return False
    lines, ladders = source.channel_lines, _spread(activation.ladders, source.channels)
    if sums.curves != tuple(Curve((line,)) for line in lines) or list(lines) != _spread(
        activation.lines, source.channels
    ):
        return False
    codes = [(u, Fraction(2 * u - max_code(activation.bits))) for u in range(activation.highest + 1)]
    pairs = {(line, id(ladder)): ladder for line, ladder in zip(lines, ladders, strict=True)}
    return all(level(ladder, line(code)) == u for (line, _), ladder in pairs.items() for u, code in codes)


def _shared(sums: Joined, activation: Activation) -> list[Activation]:
    """What a quantizer of the whole map is to each part: the b^2 phases of a channel share its ladder."""
    phases = sums.block**2
    ladders, lines = (
        _spread(activation.ladders, sums.channels) * phases,
        _spread(activation.lines, sums.channels) * phases,
    )
    first, found = 0, []
    for part in sums.parts:
        last = first + part.channels
        found.append(replace(activation, ladders=tuple(ladders[first:last]), lines=tuple(lines[first:last])))
        first = last
    return found


def _spread(items: Sequence[Each], channels: int) -> list[Each]:
    """One item a channel, where one stands for all."""
    return list(items) * channels if len(items) == 1 else list(items)


def _equal(one: HostLevels | None, other: HostLevels | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.sign, other.sign) and np.array_equal(one.values, other.values)


def _affine(name: str, lines: Sequence[Line]) -> Affine:
    return Affine(_floats(name, [line.slope for line in lines]), _floats(name, [line.intercept for line in lines]))


def _floats(name: str, values: list[Fraction]) -> Floats:
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except OverflowError:
        raise ValueError(f"layer {name!r}: scale and bias must be finite in double precision") from None
