"""The closed form of whole networks on many designs: machine code where it pays and can be had, numpy elsewhere.

Both give the same integers. Every count but the stalls is integer arithmetic; a stall is a sum of float64 terms in the order of
`hwmodels.batch`, rounded up, and operands below 2^53 are exact in both, so the sums have the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels import batch
from hwmodels.activity import Activity, Cycles
from hwmodels.design import DATAFLOWS
from hwmodels.knobs import Knobs, illegal_reasons
from hwmodels.tables import COUNTS, Tables, tables
from workloads.actions import Actions
from workloads.layers import Layer

Ints = npt.NDArray[np.int64]

WORTHWHILE = 2000
"""Designs from which machine code pays: it loads in a second, in which numpy does about as many of ResNet-18 (measured)."""


@dataclass(frozen=True, slots=True)
class Summed:
    """Activity of a whole network on many designs, zeros where it does not fit, and the reason why not ("" if it does)."""

    activity: Activity
    reason: npt.NDArray[np.str_]


def evaluate(layers: Sequence[Layer], knobs: Knobs, *, machine_code: bool) -> Summed:
    """Sum over the layers of each at its best mapping, on designs in any order.

    `machine_code` without numba (extra `fast`) is numpy.
    """
    if not (machine_code and available()):
        found = batch.evaluate(layers, knobs)
        return Summed(batch.total(found.layers), found.reason)
    reason = illegal_reasons(knobs)
    legal = np.flatnonzero(reason == "")
    counts = np.zeros((knobs.size, len(COUNTS)), np.int64)
    if len(legal):
        reason[legal], counts[legal] = _designs(layers, knobs.take(legal))
    return Summed(activity(counts), reason)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def activity(counts: Ints) -> Activity:
    """The record of (..., COUNTS) counts, as (...) arrays."""
    column: dict[str, Any] = {name: counts[..., index] for index, name in enumerate(COUNTS)}
    return Activity(
        cycles=Cycles(**{item.name: column[item.name] for item in fields(Cycles)}),
        actions=Actions(**{item.name: column[item.name] for item in fields(Actions)}),
        **{item.name: column[item.name] for item in fields(Activity) if item.name not in ("cycles", "actions")},
    )


def _designs(layers: Sequence[Layer], knobs: Knobs) -> tuple[npt.NDArray[np.str_], Ints]:
    """(designs,) reasons and (designs, COUNTS) counts of legal designs."""
    kernels = _kernels()
    cores, prepared = cores_of(layers, knobs)
    depths = np.stack([getattr(knobs, name) for name in DEPTHS], axis=1)
    reasons, counts = np.empty(knobs.size, np.int64), np.empty((knobs.size, len(COUNTS)), np.int64)
    kernels.designs(cores, depths, prepared, reasons, counts)
    return np.array(kernels.MISFITS)[reasons], counts


DEPTHS = ("weight_depth", "act_depth", "out_depth", "threshold_depth")
"""Knobs that a core does not have, in the order of `Knobs` and of the kernels."""


def cells(
    layers: Sequence[Layer], cores: Knobs, depths: Sequence[Sequence[int]], *, machine_code: bool
) -> tuple[npt.NDArray[np.str_], Ints]:
    """Every core with every combination of depths, the last of DEPTHS the fastest to change; cores' own depths do not matter.

    Returns (cores, cells) reasons and (cores, cells, COUNTS) counts. All cores must be legal machines.
    """
    sizes = [len(values) for values in depths]
    if machine_code and available():
        return _grid(layers, cores, depths)
    place = np.unravel_index(np.tile(np.arange(np.prod(sizes)), cores.size), sizes)
    designs = cores.take(np.repeat(np.arange(cores.size), np.prod(sizes)))
    own: Any = {name: np.array(values)[index] for name, values, index in zip(DEPTHS, depths, place, strict=True)}
    found = evaluate(layers, replace(designs, **own), machine_code=False)
    columns = np.stack([_column(found.activity, name) for name in COUNTS], axis=1)
    return found.reason.reshape(cores.size, -1), columns.reshape(cores.size, -1, len(COUNTS))


def _grid(layers: Sequence[Layer], cores: Knobs, depths: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.str_], Ints]:
    kernels = _kernels()
    orders = [np.argsort(values, kind="stable") for values in depths]
    ascending = kernels.Depths(
        *(np.array(values, np.int64)[order] for values, order in zip(depths, orders, strict=True))
    )
    sizes = tuple(len(order) for order in orders)
    rows, prepared = cores_of(layers, cores)
    reasons = np.empty((cores.size, int(np.prod(sizes))), np.int64)
    counts = np.empty((*reasons.shape, len(COUNTS)), np.int64)
    kernels.grid(rows, ascending, prepared, reasons, counts)
    back = np.ravel_multi_index(np.ix_(*(np.argsort(order) for order in orders)), sizes).reshape(-1)
    return np.array(kernels.MISFITS)[reasons[:, back]], counts[:, back]


def _column(activity: Activity, name: str) -> Ints:
    """One count of a record of arrays."""
    parts = (activity.cycles, activity.actions, activity)
    return np.asarray(getattr(next(part for part in parts if hasattr(part, name)), name))


def cores_of(layers: Sequence[Layer], knobs: Knobs) -> tuple[Ints, Tables]:
    """Rows of `kernels.Core`, and the tables that they point into."""
    pairs, pair = np.unique(np.stack([knobs.rows, knobs.width]), axis=1, return_inverse=True)
    _, width = np.unique(knobs.width, return_inverse=True)
    columns = [
        knobs.rows, knobs.cols, knobs.width, knobs.act_lanes, knobs.weight_lanes, knobs.max_act_bits, knobs.max_weight_bits, knobs.pe_cycles,
        knobs.port_bits, knobs.port_shared, knobs.port_latency, knobs.port_burst,
        np.full(knobs.size, knobs.kind == "array"), width, pair.reshape(-1),
        np.full(knobs.size, DATAFLOWS.index(knobs.dataflow)),
    ]  # fmt: skip
    return np.stack(columns, axis=1).astype(np.int64), _tables(tuple(layers), tuple(map(tuple, pairs.T.tolist())))


@lru_cache(maxsize=64)
def _tables(layers: tuple[Layer, ...], pairs: tuple[tuple[int, int], ...]) -> Tables:
    return tables(layers, pairs)


def _kernels() -> Any:
    """The compiled functions; numba loads here, because that takes half a second."""
    from hwmodels import kernels

    return kernels
