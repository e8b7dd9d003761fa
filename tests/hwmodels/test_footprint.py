"""What a network takes in memory, by hand."""

from __future__ import annotations

from dataclasses import replace

from hwmodels.footprint import footprint_bits
from workloads.layers import Add, Conv, Dense, Flatten
from workloads.network import Input, Network, Node

CONV = Conv(name="conv", in_shape=(5, 4, 4), out_channels=6, kernel=(3, 3), act_bits=2, weight_bits=3, out_bits=1)
HEAD = Dense(name="head", in_shape=(6, 2, 2), out_channels=10, act_bits=1, weight_bits=2, out_bits=None)
TWO = Network("two", Input(name="input", shape=(5, 4, 4), bits=2), (Node(CONV, ("input",)), Node(HEAD, ("conv",))))


def test_two_layers_by_hand() -> None:
    # conv: 6 channels of 9 taps of 1 word of 3 planes of 8 bits, and 1 threshold of 32: 6 * (216 + 32) = 1488.
    # head: 10 channels of 4 taps of 1 word of 2 planes of 8 bits, no thresholds: 640.
    # Maps: input 16 pixels of 1 word of 2 planes of 8: 256; conv 4 pixels of 1 word of 8: 32; head 2 words of 8 planes
    # of 8, because sums of 24 codes of +-1 times +-3 take 8 bits: 128. While conv runs: 256 + 32; while head runs: 32 + 128.
    assert footprint_bits(TWO, rows=4, width=8) == 1488 + 640 + 288


def test_raw_sums_of_groups_and_their_weights_count_as_they_are_streamed() -> None:
    grouped = replace(CONV, in_shape=(4, 4, 4), out_channels=4, groups=2, out_bits=None)
    network = Network("grouped", Input(name="input", shape=(4, 4, 4), bits=2), (Node(grouped, ("input",)),))
    # 4 rows hold both groups in 1 word, walked twice: 4 channels of 2 * 9 words of 3 planes of 8 bits.
    # N = 18 codes of +-3 times +-7 are 378, 10 bits; doubled 11: 4 pixels of 1 word of 11 planes, and 256 of input.
    assert footprint_bits(network, rows=4, width=8) == 4 * 18 * 3 * 8 + 4 * 11 * 8 + 256


def test_packed_windows_replace_the_input_map() -> None:
    first = replace(CONV, from_host=True)
    network = Network("packed", TWO.input, (Node(first, ("input",)), Node(HEAD, ("conv",))))
    # Words of 8: ceil(45 / 8) = 6 instead of 9 a window. conv: 6 * (6 * 3 * 8 + 32) = 1056.
    # The host hands over 4 windows of 6 words of 2 planes of 8 bits: 384, and 32 of conv, now the worst.
    assert footprint_bits(network, rows=4, width=8) == 1056 + 640 + 384 + 32


def test_a_map_stays_alive_until_its_last_reader() -> None:
    same = replace(CONV, name="a", in_shape=(8, 4, 4), out_channels=8, kernel=(1, 1), act_bits=1, weight_bits=1)
    add = Add(name="add", in_shape=(8, 4, 4), act_bits=1, out_bits=1)
    nodes = (Node(same, ("input",)), Node(replace(same, name="b"), ("a",)), Node(add, ("a", "b")))
    network = Network("residual", Input(name="input", shape=(8, 4, 4), bits=1), nodes)
    # Each map 16 words of 8 bits = 128. a: input + a; b: a + b; add: a + b + add = 384.
    # Weights: 2 * 8 * (8 + 32), thresholds of the add: 8 * 32.
    assert footprint_bits(network, rows=8, width=8) == 640 + 256 + 384


def test_flatten_takes_nothing_of_its_own() -> None:
    flatten = Flatten(name="flat", in_shape=(6, 2, 2), act_bits=1)
    nodes = (TWO.nodes[0], Node(flatten, ("conv",)), Node(HEAD, ("flat",)))
    assert footprint_bits(Network("flat", TWO.input, nodes), rows=4, width=8) == footprint_bits(TWO, rows=4, width=8)


def test_an_input_is_there_from_its_first_reader_to_its_last() -> None:
    other = Input(name="other", shape=(6, 2, 2), bits=1)
    rows = Network("rows", TWO.input, (Node(CONV, ("input",)), Node(HEAD, ("other",))), (other,))
    # Weights as above. Rows do not meet: conv runs with its 256 and 32, head with 4 words of 8 and 128, never with both.
    assert footprint_bits(rows, rows=4, width=8) == 1488 + 640 + 288
