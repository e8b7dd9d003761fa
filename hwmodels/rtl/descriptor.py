"""What the engine is told about one layer: every count, stride and address, made by the host so that the engine needs no multiplier.

The same table makes the SystemVerilog struct (`hwmodels.rtl.package`) and packs the bits that memory holds.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass
from math import prod

from hwmodels.design import Design
from hwmodels.geometry import Axis, Geometry, axis
from hwmodels.mapping import (
    ACTIVATION,
    DESCRIPTOR_BITS,
    Mapping,
    drain_cycles,
    input_words,
    out_planes,
    output_words,
    raw_factor,
    row_words,
    walk_of,
    word_beats,
)
from workloads.layers import ceil_div

FLAGS = ("vector", "maximum", "raw", "by_activation", "pad_coded", "thresholds", "last_layer", "split", "out_split")
COUNTS = (
    "drain", "words", "taps_x", "taps_y", "inc_word", "inc_tap_x", "inc_tap_y", "inc_repeat", "inc_x", "inc_y",
    "inc_channel_word", "stride_x", "stride_y", "dilation_x", "dilation_y", "map_h", "map_w", "tail", "block_w", "block_h",
    "groups_full", "groups_last", "group_outputs", "group_rem", "group_inc0", "group_words0", "group_inc1", "group_words1",
    "pass_words", "pass_top", "group_entries", "channel_tiles", "space_tiles", "columns_full", "columns_last",
    "block_columns", "rows_last", "chunks_last", "threshold_groups_full", "threshold_groups_last", "tile_words_full",
    "tile_words_last", "out_h", "out_w", "out_words_full", "out_words_last", "out_tail", "out_inc_pos", "out_inc_column",
    "out_inc_row",
)  # fmt: skip
ADDRESSES = (
    "weight_base", "act_base0", "act_base1", "act_tile_step", "out_base", "out_row", "out_pixel", "out_block_row",
    "out_block_column", "out_tile_step",
)  # fmt: skip
AXIS_FIELDS: Table[str, int] = {
    "origin": 16, "origin_m": 32, "origin_e": 16, "block": 16, "block_m": 32, "block_e": 16, "windows": 16, "span": 16,
    "step": 16, "step_m": 32, "step_e": 16, "step_base": 16, "unit_m": 32, "unit_e": 16, "size": 16,
}  # fmt: skip
FIELDS: Table[str, int] = {
    **dict.fromkeys(FLAGS, 1),
    "act_planes": 4, "out_planes": 6, "pad_bits": 8, "act_passes": 4, "weight_passes": 4, "lanes_last_a": 4,
    "lanes_last_w": 4, "raw_factor": 6, "repeats": 2, "operands": 2,
    **dict.fromkeys(COUNTS, 16),
    **dict.fromkeys(ADDRESSES, 32),
}  # fmt: skip
"""Name and bits of every field, lowest bits first; the two axes follow, y before x."""

NOT_GROUPED = 2**16 - 1
"""Outputs of a group that no counter reaches."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a layer's data lie, in memory units of min(port_bits, width) bits: parameters, both operands, output."""

    weights: int
    inputs: tuple[int, ...]
    output: int


def descriptor(
    shape: Geometry,
    design: Design,
    mapping: Mapping,
    places: Places,
    *,
    pad_code: int | None = None,
    last: bool = False,
) -> int:
    """The descriptor of a layer as one integer of DESCRIPTOR_BITS bits. Raises ValueError where a count needs more than 16 bits."""
    rows, cols = axis(shape, 0, mapping.block[0]), axis(shape, 1, mapping.block[1])
    unit_x, unit_y = _entry_units(shape, design, mapping, cols)
    pixel = _map_words(shape, design) * shape.act_bits * word_beats(design)
    values = {
        **_flags(shape, design, mapping, pad_code, last),
        **_passes(shape, design, pad_code),
        **_counters(shape, design, mapping, rows, cols, unit_x, unit_y),
        **_groups(shape, design),
        **_tiles(shape, design, mapping, rows, cols),
        **_output(shape, design, mapping),
        "weight_base": places.weights, "act_base0": places.inputs[0], "act_base1": places.inputs[-1],
        "out_base": places.output,
    }  # fmt: skip
    packed, place = _pack(values, FIELDS)
    for walk, side, stride, unit_m, unit_e, size in (
        (rows, mapping.block[0], shape.stride[0], pixel * shape.in_size[1], unit_y, shape.in_size[0]),
        (cols, mapping.block[1], shape.stride[1], pixel, unit_x, shape.in_size[1]),
    ):
        bits, width = _pack(_axis(walk, side * stride, unit_m, unit_e, size), AXIS_FIELDS)
        packed |= bits << place
        place += width
    assert place <= DESCRIPTOR_BITS
    return packed


def _pack(values: Table[str, int], fields: Table[str, int]) -> tuple[int, int]:
    """All fields in one integer, lowest first, and how many bits that takes. Negative values are two's complement."""
    if values.keys() != fields.keys():
        raise KeyError(f"descriptor: {sorted(values.keys() ^ fields.keys())}")
    packed = place = 0
    for name, bits in fields.items():
        value = values[name]
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise ValueError(f"descriptor: {name} must fit {bits} bits, not {value}")
        packed |= (value & ((1 << bits) - 1)) << place
        place += bits
    return packed, place


def _flags(shape: Geometry, design: Design, mapping: Mapping, pad_code: int | None, last: bool) -> dict[str, int]:
    total = walk_of(shape, design).channel_groups
    several = mapping.groups < total
    return {
        "vector": int(shape.vector),
        "maximum": int(shape.vector and not shape.sums),
        "raw": int(shape.out_bits is None),
        "by_activation": int(mapping.dataflow == ACTIVATION),
        "pad_coded": int(pad_code is not None),
        "thresholds": int(shape.thresholds),
        "last_layer": int(last),
        "split": int(shape.vector and several),
        "out_split": int(several),
    }


def _passes(shape: Geometry, design: Design, pad_code: int | None) -> dict[str, int]:
    walk = walk_of(shape, design)
    act_passes = ceil_div(shape.act_bits, design.act_lanes)
    weight_passes = max(1, ceil_div(walk.weight_planes, design.weight_lanes))
    repeats = shape.operands if shape.vector else 1 + walk.expanded
    return {
        "act_planes": shape.act_bits,
        "out_planes": out_planes(shape, design),
        "pad_bits": 0 if pad_code is None else (pad_code + 2**shape.act_bits - 1) // 2,
        "act_passes": act_passes,
        "weight_passes": weight_passes,
        "lanes_last_a": shape.act_bits - (act_passes - 1) * design.act_lanes,
        "lanes_last_w": walk.weight_planes - (weight_passes - 1) * design.weight_lanes if not shape.vector else 0,
        "raw_factor": raw_factor(shape, design),
        "repeats": repeats,
        "operands": shape.operands,
    }


def _entry_units(shape: Geometry, design: Design, mapping: Mapping, cols: Axis) -> tuple[int, int]:
    """Bank entries from one pixel of a patch to the next, and from one row to the next."""
    unit_x = input_words(shape, design, mapping.groups) * ceil_div(shape.act_bits, design.act_lanes)
    return unit_x, cols.pixels * unit_x


def _map_words(shape: Geometry, design: Design) -> int:
    return ceil_div(shape.channels * shape.groups, design.width)


def _counters(
    shape: Geometry, design: Design, mapping: Mapping, rows: Axis, cols: Axis, unit_x: int, unit_y: int
) -> dict[str, int]:
    walk, passes = walk_of(shape, design), ceil_div(shape.act_bits, design.act_lanes)
    last_word = shape.channels - (walk.spanned - 1) * design.width
    weight_passes = ceil_div(walk.weight_planes, design.weight_lanes)
    return {
        "drain": drain_cycles(shape, design),
        "words": passes if shape.vector else walk.spanned,
        "taps_x": shape.kernel[1],
        "taps_y": shape.kernel[0],
        "inc_word": 1 if shape.vector else passes,
        "inc_tap_x": shape.dilation[1] * unit_x,
        "inc_tap_y": shape.dilation[0] * unit_y,
        "inc_repeat": rows.pixels * unit_y if shape.vector else 0,
        "inc_x": (shape.stride[1] if cols.windows == 1 else cols.span) * unit_x,
        "inc_y": (shape.stride[0] if rows.windows == 1 else rows.span) * unit_y,
        "inc_channel_word": passes,
        "stride_x": shape.stride[1],
        "stride_y": shape.stride[0],
        "dilation_x": shape.dilation[1],
        "dilation_y": shape.dilation[0],
        "map_h": shape.in_size[0],
        "map_w": shape.in_size[1],
        "tail": design.width if walk.expanded else last_word,
        "block_w": mapping.block[1],
        "block_h": mapping.block[0],
        "pass_words": walk.words,
        "pass_top": max(0, weight_passes - 1) * walk.words,
        "group_entries": weight_passes * walk.words,
    }


def _groups(shape: Geometry, design: Design) -> dict[str, int]:
    """How the first channel word moves from one channel group (vector layers: word) to the next."""
    passes = ceil_div(shape.act_bits, design.act_lanes)
    outputs, steps = NOT_GROUPED, (0, 0)
    if shape.groups > 1:
        outputs = shape.out_channels // shape.groups
        steps = (design.rows // outputs * shape.channels, (design.rows // outputs + 1) * shape.channels)
    inc = [step // design.width * passes for step in steps]
    return {
        "group_outputs": outputs,
        "group_rem": design.rows % outputs if shape.groups > 1 else 0,
        "group_inc0": passes if shape.vector else inc[0],
        "group_words0": steps[0] % design.width,
        "group_inc1": inc[1],
        "group_words1": steps[1] % design.width,
    }


def _tiles(shape: Geometry, design: Design, mapping: Mapping, rows: Axis, cols: Axis) -> dict[str, int]:
    total = walk_of(shape, design).channel_groups
    tiles = ceil_div(total, mapping.groups)
    last = total - (tiles - 1) * mapping.groups
    blocks = rows.blocks * cols.blocks
    space = ceil_div(blocks, design.cols)
    rows_last = shape.out_channels - (total - 1) * design.rows
    words, words_last = output_words(shape, design, mapping.groups), _last_words(shape, design, mapping)
    inputs = (words, words_last) if shape.vector else (_map_words(shape, design),) * 2
    wpu = word_beats(design)
    return {
        "groups_full": words if shape.vector else mapping.groups,
        "groups_last": words_last if shape.vector else last,
        "threshold_groups_full": mapping.groups,
        "threshold_groups_last": last,
        "channel_tiles": tiles,
        "space_tiles": space,
        "columns_full": design.cols,
        "columns_last": blocks - (space - 1) * design.cols,
        "block_columns": cols.blocks,
        "rows_last": rows_last,
        "chunks_last": ceil_div(rows_last, row_words(design)),
        "tile_words_full": inputs[0],
        "tile_words_last": inputs[1],
        "act_tile_step": words * shape.act_bits * wpu if shape.vector else 0,
    }


def _last_words(shape: Geometry, design: Design, mapping: Mapping) -> int:
    """Channel words of the last channel tile: those that the tiles before it leave."""
    tiles = ceil_div(walk_of(shape, design).channel_groups, mapping.groups)
    return ceil_div(shape.out_channels, design.width) - (tiles - 1) * output_words(shape, design, mapping.groups)


def _output(shape: Geometry, design: Design, mapping: Mapping) -> dict[str, int]:
    words, parts = output_words(shape, design, mapping.groups), raw_factor(shape, design)
    all_words = ceil_div(shape.out_channels, design.width)
    pixel = all_words * out_planes(shape, design) * word_beats(design)
    entries = ceil_div(mapping.groups * design.rows, max(design.rows, design.width)) * parts
    return {
        "out_h": shape.out_size[0],
        "out_w": shape.out_size[1],
        "out_words_full": words,
        "out_words_last": _last_words(shape, design, mapping),
        "out_tail": shape.out_channels - (all_words - 1) * design.width,
        "out_inc_pos": entries,
        "out_inc_column": entries * prod(mapping.block),
        "out_inc_row": entries * mapping.block[1],
        "out_pixel": pixel,
        "out_row": pixel * shape.out_size[1],
        "out_block_column": pixel * mapping.block[1],
        "out_block_row": pixel * shape.out_size[1] * mapping.block[0],
        "out_tile_step": words * out_planes(shape, design) * word_beats(design),
    }


def _axis(walk: Axis, block: int, unit_m: int, unit_e: int, size: int) -> dict[str, int]:
    """Coordinates, memory units and bank entries along one axis; entries run against coordinates, to enter at a pad's end."""
    origin = walk.origins[0]
    return {
        "origin": origin, "origin_m": origin * unit_m, "origin_e": -origin * unit_e,
        "block": block, "block_m": block * unit_m, "block_e": _wrapped(-block * unit_e),
        "windows": walk.windows, "span": walk.span,
        "step": walk.step, "step_m": walk.step * unit_m, "step_e": _wrapped(-walk.step * unit_e),
        "step_base": walk.span * unit_e if walk.windows > 1 else 0,
        "unit_m": unit_m, "unit_e": unit_e, "size": size,
    }  # fmt: skip


def _wrapped(entries: int) -> int:
    """Modulo 2^16: far from the map's border nobody reads it."""
    return entries % 2**16
