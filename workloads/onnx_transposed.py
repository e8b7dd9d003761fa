"""ConvTranspose as ordinary convolutions, one for every phase of the output, and the phases interleaved: exact.

With stride s and pads p, output o takes input i through tap k where o + p = s i + k. So the outputs o = s y + j of one phase j
meet the taps k = r, r + s, ... alone, r = (j + p) mod s, flipped: a convolution of stride 1 with T = ceil((kernel - r) / s) taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

import numpy as np

from workloads.layers import Conv, Pair, ceil_div
from workloads.onnx_contractions import Rows, contraction, pad_code, weights_of
from workloads.onnx_graph import GraphNode
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import CodeMap, Joined, Sums, Value
from workloads.onnx_weights import Integers, IntegerWeights, weight_encoding
from workloads.onnx_windows import map_shape


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a transposed convolution: `count` outputs of each phase, of which `size` from `lead` on are wanted.

    phases: (r, taps, pad before, pad after) of each.
    """

    phases: tuple[tuple[int, int, int, int], ...]
    lead: int
    size: int
    count: int


def axis(size: int, kernel: int, stride: int, before: int, outputs: int) -> Axis:
    """The phases along one axis of `size` inputs and `outputs` outputs; `lead` outputs more are made where pads would be < 0."""
    lead = 0
    while any(pad < 0 for _, _, pad in _phases(kernel, stride, before - lead)):
        lead += 1
    phases = _phases(kernel, stride, before - lead)
    # Output y of a phase reads inputs y - pad ... y - pad + taps - 1; pads after the map must not be negative either.
    count = max(ceil_div(outputs + lead, stride), *(size + pad - taps + 1 for _, taps, pad in phases))
    ends = tuple((r, taps, pad, count - 1 - pad + taps - size) for r, taps, pad in phases)
    return Axis(ends, lead, outputs, count)


def _phases(kernel: int, stride: int, before: int) -> list[tuple[int, int, int]]:
    """(r, taps, pad before) of every phase: output s y + j reads input y + floor((j + p) / s) - t through tap r + s t."""
    found = []
    for phase in range(stride):
        whole, r = divmod(phase + before, stride)
        taps = ceil_div(kernel - r, stride)
        found.append((r, taps, taps - 1 - whole))
    return found


def conv_transpose(state: Translation, node: GraphNode) -> Value:
    """ConvTranspose: sums of every phase, joined; an optional bias."""
    source, weights = state.codes(node, 0), weights_of(state, node, 4)
    in_channels, _, *kernel = weights.values.shape
    groups, stride = node.integer("group", 1), _stride(node, kernel)
    if map_shape(node, source)[0] != in_channels or in_channels % groups:
        raise ValueError(f"{node}: weights must read {source.shape[0]} channels in {groups} groups, not {in_channels}")
    rows, cols = (
        axis(source.shape[1 + place], kernel[place], stride, pads[0], pads[1])
        for place, pads in enumerate(_outputs(node, source, kernel, stride))
    )
    phases = [(row, col) for row, col in product(rows.phases, cols.phases)]
    shapes = {(row[1:], col[1:]) for row, col in phases}
    # Phases of one shape are one convolution; with groups its channels would not lie phase by phase.
    together = [phases] if len(shapes) == 1 and groups == 1 else [[phase] for phase in phases]
    parts = [
        _phase(node, source, weights, members, stride, f"{node.name}_phase{place}" if len(together) > 1 else None)
        for place, members in enumerate(together)
    ]
    whole = (rows.lead, cols.lead) == (0, 0) and (rows.size, cols.size) == (rows.count, cols.count)
    if stride == 1 and whole:
        parts = [replace(parts[0], layer=replace(parts[0].layer, name=node.name))]
    joined = Joined(
        name=node.name,
        parts=tuple(parts),
        curves=tuple(curve for part in parts for curve in part.curves),
        block=stride,
        start=(rows.lead, cols.lead),
        size=(rows.size, cols.size),
    )
    if len(node.inputs) < 3 or not node.inputs[2]:
        return joined
    biases = state.per_channel(node, 2, joined, vector=True)
    return joined.scaled([Fraction(1)] * len(biases), biases)


def _stride(node: GraphNode, kernel: Sequence[int]) -> int:
    strides, dilations = node.integers("strides", (1, 1)), node.integers("dilations", (1, 1))
    if strides[0] != strides[1] or strides[0] < 1:
        raise ValueError(f"{node}: strides must be equal along both axes, not {strides}")
    if dilations != (1, 1):
        raise ValueError(f"{node}: dilations must be (1, 1), not {dilations}")
    if min(kernel) < strides[0]:
        raise ValueError(f"{node}: the kernel must be at least the stride {strides[0]}, not {tuple(kernel)}")
    if node.integers("kernel_shape", (kernel[0], kernel[1])) != tuple(kernel):
        raise ValueError(f"{node}: kernel_shape must be {tuple(kernel)} as the weights have it")
    return strides[0]


def _outputs(node: GraphNode, source: CodeMap, kernel: Sequence[int], stride: int) -> tuple[Pair, Pair]:
    """(pad before, outputs) along both axes: outputs = s (n - 1) + output_padding + kernel - pads."""
    extra, mode = node.integers("output_padding", (0, 0)), node.text("auto_pad", "NOTSET")
    pads = node.integers("pads", (0, 0, 0, 0))
    wanted = node.integers("output_shape", (0, 0)) if "output_shape" in node.attributes else None
    if mode not in ("NOTSET", "VALID") or wanted is not None:
        raise ValueError(f"{node}: pads must be given by `pads`, not by auto_pad or output_shape")
    found = []
    for place in (0, 1):
        full = stride * (source.shape[1 + place] - 1) + extra[place] + kernel[place]
        outputs = full - pads[place] - pads[2 + place]
        if outputs < 1 or pads[place] < 0:
            raise ValueError(f"{node}: pads must leave at least one output, not {pads}")
        found.append((pads[place], outputs))
    return found[0], found[1]


Phase = tuple[tuple[int, int, int, int], tuple[int, int, int, int]]


def _phase(
    node: GraphNode,
    source: CodeMap,
    weights: IntegerWeights,
    members: Sequence[Phase],
    stride: int,
    name: str | None,
) -> Sums:
    """One convolution for phases of one shape: their taps stacked along the outputs."""
    groups = node.integer("group", 1)
    (_, tall, top, bottom), (_, wide, left, right) = members[0]
    values, steps = _turned(weights, groups), weights.channel_steps(1) * groups
    taps = np.concatenate([_taps(values, row[0], col[0], stride) for row, col in members])
    encoding = weight_encoding(weights)
    padding = (top, left, bottom, right)
    layer = Conv(
        name=name or f"{node.name}_phases",
        in_shape=source.shape,
        out_channels=len(taps),
        kernel=(tall, wide),
        act_bits=source.codes.bits,
        weight_bits=encoding.bits,
        out_bits=None,
        padding=padding,
        groups=groups,
        pad_code=pad_code(node, source, padding),
        weight_offset=encoding.offset,
        ternary=encoding.ternary,
        from_host=source.from_host,
    )
    return contraction(layer, source, Rows(taps.reshape(len(taps), -1), steps * len(members), encoding))


def _turned(weights: IntegerWeights, groups: int) -> Integers:
    """(in, out / groups, h, w) as (out, in / groups, h, w)."""
    values = weights.values
    split = values.reshape(groups, -1, *values.shape[1:]).swapaxes(1, 2)
    return split.reshape(-1, *split.shape[2:])


def _taps(values: Integers, row: int, col: int, stride: int) -> Integers:
    """Every stride-th tap from (row, col), flipped."""
    return values[:, :, row::stride, col::stride][:, :, ::-1, ::-1]


TRANSPOSED: dict[str, Operator] = {"ConvTranspose": Operator(range(2, 4), conv_transpose)}
"""Transposed convolutions."""
