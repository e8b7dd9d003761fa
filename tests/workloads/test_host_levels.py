"""Inputs that the host quantizes by levels of its own: counting, shapes, and the way through a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import tiny_network
from workloads import files
from workloads.encoded import HostLevels
from workloads.encoding import host_codes

RISING, FALLING = np.array([1], np.int64), np.array([-1], np.int64)


def levels(sign: np.ndarray, rows: int = 1) -> HostLevels:
    """15 thresholds a row, some never reached."""
    values = np.sort(np.random.default_rng(0).normal(size=(rows, 15)).astype(np.float32), axis=1)
    values[:, -2:], values[:, 0] = np.inf, -np.inf
    return HostLevels(np.repeat(sign, rows), values)


@pytest.mark.parametrize("rows", [1, 3, 3 * 6 * 6])
@pytest.mark.parametrize("sign", [RISING, FALLING])
def test_codes_are_counted(rows: int, sign: np.ndarray) -> None:
    found = levels(sign, rows)
    network = replace(tiny_network(), input_levels=found)
    images = np.random.default_rng(1).normal(size=(2, 3, 6, 6))
    images[0, 0, 0] = found.values[0, 3:9]  # equal to a threshold: reached
    spread = images.astype(np.float32).reshape(2, rows, -1)
    wanted = (found.sign[:, None, None] * spread[..., None] >= found.values[:, None]).sum(axis=-1)
    assert (host_codes(network, images) == wanted.reshape(images.shape)).all()


def test_levels_pass_through_a_file(tmp_path: Path) -> None:
    network = replace(tiny_network(), input_levels=levels(FALLING, 3))
    files.save(network, tmp_path / "net.safetensors")
    read = files.load(tmp_path / "net.safetensors").input_levels
    assert read is not None
    assert network.input_levels is not None
    assert (read.values == network.input_levels.values).all()
    assert (read.sign == network.input_levels.sign).all()


def test_malformed_levels_are_refused() -> None:
    rows = np.zeros((1, 3), np.float32)
    for sign, values, words in (
        (RISING, rows.astype(np.float64), "must be float32"),
        (RISING, rows + np.float32([[2, 1, 0]]), "ascend"),
        (RISING, rows + np.float32(np.nan), "ascend"),
        (RISING * 2, rows, r"-1 or \+1"),
        (np.array([1, 1]), rows, "one sign a channel"),
    ):
        with pytest.raises(ValueError, match=f"host levels: .*{words}"):
            HostLevels(sign, values)
    with pytest.raises(ValueError, match=r"host levels must have a shape of \[\(1, 15\), \(3, 15\), \(108, 15\)\]"):
        replace(tiny_network(), input_levels=HostLevels(RISING, rows))
    with pytest.raises(ValueError, match="not NaN"):
        host_codes(replace(tiny_network(), input_levels=levels(RISING)), np.full((1, 3, 6, 6), np.nan))
