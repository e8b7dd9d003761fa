"""How a layer is tiled, which tilings a machine holds, and the sizes every timing model starts from.

docs/machine.md, sections 2 to 5, in plain integers. `groups` counts channel groups of R output channels, and `first`
is the first of them in a tile; only the last tile of a layer holds fewer channels than its groups have rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from hwmodels.design import Design
from hwmodels.geometry import Geometry, Reduction, axis, block_sides, reduction
from workloads.layers import Layer, ceil_div

DESCRIPTOR_BITS = 2048
"""One descriptor a layer, read through the port."""
SETUP_CYCLES = 2
"""From the last beat of the descriptor to the first request of the loader."""
FINISH_CYCLES = 1
"""From the acknowledgement of the last store to the next layer."""
THRESHOLD_BITS = 32
"""A threshold in memory."""
VECTOR_BITS = 24
"""Accumulator of one lane of the vector unit: 8-bit codes summed over up to 2^15 taps."""

WEIGHT, ACTIVATION = "weight", "activation"


class Misfit(ValueError):
    """A layer whose smallest tile does not fit a buffer. `reason` is short and countable, the message complete."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a layer is tiled: the order of the two loops, channel groups of R in a tile, and the block of a column."""

    dataflow: str
    groups: int
    block: tuple[int, int]


def mappings(shape: Geometry, design: Design) -> Iterator[Mapping]:
    """All legal mappings in the order that breaks ties: dataflow, then groups, then block rows, then block columns."""
    for dataflow in orders(shape, design.dataflow):
        for groups in tile_groups(shape, design):
            for height in block_sides(shape.out_size[0]):
                for width in block_sides(shape.out_size[1]):
                    if overfull(shape, design, groups, (height, width)) is None:
                        yield Mapping(dataflow, groups, (height, width))


def orders(shape: Geometry, dataflow: str) -> tuple[str, ...]:
    """The loop orders to try; a vector layer has no weights to keep, so it knows one only."""
    if shape.vector:
        return (WEIGHT,)
    return (WEIGHT, ACTIVATION) if dataflow == "best" else (dataflow,)


def tile_groups(shape: Geometry, design: Design) -> tuple[int, ...]:
    """Legal numbers of channel groups in a tile: max(R, W) / R times a power of two, and all."""
    total = walk_of(shape, design).channel_groups
    unit = max(design.rows, design.width) // design.rows
    sizes = []
    while unit < total:
        sizes.append(unit)
        unit *= 2
    return (*sizes, total)


def overfull(shape: Geometry, design: Design, groups: int, block: tuple[int, int]) -> str | None:
    """The first buffer whose half a tile does not fit, with what it needs and has; None if all fit."""
    walk = walk_of(shape, design)
    pixels = axis(shape, 0, block[0]).pixels * axis(shape, 1, block[1]).pixels
    per_word = max(1, design.width // design.rows)
    needs = {
        "weight": groups * walk.words * ceil_div(walk.weight_planes, design.weight_lanes),
        "threshold": groups if shape.thresholds else 0,
        "act": shape.operands
        * pixels
        * input_words(shape, design, groups)
        * ceil_div(shape.act_bits, design.act_lanes),
        "out": design.cols * prod(block) * ceil_div(groups, per_word) * per_word * raw_factor(shape, design),
    }
    for name, entries in needs.items():
        half = getattr(design, f"{name}_depth") // 2
        if entries > half:
            return f"{name}_depth / 2 must be at least {entries}, not {half}"
    return None


def check_fit(layer: Layer, shape: Geometry, design: Design) -> None:
    """Raise Misfit unless the machine is built for the layer's bits and padding, and the smallest tile fits."""
    where = f"layer {layer.name!r}"
    bits = {
        "max_act_bits": (max(shape.act_bits, shape.out_bits or 1), design.max_act_bits),
        "max_weight_bits": (shape.weight_bits, design.max_weight_bits),
        "acc_bits": (sum_bits(shape, design), design.acc_bits),
    }
    for name, (needed, built) in bits.items():
        if needed > built:
            raise Misfit(name, f"{where}: {name} must be at least {needed}, not {built}")
    if shape.vector and shape.acc_bits > VECTOR_BITS:
        raise Misfit("acc_bits", f"{where}: sums of a pool must have at most {VECTOR_BITS} bits, not {shape.acc_bits}")
    if overpadded(shape):
        raise Misfit("padding", f"{where}: padding must be smaller than the window on every side")
    problem = overfull(shape, design, tile_groups(shape, design)[0], (1, 1))
    if problem is not None:
        raise Misfit(problem.split(" ", 1)[0], f"{where}: {problem}")


def overpadded(shape: Geometry) -> bool:
    """Whether some window lies in the padding altogether, so that a block might have nothing to load."""
    for index in (0, 1):
        window = (shape.kernel[index] - 1) * shape.dilation[index] + 1
        last = (shape.out_size[index] - 1) * shape.stride[index] - shape.before[index]
        if shape.before[index] >= window or last >= shape.in_size[index]:
            return True
    return False


def walk_of(shape: Geometry, design: Design) -> Reduction:
    """How a dot product of the layer is walked on this design."""
    return reduction(shape, rows=design.rows, width=design.width)


def sum_bits(shape: Geometry, design: Design) -> int:
    """Bits of a sum as the accumulator holds it: a walk over two opposite planes doubles it."""
    return shape.acc_bits + walk_of(shape, design).expanded


def out_planes(shape: Geometry, design: Design) -> int:
    """M': planes of what a layer emits, codes or the two's complement of its sums."""
    return emitted_planes(shape, walk_of(shape, design))


def emitted_planes(shape: Geometry, walk: Reduction) -> int:
    """M' of a layer that is walked so: nothing else of the machine matters to the map that it leaves in memory."""
    return shape.acc_bits + walk.expanded if shape.out_bits is None else shape.out_bits


def raw_factor(shape: Geometry, design: Design) -> int:
    """Output entries and drain cycles per value: one for codes, A bits of a raw sum at a time."""
    return 1 if shape.out_bits is not None else ceil_div(out_planes(shape, design), design.max_act_bits)


def step_cycles(shape: Geometry, design: Design) -> int:
    """F: cycles of one dot product, or of one channel word of one position in the vector unit."""
    walk, passes = walk_of(shape, design), ceil_div(shape.act_bits, design.act_lanes)
    return (
        shape.taps * passes if shape.vector else walk.words * passes * ceil_div(walk.weight_planes, design.weight_lanes)
    )


def drain_cycles(shape: Geometry, design: Design) -> int:
    """D: cycles for the results of a step to leave."""
    if not shape.vector:
        return design.cols * raw_factor(shape, design)
    return ceil_div(design.width, design.rows) * raw_factor(shape, design) if shape.sums else 1


def pipeline_cycles(shape: Geometry, design: Design) -> int:
    """PIPELINE: from the last read of a step to its last result, the drain not counted (section 5)."""
    if not shape.vector:
        return design.max_act_bits + design.pe_cycles + 2
    return design.max_act_bits + 3 if shape.sums else 2


def tile_channels(shape: Geometry, design: Design, groups: int, first: int = 0) -> int:
    """Output channels of a tile of `groups` channel groups that starts at channel group `first`."""
    return min(groups * design.rows, shape.out_channels - first * design.rows)


def input_words(shape: Geometry, design: Design, groups: int, first: int = 0) -> int:
    """Channel words of a pixel in an activation tile: all of them, or those of the tile's channels in a vector layer."""
    if shape.vector:
        return output_words(shape, design, groups, first)
    return ceil_div(shape.channels * shape.groups, design.width)


def output_words(shape: Geometry, design: Design, groups: int, first: int = 0) -> int:
    """Channel words of an output pixel of a tile."""
    return ceil_div(tile_channels(shape, design, groups, first), design.width)


def fetch_cycles(design: Design) -> int:
    """Cycles until a layer's descriptor has arrived."""
    return design.port_latency + run_cycles(ceil_div(DESCRIPTOR_BITS, design.port_bits), design.port_burst)


def run_cycles(beats: int, burst: int) -> int:
    """Port cycles of a run: its beats, and one request a burst."""
    return beats + ceil_div(beats, burst)


def word_beats(design: Design) -> int:
    """b_w: beats of one word; a wider port carries one word of a map a beat."""
    return max(1, design.width // design.port_bits)


def row_words(design: Design) -> int:
    """k: words of different rows' weights that one beat carries."""
    return max(1, design.port_bits // design.width)


def threshold_beats(design: Design) -> int:
    """b_t: beats of one threshold."""
    return ceil_div(THRESHOLD_BITS, design.port_bits)
