"""Observed toggles, popcounts and sums equal a loop over every cycle of a machine with one PE, in Python integers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.variants import load_network
from tests import reference
from workloads.encoded import EncodedNetwork
from workloads.layers import Conv, Dense
from workloads.network import Input, Network, Node
from workloads.observation import Plane, mean_rates, observe, pairs
from workloads.random_network import random_parameters

WIDTH = 8


def encoded(layer: Conv | Dense, seed: int) -> EncodedNetwork:
    source = Input(name="input", shape=layer.in_shape, bits=layer.act_bits)
    return random_parameters(Network("one", source, (Node(layer, ("input",)),)), np.random.default_rng(seed))


def sequences(
    network: EncodedNetwork, codes: np.ndarray
) -> tuple[dict[int, list[tuple[int, int]]], list[list[tuple[int, int]]]]:
    """(plane, word) of every cycle: of the activations by group, over all images and positions; of each row's weights, once round."""
    layer = network.network.layers[0]
    assert isinstance(layer, Conv)
    weights = reference.weight_codes(layer, network.parameters["layer"])
    per_group, taps = layer.in_shape[0] // layer.groups, layer.kernel[0] * layer.kernel[1]

    def words(elements: list[list[int]], plane: int, bits: int) -> list[int]:
        """elements: [tap][channel] of codes, or None outside; one or more words a tap."""
        out = []
        for tap in elements:
            unsigned = [(code + 2**bits - 1) // 2 for code in tap]
            ones = [(value >> plane) & 1 for value in unsigned]
            out += [
                sum(bit << i for i, bit in enumerate(ones[first : first + WIDTH]))
                for first in range(0, len(ones), WIDTH)
            ]
        return out

    def window(image: list, group: int, y: int, x: int) -> list[list[int]]:
        found = []
        for down in range(layer.kernel[0]):
            for right in range(layer.kernel[1]):
                row, column = (
                    y * layer.stride[0] + down - layer.padding[0],
                    x * layer.stride[1] + right - layer.padding[1],
                )
                inside = 0 <= row < layer.in_shape[1] and 0 <= column < layer.in_shape[2]
                channels = range(group * per_group, (group + 1) * per_group)
                found.append([image[c][row][column] if inside else 1 - 2**layer.act_bits for c in channels])
        return found

    acts: dict[int, list[tuple[int, int]]] = {}
    for group in range(layer.groups):
        acts[group] = [
            (m, word)
            for image in codes.tolist()
            for y in range(layer.out_shape[1])
            for x in range(layer.out_shape[2])
            for m, _ in pairs(layer)
            for word in words(window(image, group, y, x), m, layer.act_bits)
        ]
    rows = []
    for out in weights:
        by_tap = [[out[channel * taps + tap] for channel in range(per_group)] for tap in range(taps)]
        rows.append([(k, word) for _, k in pairs(layer) for word in words(by_tap, k, layer.weight_bits)])
    return acts, rows


def rates(cycles: list[list[tuple[int, int]]], planes: int) -> list[float]:
    """Toggled bits over read bits of each plane; each sequence follows on its own end."""
    bits, reads = [0] * planes, [0] * planes
    for sequence in cycles:
        for place, (plane, word) in enumerate(sequence):
            bits[plane] += bin(word ^ sequence[place - 1][1]).count("1")
            reads[plane] += WIDTH
    return [one / two for one, two in zip(bits, reads, strict=True)]


@st.composite
def layers(draw: st.DrawFn) -> Conv:
    groups, kernel = draw(st.sampled_from([1, 2])), draw(st.tuples(*[st.integers(1, 2)] * 2))
    return Conv(
        name="layer", in_shape=(groups * draw(st.sampled_from([1, 5, 8, 11])), 3, 4), out_channels=groups * draw(st.integers(1, 3)),
        kernel=kernel, stride=draw(st.tuples(*[st.integers(1, 2)] * 2)), padding=draw(st.sampled_from([(0, 0, 0, 0), (1, 0, 0, 1)])),
        groups=groups, act_bits=draw(st.integers(1, 3)), weight_bits=draw(st.integers(1, 3)), out_bits=None,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(layers(), st.integers(0, 2**32))
def test_every_cycle_of_one_pe(layer: Conv, seed: int) -> None:
    network, rng = encoded(layer, seed), np.random.default_rng(seed)
    codes = 2 * rng.integers(0, 2**layer.act_bits, size=(2, *layer.in_shape)) - (2**layer.act_bits - 1)
    seen = observe(network, network.input_codes.step * codes, width=WIDTH)["layer"]
    acts, rows = sequences(network, codes)
    assert [p.toggle_rate for p in seen.activations] == pytest.approx(rates(list(acts.values()), layer.act_bits))
    assert [p.toggle_rate for p in seen.weights] == pytest.approx(rates(rows, layer.weight_bits))
    u = (codes + 2**layer.act_bits - 1) // 2
    assert [p.ones for p in seen.activations] == pytest.approx([((u >> m) & 1).mean() for m in range(layer.act_bits)])
    if layer.groups == 1:  # few enough outputs that all are sampled
        steps, found, moved = len(rows[0]), [0] * (WIDTH + 1), []
        for row in rows:
            for first in range(0, len(acts[0]), steps):
                products = [
                    (2**WIDTH - 1) & ~(a ^ w)
                    for (_, a), (_, w) in zip(acts[0][first : first + steps], row, strict=True)
                ]
                for word in products:
                    found[bin(word).count("1")] += 1
                moved += [bin(a ^ b).count("1") / WIDTH for a, b in pairwise(products)]
        assert list(seen.popcounts) == found
        assert seen.product_toggle_rate == pytest.approx(sum(moved) / len(moved) if moved else 0.0)
    sums = np.array([[reference.infer(network, image.tolist())["layer"]] for image in codes])
    assert (seen.sums.lowest, seen.sums.highest) == (sums.min(), sums.max())
    assert sum(seen.sums.counts) == sums.size
    assert -(2 ** (seen.acc_bits - 1)) <= sums.min() <= sums.max() < 2 ** (seen.acc_bits - 1) or seen.acc_bits == 1
    assert seen.acc_bits <= seen.acc_bound_bits


def test_constant_planes_are_seen_from_the_top() -> None:
    layer = Dense(name="layer", in_shape=(20, 1, 1), out_channels=3, act_bits=3, weight_bits=1, out_bits=None)
    network = encoded(layer, 3)
    codes = np.random.default_rng(1).choice([1, 3], size=(4, 20, 1, 1))  # +1 = 4 - 2 - 1, +3 = 4 - 2 + 1
    seen = observe(network, network.input_codes.step * codes)["layer"]
    assert [plane.constant for plane in seen.activations] == [None, -1, 1]
    assert seen.foldable_planes == 2
    assert replace(seen, activations=(Plane(ones=1.0, toggle_rate=0.0),)).foldable_planes == 0


def test_random_data_toggle_half_of_the_bits() -> None:
    layer = Dense(name="layer", in_shape=(4096, 1, 1), out_channels=8, act_bits=2, weight_bits=2, out_bits=None)
    network = encoded(layer, 5)
    codes = 2 * np.random.default_rng(2).integers(0, 4, size=(8, 4096, 1, 1)) - 3
    seen = observe(network, network.input_codes.step * codes)
    assert mean_rates(seen) == pytest.approx((0.5, 0.5, 0.5), abs=0.01)


def test_digits_toggle_less_than_random_data() -> None:
    folder = Path(__file__).parents[2] / "examples" / "digits"
    found = observe(load_network(folder / "digits_m2k2.onnx"), np.load(folder / "images.npy")[:4])
    assert list(found) == ["conv1", "conv2", "conv3", "conv4", "fc"]
    assert all(rate < 0.3 for rate in mean_rates(found))
