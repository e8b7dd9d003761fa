"""An encoded network whose weights lie as the executor reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workloads.encoded import EncodedNetwork
from workloads.encoding import word_type
from workloads.layers import Conv, Dense
from workloads.native import NativeWeights
from workloads.operands import Operand, operand
from workloads.products import Reals, product_weights


@dataclass(frozen=True, slots=True)
class Prepared:
    """An encoded network whose weights are packed for one word width: make it once, run it often."""

    encoded: EncodedNetwork
    width: int
    operands: Mapping[str, Operand]
    products: Mapping[str, Reals]
    """Weight codes of the layers that are computed as integer products instead of branches."""
    by_products: bool
    """Whether layers may be computed as products of codes."""
    natives: dict[str, NativeWeights | None]
    """Weights as machine code reads them, laid out when a layer first needs them."""


def prepare(network: EncodedNetwork, *, width: int = 64, products: bool = False) -> Prepared:
    """Repack all weights for words of `width` bits. Raises ValueError for a width that is not 8, 16, 32 or 64."""
    word_type(width)
    weighted = [layer for layer in network.network.layers if isinstance(layer, Conv | Dense)]
    operands = {layer.name: operand(layer, network.parameters[layer.name], width) for layer in weighted}
    weights = {layer.name: (layer, network.parameters[layer.name].weights) for layer in weighted}
    codes = {
        name: product_weights(layer, words)
        for name, (layer, words) in weights.items()
        if products and words is not None
    }
    chosen = {name: found for name, found in codes.items() if found is not None}
    return Prepared(network, width, MappingProxyType(operands), MappingProxyType(chosen), products, {})
