"""What every layer record checks, and the shapes it is made of."""

from __future__ import annotations

MAX_BITS = 8
"""Largest M and K: the paper's 64 encodings are the pairs in 1..8."""

Shape = tuple[int, int, int]
Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def ceil_div(dividend: int, divisor: int) -> int:
    """ceil(dividend / divisor) in integers; divisor > 0."""
    return -(-dividend // divisor)


def check_positive(where: str, **values: int) -> None:
    """Raise ValueError, naming the field, unless every value is an integer >= 1."""
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{where}: {field} must be an integer >= 1, not {value!r}")


def check_bits(where: str, **values: int) -> None:
    """Raise ValueError, naming the field, unless every bit width lies in 1..MAX_BITS."""
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_BITS:
            raise ValueError(f"{where}: {field} must be between 1 and {MAX_BITS}, not {value!r}")


def check_out_bits(where: str, out_bits: int | None) -> None:
    """Raise ValueError unless sums leave as they are (None) or as codes of 1..MAX_BITS bits."""
    if out_bits is not None:
        check_bits(where, out_bits=out_bits)


def check_shape(where: str, shape: Shape) -> None:
    """Raise ValueError unless a map has at least one channel, row and column."""
    check_positive(where, in_channels=shape[0], in_height=shape[1], in_width=shape[2])


def check_pair(where: str, name: str, pair: Pair) -> None:
    """Raise ValueError unless both sides of a kernel, stride or dilation are >= 1."""
    check_positive(where, **{f"{name}_h": pair[0], f"{name}_w": pair[1]})


def output_size(size: int, kernel: int, *, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Output positions of a window along one axis: floor((size + pads - span) / stride) + 1, span = (kernel-1)*dilation+1."""
    return (size + before + after - ((kernel - 1) * dilation + 1)) // stride + 1


def signed_bits(bound: int) -> int:
    """Two's-complement width that holds every integer of magnitude up to `bound`."""
    return bound.bit_length() + 1


def max_code(bits: int) -> int:
    """Largest code, 2^M - 1; the codes are the odd integers from minus this to plus this."""
    check_bits("codes", bits=bits)
    return int(2**bits - 1)
