"""Frozen layer records: the shapes, the bit widths and the counts that follow from them.

A layer knows geometry and precision, never weights: those live in `workloads.encoded`. Layout words: a feature map
is (channels, height, width); a kernel, stride or dilation is (vertical, horizontal); padding is (top, left, bottom,
right). Kinds: `workloads.contractions` (the PE grid), `workloads.vector_layers` (the vector unit), `workloads.moves`.
"""

from __future__ import annotations

from workloads.checks import MAX_BITS, Pair, Shape, ceil_div, check_bits, check_positive, max_code, signed_bits
from workloads.contractions import Conv, Dense, MatMul
from workloads.moves import Concat, Flatten, Host, Shuffle, Slice
from workloads.vector_layers import Add, Pool, Upsample

Weighted = Conv | Dense
"""Layers with weights of their own."""

Contraction = Conv | Dense | MatMul
"""Layers that reduce products: what the PE grid computes."""

Vector = Pool | Add | Upsample
"""Layers that compute on codes without weights: what the vector unit does."""

Move = Concat | Shuffle | Slice
"""Layers that put codes elsewhere: the vector unit copies them."""

Free = Flatten | Host
"""Layers that cost the machine nothing: codes read in another order, and what the host does."""

Layer = Contraction | Vector | Move | Free

Source = tuple[Shape, int]
"""A map that a layer reads: its shape and bits."""


def sources(layer: Layer) -> tuple[Source, ...]:
    """The maps that a layer reads, in order."""
    if isinstance(layer, MatMul):
        first = (layer.in_shape, layer.act_bits)
        return (first,) if layer.cached else (first, (layer.other_shape, layer.weight_bits))
    if isinstance(layer, Concat):
        return tuple(((part, *layer.in_shape[1:]), layer.act_bits) for part in layer.parts)
    count = layer.operands if isinstance(layer, Host) else 2 if isinstance(layer, Add) else 1
    return ((layer.in_shape, layer.act_bits),) * count


def sums(layer: Layer) -> bool:
    """Whether the layer makes sums (that thresholds turn into codes) rather than handing codes on."""
    if isinstance(layer, Pool):
        return layer.kind == "average"
    if isinstance(layer, Upsample):
        return layer.kind == "linear"
    return isinstance(layer, Conv | Dense | MatMul | Add)


__all__ = [
    "MAX_BITS",
    "Add",
    "Concat",
    "Contraction",
    "Conv",
    "Dense",
    "Flatten",
    "Free",
    "Host",
    "Layer",
    "MatMul",
    "Move",
    "Pair",
    "Pool",
    "Shape",
    "Shuffle",
    "Slice",
    "Source",
    "Upsample",
    "Vector",
    "Weighted",
    "ceil_div",
    "check_bits",
    "check_positive",
    "max_code",
    "signed_bits",
    "sources",
    "sums",
]
