"""What is to be chosen: an M for every group of maps that must share it, a K for every layer with weights.

`workloads.network.with_bits` is the rule: a layer reads codes of its own M, and whoever makes them must emit as many bits;
all layers that reduce no products hand the demand on. So all maps that such layers connect are one group with one M, and a layer
with weights sits between the group it reads and the group it writes. A product of two maps takes its K from the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from workloads.layers import Contraction, Free, Layer, sources
from workloads.network import Network

Pairs = tuple[tuple[int, int], ...]
"""Allowed (M, K) of a layer."""


@dataclass(frozen=True, slots=True)
class Group:
    """Maps that share one M, by the names of the layers that make them, and the values that M may take."""

    maps: tuple[str, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A layer that costs something, in network order: the group it reads, the second one if it has one, the one it writes.

    `writes` is None where raw sums leave the machine; `pairs` is empty for a layer without products, which reads and writes
    one group. `weight_bits` are the values of K: to be chosen, or those of the second group; (0,) where there is none.
    """

    layer: Layer
    reads: int
    second: int | None
    writes: int | None
    pairs: Pairs
    weight_bits: tuple[int, ...]

    @property
    def roles(self) -> tuple[int | None, int | None, int | None]:
        """The group of each axis of a table of costs: M read, K, M written; None where an axis has none."""
        return self.reads, self.second, self.writes


@dataclass(frozen=True, slots=True)
class Problem:
    """The choices of a network."""

    network: Network
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    source: int
    """The group of the network input."""

    @property
    def assignments(self) -> int:
        """How many assignments of bits there are, feasible or not."""
        return prod(len(group.values) for group in self.groups) * prod(
            len(step.weight_bits) for step in self.steps if step.second is None
        )

    @property
    def states(self) -> int:
        """The most combinations of M that a search holds at once: those of all groups that a step touches or that are still needed."""
        last = {group: place for place, step in enumerate(self.steps) for group in step.roles if group is not None}
        live, most = {self.source}, 1
        for place, step in enumerate(self.steps):
            live |= {group for group in step.roles if group is not None}
            most = max(most, prod(len(self.groups[group].values) for group in live))
            live = {group for group in live if last[group] > place}
        return most


def problem_of(network: Network, allowed: Mapping[str, Pairs]) -> Problem:
    """The choices of a network, given the allowed (M, K) of every layer with weights.

    The input keeps its bits: the M of a layer that reads it belongs to the input. Raises ValueError where the readers of one
    group have no M in common.
    """
    maps = _joined(network)
    raw = {node.layer.name for node in network.nodes if node.layer.out_bits is None}
    leaders = [leader for leader in dict.fromkeys(maps.values()) if leader not in raw]
    values = {leader: set(range(1, 9)) for leader in leaders}
    readers: dict[str, list[str]] = {leader: [] for leader in leaders}
    for name, leader, possible in _demands(network, maps, allowed):
        readers[leader].append(name)
        values[leader] &= possible
        if not values[leader]:
            raise ValueError(
                f"network {network.name!r}: {', '.join(readers[leader])} share one M, but no M is allowed to all of them"
            )
    groups = tuple(
        Group(tuple(name for name, found in maps.items() if found == leader), tuple(sorted(values[leader])))
        for leader in leaders
    )
    place = {name: leaders.index(leader) for name, leader in maps.items() if leader in leaders}
    steps = tuple(_steps(network, place, groups, allowed))
    return Problem(network, groups, steps, place[network.input.name])


def _joined(network: Network) -> dict[str, str]:
    """Every map and the first map of its group."""
    leader = {network.input.name: network.input.name}
    for node in network.nodes:
        name = node.layer.name
        leader[name] = name
        for other in () if isinstance(node.layer, Contraction) else node.inputs:
            _merge(leader, other, name)
    return leader


def _merge(leader: dict[str, str], first: str, second: str) -> None:
    kept, lost = leader[first], leader[second]
    for name, found in leader.items():
        if found == lost:
            leader[name] = kept


def _demands(
    network: Network, maps: Mapping[str, str], allowed: Mapping[str, Pairs]
) -> Iterator[tuple[str, str, set[int]]]:
    """(who, group, the values of M that are possible to it): the input, every reader, and maps that nobody reads."""
    yield network.input.name, maps[network.input.name], {network.input.bits}
    read = {name for node in network.nodes for name in node.inputs}
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, Contraction):
            yield layer.name, maps[node.inputs[0]], {m for m, _ in allowed[layer.name]}
            for second in node.inputs[1:]:
                yield layer.name, maps[second], {k for _, k in allowed[layer.name]}
        # A map that nobody reads keeps its bits, and what hands codes on to it, or sums them up, keeps those it reads.
        kept = layer.out_bits if isinstance(layer, Contraction) else layer.act_bits
        if layer.name not in read and kept is not None:
            yield layer.name, maps[layer.name], {kept}


def _steps(
    network: Network, place: Mapping[str, int], groups: tuple[Group, ...], allowed: Mapping[str, Pairs]
) -> Iterator[Step]:
    for node in network.nodes:
        layer, reads = node.layer, place[node.inputs[0]]
        if isinstance(layer, Contraction):
            second = place[node.inputs[1]] if len(sources(layer)) > 1 else None
            writes = None if layer.out_bits is None else place[layer.name]
            pairs = tuple((m, k) for m, k in allowed[layer.name] if m in groups[reads].values)
            chosen = tuple(sorted({k for _, k in pairs}))
            yield Step(layer, reads, second, writes, pairs, chosen if second is None else groups[second].values)
        elif not isinstance(layer, Free):
            yield Step(layer, reads, None, None, (), (0,))
