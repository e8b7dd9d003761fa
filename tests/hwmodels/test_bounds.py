"""A bound is never above the closed form, on random layers and designs, and not far below it on whole networks."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels import batch
from hwmodels.bounds import BOUNDED, least
from hwmodels.knobs import illegal_reasons
from hwmodels.knobs import of_designs as knobs
from tests.agreement.test_batch import MODES, designs_of, flat
from tests.hwmodels.samples import random_layer
from workloads.layers import Layer
from workloads.zoo import NETWORKS


def slack(layers: list[Layer], mode: tuple[str, str], count: int, seed: int, **changes: int) -> dict[str, np.ndarray]:
    """Value / bound of the counts of every feasible design, after a check that no bound is above its value."""
    designs = knobs(designs_of(*mode, count, seed, **changes))
    designs = designs.take(illegal_reasons(designs) == "")
    found = batch.evaluate(layers, designs)
    values, fits = flat(batch.total(found.layers)), found.reason == ""
    bounds = least(layers, designs)
    for name in BOUNDED:
        assert (bounds[name][fits] <= values[name][fits]).all(), name
    return {name: values[name][fits] / np.maximum(bounds[name][fits], 1) for name in BOUNDED}


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
def test_no_bound_is_above_the_value(seed: int, mode: tuple[str, str]) -> None:
    rng = Random(seed)
    slack([random_layer(rng, size=rng.choice((6, 13))) for _ in range(rng.randint(1, 2))], mode, 16, seed)


def test_bounds_are_close_on_whole_networks() -> None:
    """Close enough to skip what is far from the front; what is read again for every tile is not bound."""
    layers = list(NETWORKS["resnet18"](m=2, k=2).layers)
    roomy = {"weight_depth": 65536, "act_depth": 8192, "out_depth": 16384, "threshold_depth": 2048}
    ratios = slack(layers, ("array", "best"), 24, 1, width=64, port_bits=64, max_act_bits=8, max_weight_bits=8, **roomy)
    assert len(ratios["accumulations"]) > 8
    for name in ("accumulations", "combines", "threshold_compares", "activation_reads", "memory_write_bits"):
        assert np.median(ratios[name]) < 1.1, name
    assert np.median(ratios["memory_read_bits"]) < 1.5
