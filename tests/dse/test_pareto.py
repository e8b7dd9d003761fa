"""The front against its definition, with ties, equal rows and NaN, in numpy and as machine code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse import pareto


def by_definition(values: np.ndarray) -> np.ndarray:
    """Every row against every other."""
    known = ~np.isnan(values).any(axis=1)
    better = [
        [bool((a <= b).all() and (a < b).any()) for a, fine in zip(values, known, strict=True) if fine] for b in values
    ]
    return np.array([fine and not any(found) for fine, found in zip(known, better, strict=True)])


def drawn(seed: int, rows: int, columns: int, levels: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (rows, columns)).astype(float)
    return np.where(rng.random(values.shape) < 0.02, np.nan, values)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32), rows=st.integers(0, 60), columns=st.integers(1, 5), levels=st.sampled_from((2, 4, 100))
)
def test_numpy_and_machine_code_are_the_definition(seed: int, rows: int, columns: int, levels: int) -> None:
    values = drawn(seed, rows, columns, levels)
    wanted = by_definition(values) if rows else np.zeros(0, np.bool_)
    assert pareto.front(values).tolist() == wanted.tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pareto, "MANY", 5)
        assert pareto.front(values).tolist() == wanted.tolist()


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_many_rows(columns: int) -> None:
    """Levels few enough for ties; the short way round must agree with the long one."""
    values = drawn(columns, 60_000, columns, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pareto, "MANY", 10**9)
        wanted = pareto.front(values)
    assert pareto.front(values).tolist() == wanted.tolist()
    assert 0 < wanted.sum() < len(values)


def test_beaten_needs_a_strict_coordinate() -> None:
    values, killers = np.array([[1.0, 1.0], [1.0, 2.0], [0.0, 9.0]]), np.array([[1.0, 1.0]])
    assert pareto.beaten(values, killers).tolist() == [False, True, False]
    assert pareto.beaten(np.repeat(values, 20_000, axis=0), killers)[::20_000].tolist() == [False, True, False]
