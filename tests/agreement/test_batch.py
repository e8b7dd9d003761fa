"""The vectorised closed form and its prices equal the scalar ones, count by count, and the search is exhaustive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest

from hwmodels import batch
from hwmodels.activity import Activity
from hwmodels.activity import total as activity_total
from hwmodels.analytical import evaluate_layer, evaluate_mapping
from hwmodels.batch import COUNTS
from hwmodels.build import Build
from hwmodels.cost import Cost, price
from hwmodels.design import Design, illegal
from hwmodels.geometry import geometry
from hwmodels.knobs import ILLEGAL, illegal_reasons, of_designs
from hwmodels.mapping import Mapping, Misfit
from hwmodels.technology import TECHNOLOGIES, technology
from tests.agreement.walk import Walk, up, window
from tests.hwmodels.samples import random_any_layer, random_design
from workloads.layers import Contraction, Conv, Dense, Flatten, Layer, sums
from workloads.network import at_bits
from workloads.zoo import NETWORKS

MODES = [(kind, dataflow) for kind in ("array", "mac") for dataflow in ("weight", "activation", "best")]


def designs_of(kind: str, dataflow: str, count: int, seed: int = 0, **changes: Any) -> list[Design]:
    rng = Random(seed)
    changes |= {"kind": kind, "dataflow": dataflow}
    return [replace(random_design(rng), **changes) for _ in range(count)]


def flat(activity: Activity) -> dict[str, Any]:
    """Every count of an activity by its name in COUNTS."""
    numbers = asdict(activity)
    return {**numbers.pop("cycles"), **numbers.pop("actions"), **numbers}


def scalar(layers: Sequence[Layer], design: Design) -> tuple[list[Activity], str]:
    """Activities of all layers that cost something, or the reason of the first misfit."""
    activities = []
    try:
        for layer in layers:
            found = evaluate_layer(layer, design)
            if found is not None:
                activities.append(found.activity)
    except Misfit as misfit:
        return [], misfit.reason
    return activities, ""


def check(layers: Sequence[Layer], designs: Sequence[Design]) -> int:
    """Compare all counts of all layers on all designs; the number of feasible designs."""
    many = batch.evaluate(layers, of_designs(designs))
    columns = [flat(activity) for activity in many.layers]
    for index, design in enumerate(designs):
        wanted, reason = scalar(layers, design)
        assert many.reason[index] == reason, (layers, design)
        for column, activity in zip(columns, wanted, strict=not reason):
            assert {name: int(column[name][index]) for name in COUNTS} == flat(activity), (layers, design)
    return int((many.reason == "").sum())


def test_counts_are_all_counts_of_an_activity() -> None:
    assert set(COUNTS) == set(flat(Activity()))
    assert len(COUNTS) == len(set(COUNTS))


@pytest.mark.parametrize(("kind", "dataflow"), MODES)
def test_random_any_layers_equal_the_scalar_form(kind: str, dataflow: str) -> None:
    rng, feasible = Random(f"{kind} {dataflow}"), 0
    for seed in range(40):
        feasible += check([random_any_layer(rng)], designs_of(kind, dataflow, 12, seed))
    assert feasible > 240


@pytest.mark.parametrize("name", ["cifar_convnet", "resnet18"])
@pytest.mark.parametrize("kind", ["array", "mac"])
def test_whole_networks_equal_the_scalar_form(name: str, kind: str) -> None:
    rng = Random(name)
    designs = [
        Design(
            kind=kind,  # type: ignore[arg-type]
            rows=rng.choice((8, 16, 64)), cols=rng.choice((1, 3, 8)), width=rng.choice((32, 64)),
            lanes_a=rng.choice((1, 2)), weight_depth=rng.choice((1024, 4096)), act_depth=rng.choice((512, 4096)),
            port_bits=rng.choice((64, 256)), port_shared=rng.random() < 0.5, dataflow="best",
        )
        for _ in range(5)
    ]  # fmt: skip
    network = NETWORKS[name](2, 3)
    assert check(network.layers, designs) > 0


@pytest.mark.parametrize(("kind", "dataflow"), MODES)
def test_versions_of_a_layer_at_other_bits_equal_the_scalar_form(kind: str, dataflow: str) -> None:
    rng, feasible = Random(f"bits {kind} {dataflow}"), 0
    for seed in range(12):
        layer, design = random_any_layer(rng), designs_of(kind, dataflow, 1, seed)[0]
        versions = [_at_bits(layer, rng) for _ in range(16)]
        activity, reasons = batch.evaluate_alike(versions, design)
        columns = flat(activity)
        for index, version in enumerate(versions):
            wanted, reason = scalar([version], design)
            assert reasons[index] == reason, (version, design)
            got = {name: int(column[index]) for name, column in columns.items()}
            assert got == (dict.fromkeys(COUNTS, 0) if reason else flat(wanted[0])), (version, design)
            feasible += not reason
    assert feasible > 60


def _at_bits(layer: Layer, rng: Random) -> Layer:
    """Without a pad code that few bits could not have, and ternary weights as they are."""
    act = rng.randint(1, 5)
    if isinstance(layer, Conv) and layer.pad_code is not None:
        layer = replace(layer, pad_code=1)
    out = rng.randint(1, 5) if sums(layer) else act
    kept = getattr(layer, "ternary", False)
    weight = layer.weight_bits if isinstance(layer, Contraction) and kept else rng.randint(1, 5)
    return at_bits(layer, act, weight, None if layer.out_bits is None else out)


def test_versions_must_be_of_one_layer() -> None:
    rng = Random(1)
    with pytest.raises(ValueError, match="its versions must differ in bits only"):
        batch.evaluate_alike([random_any_layer(rng) for _ in range(3)], Design())
    with pytest.raises(ValueError, match="must be a layer that the machine walks"):
        batch.evaluate_alike([Flatten(name="flat", in_shape=(2, 2, 2), act_bits=2)], Design())


REASONS = ("max_act_bits", "max_weight_bits", "acc_bits", "weight_depth", "threshold_depth", "act_depth", "out_depth")


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_not_to_fit_is_named_alike(reason: str) -> None:
    layer = Conv(name="c", in_shape=(64, 3, 3), out_channels=16, kernel=(3, 3), act_bits=3, weight_bits=3, out_bits=3)
    fits = Design(rows=16, cols=4, width=16, max_act_bits=4, max_weight_bits=4)
    changes: dict[str, Any] = {
        "max_act_bits": {"max_act_bits": 2}, "max_weight_bits": {"max_weight_bits": 2},
        "acc_bits": {"max_act_bits": 3, "max_weight_bits": 3, "weight_depth": 2},
        "weight_depth": {"weight_depth": 206}, "threshold_depth": {"rows": 4, "threshold_depth": 6},
        "act_depth": {"act_depth": 200}, "out_depth": {"out_depth": 6},
    }  # fmt: skip
    design = replace(fits, **changes[reason])
    assert scalar([layer], fits)[1] == ""
    assert scalar([layer], design)[1] == reason
    assert check([layer], [design, fits]) == 1


def test_the_first_layer_that_does_not_fit_gives_the_reason() -> None:
    wide = Conv(name="a", in_shape=(8, 3, 3), out_channels=8, kernel=(1, 1), act_bits=8, weight_bits=1, out_bits=1)
    deep = replace(wide, name="b", in_shape=(4096, 3, 3), act_bits=1)
    design = Design(rows=8, width=8, max_act_bits=4, weight_depth=64)
    assert [batch.evaluate(order, of_designs([design])).reason[0] for order in ([wide, deep], [deep, wide])] == [
        "max_act_bits",
        "weight_depth",
    ]


def test_flatten_costs_no_record_even_if_no_design_is_legal() -> None:
    layers: list[Layer] = [Flatten(name="flatten", in_shape=(4, 2, 2), act_bits=1)]
    legal, broken = of_designs([Design()]), replace(of_designs([Design()]), rows=np.array([24]), width=np.array([64]))
    assert batch.evaluate(layers, legal).layers == ()
    assert list(batch.evaluate(layers, broken).reason) == [ILLEGAL[0]]
    assert batch.evaluate(layers, broken).layers == ()


def test_infeasible_designs_have_zeros_in_every_layer() -> None:
    """`Evaluated.layers`: zeros where infeasible, also in the layers before the one that does not fit."""
    small = Conv(name="a", in_shape=(8, 3, 3), out_channels=8, kernel=(1, 1), act_bits=1, weight_bits=1, out_bits=1)
    large = replace(small, name="b", in_shape=(4096, 3, 3))
    many = batch.evaluate([small, large], of_designs([Design(rows=8, width=8, weight_depth=64)]))
    assert list(many.reason) == ["weight_depth"]
    assert [int(layer.cycles.total[0]) for layer in many.layers] == [0, 0]  # type: ignore[index]


def legal_mappings(layer: Layer, design: Design) -> list[Mapping]:
    """Section 4 of docs/machine.md, by trying everything: all tile sizes, all blocks, all four buffers."""
    seen = window(layer, design.width)
    whole = Walk(seen, design, "weight", 1, (1, 1))
    groups = whole.channel_groups()
    unit = max(design.rows, design.width) // design.rows
    sizes = {size for i in range(12) if (size := unit * 2**i) < len(groups)} | {len(groups)}
    sides = [{side for i in range(12) if (side := 2**i) < size} | {size} for size in seen.out_size]
    dataflows = ("weight", "activation") if design.dataflow == "best" else (design.dataflow,)
    dataflows = ("weight",) if seen.vector else dataflows
    return [
        Mapping(dataflow, size, (height, width))
        for dataflow, size, height, width in product(dataflows, sorted(sizes), sorted(sides[0]), sorted(sides[1]))
        if fits(Walk(seen, design, dataflow, size, (height, width)))
    ]


def fits(walk: Walk) -> bool:
    """Whether a tile fits half of every buffer."""
    s, d, (la, lw) = walk.seen, walk.design, walk.lanes
    block = walk.blocks()[0]
    patch = held(walk, block, 0) * held(walk, block, 1)
    channels = min(walk.groups * d.rows, s.channels) if s.vector else s.channels
    values = 1 if s.out_bits is not None else up(walk.planes, d.max_act_bits)
    weight_entries = 0 if s.vector else walk.groups * walk.window_words() * up(s.weight_bits, lw)
    per_word = max(1, d.width // d.rows)
    return (
        weight_entries <= d.weight_depth // 2
        and walk.groups * (walk.levels > 0) <= d.threshold_depth // 2
        and patch * s.operands * up(channels, d.width) * up(s.act_bits, la) <= d.act_depth // 2
        and d.cols * prod(walk.block) * up(walk.groups, per_word) * per_word * values <= d.out_depth // 2
    )


def held(walk: Walk, block: Sequence[tuple[int, int]], axis: int) -> int:
    """Pixels of a patch along an axis, pads included: one piece where windows meet, else one a window."""
    s = walk.seen
    span = (s.kernel[axis] - 1) * s.dilation[axis] + 1
    starts = sorted({position[axis] * s.stride[axis] for position in block})
    return starts[-1] - starts[0] + span if s.stride[axis] <= span else len(starts) * span


def test_best_mapping_is_the_least_of_all_legal_ones() -> None:
    """Fewest cycles, then fewest bits moved, then the first in the order dataflow, channels, rows, columns."""
    searched = 0
    for seed in range(600):
        rng = Random(seed)
        layer = random_any_layer(rng, size=9, channels=60)
        design = replace(random_design(rng), act_depth=512, weight_depth=4096)
        shape, options = geometry(layer, design.width), legal_mappings(layer, design)
        assert shape is not None
        if scalar([layer], design)[1]:
            assert not options or scalar([layer], design)[1] in (
                "max_act_bits",
                "max_weight_bits",
                "acc_bits",
                "padding",
            )
            continue
        activities = [evaluate_mapping(shape, design, mapping).activity for mapping in options]
        keys = [(a.cycles.total, a.memory_read_bits + a.memory_write_bits) for a in activities]
        best = evaluate_layer(layer, design)
        assert best is not None
        assert best.mapping == options[keys.index(min(keys))], (layer, design)
        searched += len(options)
    assert searched > 5000


@pytest.mark.parametrize("name", TECHNOLOGIES)
@pytest.mark.parametrize("kind", ["array", "mac"])
@pytest.mark.parametrize("memory", ["dram", "sram"])
def test_prices_of_arrays_are_prices_of_scalars(name: str, kind: str, memory: str) -> None:
    layer = Conv(name="c", in_shape=(16, 6, 6), out_channels=20, kernel=(3, 3), act_bits=2, weight_bits=3, out_bits=2)
    rng, designs = Random(name), []
    for design in designs_of(kind, "best", 40, seed=7, memory=memory):
        clock, kib = rng.choice((50.0, 150.0, 250.0)), rng.choice((1, 30, 64))
        design = replace(design, clock_mhz=clock, memory_kib=kib, weight_depth=rng.choice((2048, 8192)), act_depth=2048)
        design = replace(design, out_depth=rng.choice((128, 1024)), threshold_depth=rng.choice((128, 1024)))
        designs.append(replace(design, technology=name))
    columns = of_designs(designs)
    activity = batch.total(batch.evaluate([layer, layer], columns).layers)
    build = Build(
        knobs=columns,
        memory=memory,
        memory_kib=np.array([design.memory_kib for design in designs]),
        clock_mhz=np.array([design.clock_mhz for design in designs]),
    )
    priced = price(activity, build, technology(name))
    for index, design in enumerate(designs):
        wanted = price(activity_total(scalar([layer, layer], design)[0]), Build.of(design), technology(name))
        for item in fields(Cost):
            value = np.broadcast_to(getattr(priced, item.name), len(designs))[index]
            np.testing.assert_allclose(value, getattr(wanted, item.name), rtol=1e-12, err_msg=item.name)


def test_accumulator_widths_agree() -> None:
    grid = product((1, 3, 8, 64, 1000), (2, 3, 64, 1023, 1024, 1025, 2**20), (1, 8), (1, 5))
    designs = [
        Design(rows=1, width=width, port_bits=width, weight_depth=depth, max_act_bits=m, max_weight_bits=k)
        for width, depth, m, k in grid
    ]
    assert of_designs(designs).acc_bits.tolist() == [design.acc_bits for design in designs]


@pytest.mark.parametrize("kind", ["array", "mac"])
def test_illegal_machines_are_refused_alike(kind: str) -> None:
    """The constructor refuses what the sweep marks, for the same first reason."""
    words = ("rows must divide width", "port_bits must divide width", "lanes_a must be", "lanes_w must be")
    sentences = dict(zip(ILLEGAL, words, strict=True))
    grid = list(product((1, 6, 8, 24, 64), (4, 8, 64), (12, 64), (1, 2, 5), (1, 3, 8), (1, 4), (1, 4, 8)))
    names = ("rows", "width", "port_bits", "lanes_a", "lanes_w", "max_act_bits", "max_weight_bits")
    columns = {name: np.array([point[i] for point in grid], np.int64) for i, name in enumerate(names)}
    reasons = illegal_reasons(replace(of_designs([Design(kind=kind)] * len(grid)), **columns))  # type: ignore[arg-type]
    for point, reason in zip(grid, reasons, strict=True):
        values = dict(zip(names, point, strict=True))
        if reason == "":
            assert illegal(Design(kind=kind, **values)) is None  # type: ignore[arg-type]
            continue
        with pytest.raises(ValueError, match=sentences[str(reason)]):
            Design(kind=kind, **values)  # type: ignore[arg-type]
    assert set(reasons) == ({"", *ILLEGAL} if kind == "array" else {"", *ILLEGAL[:2]})


def test_load_busy_is_the_sum_over_tiles_not_a_rounded_mean() -> None:
    # F1 = ceil(17 / 4) = 5 words of 4 bits; 49 channels in tiles of 8 make 6 full tiles and one of 1 channel. A beat of 8
    # bits holds words of two rows, but R is 1: 8 * 5 beats and bursts of 1 = 80 a full tile, 5 + 5 the last one. 5 words
    # of activations, one a beat: 5 + 5. The descriptor: 2048 / 8 = 256 beats and 256 bursts.
    layer = Dense(name="fc", in_shape=(17, 1, 1), out_channels=49, act_bits=1, weight_bits=1, out_bits=None)
    design = Design(rows=1, cols=1, width=4, port_bits=8, port_burst=1, port_latency=0, dataflow="weight")
    shape = geometry(layer, 4)
    assert shape is not None
    activity = evaluate_mapping(shape, design, Mapping("weight", 8, (1, 1))).activity
    assert activity.load_busy == 6 * 80 + 10 + 10 + 512
