"""What the executor counted while it computed equals what the closed form says of a machine with one PE.

The one known difference: a layer whose groups do not fill words. The machine reads words that hold channels of other
groups and gives those zero weights, two planes each (docs/machine.md, section 2); the executor packs every group by
itself. `test_groups_that_do_not_fill_words` states both sides.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from random import Random

import numpy as np
import pytest

from hwmodels.analytical import evaluate_mapping
from hwmodels.design import Design
from hwmodels.geometry import geometry, reduction
from hwmodels.mapping import Mapping
from tests.hwmodels.samples import random_any_layer, random_conv
from workloads.actions import Actions
from workloads.executor import run
from workloads.layers import Add, Conv, Dense, Flatten, Layer, MatMul, Pool, ceil_div, sources
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters

WIDTHS = (8, 16, 32, 64)
DEEP = 2**22
ALWAYS = (
    "xnor_words",
    "accumulations",
    "combines",
    "correction_words",
    "correction_adds",
    "threshold_compares",
    "vector_words",
    "output_writes",
)


def one_pe(width: int) -> Design:
    """rows = cols = 1 and one lane an operand; buffers that hold any test layer whole."""
    return Design(rows=1, cols=1, width=width, weight_depth=DEEP, act_depth=DEEP, out_depth=DEEP, threshold_depth=DEEP)


def single(layer: Layer) -> Network:
    """A network of one layer that reads the input map."""
    read = sources(layer)
    shape = read[0][0]
    if isinstance(layer, Dense) and layer.positions > 1:
        shape = (layer.in_shape[0], 1, layer.positions)
    source = Input(name="input", shape=shape, bits=layer.act_bits)
    if not isinstance(layer, MatMul):
        return Network("single", source, (Node(layer, ("input",) * len(read)),))
    other = Dense(
        name="other", in_shape=(layer.in_shape[0], 1, 1), positions=layer.positions, act_bits=layer.act_bits,
        out_channels=layer.other_shape[0], weight_bits=1, out_bits=layer.weight_bits,
    )  # fmt: skip
    return Network("single", source, (Node(other, ("input",)), Node(layer, ("input", "other"))))


def counted(network: Network, width: int) -> dict[str, Actions]:
    """The executor's counts by layer, on one random image."""
    rng = np.random.default_rng(1)
    inputs = rng.uniform(-1, 1, size=(1, *network.input.shape))
    return dict(run(random_parameters(network, rng), inputs, width=width).actions)


def stated(layer: Layer, design: Design) -> dict[str, int]:
    """One tile, one block: a block that reaches beyond the map would work for positions that are none."""
    shape = geometry(layer, design.width)
    if shape is None:
        return asdict(Actions())
    groups = reduction(shape, rows=design.rows, width=design.width).channel_groups
    return asdict(evaluate_mapping(shape, design, Mapping("weight", groups, shape.out_size)).activity.actions)


def expanded(layer: Layer, design: Design) -> bool:
    """Whether the machine streams zero weights, which the executor skips."""
    shape = geometry(layer, design.width)
    return shape is not None and reduction(shape, rows=design.rows, width=design.width).expanded


def fills_words(layer: Layer, width: int) -> bool:
    """Not a grouped layer whose words hold channels of two groups."""
    groups = layer.groups if isinstance(layer, Conv | MatMul) else 1
    return not (groups > 1 and layer.in_shape[0] // groups % width)


def makes_its_maps(layer: Layer) -> bool:
    """Whether a network of one input can hand a layer what it reads: a product needs both maps of as many positions."""
    return not isinstance(layer, MatMul) or layer.positions == layer.other_shape[2]


@cache
def layers(width: int) -> tuple[Layer, ...]:
    """Random layers of all kinds; small channel counts at every width, so that words have tails and none."""
    rng = Random(width)
    found = [random_any_layer(rng, channels=rng.choice((3, 20, 2 * width))) for _ in range(350)]
    filled = [random_conv(rng, channels=4) for _ in range(30)]
    filled = [
        replace(item, in_shape=(item.groups * width * (1 + i % 2), *item.in_shape[1:])) for i, item in enumerate(filled)
    ]
    return tuple(layer for layer in (*found, *filled) if fills_words(layer, width) and makes_its_maps(layer))


@pytest.mark.parametrize("width", WIDTHS)
def test_one_pe_does_what_the_executor_did(width: int) -> None:
    for layer in layers(width):
        did, says = asdict(counted(single(layer), width)[layer.name]), stated(layer, one_pe(width))
        assert {name: says[name] for name in ALWAYS} == {name: did[name] for name in ALWAYS}, layer
        if isinstance(layer, Conv | Dense):
            assert says["activation_reads"] == did["activation_reads"], layer
            assert says["weight_reads"] == did["weight_reads"], layer


@pytest.mark.parametrize("width", WIDTHS)
def test_vector_words_are_read_once(width: int) -> None:
    """The executor does not model the buffer under the vector unit; the machine reads each of its words there once."""
    for layer in (item for item in layers(width) if isinstance(item, Pool | Add)):
        says = stated(layer, one_pe(width))
        assert (
            says["activation_reads"] == says["vector_words"] == counted(single(layer), width)[layer.name].vector_words
        )


@pytest.mark.parametrize("width", WIDTHS)
def test_any_grid_does_the_same_work(width: int) -> None:
    rng = Random(width)
    for layer in layers(width):
        design = replace(one_pe(width), rows=rng.choice((2, 8, 16)), cols=rng.choice((1, 3, 5)))
        if expanded(layer, design):
            continue
        did, says = asdict(counted(single(layer), width)[layer.name]), stated(layer, design)
        assert {name: says[name] for name in ALWAYS} == {name: did[name] for name in ALWAYS}, layer


@pytest.mark.parametrize("width", WIDTHS)
def test_lanes_share_accumulations_only(width: int) -> None:
    """la x lw lanes add several branches at once; the branches stay the same."""
    for layer in layers(width):
        did = asdict(counted(single(layer), width)[layer.name])
        says = stated(layer, replace(one_pe(width), lanes_a=2, lanes_w=3))
        names = [name for name in ALWAYS if name != "accumulations"]
        assert {name: says[name] for name in names} == {name: did[name] for name in names}, layer
        if isinstance(layer, Conv | Dense):
            passes = ceil_div(layer.act_bits, 2) * ceil_div(layer.weight_bits, 3)
            assert says["accumulations"] == did["accumulations"] // (layer.act_bits * layer.weight_bits) * passes


@pytest.mark.parametrize("width", WIDTHS)
def test_weights_are_written_once_where_they_stay(width: int) -> None:
    """With buffers that hold all weights they are loaded once, as the executor packs them once."""
    for layer in (item for item in layers(width) if isinstance(item, Conv | Dense)):
        did = counted(single(layer), width)[layer.name]
        assert stated(layer, one_pe(width))["weight_writes"] == did.weight_writes, layer


@pytest.mark.parametrize("width", WIDTHS)
def test_windows_are_written_one_by_one_in_blocks_of_one(width: int) -> None:
    """The executor packs a whole window per position, pads included; so does a block of 1x1 where nothing is padded.

    A larger block shares its overlap and loads less. Dilated patches hold rows between the taps and load more, so they
    are left out, and so are padded layers, whose pads never cross the port.
    """
    compared = 0
    for layer in (item for item in layers(width) if isinstance(item, Conv | Dense)):
        shape = geometry(layer, width)
        assert shape is not None
        padded = isinstance(layer, Conv) and any(layer.padding) and shape.kernel == layer.kernel
        if shape.dilation != (1, 1) or padded:
            continue
        groups = reduction(shape, rows=1, width=width).channel_groups
        activity = evaluate_mapping(shape, one_pe(width), Mapping("weight", groups, (1, 1))).activity
        assert activity.actions.activation_writes == counted(single(layer), width)[layer.name].activation_writes, layer
        compared += 1
    assert compared > 40


@pytest.mark.parametrize("width", WIDTHS)
def test_groups_that_do_not_fill_words(width: int) -> None:
    """Executor: ceil(c / W) words a tap. Machine: the words that the group spans, twice, and a bit more for a raw sum."""
    rng, compared = Random(width), 0
    while compared < 15:
        layer = random_conv(rng, channels=rng.choice((3, 20)))
        if fills_words(layer, width):
            continue
        shape, did = geometry(layer, width), asdict(counted(single(layer), width)[layer.name])
        assert shape is not None
        if shape.groups == 1:
            continue
        says, channels = stated(layer, one_pe(width)), layer.in_shape[0] // layer.groups
        spans = [
            (first + channels - 1) // width - first // width + 1 for first in range(0, layer.in_shape[0], channels)
        ]
        factor = 2 * max(spans)
        assert says["xnor_words"] * ceil_div(channels, width) == did["xnor_words"] * factor
        assert says["accumulations"] * ceil_div(channels, width) == did["accumulations"] * factor
        assert says["combines"] == did["combines"]
        assert says["threshold_compares"] == did["threshold_compares"]
        planes = layer.acc_bits if layer.out_bits is None else layer.out_bits
        assert says["output_writes"] * planes == did["output_writes"] * (planes + (layer.out_bits is None))
        compared += 1


def test_whole_network_layer_by_layer() -> None:
    """A chain with every kind of layer: first layer packed by the host, residual add, pools, flatten, raw head."""
    first = Conv(
        name="first", in_shape=(3, 9, 9), out_channels=20, kernel=(3, 3), act_bits=8, weight_bits=2, out_bits=2,
        padding=(1, 1, 1, 1), pad_code=-255, from_host=True,
    )  # fmt: skip
    same = replace(first, name="same", in_shape=(20, 9, 9), act_bits=2, pad_code=None, from_host=False)
    added = Add(name="added", in_shape=(20, 9, 9), act_bits=2, out_bits=2)
    pool = Pool(name="pool", kind="max", in_shape=(20, 9, 9), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
    average = replace(pool, name="average", kind="average", in_shape=(20, 4, 4), out_bits=3)
    flatten = Flatten(name="flatten", in_shape=(20, 2, 2), act_bits=3)
    head = Dense(name="head", in_shape=(20, 2, 2), out_channels=10, act_bits=3, weight_bits=4, out_bits=None)
    names = {"first": ("input",), "same": ("first",), "added": ("same", "first"), "pool": ("added",)}
    names |= {"average": ("pool",), "flatten": ("average",), "head": ("flatten",)}
    stack: tuple[Layer, ...] = (first, same, added, pool, average, flatten, head)
    nodes = tuple(Node(layer, names[layer.name]) for layer in stack)
    network = Network("chain", Input(name="input", shape=(3, 9, 9), bits=8), nodes)
    for width in WIDTHS:
        did = counted(network, width)
        for layer in network.layers:
            says, wanted = stated(layer, one_pe(width)), asdict(did[layer.name])
            assert {name: says[name] for name in ALWAYS} == {name: wanted[name] for name in ALWAYS}, layer
    # By hand at width 64: 81 positions * 20 channels * ceil(27 / 64) words * 8 * 2 plane pairs.
    assert did["first"].xnor_words == 81 * 20 * 1 * 16
    # 9 taps of ceil(20 / 64) = 1 word: 81 * 20 * 9 * 2 * 2; a masked tap is still walked.
    assert did["same"].xnor_words == 81 * 20 * 9 * 4
    assert did["added"].vector_words == 2 * 81 * 1 * 2
    assert did["head"].combines == 10 * 3 * 4
    # 10 sums leave as the planes of one word a position.
    assert did["head"].output_writes == head.acc_bits
