"""SCALE-Sim topology files: a CSV of convolutions, or of matrix products, that stand alone.

    Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
    Layer, M, N, K,

Read as SCALE-Sim reads them (scalesim/topology_utils.py of scalesim-project/SCALE-Sim): map sizes include padding, a
window that starts inside the map counts even if it ends outside (sizes are rounded up), and a convolution with DP in its
name is depthwise. Rows do not chain, so each becomes a hidden layer that reads a map of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workloads.layers import Conv, Dense, Weighted
from workloads.network import Input, Network, Node
from workloads.spelling import unknown

LARGEST = 2**31 - 1
MAP = ("ifmap height", "ifmap width", "filter height", "filter width", "channels", "num filter")
GEMM = ("m", "n", "k")
STRIDES = ("stride height", "stride width")
FORMATS = (("layer", *MAP, "strides"), ("layer", *MAP, *STRIDES), ("layer", *GEMM))
SPELLINGS = {
    "layer name": "layer", "num filters": "num filter", "stride": "strides", "stride h": "stride height",
    "stride w": "stride width",
}  # fmt: skip
DEPTHWISE = "DP"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of numbers by column, and where it stands."""

    where: str
    name: str
    cells: Mapping[str, str]

    def number(self, column: str) -> int:
        """The cell as a size. Raises ValueError with row and column."""
        text = self.cells[column]
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:11]) <= LARGEST:
            raise ValueError(
                f"{self.where}, column {column!r}: must be an integer between 1 and {LARGEST}, not {text!r}"
            )
        return int(text)

    def check_dense(self) -> None:
        """Raise ValueError for N:M sparsity, which planes of {-1,+1} do not have."""
        text = self.cells.get("sparsity", "1:1")
        kept, colon, of = (part.strip() for part in text.partition(":"))
        if not colon or not kept.isdigit() or kept != of:
            raise ValueError(
                f"{self.where}, column 'sparsity': must be dense, N:N, because {{-1,+1}} planes have no zeros to leave out, "
                f"not {text!r}"
            )


def read_scalesim(text: str, name: str, bits: tuple[int, int] | None) -> Network:
    """The rows as layers at (M, K) = `bits`, which such a file does not have. Raises ValueError with row and column."""
    gemm, rows = _rows(text)
    if bits is None:
        raise ValueError("a SCALE-Sim table has no bits, so M and K must be given")
    layers = [(_dense if gemm else _conv)(row, *bits) for row in rows]
    inputs = [Input(name=f"{layer.name}.input", shape=_in_map(layer), bits=bits[0]) for layer in layers]
    nodes = [Node(layer, (source.name,)) for layer, source in zip(layers, inputs, strict=True)]
    return Network(name, inputs[0], tuple(nodes), tuple(inputs[1:]))


def _rows(text: str) -> tuple[bool, list[_Row]]:
    """Whether it is the GEMM format, and its rows."""
    lines = [(number, line) for number, line in _lines(text) if any(line)]
    if not lines:
        raise ValueError("must have a header and at least one row, but is empty")
    columns = _columns(lines[0][1])
    rows = [_row(number, line, columns) for number, line in lines[1:]]
    if not rows:
        raise ValueError("must have at least one row below its header")
    seen: dict[str, str] = {}
    for row in rows:
        if row.name in seen:
            raise ValueError(
                f"{row.where}, column 'layer': names must be unique, but {row.name!r} stands in {seen[row.name]}"
            )
        seen[row.name] = row.where
    return "m" in columns, rows


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line; the comma at the end is no cell, nor what some files note behind it."""
    try:
        for number, cells in enumerate(csv.reader(text.splitlines()), 1):
            line = [cell.strip() for cell in cells]
            while line and (not line[-1] or line[-1].startswith("#")):
                line.pop()
            yield number, line
    except csv.Error as error:
        raise ValueError(f"must be a CSV file, but {error}") from error


def _columns(header: list[str]) -> list[str]:
    """The columns by the names used here. Raises ValueError for a missing or an unknown one."""
    found = [" ".join(cell.lower().replace("_", " ").split()) for cell in header]
    found = [SPELLINGS.get(cell, cell) for cell in found]
    wanted = max(FORMATS, key=lambda names: sum(cell in names for cell in found))
    known = (*wanted, "sparsity")
    for place, column in enumerate(found, 1):
        if column not in known:
            raise ValueError(f"header, column {place}: {unknown(column, known)}")
        if column in found[: place - 1]:
            raise ValueError(f"header, column {place}: {column!r} must come once")
    for column in wanted:
        if column not in found:
            raise ValueError(f"header: column {column!r} must be given, but there are only {', '.join(found)}")
    return found


def _row(number: int, line: list[str], columns: list[str]) -> _Row:
    where = f"row {number}"
    if len(line) < len(columns):
        raise ValueError(
            f"{where}: must have {len(columns)} cells, not {len(line)}: column {columns[len(line)]!r} is missing"
        )
    if len(line) > len(columns):
        raise ValueError(f"{where}: must have {len(columns)} cells as the header has, not {len(line)}")
    cells = dict(zip(columns, line, strict=True))
    if not cells["layer"]:
        raise ValueError(f"{where}, column 'layer': must be a name, not an empty cell")
    return _Row(f"{where} ({cells['layer']})", cells["layer"], cells)


def _conv(row: _Row, m: int, k: int) -> Conv:
    row.check_dense()
    height, width, kernel_h, kernel_w, channels, filters = (row.number(column) for column in MAP)
    stride_h, stride_w = (row.number(column if column in row.cells else "strides") for column in STRIDES)
    for axis, size, kernel in (("height", height, kernel_h), ("width", width, kernel_w)):
        if kernel > size:
            raise ValueError(f"{row.where}, column 'filter {axis}': must be at most the map's {size}, not {kernel}")
    depthwise = DEPTHWISE in row.name
    return Conv(
        name=row.name,
        in_shape=(channels, height, width),
        out_channels=channels * filters if depthwise else filters,
        kernel=(kernel_h, kernel_w),
        act_bits=m,
        weight_bits=k,
        out_bits=m,
        stride=(stride_h, stride_w),
        padding=(0, 0, _rest(height, kernel_h, stride_h), _rest(width, kernel_w, stride_w)),
        groups=channels if depthwise else 1,
    )


def _rest(size: int, kernel: int, stride: int) -> int:
    """How far the last window that starts inside the map reaches beyond it: SCALE-Sim has ceil((size - kernel) / stride) + 1."""
    return -(size - kernel) % stride


def _dense(row: _Row, m: int, k: int) -> Dense:
    """M x N outputs of K products each: K features, N outputs, M vectors."""
    row.check_dense()
    vectors, outputs, features = (row.number(column) for column in GEMM)
    return Dense(
        name=row.name,
        in_shape=(features, 1, 1),
        out_channels=outputs,
        act_bits=m,
        weight_bits=k,
        out_bits=m,
        positions=vectors,
    )


def _in_map(layer: Weighted) -> tuple[int, int, int]:
    return layer.in_shape if isinstance(layer, Conv) else (layer.in_shape[0], 1, layer.positions)
