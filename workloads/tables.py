"""Layer tables: networks as shapes alone, from SCALE-Sim CSV, ZigZag YAML or our own TOML.

load_table("resnet18.csv", (2, 2))      # SCALE-Sim: M and K must be given
load_table("resnet18.yaml")             # ZigZag: bits of the file where they are 1..8
load_table("resnet18.toml")             # a layer list, complete
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from workloads.layer_list import read_layer_list
from workloads.layers import Contraction, MatMul, check_bits
from workloads.network import Network, with_bits
from workloads.scalesim import read_scalesim
from workloads.zigzag import read_zigzag

Bits = tuple[int, int]
LARGEST_FILE = 4 * 2**20
LARGEST_COUNT = 2**48
"""Most codes of a map, or multiply-accumulates of one layer: 64 branches of them still fit 64 bits."""


def _read_toml(text: str, name: str, bits: Bits | None) -> Network:
    del name
    network = read_layer_list(text)
    return network if bits is None else at_bits(network, *bits)


READERS: Mapping[str, Callable[[str, str, Bits | None], Network]] = {
    ".csv": read_scalesim,
    ".yaml": read_zigzag,
    ".yml": read_zigzag,
    ".toml": _read_toml,
}
"""Text, name of the network and bits to a network, by the suffix of the file."""


def load_table(path: str | Path, bits: Bits | None = None) -> Network:
    """A network from a layer table; (M, K) = `bits` takes the place of whatever bits the table has.

    Raises ValueError, one line with file and row or layer, for anything that is not such a table.
    """
    source = Path(path)
    try:
        if bits is not None:
            check_bits("bits", M=bits[0], K=bits[1])
        if source.suffix not in READERS:
            raise ValueError(f"the suffix of a layer table must be one of {', '.join(READERS)}, not {source.suffix!r}")
        network = READERS[source.suffix](_text(source), source.stem, bits)
        _check_sizes(network)
    except RecursionError:
        raise ValueError(f"{source}: must not be nested as deeply as this") from None
    except ValueError as error:
        raise ValueError(f"{source}: {' '.join(str(error).split())}") from error
    return network


def at_bits(network: Network, m: int, k: int) -> Network:
    """The network with weights of K bits and maps of M; a layer that the host feeds keeps its activation bits."""
    return with_bits(network, {layer.name: _bits(layer, m, k) for layer in network.contractions})


def _bits(layer: Contraction, m: int, k: int) -> Bits:
    if isinstance(layer, MatMul):
        return (m, m)
    return (layer.act_bits if layer.from_host else m, k)


def _text(source: Path) -> str:
    try:
        if source.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"a layer table must be at most {LARGEST_FILE >> 20} MiB, not {source.stat().st_size:,} bytes"
            )
        return source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"the layer table must be readable, but {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"a layer table must be UTF-8 text, but {error}") from error


def _check_sizes(network: Network) -> None:
    """Raise ValueError where a map or a layer is so large that counts of it would leave 64 bits."""
    sizes = [(item.name, prod(item.shape)) for item in network.inputs]
    sizes += [(layer.name, prod(layer.out_shape)) for layer in network.layers]
    sizes += [(layer.name, layer.macs) for layer in network.contractions]
    for name, size in sizes:
        if size > LARGEST_COUNT:
            raise ValueError(f"layer {name!r}: maps and multiply-accumulates must be at most 2^48, not {size:,}")
