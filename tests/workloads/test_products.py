"""Products of codes give the integers and the counts of the branches, whatever the layer."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.agreement.engines import alone
from tests.hwmodels.samples import random_conv, random_layer
from workloads import products
from workloads.executor import run
from workloads.layers import Conv, Dense
from workloads.prepared import prepare
from workloads.random_network import random_parameters


@pytest.mark.parametrize("seed", range(60))
def test_products_are_branches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer is forced through products; masked taps, pad codes, groups, dilation and packed windows are drawn."""
    monkeypatch.setattr(products, "LEAST_BRANCHES", 1)
    monkeypatch.setattr(products, "CHUNK", 500)
    rng = Random(seed)
    layer = random_conv(rng, bits=8) if seed % 2 else random_layer(rng, bits=8)
    encoded = random_parameters(alone(layer), np.random.default_rng(seed))
    inputs = np.random.default_rng(seed).uniform(-1, 1, (3, *encoded.network.input.shape)).astype(np.float32)
    wanted = run(encoded, inputs, keep_integers=True)
    found = run(encoded, inputs, keep_integers=True, products=True)
    assert bool(prepare(encoded, products=True).products) == isinstance(layer, Conv | Dense)
    assert (found.integers[layer.name] == wanted.integers[layer.name]).all()
    assert (found.outputs == wanted.outputs).all()
    assert found.actions == wanted.actions


def test_only_many_branches_become_products_and_float32_only_where_it_is_exact() -> None:
    def chosen(m: int, k: int, features: int) -> object:
        dense = Dense(
            name="fc", in_shape=(features, 1, 1), out_channels=4, act_bits=m, weight_bits=k, out_bits=None, positions=1
        )
        return products.product_type(dense)

    assert chosen(3, 5, 10) is None
    assert chosen(4, 4, 74565) is np.float32  # 74565 * 225 = 2^24 - 91
    assert chosen(4, 4, 74566) is np.float64
    assert chosen(8, 8, 258) is np.float32
    assert chosen(8, 8, 259) is np.float64


def test_extreme_codes_reach_the_bound_exactly() -> None:
    """All codes largest: N (2^M - 1)(2^K - 1), which float32 would round if it were chosen one element too late."""
    dense = Dense(name="fc", in_shape=(259, 1, 1), out_channels=1, act_bits=8, weight_bits=8, out_bits=None)
    source = np.full((259, 1, 1, 1), 255, np.uint8)
    weights = np.full((1, 1, 259), 255.0)
    assert products.product_sums(dense, source, weights, np.int64).tolist() == [[[259 * 255 * 255]]]
