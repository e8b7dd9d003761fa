"""Which axis of a tensor lies where in a map: reshapes and transpositions that only rename are bookkeeping, not work.

A map (channels, height, width) is cut into factors whose product, in order, is the map; an axis of the tensor is some of them.
A sequence (positions, features) lies in a map (features, 1, positions) as factors (features, positions), axes ((1,), (0,)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.checks import Shape

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class View:
    """factors: sizes in the order of the map. axes: for every axis of the tensor but the batch, its factors in order."""

    factors: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        named = sorted(factor for axis in self.axes for factor in axis)
        if named != list(range(len(self.factors))) or any(factor < 2 for factor in self.factors):
            raise ValueError(f"view: axes must name each factor >= 2 once, not {self.axes} of {self.factors}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, without the batch."""
        return tuple(prod(self.factors[factor] for factor in axis) for axis in self.axes)

    @property
    def order(self) -> list[int]:
        """Factors in the order of the tensor."""
        return [factor for axis in self.axes for factor in axis]

    def tensor(self, maps: Array) -> Array:
        """(channels, height, width, images) as (images, *shape)."""
        split = maps.reshape(*self.factors, maps.shape[-1])
        return np.ascontiguousarray(split.transpose(len(self.factors), *self.order)).reshape(-1, *self.shape)

    def maps(self, tensor: Array, shape: Shape) -> Array:
        """(images, *axes) as (channels, height, width, images) of this shape."""
        split = tensor.reshape(-1, *(self.factors[factor] for factor in self.order))
        back = np.argsort(self.order) + 1
        return np.ascontiguousarray(split.transpose(*back, 0)).reshape(*shape, -1)

    def transposed(self, order: Sequence[int]) -> View:
        """Axes in another order, counted without the batch."""
        return View(self.factors, tuple(self.axes[place] for place in order))

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """Other axes over the same elements in the same order, or None where that cuts a factor across."""
        left = [(factor, self.factors[factor]) for factor in self.order]
        pieces: dict[int, list[int]] = {factor: [] for factor in range(len(self.factors))}
        axes: list[list[tuple[int, int]]] = []
        for size in shape:
            axes.append([])
            while size > 1:
                if not left:
                    return None
                factor, own = left.pop(0)
                taken = own if size % own == 0 else size
                if own % taken:
                    return None
                if taken < own:
                    left.insert(0, (factor, own // taken))
                axes[-1].append((factor, len(pieces[factor])))
                pieces[factor].append(taken)
                size //= taken
        if left:
            return None
        places = [(factor, piece) for factor, sizes in pieces.items() for piece in range(len(sizes))]
        number = {place: index for index, place in enumerate(places)}
        sizes = tuple(pieces[factor][piece] for factor, piece in places)
        return View(sizes, tuple(tuple(number[place] for place in axis) for axis in axes))


def view_of(shape: Shape, axes: Sequence[Sequence[int]]) -> View:
    """A view of a map whose axes are its channels (0), height (1) and width (2), sizes of 1 left out."""
    kept = [place for place in range(3) if shape[place] > 1]
    number = {place: index for index, place in enumerate(kept)}
    own = tuple(tuple(number[place] for place in axis if place in number) for axis in axes)
    return View(tuple(shape[place] for place in kept), own)


def channel_axis(view: View, channels: int) -> int | None:
    """The axis, counted with the batch, that is all channels in order; None where they are cut up or mixed with positions."""
    for place, axis in enumerate(view.axes, start=1):
        if list(axis) == list(range(len(axis))) and view.shape[place - 1] == channels:
            return place
    return None


MAP: tuple[tuple[int, ...], ...] = ((0,), (1,), (2,))
"""(channels, height, width)."""
FLAT: tuple[tuple[int, ...], ...] = ((0, 1, 2),)
"""One vector."""
SEQUENCE: tuple[tuple[int, ...], ...] = ((1, 2), (0,))
"""(positions, features)."""
