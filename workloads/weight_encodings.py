"""The weight encodings of a network without weights: what the same shapes cost if their weights are stored another way.

odd              +-1, +-3, ..., the paper's: nothing to correct
unsigned         0 .. 2^K - 1:               w = (c + 2^K - 1) / 2, one row sum a window
twos_complement  -2^(K-1) .. 2^(K-1) - 1:    w = (c - 1) / 2,       one row sum a window
ternary          -1, 0, +1:                  two planes of equal weight, nothing to correct
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from workloads.layers import Conv, Dense, Layer, Weighted, max_code
from workloads.network import Network, Node

Encode = Callable[[Weighted], Layer]

WEIGHT_ENCODINGS: Mapping[str, Encode] = MappingProxyType(
    {
        "odd": lambda layer: replace(layer, weight_offset=0, ternary=False),
        "unsigned": lambda layer: replace(layer, weight_offset=max_code(layer.weight_bits), ternary=False),
        "twos_complement": lambda layer: replace(layer, weight_offset=-1, ternary=False),
        "ternary": lambda layer: replace(layer, weight_offset=0, ternary=True),
    }
)
"""How a layer's weights become codes, by name."""


def with_weights(network: Network, encoding: str | None) -> Network:
    """The same shapes and bits with all weights in one encoding; None leaves them as they are.

    Raises ValueError listing the known names, or naming the layer that cannot have it (ternary weights have two planes).
    """
    if encoding is None:
        return network
    if encoding not in WEIGHT_ENCODINGS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHT_ENCODINGS)}, not {encoding!r}")
    encode = WEIGHT_ENCODINGS[encoding]
    nodes = [
        Node(encode(node.layer), node.inputs) if isinstance(node.layer, Conv | Dense) else node
        for node in network.nodes
    ]
    return replace(network, nodes=tuple(nodes))
