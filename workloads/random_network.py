"""Random parameters for a network: for tests, benchmarks and demos that need bits, not accuracy."""

from __future__ import annotations

from math import erf, prod, sqrt

import numpy as np

from workloads.encoded import Affine, Codes, EncodedNetwork, Parameters, Planes, Thresholds, weight_words
from workloads.layers import Add, Conv, Dense, Layer, MatMul, Pool, Upsample, Weighted
from workloads.network import Network


def random_parameters(network: Network, rng: np.random.Generator) -> EncodedNetwork:
    """Uniform weights, and thresholds at the quantiles of the sums that uniform independent codes would make.

    The same network and seed give the same parameters. Inputs cover [-1, 1] and the last layer's values stay near it.
    """
    bits = network.input.bits
    parameters = {layer.name: _parameters(layer, rng) for layer in network.layers}
    source = {"origin": "random parameters"}
    return EncodedNetwork(network, Codes(bits=bits, step=1 / (2**bits - 1)), parameters, source)


def _parameters(layer: Layer, rng: np.random.Generator) -> Parameters:
    weights = _weights(layer, rng) if isinstance(layer, Conv | Dense) else None
    spread = _spread(layer)
    if spread is None:
        return Parameters()
    channels = layer.out_shape[0]
    if layer.out_bits is None:
        return Parameters(weights=weights, affine=Affine(np.full(channels, 1 / spread), np.zeros(channels)))
    return Parameters(weights=weights, thresholds=_thresholds(channels, layer.out_bits, spread, rng))


def _weights(layer: Weighted, rng: np.random.Generator) -> Planes:
    """Uniform plane bits; the unused bits of the last word are cleared."""
    words = weight_words(layer.reduction)
    planes = rng.integers(0, 2**64, size=(layer.weight_bits, layer.out_channels, words), dtype=np.uint64)
    planes[:, :, -1] &= np.uint64(2 ** (layer.reduction - 64 * (words - 1)) - 1)
    return planes


def _spread(layer: Layer) -> float | None:
    """Standard deviation of the sum: terms of uniform codes, each of variance (4^M - 1) / 3, weighted."""
    act = (4**layer.act_bits - 1) / 3
    if isinstance(layer, Conv | Dense):
        weight = sum(plane**2 for plane in layer.plane_weights) + layer.weight_offset**2
        return sqrt(layer.reduction * act * weight)
    if isinstance(layer, MatMul):
        other = (4**layer.weight_bits - 1) / 3 + layer.weight_offset**2
        return sqrt(layer.reduction * (act + layer.act_offset**2) * other)
    if isinstance(layer, Add):
        return sqrt(sum(multiplier**2 for multiplier in layer.multipliers) * act)
    if isinstance(layer, Pool) and layer.kind == "average":
        return sqrt(prod(layer.kernel) * act)
    if isinstance(layer, Upsample) and layer.kind == "linear":
        return prod(layer.denominators) / 2 * sqrt(act)
    return None


def _thresholds(channels: int, bits: int, spread: float, rng: np.random.Generator) -> Thresholds:
    """2^M - 1 levels at the normal quantiles j / 2^M, shifted a little a channel and mirrored in about half of them."""
    levels = np.array([_normal_quantile(j / 2**bits) for j in range(1, 2**bits)])
    shift = rng.normal(0.0, 0.1, size=(channels, 1))
    values = np.rint(spread * (levels[None, :] + shift)).astype(np.int64)
    return Thresholds(rng.choice(np.array([-1, 1]), size=channels), values)


def _normal_quantile(share: float) -> float:
    """x with Phi(x) = share, by bisection of Phi(x) = (1 + erf(x / sqrt 2)) / 2."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 + erf(middle / sqrt(2))) / 2 < share else (low, middle)
    return low
