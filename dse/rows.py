"""Rows of a results table: designs of a block, priced under its settings, with the reason of every row that is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dse.experiment import Constraint, applies
from dse.results import Counts
from dse.space import Block, Setting, knobs
from dse.variants import Variant
from hwmodels.activity import Activity
from hwmodels.build import Build
from hwmodels.compiled import evaluate
from hwmodels.cost import Cost, price, silicon
from hwmodels.footprint import footprint_bits
from hwmodels.knobs import NUMERIC, Knobs
from hwmodels.models import work
from hwmodels.technology import technology
from workloads.network import Network

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.str_]
Columns = dict[str, Any]


def table_of(
    variant: Variant,
    block: Block,
    constraints: tuple[Constraint, ...],
    designs: Ints,
    *,
    wanted: Bools | None = None,
    machine_code: bool = False,
) -> tuple[pa.Table, Counts]:
    """Rows of these designs under every setting of the block, or under the `wanted` ones: (designs, settings).

    Returns a table of the feasible ones, sorted by row, and the counts of all.
    """
    if not len(designs):
        return SCHEMA.empty_table(), Counts(0, 0, {})
    machines = knobs(block, designs)
    found = evaluate(variant.network.layers, machines, machine_code=machine_code)
    reasons: Counter[str] = Counter()
    tables = [SCHEMA.empty_table()]
    for number, setting in enumerate(block.settings):
        index = np.arange(len(designs)) if wanted is None else np.flatnonzero(wanted[:, number])
        if not len(index):
            continue
        priced = _price(variant, machines.take(index), _taken(found.activity, index), setting, found.reason[index])
        reason = constrained(constraints, setting.technology, priced, priced["reason"])
        reasons.update(item for item in reason.tolist() if item)
        priced["row"] = block.first_row + designs[index] * len(block.settings) + number
        tables.append(_table(priced, reason == ""))
    table = pa.concat_tables(tables).sort_by("row")
    evaluated = len(designs) * len(block.settings) if wanted is None else int(wanted.sum())
    return table, Counts(evaluated, len(table), dict(sorted(reasons.items())), priced=evaluated)


def rows_of(
    variant: Variant, block: Block, constraints: tuple[Constraint, ...], rows: Ints, *, machine_code: bool = False
) -> tuple[pa.Table, Counts]:
    """The same of some rows of a block, by their numbers."""
    designs, settings = np.divmod(rows - block.first_row, len(block.settings))
    different, place = np.unique(designs, return_inverse=True)
    wanted = np.zeros((len(different), len(block.settings)), np.bool_)
    wanted[place.reshape(-1), settings] = True
    return table_of(variant, block, constraints, different, wanted=wanted, machine_code=machine_code)


def _taken(activity: Activity, index: Ints) -> Activity:
    """The activities of some of many designs."""

    def some(part: Any) -> dict[str, Any]:
        names = (item.name for item in fields(part) if item.name not in ("cycles", "actions"))
        return {name: getattr(part, name)[index] for name in names}

    cycles, actions = (
        replace(activity.cycles, **some(activity.cycles)),
        replace(activity.actions, **some(activity.actions)),
    )
    return replace(activity, cycles=cycles, actions=actions, **some(activity))


def _price(variant: Variant, designs: Knobs, activity: Activity, setting: Setting, reason: Reasons) -> Columns:
    node = technology(setting.technology)
    build = Build(knobs=designs, memory=setting.memory, memory_kib=setting.memory_kib, clock_mhz=setting.clock_mhz)
    reason = over(reason, "memory_kib", too_big(variant.network, designs, setting))
    parts = silicon(build, node)
    reason = over(reason, "clock_mhz", np.broadcast_to(setting.clock_mhz > parts["max_clock_mhz"], designs.size))
    for name, limit in node.limits.items():
        reason = over(reason, name, np.broadcast_to(parts[name] > limit, designs.size))
    # A design that cannot run has no cycles; its infinite throughput is dropped with its row.
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = price(activity, build, node)
    return {
        **_identity(variant, designs, setting),
        **{name: getattr(cost, name) for name in Cost.__dataclass_fields__},
        **{f"{name}_cycles": getattr(activity.cycles, f"{name}_cycles") for name in CAUSES},
        "utilisation": _utilisation(variant.network, designs, activity),
        "bound": _bound(activity),
        "reason": reason,
    }


CAUSES = ("load", "fill", "compute", "drain", "stall", "store")


def _identity(variant: Variant, designs: Knobs, setting: Setting) -> Columns:
    network = variant.network
    act_bits, weight_bits = network.max_bits
    return {
        "network": network.name,
        "precision": network.precision,
        "act_bits": act_bits,
        "weight_bits": weight_bits,
        "accuracy": variant.accuracy,
        "accuracy_source": variant.accuracy_source,
        "model_kib": network.weight_storage_bits / 8192,
        "macs": network.macs,
        "binary_ops": network.binary_ops,
        "machine": designs.kind,
        "dataflow": designs.dataflow,
        "technology": setting.technology,
        "memory": setting.memory,
        "memory_kib": setting.memory_kib,
        "clock_mhz": setting.clock_mhz,
        **{name: getattr(designs, name) for name in NUMERIC},
        "port_shared": designs.port_shared != 0,
    }


def over(reason: Reasons, name: str, broken: Bools) -> Reasons:
    """The reason so far, or `name` where it is broken and nothing was wrong yet."""
    return np.where((reason == "") & broken, name, reason)


def too_big(network: Network, designs: Knobs, setting: Setting) -> Bools:
    if setting.memory != "sram":
        return np.zeros(designs.size, np.bool_)
    pairs, where = np.unique(np.stack([designs.rows, designs.width]), axis=1, return_inverse=True)
    needed = np.array([_footprint(network, int(rows), int(width)) for rows, width in pairs.T])
    return needed[where.reshape(-1)] > setting.memory_kib * 8192


@lru_cache(maxsize=4096)
def _footprint(network: Network, rows: int, width: int) -> int:
    return footprint_bits(network, rows=rows, width=width)


def _utilisation(network: Network, designs: Knobs, activity: Activity) -> npt.NDArray[np.float64]:
    """useful / (cycles x R x C x W x la x lw), as `hwmodels.models.utilisation`."""
    done = activity.cycles.total * peak(designs)
    return np.asarray(useful(network, designs.kind) / np.maximum(1, done))


@lru_cache(maxsize=4096)
def useful(network: Network, kind: str) -> int:
    """Branch bits, or products, that a network asks for."""
    return sum(work(layer, kind) for layer in network.layers)


def peak(designs: Knobs) -> Any:
    """What the grid could do of them in a cycle."""
    lanes = 1 if designs.kind == "mac" else designs.lanes_a * designs.lanes_w
    return designs.rows * designs.cols * designs.width * lanes


def _bound(activity: Activity) -> Reasons:
    names = np.array(["compute", "drain", "load", "store"])
    busy = np.stack([getattr(activity, f"{name}_busy") for name in names])
    return np.asarray(names[np.argmax(busy, axis=0)])


class Figures(Protocol):
    """Columns of a results table by name, made when they are asked for or before."""

    def __getitem__(self, name: str, /) -> Any: ...


def constrained(constraints: tuple[Constraint, ...], technology: str, columns: Figures, reason: Reasons) -> Reasons:
    """The reason of every row, constraints included, in the order of the file."""
    for constraint in constraints:
        if applies(constraint.column, technology):
            held = np.asarray(constraint.holds(columns[constraint.column]), np.bool_)
            reason = over(reason, str(constraint), ~np.broadcast_to(held, reason.shape))
    return reason


def _table(columns: Mapping[str, Any], keep: Bools) -> pa.Table:
    """An Arrow table of the rows to keep; a scalar becomes a column of its repetitions."""
    return pa.table(
        [_column(columns[name], keep).cast(SCHEMA.field(name).type) for name in COLUMN_ORDER], schema=SCHEMA
    )


def _column(values: Any, keep: Bools) -> pa.Array:
    if np.ndim(values) == 0:
        scalar = values.item() if isinstance(values, np.generic | np.ndarray) else values
        return pa.repeat(pa.scalar(scalar), int(keep.sum()))
    kept = values[keep]
    return pa.array(kept.tolist(), pa.string()) if kept.dtype.kind == "U" else pa.array(kept)


COLUMN_ORDER = (
    "row", "network", "precision", "act_bits", "weight_bits", "machine", "dataflow", *NUMERIC,
    "memory", "memory_kib", "clock_mhz", "technology", "accuracy", "accuracy_source", "model_kib", "macs", "binary_ops",
    *Cost.__dataclass_fields__, *(f"{name}_cycles" for name in CAUSES), "utilisation", "bound",
)  # fmt: skip
"""Columns of a part, in order."""
TEXTS = ("network", "precision", "machine", "dataflow", "memory", "technology", "accuracy_source", "bound")
WHOLE = (
    "row", "act_bits", "weight_bits", *NUMERIC, "memory_kib", "macs", "binary_ops", "latency_cycles", *(f"{name}_cycles" for name in CAUSES),
)  # fmt: skip
SCHEMA = pa.schema(
    (
        name,
        pa.bool_()
        if name == "port_shared"
        else pa.string()
        if name in TEXTS
        else pa.int64()
        if name in WHOLE
        else pa.float64(),
    )
    for name in COLUMN_ORDER
)
"""The same with their types."""
