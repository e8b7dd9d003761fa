"""What every choice of bits costs on one design: integers, from the closed form, layer by layer.

Layers run one after the other, so cycles, energy and weight bits of a network are sums over its layers. Energy is rounded to
whole femtojoules a layer: a sum of L layers is within L / 2 fJ of the price of the whole network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dse.bits.fronts import Ints
from dse.bits.problem import Problem, Step
from hwmodels.batch import evaluate_alike
from hwmodels.build import Build
from hwmodels.cost import price
from hwmodels.design import Design
from hwmodels.technology import technology
from workloads.layers import Contraction, Layer
from workloads.network import at_bits

FJ_PER_NJ = 1e6
UNITS: Mapping[str, str] = MappingProxyType({"latency": "cycles", "energy": "fJ", "size": "bit"})
"""The costs of a layer and the units in which they are whole numbers."""


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Costs of one step by name, each (values of M read, values of K, values of M written) int64, and which can run."""

    costs: Mapping[str, Ints]
    possible: npt.NDArray[np.bool_]
    reasons: tuple[str, ...]
    """Why choices cannot run, each reason once."""


def step_costs(problem: Problem, design: Design) -> tuple[StepCosts, ...]:
    """The costs of all steps on a design; equal layers are evaluated once."""
    known: dict[tuple[object, ...], StepCosts] = {}
    found = []
    for step in problem.steps:
        key = (replace(step.layer, name=""), *_axes(problem, step), step.pairs)
        if key not in known:
            known[key] = _step_costs(problem, step, design)
        found.append(known[key])
    return tuple(found)


def _axes(problem: Problem, step: Step) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int | None, ...]]:
    """Values of M read, K, and M written; a step that writes no group keeps what its layer emits."""
    reads = problem.groups[step.reads].values
    return reads, step.weight_bits, (None,) if step.writes is None else problem.groups[step.writes].values


def _step_costs(problem: Problem, step: Step, design: Design) -> StepCosts:
    axes = _axes(problem, step)
    shape = tuple(len(axis) for axis in axes)
    versions = [_version(step, *bits) for bits in product(*axes)]
    legal = [index for index, layer in enumerate(versions) if layer is not None]
    activity, reasons = evaluate_alike([layer for layer in versions if layer is not None], design)
    # What cannot run takes no cycles; its infinite throughput is never read.
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = price(activity, Build.of(design), technology(design.technology))
    possible = np.zeros(len(versions), np.bool_)
    possible[legal] = reasons == ""
    size = [layer.weights * layer.weight_bits if isinstance(layer, Contraction) else 0 for layer in versions]
    whole = {
        "latency": _spread(cost.latency_cycles, legal, len(versions)),
        "energy": _spread(np.rint(cost.energy_nj * FJ_PER_NJ), legal, len(versions)),
        "size": np.array(size, np.int64),
    }
    return StepCosts(
        MappingProxyType({name: values.reshape(shape) for name, values in whole.items()}),
        possible.reshape(shape),
        tuple(sorted({str(reason) for reason in reasons if reason})),
    )


def _spread(values: npt.NDArray[np.generic], places: Sequence[int], count: int) -> Ints:
    found = np.zeros(count, np.int64)
    found[places] = values
    return found


def _version(step: Step, act: int, weight: int, out: int | None) -> Layer | None:
    """The layer at these bits, or None where that is not allowed or not possible. Without products it writes what it reads."""
    layer = step.layer
    if not isinstance(layer, Contraction):
        return at_bits(layer, act, 0, None if layer.out_bits is None else act)
    if (act, weight) not in step.pairs:
        return None
    try:
        return at_bits(layer, act, weight, layer.out_bits if out is None else out)
    except ValueError:
        return None
