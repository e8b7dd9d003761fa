"""What every performance model promises, whatever it computes: one class over `hwmodels.models.MODELS`."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from hwmodels.activity import Activity, Cycles
from hwmodels.analytical import Evaluated
from hwmodels.design import Design
from hwmodels.mapping import Misfit
from hwmodels.models import MODELS, Model, evaluate
from tests.hwmodels.samples import random_any_layer, random_design
from workloads.actions import Actions
from workloads.layers import Conv, Dense, Flatten, Layer
from workloads.network import Input, Network, Node

CONV = Conv(
    name="conv",
    in_shape=(16, 6, 6),
    out_channels=16,
    kernel=(3, 3),
    padding=(1, 1, 1, 1),
    act_bits=2,
    weight_bits=2,
    out_bits=2,
)
DESIGN = Design(rows=4, cols=2, width=16, threshold_depth=4096, weight_depth=4096, act_depth=8192, out_depth=8192)


def samples(count: int) -> list[tuple[Layer, Design]]:
    rng = Random(5)
    return [(random_any_layer(rng), random_design(rng, least_depth=256)) for _ in range(count)]


def numbers(activity: Activity) -> dict[str, object]:
    flat = asdict(activity)
    return {**flat.pop("cycles"), **flat.pop("actions"), **flat}


def outcome(model: Model, layer: Layer, design: Design) -> object:
    """What a model answers, or the sentence with which it refuses."""
    try:
        return model(layer, design)
    except Misfit as misfit:
        return str(misfit)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class TestModel:
    def test_counts_are_non_negative_integers(self, model: Model) -> None:
        seen = 0
        for layer, design in samples(60):
            try:
                found = model(layer, design)
            except Misfit:
                continue
            assert found is not None
            seen += 1
            counts = numbers(found.activity)
            assert len(counts) == len(fields(Cycles)) + len(fields(Actions)) + len(fields(Activity)) - 2
            for name, value in counts.items():
                assert type(value) is int, (name, value)
                assert value >= 0, (name, value)
        assert seen > 30

    def test_same_input_same_output(self, model: Model) -> None:
        for layer, design in samples(20):
            assert outcome(model, replace(layer), replace(design)) == outcome(model, layer, design)

    def test_the_name_of_a_layer_does_not_matter(self, model: Model) -> None:
        assert model(CONV, DESIGN) == model(replace(CONV, name="other"), DESIGN)

    def test_flatten_costs_nothing(self, model: Model) -> None:
        assert model(Flatten(name="f", in_shape=(4, 2, 2), act_bits=2), DESIGN) is None

    def test_layers_add_up(self, model: Model) -> None:
        name = next(name for name, entry in MODELS.items() if entry is model)
        head = Dense(name="head", in_shape=(16, 6, 6), out_channels=10, act_bits=2, weight_bits=2, out_bits=None)
        second = replace(CONV, name="second")
        nodes = (Node(CONV, ("input",)), Node(second, ("conv",)), Node(head, ("second",)))
        network = Network("net", Input(name="input", shape=(16, 6, 6), bits=2), nodes)
        alone = [self.run(model, layer).activity for layer in network.layers]
        assert evaluate(network, DESIGN, model=name).activity == alone[0] + alone[1] + alone[2]
        assert alone[0] == alone[1]

    @pytest.mark.parametrize("field", ["out_channels", "act_bits", "weight_bits"])
    def test_more_work_never_takes_fewer_cycles(self, model: Model, field: str) -> None:
        steps = range(1, 41) if field == "out_channels" else range(1, 9)
        changes: list[dict[str, Any]] = [{field: step, "out_bits": None} for step in steps]
        self.check_rising(model, [replace(CONV, **change) for change in changes])

    def test_more_inputs_never_take_fewer_cycles(self, model: Model) -> None:
        self.check_rising(model, [replace(CONV, in_shape=(channels, 6, 6)) for channels in range(1, 41)])

    def test_more_positions_never_take_fewer_cycles(self, model: Model) -> None:
        self.check_rising(model, [replace(CONV, in_shape=(16, side, side)) for side in range(1, 12)])

    def test_cycles_cover_the_work(self, model: Model) -> None:
        """No model computes faster than every PE adding in every cycle."""
        for layer, design in samples(60):
            try:
                found = model(layer, design)
            except Misfit:
                continue
            assert found is not None
            activity = found.activity
            assert activity.cycles.compute_cycles * design.rows * design.cols >= activity.actions.accumulations
            assert activity.cycles.total > activity.cycles.compute_cycles

    def run(self, model: Model, layer: Layer) -> Evaluated:
        found = model(layer, DESIGN)
        assert found is not None
        return found

    def check_rising(self, model: Model, layers: list[Conv]) -> None:
        found = [self.run(model, layer).activity.cycles for layer in layers]
        for smaller, larger in pairwise(found):
            assert smaller.total <= larger.total
            assert smaller.compute_cycles <= larger.compute_cycles
