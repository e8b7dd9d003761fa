"""Machine code gives numpy's branch sums, and is fetched only where much is asked for."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import kernels
from workloads.compiled import COLUMNS, Meter, machine_code


@pytest.fixture(scope="module", autouse=True)
def _numba() -> None:
    pytest.importorskip("numba")


@settings(max_examples=60, deadline=None)
@given(
    planes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    words=st.integers(1, 8),
    groups=st.integers(1, 2),
    rows=st.integers(1, 5),
    columns=st.sampled_from([1, 2, 7, 64, COLUMNS - 1, COLUMNS, COLUMNS + 3]),
    wide=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_machine_code_is_numpy(
    planes: tuple[int, int], words: int, groups: int, rows: int, columns: int, wide: bool, seed: int
) -> None:
    rng, dtype = np.random.default_rng(seed), np.int64 if wide else np.int32
    left = rng.integers(0, 2**64, size=(planes[0], words, groups, rows), dtype=np.uint64, endpoint=False)
    right = rng.integers(0, 2**64, size=(planes[1], words, groups, columns), dtype=np.uint64, endpoint=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "METER", Meter(2**62))
        wanted = kernels.branch_sums(left, right, dtype)
        patch.setattr(kernels, "METER", Meter(0))
        found = kernels.branch_sums(left, right, dtype)
    assert (found.sums == wanted.sums).all()
    assert (found.xnor_words, found.combines) == (wanted.xnor_words, wanted.combines)


def test_only_much_work_on_64_bit_words_is_compiled() -> None:
    meter = Meter(100)
    assert meter.kernel(100, np.dtype(np.uint64)) is None
    assert meter.kernel(1, np.dtype(np.uint64)) is machine_code() is not None
    assert meter.kernel(1000, np.dtype(np.uint32)) is None


def test_without_numba_numpy_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    machine_code.cache_clear()
    assert Meter(0).kernel(1, np.dtype(np.uint64)) is None
    machine_code.cache_clear()


@settings(max_examples=100, deadline=None)
@given(bits=st.integers(1, 8), seed=st.integers(0, 1000))
def test_levels_counted_are_levels_searched(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.integers(-9, 9, size=(3, 40)).astype(np.int32)
    values = np.sort(rng.integers(-9, 9, size=(3, 2**bits - 1)), axis=1).astype(np.int32)
    assert (kernels._counted(sums, values) == kernels._searched(sums, values)).all()
