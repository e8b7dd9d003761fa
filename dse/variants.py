"""The networks of an experiment, one variant per precision, with the accuracy that is known of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.experiment import Experiment, NetworkSource
from dse.observing import observed_rates
from hwmodels.rates import Rates
from workloads.accuracy import cited
from workloads.encoded import EncodedNetwork
from workloads.executor import accuracy, run
from workloads.network import Network, with_bits
from workloads.tables import READERS, load_table
from workloads.weight_encodings import with_weights
from workloads.zoo import NETWORKS

MEASURED, UNKNOWN = "measured", "unknown"
OBSERVED = 8
"""Images on which toggle rates are observed: on the digits networks twenty give the same within 2 % (measured)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A network at one precision. accuracy is a fraction, NaN where nobody measured it; `source` says who did.

    `rates`: toggle rates of its operands by word width, as observed on the first images; empty where there are none.
    """

    network: Network
    accuracy: float
    accuracy_source: str
    digest: str
    rates: Mapping[int, Rates] = field(default_factory=dict)


def variants(experiment: Experiment) -> tuple[Variant, ...]:
    """All networks of an experiment in order; accuracies of encoded networks are measured here, on the executor.

    Raises ValueError for files that are no networks, or two networks of one name.
    """
    found = [variant for source in experiment.networks for variant in _of(source)]
    names = [variant.network.name for variant in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"networks: names must be unique, but {name!r} comes {names.count(name)} times")
    return tuple(found)


def load_network(path: str | Path) -> EncodedNetwork:
    """An encoded network from .safetensors, or encoded on the spot from .onnx. Raises ValueError for a layer table."""
    if Path(path).suffix in READERS:
        raise ValueError(
            f"{path}: must be an encoded network, but a layer table has no weights (it can be swept and simulated)"
        )
    if Path(path).suffix == ".onnx":
        from workloads.onnx_import import load_onnx

        return load_onnx(path)
    from workloads.files import load

    return load(path)


def load_array(path: str | Path) -> npt.NDArray[Any]:
    """An array from .npy, never a pickle. Raises ValueError with the path."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except OSError as error:
        raise ValueError(f"{path}: must be a readable .npy file, but {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: must be an array in .npy format, but {' '.join(str(error).split())}") from error


def _of(source: NetworkSource) -> Iterator[Variant]:
    if source.zoo is not None or source.table is not None:
        for bits in source.bits or (None,):
            yield from (_shape_variant(source, bits, weights) for weights in source.weights or (None,))
    for path in source.files:
        yield _encoded_variant(path, source.data, source.labels)


def _shape_variant(source: NetworkSource, bits: tuple[int, int] | None, weights: str | None) -> Variant:
    """Shapes at M x K, some layers at bits of their own; only a uniform zoo network of odd codes has a published accuracy."""
    network = with_weights(with_bits(shapes(source, bits), dict(source.layers)), weights)
    odd = weights in (None, "odd")
    named = bits is not None and (len(source.bits) * max(1, len(source.weights)) > 1 or source.layers or not odd)
    label = f"{network.name}_{bits[0]}x{bits[1]}" if bits and named else network.name
    network = replace(network, name=label if odd else f"{label}_{weights}")
    known = cited(source.zoo, *bits) if source.zoo and bits and odd and not source.layers else None
    digest = hashlib.sha256(repr(network.nodes).encode()).hexdigest()
    if known is None:
        return Variant(network, float("nan"), UNKNOWN, digest)
    return Variant(network, known.value / 100, f"cited: {known.source}", digest)


def shapes(source: NetworkSource, bits: tuple[int, int] | None) -> Network:
    """The network without weights that a source names, at M x K or at the bits of its table."""
    if source.table is not None:
        return load_table(source.table, bits)
    m, k = bits or (1, 1)
    return NETWORKS[source.zoo or ""](m, k, decoding=source.decoding)


def _encoded_variant(path: Path, data: Path | None, labels: Path | None) -> Variant:
    encoded = load_network(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if data is None or labels is None:
        return Variant(encoded.network, float("nan"), UNKNOWN, digest)
    images = load_array(data)
    measured = accuracy(run(encoded, images, products=True).outputs, load_array(labels))
    return Variant(encoded.network, measured, MEASURED, digest, observed_rates(encoded, images[:OBSERVED]))
