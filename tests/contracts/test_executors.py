"""Whoever does the work: every unit once, the bytes that `work` makes of it, and what it raises."""

from __future__ import annotations

import pytest

from dse.executors.registry import EXECUTORS, executor
from dse.pool import finished


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_does_every_unit_once(name: str) -> None:
    with executor(name, workers=2) as start:
        done = list(finished(start, bytes, range(40)))
        assert dict(done) == {unit: bytes(unit) for unit in range(40)}
        assert len(done) == 40
        assert list(finished(start, bytes, [])) == []
        with pytest.raises(ValueError, match="negative count"):
            list(finished(start, bytes, [1, -1, 2]))
        assert list(finished(start, bytes, [3])) == [(3, b"\0\0\0")]
