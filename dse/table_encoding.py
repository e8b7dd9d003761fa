"""`dse encode` on a layer table: no weights to encode, so what is written is our own layer list at the bits asked for."""

from __future__ import annotations

from pathlib import Path

from dse.float_encoding import read_bits
from workloads.layer_list import network_toml
from workloads.network import Network, with_bits
from workloads.tables import READERS, load_table


def is_table(path: Path) -> bool:
    """Whether the suffix is one of a layer table."""
    return path.suffix in READERS


def encode_table(path: Path, bits: str | None, output: Path | None) -> tuple[Network, Path]:
    """Write the table as a layer list (.toml) at `M,K`, or at the bits of a CSV file with layer,m,k; its own bits without.

    Returns the network and where it went. Raises ValueError, one line, before anything is written.
    """
    target = output or path.with_suffix(".toml")
    if target.suffix != ".toml":
        raise ValueError(f"{target}: a layer table has no weights, so a layer list is written, which must end in .toml")
    if target.exists() and target.samefile(path):
        raise ValueError(f"{target}: must be another file than the table itself (-o OTHER.toml)")
    network = _at(path, bits)
    try:
        target.write_text(network_toml(network), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{target}: the folder must exist and be writable, but {error.strerror}") from error
    return network, target


def _at(path: Path, bits: str | None) -> Network:
    if bits is None:
        return load_table(path)
    precision = read_bits(bits)
    network = load_table(path, precision.uniform)
    return with_bits(network, precision.layers)
