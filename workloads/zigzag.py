"""ZigZag workloads: a YAML list of loop nests, chained by the ids of the layers that they read.

    - id: 2
      operator_type: Conv
      equation: O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]
      dimension_relations: [ix=1*ox+1*fx, iy=1*oy+1*fy]
      loop_dims: [B, K, C, OY, OX, FY, FX]
      loop_sizes: [1, 64, 64, 56, 56, 3, 3]
      operand_precision: {W: 8, I: 8, O: 16, O_final: 8}
      operand_source: {I: 1, W: 2}

The keys are those of ZigZag 3 (its docs/source/workload.rst and zigzag/parser/workload_validator.py). An operand whose
source is the layer itself comes from outside: weights, or a map of its own that the host hands over. Where no padding is
given it is what the windows reach beyond the map that is read, the larger half of it before the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from workloads.checks import output_size
from workloads.layers import MAX_BITS, Add, Conv, Dense, Layer, MatMul, Pair, Pool
from workloads.network import Input, Network, Node
from workloads.zigzag_nest import DIMS, Nest, read_nests

POOL_KINDS: Mapping[str, Literal["max", "average"]] = {
    "MaxPool": "max",
    "AveragePool": "average",
    "GlobalAveragePool": "average",
}


def read_zigzag(text: str, name: str, bits: tuple[int, int] | None) -> Network:
    """The layers at the file's bits, or all at (M, K) = `bits`. Raises ValueError naming the layer and the key."""
    nests = read_nests(text)
    build = _Build(nests, bits)
    for nest in nests:
        build.append(nest)
    if not build.inputs:
        raise ValueError("at least one layer must read from outside, by its own id as the source of I")
    return Network(name, build.inputs[0], tuple(build.nodes), tuple(build.inputs[1:]))


@dataclass(slots=True)
class _Build:
    """A network under construction."""

    nests: Sequence[Nest]
    bits: tuple[int, int] | None
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    layers: dict[int, Layer] = field(default_factory=dict)
    wanted: dict[int, int] = field(default_factory=dict)
    """By id, the bits that the first reader of a layer takes."""

    def __post_init__(self) -> None:
        for nest in self.nests:
            for operand in _maps(nest):
                source = nest.sources.get(operand, nest.id)
                if source != nest.id:
                    self.wanted.setdefault(source, self.map_bits(nest, operand))

    def append(self, nest: Nest) -> None:
        """Add the layer of a nest and what it reads from outside."""
        if nest.id in self.layers:
            raise ValueError(f"{nest.where}: id must be unique, but {nest.id} comes twice")
        if nest.size("B") > 1 and nest.operator != "Gemm":
            raise ValueError(f"{nest.where}: loop B must be 1, because one inference is counted, not {nest.size('B')}")
        layer = self.layer(nest)
        self.nodes.append(Node(layer, tuple(self.read(nest, operand, layer) for operand in _maps(nest))))
        self.layers[nest.id] = layer

    def read(self, nest: Nest, operand: str, layer: Layer) -> str:
        """Name of the map behind an operand: an earlier layer's, or one from outside, which is added."""
        source = self.source(nest, operand)
        if source is not None:
            return source.name
        shape = (layer.in_shape[0], 1, layer.positions) if isinstance(layer, Dense) else layer.in_shape
        self.inputs.append(Input(name=f"{nest.name}.{operand}", shape=shape, bits=layer.act_bits))
        return self.inputs[-1].name

    def source(self, nest: Nest, operand: str) -> Layer | None:
        """The earlier layer that an operand comes from, None from outside."""
        source = nest.sources.get(operand, nest.id)
        if source == nest.id:
            return None
        if source not in self.layers:
            raise ValueError(
                f"{nest.where}: operand_source {operand} must be an earlier layer or its own id, not {source}"
            )
        return self.layers[source]

    def layer(self, nest: Nest) -> Layer:
        """The record of a nest."""
        if nest.operator == "Add":
            shape = (nest.size("G"), nest.size("OY"), nest.size("OX"))
            return Add(name=nest.name, in_shape=shape, act_bits=self.map_bits(nest), out_bits=self.out_bits(nest))
        if nest.operator == "Gemm":
            return self.product(nest) if "W" in _maps(nest) or "h" in nest.weight_indices else self.dense(nest)
        return self.conv(nest) if "K" in DIMS[nest.operator] else self.pool(nest)

    def conv(self, nest: Nest) -> Conv:
        """G groups of K outputs and C inputs each."""
        _check_weights(nest, {"g", "k", "c", "fy", "fx"}, {"g"} if nest.size("G") > 1 else set())
        size, padding = self.window(nest)
        stride_h, dilation_h = nest.steps.get("Y", (1, 1))
        stride_w, dilation_w = nest.steps.get("X", (1, 1))
        return Conv(
            name=nest.name,
            in_shape=(nest.size("G", "C"), *size),
            out_channels=nest.size("G", "K"),
            kernel=(nest.size("FY"), nest.size("FX")),
            act_bits=self.map_bits(nest),
            weight_bits=nest.bits("W", self.bits and self.bits[1]),
            out_bits=self.out_bits(nest),
            stride=(stride_h, stride_w),
            padding=padding,
            dilation=(dilation_h, dilation_w),
            groups=nest.size("G"),
        )

    def pool(self, nest: Nest) -> Pool:
        """The file does not always say which: a single window over the map is an average, others are maxima."""
        single = nest.size("OY", "OX") == 1
        kind = POOL_KINDS.get(nest.operator, "average" if single else "max")
        size, padding = self.window(nest)
        if any(dilation > 1 for _, dilation in nest.steps.values()):
            raise ValueError(f"{nest.where}: dimension_relations of a pool must have dilation 1")
        return Pool(
            name=nest.name,
            kind=kind,
            in_shape=(nest.size("G"), *size),
            kernel=(nest.size("FY"), nest.size("FX")),
            act_bits=self.map_bits(nest),
            out_bits=self.map_bits(nest) if kind == "max" else self.out_bits(nest),
            stride=(nest.steps.get("Y", (1, 1))[0], nest.steps.get("X", (1, 1))[0]),
            padding=padding,
        )

    def dense(self, nest: Nest) -> Dense:
        """B H D vectors of C features times weights that all of them share."""
        _check_weights(nest, {"c", "k"}, set())
        features, positions = nest.size("C"), nest.size("B", "H", "D")
        source = self.source(nest, "I")
        flattened = source is not None and positions == 1 and prod(source.out_shape) == features
        return Dense(
            name=nest.name,
            in_shape=source.out_shape if source is not None and flattened else (features, 1, 1),
            out_channels=nest.size("K"),
            act_bits=self.map_bits(nest),
            weight_bits=nest.bits("W", self.bits and self.bits[1]),
            out_bits=self.out_bits(nest),
            positions=positions,
        )

    def product(self, nest: Nest) -> MatMul:
        """H heads of D vectors of I times C x K of W, which another layer makes, or which lies in memory (a cache)."""
        shared = nest.size("H") > 1 and "h" not in nest.weight_indices
        if nest.size("B") > 1 or shared or not nest.weight_indices <= {"b", "h", "c", "k"}:
            raise ValueError(f"{nest.where}: a product of two maps must have B of 1 and W[h][c][k] in the equation")
        heads, features, outputs = nest.size("H"), nest.size("C"), nest.size("K")
        source = self.source(nest, "W")
        columns, rows = (heads * features, 1, outputs), (heads * outputs, 1, features)
        turned = source is not None and source.out_shape == rows != columns
        return MatMul(
            name=nest.name,
            in_shape=(heads * features, 1, nest.size("D")),
            other_shape=rows if turned else columns,
            heads=heads,
            over="positions" if turned else "channels",
            act_bits=self.map_bits(nest),
            weight_bits=self.map_bits(nest, "W"),
            out_bits=self.out_bits(nest),
            cached=source is None,
        )

    def map_bits(self, nest: Nest, operand: str = "I") -> int:
        """Bits of a map that is read."""
        return nest.bits(operand, self.bits and self.bits[0])

    def out_bits(self, nest: Nest) -> int | None:
        """What the readers take; without readers the file's O_final, and raw sums where that is no code."""
        final = nest.precision.get("O_final", 0)
        own = (self.bits[0] if self.bits else final) if 1 <= final <= MAX_BITS else None
        return self.wanted.get(nest.id, own)

    def window(self, nest: Nest) -> tuple[Pair, tuple[int, int, int, int]]:
        """(height, width) of the map that is read, and its padding."""
        source = self.source(nest, "I")
        height, top, bottom = _axis(nest, "Y", None if source is None else source.out_shape[1])
        width, left, right = _axis(nest, "X", None if source is None else source.out_shape[2])
        return (height, width), (top, left, bottom, right)


def _maps(nest: Nest) -> tuple[str, ...]:
    """The operands that are maps: I, and W where it is the other map of an Add or of a product."""
    product = nest.operator == "Gemm" and nest.sources.get("W", nest.id) != nest.id
    return ("I", "W") if nest.operator == "Add" or product else ("I",)


def _axis(nest: Nest, axis: str, source: int | None) -> tuple[int, int, int]:
    """Size, padding before and padding after, so that the windows give the loop's number of outputs.

    reach = (outputs - 1) stride + (kernel - 1) dilation + 1. Raises ValueError where they cannot.
    """
    outputs, kernel = nest.size(f"O{axis}"), nest.size(f"F{axis}")
    if kernel > 1 and axis not in nest.steps:
        raise ValueError(f"{nest.where}: dimension_relations must say how i{axis.lower()} follows from o{axis.lower()}")
    stride, dilation = nest.steps.get(axis, (1, 1))
    reach = (outputs - 1) * stride + (kernel - 1) * dilation + 1
    stated = nest.maps.get(axis, reach - sum(nest.padding.get(axis, (0, 0))))
    size = stated if source is None else source
    if nest.maps.get(axis, size) != size:
        raise ValueError(f"{nest.where}: pr_loop_sizes I{axis} must be {size} as its source emits, not {stated}")
    beyond = max(0, reach - size)
    before, after = nest.padding.get(axis, (beyond - beyond // 2, beyond // 2))
    found = output_size(size, kernel, stride=stride, before=before, after=after, dilation=dilation)
    if size < 1 or found != outputs:
        raise ValueError(
            f"{nest.where}: loop O{axis} must be {found}, which a map of {size} padded by {before} and {after} gives, not {outputs}"
        )
    return size, before, after


def _check_weights(nest: Nest, known: set[str], needed: set[str]) -> None:
    """Raise ValueError unless W comes from outside with indices of weights alone, among them those that it needs."""
    if nest.sources.get("W", nest.id) != nest.id:
        raise ValueError(f"{nest.where}: W must be weights, not the output of layer {nest.sources['W']}")
    if not nest.weight_indices <= known or not needed <= nest.weight_indices:
        raise ValueError(
            f"{nest.where}: W in the equation must have indices out of {', '.join(sorted(known))}"
            f"{''.join(f', and {name}' for name in needed)}, not {', '.join(sorted(nest.weight_indices))}"
        )
