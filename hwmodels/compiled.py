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
Bools = npt.NDArray[np.bool_]

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
    layers: Sequence[Layer], cores: Knobs, depths: Sequence[Sequence[int]], wanted: Bools, *, machine_code: bool
) -> tuple[npt.NDArray[np.str_], Ints]:
    """Cores with combinations of depths, the last of DEPTHS the fastest to change; cores' own depths do not matter.

    wanted: (cores, cells). Returns (n,) reasons and (n, COUNTS) counts of the n wanted cells, core by core. All cores must be
    legal machines.
    """
    if machine_code and available():
        return _grid(layers, cores, depths, wanted)
    core, cell = np.nonzero(wanted)
    place = np.unravel_index(cell, [len(values) for values in depths])
    own: Any = {name: np.array(values)[index] for name, values, index in zip(DEPTHS, depths, place, strict=True)}
    found = evaluate(layers, replace(cores.take(core), **own), machine_code=False)
    return found.reason, np.stack([_column(found.activity, name) for name in COUNTS], axis=1)


def _grid(
    layers: Sequence[Layer], cores: Knobs, depths: Sequence[Sequence[int]], wanted: Bools
) -> tuple[npt.NDArray[np.str_], Ints]:
    kernels = _kernels()
    orders = [np.argsort(values, kind="stable") for values in depths]
    ascending = kernels.Depths(
        *(np.array(values, np.int64)[order] for values, order in zip(depths, orders, strict=True))
    )
    count = int(wanted.sum())
    rows = np.where(wanted.reshape(-1), np.cumsum(wanted) - 1, -1).reshape(cores.size, *map(len, orders))
    own, prepared = cores_of(layers, cores)
    reasons, counts = np.empty(count, np.int64), np.empty((count, len(COUNTS)), np.int64)
    for axis, order in enumerate(orders, start=1):
        rows = np.take(rows, order, axis=axis)
    kernels.grid(own, ascending, prepared, rows.reshape(cores.size, -1), reasons, counts)
    return np.array(kernels.MISFITS)[reasons], counts


def _column(activity: Activity, name: str) -> Ints:
    """One count of a record of arrays."""
    parts = (activity.cycles, activity.actions, activity)
    return np.asarray(getattr(next(part for part in parts if hasattr(part, name)), name))


def cores_of(layers: Sequence[Layer], knobs: Knobs) -> tuple[Ints, Tables]:
    """Rows of `kernels.Core`, and the tables that they point into."""
    pairs, pair = np.unique(np.stack([knobs.rows, knobs.width]), axis=1, return_inverse=True)
    known, prepared = _tables(tuple(layers), list(map(tuple, pairs.T.tolist())))
    places = np.array([known[item] for item in map(tuple, pairs.T.tolist())], np.int64)
    widths = np.unique([width for _, width in known])
    columns = [
        knobs.rows, knobs.cols, knobs.width, knobs.act_lanes, knobs.weight_lanes, knobs.max_act_bits, knobs.max_weight_bits, knobs.pe_cycles,
        knobs.port_bits, knobs.port_shared, knobs.port_latency, knobs.port_burst,
        np.full(knobs.size, knobs.kind == "array"), np.searchsorted(widths, knobs.width), places[pair.reshape(-1)],
        np.full(knobs.size, DATAFLOWS.index(knobs.dataflow)),
    ]  # fmt: skip
    return np.stack(columns, axis=1).astype(np.int64), prepared


_KNOWN: dict[tuple[Layer, ...], tuple[dict[tuple[int, int], int], Tables]] = {}
"""Tables of some networks, and the place of every pair of rows and width in them."""
MOST_KNOWN = 64


def _tables(layers: tuple[Layer, ...], pairs: list[tuple[int, int]]) -> tuple[dict[tuple[int, int], int], Tables]:
    """Tables in which these pairs are, among others that were asked for before."""
    known, prepared = _KNOWN.get(layers, ({}, None))
    if prepared is None or not known.keys() >= set(pairs):
        known = {pair: place for place, pair in enumerate(sorted({*known, *pairs}))}
        prepared = tables(layers, list(known))
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[layers] = (known, prepared)
    return known, prepared


def _kernels() -> Any:
    """The compiled functions; numba loads here, because that takes half a second."""
    from hwmodels import kernels

    return kernels
