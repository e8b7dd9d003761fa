"""Words, blocks and spans by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodels.geometry import Axis, Geometry, Reduction, axis, block_sides, geometry, reduction
from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool

CONV = Conv(name="c", in_shape=(3, 9, 7), out_channels=10, kernel=(3, 2), act_bits=2, weight_bits=3, out_bits=2)


def seen(layer: Layer, width: int) -> Geometry:
    shape = geometry(layer, width)
    assert shape is not None
    return shape


def test_flatten_is_no_work() -> None:
    assert geometry(Flatten(name="f", in_shape=(2, 2, 2), act_bits=1), 64) is None


def test_words_of_a_convolution_start_anew_at_every_tap() -> None:
    # 6 taps of ceil(3 / 2) = 2 words; 10 channels in groups of 4 rows: 3.
    assert reduction(seen(CONV, 2), rows=4, width=2) == Reduction(12, 3, 3, spanned=2)


def test_words_of_a_dense_layer_after_a_map() -> None:
    # 2 x 3 taps of ceil(5 / 4) = 2 words.
    layer = Dense(name="d", in_shape=(5, 2, 3), out_channels=7, act_bits=1, weight_bits=1, out_bits=None)
    assert reduction(seen(layer, 4), rows=7, width=4) == Reduction(12, 1, 1, spanned=2)


def test_host_packs_a_7x7x3_kernel_into_3_words_of_64() -> None:
    layer = replace(CONV, in_shape=(3, 30, 30), kernel=(7, 7), from_host=True)
    # ceil(147 / 64) = 3 instead of 49; the map becomes the map of windows.
    shape = seen(layer, 64)
    assert reduction(shape, rows=10, width=64) == Reduction(3, 3, 1, spanned=3)
    assert (shape.in_size, shape.kernel, shape.channels) == ((24, 24), (1, 1), 147)


def test_host_does_not_pack_windows_with_masked_taps() -> None:
    layer = replace(CONV, from_host=True, padding=(1, 1, 1, 1))
    assert seen(layer, 64).kernel == (3, 2)
    assert seen(replace(layer, pad_code=-3), 64).kernel == (1, 1)


def test_host_does_not_pack_windows_of_groups() -> None:
    layer = replace(CONV, in_shape=(4, 9, 7), groups=2, from_host=True)
    assert seen(layer, 64).kernel == (3, 2)


def test_groups_that_fill_words_and_rows_are_walked_one_by_one() -> None:
    # 2 groups of 16 = 2 words of 8, 6 taps; 8 outputs a group fill 4 rows twice.
    layer = replace(CONV, in_shape=(32, 9, 7), out_channels=16, groups=2)
    assert reduction(seen(layer, 8), rows=4, width=8) == Reduction(12, 3, 4, spanned=2)
    # 16 rows hold both groups: their 4 words are walked twice, once for each of two opposite planes.
    assert reduction(seen(layer, 8), rows=16, width=8) == Reduction(2 * 6 * 4, 3, 1, spanned=4, expanded=True)


def test_groups_that_do_not_fill_words_span_them_and_are_walked_twice() -> None:
    # 4 groups of 6 inputs and 2 outputs; 4 rows hold 2 groups: inputs 0..11 are words 0..1 of 8, 12..23 words 1..2.
    layer = replace(CONV, in_shape=(24, 9, 7), out_channels=8, groups=4)
    assert reduction(seen(layer, 8), rows=4, width=8) == Reduction(2 * 6 * 2, 3, 2, spanned=2, expanded=True)
    # 2 rows hold one group: inputs 6..11 straddle words 0 and 1, so 2 again; with words of 32 all lie in one.
    assert reduction(seen(layer, 8), rows=2, width=8).spanned == 2
    assert reduction(seen(layer, 32), rows=8, width=32).words == 2 * 6


def test_depthwise_reads_one_word_a_tap_while_rows_stay_within_a_word() -> None:
    layer = replace(CONV, in_shape=(20, 9, 7), out_channels=20, groups=20)
    assert reduction(seen(layer, 8), rows=4, width=8) == Reduction(12, 3, 5, spanned=1, expanded=True)
    assert reduction(seen(layer, 8), rows=16, width=8) == Reduction(24, 3, 2, spanned=2, expanded=True)


@pytest.mark.parametrize(("size", "sides"), [(1, (1,)), (2, (1, 2)), (7, (1, 2, 4, 7)), (8, (1, 2, 4, 8))])
def test_block_sides_are_powers_of_two_and_the_whole(size: int, sides: tuple[int, ...]) -> None:
    assert block_sides(size) == sides


def test_blocks_overlap_by_the_halo() -> None:
    # Rows 9 -> 7 outputs, kernel 3: blocks of 4 read 3 + 3 = 6 rows, the second block rows 4..9 of which 9 is beyond.
    found = axis(seen(CONV, 8), 0, 4)
    assert found == Axis(windows=1, span=6, step=1, origins=(0, 4), inside=((6,), (5,)), outputs=(4, 3))
    assert (found.blocks, found.pixels) == (2, 6)


def test_pads_are_held_but_not_inside() -> None:
    # 9 rows, pads 1 and 1: 9 outputs, one block of 9 reads 11 rows, 9 of them real.
    found = axis(seen(replace(CONV, padding=(1, 0, 1, 0)), 8), 0, 9)
    assert (found.pixels, found.origins, found.inside) == (11, (-1,), ((9,),))


def test_a_dilated_kernel_holds_the_rows_between() -> None:
    # Span (3 - 1) * 2 + 1 = 5; 5 outputs of 9 rows.
    found = axis(seen(replace(CONV, dilation=(2, 1)), 8), 0, 1)
    assert (found.blocks, found.pixels, found.inside) == (5, 5, ((5,),) * 5)


def test_a_stride_beyond_the_window_reads_a_piece_a_window() -> None:
    # Width 7, kernel 1, stride 3: 3 outputs at 0, 3, 6; a block of 2 holds 2 pixels in 2 pieces, the last only one.
    layer = replace(CONV, kernel=(1, 1), stride=(1, 3))
    found = axis(seen(layer, 8), 1, 2)
    assert found == Axis(windows=2, span=1, step=3, origins=(0, 6), inside=((1, 1), (1,)), outputs=(2, 1))
    assert found.pixels == 2


def test_vector_layers() -> None:
    add = seen(Add(name="a", in_shape=(20, 4, 4), act_bits=3, out_bits=2), 8)
    assert (add.vector, add.operands, add.taps, add.levels, add.macs) == (True, 2, 2, 3, 0)
    pool = Pool(name="p", kind="max", in_shape=(20, 4, 4), kernel=(2, 3), act_bits=3, out_bits=3)
    assert (seen(pool, 8).taps, seen(pool, 8).levels) == (6, 0)
    assert seen(replace(pool, kind="average", out_bits=2), 8).levels == 3
    assert reduction(add, rows=4, width=8) == Reduction(3, 0, 5, spanned=3)


def test_raw_outputs_have_no_thresholds() -> None:
    assert seen(CONV, 8).levels == 3
    assert seen(replace(CONV, out_bits=None), 8).levels == 0
