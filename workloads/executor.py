"""Bit-accurate inference over packed planes, layer by layer (`workloads.layer_run`): the truth for values and actions.

Everything between the quantized input and the affine output of the last layer is integer.
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
from workloads.encoded import Arrangement, EncodedNetwork, Parameters
from workloads.encoding import Floats, Ints, host_codes, signed
from workloads.layer_run import Emitted, run_layer
from workloads.layers import Layer
from workloads.network import Network
from workloads.prepared import Prepared, prepare

BATCH_ELEMENTS = 2**22
"""Elements of the largest map that one batch may hold: ResNet-18 at 8 x 8 bits then stays near 300 MB (measured)."""


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


def _run_batch(prepared: Prepared, inputs: npt.NDArray[Any], keep: bool) -> Run:
    encoded, network = prepared.encoded, prepared.encoded.network
    maps = {network.input.name: np.moveaxis(host_codes(encoded, inputs), 0, -1)}
    actions, ways, integers, left = {}, {}, {}, {}
    leaving = encoded.arrangement.layers if encoded.arrangement else (network.output.name,)
    for node in network.nodes:
        name = node.layer.name
        emitted = run_layer(prepared, node.layer, [maps[source] for source in node.inputs])
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


def _outputs(layer: Layer, emitted: Emitted, parameters: Parameters) -> Floats:
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
