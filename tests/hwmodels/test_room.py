"""The least room of a network is what decides, for every design, whether the closed form finds a reason against it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels import batch
from hwmodels.knobs import illegal_reasons
from hwmodels.knobs import of_designs as knobs
from hwmodels.room import room
from tests.agreement.test_batch import MODES, designs_of
from tests.hwmodels.samples import random_layer
from workloads.layers import Layer
from workloads.zoo import NETWORKS


def agreed(layers: list[Layer], mode: tuple[str, str], count: int, seed: int, **changes: int) -> int:
    """Compare with the reasons of the closed form; how many designs are feasible."""
    designs = knobs(designs_of(*mode, count, seed, **changes))
    designs = designs.take(illegal_reasons(designs) == "")
    least = room(layers, designs)
    enough = [getattr(designs, name) >= depths for name, depths in least.depths.items()]
    reasons = batch.evaluate(layers, designs).reason
    assert (np.all(enough, axis=0) & least.runs).tolist() == (reasons == "").tolist()
    return int((reasons == "").sum())


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
def test_what_fits_is_what_the_closed_form_finds_no_reason_against(seed: int, mode: tuple[str, str]) -> None:
    rng = Random(seed)
    agreed([random_layer(rng, size=rng.choice((6, 13))) for _ in range(rng.randint(1, 3))], mode, 16, seed)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
def test_the_corner_fits_and_one_less_of_anything_does_not(seed: int, mode: tuple[str, str]) -> None:
    layers = [random_layer(Random(seed), size=6)]
    designs = knobs(designs_of(*mode, 12, seed, max_act_bits=8, max_weight_bits=8))
    designs = designs.take(illegal_reasons(designs) == "")
    least = room(layers, designs)
    corner = replace(designs, **{name: np.maximum(depths, 2) for name, depths in least.depths.items()})
    assert ((batch.evaluate(layers, corner).reason == "") == least.runs).all()
    for name, depths in least.depths.items():
        less = replace(corner, **{name: np.maximum(depths - 1, 2)})
        assert (batch.evaluate(layers, less).reason[depths > 2] != "").all(), name


def test_of_a_whole_network_too_and_some_fit_and_some_do_not() -> None:
    layers = list(NETWORKS["resnet18"](m=2, k=2).layers)
    built = {"width": 64, "port_bits": 64, "max_act_bits": 8, "max_weight_bits": 8}
    some = agreed(
        layers,
        ("array", "best"),
        60,
        3,
        weight_depth=8192,
        act_depth=4096,
        out_depth=8192,
        threshold_depth=1024,
        **built,
    )
    assert some > 0
    assert (
        agreed(layers, ("array", "best"), 60, 3, weight_depth=2048, act_depth=2048, threshold_depth=256, **built) < 60
    )
