"""The space to try: axes with their values, decoded from a row number and never held as a list of points.

A space is a union of blocks, one per network, machine kind and dataflow. Inside a block, designs form a full grid
over the integer knobs, and every design is priced under every setting (technology, memory, clock). A row number is
block.first_row + design * settings + setting, so any row can be named, found again and explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodels.design import Design
from hwmodels.knobs import NUMERIC, Knobs
from workloads.network import Network

FULL = 0
"""In lanes_a and lanes_w: as many lanes as the network has bits. In max_*_bits: built for exactly this network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Values to try for every knob of `Design`; the defaults are those of `Design`, bit widths follow the network."""

    machine: tuple[str, ...] = ("array",)
    dataflow: tuple[str, ...] = ("best",)
    technology: tuple[str, ...] = ("asic45",)
    memory: tuple[str, ...] = ("dram",)
    memory_kib: tuple[int, ...] = (0,)
    clock_mhz: tuple[float, ...] = (200.0,)
    rows: tuple[int, ...] = (16,)
    cols: tuple[int, ...] = (8,)
    width: tuple[int, ...] = (64,)
    lanes_a: tuple[int, ...] = (1,)
    lanes_w: tuple[int, ...] = (1,)
    max_act_bits: tuple[int, ...] = (FULL,)
    max_weight_bits: tuple[int, ...] = (FULL,)
    count_stages: tuple[int, ...] = (1,)
    sum_stages: tuple[int, ...] = (1,)
    acc_stages: tuple[int, ...] = (1,)
    weight_depth: tuple[int, ...] = (1024,)
    act_depth: tuple[int, ...] = (1024,)
    out_depth: tuple[int, ...] = (1024,)
    threshold_depth: tuple[int, ...] = (32,)
    port_bits: tuple[int, ...] = (64,)
    port_shared: tuple[bool, ...] = (True,)
    port_latency: tuple[int, ...] = (20,)
    port_burst: tuple[int, ...] = (16,)

    def __post_init__(self) -> None:
        for item in fields(Space):
            if not getattr(self, item.name):
                raise ValueError(f"space.{item.name}: at least one value must be given, not none")


@dataclass(frozen=True, slots=True)
class Setting:
    """What prices a design without changing its cycles."""

    technology: str
    memory: str
    memory_kib: int
    clock_mhz: float


@dataclass(frozen=True, slots=True)
class Block:
    """One network, machine kind and dataflow: a grid of designs times settings."""

    network: int
    kind: str
    dataflow: str
    axes: tuple[tuple[str, tuple[int, ...]], ...]
    settings: tuple[Setting, ...]
    first_row: int

    @property
    def designs(self) -> int:
        """Designs of the grid, settings not counted."""
        return prod(len(values) for _, values in self.axes)

    @property
    def rows(self) -> int:
        """Rows of the block."""
        return self.designs * len(self.settings)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Designs start..stop of one block: the unit of work, of storage and of resuming."""

    index: int
    block: Block
    start: int
    stop: int


def blocks(space: Space, networks: Sequence[Network]) -> tuple[Block, ...]:
    """All blocks in row order."""
    found: list[Block] = []
    first = 0
    for number, network in enumerate(networks):
        for kind in space.machine:
            for dataflow in space.dataflow:
                block = Block(number, kind, dataflow, _axes(space, kind, network), settings(space), first)
                found.append(block)
                first += block.rows
    return tuple(found)


def chunks(all_blocks: Sequence[Block], designs: int) -> Iterator[Chunk]:
    """The blocks cut into chunks of at most `designs` designs, numbered over the whole space."""
    index = 0
    for block in all_blocks:
        for start in range(0, block.designs, designs):
            yield Chunk(index, block, start, min(block.designs, start + designs))
            index += 1


def knobs(block: Block, designs: npt.NDArray[np.int64]) -> Knobs:
    """The designs of these numbers of a block, as arrays."""
    places = np.unravel_index(designs, [len(values) for _, values in block.axes])
    columns = {
        name: np.array(values, np.int64)[place] for (name, values), place in zip(block.axes, places, strict=True)
    }
    return Knobs(kind=block.kind, dataflow=block.dataflow, **columns)


def design(all_blocks: Sequence[Block], row: int) -> tuple[Block, Design]:
    """The block and the design of one row. Raises ValueError for a row outside the space or knobs that make no machine."""
    total = all_blocks[-1].first_row + all_blocks[-1].rows
    if not 0 <= row < total:
        raise ValueError(f"row must be between 0 and {total - 1}, not {row}")
    block = max((item for item in all_blocks if item.first_row <= row), key=lambda item: item.first_row)
    place, setting = divmod(row - block.first_row, len(block.settings))
    single, chosen = knobs(block, np.array([place])), block.settings[setting]
    values: dict[str, Any] = {name: int(getattr(single, name)[0]) for name in NUMERIC}
    values |= {item.name: getattr(chosen, item.name) for item in fields(Setting)}
    values |= {"kind": block.kind, "dataflow": block.dataflow, "port_shared": bool(values["port_shared"])}
    return block, Design(**values)


def settings(space: Space) -> tuple[Setting, ...]:
    """Technology x memory x clock; off-chip memory has no size of its own."""
    return tuple(
        Setting(technology, memory, kib, clock)
        for technology in space.technology
        for memory in space.memory
        for kib in (space.memory_kib if memory == "sram" else (0,))
        for clock in space.clock_mhz
    )


def _axes(space: Space, kind: str, network: Network) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Axis values for one network: FULL resolved, equal values dropped; a mac twin has no lanes to choose."""
    act_bits, weight_bits = network.max_bits
    full = {"lanes_a": act_bits, "lanes_w": weight_bits, "max_act_bits": act_bits, "max_weight_bits": weight_bits}
    axes = []
    for name in NUMERIC:
        values = (1,) if kind == "mac" and name in ("lanes_a", "lanes_w") else getattr(space, name)
        resolved = (full[name] if value == FULL and name in full else int(value) for value in values)
        axes.append((name, tuple(dict.fromkeys(resolved))))
    return tuple(axes)
