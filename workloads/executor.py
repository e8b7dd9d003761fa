"""Bit-accurate inference over packed planes: the truth for values and for how often each action happens.

Everything between the quantized input and the affine output of the last layer is integer:

    acc = sum_mk 2^(m+k) (n - 2 popcount(x_m xor w_k)) = (2^M - 1)(2^K - 1) n - 2 sum_mk 2^(m+k) popcount(x_m xor w_k).

Taps outside the map run as code words of zero bits, code -(2^M - 1), and what they added is taken back afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads import kernels
from workloads.actions import Actions
from workloads.encoded import EncodedNetwork, Parameters, Thresholds
from workloads.encoding import (
    Bits,
    Floats,
    Ints,
    Words,
    max_code,
    quantize_unsigned,
    signed,
    word_type,
    words_per_window,
)
from workloads.kernels import Integers
from workloads.layers import Add, Contraction, Conv, Dense, Flatten, Layer, Pool, accumulator_bound, ceil_div
from workloads.network import Network
from workloads.operands import Operand, operand, windows
from workloads.products import Reals, product_sums, product_weights

BATCH_ELEMENTS = 2**22
"""Elements of the largest map that one batch may hold: ResNet-18 at 8 x 8 bits then stays near 300 MB (measured)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An encoded network whose weights are packed for one word width: make it once, run it often."""

    encoded: EncodedNetwork
    width: int
    operands: Mapping[str, Operand]
    products: Mapping[str, Reals]
    """Weight codes of the layers that are computed as integer products instead of branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one inference of N images gave.

    outputs: float64, (N, channels) where the last map is 1 x 1, else (N, *out_shape).
    actions: counts of one image, by layer in network order.
    integers: raw accumulators (or codes, where a layer only hands codes on) by layer, (N, *out_shape) int64.
    codes: odd codes by network input and layer, (N, *shape) int64. Both are empty unless kept.
    """

    outputs: Floats
    actions: Mapping[str, Actions]
    integers: Mapping[str, Ints] = field(default_factory=dict)
    codes: Mapping[str, Ints] = field(default_factory=dict)


def run(
    network: EncodedNetwork,
    inputs: npt.NDArray[Any],
    *,
    width: int = 64,
    keep_integers: bool = False,
    batch: int | None = None,
    products: bool = False,
) -> Run:
    """Infer real inputs (N, channels, height, width), `batch` images at a time (None: as memory allows).

    The result does not depend on `width` (8, 16, 32 or 64 bits a word) nor on `batch`; the actions depend on `width`.
    `products` computes layers of many bits (`workloads.products`) as products of codes: the same integers, sooner.
    Raises ValueError for inputs of another shape or with NaN, OverflowError where a declared accumulator is too narrow.
    """
    return run_prepared(
        prepare(network, width=width, products=products), inputs, keep_integers=keep_integers, batch=batch
    )


def prepare(network: EncodedNetwork, *, width: int = 64, products: bool = False) -> Prepared:
    """Repack all weights for words of `width` bits. Raises ValueError for a width that is not 8, 16, 32 or 64."""
    word_type(width)
    operands = {
        layer.name: operand(layer, network.parameters[layer.name], width) for layer in network.network.contractions
    }
    weights = {layer.name: (layer, network.parameters[layer.name].weights) for layer in network.network.contractions}
    codes = {
        name: product_weights(layer, words)
        for name, (layer, words) in weights.items()
        if products and words is not None
    }
    chosen = {name: found for name, found in codes.items() if found is not None}
    return Prepared(network, width, MappingProxyType(operands), MappingProxyType(chosen))


def run_prepared(
    prepared: Prepared, inputs: npt.NDArray[Any], *, keep_integers: bool = False, batch: int | None = None
) -> Run:
    """As `run`, without repacking the weights."""
    network = prepared.encoded.network
    _check_inputs(network, inputs)
    size = _batch_size(network) if batch is None else batch
    if size < 1:
        raise ValueError(f"network {network.name!r}: batch must be at least 1, not {batch}")
    parts = [_run_batch(prepared, inputs[i : i + size], keep_integers) for i in range(0, len(inputs), size)]
    return Run(
        outputs=np.concatenate([part.outputs for part in parts]),
        actions=parts[0].actions,
        integers=_joined([part.integers for part in parts]),
        codes=_joined([part.codes for part in parts]),
    )


def accuracy(outputs: npt.NDArray[Any], labels: npt.ArrayLike) -> float:
    """Share of images whose largest of outputs (N, classes) stands at its label (N,); the first of equals counts."""
    wanted = np.asarray(labels)
    if outputs.ndim != 2 or wanted.shape != outputs.shape[:1] or not len(wanted):
        raise ValueError(
            f"accuracy: labels must be (N,) for outputs (N, classes), not {wanted.shape} for {outputs.shape}"
        )
    return float((outputs.argmax(axis=1) == wanted).mean())


@dataclass(frozen=True, slots=True)
class _Emitted:
    """What one layer gave: accumulators (channels, height, width, images), codes of the same shape if any, actions."""

    sums: Integers
    codes: Bits | None
    actions: Actions


def _run_batch(prepared: Prepared, inputs: npt.NDArray[Any], keep: bool) -> Run:
    encoded, network = prepared.encoded, prepared.encoded.network
    maps = {network.input.name: np.moveaxis(quantize_unsigned(inputs, encoded.input_codes), 0, -1)}
    actions, integers = {}, {}
    for node in network.nodes:
        name = node.layer.name
        emitted = _layer(prepared, node.layer, [maps[source] for source in node.inputs])
        actions[name] = emitted.actions
        if emitted.codes is not None:
            maps[name] = emitted.codes
        if keep:
            integers[name] = _images_first(emitted.sums)
    bits = {network.input.name: network.input.bits} | {layer.name: layer.out_bits or 0 for layer in network.layers}
    kept = {name: signed(_images_first(value), bits[name]) for name, value in maps.items()} if keep else {}
    outputs = _outputs(emitted.sums, encoded.parameters.get(name, Parameters()))
    return Run(outputs=outputs, actions=MappingProxyType(actions), integers=integers, codes=kept)


def _layer(prepared: Prepared, layer: Layer, sources: Sequence[Bits]) -> _Emitted:
    parameters, width = prepared.encoded.parameters.get(layer.name, Parameters()), prepared.width
    if isinstance(layer, Conv | Dense):
        return _contract(layer, sources[0], prepared, parameters)
    if isinstance(layer, Flatten):
        return _passed(layer, np.ascontiguousarray(sources[0]).reshape(*layer.out_shape, -1), Actions())
    if isinstance(layer, Add):
        sums = sources[0].astype(np.int64) + sources[1]
        return _summed(layer, sums, 2, parameters, width)
    if layer.kind == "average":
        sums = kernels.total(sources[0], layer.kernel, layer.stride)
        return _summed(layer, sums, prod(layer.kernel), parameters, width)
    # A window always holds a real position, so a padding of u = 0, the smallest code, never wins.
    best = kernels.largest(kernels.pad(sources[0], layer.padding, 0), layer.kernel, layer.stride)
    passed = Actions(vector_words=_vector_words(layer, prod(layer.kernel), width))
    return _passed(layer, best, passed + Actions(output_writes=_plane_words(layer, layer.act_bits, width)))


def _contract(layer: Contraction, source: Bits, prepared: Prepared, parameters: Parameters) -> _Emitted:
    """Sums by branches or by products, what masked taps added taken back, and on to thresholds."""
    images, weights, width = source.shape[-1], prepared.operands[layer.name], prepared.width
    if layer.name in prepared.products:
        sums = product_sums(layer, source, prepared.products[layer.name], weights.dtype)
        actions = _contraction_actions(layer, weights, width)
    else:
        sums, actions = _branch_sums(layer, windows(layer, source, width), weights, images)
    sums = sums.reshape(layer.out_channels, -1, images)
    if weights.border.size:
        sums[:, weights.border] += weights.correction[:, :, None].astype(weights.dtype)
    return _finish(layer, sums.reshape(*layer.out_shape, images), parameters, actions, width)


def _branch_sums(layer: Contraction, read: Words, weights: Operand, images: int) -> tuple[Integers, Actions]:
    """acc = (2^M - 1)(2^K - 1) n - 2 sum_mk 2^(m+k) popcount, where 2 sum <= 2 bound: `operand` chose the dtype."""
    branches = kernels.branch_sums(weights.words, read, weights.dtype)
    sums = branches.sums
    sums *= -2
    sums += accumulator_bound(layer.reduction, layer.act_bits, layer.weight_bits)
    words = branches.xnor_words // images
    return sums, Actions(
        xnor_words=words,
        accumulations=words,
        combines=branches.combines // images,
        activation_reads=words,
        weight_reads=words,
        activation_writes=read.size // images,
        weight_writes=weights.words.size,
    )


def _contraction_actions(layer: Contraction, weights: Operand, width: int) -> Actions:
    """What branches would have done, from sizes; the tests hold it equal to what they count."""
    window, groups = words_per_window(layer, width), layer.groups if isinstance(layer, Conv) else 1
    combines = layer.act_bits * layer.weight_bits * layer.out_channels * layer.positions
    return Actions(
        xnor_words=combines * window,
        accumulations=combines * window,
        combines=combines,
        activation_reads=combines * window,
        weight_reads=combines * window,
        activation_writes=layer.act_bits * window * groups * layer.positions,
        weight_writes=weights.words.size,
    )


def _summed(layer: Pool | Add, added: Ints, count: int, parameters: Parameters, width: int) -> _Emitted:
    """Sums of `count` unsigned codes to sums of odd codes, 2 sum(u) - count (2^M - 1), and on to thresholds."""
    sums = 2 * added - count * max_code(layer.act_bits)
    return _finish(layer, sums, parameters, Actions(vector_words=_vector_words(layer, count, width)), width)


def _finish(
    layer: Contraction | Pool | Add, sums: Integers, parameters: Parameters, actions: Actions, width: int
) -> _Emitted:
    """Check the declared accumulator, then emit codes if the layer does."""
    _check_fits(layer, sums, parameters.acc_bits)
    if layer.out_bits is None or parameters.thresholds is None:
        return _Emitted(sums, None, actions + Actions(output_writes=_plane_words(layer, layer.acc_bits, width)))
    compares = layer.out_bits * prod(layer.out_shape)
    emitted = kernels.emit(sums.reshape(len(sums), -1), *_levels(parameters.thresholds, sums.dtype))
    written = Actions(threshold_compares=compares, output_writes=_plane_words(layer, layer.out_bits, width))
    return _Emitted(sums, emitted.reshape(sums.shape), actions + written)


def _passed(layer: Pool | Flatten, passed: Bits, actions: Actions) -> _Emitted:
    return _Emitted(signed(passed, layer.act_bits), passed, actions)


def _levels(thresholds: Thresholds, dtype: np.dtype[Any]) -> tuple[Integers, Integers]:
    """Signs and levels in the dtype of the sums; levels beyond its range compare as its largest and smallest value do.

    Exact because no sum reaches either end: int32 sums stay within +-2^30.
    """
    ends = np.iinfo(dtype)
    return thresholds.sign.astype(dtype), np.clip(thresholds.values, ends.min, ends.max).astype(dtype)


def _check_fits(layer: Layer, sums: Integers, declared: int | None) -> None:
    """Raise OverflowError if a sum needs more than the declared bits; the default width is a bound and always fits."""
    if declared is None or isinstance(layer, Flatten) or declared >= layer.acc_bits:
        return
    needed = max(int(sums.max()), ~int(sums.min()), 0).bit_length() + 1
    if needed > declared:
        raise OverflowError(
            f"layer {layer.name!r}: the accumulator must have {needed} bits for these inputs, not {declared}"
        )


def _vector_words(layer: Pool | Add, taps: int, width: int) -> int:
    """Plane words of `taps` maps of the output's size."""
    return taps * layer.act_bits * prod(layer.out_shape[1:]) * ceil_div(layer.out_shape[0], width)


def _plane_words(layer: Layer, planes: int, width: int) -> int:
    """Plane words of an emitted map, channel-last: positions * ceil(channels / width) * planes."""
    return planes * prod(layer.out_shape[1:]) * ceil_div(layer.out_shape[0], width)


def _outputs(sums: Integers, parameters: Parameters) -> Floats:
    """value = scale * acc + bias per channel: the first floats since the input was quantized."""
    values = _images_first(sums).astype(np.float64)
    if parameters.affine is not None:
        values = values * parameters.affine.scale[:, None, None] + parameters.affine.bias[:, None, None]
    return values[:, :, 0, 0] if values.shape[2:] == (1, 1) else values


def _images_first(maps: npt.NDArray[Any]) -> Ints:
    """(channels, height, width, images) to (images, channels, height, width) int64."""
    return np.ascontiguousarray(np.moveaxis(maps, -1, 0), dtype=np.int64)


def _joined(parts: Sequence[Mapping[str, Ints]]) -> Mapping[str, Ints]:
    return MappingProxyType({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _check_inputs(network: Network, inputs: npt.NDArray[Any]) -> None:
    where, wanted = f"network {network.name!r}", network.input.shape
    if not isinstance(inputs, np.ndarray) or not np.issubdtype(inputs.dtype, np.number) or np.iscomplexobj(inputs):
        came = getattr(inputs, "dtype", type(inputs).__name__)
        raise ValueError(f"{where}: inputs must be an array of real numbers, not {came}")
    if inputs.ndim != 4 or inputs.shape[1:] != wanted or not len(inputs):
        shape = ", ".join(map(str, wanted))
        raise ValueError(f"{where}: inputs must have shape (N, {shape}) with N >= 1, not {inputs.shape}")
    missing = np.isnan(inputs)
    if missing.any():
        raise ValueError(f"{where}: inputs must be numbers, but image {int(np.argwhere(missing)[0, 0])} holds NaN")


def _batch_size(network: Network) -> int:
    """Images whose largest map stays below BATCH_ELEMENTS, at least one."""
    shapes = [network.input.shape, *(layer.out_shape for layer in network.layers)]
    return max(1, min(256, BATCH_ELEMENTS // max(prod(shape) for shape in shapes)))
