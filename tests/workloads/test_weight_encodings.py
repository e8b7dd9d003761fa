"""Another weight encoding changes the correction terms of a network's cost, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest

from hwmodels.analytical import evaluate_layer
from hwmodels.build import Build
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.models import evaluate
from hwmodels.technology import technology
from workloads.actions import Actions
from workloads.layers import Conv, Dense
from workloads.network import Network
from workloads.weight_encodings import WEIGHT_ENCODINGS, with_weights
from workloads.zoo import NETWORKS

DESIGN = Design(rows=32, cols=8, width=32, lanes_w=2, weight_depth=4096, act_depth=4096, threshold_depth=64)
CORRECTIONS = ("correction_words", "correction_adds")


def test_largest_weights() -> None:
    layer = Dense(name="fc", in_shape=(5, 1, 1), out_channels=2, act_bits=2, weight_bits=2, out_bits=None)
    found = {name: encode(layer) for name, encode in WEIGHT_ENCODINGS.items()}
    assert {name: made.largest_weight for name, made in found.items() if isinstance(made, Dense)} == {
        "odd": 3, "unsigned": 6, "twos_complement": 4, "ternary": 2,
    }  # fmt: skip


def test_unsigned_weights_cost_the_row_sums_and_nothing_else() -> None:
    odd = NETWORKS["resnet18"](2, 2)
    other = with_weights(odd, "unsigned")
    assert (other.macs, other.weight_storage_bits, other.binary_ops) == (
        odd.macs,
        odd.weight_storage_bits,
        odd.binary_ops,
    )
    for one, two in zip(odd.layers[:-1], other.layers[:-1], strict=True):
        before, after = evaluate_layer(one, DESIGN), evaluate_layer(two, DESIGN)
        if before is None or after is None:
            continue
        counts, corrected = asdict(before.activity.actions), asdict(after.activity.actions)
        assert {name: corrected[name] - counts[name] for name in counts if corrected[name] != counts[name]} == {
            name: corrected[name] for name in CORRECTIONS if isinstance(one, Conv | Dense)
        }
        assert replace(after.activity, actions=before.activity.actions) == before.activity
        if isinstance(one, Conv):
            assert corrected["correction_adds"] >= one.out_channels * one.positions


def test_energy_differs_by_the_correction_term() -> None:
    odd = NETWORKS["cifar_convnet"](2, 2)
    changed = with_weights(odd, "twos_complement")
    other = Network(
        "other", odd.input, (*changed.nodes[:-1], odd.nodes[-1])
    )  # the last layer's sums would be a bit wider
    node, build = technology(DESIGN.technology), Build.of(DESIGN)
    cheap, dear = (
        {term.name: term.amount for term in energy_terms(evaluate(network, DESIGN).activity, build, node)}
        for network in (odd, other)
    )
    assert {name for name in dear if dear[name] != cheap[name]} == {"offset correction adder bits"}
    assert cheap["offset correction adder bits"] == 0


def test_the_mac_twin_has_nothing_to_correct() -> None:
    layer = with_weights(NETWORKS["cifar_convnet"](2, 2), "unsigned").layers[1]
    found = evaluate_layer(layer, replace(DESIGN, kind="mac", weight_depth=8192))
    assert found is not None
    assert (found.activity.actions.correction_words, found.activity.actions.correction_adds) == (0, 0)
    assert {item.name for item in fields(Actions)} >= set(CORRECTIONS)


def test_what_is_refused() -> None:
    with pytest.raises(
        ValueError, match="weights must be one of odd, unsigned, twos_complement, ternary, not 'signed'"
    ):
        with_weights(NETWORKS["resnet18"](), "signed")
    with pytest.raises(ValueError, match="layer 'conv1': ternary weights must have 2 planes"):
        with_weights(NETWORKS["resnet18"](2, 3), "ternary")
