"""What must lie in memory at once to run a network: all weights and thresholds, and the maps alive at the worst moment."""

from __future__ import annotations

from hwmodels.analytical import RAW_BITS, THRESHOLD_BITS
from hwmodels.geometry import geometry, reduction
from workloads.layers import Flatten, Layer, Shape, ceil_div
from workloads.network import Network


def footprint_bits(network: Network, *, kind: str, rows: int, width: int) -> int:
    """Bits of memory that the network takes on a machine of this shape (docs/machine.md, section 2)."""
    return sum(_parameter_bits(layer, kind, rows, width) for layer in network.layers) + _live_bits(network, width)


def _parameter_bits(layer: Layer, kind: str, rows: int, width: int) -> int:
    shape = geometry(layer, width)
    if shape is None:
        return 0
    walk = reduction(shape, kind=kind, rows=rows, width=width)
    planes = 0 if shape.vector else walk.words * walk.weight_planes * width
    return shape.out_channels * (planes + shape.levels * THRESHOLD_BITS)


def _live_bits(network: Network, width: int) -> int:
    """The most that maps take while some layer runs: those still to be read, plus the one being written."""
    same = _aliases(network)
    last_use = {same[name]: index for index, node in enumerate(network.nodes) for name in node.inputs}
    sizes = {network.input.name: _input_bits(network, width)}
    worst = 0
    for index, node in enumerate(network.nodes):
        if isinstance(node.layer, Flatten):
            continue
        sizes[node.layer.name] = _map_bits(node.layer.out_shape, node.layer.out_bits, width)
        live = [name for name in sizes if last_use.get(name, -1) >= index or name == node.layer.name]
        worst = max(worst, sum(sizes[name] for name in live))
    return worst


def _aliases(network: Network) -> dict[str, str]:
    """The map behind every name: a flattened map is the map itself."""
    same = {network.input.name: network.input.name}
    for node in network.nodes:
        same[node.layer.name] = same[node.inputs[0]] if isinstance(node.layer, Flatten) else node.layer.name
    return same


def _input_bits(network: Network, width: int) -> int:
    """The input map, or its packed windows where the host packs them for the only reader."""
    readers = [node.layer for node in network.nodes if network.input.name in node.inputs]
    shapes = [geometry(layer, width) for layer in readers]
    return max(
        shape.in_size[0] * shape.in_size[1] * ceil_div(shape.channels * shape.groups, width) * shape.act_bits * width
        if shape is not None
        else _map_bits(network.input.shape, network.input.bits, width)
        for shape in shapes
    )


def _map_bits(shape: Shape, bits: int | None, width: int) -> int:
    channels, height, columns = shape
    pixel = channels * RAW_BITS if bits is None else ceil_div(channels, width) * bits * width
    return height * columns * pixel
