"""What the engine's memory holds before it starts, and what it must hold when it has finished (docs/machine.md, section 2).

Memory is a list of units of min(port_bits, width) bits: descriptors, then every layer's weights and thresholds in the order in
which tiles ask for them, then the host's input maps, then the maps that layers leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels import mapping as tiling
from hwmodels.design import Design
from hwmodels.geometry import Geometry, geometry
from hwmodels.mapping import DESCRIPTOR_BITS, THRESHOLD_BITS, out_planes, row_words, walk_of, word_beats
from hwmodels.rtl.descriptor import Places, descriptor
from workloads.encoded import EncodedNetwork, Parameters
from workloads.encoding import Bits, Ints, host_codes, packed_windows, reduction_taps, unpack
from workloads.executor import Run, run
from workloads.layers import (
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Shuffle,
    Slice,
    Upsample,
    ceil_div,
    max_code,
)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of memory, in units."""

    base: int
    units: int


@dataclass(frozen=True, slots=True)
class Image:
    """Memory before the first cycle, and for each of N images the units of the input region and of the expected output."""

    unit_bits: int
    memory: list[int]
    inputs: list[list[int]]
    expected: list[list[int]]
    input_region: Region
    output_region: Region
    units: int
    """Units of memory that the engine may touch."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer that the machine runs, the name of the map that it leaves, and of those that it reads."""

    layer: Layer
    shape: Geometry
    mapping: tiling.Mapping
    sources: tuple[str, ...]


def image(
    encoded: EncodedNetwork, design: Design, mappings: Mapping[str, tiling.Mapping], inputs: npt.NDArray[np.floating]
) -> Image:
    """Memory for a network and real inputs (N, channels, height, width); `mappings` by layer name.

    Raises ValueError where a layer's counts do not fit its descriptor, or a layer reads a map that the engine does not lay out.
    """
    for layer in encoded.network.layers:
        _check_emitted(layer)
    steps = _steps(encoded, design, mappings)
    stride = ceil_div(DESCRIPTOR_BITS, design.port_bits) * row_words(design)
    parameters = [_parameters(step, encoded.parameters.get(step.layer.name, Parameters()), design) for step in steps]
    places, regions, input_region, end = _places(steps, design, stride * len(steps), [len(item) for item in parameters])
    memory: list[int] = []
    for step, place in zip(steps, places, strict=True):
        pad = step.layer.pad_code if isinstance(step.layer, Conv) and not _host_packs(step, design) else None
        bits = descriptor(step.shape, design, step.mapping, place, pad_code=pad, last=step is steps[-1])
        memory += _split(bits, stride, _unit_bits(design))
    for item in parameters:
        memory += item
    codes = host_codes(encoded, inputs)
    results = run(encoded, inputs, keep_integers=True)
    hosted = [step for step in steps if encoded.network.input.name in step.sources]
    last = steps[-1]
    return Image(
        unit_bits=_unit_bits(design),
        memory=memory,
        inputs=[[unit for step in hosted for unit in _host_map(step, code, design)] for code in codes],
        expected=[_output(last, results, number, design) for number in range(len(inputs))],
        input_region=input_region,
        output_region=regions[last.layer.name],
        units=end,
    )


def _check_emitted(layer: Layer) -> None:
    """Raise ValueError for what docs/machine.md prices and simulates, but the SystemVerilog does not have."""
    where = f"layer {layer.name!r}"
    if isinstance(layer, MatMul | Upsample | Concat | Shuffle | Slice | Host):
        kind = type(layer).__name__.lower()
        raise ValueError(f"{where}: the engine has convolutions, dense layers, pools and adds, but no {kind}")
    if isinstance(layer, Conv | Dense) and (layer.ternary or layer.weight_offset):
        raise ValueError(f"{where}: the engine has weights that are odd codes of offset 0, not ternary or offset ones")
    if isinstance(layer, Add) and layer.multipliers != (1, 1):
        raise ValueError(f"{where}: the engine adds maps of equal steps, not with multipliers {layer.multipliers}")


def _unit_bits(design: Design) -> int:
    return min(design.port_bits, design.width)


def _steps(encoded: EncodedNetwork, design: Design, mappings: Mapping[str, tiling.Mapping]) -> list[_Step]:
    """The layers that cost something; a flattened map is the map itself."""
    same = {encoded.network.input.name: encoded.network.input.name}
    steps = []
    for node in encoded.network.nodes:
        name = node.layer.name
        sources = tuple(same[source] for source in node.inputs)
        same[name] = sources[0] if isinstance(node.layer, Flatten) else name
        shape = geometry(node.layer, design.width)
        if shape is not None:
            steps.append(_Step(node.layer, shape, mappings[name], sources))
    return steps


def _places(
    steps: Sequence[_Step], design: Design, base: int, sizes: Sequence[int]
) -> tuple[list[Places], dict[str, Region], Region, int]:
    """Where everything lies, one after the other; a map read from the host lies once for each of its readers."""
    made = {step.layer.name for step in steps}
    weights = []
    for size in sizes:
        weights.append(base)
        base += size
    first, sources = base, []
    for step in steps:
        sources.append({name: base for name in step.sources if name not in made})
        base += len(sources[-1]) * _map_units(
            step.shape.in_size, step.shape.channels * step.shape.groups, step.shape.act_bits, design
        )
    hosted, regions = Region(first, base - first), {}
    for step in steps:
        units = _map_units(step.shape.out_size, step.shape.out_channels, out_planes(step.shape, design), design)
        regions[step.layer.name] = Region(base, units)
        base += units
    places = [
        Places(weight, tuple(own[name] if name in own else regions[name].base for name in step.sources), regions[step.layer.name].base)
        for step, weight, own in zip(steps, weights, sources, strict=True)
    ]  # fmt: skip
    return places, regions, hosted, base


def _map_units(size: tuple[int, int], channels: int, planes: int, design: Design) -> int:
    return size[0] * size[1] * ceil_div(channels, design.width) * planes * word_beats(design)


def _host_packs(step: _Step, design: Design) -> bool:
    return isinstance(step.layer, Conv | Dense) and packed_windows(step.layer, design.width)


# Words: rows of bits become integers, integers become units.


def _words(bits: Bits) -> list[int]:
    """(..., width) of 0/1, element i at bit i, to one integer a word, in C order."""
    flat = np.packbits(bits.reshape(-1, bits.shape[-1]), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in flat]


def _units(words: Iterable[int], design: Design) -> list[int]:
    return [unit for word in words for unit in _split(word, word_beats(design), _unit_bits(design))]


def _split(value: int, count: int, bits: int) -> list[int]:
    """`count` units of a value, lowest first."""
    return [value >> (bits * index) & ((1 << bits) - 1) for index in range(count)]


def _map_words(values: Ints, planes: int, width: int) -> list[int]:
    """Integers (channels, height, width) to plane words: pixel, channel word, plane; two's complement if negative."""
    channels = values.shape[0]
    pixels = values.reshape(channels, -1).T
    padded = np.zeros((len(pixels), ceil_div(channels, width) * width), np.int64)
    padded[:, :channels] = pixels
    grouped = padded.reshape(len(pixels), -1, 1, width)
    bits = (grouped >> np.arange(planes)[None, None, :, None]) & 1
    return _words(bits.astype(np.uint8))


def _host_map(step: _Step, codes: Bits, design: Design) -> list[int]:
    """One image (channels, height, width) of unsigned codes as the layer wants it: as it is, or its windows packed."""
    layer, shape = step.layer, step.shape
    values = codes.astype(np.int64)
    if _host_packs(step, design) and isinstance(layer, Conv):
        values = _windows(layer, values)
    elif isinstance(layer, Dense):
        values = values.reshape(shape.channels, *shape.in_size)
    return _units(_map_words(values, shape.act_bits, design.width), design)


def _windows(layer: Conv, values: Ints) -> Ints:
    """(N, out_height, out_width): the window of every position, in (channel, row, column) order."""
    top, left, bottom, right = layer.padding
    fill = 0 if layer.pad_code is None else (layer.pad_code + max_code(layer.act_bits)) // 2
    padded = np.pad(values, ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    spans = [(size - 1) * step + 1 for size, step in zip(layer.kernel, layer.dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    view = view[:, :: layer.stride[0], :: layer.stride[1], :: layer.dilation[0], :: layer.dilation[1]]
    return np.ascontiguousarray(view.transpose(0, 3, 4, 1, 2)).reshape(layer.reduction, *layer.out_shape[1:])


def _output(step: _Step, results: Run, number: int, design: Design) -> list[int]:
    """Units of the map that the last layer leaves for one image."""
    name, shape = step.layer.name, step.shape
    planes = out_planes(shape, design)
    if shape.out_bits is not None:
        values = (results.codes[name][number] + max_code(shape.out_bits)) // 2
    elif shape.vector:
        values = (results.integers[name][number] + _count(step) * max_code(shape.act_bits)) // 2
    else:
        values = results.integers[name][number] * (1 + walk_of(shape, design).expanded)
    return _units(_map_words(values.reshape(shape.out_channels, -1, 1), planes, design.width), design)


def _count(step: _Step) -> int:
    """Codes that a pool or an add sums."""
    return step.shape.taps


# Weights and thresholds, tile by tile.


def _parameters(step: _Step, parameters: Parameters, design: Design) -> list[int]:
    """The stream of one layer: for every channel tile its weights, then its thresholds."""
    shape, total = step.shape, walk_of(step.shape, design).channel_groups
    weights = None if shape.vector else _elements(step, parameters, design)
    levels = _levels(step, parameters, design) if shape.thresholds else None
    stream: list[int] = []
    for first in range(0, total, step.mapping.groups):
        groups = range(first, min(total, first + step.mapping.groups))
        if weights is not None:
            for group in groups:
                stream += _group_weights(step, weights, group, design)
        if levels is not None:
            rows = levels[first * design.rows : groups[-1] * design.rows + design.rows]
            for level in rows.ravel():
                stream += _split(int(level) & 0xFFFFFFFF, _threshold_units(design), _unit_bits(design))
    return stream


def _threshold_units(design: Design) -> int:
    return ceil_div(THRESHOLD_BITS, design.port_bits) * row_words(design)


def _elements(step: _Step, parameters: Parameters, design: Design) -> Bits:
    """(weight_bits, out_channels, taps, channels of a group) plane bits; a falling threshold is folded in: -c is c inverted."""
    layer = step.layer
    assert isinstance(layer, Conv | Dense)
    assert parameters.weights is not None
    bits = unpack(parameters.weights, layer.reduction)
    if parameters.thresholds is not None:
        bits = bits ^ (parameters.thresholds.sign < 0).astype(np.uint8)[None, :, None]
    if _host_packs(step, design):
        return bits[:, :, None, :]
    taps, channels = reduction_taps(layer)
    return bits.reshape(layer.weight_bits, layer.out_channels, channels, taps).swapaxes(2, 3)


def _group_weights(step: _Step, elements: Bits, group: int, design: Design) -> list[int]:
    """One channel group: pass, word of the window, lane, row; rows filled up to whole beats."""
    shape, walk = step.shape, walk_of(step.shape, design)
    first = group * design.rows
    own = elements[:, first : first + design.rows]
    planes, rows, taps, _ = own.shape
    filled = ceil_div(rows, row_words(design)) * row_words(design)
    repeats = 1 + walk.expanded
    bits = np.zeros((planes, filled, repeats, taps, walk.spanned * design.width), np.uint8)
    if walk.expanded:
        bits[:, :, 0] = 1
        outputs = shape.out_channels // shape.groups
        base = first // outputs * shape.channels // design.width * design.width
        for row in range(rows):
            start = (first + row) // outputs * shape.channels - base
            bits[:, row, :, :, start : start + shape.channels] = own[:, row, None]
    else:
        bits[:, :rows, 0, :, : shape.channels] = own
    by_word = bits.reshape(planes, filled, walk.words, design.width).transpose(0, 2, 1, 3)
    words: list[int] = []
    for plane in range(0, planes, design.weight_lanes):
        words += _words(by_word[plane : plane + design.weight_lanes].swapaxes(0, 1))
    return _units(words, design) if row_words(design) == 1 else words


def _levels(step: _Step, parameters: Parameters, design: Design) -> Ints:
    """(out_channels, 2^M' - 1) thresholds as the post units hold them: heap order, in the machine's own sums."""
    thresholds, shape = parameters.thresholds, step.shape
    assert thresholds is not None
    limit = 1 << (min(design.acc_bits, 31 if shape.vector else 32) - 1)
    if not shape.vector:
        values = np.clip(thresholds.values, -limit, limit - 1) * (1 + walk_of(shape, design).expanded)
        return np.asarray(_heap(np.clip(values, -limit, limit - 1)))
    falling = thresholds.sign < 0
    odd = np.clip(thresholds.values, -(1 << 40), 1 << 40)
    odd = np.where(falling[:, None], 1 - odd[:, ::-1], odd)
    sums = -((-(odd + _count(step) * max_code(shape.act_bits))) // 2)
    heap = _heap(np.clip(sums, -limit, limit - 1)) & 0x7FFFFFFF
    heap[:, 0] |= falling.astype(np.int64) << 31
    return heap


def _heap(ascending: Ints) -> Ints:
    """Ascending thresholds in the order of a binary search: the middle one, then both quarters, and so on."""
    levels = ascending.shape[1] + 1
    order: list[int] = []
    step = levels
    while step > 1:
        order += range(step // 2 - 1, levels - 1, step)
        step //= 2
    return np.asarray(ascending[:, np.array(order)])
