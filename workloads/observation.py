"""What real inputs make the operands of a network do: toggles, constant planes, popcounts and sums, layer by layer.

The order is that of a machine with one PE and one lane an operand (docs/machine.md): position by position in row-major order; for
each, pairs of planes in descending weight m + k (of equals the higher m first); for each pair, the words of the window. An operand register
is `width` bits; the toggle rate of plane m is the share of its bits that differ from what the register held the cycle before, over
all cycles that read plane m. Random data toggles half of the bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import EncodedNetwork
from workloads.encoding import Ints, Words, unsigned
from workloads.executor import run_prepared
from workloads.layers import Contraction, Conv, Dense, Layer, Weighted, signed_bits
from workloads.operands import windows
from workloads.prepared import prepare

SAMPLED = 64
"""Positions and output channels, spread evenly, whose products are observed one by one."""
BINS = 32
"""Bins of a histogram of sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One plane of an operand: share of bits that are 1 (+1), share that toggles a read; constant where no bit differs."""

    ones: float
    toggle_rate: float

    @property
    def constant(self) -> int | None:
        """+1 or -1 where the plane never is anything else, None otherwise."""
        return {0.0: -1, 1.0: 1}.get(self.ones)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of equal bins from `lowest` to `highest`, both included."""

    lowest: int
    highest: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One layer on real inputs.

    activations, weights: planes, least significant first. product_toggle_rate: share of the bits of the xnor word that toggles a
    cycle. popcounts: how often a word's popcount of xnor was 0, 1, ..., width (of a sample of outputs). acc_bits: what the sums needed,
    of the declared acc_bound_bits. xnor_words: of one image, the weight of a layer in the mean of a network.
    """

    layer: str
    activations: tuple[Plane, ...]
    weights: tuple[Plane, ...]
    product_toggle_rate: float
    popcounts: tuple[int, ...]
    sums: Histogram
    acc_bits: int
    acc_bound_bits: int
    xnor_words: int

    @property
    def activation_toggle_rate(self) -> float:
        """Mean over the planes, which are read equally often."""
        return sum(plane.toggle_rate for plane in self.activations) / len(self.activations)

    @property
    def weight_toggle_rate(self) -> float:
        """Mean over the planes."""
        return sum(plane.toggle_rate for plane in self.weights) / len(self.weights)

    @property
    def foldable_planes(self) -> int:
        """Activation planes from the top that are constant: their branches depend on the weights alone."""
        count = 0
        for plane in reversed(self.activations[1:]):
            if plane.constant is None:
                break
            count += 1
        return count


def observe(network: EncodedNetwork, inputs: npt.NDArray[Any], *, width: int = 64) -> dict[str, Observation]:
    """Run real inputs (N, channels, height, width) and observe every layer with weights. Raises what `run` raises."""
    prepared = prepare(network, width=width)
    done = run_prepared(prepared, inputs, keep_integers=True)
    found = {}
    for node in network.network.nodes:
        layer = node.layer
        if isinstance(layer, Conv | Dense):
            source = unsigned(done.codes[node.inputs[0]], layer.act_bits)
            words = prepared.operands[layer.name].words
            seen = _observed(layer, source, words, width)
            found[layer.name] = _joined(layer, seen, done.integers[layer.name], done.actions[layer.name].xnor_words)
    return found


def pairs(layer: Contraction) -> list[tuple[int, int]]:
    """(m, k) of all branches in the order in which a machine with one lane an operand visits them."""
    every = product(range(layer.act_bits), range(layer.weight_bits))
    return sorted(every, key=lambda pair: (-sum(pair), -pair[0]))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Planes of both operands, and the sampled products."""

    activations: tuple[Plane, ...]
    weights: tuple[Plane, ...]
    product_toggle_rate: float
    popcounts: Ints


def _observed(layer: Weighted, source: npt.NDArray[np.uint8], weights: Words, width: int) -> _Seen:
    """source: (images, channels, height, width) codes u; weights: (K, words, groups, out channels of a group)."""
    order, images = pairs(layer), source.shape[0]
    read = windows(layer, np.ascontiguousarray(np.moveaxis(source, 0, -1)), width)
    by_image = read.reshape(*read.shape[:3], -1, images).transpose(0, 1, 2, 4, 3).reshape(*read.shape[:3], -1)
    ones = [float(((source >> plane) & 1).mean()) for plane in range(layer.act_bits)]
    acts = _toggle_rates(by_image, np.roll(by_image, 1, axis=-1), [m for m, _ in order], width)
    # A row reads its own weights again for every position, so its sequence closes on itself.
    rows = _toggle_rates(weights, weights, [k for _, k in order], width)
    counted = np.bitwise_count(weights).sum(axis=(1, 2, 3), dtype=np.int64) / layer.weights
    toggles, popcounts = _products(by_image, weights, order, width)
    return _Seen(_planes(ones, acts), _planes(counted, rows), toggles, popcounts)


def _planes(ones: Sequence[float], rates: Sequence[float]) -> tuple[Plane, ...]:
    return tuple(Plane(ones=float(one), toggle_rate=float(rate)) for one, rate in zip(ones, rates, strict=True))


def _toggle_rates(words: Words, before: Words, order: Sequence[int], width: int) -> list[float]:
    """words: (planes, words, groups, vectors), each vector's sequence being its planes in `order`, word by word.

    `before` is the vector that was read before each, whose last word the register holds when the first one comes.
    """
    bits = np.zeros(len(words))
    inner = np.bitwise_count(words[:, 1:] ^ words[:, :-1]).sum(axis=(1, 2, 3), dtype=np.int64)
    for plane in order:
        bits[plane] += inner[plane]
    for last, plane in pairwise(order):
        bits[plane] += np.bitwise_count(words[plane, 0] ^ words[last, -1]).sum(dtype=np.int64)
    bits[order[0]] += np.bitwise_count(words[order[0], 0] ^ before[order[-1], -1]).sum(dtype=np.int64)
    reads = np.bincount(order, minlength=len(words)) * words[0].size
    return list(bits / (reads * width))


def _products(acts: Words, weights: Words, order: Sequence[tuple[int, int]], width: int) -> tuple[float, Ints]:
    """Toggle rate of xnor words and counts of their popcounts, of a sample of positions and output channels of each group."""
    some, rows = _spread(acts.shape[3]), _spread(weights.shape[3])
    left = np.concatenate([acts[m][..., some] for m, _ in order])
    right = np.concatenate([weights[k][..., rows] for _, k in order])
    moved = np.bitwise_count((left[1:] ^ left[:-1])[..., None] ^ (right[1:] ^ right[:-1])[:, :, None, :])
    equal = width - np.bitwise_count(left[..., None] ^ right[:, :, None, :])
    counts = np.bincount(equal.ravel(), minlength=width + 1)
    return float(moved.mean() / width) if moved.size else 0.0, counts


def _spread(count: int) -> Ints:
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLED)).astype(np.int64))


def _joined(layer: Layer, seen: _Seen, sums: Ints, xnor_words: int) -> Observation:
    assert isinstance(layer, Conv | Dense)
    lowest, highest = int(sums.min()), int(sums.max())
    counts, _ = np.histogram(sums, bins=min(BINS, highest - lowest + 1), range=(lowest, highest + 1))
    return Observation(
        layer=layer.name,
        activations=seen.activations,
        weights=seen.weights,
        product_toggle_rate=seen.product_toggle_rate,
        popcounts=tuple(seen.popcounts.tolist()),
        sums=Histogram(lowest=lowest, highest=highest, counts=tuple(counts.tolist())),
        acc_bits=signed_bits(max(highest, ~lowest, 0)),
        acc_bound_bits=layer.acc_bits,
        xnor_words=xnor_words,
    )


def mean_rates(observations: Mapping[str, Observation]) -> tuple[float, float, float]:
    """Toggle rates of activations, weights and products over a network, each layer weighted by its xnor words."""
    total = sum(seen.xnor_words for seen in observations.values())
    names = ("activation_toggle_rate", "weight_toggle_rate", "product_toggle_rate")
    means = [sum(getattr(seen, name) * seen.xnor_words for seen in observations.values()) / total for name in names]
    return means[0], means[1], means[2]
