"""One layer on packed planes: its values, and how often each action happens.

A convolution or dense layer of M x K bits is

    acc = sum_mk 2^(m+k) (n - 2 popcount(x_m xor w_k)) = (2^M - 1)(2^K - 1) n - 2 sum_mk 2^(m+k) popcount(x_m xor w_k).

Weights with an offset o add o sum c_x, the row sum of the window, which is one popcount a plane word.
Taps outside the map run as code words of zero bits, code -(2^M - 1), and what they added is taken back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from workloads import compiled, kernels
from workloads.actions import Actions
from workloads.encoded import Codes, Parameters, Thresholds
from workloads.encoding import Bits, Ints, Words, quantize_unsigned, signed, words_per_window
from workloads.kernels import Integers
from workloads.layers import (
    Add,
    Concat,
    Contraction,
    Conv,
    Dense,
    Flatten,
    Free,
    Host,
    Layer,
    MatMul,
    Move,
    Shuffle,
    Slice,
    Upsample,
    Vector,
    Weighted,
    ceil_div,
    max_code,
)
from workloads.native import NativeWeights, native_sums, native_weights
from workloads.operands import Operand, windows
from workloads.prepared import Prepared
from workloads.products import product_sums

MACHINE_CODE = "machine code"
WAYS = ("branches", f"branches, {MACHINE_CODE}", "products", f"products, {MACHINE_CODE}")
"""Branches: M K planes, xnor and popcount. Products: the same integers from products of codes, where that is faster."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """What one layer gave: accumulators (channels, height, width, images), codes of the same shape if any, actions."""

    sums: Integers
    codes: Bits | None
    actions: Actions
    way: str | None = None


def run_layer(prepared: Prepared, layer: Layer, sources: Sequence[Bits]) -> Emitted:
    """A layer on the maps that it reads, codes (channels, height, width, images) each.

    Raises OverflowError where a declared accumulator is too narrow, ValueError for a layer that only the machine models.
    """
    parameters, width = prepared.encoded.parameters.get(layer.name, Parameters()), prepared.width
    if isinstance(layer, Conv | Dense):
        return _contract(layer, sources[0], prepared, parameters)
    if isinstance(layer, MatMul):
        return _multiply(layer, sources, parameters, width)
    if isinstance(layer, Flatten):
        return _passed(layer, np.ascontiguousarray(sources[0]).reshape(*layer.out_shape, -1), Actions())
    if isinstance(layer, Concat | Shuffle | Slice):
        return _passed(layer, _moved(layer, sources), _copied(layer, 1, width))
    if isinstance(layer, Host):
        return _passed(layer, _hosted(layer, sources, parameters), Actions())
    return _vector(layer, sources, parameters, width)


def _moved(layer: Move, sources: Sequence[Bits]) -> Bits:
    if isinstance(layer, Concat):
        return np.concatenate(sources)
    if isinstance(layer, Shuffle):
        return kernels.to_space(sources[0], layer.block)
    channels, rows, cols = (slice(first, first + n) for first, n in zip(layer.start, layer.out_shape, strict=True))
    return np.ascontiguousarray(sources[0][channels, rows, cols])


def _hosted(layer: Host, sources: Sequence[Bits], parameters: Parameters) -> Bits:
    """Codes to float32 values, the function of the layer, and its values to codes."""
    function = parameters.host
    if function is None:
        raise ValueError(f"layer {layer.name!r}: must have a function that the host computes ({layer.function})")
    values = []
    for own, source in zip(function.operands, sources, strict=True):
        real = own.step * (signed(source, layer.act_bits) + own.offset)
        values.append(own.view.tensor(real.astype(np.float32)))
    result = function.result
    codes = Codes(bits=layer.out_bits, step=result.step, offset=result.offset, highest=result.highest)
    return result.view.maps(quantize_unsigned(function(values), codes), layer.out_shape)


def _vector(layer: Vector, sources: Sequence[Bits], parameters: Parameters, width: int) -> Emitted:
    if isinstance(layer, Add):
        one, other = layer.multipliers
        sums = one * sources[0].astype(np.int64) + other * sources[1].astype(np.int64)
        return _summed(layer, sums, one + other, layer.additions, parameters, width)
    if isinstance(layer, Upsample):
        grown = kernels.resample(sources[0], layer.taps(0), layer.taps(1))
        if layer.kind == "linear":
            return _summed(layer, grown, prod(layer.denominators), layer.additions, parameters, width)
        return _passed(layer, grown.astype(np.uint8), _copied(layer, 1, width))
    window = prod(layer.kernel)
    if layer.kind == "average":
        sums = kernels.total(sources[0], layer.kernel, layer.stride)
        return _summed(layer, sums, window, window, parameters, width)
    # A window always holds a real position, so a padding of u = 0, the smallest code, never wins.
    best = kernels.largest(kernels.pad(sources[0], layer.padding, 0), layer.kernel, layer.stride)
    return _passed(layer, best, _copied(layer, window, width))


def _contract(layer: Weighted, source: Bits, prepared: Prepared, parameters: Parameters) -> Emitted:
    """Sums by branches or by products, what masked taps added taken back, and on to thresholds."""
    images, weights, width = source.shape[-1], prepared.operands[layer.name], prepared.width
    actions = _contraction_actions(layer, weights.words.size, width)
    native = _native(layer, prepared, actions.xnor_words * images)
    if native is not None:
        sums, way = native_sums(layer, source, native), f"{native.way}, {MACHINE_CODE}"
    elif layer.name in prepared.products:
        sums, way = product_sums(layer, source, prepared.products[layer.name], weights.dtype), "products"
        compiled.METER.count(actions.xnor_words * images)
    else:
        sums, actions, way = _branch_sums(layer, windows(layer, source, width), weights, images)
    sums = sums.reshape(layer.out_channels, -1, images)
    kernels.add_columns(sums, weights.border, weights.correction)
    return replace(_finish(layer, sums.reshape(*layer.out_shape, images), parameters, actions, width), way=way)


def _native(layer: Weighted, prepared: Prepared, words: int) -> NativeWeights | None:
    """The layer's weights for machine code, or None where numpy does it: too little work so far, no numba, too wide a sum."""
    if not compiled.METER.passed(words):
        return None
    compiled.METER.count(words)
    if layer.name not in prepared.natives:
        planes = prepared.encoded.parameters[layer.name].weights
        assert planes is not None  # `operand` has refused the layer without
        prepared.natives[layer.name] = native_weights(layer, planes, products=prepared.by_products)
    return prepared.natives[layer.name]


def _branch_way(branches: kernels.BranchSums) -> str:
    return f"branches, {MACHINE_CODE}" if branches.machine_code else "branches"


def _branch_sums(layer: Weighted, read: Words, weights: Operand, images: int) -> tuple[Integers, Actions, str]:
    """acc = max|x| max|c_w| n - 2 sum_mk 2^(m+k) popcount, where 2 sum <= 2 bound: `operand` chose the dtype."""
    if layer.ternary:
        planes = [kernels.branch_sums(weights.words[[plane]], read, weights.dtype) for plane in (0, 1)]
        branches = replace(
            planes[0],
            sums=planes[0].sums + planes[1].sums,
            xnor_words=2 * planes[0].xnor_words,
            combines=2 * planes[0].combines,
        )
    else:
        branches = kernels.branch_sums(weights.words, read, weights.dtype)
    sums = branches.sums
    sums *= -2
    sums += layer.reduction * max_code(layer.act_bits) * sum(layer.plane_weights)
    words, actions = branches.xnor_words // images, Actions()
    if layer.weight_offset:
        rows = kernels.code_sums(read, layer.reduction)
        sums += (layer.weight_offset * rows[:, None]).astype(sums.dtype)
        actions = Actions(correction_words=read.size // images, correction_adds=sums.size // images)
    counted = Actions(
        xnor_words=words,
        accumulations=words,
        combines=branches.combines // images,
        activation_reads=words,
        weight_reads=words,
        activation_writes=read.size // images,
        weight_writes=weights.words.size,
    )
    return sums, actions + counted, _branch_way(branches)


def _multiply(layer: MatMul, sources: Sequence[Bits], parameters: Parameters, width: int) -> Emitted:
    """Two maps of codes, an image and head at a time; offsets of either add sums of the other."""
    if layer.cached:
        raise ValueError(f"layer {layer.name!r}: its second map must come from a layer to be executed, not from memory")
    images = sources[0].shape[-1]
    left, right = (_by_head(layer, sources[0], False), _by_head(layer, sources[1], layer.over == "positions"))
    x, y = kernels.pack_axis(left, layer.act_bits, width), kernels.pack_axis(right, layer.weight_bits, width)
    branches = kernels.branch_sums(y, x, np.int64)
    sums = layer.reduction * max_code(layer.act_bits) * max_code(layer.weight_bits) - 2 * branches.sums
    corrected = 0
    if layer.weight_offset:
        sums += layer.weight_offset * kernels.code_sums(x, layer.reduction)[:, None]
        corrected += x.size
    if layer.act_offset:
        sums += layer.act_offset * kernels.code_sums(y, layer.reduction)[:, :, None]
        corrected += y.size
    sums += layer.reduction * layer.act_offset * layer.weight_offset
    words = branches.xnor_words // images
    actions = Actions(
        xnor_words=words,
        accumulations=words,
        combines=branches.combines // images,
        activation_reads=words,
        weight_reads=words,
        activation_writes=x.size // images,
        weight_writes=y.size // images,
        correction_words=corrected // images,
        correction_adds=sums.size // images * (bool(layer.weight_offset) + bool(layer.act_offset)),
    )
    by_image = sums.reshape(images, *layer.out_shape).transpose(1, 2, 3, 0)
    done = _finish(layer, np.ascontiguousarray(by_image), parameters, actions, width)
    return replace(done, way=_branch_way(branches))


def _by_head(layer: MatMul, source: Bits, over_positions: bool) -> Bits:
    """(channels, 1, positions, images) as (images * heads, N, vectors)."""
    heads = source.reshape(layer.heads, -1, *source.shape[2:]).transpose(3, 0, 1, 2)
    if over_positions:
        heads = heads.swapaxes(2, 3)
    return np.ascontiguousarray(heads).reshape(-1, *heads.shape[2:])


@lru_cache(maxsize=1024)
def _contraction_actions(layer: Weighted, weight_words: int, width: int) -> Actions:
    """What branches would have done, from sizes; the tests hold it equal to what they count."""
    window, groups = words_per_window(layer, width), layer.groups if isinstance(layer, Conv) else 1
    combines = layer.act_bits * layer.weight_bits * layer.out_channels * layer.positions
    read, corrected = layer.act_bits * window * groups * layer.positions, bool(layer.weight_offset)
    return Actions(
        xnor_words=combines * window,
        accumulations=combines * window,
        combines=combines,
        activation_reads=combines * window,
        weight_reads=combines * window,
        activation_writes=read,
        weight_writes=weight_words,
        correction_words=read * corrected,
        correction_adds=layer.out_channels * layer.positions * corrected,
    )


def _summed(layer: Vector, added: Ints, weight: int, additions: int, parameters: Parameters, width: int) -> Emitted:
    """Sums of unsigned codes whose weights add up to `weight` to sums of odd codes, 2 sum(u) - weight (2^M - 1), and on."""
    sums = 2 * added - weight * max_code(layer.act_bits)
    return _finish(layer, sums, parameters, Actions(vector_words=_vector_words(layer, additions, width)), width)


def _finish(
    layer: Contraction | Vector, sums: Integers, parameters: Parameters, actions: Actions, width: int
) -> Emitted:
    """Check the declared accumulator, then emit codes if the layer does."""
    _check_fits(layer, sums, parameters.acc_bits)
    if layer.out_bits is None or parameters.thresholds is None:
        return Emitted(sums, None, actions + Actions(output_writes=_plane_words(layer, layer.acc_bits, width)))
    compares = layer.out_bits * prod(layer.out_shape)
    emitted = kernels.emit(sums.reshape(len(sums), -1), *_levels(parameters.thresholds, sums.dtype))
    written = Actions(threshold_compares=compares, output_writes=_plane_words(layer, layer.out_bits, width))
    return Emitted(sums, emitted.reshape(sums.shape), actions + written)


def _copied(layer: Vector | Move, reads: int, width: int) -> Actions:
    """Words that pass the vector unit, and the codes it writes."""
    written = _plane_words(layer, layer.act_bits, width)
    return Actions(vector_words=_vector_words(layer, reads, width), output_writes=written)


def _passed(layer: Vector | Move | Free, passed: Bits, actions: Actions) -> Emitted:
    return Emitted(signed(passed, layer.out_bits or 0), passed, actions)


@lru_cache(maxsize=1024)
def _levels(thresholds: Thresholds, dtype: np.dtype[Any]) -> tuple[Integers, Integers]:
    """Signs and levels in the dtype of the sums; levels beyond its range compare as its largest and smallest value do.

    Exact because no sum reaches either end: int32 sums stay within +-2^30.
    """
    ends = np.iinfo(dtype)
    values = thresholds.values
    if values.min() < ends.min or values.max() > ends.max:
        values = np.clip(values, ends.min, ends.max)
    return thresholds.sign.astype(dtype), values.astype(dtype)


def _check_fits(layer: Contraction | Vector, sums: Integers, declared: int | None) -> None:
    """Raise OverflowError if a sum needs more than the declared bits; the default width is a bound and always fits."""
    if declared is None or declared >= layer.acc_bits:
        return
    needed = max(int(sums.max()), ~int(sums.min()), 0).bit_length() + 1
    if needed > declared:
        raise OverflowError(
            f"layer {layer.name!r}: the accumulator must have {needed} bits for these inputs, not {declared}"
        )


def _vector_words(layer: Vector | Move, taps: int, width: int) -> int:
    """Plane words of `taps` maps of the output's size."""
    return taps * layer.act_bits * prod(layer.out_shape[1:]) * ceil_div(layer.out_shape[0], width)


def _plane_words(layer: Layer, planes: int, width: int) -> int:
    """Plane words of an emitted map, channel-last: positions * ceil(channels / width) * planes."""
    return planes * prod(layer.out_shape[1:]) * ceil_div(layer.out_shape[0], width)
