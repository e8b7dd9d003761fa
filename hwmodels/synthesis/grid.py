"""Which points are synthesized: a grid over the knobs that an area depends on, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Literal

from hwmodels.design import Design
from hwmodels.synthesis.blocks import Point

Stages = Sequence[int]

# width, lanes_a, lanes_w, max_act_bits, max_weight_bits, weight_depth (which gives the accumulator's width). Every width at least
# twice, one behind the other: a fit that sees two thirds of the points has seen each width. The fewer the bits, the more the lanes
# and the shifts of the accumulator tell, so that the narrow ones have most of them.
_PES = (
    (8, 1, 1, 1, 1, 64), (8, 1, 1, 8, 8, 512), (8, 2, 2, 2, 2, 256), (8, 1, 2, 4, 4, 256), (8, 2, 1, 8, 8, 512), (8, 4, 4, 8, 8, 512),
    (12, 1, 1, 2, 2, 256), (12, 2, 2, 4, 4, 512),
    (16, 1, 1, 2, 2, 128), (16, 1, 1, 8, 8, 1024), (16, 1, 2, 4, 4, 512), (16, 2, 2, 8, 8, 1024), (16, 4, 4, 4, 4, 1024),
    (16, 8, 1, 8, 8, 512), (16, 8, 8, 8, 8, 512), (16, 2, 1, 2, 2, 256), (16, 1, 4, 8, 8, 512), (16, 4, 2, 4, 4, 512), (16, 3, 3, 6, 6, 512),
    (20, 1, 1, 4, 4, 512), (20, 1, 2, 2, 2, 256),
    (24, 1, 1, 2, 2, 256), (24, 1, 3, 3, 3, 512), (24, 2, 2, 8, 8, 512),
    (32, 1, 1, 4, 4, 1024), (32, 1, 1, 8, 8, 256), (32, 1, 3, 3, 3, 512), (32, 2, 2, 4, 4, 512), (32, 4, 2, 8, 8, 1024),
    (32, 1, 2, 4, 4, 512), (32, 1, 4, 4, 4, 512), (32, 2, 1, 2, 2, 256), (32, 1, 8, 8, 8, 1024),
    (40, 1, 1, 2, 2, 512), (40, 2, 1, 4, 4, 512),
    (48, 1, 1, 1, 1, 512), (48, 2, 2, 4, 4, 512), (48, 1, 1, 4, 4, 512),
    (56, 1, 1, 4, 4, 256), (56, 1, 2, 4, 4, 1024),
    (64, 1, 1, 2, 2, 256), (64, 1, 1, 8, 8, 1024), (64, 2, 2, 2, 2, 1024), (64, 1, 4, 4, 4, 512), (64, 2, 1, 4, 4, 256),
    (80, 1, 1, 2, 2, 512), (80, 1, 2, 2, 2, 512),
    (96, 1, 1, 2, 2, 256), (96, 1, 1, 8, 8, 1024), (96, 2, 2, 4, 4, 512),
    (112, 1, 1, 4, 4, 512), (112, 1, 1, 8, 8, 512),
    (128, 1, 1, 4, 4, 512), (128, 2, 2, 2, 2, 512), (128, 1, 2, 2, 2, 512),
    (192, 1, 1, 2, 2, 512), (192, 1, 1, 4, 4, 1024),
    (256, 1, 1, 2, 2, 1024), (256, 1, 1, 4, 4, 512),
)  # fmt: skip
# width, max_act_bits, max_weight_bits.
_MACS = (
    (8, 1, 1), (16, 1, 1), (8, 1, 2), (16, 1, 2), (8, 2, 2), (32, 2, 2), (8, 1, 4), (16, 1, 4), (8, 2, 4), (16, 2, 4),
    (8, 3, 3), (16, 3, 3), (8, 4, 4), (16, 4, 4), (4, 8, 4), (8, 8, 4), (4, 6, 6), (8, 6, 6), (4, 8, 8), (8, 8, 8),
    (32, 1, 1), (32, 1, 2), (32, 4, 4),
)  # fmt: skip
# Every other pair of code widths twice, for the same reason as widths: once with the wider code on either side.
_PAIRS = tuple(
    pair
    for wide in range(1, 9)
    for narrow in range(1, wide + 1)
    if not any({wide, narrow} == set(codes) for _, *codes in _MACS)
    for pair in ((8, wide, narrow), (4, narrow, wide))
)
# The same, and the stages of counts, sum and accumulator.
_DEEP_PES = (
    ((32, 1, 1, 4, 4, 1024), (2, 1, 1)), ((32, 1, 1, 4, 4, 1024), (1, 2, 1)), ((32, 1, 1, 4, 4, 1024), (1, 1, 2)),
    ((64, 1, 1, 2, 2, 256), (2, 1, 2)), ((128, 1, 1, 4, 4, 512), (2, 1, 1)), ((256, 1, 1, 2, 2, 1024), (2, 1, 2)),
    ((16, 1, 1, 8, 8, 1024), (2, 1, 2)), ((96, 1, 1, 8, 8, 1024), (1, 1, 2)), ((8, 2, 2, 2, 2, 256), (1, 2, 2)),
    ((32, 2, 2, 4, 4, 512), (2, 2, 1)), ((64, 2, 2, 2, 2, 1024), (2, 2, 2)), ((16, 4, 4, 4, 4, 1024), (1, 2, 1)),
    ((16, 4, 4, 4, 4, 1024), (2, 2, 2)), ((16, 3, 3, 6, 6, 512), (2, 2, 2)), ((32, 4, 2, 8, 8, 1024), (1, 2, 2)),
    ((16, 1, 1, 2, 2, 128), (2, 1, 2)),
    ((16, 4, 4, 4, 4, 1024), (2, 1, 2)), ((32, 2, 2, 4, 4, 512), (2, 1, 2)), ((32, 1, 8, 8, 8, 1024), (2, 1, 2)),
    ((16, 3, 3, 6, 6, 512), (1, 1, 2)),
)  # fmt: skip
_DEEP_MACS = (
    ((8, 4, 4), (2, 1, 1)), ((8, 4, 4), (1, 2, 1)), ((16, 2, 2), (1, 2, 2)), ((32, 2, 2), (2, 2, 1)), ((8, 8, 8), (2, 2, 2)),
    ((16, 4, 4), (2, 2, 2)), ((16, 1, 1), (1, 2, 1)), ((16, 8, 4), (2, 1, 2)), ((8, 2, 2), (1, 2, 2)), ((8, 8, 4), (2, 2, 2)),
    ((8, 4, 4), (1, 2, 2)), ((16, 3, 3), (1, 2, 2)), ((16, 2, 2), (2, 1, 1)), ((8, 1, 1), (2, 1, 1)),
    ((16, 1, 1), (2, 2, 2)), ((8, 1, 4), (2, 1, 2)), ((8, 2, 4), (2, 2, 2)), ((8, 3, 3), (2, 1, 1)), ((4, 6, 6), (2, 1, 2)),
    ((8, 8, 2), (2, 1, 1)), ((16, 1, 2), (1, 2, 2)), ((8, 1, 4), (1, 2, 1)), ((8, 6, 3), (1, 2, 2)),
)  # fmt: skip
# max_act_bits, weight_depth, threshold_depth
_POSTS = (
    (1, 256, 16), (2, 1024, 32), (3, 256, 64), (4, 1024, 16), (6, 512, 32), (8, 1024, 32), (1, 1024, 64), (2, 256, 16), (5, 512, 16),
    (7, 256, 32),
)  # fmt: skip
# rows, cols, width, lanes_a, lanes_w, max bits, weight_depth, port_bits, and stages where there are more than three. Rows below,
# at and above the width, ports too; every number of bits, 1 to 16 columns.
_SHAPES = (
    (4, 2, 16, 1, 1, 2, 256, 16), (8, 4, 16, 1, 1, 4, 1024, 32), (16, 2, 16, 2, 2, 2, 256, 64, 2, 2, 2),
    (4, 8, 32, 1, 2, 2, 512, 32), (16, 8, 32, 1, 1, 1, 1024, 64), (8, 2, 32, 2, 4, 8, 1024, 16),
    (8, 8, 64, 2, 1, 4, 1024, 64, 2, 1, 1), (8, 1, 8, 1, 1, 3, 256, 8), (32, 2, 16, 1, 1, 8, 512, 32), (8, 3, 32, 2, 1, 6, 256, 128),
    (32, 4, 8, 1, 1, 4, 1024, 16), (2, 2, 32, 1, 1, 4, 256, 8), (16, 16, 16, 1, 2, 2, 512, 16), (64, 2, 32, 1, 1, 2, 256, 64),
    (4, 4, 48, 3, 3, 3, 512, 48), (24, 4, 24, 1, 1, 1, 1024, 24),
)  # fmt: skip
# Which of the shapes each unit and the frame is synthesized for; `columns` knows nothing but their number.
_UNITS: Mapping[str, Sequence[int]] = {
    "vector_unit": range(16),
    "writer": range(12),
    "sequencer": range(12),
    "loader": range(6),
    "columns": (0, 1, 3, 7, 12),
    "controller": range(4),
    "drain": (0, 1, 2, 3, 7, 8),
    "grid": range(16),
}
_FRAMES = (0, 1, 2, 3, 4, 7, 9)
# More grids of PEs with second stages: what waits for them is registers of another kind.
_DEEP_GRIDS = ((4, 4, 32, 2, 2, 2, 256, 32, 2, 1, 2), (8, 4, 16, 1, 1, 4, 1024, 32, 1, 2, 2))
_ENGINES = (
    (2, 2, 16, 1, 1, 1, 128, 16), (4, 4, 16, 1, 1, 2, 256, 32), (4, 4, 32, 2, 2, 2, 256, 32, 2, 1, 2), (4, 4, 64, 1, 1, 2, 1024, 64),
    (8, 4, 16, 2, 1, 3, 256, 16), (16, 2, 32, 1, 1, 2, 512, 32),
)  # fmt: skip
_MAC_ENGINES = (
    (4, 2, 16, 2, 2, 2, 256, 32),
    (4, 4, 8, 1, 1, 4, 256, 16),
    (8, 2, 16, 1, 1, 1, 256, 32),
    (8, 2, 8, 1, 1, 3, 256, 16),
)
# width, lanes, depth
_BANKS = (
    (16, 1, 64), (32, 1, 128), (32, 2, 256), (64, 1, 512), (64, 2, 1024), (32, 1, 2048), (8, 1, 512), (16, 1, 32),
)  # fmt: skip

# The engine with its memories, to see what clock of all of it place and route find.
_WHOLES = ((2, 2, 16, 1, 1, 1, 128, 16),)
_MAC_WHOLES = ((2, 2, 16, 2, 2, 2, 256, 16),)

FPGA_ONLY = ("bank", "whole")
"""Blocks that an ASIC does not synthesize: its memories are macros."""
_ROUTED = (0, 1, 3, 6, 7, 8, 12)
"""Which of the shapes of units."""
ROUTED_ONLY = ("whole",)
"""Blocks that are there for the sake of their clock alone."""


def _pe(width: int, lanes_a: int, lanes_w: int, act: int, weight: int, depth: int, stages: Stages = (1, 1, 1)) -> Point:
    design = replace(_alone(width, depth), lanes_a=lanes_a, lanes_w=lanes_w, max_act_bits=act, max_weight_bits=weight)
    return Point("pe", _deep(design, stages))


def _mac(width: int, act: int, weight: int, stages: Stages = (1, 1, 1)) -> Point:
    design = replace(_alone(width, 512), kind="mac", max_act_bits=act, max_weight_bits=weight)
    return Point("pe_mac", _deep(design, stages))


def _deep(design: Design, stages: Stages) -> Design:
    counts, sums, accumulators = stages
    return replace(design, count_stages=counts, sum_stages=sums, acc_stages=accumulators)


def _alone(width: int, depth: int) -> Design:
    """A design for the sake of one of its units: rows and port follow the width, so that they are legal."""
    return Design(rows=width, width=width, port_bits=width, weight_depth=depth)


def _whole(block: str, knobs: tuple[int, ...], kind: Literal["array", "mac"] = "array") -> Point:
    rows, cols, width, lanes_a, lanes_w, bits, depth, port, *stages = knobs
    design = Design(
        kind=kind,
        rows=rows,
        cols=cols,
        width=width,
        lanes_a=lanes_a,
        lanes_w=lanes_w,
        max_act_bits=bits,
        max_weight_bits=bits,
        weight_depth=depth,
        port_bits=port,
    )
    return Point(block, _deep(design, stages or (1, 1, 1)))


def _full() -> Iterator[Point]:
    yield from (_pe(*knobs) for knobs in _PES)
    yield from (_mac(*knobs) for knobs in (*_MACS, *_PAIRS))
    yield from (_pe(*knobs, stages) for knobs, stages in _DEEP_PES)
    yield from (_mac(*knobs, stages) for knobs, stages in _DEEP_MACS)
    for bits, depth, thresholds in _POSTS:
        yield Point("post_unit", Design(max_act_bits=bits, weight_depth=depth, threshold_depth=thresholds))
    for block, shapes in _UNITS.items():
        yield from (_whole(block, _SHAPES[shape]) for shape in shapes)
    yield from (_whole("grid", knobs) for knobs in _DEEP_GRIDS)
    for width, lanes, depth in _BANKS:
        yield Point("bank", replace(_alone(width, depth), lanes_w=lanes))
    yield from (_whole("frame", _SHAPES[shape]) for shape in _FRAMES)
    yield from (_whole("engine", knobs) for knobs in _ENGINES)
    yield from (_whole("engine", knobs, "mac") for knobs in _MAC_ENGINES)
    yield from (_whole("whole", knobs) for knobs in _WHOLES)
    yield from (_whole("whole", knobs, "mac") for knobs in _MAC_WHOLES)


def _routed() -> Iterator[Point]:
    """Of every kind of unit some, two-stage PEs above all, because these tell of the parts that others hide; banks, whole engines."""
    yield from (_pe(*knobs) for knobs in _PES[::2])
    yield from (_mac(*knobs) for knobs in _MACS[::2])
    yield from (_pe(*knobs, stages) for knobs, stages in _DEEP_PES)
    yield from (_mac(*knobs, stages) for knobs, stages in _DEEP_MACS[::2])
    for block in ("vector_unit", "writer", "sequencer", "loader", "columns", "controller", "drain"):
        yield from (_whole(block, _SHAPES[shape]) for shape in _UNITS[block] if shape in _ROUTED)
    yield from (point for point in _full() if point.block in ("bank", *ROUTED_ONLY))


@cache
def routed_points() -> frozenset[Point]:
    """Points that are also placed and routed, for their clock, where that can be done: it takes ten times as long as synthesis."""
    return frozenset(_routed())


def _small() -> Iterator[Point]:
    """Every block at least once, the small sizes: enough to try a target, too few to fit it."""
    first: dict[str, int] = {}
    for point in _full():
        first[point.block] = first.get(point.block, 0) + 1
        if first[point.block] <= SMALL.get(point.block, 1):
            yield point


SMALL: Mapping[str, int] = {"pe": 4, "pe_mac": 2, "post_unit": 2, "bank": 2}

WIDTHS = range(24, 48)


def _widths() -> Iterator[Point]:
    """PEs of neighbouring widths and nothing else that differs: none may cost out of line with the next."""
    yield from (_pe(width, 1, 1, 4, 4, 512) for width in WIDTHS)


PLANS = {"full": _full, "small": _small, "widths": _widths}
"""How many points a run takes, by its name."""


def plan(name: str, kind: str, *, routed: bool = False) -> tuple[Point, ...]:
    """The points of a plan for a target of kind fpga or asic, which is placed and routed or not; the cheap ones first.

    Raises ValueError for an unknown plan.
    """
    if name not in PLANS:
        raise ValueError(f"points must be one of {', '.join(PLANS)}, not {name!r}")
    left_out = (() if kind == "fpga" else FPGA_ONLY) + (() if routed else ROUTED_ONLY)
    return tuple(point for point in PLANS[name]() if point.block not in left_out)
