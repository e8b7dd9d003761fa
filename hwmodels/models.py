"""One design on one network: the door to every performance model, and the record that comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwmodels.activity import Activity, total
from hwmodels.analytical import Evaluated, evaluate_layer
from hwmodels.build import Build
from hwmodels.clocks import engine_paths
from hwmodels.cost import Cost, price, silicon
from hwmodels.design import Design
from hwmodels.exact import exact_layer, simulated_layer
from hwmodels.footprint import footprint_bits
from hwmodels.mapping import Misfit
from hwmodels.rates import RANDOM, Rates
from hwmodels.technology import Technology, technology
from workloads.layers import Conv, Dense, Layer, MatMul
from workloads.network import Network

Model = Callable[[Layer, Design], Evaluated | None]

MODELS: Mapping[str, Model] = MappingProxyType(
    {"analytical": evaluate_layer, "exact": exact_layer, "events": simulated_layer}
)
"""Every model maps a layer and a design to a mapping and its activity, or None for a layer that costs nothing."""


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One layer on one design."""

    layer: Layer
    evaluated: Evaluated
    cost: Cost
    utilisation: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A network on a design: layers in order, their sum, and its price."""

    network: Network
    design: Design
    technology: Technology
    layers: tuple[LayerResult, ...]
    activity: Activity
    cost: Cost
    utilisation: float
    rates: Rates


def evaluate(network: Network, design: Design, *, model: str = "analytical", rates: Rates = RANDOM) -> Evaluation:
    """Run a model over a network. Raises Misfit (a ValueError) naming the layer and the buffer where the network does not fit.

    `rates`: how often operand bits toggle, of the whole network; random data where nothing was observed.
    utilisation is useful branch bits (or multiplications, in the mac twin) over what the grid could do in the whole latency.
    """
    node = technology(design.technology)
    build = Build.of(design)
    results = []
    for layer in network.layers:
        evaluated = _model(model)(layer, design)
        if evaluated is not None:
            cost = price(evaluated.activity, build, node, rates)
            results.append(
                LayerResult(layer, evaluated, cost, utilisation(work(layer, design.kind), evaluated.activity, design))
            )
    check_memory(network, design)
    check_device(design, node)
    activity = total(result.evaluated.activity for result in results)
    useful = sum(work(layer, design.kind) for layer in network.layers)
    return Evaluation(
        network,
        design,
        node,
        tuple(results),
        activity,
        price(activity, build, node, rates),
        utilisation(useful, activity, design),
        rates,
    )


def work(layer: Layer, kind: str) -> int:
    """Useful operations of a layer: branch bits N*M*K per output on planes, multiplications in the mac twin."""
    if not isinstance(layer, Conv | Dense | MatMul):
        return 0
    return layer.macs * (1 if kind == "mac" else layer.act_bits * layer.weight_bits)


def utilisation(useful: int, activity: Activity, design: Design) -> float:
    """useful / (cycles x R x C x W x la x lw), or / (cycles x R x C x W) in the mac twin."""
    lanes = 1 if design.kind == "mac" else design.lanes_a * design.lanes_w
    return float(useful / (activity.cycles.total * design.rows * design.cols * design.width * lanes))


def check_memory(network: Network, design: Design) -> None:
    """Raise Misfit unless an on-chip memory holds the network."""
    if design.memory != "sram":
        return
    needed = -(-footprint_bits(network, rows=design.rows, width=design.width) // 8192)
    if needed > design.memory_kib:
        raise Misfit(
            "memory_kib", f"network {network.name!r}: memory_kib must be at least {needed}, not {design.memory_kib}"
        )


def check_device(design: Design, node: Technology) -> None:
    """Raise Misfit unless the clock is within the technology's range and the parts within the device's limits."""
    parts = silicon(Build.of(design), node)
    limit = float(parts["max_clock_mhz"])
    if design.clock_mhz > limit:
        slowest = max(engine_paths(Build.of(design), node).items(), key=lambda path: float(path[1]), default=None)
        why = f" ({slowest[0]}: {float(slowest[1]):,.0f} ps)" if slowest else ""
        raise Misfit(
            "clock_mhz", f"design: clock_mhz must be at most {limit:.4g} in {node.name}{why}, not {design.clock_mhz:g}"
        )
    for name, limit in node.limits.items():
        if parts[name] > limit:
            raise Misfit(name, f"design: {name} must be at most {limit} in {node.name}, not {parts[name]:g}")


def _model(name: str) -> Model:
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {name!r}")
    return MODELS[name]
