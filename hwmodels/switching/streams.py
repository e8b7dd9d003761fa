"""Operand streams for a unit by itself: bits that toggle at a given rate, each by chance and by itself, and the control of a dot product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.design import Design
from hwmodels.rates import Rates
from hwmodels.rtl.package import plane_gaps
from workloads.layers import ceil_div

Bits = npt.NDArray[np.bool_]

CYCLES = 513
"""Rows of a stream: 512 transitions."""
WORDS = 9
"""Words of a dot product, as of a 3 x 3 kernel: after so many the next pair of planes begins."""
SEED = 2019


@dataclass(frozen=True, slots=True)
class Stream:
    """A random stream by the share of bits that toggle a cycle, of activations and of weights."""

    activations: float
    weights: float

    @property
    def rates(self) -> Rates:
        """With those of the xnor of both: it toggles where one of them does and the other does not."""
        both = self.activations * (1 - self.weights) + self.weights * (1 - self.activations)
        return Rates(activations=self.activations, weights=self.weights, products=both, source="random stream")


STREAMS = tuple(
    Stream(*pair) for pair in ((0.5, 0.5), (0.25, 0.5), (0.5, 0.1), (0.25, 0.25), (0.1, 0.1), (0.02, 0.1), (0.05, 0.02))
)
"""From random data to operands that hardly move."""


def pe_stimulus(design: Design, stream: Stream, ports: Mapping[str, Sequence[int]]) -> Bits:
    """(cycles, bits) for the ports of a PE, in their order: dot products one after the other, all lanes in use."""
    rng = np.random.default_rng(SEED)
    control = _control(design, len(ports.get("shift_i", ())))
    columns = []
    for name, nets in ports.items():
        if name in ("act_i", "weight_i"):
            rate = stream.activations if name == "act_i" else stream.weights
            columns.append(toggling(rng, rate, len(nets)))
        elif name in control:
            columns.append(control[name])
        else:
            # Enables, masks and validity: nothing is left out.
            columns.append(np.ones((CYCLES, len(nets)), bool))
    return np.concatenate([column.reshape(CYCLES, -1) for column in columns], axis=1)


def toggling(rng: np.random.Generator, rate: float, bits: int) -> Bits:
    """(cycles, bits) that begin by chance and toggle by chance."""
    flips = rng.random((CYCLES, bits)) < rate
    flips[0] = rng.random(bits) < 0.5
    return np.asarray(np.logical_xor.accumulate(flips, axis=0))


def _control(design: Design, shift_bits: int) -> dict[str, Bits]:
    """The start of a dot product, the shift at the start of each further pair of planes, and the count that the bias stands for."""
    passes = ceil_div(design.max_act_bits, design.act_lanes) * ceil_div(design.max_weight_bits, design.weight_lanes)
    cycle = np.arange(CYCLES)
    begins, first = cycle % WORDS == 0, cycle % (WORDS * passes) == 0
    shift = np.zeros((CYCLES, max(1, shift_bits)), bool)
    gaps = sorted(plane_gaps(design.max_act_bits, design.max_weight_bits, design.act_lanes, design.weight_lanes))
    amount = np.where(begins & ~first, gaps[min(1, len(gaps) - 1)], 0)
    shift[cycle, np.minimum(amount, shift.shape[1] - 1)] = True
    bias = design.width * (2**design.act_lanes - 1) * (2**design.weight_lanes - 1)
    bits = design.width.bit_length() + design.act_lanes + design.weight_lanes + 1
    return {
        "first_i": first[:, None],
        "late_first_i": np.roll(first, 1)[:, None],
        "shift_i": shift,
        "late_shift_i": np.roll(shift, 1, axis=0),
        "bias_i": np.broadcast_to((bias >> np.arange(bits)) & 1 == 1, (CYCLES, bits)),
    }
