"""Bit-accurate inference over packed planes: the truth for values and for how often each action happens.

Everything between the quantized input and the affine output of the last layer is integer:

    acc = sum_mk 2^(m+k) (n - 2 popcount(x_m xor w_k)) = (2^M - 1)(2^K - 1) n - 2 sum_mk 2^(m+k) popcount(x_m xor w_k).

Weights with an offset o add o sum c_x, the row sum of the window, which is one popcount a plane word.
Taps outside the map run as code words of zero bits, code -(2^M - 1), and what they added is taken back afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads import compiled, kernels
from workloads.actions import Actions
from workloads.encoded import Arrangement, Codes, EncodedNetwork, Parameters, Thresholds
from workloads.encoding import (
    Bits,
    Floats,
    Ints,
    Words,
    host_codes,
    quantize_unsigned,
    signed,
    word_type,
    words_per_window,
)
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
from workloads.network import Network
from workloads.operands import Operand, operand, windows
from workloads.products import Reals, product_sums, product_weights

BATCH_ELEMENTS = 2**22
"""Elements of the largest map that one batch may hold: ResNet-18 at 8 x 8 bits then stays near 300 MB (measured)."""

MACHINE_CODE = "machine code"
WAYS = ("branches", f"branches, {MACHINE_CODE}", "products", f"products, {MACHINE_CODE}")
"""Branches: M K planes, xnor and popcount. Products: the same integers from products of codes, where that is faster."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An encoded network whose weights are packed for one word width: make it once, run it often."""

    encoded: EncodedNetwork
    width: int
    operands: Mapping[str, Operand]
    products: Mapping[str, Reals]
    """Weight codes of the layers that are computed as integer products instead of branches."""
    by_products: bool
    """Whether layers may be computed as products of codes."""
    natives: dict[str, NativeWeights | None]
    """Weights as machine code reads them, laid out when a layer first needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one inference of N images gave.

    outputs: float64, (N, channels) where the last map is 1 x 1, else (N, *out_shape).
    actions: counts of one image, by layer in network order.
    integers: raw accumulators (or codes, where a layer only hands codes on) by layer, (N, *out_shape) int64.
    codes: odd codes by network input and layer, (N, *shape) int64. Both are empty unless kept.
    ways: by which way each contraction was computed, one of WAYS; several, in order, where batches took several.
    """

    outputs: Floats
    actions: Mapping[str, Actions]
    ways: Mapping[str, str]
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
    """Infer real inputs (N, channels, height, width), or sequences (N, positions, features), `batch` images at a time (None: as memory allows).

    The result does not depend on `width` (8, 16, 32 or 64 bits a word) nor on `batch`; the actions depend on `width`.
    `products` computes layers of many bits as products of codes where that is faster: the same integers, sooner.
    Raises ValueError for inputs of another shape or with NaN, OverflowError where a declared accumulator is too narrow.
    """
    return run_prepared(
        prepare(network, width=width, products=products), inputs, keep_integers=keep_integers, batch=batch
    )


def prepare(network: EncodedNetwork, *, width: int = 64, products: bool = False) -> Prepared:
    """Repack all weights for words of `width` bits. Raises ValueError for a width that is not 8, 16, 32 or 64."""
    word_type(width)
    weighted = [layer for layer in network.network.layers if isinstance(layer, Conv | Dense)]
    operands = {layer.name: operand(layer, network.parameters[layer.name], width) for layer in weighted}
    weights = {layer.name: (layer, network.parameters[layer.name].weights) for layer in weighted}
    codes = {
        name: product_weights(layer, words)
        for name, (layer, words) in weights.items()
        if products and words is not None
    }
    chosen = {name: found for name, found in codes.items() if found is not None}
    return Prepared(network, width, MappingProxyType(operands), MappingProxyType(chosen), products, {})


def run_prepared(
    prepared: Prepared, inputs: npt.NDArray[Any], *, keep_integers: bool = False, batch: int | None = None
) -> Run:
    """As `run`, without repacking the weights."""
    network = prepared.encoded.network
    inputs = _as_maps(inputs)
    _check_inputs(network, inputs)
    size = _batch_size(network) if batch is None else batch
    if size < 1:
        raise ValueError(f"network {network.name!r}: batch must be at least 1, not {batch}")
    parts = [_run_batch(prepared, inputs[i : i + size], keep_integers) for i in range(0, len(inputs), size)]
    return Run(
        outputs=np.concatenate([part.outputs for part in parts]),
        actions=parts[0].actions,
        ways={name: "; ".join(dict.fromkeys(part.ways[name] for part in parts)) for name in parts[0].ways},
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
    way: str | None = None


def _run_batch(prepared: Prepared, inputs: npt.NDArray[Any], keep: bool) -> Run:
    encoded, network = prepared.encoded, prepared.encoded.network
    maps = {network.input.name: np.moveaxis(host_codes(encoded, inputs), 0, -1)}
    actions, ways, integers, left = {}, {}, {}, {}
    leaving = encoded.arrangement.layers if encoded.arrangement else (network.output.name,)
    for node in network.nodes:
        name = node.layer.name
        emitted = _layer(prepared, node.layer, [maps[source] for source in node.inputs])
        actions[name] = emitted.actions
        if emitted.way is not None:
            ways[name] = emitted.way
        if emitted.codes is not None:
            maps[name] = emitted.codes
        if name in leaving:
            left[name] = _outputs(node.layer, emitted, encoded.parameters.get(name, Parameters()))
        if keep:
            integers[name] = _images_first(emitted.sums)
    bits = {network.input.name: network.input.bits} | {layer.name: layer.out_bits or 0 for layer in network.layers}
    kept = {name: signed(_images_first(value), bits[name]) for name, value in maps.items()} if keep else {}
    outputs = _arranged([left[name] for name in leaving], encoded.arrangement)
    return Run(outputs=outputs, actions=MappingProxyType(actions), ways=ways, integers=integers, codes=kept)


def _layer(prepared: Prepared, layer: Layer, sources: Sequence[Bits]) -> _Emitted:
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


def _vector(layer: Vector, sources: Sequence[Bits], parameters: Parameters, width: int) -> _Emitted:
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


def _contract(layer: Weighted, source: Bits, prepared: Prepared, parameters: Parameters) -> _Emitted:
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


def _multiply(layer: MatMul, sources: Sequence[Bits], parameters: Parameters, width: int) -> _Emitted:
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


def _summed(layer: Vector, added: Ints, weight: int, additions: int, parameters: Parameters, width: int) -> _Emitted:
    """Sums of unsigned codes whose weights add up to `weight` to sums of odd codes, 2 sum(u) - weight (2^M - 1), and on."""
    sums = 2 * added - weight * max_code(layer.act_bits)
    return _finish(layer, sums, parameters, Actions(vector_words=_vector_words(layer, additions, width)), width)


def _finish(
    layer: Contraction | Vector, sums: Integers, parameters: Parameters, actions: Actions, width: int
) -> _Emitted:
    """Check the declared accumulator, then emit codes if the layer does."""
    _check_fits(layer, sums, parameters.acc_bits)
    if layer.out_bits is None or parameters.thresholds is None:
        return _Emitted(sums, None, actions + Actions(output_writes=_plane_words(layer, layer.acc_bits, width)))
    compares = layer.out_bits * prod(layer.out_shape)
    emitted = kernels.emit(sums.reshape(len(sums), -1), *_levels(parameters.thresholds, sums.dtype))
    written = Actions(threshold_compares=compares, output_writes=_plane_words(layer, layer.out_bits, width))
    return _Emitted(sums, emitted.reshape(sums.shape), actions + written)


def _copied(layer: Vector | Move, reads: int, width: int) -> Actions:
    """Words that pass the vector unit, and the codes it writes."""
    written = _plane_words(layer, layer.act_bits, width)
    return Actions(vector_words=_vector_words(layer, reads, width), output_writes=written)


def _passed(layer: Vector | Move | Free, passed: Bits, actions: Actions) -> _Emitted:
    return _Emitted(signed(passed, layer.out_bits or 0), passed, actions)


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


def _outputs(layer: Layer, emitted: _Emitted, parameters: Parameters) -> Floats:
    """value = scale * (x + shift) + bias per channel, x the codes or else the sums: the first floats since the input was quantized."""
    codes = None if emitted.codes is None else signed(emitted.codes, layer.out_bits or 0)
    exact, affine = _images_first(emitted.sums if codes is None else codes), parameters.affine
    if affine is None or affine.shift is None:
        return exact.astype(np.float64)
    scale, bias, shift = (array[:, None, None] for array in (affine.scale, affine.bias, affine.shift))
    return np.asarray((exact + shift) * scale + bias, np.float64)


def _arranged(maps: Sequence[Floats], arrangement: Arrangement | None) -> Floats:
    """(images, channels, height, width), or (images, channels) where that is all."""
    values = maps[0]
    if arrangement is not None:
        joined = np.moveaxis(np.concatenate(maps, axis=1), 0, -1)
        (top, left), (height, width) = arrangement.start, arrangement.size
        values = np.moveaxis(
            kernels.to_space(joined, arrangement.block)[:, top : top + height, left : left + width], -1, 0
        )
    return values[:, :, 0, 0] if values.shape[2:] == (1, 1) else np.ascontiguousarray(values)


def _images_first(maps: npt.NDArray[Any]) -> Ints:
    """(channels, height, width, images) to (images, channels, height, width) int64."""
    return np.ascontiguousarray(np.moveaxis(maps, -1, 0), dtype=np.int64)


def _joined(parts: Sequence[Mapping[str, Ints]]) -> Mapping[str, Ints]:
    return MappingProxyType({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _as_maps(inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sequences (N, positions, features) as maps (N, features, 1, positions)."""
    return inputs.swapaxes(1, 2)[:, :, None] if isinstance(inputs, np.ndarray) and inputs.ndim == 3 else inputs


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
