"""An encoded network: the shapes of `Network` plus everything that decides its output bits.

Codes are odd integers c in -(2^M-1)..(2^M-1); a real value is step * (c + offset). Offset 0 is the paper's encoding;
an unsigned integer u = (c + 2^M - 1) / 2 has offset 2^M - 1 and half its scale as step, a two's-complement one
offset -1. Everything between two code tensors is integer: acc = sum c_x w (`workloads.contractions`), then thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.host import HostFunction
from workloads.layers import Conv, Dense, Host, Layer, Pair, Shape, check_bits, check_positive, sums
from workloads.network import Network

Planes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """How codes stand for real values: value = step * (code + offset), code odd in -(2^bits-1)..(2^bits-1).

    `highest` is the largest unsigned code u that occurs; narrow ranges leave the ones above it unused (None: all occur).
    """

    bits: int
    step: float
    offset: int = 0
    highest: int | None = None

    def __post_init__(self) -> None:
        check_bits("codes", bits=self.bits)
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"codes: step must be a finite number > 0, not {self.step}")
        top = 2**self.bits - 1
        if self.highest is None:
            object.__setattr__(self, "highest", top)
        elif not 1 <= self.highest <= top:
            raise ValueError(f"codes: highest must be between 1 and {top}, not {self.highest}")

    @property
    def zero_code(self) -> int | None:
        """The code of real zero, or None where zero has no code (every odd encoding)."""
        lowest, largest = 1 - 2**self.bits, 2 * (self.highest or 0) - 2**self.bits + 1
        return -self.offset if self.offset % 2 and lowest <= -self.offset <= largest else None


@dataclass(frozen=True, slots=True)
class HostLevels:
    """How the host quantizes the network input: u of channel i = number of j with sign[i] * x >= values[i, j], x in float32.

    sign: (rows,) int64 of +-1. values: (rows, levels) float32, ascending along j; infinite where a level is always or never
    reached. There is one row, or one a channel, or one an element of the map.
    """

    sign: Ints
    values: Singles

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.sign.shape != self.values.shape[:1]:
            raise ValueError(
                f"host levels: values must be (channels, levels) with one sign a channel, "
                f"not {self.values.shape} with signs {self.sign.shape}"
            )
        if self.values.dtype != np.float32 or np.isnan(self.values).any() or not _ascending(self.values):
            raise ValueError("host levels: values must be float32 and ascend in every channel")
        if not np.isin(self.sign, (-1, 1)).all():
            raise ValueError("host levels: every sign must be -1 or +1")


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Unsigned code u of channel i = number of j with sign[i] * acc >= values[i, j]; the emitted odd code is 2u - (2^M - 1).

    sign: (channels,) int64 of +-1. values: (channels, 2^M - 1) int64, ascending along j.
    """

    sign: Ints
    values: Ints

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.sign.shape != self.values.shape[:1]:
            raise ValueError(
                f"thresholds: values must be (channels, levels) with one sign a channel, "
                f"not {self.values.shape} with signs {self.sign.shape}"
            )
        if not _ascending(self.values):
            raise ValueError("thresholds: values must ascend in every channel")
        if not np.isin(self.sign, (-1, 1)).all():
            raise ValueError("thresholds: every sign must be -1 or +1")

    @property
    def bits(self) -> int:
        """M of the emitted codes."""
        return int(self.values.shape[1]).bit_length()


@dataclass(frozen=True, slots=True)
class Affine:
    """Real outputs of the last layer, computed on the host: value = scale * (acc + shift) + bias; its codes, if it emits any, as acc.

    scale, bias: (channels,) float64. shift: (channels,) int64, 0 unless planes were folded (`workloads.constant_planes`).
    """

    scale: Floats
    bias: Floats
    shift: Ints | None = None

    def __post_init__(self) -> None:
        if self.shift is None:
            object.__setattr__(self, "shift", np.zeros(self.scale.shape, np.int64))
        shapes = {array.shape for array in (self.scale, self.bias, self.shift) if array is not None}
        if self.scale.ndim != 1 or len(shapes) > 1:
            raise ValueError(f"affine: scale, bias and shift must be (channels,), not {sorted(shapes)}")
        if not (np.isfinite(self.scale).all() and np.isfinite(self.bias).all()):
            raise ValueError("affine: scale and bias must be finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What one layer carries besides its shape; every field that its kind of layer does not need is None.

    weights: (weight_bits, out_channels, words) uint64, plane 0 = least significant, bit i of word j = element 64*j + i
    of the reduction in (in_channel, kernel_h, kernel_w) order, bit 1 = +1, unused bits of the last word 0.
    acc_bits: declared accumulator width; the executor refuses a sum that does not fit.
    """

    acc_bits: int | None = None
    weights: Planes | None = None
    thresholds: Thresholds | None = None
    affine: Affine | None = None
    host: HostFunction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How the host puts in place what leaves the machine as sums of more than one layer, or before a move: no layer moves sums.

    Maps of `layers` are joined along the channels; then b x b pixels come out of b^2 channels as in `moves.Shuffle`; of
    that, a window of `size` (height, width) from `start` remains.
    """

    layers: tuple[str, ...]
    block: int
    start: Pair
    size: Pair

    def __post_init__(self) -> None:
        check_positive(
            "arrangement", layers=len(self.layers), block=self.block, height=self.size[0], width=self.size[1]
        )


@dataclass(frozen=True)
class EncodedNetwork:
    """A network whose every output bit is decided. Raises ValueError, naming the layer, where parameters and shapes differ.

    The outputs are those of the last layer, or of several as `arrangement` puts them together. `source` says
    where it came from (file name, hash, what its publisher claims): text for reports, never arithmetic.
    The host quantizes inputs by `input_levels`, or to the nearest of `input_codes` (`encoding.quantize`) where there are none.
    """

    network: Network
    input_codes: Codes
    parameters: Mapping[str, Parameters]
    source: Mapping[str, str] = field(default_factory=dict)
    arrangement: Arrangement | None = None
    input_levels: HostLevels | None = None

    @property
    def out_shape(self) -> Shape:
        """(channels, height, width) of the outputs."""
        if self.arrangement is None:
            return self.network.output.out_shape
        shapes = {layer.name: layer.out_shape for layer in self.network.layers}
        channels = sum(shapes[name][0] for name in self.arrangement.layers)
        return (channels // self.arrangement.block**2, *self.arrangement.size)

    def __post_init__(self) -> None:
        _check_input_levels(self)
        if self.network.more_inputs:
            raise ValueError(
                f"network {self.network.name!r}: must have one input to be encoded, not {len(self.network.inputs)}"
            )
        if self.input_codes.bits != self.network.input.bits:
            raise ValueError(
                f"network {self.network.name!r}: input codes must have {self.network.input.bits} bits, "
                f"not {self.input_codes.bits}"
            )
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        object.__setattr__(self, "source", MappingProxyType(dict(self.source)))
        unknown = sorted(set(self.parameters) - {layer.name for layer in self.network.layers})
        if unknown:
            raise ValueError(f"network {self.network.name!r}: parameters must belong to a layer, not to {unknown[0]!r}")
        if self.arrangement is not None:
            _check_arrangement(self.network, self.arrangement)
        for layer in self.network.layers:
            _check_parameters(layer, self.parameters.get(layer.name, Parameters()))


def _check_arrangement(network: Network, arrangement: Arrangement) -> None:
    where, shapes = f"network {network.name!r}", {layer.name: layer.out_shape for layer in network.layers}
    unknown = [name for name in arrangement.layers if name not in shapes]
    if unknown:
        raise ValueError(f"{where}: the output must be made of its layers, not of {unknown[0]!r}")
    maps = [shapes[name] for name in arrangement.layers]
    if len({shape[1:] for shape in maps}) > 1:
        raise ValueError(f"{where}: the layers of the output must have one height and width, not {maps}")
    block, channels = arrangement.block, sum(shape[0] for shape in maps)
    if channels % block**2:
        raise ValueError(f"{where}: block^2 = {block**2} must divide the {channels} channels of the output")
    ends = [first + size for first, size in zip(arrangement.start, arrangement.size, strict=True)]
    if min(arrangement.start) < 0 or ends[0] > maps[0][1] * block or ends[1] > maps[0][2] * block:
        raise ValueError(f"{where}: the window of the output must lie in {maps[0][1] * block} x {maps[0][2] * block}")


def _check_input_levels(network: EncodedNetwork) -> None:
    levels, shape = network.input_levels, network.network.input.shape
    wanted = [(rows, network.input_codes.highest) for rows in (1, shape[0], prod(shape))]
    if levels is not None and levels.values.shape not in wanted:
        raise ValueError(
            f"network {network.network.name!r}: host levels must have a shape of {wanted}, not {levels.values.shape}"
        )


def _ascending(values: npt.NDArray[Any]) -> bool:
    return bool((values[:, 1:] >= values[:, :-1]).all())


def weight_words(reduction: int) -> int:
    """64-bit words that one plane of a reduction takes in a file."""
    return -(-reduction // 64)


def _check_parameters(layer: Layer, parameters: Parameters) -> None:
    where, channels = f"layer {layer.name!r}", layer.out_shape[0]
    if parameters.host is not None:
        _check_host(layer, parameters.host)
    if isinstance(layer, Conv | Dense):
        wanted = (layer.weight_bits, layer.out_channels, weight_words(layer.reduction))
        shape = None if parameters.weights is None else parameters.weights.shape
        if shape != wanted:
            raise ValueError(f"{where}: weight planes must have shape {wanted}, not {shape}")
        _check_words(where, parameters.weights, layer.reduction)
    thresholds = parameters.thresholds
    if thresholds is not None and thresholds.values.shape != (channels, 2 ** (layer.out_bits or 0) - 1):
        raise ValueError(
            f"{where}: thresholds must have shape {(channels, 2 ** (layer.out_bits or 0) - 1)}, not {thresholds.values.shape}"
        )
    if thresholds is not None and not sums(layer):
        raise ValueError(f"{where}: hands its codes on, so thresholds must not be given")
    if thresholds is None and layer.out_bits is not None and sums(layer):
        raise ValueError(f"{where}: emits {layer.out_bits}-bit codes, so thresholds must be given")
    if parameters.affine is not None and parameters.affine.scale.shape != (channels,):
        raise ValueError(
            f"{where}: the affine output must have {channels} channels, not {parameters.affine.scale.shape[0]}"
        )


def _check_host(layer: Layer, function: HostFunction) -> None:
    where = f"layer {layer.name!r}"
    if not isinstance(layer, Host) or len(function.operands) != layer.operands:
        raise ValueError(f"{where}: only a host layer has a function, with its number of operands")
    sizes = [prod(own.view.factors) == prod(layer.in_shape) for own in function.operands]
    if not all(sizes) or prod(function.result.view.factors) != prod(layer.out_shape):
        raise ValueError(f"{where}: the function must read maps {layer.in_shape} and give one {layer.out_shape}")


def _check_words(where: str, weights: Planes | None, reduction: int) -> None:
    if weights is None:
        return
    if weights.dtype != np.uint64:
        raise ValueError(f"{where}: weight planes must be uint64, not {weights.dtype}")
    tail = reduction % 64
    if tail and (weights[..., -1] >> np.uint64(tail)).any():
        raise ValueError(f"{where}: the unused bits of the last weight word must be 0")
