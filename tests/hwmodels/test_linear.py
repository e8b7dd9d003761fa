"""Prices as linear forms give the energies of `hwmodels.cost.price`, for every technology, machine and memory, at any clock."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from hwmodels import batch
from hwmodels.build import Build
from hwmodels.cost import price
from hwmodels.knobs import of_designs as knobs
from hwmodels.linear import COMPONENTS, COUNTED, CYCLES, DYNAMIC, LEAKAGE, Linear, energy_forms
from hwmodels.technology import TECHNOLOGIES, technology
from tests.agreement.test_batch import designs_of, flat
from tests.hwmodels.samples import random_layer


@pytest.mark.parametrize("name", TECHNOLOGIES)
@pytest.mark.parametrize(("kind", "memory"), [("array", "dram"), ("array", "sram"), ("mac", "dram")])
def test_forms_are_the_prices(name: str, kind: str, memory: str) -> None:
    every = knobs(designs_of(kind, "best", 40, 3))
    layers = [random_layer(Random(5)), random_layer(Random(7))]
    machines = every.take(batch.evaluate(layers, every).reason == "")
    assert machines.size > 10
    activity = batch.total(batch.evaluate(layers, machines).layers)
    values = flat(activity) | {CYCLES: activity.cycles.total}
    counts = {count: np.asarray(values[count]) for count in COUNTED}
    node, kib = technology(name), 64
    cost = price(activity, Build(knobs=machines, memory=memory, memory_kib=kib, clock_mhz=150.0), node)
    forms = energy_forms(Build(knobs=machines, memory=memory, memory_kib=kib, clock_mhz=1.0), node)
    leaking = forms[LEAKAGE].of({CYCLES: counts[CYCLES] / 150.0})
    assert np.allclose((forms[DYNAMIC].of(counts) + leaking) / 1000, cost.energy_nj, rtol=1e-13)
    for part in COMPONENTS:
        found = leaking if part == LEAKAGE else forms[part].of(counts)
        assert np.allclose(found / 1000, getattr(cost, f"energy_{part}_nj"), rtol=1e-13), part


def test_a_form_has_no_constant() -> None:
    with pytest.raises(TypeError, match="only 0 can be added, not 1"):
        _ = Linear({"a": 2.0}) + 1
    assert (np.array([1.0, 2.0]) * Linear({"a": 2.0})).of({"a": 3}).tolist() == [6.0, 12.0]
