"""`dse encode` of a quantized network: what its file leaves open, in the command line's words."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from workloads.encoded import Codes, EncodedNetwork
from workloads.layers import max_code
from workloads.onnx_import import load_onnx


def import_file(model: Path, *, shape: str | None, input_scale: str | None, input_bits: int | None) -> EncodedNetwork:
    """The encoded network. Raises ValueError, one line, for a file or a word that means nothing."""
    codes = None if input_scale is None else integer_input(input_scale, input_bits or 8)
    if input_bits is not None and codes is None:
        raise ValueError("encode: --input-bits must come with --bits or --input-scale")
    return load_onnx(model, input_codes=codes, shape=None if shape is None else read_shape(shape))


def check_no_input(input_bits: int | None, input_scale: str | None, shape: str | None) -> None:
    """Raise ValueError for words about an input where a layer table has none."""
    given = {"--input-bits": input_bits, "--input-scale": input_scale, "--shape": shape}
    stray = [name for name, value in given.items() if value is not None]
    if stray:
        raise ValueError(f"encode: {', '.join(stray)} must come with an ONNX file, not with a layer table")


def integer_input(scale: str, bits: int) -> Codes:
    """Codes of unsigned integers times a scale (`1/255` or a number), which is rounded to float32 as a file would hold it."""
    try:
        with np.errstate(over="ignore"):
            step = np.float32(float(Fraction(scale)))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"encode: --input-scale must be a number or a fraction such as 1/255, not {scale!r}") from None
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"encode: --input-scale must be > 0 in float32, not {scale!r}")
    return Codes(bits=bits, step=float(step) / 2, offset=max_code(bits))


def read_shape(text: str) -> tuple[int, ...]:
    """`3,32,32`: the sizes of the graph input behind its batch. Raises ValueError for anything else."""
    sizes = text.split(",")
    if not all(size.strip().isascii() and size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise ValueError(f"encode: --shape must be sizes >= 1 as in 3,32,32, not {text!r}")
    return tuple(int(size) for size in sizes)
