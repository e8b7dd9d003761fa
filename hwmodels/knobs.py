"""Many designs at once: the knobs of `Design` as arrays, and which of them make no machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.design import MAX_ACC_BITS, Design

Ints = npt.NDArray[np.int64]

ILLEGAL = ("rows x width", "port_bits x width", "lanes_a", "lanes_w")
"""The four rules of `hwmodels.design.illegal`, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Many designs of one kind and dataflow: every numeric knob of `Design` as a (designs,) int64 array."""

    kind: str
    dataflow: str
    rows: Ints
    cols: Ints
    width: Ints
    lanes_a: Ints
    lanes_w: Ints
    max_act_bits: Ints
    max_weight_bits: Ints
    count_stages: Ints
    sum_stages: Ints
    acc_stages: Ints
    weight_depth: Ints
    act_depth: Ints
    out_depth: Ints
    threshold_depth: Ints
    port_bits: Ints
    port_shared: Ints
    port_latency: Ints
    port_burst: Ints

    @property
    def size(self) -> int:
        """Number of designs."""
        return len(self.rows)

    @property
    def act_lanes(self) -> Ints:
        """Activation planes that one entry carries: all of them in the mac twin."""
        return self.max_act_bits if self.kind == "mac" else self.lanes_a

    @property
    def weight_lanes(self) -> Ints:
        """Weight planes that one entry carries: all of them in the mac twin."""
        return self.max_weight_bits if self.kind == "mac" else self.lanes_w

    @property
    def pe_cycles(self) -> Ints:
        """Cycles from a PE's operands to its accumulator."""
        return self.count_stages + self.sum_stages + self.acc_stages

    @property
    def acc_bits(self) -> Ints:
        """Accumulator width, as `Design.acc_bits`."""
        longest = self.width * self.weight_depth // 2
        exponent = np.ceil(np.log2(longest)).astype(np.int64)
        return np.asarray(np.minimum(MAX_ACC_BITS, self.max_act_bits + self.max_weight_bits + exponent + 1))

    def take(self, index: Any) -> Knobs:
        """The designs at `index` (indices, mask or slice)."""
        return Knobs(
            kind=self.kind,
            dataflow=self.dataflow,
            **{name: getattr(self, name)[index] for name in NUMERIC},
        )


def of_designs(designs: Sequence[Design]) -> Knobs:
    """Designs of one kind and dataflow as arrays."""
    columns = {name: np.array([getattr(item, name) for item in designs], np.int64) for name in NUMERIC}
    return Knobs(kind=designs[0].kind, dataflow=designs[0].dataflow, **columns)


NUMERIC = tuple(item.name for item in fields(Knobs) if item.name not in ("kind", "dataflow"))


def illegal_reasons(knobs: Knobs) -> npt.NDArray[np.str_]:
    """The first broken rule of each design, "" where it is a machine."""
    plane = knobs.kind == "array"
    broken = [
        (knobs.rows % knobs.width != 0) & (knobs.width % knobs.rows != 0),
        (knobs.port_bits % knobs.width != 0) & (knobs.width % knobs.port_bits != 0),
        plane & (knobs.lanes_a > knobs.max_act_bits),
        plane & (knobs.lanes_w > knobs.max_weight_bits),
    ]
    return np.select(broken, list(ILLEGAL), default="").astype("U32")
