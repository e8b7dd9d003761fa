"""What must lie in memory at once to run a network: all weights and thresholds, and the maps alive at the worst moment."""

from __future__ import annotations

from hwmodels.geometry import geometry, reduction
from hwmodels.mapping import THRESHOLD_BITS, emitted_planes
from workloads.layers import Flatten, Layer, MatMul, Shape, ceil_div
from workloads.network import Input, Network


def footprint_bits(network: Network, *, rows: int, width: int) -> int:
    """Bits of memory that the network takes on a machine of this shape (docs/machine.md, section 2)."""
    parameters = sum(_parameter_bits(layer, rows, width) for layer in network.layers)
    return parameters + _live_bits(network, rows, width)


def _parameter_bits(layer: Layer, rows: int, width: int) -> int:
    shape = geometry(layer, width)
    if shape is None:
        return 0
    walk = reduction(shape, rows=rows, width=width)
    stored = not isinstance(layer, MatMul) or layer.cached
    weights = walk.words * walk.weight_planes * width if stored else 0
    return shape.out_channels * (weights + shape.levels * THRESHOLD_BITS)


def _live_bits(network: Network, rows: int, width: int) -> int:
    """The most that maps take while some layer runs: those still to be read, plus the one being written.

    The host hands an input over when its first reader begins.
    """
    same = _aliases(network)
    last_use = {same[name]: index for index, node in enumerate(network.nodes) for name in node.inputs}
    given = {item.name: _input_bits(network, item, width) for item in network.inputs}
    sizes: dict[str, int] = {}
    worst = 0
    for index, node in enumerate(network.nodes):
        sizes |= {name: given[name] for name in node.inputs if name in given}
        if isinstance(node.layer, Flatten):
            continue
        planes = _planes(node.layer, rows, width)
        sizes[node.layer.name] = _map_bits(node.layer.out_shape, planes, width)
        live = [name for name in sizes if last_use.get(name, -1) >= index or name == node.layer.name]
        worst = max(worst, sum(sizes[name] for name in live))
    return worst


def _planes(layer: Layer, rows: int, width: int) -> int:
    """Planes of the map that a layer leaves; what the host makes has none but its codes."""
    shape = geometry(layer, width)
    if shape is None:
        return layer.out_bits or 0
    return emitted_planes(shape, reduction(shape, rows=rows, width=width))


def _aliases(network: Network) -> dict[str, str]:
    """The map behind every name: a flattened map is the map itself."""
    same = {item.name: item.name for item in network.inputs}
    for node in network.nodes:
        same[node.layer.name] = same[node.inputs[0]] if isinstance(node.layer, Flatten) else node.layer.name
    return same


def _input_bits(network: Network, source: Input, width: int) -> int:
    """An input map, or its packed windows where the host packs them for the only reader; one that nobody reads is none."""
    readers = [node.layer for node in network.nodes if source.name in node.inputs]
    shapes = [geometry(layer, width) for layer in readers]
    sizes = (
        shape.in_size[0] * shape.in_size[1] * ceil_div(shape.channels * shape.groups, width) * shape.act_bits * width
        if shape is not None
        else _map_bits(source.shape, source.bits, width)
        for shape in shapes
    )
    return max(sizes, default=0)


def _map_bits(shape: Shape, planes: int, width: int) -> int:
    channels, height, columns = shape
    return height * columns * ceil_div(channels, width) * planes * width
