"""Shapes and counts of layers, worked by hand, and what their constructors refuse."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from workloads.layers import (
    Add,
    Conv,
    Dense,
    Flatten,
    Pool,
    accumulator_bits,
    accumulator_bound,
    ceil_div,
    output_size,
)

CONV = Conv(
    name="conv", in_shape=(6, 9, 11), out_channels=4, kernel=(2, 3), stride=(2, 3), padding=(1, 2, 3, 4),
    dilation=(3, 2), groups=2, act_bits=2, weight_bits=3, out_bits=1,
)  # fmt: skip
DENSE = Dense(name="fc", in_shape=(5, 2, 3), out_channels=7, act_bits=4, weight_bits=2, out_bits=None)
POOL = Pool(name="pool", kind="max", in_shape=(3, 5, 6), kernel=(3, 2), stride=(2, 2), act_bits=2, out_bits=2)


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


@pytest.mark.parametrize(("reduction", "m", "k", "bound"), [(1, 1, 1, 1), (3, 2, 1, 9), (576, 8, 8, 37454400)])
def test_the_accumulator_holds_both_ends_of_its_bound(reduction: int, m: int, k: int, bound: int) -> None:
    assert accumulator_bound(reduction, m, k) == bound
    bits = accumulator_bits(reduction, m, k)
    assert bound <= 2 ** (bits - 1) - 1
    assert bound > 2 ** (bits - 2) - 1


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
    ],
)
def test_what_a_layer_refuses(layer: Conv | Dense | Pool, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        replace(layer, **changes)  # type: ignore[arg-type]
