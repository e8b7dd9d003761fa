"""Shapes and counts of layers, worked by hand, and what their constructors refuse."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from workloads.checks import output_size
from workloads.layers import (
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Host,
    Layer,
    MatMul,
    Pool,
    Shuffle,
    Upsample,
    ceil_div,
    sources,
    sums,
)

CONV = Conv(
    name="conv", in_shape=(6, 9, 11), out_channels=4, kernel=(2, 3), stride=(2, 3), padding=(1, 2, 3, 4),
    dilation=(3, 2), groups=2, act_bits=2, weight_bits=3, out_bits=1,
)  # fmt: skip
DENSE = Dense(name="fc", in_shape=(5, 2, 3), out_channels=7, act_bits=4, weight_bits=2, out_bits=None)
POOL = Pool(name="pool", kind="max", in_shape=(3, 5, 6), kernel=(3, 2), stride=(2, 2), act_bits=2, out_bits=2)
SCORES = MatMul(
    name="qk",
    in_shape=(6, 1, 5),
    other_shape=(6, 1, 7),
    heads=2,
    over="channels",
    act_bits=2,
    weight_bits=3,
    out_bits=4,
)
MIXED = MatMul(
    name="pv",
    in_shape=(14, 1, 5),
    other_shape=(8, 1, 7),
    heads=2,
    over="positions",
    act_bits=4,
    weight_bits=3,
    out_bits=2,
)
GROWN = Upsample(name="up", kind="linear", in_shape=(3, 2, 3), factor=(2, 3), act_bits=2, out_bits=None)
JOINED = Concat(name="cat", in_shape=(5, 2, 3), parts=(3, 2), act_bits=2)
SPACE = Shuffle(name="space", in_shape=(12, 2, 3), block=2, act_bits=2)
HOSTED = Host(name="softmax", function="softmax", in_shape=(6, 1, 4), out_shape=(6, 1, 4), act_bits=8, out_bits=4)


def test_small_arithmetic() -> None:
    assert [ceil_div(n, 8) for n in (1, 8, 9)] == [1, 1, 2]
    assert output_size(7, 3, stride=2, before=1, after=1) == 4
    assert output_size(9, 2, stride=2, before=1, after=3, dilation=3) == 5  # (9 + 4 - 4) // 2 + 1


def test_counts_of_a_convolution() -> None:
    assert CONV.out_shape == (4, 5, 5)  # width: (11 + 6 - 5) // 3 + 1
    assert CONV.positions == 25
    assert CONV.reduction == 18  # 2 * 3 * 6 / 2
    assert CONV.macs == 1800
    assert CONV.weights == 72
    assert CONV.acc_bits == 10  # 18 * 3 * 7 = 378 < 512


def test_counts_of_a_dense_layer() -> None:
    assert (DENSE.reduction, DENSE.macs, DENSE.weights, DENSE.out_shape) == (30, 210, 210, (7, 1, 1))
    assert DENSE.acc_bits == 12  # 30 * 15 * 3 = 1350 < 2048
    tokens = replace(DENSE, in_shape=(30, 1, 1), positions=4)
    assert (tokens.macs, tokens.weights, tokens.out_shape) == (840, 210, (7, 1, 4))


def test_counts_of_the_others() -> None:
    assert (POOL.out_shape, POOL.acc_bits) == ((3, 2, 3), 3)
    mean = replace(POOL, kind="average", out_bits=None)
    assert mean.acc_bits == 6  # 6 * 3 = 18 < 32
    add = Add(name="add", in_shape=(2, 3, 4), act_bits=3, out_bits=1)
    assert (add.out_shape, add.acc_bits) == ((2, 3, 4), 5)  # 2 * 7 = 14 < 16
    flatten = Flatten(name="flatten", in_shape=(2, 3, 4), act_bits=3)
    assert (flatten.out_shape, flatten.out_bits) == ((24, 1, 1), 3)


def test_counts_of_a_product_of_maps() -> None:
    assert (SCORES.reduction, SCORES.out_channels, SCORES.out_shape) == (3, 14, (14, 1, 5))
    assert (SCORES.macs, SCORES.weights, SCORES.acc_bits) == (14 * 5 * 3, 0, 7)  # 3 * 3 * 7 = 63 < 64
    assert (MIXED.reduction, MIXED.out_shape, MIXED.macs) == (7, (8, 1, 5), 8 * 5 * 7)
    assert replace(MIXED, act_offset=-1, weight_offset=1).acc_bound == 7 * 16 * 8
    assert sources(SCORES) == (((6, 1, 5), 2), ((6, 1, 7), 3))
    assert sources(replace(SCORES, cached=True)) == (((6, 1, 5), 2),)


def test_linear_upsampling_by_hand() -> None:
    # rows, factor 2 in quarters: -1/4 is clamped, 1/4, 3/4, 5/4 is clamped
    assert GROWN.taps(0) == (((0, 4),), ((0, 3), (1, 1)), ((0, 1), (1, 3)), ((1, 4),))
    # columns, factor 3 in sixths: -1/3, 0, 1/3, 2/3, 1, 4/3, 5/3, 2, 7/3
    assert GROWN.taps(1)[2:6] == (((0, 4), (1, 2)), ((0, 2), (1, 4)), ((1, 6),), ((1, 4), (2, 2)))
    assert (GROWN.out_shape, GROWN.denominators, GROWN.acc_bound) == ((3, 4, 9), (4, 6), 72)
    # 3 * 4, 3 * 2, 1 * 4, 1 * 2 have 2 + 2 + 1 + 1 bits
    assert (GROWN.additions, GROWN.reads) == (6, 4)
    corners = replace(GROWN, coordinates="align_corners", factor=(2, 2))  # 0, 1/3, 2/3, 1 and 0, 2/5, 4/5, ...
    assert corners.taps(0) == (((0, 3),), ((0, 2), (1, 1)), ((0, 1), (1, 2)), ((1, 3),))
    assert corners.taps(1)[1:3] == (((0, 3), (1, 2)), ((0, 1), (1, 4)))
    left = replace(GROWN, coordinates="asymmetric")
    assert left.taps(0) == (((0, 2),), ((0, 1), (1, 1)), ((1, 2),), ((1, 2),))
    near = replace(GROWN, kind="nearest", out_bits=2)
    assert [taps[0][0] for taps in near.taps(1)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (near.additions, near.reads, near.denominators) == (1, 1, (1, 1))


def test_counts_of_moves() -> None:
    assert (JOINED.out_shape, JOINED.out_bits) == ((5, 2, 3), 2)
    assert sources(JOINED) == (((3, 2, 3), 2), ((2, 2, 3), 2))
    assert (SPACE.out_shape, SPACE.out_bits) == ((3, 4, 6), 2)
    assert sources(replace(HOSTED, operands=2)) == (((6, 1, 4), 8), ((6, 1, 4), 8))
    kinds = (CONV, DENSE, POOL, replace(POOL, kind="average"), GROWN, SCORES, JOINED, SPACE, HOSTED)
    assert [sums(layer) for layer in kinds] == [True, True, False, True, True, True, False, False, False]


def test_unlike_steps_are_added_bit_by_bit() -> None:
    add = Add(name="add", in_shape=(1, 1, 1), act_bits=2, out_bits=None, multipliers=(5, -3))
    assert (add.acc_bound, add.acc_bits, add.additions) == (24, 6, 4)


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (replace(DENSE, in_shape=(1, 1, 1), act_bits=1, weight_bits=1), 1),
        (replace(DENSE, in_shape=(3, 1, 1), act_bits=2, weight_bits=1), 9),
        (replace(DENSE, in_shape=(576, 1, 1), act_bits=8, weight_bits=8), 37454400),
        (replace(DENSE, in_shape=(3, 1, 1), act_bits=2, weight_bits=2, weight_offset=-1), 36),
        (replace(DENSE, in_shape=(3, 1, 1), act_bits=2, weight_bits=2, ternary=True), 18),
    ],
)
def test_the_accumulator_holds_both_ends_of_its_bound(layer: Dense, bound: int) -> None:
    assert layer.acc_bound == bound
    assert 2 ** (layer.acc_bits - 2) - 1 < bound <= 2 ** (layer.acc_bits - 1) - 1


@pytest.mark.parametrize(
    ("layer", "changes", "message"),
    [
        (CONV, {"out_channels": 0}, "layer 'conv': out_channels must be an integer >= 1, not 0"),
        (CONV, {"kernel": (0, 3)}, "layer 'conv': kernel_h must be an integer >= 1, not 0"),
        (CONV, {"stride": (1, -1)}, "layer 'conv': stride_w must be an integer >= 1, not -1"),
        (CONV, {"dilation": (1, 1.5)}, "layer 'conv': dilation_w must be an integer >= 1, not 1.5"),
        (CONV, {"act_bits": 9}, "layer 'conv': act_bits must be between 1 and 8, not 9"),
        (CONV, {"weight_bits": True}, "layer 'conv': weight_bits must be between 1 and 8, not True"),
        (CONV, {"out_bits": 0}, "layer 'conv': out_bits must be between 1 and 8, not 0"),
        (CONV, {"padding": (0, -1, 0, 0)}, "layer 'conv': padding must be >= 0"),
        (CONV, {"groups": 3}, "layer 'conv': groups must divide in_channels 6 and out_channels 4, not 3"),
        (CONV, {"kernel": (9, 9)}, "layer 'conv': the kernel must fit the padded input"),
        (CONV, {"pad_code": 2}, "layer 'conv': pad_code must be an odd integer in -3..3, not 2"),
        (CONV, {"pad_code": -5}, "layer 'conv': pad_code must be an odd integer in -3..3, not -5"),
        (DENSE, {"in_shape": (5, 0, 3)}, "layer 'fc': in_height must be an integer >= 1, not 0"),
        (DENSE, {"positions": 2}, "layer 'fc': in_shape must be (features, 1, 1) where 2 positions share the weights"),
        (POOL, {"kind": "mean"}, "layer 'pool': kind must be 'max' or 'average', not 'mean'"),
        (POOL, {"out_bits": 1}, "layer 'pool': a max pool keeps its code, so out_bits must be 2, not 1"),
        (POOL, {"padding": (3, 0, 0, 0)}, "layer 'pool': padding must be smaller than the kernel (3, 2)"),
        (POOL, {"padding": (-1, 0, 0, 0)}, "layer 'pool': padding must be >= 0"),
        (POOL, {"kernel": (6, 2)}, "layer 'pool': the kernel must fit the padded input"),
        (POOL, {"kind": "average", "padding": (1, 0, 0, 0)}, "layer 'pool': an average pool must have no padding"),
        (CONV, {"ternary": True}, "layer 'conv': ternary weights must have 2 planes and offset 0, not 3 and 0"),
        (DENSE, {"ternary": True, "weight_offset": -1}, "layer 'fc': ternary weights must have 2 planes and offset 0"),
        (SCORES, {"heads": 4}, "layer 'qk': heads must divide the channels 6 and 6, not 4"),
        (SCORES, {"over": "rows"}, "layer 'qk': over must be 'channels' or 'positions', not 'rows'"),
        (SCORES, {"over": "positions"}, "layer 'qk': the second map must have 3 positions a head, not 7"),
        (SCORES, {"other_shape": (4, 1, 7)}, "layer 'qk': the second map must have 3 channels a head, not 2"),
        (SCORES, {"in_shape": (6, 2, 5)}, "layer 'qk': both maps must be (channels, 1, positions), not (6, 2, 5)"),
        (GROWN, {"kind": "cubic"}, "layer 'up': kind must be 'nearest' or 'linear', not 'cubic'"),
        (GROWN, {"kind": "nearest"}, "layer 'up': a nearest neighbour keeps its code, so out_bits must be 2, not None"),
        (GROWN, {"coordinates": "tf"}, "layer 'up': coordinates must be 'half_pixel', 'asymmetric' or"),
        (GROWN, {"factor": (0, 1)}, "layer 'up': factor_h must be an integer >= 1, not 0"),
        (JOINED, {"parts": (3, 3)}, "layer 'cat': parts must be >= 1 and add up to 5 channels, not (3, 3)"),
        (SPACE, {"block": 5}, "layer 'space': block^2 = 25 must divide the channels 12"),
        (HOSTED, {"operands": 0}, "layer 'softmax': operands must be an integer >= 1, not 0"),
    ],
)
def test_what_a_layer_refuses(layer: Layer, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        replace(layer, **changes)  # type: ignore[arg-type]
