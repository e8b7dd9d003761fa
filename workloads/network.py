"""A network is a directed graph of layers in topological order, with every meeting point checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from workloads.layers import (
    Concat,
    Contraction,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Shape,
    Shuffle,
    Slice,
    Source,
    check_bits,
    max_code,
    sources,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The codes that the host hands over: (channels, height, width) of `bits`-bit codes."""

    name: str
    shape: Shape
    bits: int

    def __post_init__(self) -> None:
        check_bits(f"input {self.name!r}", bits=self.bits)


@dataclass(frozen=True, slots=True)
class Node:
    """One layer and the names of what it reads, as many as `layers.sources` lists."""

    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Layers in an order in which every input comes before its reader. Raises ValueError where two layers do not meet.

    Most networks have one input. In a table whose rows stand alone every layer reads a map of its own from the host:
    `more_inputs` are those besides the first, and each is there from its first reader to its last.
    """

    name: str
    input: Input
    nodes: tuple[Node, ...]
    more_inputs: tuple[Input, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError(f"network {self.name!r}: at least one layer must be given")
        known: dict[str, tuple[Shape, int | None]] = {item.name: (item.shape, item.bits) for item in self.inputs}
        if len(known) < len(self.inputs):
            raise ValueError(f"network {self.name!r}: names of inputs must be unique")
        for node in self.nodes:
            if node.layer.name in known:
                raise ValueError(
                    f"network {self.name!r}: layer names must be unique, but {node.layer.name!r} comes twice"
                )
            _check_meeting(node, known)
            known[node.layer.name] = (node.layer.out_shape, node.layer.out_bits)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Everything that the host hands over."""
        return (self.input, *self.more_inputs)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers without their wiring."""
        return tuple(node.layer for node in self.nodes)

    @cached_property
    def contractions(self) -> tuple[Contraction, ...]:
        """The layers that reduce products, with weights of their own or without."""
        return tuple(layer for layer in self.layers if isinstance(layer, Conv | Dense | MatMul))

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.nodes[-1].layer

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.contractions)

    @property
    def binary_ops(self) -> int:
        """xnor and popcount bit operations of one inference: 2 * MACs * M * K, the convention of FINN and BISMO."""
        return sum(2 * layer.macs * layer.act_bits * layer.weight_bits for layer in self.contractions)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(layer.weights for layer in self.contractions)

    @property
    def weight_storage_bits(self) -> int:
        """Bits of all weight planes."""
        return sum(layer.weights * layer.weight_bits for layer in self.contractions)

    @property
    def precision(self) -> str:
        """`MxK` if every hidden contraction agrees, else `mixed`.

        The activation bits of a layer that reads the network input belong to the input, not to the choice of M.
        """
        weighted = [layer for layer in self.contractions if isinstance(layer, Conv | Dense)]
        hidden = {layer.act_bits for layer in weighted if not layer.from_host}
        weights = {layer.weight_bits for layer in weighted}
        if not hidden:
            hidden = {layer.act_bits for layer in self.contractions}
        if len(hidden) == 1 and len(weights) == 1:
            return f"{hidden.pop()}x{weights.pop()}"
        return "mixed"

    @property
    def max_bits(self) -> tuple[int, int]:
        """Largest (M, K) over all layers and emitted codes: what a machine must be built for."""
        acts = [layer.act_bits for layer in self.layers] + [layer.out_bits or 1 for layer in self.layers]
        return max(acts), max(layer.weight_bits for layer in self.contractions)


def with_bits(network: Network, bits: Mapping[str, tuple[int, int]]) -> Network:
    """The same network with (M, K) of the named contractions replaced, and every producer emitting what its readers take.

    Raises ValueError if a name is not a contraction, or if two readers of one map want different M.
    """
    names = {layer.name for layer in network.contractions}
    unknown = sorted(set(bits) - names)
    if unknown:
        raise ValueError(
            f"network {network.name!r}: {unknown[0]!r} is not a layer that reduces products (there are {sorted(names)})"
        )
    wanted = _wanted_bits(network, bits)
    nodes = tuple(Node(_requantize(node, bits, wanted), node.inputs) for node in network.nodes)
    first, *more = (replace(item, bits=wanted.get(item.name, item.bits)) for item in network.inputs)
    return Network(network.name, first, nodes, tuple(more))


def _wanted_bits(network: Network, bits: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """M of every map, from its readers backwards; a layer that passes codes on asks for what is asked of it."""
    wanted: dict[str, int] = {}
    for node in reversed(network.nodes):
        for name, own in zip(node.inputs, _reads(node.layer, bits, wanted), strict=True):
            if wanted.setdefault(name, own) != own:
                raise ValueError(
                    f"network {network.name!r}: the readers of {name!r} must agree on M, but want {wanted[name]} and {own}"
                )
    return wanted


def _reads(layer: Layer, bits: Mapping[str, tuple[int, int]], wanted: Mapping[str, int]) -> tuple[int, ...]:
    """M of each map that a layer reads; a product of two maps takes its K from the second."""
    if isinstance(layer, Conv | Dense | MatMul):
        return bits.get(layer.name, (layer.act_bits, layer.weight_bits))[: len(sources(layer))]
    return (wanted.get(layer.name, layer.act_bits),) * len(sources(layer))


def _requantize(node: Node, bits: Mapping[str, tuple[int, int]], wanted: Mapping[str, int]) -> Layer:
    layer, act = node.layer, wanted[node.inputs[0]]
    out = None if layer.out_bits is None else wanted.get(layer.name, layer.out_bits)
    return at_bits(layer, act, bits.get(layer.name, (0, getattr(layer, "weight_bits", 0)))[1], out)


def at_bits(layer: Layer, act_bits: int, weight_bits: int, out_bits: int | None) -> Layer:
    """A layer with other bits, those that it has. What belongs to unsigned codes follows them: padding with the lowest code, which
    is their zero, and offsets of 2^bits - 1.

    Raises ValueError for bits that the layer cannot have: a pad code that is no code of so few bits, ternary weights of other planes.
    """
    if isinstance(layer, Flatten | Concat | Shuffle | Slice):
        return replace(layer, act_bits=act_bits)
    if isinstance(layer, Host):
        return replace(layer, act_bits=act_bits, out_bits=layer.out_bits if out_bits is None else out_bits)
    if not isinstance(layer, Conv | Dense | MatMul):
        return replace(layer, act_bits=act_bits, out_bits=out_bits)
    offset = _followed(layer.weight_offset, layer.weight_bits, weight_bits)
    if isinstance(layer, MatMul):
        own = _followed(layer.act_offset, layer.act_bits, act_bits)
        layer = replace(layer, act_bits=act_bits, act_offset=own)
    elif isinstance(layer, Conv) and layer.pad_code is not None:
        layer = replace(layer, act_bits=act_bits, pad_code=-_followed(-layer.pad_code, layer.act_bits, act_bits))
    return replace(layer, act_bits=act_bits, weight_bits=weight_bits, out_bits=out_bits, weight_offset=offset)


def _followed(value: int, before: int, after: int) -> int:
    """The largest code of so many bits becomes that of other bits; any other value stays."""
    return max_code(after) if value == max_code(before) else value


def _check_meeting(node: Node, known: Mapping[str, tuple[Shape, int | None]]) -> None:
    layer, read = node.layer, sources(node.layer)
    if len(node.inputs) != len(read):
        raise ValueError(f"layer {layer.name!r}: must read {len(read)} input(s), not {len(node.inputs)}")
    for place, (name, wanted) in enumerate(zip(node.inputs, read, strict=True)):
        if name not in known:
            raise ValueError(f"layer {layer.name!r}: its input {name!r} must be the network input or an earlier layer")
        _check_map(layer, place, name, wanted, known[name])


def _check_map(layer: Layer, place: int, name: str, wanted: Source, came: tuple[Shape, int | None]) -> None:
    shape, bits = came
    other = isinstance(layer, MatMul) and place == 1
    if bits is None:
        raise ValueError(f"layer {layer.name!r}: its input {name!r} must emit codes, not raw accumulators")
    if bits != wanted[1]:
        field = "weight_bits" if other else "act_bits"
        raise ValueError(f"layer {layer.name!r}: {field} must be {bits} as {name!r} emits, not {wanted[1]}")
    if not _shapes_meet(layer, shape, wanted[0]):
        field = "other_shape" if other else "in_shape"
        raise ValueError(f"layer {layer.name!r}: {field} must be {shape} as {name!r} emits, not {wanted[0]}")


def _shapes_meet(layer: Layer, shape: Shape, wanted: Shape) -> bool:
    """A Dense states the map before its Flatten, so only the number of features must agree."""
    if isinstance(layer, Dense):
        channels, height, width = shape
        if layer.positions > 1:
            return (channels, height, width) == (layer.in_shape[0], 1, layer.positions)
        return channels * height * width == layer.reduction
    return shape == wanted
