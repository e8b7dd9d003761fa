"""What the engine is built of, counted from its RTL: adders along the actual popcount tree, registers, multiplexers.

Every function takes one design (`Design`) or many (`hwmodels.knobs.Knobs`) and gives the features of one block as a
dict, by feature, of numbers or of arrays over designs. Area models multiply them with coefficients fitted to synthesis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from hwmodels.adders import combining_adders, popcount_adders, product_adders, tree_adders
from hwmodels.design import Design
from hwmodels.knobs import Knobs
from hwmodels.mapping import VECTOR_BITS
from hwmodels.rtl.package import COUNT_BITS, plane_gaps

Number = Any
Machine = Design | Knobs
Features = dict[str, Number]

ISSUE_BITS = 68
"""Registers of an issue behind the operands: is there one, the first or the last of its step, and where its result goes."""
REGISTER, REPEATED, CONSTANT = "register bit", "repeated register bit", "constant"
"""Flip-flops that are counted, those of them that synthesis may find to be others, and what no knob changes: the only features
that flip-flops are fitted with."""
HURRIED = "count bit joined in a hurry"
SECOND = "second product's code bit"
LUT6, LUT4 = "accumulator LUT of six inputs", "accumulator LUT of four inputs"
ONLY: Mapping[str, frozenset[str]] = {
    "lut": frozenset({HURRIED, LUT6, LUT4}),
    "area_um2": frozenset({REGISTER, REPEATED, "shifted accumulator bit", SECOND}),
    "ff": frozenset(),
}
"""Features of one resource and of no other. Registers take no LUTs."""


@cache
def cut_bits(width: int) -> int:
    """Bits of the register in a popcount of two stages (`Behind` in `pe.sv` and `popcount.sv`)."""
    return _cut_bits(width, 1 + sum(width >= first for first in (32, 95, 284)))


def _cut_bits(width: int, behind: int) -> int:
    """All that passes from one side of the register to the other: counts of sums and of carries, and bits left over."""
    triples, left = divmod(width, 3)
    if width < 4:
        return width.bit_length()
    halves = (triples + left // 2, triples)
    below = sum(part.bit_length() if behind == 1 else _cut_bits(part, behind - 1) for part in halves)
    return below + int(left > 0)


def count_bits(k: Machine) -> Number:
    """Bits of the count of one word."""
    return each(k.width, int.bit_length)


def sum_bits(k: Machine) -> Number:
    """Bits of the weighted sum of a PE's branches."""
    return count_bits(k) + k.act_lanes + k.weight_lanes + 1


def shifts(k: Machine) -> Number:
    """By how many different amounts the accumulator may move up, zero included."""
    return each_row(lambda *knobs: len(plane_gaps(*knobs)), k.max_act_bits, k.max_weight_bits, k.lanes_a, k.lanes_w)


def stage_bits(k: Machine) -> Number:
    """Registers of one PE that second stages of its counts (or products), its sum and its accumulator add."""
    if k.kind == "mac":
        counts, sums, width = (
            k.width * _product_bits(k),
            _mac_part_bits(k),
            k.max_act_bits + k.max_weight_bits + 1 + count_bits(k),
        )
    else:
        counts, sums, width = k.lanes_a * k.lanes_w * each(k.width, cut_bits), _part_bits(k), sum_bits(k)
    low = k.acc_bits // 2
    # In halves, the low one, its carry, and the high bits of the sum (its sign if there are none) are kept a cycle longer.
    halves = low + 1 + np.clip(width - low, 1, k.acc_bits - low)
    return (k.count_stages - 1) * counts + (k.sum_stages - 1) * sums + (k.acc_stages - 1) * halves


def _part_bits(k: Machine) -> Number:
    """Sums over the lanes of the side that has fewer, one for each lane of the other."""
    inner = np.minimum(k.lanes_a, k.lanes_w)
    return np.maximum(k.lanes_a, k.lanes_w) * each_row(
        lambda width, lanes: (width * (2**lanes - 1)).bit_length(), k.width, inner
    )


def _product_bits(k: Machine) -> Number:
    """Products with the lower and the upper half of the weight's bits; of at most two bits the lower half is 1."""
    return 2 * k.max_act_bits + k.max_weight_bits + 2 - np.where(k.max_weight_bits <= 2, 1, 0)


def _mac_part_bits(k: Machine) -> Number:
    """Sums of about as many products as there are sums."""
    exponent = (each(k.width - 1, int.bit_length) + 1) // 2
    return -(-k.width // 2**exponent) * (k.max_act_bits + k.max_weight_bits + 1 + exponent)


def pe(k: Machine) -> Features:
    """An xnor-popcount PE: la x lw trees, the adders that join them, the bias, the accumulator.

    Full adders, three bits to two, leave two numbers of all counts for a last adder; in two stages the same of every part, and of
    the parts. Another adder takes the sum from the bias. The accumulator's adder takes the sum and what is chosen of `shifts`
    places: a LUT of six inputs that adds has room for two places and what selects them, one of four inputs chooses before the adder.
    """
    branches, places = k.lanes_a * k.lanes_w, shifts(k)
    knobs = (k.width, k.lanes_a, k.lanes_w, k.sum_stages)
    return {
        REGISTER: branches * count_bits(k) + sum_bits(k) + k.acc_bits + stage_bits(k),
        "branch": branches,
        "full adder": branches * each(k.width, lambda width: popcount_adders(width)[0]),
        "joining adder bit": branches * each(k.width, lambda width: popcount_adders(width)[1]),
        "combining full adder": each_row(lambda *of: combining_adders(*of)[0], *knobs),
        "combining adder bit": each_row(lambda *of: combining_adders(*of)[1], *knobs),
        "sum bit": sum_bits(k),
        "accumulator bit": k.acc_bits,
        "shifted accumulator bit": k.acc_bits * (places - 1),
        HURRIED: np.where(_hurried(k), branches * count_bits(k), 0),
        LUT6: k.acc_bits * -(-places // 2),
        LUT4: k.acc_bits * -(-(2 * places - 1) // 3),
    }


def _hurried(k: Machine) -> Number:
    """Whether the adders that join the counts are deeper than the popcounts, because branches are many and short, or cut in two.

    What is the deepest is mapped to LUTs for its depth, the rest for its size.
    """
    branches, behind = k.lanes_a * k.lanes_w, k.width // (2 * k.count_stages - 1)
    return (k.sum_stages == 1) & (branches > 2) & (4 * branches > behind)


def pe_mac(k: Machine) -> Features:
    """A multiplier PE: W products of odd codes, an adder tree, the accumulator.

    A product of codes of at most two bits is a truth table of at most four inputs. Wider ones add a row of a code's bits, the sign
    among them, for every bit of the narrower one: full adders leave two rows for a last adder. A bit of a truth table, and the sign
    of a product by one bit, repeats another: on some targets one register for both. In two stages the products with the lower and
    with the upper half of the weight are made so, and another adder joins them; the other factor is a row in both of them. Of +-1 by
    more bits, or +-1 and +-3 by 1 and 3, the sign of the lower product repeats another bit.
    """
    m, n = k.max_act_bits, k.max_weight_bits
    split = k.count_stages - 1
    small = np.where(np.maximum(m, n) <= 2, 1, 0)
    low = (n + 1) // 2
    whole_repeats = np.where(np.minimum(m, n) == 1, 1, small) * (1 - split)
    repeated = whole_repeats + split * np.where((low > 1) & ((m == 1) | ((m == 2) & (low == 2))), 1, 0)
    wide, knobs = k.width * (1 - small), (m, n, k.count_stages)
    full, last = (wide * each_row(lambda *of, part=part: product_adders(*of)[part], *knobs) for part in (0, 1))
    sum_width = m + n + 1 + count_bits(k)
    return {
        REGISTER: k.width * (m + n + 1 - repeated) + sum_width + k.acc_bits + stage_bits(k),
        REPEATED: k.width * repeated,
        "truth table input": k.width * small * (m + n),
        "split truth table input": k.width * small * split * (m + n),
        "multiplier code bit": wide * (m + n),
        "multiplier full adder": full,
        "multiplier adder bit": last,
        SECOND: k.width * split * m,
        "tree full adder": each_row(tree_adders, k.width, m + n + 1 - whole_repeats, sum_width, k.sum_stages),
        "sum bit": sum_width + (k.sum_stages - 1) * _mac_part_bits(k),
        "accumulator bit": k.acc_bits,
    }


def post_unit(k: Machine) -> Features:
    """One row's thresholds: A stages of a comparator, with value, channel group and code passing through."""
    code_bits = k.max_act_bits * (k.max_act_bits + 2)
    return {
        REGISTER: k.max_act_bits * k.acc_bits + _group_bits(k) + code_bits,
        "compared bit": k.max_act_bits * k.acc_bits,
        "code bit": code_bits,
        "accumulator bit": k.acc_bits,
    }


def grid(k: Machine) -> Features:
    """What the grid has beside its PEs: hold registers, pads, masks, the issue on its way, and the bias, shifted twice, of planes."""
    bias_bits = sum_bits(k) * int(k.kind != "mac")
    return {
        REGISTER: k.rows * k.cols * k.acc_bits + 2 * k.cols + bias_bits + _later_bits(k),
        "shifted hold bit": k.rows * (k.cols - 1) * k.acc_bits,
        "column": k.cols,
        "padded bit": k.cols * k.act_lanes * k.width,
        "masked bit": k.width,
        "pad bit": k.act_lanes * k.width,
        "bias bit at a level": bias_bits * each(sum_bits(k) - 1, int.bit_length),
        CONSTANT: _one(k),
    }


def _later_bits(k: Machine) -> Number:
    """What goes along with the operands of PEs with more than three stages: the issue, what its columns add, and the lanes in use."""
    before = k.count_stages + k.sum_stages - 2
    if k.kind == "mac":
        return (k.pe_cycles - 3) * ISSUE_BITS + before * k.cols
    lanes = (k.count_stages - 1) * (k.lanes_a + k.lanes_w)
    return (k.pe_cycles - 3) * (ISSUE_BITS + shifts(k)) + before * (k.cols + sum_bits(k)) + lanes


def vector_unit(k: Machine) -> Features:
    """W lanes of a wide adder and comparator, and the planes gathered so far, of one of the columns."""
    lane_bits = k.width * np.minimum(VECTOR_BITS, k.acc_bits)
    return {
        REGISTER: 2 * lane_bits + k.width * k.max_act_bits,
        "lane": k.width,
        "lane bit": lane_bits,
        "shifted lane bit": np.maximum(k.width - k.rows, 0) * lane_bits // k.width,
        "plane bit": k.width * k.max_act_bits,
        "chosen column bit": np.where(k.cols > 1, k.act_lanes * k.width, 0),
        "column bit": (k.cols - 1) * k.act_lanes * k.width,
        CONSTANT: _one(k),
    }


def writer(k: Machine) -> Features:
    """Counters and addresses; a word's mask; the choice of its plane and slice; where a word takes several beats, of its part.

    Slices and beats of a word have a counter each where there are several.
    """
    slices = np.maximum(k.rows // k.width, 1)
    counted = each(slices, lambda many: COUNT_BITS + many.bit_length() - 1 if many > 1 else 0)
    return {
        REGISTER: np.where(k.port_bits < k.width, COUNT_BITS, 0) + counted,
        "masked bit": k.width,
        "selected bit": k.width * (slices * k.max_act_bits - 1),
        "beat bit": np.maximum(k.width - k.port_bits, 0),
        CONSTANT: _one(k),
    }


def sequencer(k: Machine) -> Features:
    """Counters and addresses, and pointers of 4 and 16 bits for each activation group; what chooses among groups; a counter of slices."""
    groups, sliced = -(-k.max_act_bits // k.act_lanes), k.rows != k.width
    return {
        REGISTER: 20 * groups + np.where(sliced, COUNT_BITS, 0) + np.where(sliced | (groups > 1), 1, 0),
        "activation group": groups,
        "slice counter": np.where(sliced, 1, 0),
        CONSTANT: _one(k),
    }


def drain(k: Machine) -> Features:
    """Counters and an address; where a word has several rows' slices, a counter of these and one of their thresholds."""
    return {"slice counter": np.where(k.rows < k.width, 1, 0), CONSTANT: _one(k)}


def columns(k: Machine) -> Features:
    """Two pairs of 16-bit coordinates a column, and their comparison with the map."""
    return {REGISTER: 64 * k.cols, "column": k.cols, CONSTANT: _one(k)}


def constant(k: Machine) -> Features:
    """A unit that no knob changes by much."""
    return {CONSTANT: _one(k)}


def glue(k: Machine) -> Features:
    """What the engine's top adds to its units, less what these share in it.

    Codes wait for A + 1 stages with 18 bits that say where they go; words and thresholds of several beats are assembled. All rows
    pass on the same channel group, so that one copy of it is left; and units that delay the same signals share the registers. So do
    multipliers: odd times odd is odd, and the lowest bit of a product only says whether its element counts; and codes of
    more than two bits are decoded once a row and column. Values and codes are chosen: those of the grid or of the vector unit.
    """
    stages = 18 * (k.max_act_bits + 1)
    assembled = np.where(k.port_bits < k.width, k.width, 0) + np.where(k.port_bits < 32, 32, 0)
    unread = (k.pe_cycles - 3) * _unread_bits(k)
    pes, multipliers = k.rows * k.cols, int(k.kind == "mac")
    odd = multipliers * (pes - 1) * k.width * k.count_stages
    shared = (
        multipliers
        * k.width
        * ((pes - k.cols) * _decoded(k.max_act_bits) + (pes - k.rows) * _decoded(k.max_weight_bits))
    )
    return {
        REGISTER: stages + assembled - (k.rows - 1) * _group_bits(k) - unread,
        REPEATED: odd,
        "shared code bit": shared,
        "chosen result bit": k.rows * k.acc_bits + np.maximum(k.rows, k.width) * k.max_act_bits,
        CONSTANT: _one(k),
    }


def _decoded(bits: Number) -> Number:
    """Bits of a code that is decoded before it is multiplied: a truth table takes shorter ones as they are."""
    return np.where(bits > 2, bits, 0)


def _unread_bits(k: Machine) -> Number:
    """Bits of an issue that nobody reads where buffers are small: of two addresses, and which part of a word, where there is one only."""
    entries = np.maximum(2, k.out_depth // np.maximum(1, k.width // k.rows))
    addresses = each(entries - 1, int.bit_length) + each(k.threshold_depth - 1, int.bit_length)
    return 2 * COUNT_BITS - addresses + np.where(k.rows == k.width, COUNT_BITS, 0)


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A unit that is not smooth: of what, the place in its table, how many bits of xnor or partial products, and a place in words."""

    resources: tuple[str, ...]
    place: Callable[[Machine], Number]
    bits: Callable[[Machine], Number]
    words: Callable[[float], str]


def _code_rank(k: Machine) -> Number:
    """Pairs of code widths in the order of the wider one, then of the narrower one."""
    m, n = k.max_act_bits, k.max_weight_bits
    return 16 * np.maximum(m, n) + np.minimum(m, n)


UNEVEN: Mapping[str, Tabulated] = {
    "pe": Tabulated(
        ("lut",),
        lambda k: k.width,
        lambda k: k.lanes_a * k.lanes_w * k.width,
        lambda place: f"xnor bit at width {place:g}",
    ),
    "pe_mac": Tabulated(
        ("lut", "area_um2"),
        _code_rank,
        lambda k: k.width * (k.max_act_bits + 1) * (k.max_weight_bits + 1) * (2 - k.count_stages),
        lambda place: f"partial product of {place // 16:g} x {place % 16:g} bits",
    ),
}


UNITS: Mapping[str, Callable[[Machine], Features]] = {
    "pe": pe, "pe_mac": pe_mac, "grid": grid, "columns": columns, "vector_unit": vector_unit, "post_unit": post_unit, "drain": drain,
    "sequencer": sequencer, "loader": constant, "writer": writer, "controller": constant, "glue": glue,
}  # fmt: skip
"""Features of every unit of the engine; `glue` is what lies between the units."""


@lru_cache(maxsize=8192)
def features_of(unit: str, design: Design) -> Features:
    """`UNITS[unit](design)`, kept: a fit asks for it once a subset of its points. Not to be changed."""
    return UNITS[unit](design)


def counts(k: Machine) -> dict[str, Number]:
    """How many of each unit an engine has."""
    pes = k.rows * k.cols
    one = _one(k)
    return {name: one for name in UNITS if name not in ("pe", "pe_mac", "post_unit")} | {
        "pe_mac" if k.kind == "mac" else "pe": pes,
        "post_unit": k.rows * one,
    }


def _group_bits(k: Machine) -> Number:
    """Registers of the channel group on its way through the stages of a post unit."""
    return (k.max_act_bits - 1) * each(k.threshold_depth - 1, int.bit_length)


def _one(k: Machine) -> Number:
    return np.ones_like(k.rows)


def each(values: Number, function: Callable[[int], int]) -> Number:
    """A function of one integer, of a number or of every distinct entry of an array."""
    return each_row(function, values)


def each_row(function: Callable[..., int], *columns: Number) -> Number:
    """A function of integers, of numbers or of every distinct row of arrays, whose shapes may be broadcast."""
    if not any(getattr(column, "ndim", 0) for column in columns):
        return function(*map(int, columns))
    whole = np.broadcast_arrays(*columns)
    if whole[0].size == 0:
        return np.zeros(whole[0].shape, np.int64)
    # Rows are told apart by one number each: unique numbers are found far faster than unique rows.
    flat = [column.ravel() for column in whole]
    above = [column - column.min() for column in flat]
    key = np.ravel_multi_index(above, [int(column.max()) + 1 for column in above])
    _, first, where = np.unique(key, return_index=True, return_inverse=True)
    rows = zip(*(column[first].tolist() for column in flat), strict=True)
    return np.array([function(*row) for row in rows])[where].reshape(whole[0].shape)
