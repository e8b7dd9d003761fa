"""Folding activation planes that never change: the same outputs from fewer branches.

Where the top plane of a map is always s = +1 or -1 (the paper's HReLU in [0, 1] makes it +1), c = c' + s 2^(M-1) with codes c' of M - 1 bits.
The producer drops the half of its thresholds that decided that plane, and every reader adds what the plane contributed, a
constant of each channel: acc = acc' + s 2^(M-1) sum(w) moves into its thresholds. It cannot where a padded tap is masked:
that tap adds nothing, so the constant would depend on the position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workloads.encoded import Affine, EncodedNetwork, Ints, Parameters, Thresholds
from workloads.encoding import decode_weights
from workloads.layers import (
    Concat,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Pool,
    Shuffle,
    Slice,
    Upsample,
    Vector,
    sums,
)
from workloads.network import Network, Node


@dataclass(frozen=True, slots=True)
class Fold:
    """A map whose top plane is constant: of `layer`, always `sign`; `obstacle` says why it stays, None where it is folded."""

    layer: str
    sign: int
    obstacle: str | None

    def __str__(self) -> str:
        left = "folded" if self.obstacle is None else f"kept, because {self.obstacle}"
        return f"layer {self.layer!r}: top activation plane always {self.sign:+d}, {left}"


def fold_constant_planes(encoded: EncodedNetwork) -> tuple[EncodedNetwork, tuple[Fold, ...]]:
    """The network without the planes that no input can change, and what was found; outputs stay equal to the last bit."""
    folds: list[Fold] = []
    for name in [layer.name for layer in encoded.network.layers if sums(layer)]:
        while (sign := constant_sign(encoded, name)) is not None:
            obstacle = _obstacle(encoded, name, sign)
            folds.append(Fold(name, sign, obstacle))
            if obstacle is not None:
                break
            encoded = _folded(encoded, name, sign)
    return encoded, tuple(folds)


def constant_sign(encoded: EncodedNetwork, name: str) -> int | None:
    """+1 or -1 if thresholds that every sum reaches, or none, fix the top plane of a layer's codes; None otherwise."""
    layer, thresholds = _layer(encoded, name), encoded.parameters.get(name, Parameters()).thresholds
    if thresholds is None or thresholds.bits < 2 or not isinstance(layer, Conv | Dense | MatMul | Vector):
        return None
    middle, bound = thresholds.values[:, 2 ** (thresholds.bits - 1) - 1], layer.acc_bound
    if (middle <= -bound).all():
        return 1
    return -1 if (middle > bound).all() else None


def _layer(encoded: EncodedNetwork, name: str) -> Layer:
    return next(layer for layer in encoded.network.layers if layer.name == name)


def _reached(network: Network, name: str) -> tuple[list[Node], list[Node]]:
    """Layers that hand the codes of a map on, and those that compute with them, in network order."""
    carried, passing, reading = {name}, list[Node](), list[Node]()
    for node in network.nodes:
        if not carried.isdisjoint(node.inputs):
            hands_on = not sums(node.layer) and isinstance(
                node.layer, Pool | Flatten | Shuffle | Slice | Upsample | Concat
            )
            (passing if hands_on else reading).append(node)
            carried |= {node.layer.name} if hands_on else set()
    return passing, reading


def _obstacle(encoded: EncodedNetwork, name: str, sign: int) -> str | None:
    """Why a plane cannot be folded, or None."""
    passing, reading = _reached(encoded.network, name)
    carried = {name, *(node.layer.name for node in passing)}
    if not reading or encoded.network.output.name in carried:
        return "its codes leave the network"
    for node in (*passing, *reading):
        if not carried.issuperset(node.inputs):
            return f"{node.layer.name!r} reads another map of the same bits beside it"
        reason = _unfoldable(node.layer, sign)
        if reason is not None:
            return f"{node.layer.name!r} {reason}"
    return None


def _unfoldable(layer: Layer, sign: int) -> str | None:
    if isinstance(layer, Conv) and any(layer.padding):
        if layer.pad_code is None:
            return "masks padded taps, where the plane adds nothing"
        if (layer.pad_code > 0) != (sign > 0):
            return "pads with a code that has the other sign"
    computes = isinstance(layer, Conv | Dense) or (isinstance(layer, Pool) and layer.kind == "average")
    passes = not sums(layer) and not isinstance(layer, Conv | Dense | Host)
    return None if computes or passes else "computes with the codes themselves"


def _folded(encoded: EncodedNetwork, name: str, sign: int) -> EncodedNetwork:
    """One plane of one map fewer."""
    passing, reading = _reached(encoded.network, name)
    bits = (_layer(encoded, name).out_bits or 0) - 1
    weight = sign * 2**bits
    layers = {node.layer.name: node.layer for node in encoded.network.nodes}
    parameters = dict(encoded.parameters)
    layers[name] = _emitting(layers[name], bits)
    parameters[name] = replace(parameters[name], thresholds=_half(parameters[name].thresholds, sign))
    for node in passing:
        layers[node.layer.name] = _narrower(node.layer, bits)
    for node in reading:
        own = parameters[node.layer.name]
        layers[node.layer.name] = _reading(node.layer, bits, weight)
        parameters[node.layer.name] = _shifted(own, weight * _gains(node.layer, own))
    nodes = tuple(Node(layers[node.layer.name], node.inputs) for node in encoded.network.nodes)
    return replace(encoded, network=replace(encoded.network, nodes=nodes), parameters=parameters)


def _half(thresholds: Thresholds | None, sign: int) -> Thresholds:
    """The thresholds above the middle one where the plane is +1, those below where it is -1."""
    assert thresholds is not None
    middle = 2 ** (thresholds.bits - 1) - 1
    kept = thresholds.values[:, middle + 1 :] if sign > 0 else thresholds.values[:, :middle]
    return Thresholds(thresholds.sign, kept)


def _emitting(layer: Layer, bits: int) -> Layer:
    assert isinstance(layer, Conv | Dense | MatMul | Vector)
    return replace(layer, out_bits=bits)


def _narrower(layer: Layer, bits: int) -> Layer:
    if isinstance(layer, Pool | Upsample):
        return replace(layer, act_bits=bits, out_bits=bits)
    assert isinstance(layer, Flatten | Shuffle | Slice | Concat)
    return replace(layer, act_bits=bits)


def _reading(layer: Layer, bits: int, weight: int) -> Layer:
    assert isinstance(layer, Conv | Dense | Pool)
    if isinstance(layer, Conv) and layer.pad_code is not None:
        return replace(layer, act_bits=bits, pad_code=layer.pad_code - weight)
    return replace(layer, act_bits=bits)


def _gains(layer: Layer, parameters: Parameters) -> Ints:
    """(channels,) what a code that is one higher everywhere adds to a sum."""
    if isinstance(layer, Pool):
        return np.full(layer.out_shape[0], layer.kernel[0] * layer.kernel[1], np.int64)
    assert isinstance(layer, Conv | Dense)
    assert parameters.weights is not None
    codes = decode_weights(parameters.weights, layer.reduction, ternary=layer.ternary)
    return np.asarray(codes.sum(axis=1) + layer.reduction * layer.weight_offset)


def _shifted(parameters: Parameters, shifts: Ints) -> Parameters:
    """Thresholds and outputs of acc' = acc - shift: sign acc >= T is sign acc' >= T - sign shift."""
    thresholds, affine = parameters.thresholds, parameters.affine
    if thresholds is not None:
        thresholds = Thresholds(thresholds.sign, thresholds.values - (thresholds.sign * shifts)[:, None])
    elif affine is not None and affine.shift is not None:  # of codes that leave, thresholds have taken it in
        affine = Affine(affine.scale, affine.bias, affine.shift + shifts)
    return replace(parameters, thresholds=thresholds, affine=affine, acc_bits=None)
