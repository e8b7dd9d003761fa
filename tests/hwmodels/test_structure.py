"""Features of the engine's units, against plain recursion and loops; arrays of designs give what single designs give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwmodels.adders import column_adders, popcount_adders
from hwmodels.design import Design
from hwmodels.knobs import NUMERIC, Knobs
from hwmodels.structure import UNITS, counts, pe, pe_mac, shifts


def popcount_by_rank(width: int) -> int:
    """Full adders of `popcount.sv`, counted with lists of wires."""
    wires, full = list(range(width)), 0
    if width < 3:
        return 0
    if width == 3:
        return 1
    sums, carries = [], []
    while len(wires) >= 3:
        del wires[:3]
        full += 1
        sums.append(full)
        carries.append(full)
    if len(wires) == 2:
        sums.append(0)
    return full + popcount_by_rank(len(sums)) + popcount_by_rank(len(carries))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 21, 32, 63, 64, 65, 100, 256])
def test_full_adders_are_counted_along_the_tree(width: int) -> None:
    assert popcount_adders(width)[0] == popcount_by_rank(width)


def test_a_popcount_of_seven_by_hand() -> None:
    # Two full adders leave two sums, two carries and one bit: a half adder each (one joining bit), then once + 2 twice + carry-in
    # of three bits.
    assert popcount_adders(7) == (2, 1 + 1 + 3)


@pytest.mark.parametrize("seed", range(20))
def test_columns_are_added_with_as_many_adders_as_bits_vanish(seed: int) -> None:
    """A full adder leaves two bits of three; afterwards no column has more than two, and the last adder covers the first with two
    and all above."""
    columns = np.random.default_rng(seed).integers(1, 9, 6).tolist()
    heights, full = [*columns, 0, 0, 0, 0], 0
    for place in range(len(heights)):
        while heights[place] > 2:
            heights[place], heights[place + 1], full = heights[place] - 2, heights[place + 1] + 1, full + 1
    pairs = [place for place, height in enumerate(heights) if height == 2]
    top = max(place for place, height in enumerate(heights) if height)
    expected = full, top - pairs[0] + 1 if pairs else 0
    assert column_adders(tuple(columns)) == expected
    assert sum(columns) - full == sum(heights)


def test_adders_of_a_pe_by_hand() -> None:
    # One branch: nothing to join. Two counts of 5 bits, one moved up: four bits overlap, and their carry. Three: 1, 2, 3, 3, 3, 2, 1.
    one = Design(rows=16, width=16, port_bits=16)
    assert [int(pe(one)[name]) for name in ("combining full adder", "combining adder bit")] == [0, 0]
    two = pe(replace(one, lanes_w=2))
    assert [int(two[name]) for name in ("combining full adder", "combining adder bit")] == [0, 5]
    three = pe(replace(one, lanes_w=3))
    assert [int(three[name]) for name in ("combining full adder", "combining adder bit")] == [3 + 1, 6]


def test_rows_of_a_product_by_hand() -> None:
    # 4 x 3 bits: codes of 5 and 4 bits with their signs, four rows and one of the sign: three full adders a bit, then 8 bits.
    mac = Design(kind="mac", rows=2, width=2, port_bits=2, max_act_bits=4, max_weight_bits=3)
    assert [int(pe_mac(mac)[name]) // 2 for name in ("multiplier full adder", "multiplier adder bit")] == [5 * 3, 8]
    # In two stages 5 x 2 bits without a sign, two rows, and 5 x 2 with one: one full adder a bit; last adders of 6, 6 and 6 bits.
    split = pe_mac(replace(mac, count_stages=2))
    assert [int(split[name]) // 2 for name in ("multiplier full adder", "multiplier adder bit")] == [5, 18]


def test_an_accumulator_shifts_only_where_plane_pairs_ask_for_it() -> None:
    # One plane each: no shift at all. 2 x 2 planes on 1 x 1 lanes: weights 2, 1, 1, 0, gaps 0 and 1.
    assert shifts(Design(max_act_bits=1, max_weight_bits=1)) == 1
    assert shifts(Design(max_act_bits=2, max_weight_bits=2)) == 2


@pytest.mark.parametrize("kind", ["array", "mac"])
def test_arrays_give_what_single_designs_give(kind: str) -> None:
    base = Design(kind=kind, rows=8, width=16, port_bits=16)  # type: ignore[arg-type]
    designs = [
        base,
        replace(base, cols=3, max_act_bits=2, weight_depth=64),
        replace(base, width=32, rows=32, lanes_a=2),
    ]
    many = Knobs(
        kind=kind, dataflow="best", **{name: np.array([int(getattr(one, name)) for one in designs]) for name in NUMERIC}
    )
    for unit, features in UNITS.items():
        together = features(many)
        for index, design in enumerate(designs):
            alone = features(design)
            assert {name: int(np.broadcast_to(value, 3)[index]) for name, value in together.items()} == {
                name: int(value) for name, value in alone.items()
            }, unit
    for name, number in counts(many).items():
        assert np.broadcast_to(number, 3).tolist() == [int(counts(design)[name]) for design in designs]


def test_shapes_of_knobs_may_broadcast() -> None:
    """A sweep that skips prices a grid of machines at once: every knob along an axis of its own."""
    base = Design(rows=8, width=16, port_bits=16)
    knobs = {name: np.full((1, 1), int(getattr(base, name))) for name in NUMERIC}
    knobs |= {"threshold_depth": np.array([[16], [64]]), "max_act_bits": np.array([[2, 4, 8]])}
    many = Knobs(kind="array", dataflow="best", **knobs)
    for unit, features in UNITS.items():
        for name, value in features(many).items():
            for i, j in np.ndindex(2, 3):
                one = replace(base, threshold_depth=int([16, 64][i]), max_act_bits=int([2, 4, 8][j]))
                assert np.broadcast_to(value, (2, 3))[i, j] == features(one)[name], (unit, name)
