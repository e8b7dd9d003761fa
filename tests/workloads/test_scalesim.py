"""SCALE-Sim tables: worked by hand, against a count of windows one by one, and against the zoo's totals."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.encoding import packed_windows
from workloads.layers import Conv, Dense
from workloads.network import Network
from workloads.scalesim import read_scalesim
from workloads.zoo import NETWORKS

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"


def read(rows: str, header: str = HEADER) -> Network:
    return read_scalesim(header + rows, "table", (2, 3))


def test_a_row_by_hand() -> None:
    network = read("conv2, 6, 5, 3, 2, 4, 8, 1,\n")
    (layer,) = network.layers
    assert layer == Conv(
        name="conv2", in_shape=(4, 6, 5), out_channels=8, kernel=(3, 2), act_bits=2, weight_bits=3, out_bits=2
    )
    assert (network.input.name, network.input.shape, network.input.bits) == ("conv2.input", (4, 6, 5), 2)
    # 4 x 4 positions of 8 channels of 3 * 2 * 4 products.
    assert network.macs == 16 * 8 * 24
    assert network.precision == "2x3"


def test_rows_stand_alone_and_are_not_packed_by_the_host() -> None:
    network = read("first, 9, 9, 3, 3, 3, 16, 1,\nsecond, 30, 30, 1, 1, 5, 7, 1,\n")
    assert [node.inputs for node in network.nodes] == [("first.input",), ("second.input",)]
    assert [item.shape for item in network.inputs] == [(3, 9, 9), (5, 30, 30)]
    assert [layer.out_bits for layer in network.layers] == [2, 2]
    assert not any(packed_windows(layer, 64) for layer in network.contractions)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "a,6,5,3,2,4,8,1,\n\nb,6,5,3,2,4,8,1,",
        HEADER.strip().rstrip(",") + "\r\n  a ,6,5,3,2,4,8,1\r\nb,6,5,3,2,4,8,1\r\n,,\r\n",
        "layer name,IFMAP_height,IFMAP_width,filter height,filter width,channels,num filter,stride height,stride width,\n"
        "a,6,5,3,2,4,8,1,1,\nb,6,5,3,2,4,8,1,1\n",
        HEADER.strip() + " Sparsity\na, 6, 5, 3, 2, 4, 8, 1, 4:4,\nb, 6, 5, 3, 2, 4, 8, 1, 1:1,# note\n",
        "Channels,Layer,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Num Filters,Stride\n4,a,6,5,3,2,8,1\n4,b,6,5,3,2,8,1\n",
    ],
)
def test_every_way_to_write_it(text: str) -> None:
    assert read_scalesim(text, "table", (2, 3)) == read("a,6,5,3,2,4,8,1,\nb,6,5,3,2,4,8,1,")


def test_strides_of_their_own() -> None:
    header = HEADER.strip().rstrip(",").replace("Strides", "Stride height, Stride width")
    (layer,) = read("a, 7, 9, 3, 3, 1, 1, 2, 3,", header + "\n").layers
    assert isinstance(layer, Conv)
    assert (layer.stride, layer.out_shape) == ((2, 3), (1, 3, 3))


def windows(size: int, kernel: int, stride: int) -> int:
    """SCALE-Sim's outputs along an axis, one by one: another window as long as the last one has not reached the end."""
    count, end = 1, kernel
    while end < size:
        count, end = count + 1, end + stride
    return count


@given(st.integers(1, 9), st.integers(0, 20), st.integers(1, 6), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_sizes_are_rounded_up(kernel: int, beyond: int, stride: int, channels: int) -> None:
    size = kernel + beyond
    (layer,) = read(f"a, {size}, {size}, {kernel}, {kernel}, {channels}, 5, {stride},").layers
    outputs = windows(size, kernel, stride)
    assert layer.out_shape == (5, outputs, outputs)
    assert isinstance(layer, Conv)
    assert layer.macs == outputs**2 * 5 * kernel**2 * channels


def test_depthwise() -> None:
    (layer,) = read("DP_3, 8, 8, 3, 3, 6, 2, 1,").layers
    # A convolution of one channel with 2 filters for each of 6 channels: 36 positions of 12 outputs of 9 products.
    assert isinstance(layer, Conv)
    assert (layer.groups, layer.out_channels, layer.macs) == (6, 12, 36 * 12 * 9)


def test_gemm() -> None:
    network = read_scalesim("Layer, M, N, K,\nqkv, 7, 24, 8,\nfc, 1, 10, 512\n", "table", (4, 1))
    qkv, fc = network.layers
    assert isinstance(qkv, Dense)
    assert isinstance(fc, Dense)
    assert (qkv.in_shape, qkv.out_shape, qkv.macs) == ((8, 1, 1), (24, 1, 7), 7 * 24 * 8)
    assert (fc.positions, fc.reduction, fc.weight_bits) == (1, 512, 1)
    assert [item.shape for item in network.inputs] == [(8, 1, 7), (512, 1, 1)]


def scalesim_csv(network: Network) -> str:
    """The contractions of a network as SCALE-Sim rows: of the padded map, what the windows read."""
    rows = []
    for layer in network.contractions:
        if isinstance(layer, Conv):
            sizes = [
                (out - 1) * step + kernel
                for out, step, kernel in zip(layer.out_shape[1:], layer.stride, layer.kernel, strict=True)
            ]
            cells = [*sizes, *layer.kernel, layer.in_shape[0], layer.out_channels, layer.stride[0]]
        else:
            cells = [1, 1, 1, 1, layer.reduction, layer.out_channels, 1]
        rows.append(", ".join(map(str, [layer.name, *cells])) + ",\n")
    return HEADER + "".join(rows)


def test_resnet18_has_the_totals_of_the_zoo() -> None:
    zoo = NETWORKS["resnet18"](2, 2)
    table = read_scalesim(scalesim_csv(zoo), "resnet18", (2, 2))
    assert len(table.layers) == 21
    assert (table.macs, table.parameters) == (zoo.macs, zoo.parameters) == (1_814_073_344, 11_678_912)
    pairs = zip(table.contractions, zoo.contractions, strict=True)
    assert all((one.positions, one.reduction) == (other.positions, other.reduction) for one, other in pairs)


GOOD = "a, 6, 5, 3, 2, 4, 8, 1,\n"
REFUSED = {
    "": "must have a header and at least one row, but is empty",
    HEADER: "must have at least one row below its header",
    HEADER.replace("Channels,", "")
    + GOOD: "header: column 'channels' must be given, but there are only layer, ifmap h",
    HEADER.replace("Channels", "Chanels") + GOOD: "header, column 6: must be one of layer, ifmap height, ",
    HEADER.replace("Channels", "Strides") + GOOD: "header, column 8: 'strides' must come once",
    "nothing\nof, the, sort\n": "header, column 1: must be one of layer, ",
    "Layer, M, N,\na, 1, 2,\n": "header: column 'k' must be given, but there are only layer, m, n",
    "Layer, M, N, K, Batch\na, 1, 2, 3, 4\n": "header, column 5: must be one of layer, m, n, k, sparsity, not 'batch'",
    HEADER + "a, 6, 5, 3, 2, 4, 8,\n": "row 2: must have 8 cells, not 7: column 'strides' is missing",
    HEADER + "a, 6, 5, 3, 2, 4, 8, 1, 1,\n": "row 2: must have 8 cells as the header has, not 9",
    HEADER + GOOD + "b, 6, 5, 3, two, 4, 8, 1,\n": "row 3 (b), column 'filter width': must be an integer between 1 ",
    HEADER + "a, 6, 5, 3, -2, 4, 8, 1,\n": "row 2 (a), column 'filter width': must be an integer between 1 and 2147",
    HEADER
    + "a, 6, 5, 3, 2, 0, 8, 1,\n": "row 2 (a), column 'channels': must be an integer between 1 and 2147483647, not '0'",
    HEADER + "a, 6, 5, 3, 2, 4, 8, 1.5,\n": "row 2 (a), column 'strides': must be an integer between 1 and 2147483647,",
    HEADER + "a, 6, 5, 3, 2, ٤, 8, 1,\n": "row 2 (a), column 'channels': must be an integer between 1 and 2147483647,",
    HEADER + f"a, 6, 5, 3, 2, 4, {'9' * 5000}, 1,\n": "row 2 (a), column 'num filter': must be an integer between 1 ",
    HEADER
    + "a, 6, , 3, 2, 4, 8, 1,\n": "row 2 (a), column 'ifmap width': must be an integer between 1 and 2147483647, not ''",
    HEADER + "a, 6, 5, 7, 2, 4, 8, 1,\n": "row 2 (a), column 'filter height': must be at most the map's 6, not 7",
    HEADER + GOOD + "\n" + GOOD: "row 4 (a), column 'layer': names must be unique, but 'a' stands in row 2",
    HEADER + ", 6, 5, 3, 2, 4, 8, 1,\n": "row 2, column 'layer': must be a name, not an empty cell",
    HEADER.strip() + "Sparsity\na, 6, 5, 3, 2, 4, 8, 1, 1:4,\n": "row 2 (a), column 'sparsity': must be dense, N:N, ",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_scalesim(text, "table", (2, 3))


def test_bits_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"^a SCALE-Sim table has no bits, so M and K must be given$"):
        read_scalesim(HEADER + GOOD, "table", None)
