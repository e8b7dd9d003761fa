"""What toggles in the engine's units: structural counts times how often their bits move.

A bit of a popcount tree is the parity of n bits of the word, or close to one. Where each of the n toggles by itself with
rate p, their parity toggles with

    q(p, n) = (1 - (1 - 2 p)^n) / 2

which rises steeply and ends at 1/2: so a count costs nearly as much for data that toggle rarely as for random data, while its xnor
bits cost in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hwmodels.adders import popcount_adders
from hwmodels.rates import Rates
from hwmodels.structure import Features, Machine, Number, each, stage_bits, sum_bits

STAGES = ("operands", "count", "sum", "accumulate")
"""Parts of a PE, in the order in which operands pass them."""
PIPELINE = "pipeline"
"""The part of a PE that a second stage adds."""


def parity_rate(rate: float, bits: Number) -> Number:
    """q(p, n): how often the parity of n bits toggles that toggle by themselves with rate p."""
    return (1 - (1 - 2 * rate) ** bits) / 2


def any_rate(rate: float, bits: Number) -> Number:
    """1 - (1 - p)^n: how often at least one of n bits toggles."""
    return 1 - (1 - rate) ** bits


def pe_features(k: Machine, rates: Rates) -> dict[str, Features]:
    """What toggles in an xnor-popcount PE in a cycle of work, by part."""
    branches = k.lanes_a * k.lanes_w
    p, low, high = rates.products, parity_rate(rates.products, 3), parity_rate(rates.products, 9)
    # Data that toggle more often than by chance move a count no further.
    moved = parity_rate(min(p, 0.5), np.sqrt(k.width))
    return {
        "operands": {"pin toggle": branches * k.width * (rates.activations + rates.weights)},
        "count": {
            "xnor bit": branches * k.width * p,
            "full adder": branches * each(k.width, lambda width: popcount_adders(width)[0]) * low,
            "joining adder bit": branches * each(k.width, lambda width: popcount_adders(width)[1]) * high,
        },
        "sum": {"sum bit": sum_bits(k) * moved, "combining adder bit": (branches - 1) * sum_bits(k) * moved},
        "accumulate": {
            "accumulator bit": k.acc_bits,
            "toggling accumulator bit": k.acc_bits * moved,
            "added bit": sum_bits(k) * moved,
        },
    }


def pe_mac_features(k: Machine, rates: Rates) -> dict[str, Features]:
    """What toggles in a multiplier PE in a cycle of work, by part.

    A bit of either code toggles with rate e = a + w - a w. A product moves with it, the wider the surer, and the sum of all products
    nearly always: the exponents were read off the simulations.
    """
    m, n = k.max_act_bits, k.max_weight_bits
    either = _either(rates)
    product, moved = any_rate(either, 1 + (m + n) / 8), any_rate(either, 4 + 0.75 * (m + n))
    small = k.width * np.where(np.maximum(m, n) <= 2, 1, 0)
    wide = k.width - small
    return {
        "operands": {"pin toggle": k.width * (m * rates.activations + n * rates.weights)},
        "count": {
            "truth table": small * m * n * product,
            "pair of bits": wide * m * n * product,
            "code bit": wide * (m + n) * product,
        },
        "sum": {"tree adder bit": (k.width - 1) * (m + n) * moved, "tree adder": (k.width - 1) * moved},
        "accumulate": {
            "accumulator bit": k.acc_bits,
            "toggling accumulator bit": k.acc_bits * moved,
            "added bit": (m + n) * moved,
        },
    }


def pipeline_features(k: Machine, rates: Rates) -> Features:
    """Register bits that a second stage adds to a PE, as far as they toggle."""
    moved = any_rate(_either(rates), 2) if k.kind == "mac" else parity_rate(rates.products, 3)
    return {"pipeline bit": stage_bits(k) * moved}


def _either(rates: Rates) -> float:
    """How often one of two bits toggles, or both."""
    return rates.activations + rates.weights - rates.activations * rates.weights


PE_FEATURES: Mapping[str, Callable[[Machine, Rates], dict[str, Features]]] = {
    "pe": pe_features,
    "pe_mac": pe_mac_features,
}


def grid_features(k: Machine, rates: Rates) -> dict[str, tuple[str, Number]]:
    """What a grid has beside its PEs: by name, the action that it is counted by and how much of it that toggles.

    Results are counted by their comparisons, as if every code had all bits built; raw sums, of last layers, are left out.
    """
    return {
        "activation bit": ("activation_reads", k.width * rates.activations),
        "activation bit, a row": ("activation_reads", k.width * rates.activations * k.rows),
        "weight bit, a column": ("weight_reads", k.width * rates.weights * k.cols),
        "issue": ("accumulations", 1 / (k.rows * k.cols)),
        "result bit on its way": ("threshold_compares", k.acc_bits * k.cols / k.max_act_bits),
    }


def worked(k: Machine, part: str) -> tuple[str, Number]:
    """The action that a part of a PE works for, and the share of its energy that one such action takes.

    Operand pins, and the xnor and popcount of a plane machine, work for each pair of planes: lanes that a layer does not use cost
    nothing. A multiplier repeats the sign of a short code in the bits above it, so that all of it works for any code.
    """
    paired = part == "operands" or (part == "count" and k.kind == "array")
    return ("xnor_words", 1 / (k.act_lanes * k.weight_lanes)) if paired else ("accumulations", 1)
