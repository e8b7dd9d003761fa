"""MultiThreshold, the quantizer of FINN: out_scale * (how many thresholds the value reaches) + out_bias."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Singles
from workloads.layers import MAX_BITS
from workloads.onnx_activation import Activation, level_line
from workloads.onnx_graph import Array, GraphNode
from workloads.thresholds import Ladder, Rung

LAYOUTS = ("", "NCHW", "NC", "NHWC")


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiThreshold:
    """thresholds: (channels or 1, levels), ascending. `last`: channels are the last axis."""

    where: str
    thresholds: Array
    scale: float
    bias: float
    last: bool

    def activation(self, channels: int, rank: int) -> Activation:
        """A value on a threshold reaches it; the codes are the same whatever out_scale says."""
        rows, levels = self.thresholds.shape
        if rows not in (1, channels):
            raise ValueError(f"{self.where}: thresholds must have 1 row or {channels}, one per channel, not {rows}")
        if self.last and rows > 1 and rank != 2:
            raise ValueError(f"{self.where}: data_layout must be NCHW for thresholds per channel of a map, not NHWC")
        bits = max(1, levels.bit_length())
        if bits > MAX_BITS:
            raise ValueError(f"{self.where}: thresholds must be at most {2**MAX_BITS - 1} a channel, not {levels}")
        line = level_line(bits, Fraction(self.bias), Fraction(self.scale))
        return Activation(
            where=self.where,
            bits=bits,
            highest=levels,
            ladders=tuple(_ladder(row) for row in self.thresholds.tolist()),
            lines=(line,),
            levels=self._reached,
        )

    def _reached(self, values: Singles) -> npt.NDArray[np.integer[Any]]:
        return np.asarray((values[..., None] >= self.thresholds[:, None]).sum(axis=-1))


def read_multithreshold(node: GraphNode, thresholds: Array) -> MultiThreshold:
    """The thresholds of a node. Raises ValueError where they are malformed."""
    if thresholds.ndim != 2 or not thresholds.size:
        raise ValueError(f"{node}: thresholds must be (channels or 1, levels), not of shape {thresholds.shape}")
    layout, scale = node.text("data_layout", ""), node.real("out_scale", 1.0)
    if layout not in LAYOUTS:
        raise ValueError(f"{node}: data_layout must be NCHW, NC or NHWC, not {layout!r}")
    if scale == 0:
        raise ValueError(f"{node}: out_scale must not be 0")
    return MultiThreshold(
        where=str(node),
        thresholds=np.sort(thresholds.astype(np.float64), axis=1),
        scale=scale,
        bias=node.real("out_bias", 0.0),
        last=layout == "NHWC",
    )


def _ladder(row: list[float]) -> Ladder:
    return tuple(Rung(Fraction(value), True) for value in row)
