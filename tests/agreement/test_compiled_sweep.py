"""The compiled closed form has the bits of the vectorised one, on random layers, random designs and every cell of a core."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels import batch, compiled
from hwmodels.activity import Activity
from hwmodels.batch import COUNTS
from hwmodels.knobs import Knobs
from hwmodels.knobs import of_designs as knobs
from hwmodels.tables import COUNTS as COLUMNS
from tests.agreement.test_batch import designs_of, flat
from tests.hwmodels.samples import random_layer
from workloads.layers import Flatten, Layer
from workloads.zoo import NETWORKS

pytest.importorskip("numba")

MODES = [(kind, dataflow) for kind in ("array", "mac") for dataflow in ("weight", "activation", "best")]


def agree(layers: list[Layer], columns: Knobs) -> int:
    """Compare all counts and reasons with the numpy form; the number of feasible designs."""
    wanted = batch.evaluate(layers, columns)
    found = compiled.evaluate(layers, columns, machine_code=True)
    assert found.reason.tolist() == wanted.reason.tolist()
    check(found.activity, batch.total(wanted.layers))
    return int((wanted.reason == "").sum())


def check(found: Activity, wanted: Activity) -> None:
    left, right = flat(found), flat(wanted)
    for name in COUNTS:
        assert np.array_equal(left[name], right[name]), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
def test_random_networks_equal_the_numpy_form(seed: int, mode: tuple[str, str]) -> None:
    rng = Random(seed)
    layers = [random_layer(rng, size=rng.choice((6, 13))) for _ in range(rng.randint(1, 3))]
    agree(layers, knobs(designs_of(*mode, 16, seed)))


def test_the_samples_hold_feasible_designs_of_every_mode() -> None:
    for mode in MODES:
        assert sum(agree([random_layer(Random(seed))], knobs(designs_of(*mode, 12, seed))) for seed in range(8)) > 40


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_equal_the_numpy_form(name: str) -> None:
    rng = np.random.default_rng(len(name))
    count = 16

    def drawn(*values: int) -> Any:
        return rng.choice(np.array(values, np.int64), count)

    columns = Knobs(
        kind="array", dataflow="best", rows=drawn(8, 16, 64, 96), cols=drawn(1, 3, 8, 14), width=drawn(32, 64),
        lanes_a=drawn(1, 2), lanes_w=drawn(1, 3), max_act_bits=drawn(4, 8), max_weight_bits=drawn(3, 8),
        count_stages=drawn(1, 2), sum_stages=drawn(1, 2), acc_stages=drawn(1, 2),
        weight_depth=drawn(8192, 131072), act_depth=drawn(4096, 32768), out_depth=drawn(8192, 65536), threshold_depth=drawn(256, 8192),
        port_bits=drawn(16, 64, 256), port_shared=drawn(0, 1), port_latency=drawn(0, 20), port_burst=drawn(1, 16),
    )  # fmt: skip
    feasible = agree(list(NETWORKS[name](m=2, k=3).layers), columns)
    assert feasible > 0 or name not in ("resnet18", "alexnet", "mobilenet_v1", "cnv")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
def test_cells_of_a_core_are_designs_of_those_depths(seed: int, mode: tuple[str, str]) -> None:
    rng = Random(seed)
    layers = [random_layer(rng, size=9) for _ in range(2)]
    cores = designs_of(*mode, 3, seed)
    axes = [rng.sample((2, 16, 40, 128, 512, 4096), 3) for _ in compiled.DEPTHS]
    single = [
        replace(core, **dict(zip(compiled.DEPTHS, cell, strict=True))) for core in cores for cell in product(*axes)
    ]
    every = compiled.evaluate(layers, knobs(single), machine_code=True)
    asked = np.random.default_rng(seed).random((len(cores), 3**4)) < rng.choice((0.1, 0.5, 1))
    index = np.flatnonzero(asked)
    for machine_code in (True, False):
        reasons, counts = compiled.cells(layers, knobs(cores), axes, asked, machine_code=machine_code)
        assert reasons.tolist() == every.reason[index].tolist()
        found, wanted = flat(compiled.activity(counts)), flat(every.activity)
        for name in COUNTS:
            assert np.array_equal(found[name], wanted[name][index]), name


def test_columns_of_the_kernels_are_those_of_an_activity() -> None:
    assert sorted(COLUMNS) == sorted(COUNTS)


def test_without_numba_numpy_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, columns = [random_layer(Random(1))], knobs(designs_of("array", "best", 10))
    wanted = compiled.evaluate(layers, columns, machine_code=True)
    monkeypatch.setattr(compiled, "available", lambda: False)
    found = compiled.evaluate(layers, columns, machine_code=True)
    assert found.reason.tolist() == wanted.reason.tolist()
    check(found.activity, wanted.activity)


def test_a_network_must_cost_something() -> None:
    layers: list[Layer] = [Flatten(name="flatten", in_shape=(4, 2, 2), act_bits=1)]
    with pytest.raises(ValueError, match="network: at least one layer must cost something"):
        compiled.evaluate(layers, knobs(designs_of("array", "best", 2)), machine_code=True)
