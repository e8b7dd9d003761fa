"""`dse encode`: a file of any kind that it reads, in the command line's words, to the file that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dse.float_encoding import check_float, check_no_calibration, encode_at, signal_at
from dse.importing import check_no_input, import_file
from dse.table_encoding import encode_table, is_table
from workloads.constant_planes import fold_constant_planes
from workloads.encoded import EncodedNetwork
from workloads.files import save
from workloads.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `dse encode` was asked for; None where nothing was said."""

    model: Path
    output: Path | None = None
    bits: str | None = None
    calibrate: Path | None = None
    input_bits: int | None = None
    input_scale: str | None = None
    shape: str | None = None
    method: str | None = None
    fold: bool = False
    sqnr: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """What was written, how well tensors and layers fit their codes where that was searched, and what there is to say."""

    network: Network
    written: Path
    fits: pd.DataFrame | None = None
    signal: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def encode_file(request: Request) -> Encoding:
    """Encode and write, or write nothing. Raises ValueError, one line, for a file or a word that means nothing."""
    if is_table(request.model):
        return _table(request)
    if request.bits is None:
        return _quantized(request)
    return _float(request, request.bits)


def _table(request: Request) -> Encoding:
    for name, given in (("--fold-constant-planes", request.fold), ("--sqnr", request.sqnr)):
        if given:
            raise ValueError(f"encode: {name} must come with an ONNX file, not with a layer table")
    check_no_calibration(request.calibrate, request.method, "must come with a float ONNX file, not with a layer table")
    check_no_input(request.input_bits, request.input_scale, request.shape)
    network, written = encode_table(request.model, request.bits, request.output)
    return Encoding(network=network, written=written, notes=("a layer table: shapes and bits, no weights",))


def _quantized(request: Request) -> Encoding:
    check_no_calibration(request.calibrate, request.method)
    if request.sqnr:
        raise ValueError("encode: --sqnr must come with --bits; for a quantized file it is an option of dse accuracy")
    encoded = import_file(
        request.model, shape=request.shape, input_scale=request.input_scale, input_bits=request.input_bits
    )
    return _saved(request, encoded)


def _float(request: Request, bits: str) -> Encoding:
    check_float(request.shape, request.input_scale)
    words = {"input_bits": request.input_bits or 8}
    method = request.method or "mse"
    encoded, fits = encode_at(request.model, bits, request.calibrate, method=method, **words)
    signal = signal_at(request.model, bits, request.calibrate, method=method, **words) if request.sqnr else None
    return _saved(request, encoded, fits, signal)


def _saved(
    request: Request,
    encoded: EncodedNetwork,
    fits: pd.DataFrame | None = None,
    signal: pd.DataFrame | None = None,
) -> Encoding:
    notes: tuple[str, ...] = ()
    if request.fold:
        encoded, folds = fold_constant_planes(encoded)
        notes = tuple(map(str, folds))
    target = request.output or request.model.with_suffix(".safetensors")
    save(encoded, target)
    return Encoding(network=encoded.network, written=target, fits=fits, signal=signal, notes=notes)
