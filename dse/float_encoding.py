"""`dse encode --bits`: a float network, its calibration images and a choice of bits, from the command line's words."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from dse.variants import load_array
from workloads.encoded import EncodedNetwork
from workloads.onnx_float import encode_float
from workloads.onnx_float_maps import Precision

COLUMNS = ["layer", "m", "k"]
REST = "*"
"""The layer name of a table that stands for all layers it does not name."""
ONLY_WITH_BITS = "must come with --bits; a QONNX network has quantizers of its own"


def encode_at(
    model: Path, bits: str, calibration: Path | None, *, input_bits: int = 8, method: str = "mse"
) -> tuple[EncodedNetwork, pd.DataFrame]:
    """The encoded network, and a table of how well each tensor fits its codes. Raises ValueError, one line."""
    if calibration is None:
        raise ValueError("encode: --bits needs --calibrate IMAGES.npy, from which scales are searched")
    encoded, fits = encode_float(model, read_bits(bits, input_bits), load_array(calibration), method=method)
    return encoded, pd.DataFrame([asdict(fit) for fit in fits])


def signal_at(
    model: Path, bits: str, calibration: Path | None, *, input_bits: int = 8, method: str = "mse"
) -> pd.DataFrame:
    """Signal to noise of every layer against the float file, on the calibration images: layer, sqnr_db."""
    from workloads.onnx_signal import float_sqnr

    images = load_array(calibration or "")
    found = float_sqnr(model, read_bits(bits, input_bits), images, method)
    return pd.DataFrame({"layer": layer, "sqnr_db": value} for layer, value in found.items())


def check_no_calibration(calibration: Path | None, method: str | None, why: str = ONLY_WITH_BITS) -> None:
    """Raise ValueError for options that only a float network takes; `why` says what they must come with."""
    given = {"--calibrate": calibration, "--method": method}
    stray = [name for name, value in given.items() if value is not None]
    if stray:
        raise ValueError(f"encode: {', '.join(stray)} {why}")


def check_float(shape: str | None, input_scale: str | None) -> None:
    """Raise ValueError for options that mean nothing with --bits."""
    stray = [name for name, value in {"--shape": shape, "--input-scale": input_scale}.items() if value is not None]
    if stray:
        raise ValueError(f"encode: {', '.join(stray)} must come without --bits; images say both of a float network")


def read_bits(text: str, input_bits: int = 8) -> Precision:
    """`M,K` for all layers, or a CSV file with the columns layer, m, k, in which the layer `*` stands for the others."""
    if not text.endswith(".csv"):
        return Precision(_pair(text.split(","), text), {}, input_bits)
    layers = dict(_rows(Path(text)))
    if REST not in layers:
        raise ValueError(f"{text}: must have a row for the layer '*', which stands for all that have none")
    return Precision(layers.pop(REST), layers, input_bits)


def _rows(path: Path) -> list[tuple[str, tuple[int, int]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: must be a readable CSV file, but {error}") from error
    if not lines or [name.strip() for name in lines[0]] != COLUMNS:
        raise ValueError(f"{path}: the first row must be layer,m,k, not {','.join(lines[0]) if lines else 'absent'}")
    found = [(line[0].strip(), _pair(line[1:], f"{path}: row {row}")) for row, line in enumerate(lines[1:], 2) if line]
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: every layer must have one row, but {name!r} has {names.count(name)}")
    return found


def _pair(parts: list[str], where: str) -> tuple[int, int]:
    try:
        m, k = (int(part) for part in parts)
    except ValueError:
        raise ValueError(f"{where}: bits must be two integers M,K, not {','.join(parts)!r}") from None
    return m, k
