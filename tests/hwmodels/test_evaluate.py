"""hwmodels.models.evaluate: a network on a design, its limits and its utilisation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hwmodels.activity import total
from hwmodels.build import Build
from hwmodels.cost import price, silicon
from hwmodels.design import Design
from hwmodels.footprint import footprint_bits
from hwmodels.mapping import Misfit
from hwmodels.models import check_device, evaluate, utilisation, work
from hwmodels.technology import TECHNOLOGIES, technology
from workloads.layers import Conv, Dense, Flatten, Pool
from workloads.network import Input, Network, Node
from workloads.zoo import NETWORKS

DESIGN = Design(rows=16, cols=4, width=64, weight_depth=8192, act_depth=4096, out_depth=4096, threshold_depth=32)
CONV = Conv(name="conv", in_shape=(16, 6, 6), out_channels=16, kernel=(3, 3), act_bits=2, weight_bits=2, out_bits=2)
POOL = Pool(name="pool", kind="max", in_shape=(16, 4, 4), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
FLAT = Flatten(name="flat", in_shape=(16, 2, 2), act_bits=2)
HEAD = Dense(name="head", in_shape=(16, 2, 2), out_channels=10, act_bits=2, weight_bits=2, out_bits=None)
NETWORK = Network(
    "net", Input(name="input", shape=(16, 6, 6), bits=2),
    (Node(CONV, ("input",)), Node(POOL, ("conv",)), Node(FLAT, ("pool",)), Node(HEAD, ("flat",))),
)  # fmt: skip


@pytest.mark.parametrize("name", TECHNOLOGIES)
@pytest.mark.parametrize("kind", ["array", "mac"])
def test_layers_add_up_to_the_network(name: str, kind: str) -> None:
    small: dict[str, Any] = {"rows": 4, "width": 16, "max_act_bits": 4, "max_weight_bits": 4, "weight_depth": 1024}
    design = replace(DESIGN, **small, kind=kind, technology=name, clock_mhz=25.0)  # type: ignore[arg-type]
    found = evaluate(NETWORK, design)
    assert [result.layer.name for result in found.layers] == ["conv", "pool", "head"]
    assert found.activity == total(result.evaluated.activity for result in found.layers)
    assert found.cost.latency_cycles == sum(result.cost.latency_cycles for result in found.layers)
    assert found.cost.energy_nj == pytest.approx(sum(result.cost.energy_nj for result in found.layers))
    assert found.technology is technology(name)


@pytest.mark.parametrize("name", ["cifar_convnet", "resnet18"])
@pytest.mark.parametrize("kind", ["array", "mac"])
@pytest.mark.parametrize(("m", "k"), [(1, 1), (3, 2), (8, 8)])
def test_utilisation_is_a_share(name: str, kind: str, m: int, k: int) -> None:
    found = evaluate(NETWORKS[name](m, k), replace(DESIGN, kind=kind))  # type: ignore[arg-type]
    assert 0 < found.utilisation <= 1
    for result in found.layers:
        assert 0 <= result.utilisation <= 1
        assert (result.utilisation > 0) == isinstance(result.layer, Conv | Dense)


def test_utilisation_by_hand() -> None:
    # 16 positions * 16 channels * 144 inputs = 36,864 products of 2 x 2 planes over cycles * 16 * 4 * 64 bits.
    assert work(CONV, "array") == 36_864 * 4
    assert work(CONV, "mac") == 36_864
    assert work(POOL, "array") == work(FLAT, "array") == 0
    activity = evaluate(NETWORK, DESIGN).layers[0].evaluated.activity
    assert utilisation(36_864 * 4, activity, DESIGN) == pytest.approx(36_864 * 4 / (activity.cycles.total * 4096))


def test_an_on_chip_memory_must_hold_the_network() -> None:
    needed = -(-footprint_bits(NETWORK, rows=16, width=64) // 8192)
    assert evaluate(NETWORK, replace(DESIGN, memory="sram", memory_kib=needed))
    sentence = f"^network 'net': memory_kib must be at least {needed}, not {needed - 1}$"
    with pytest.raises(Misfit, match=sentence) as raised:
        evaluate(NETWORK, replace(DESIGN, memory="sram", memory_kib=needed - 1))
    assert raised.value.reason == "memory_kib"


@pytest.mark.parametrize(
    ("name", "changes", "reason", "sentence"),
    [
        ("asic45", {"clock_mhz": 1001.0}, "clock_mhz", "design: clock_mhz must be at most 1000 in asic45, not 1001"),
        ("zynq7020", {"clock_mhz": 251.0}, "clock_mhz", "design: clock_mhz must be at most 250 in zynq7020, not 251"),
        ("zynq7020", {"rows": 64, "cols": 16}, "lut", r"design: lut must be at most 53200 in zynq7020, not \S+"),
        ("zynq7020", {"weight_depth": 2**15}, "bram36", r"design: bram36 must be at most 140 in zynq7020, not \S+"),
        (
            "zu3eg",
            {"kind": "mac", "rows": 8, "cols": 2, "weight_depth": 512, "act_depth": 512},
            "dsp",
            r"design: dsp must be at most 360 in zu3eg, not 512",
        ),
    ],
)
def test_a_device_has_limits(name: str, changes: dict[str, Any], reason: str, sentence: str) -> None:
    design = replace(DESIGN, technology=name, **changes)
    with pytest.raises(Misfit, match=f"^{sentence}$") as raised:
        evaluate(NETWORK, design)
    assert raised.value.reason == reason


def test_a_device_is_used_up_to_its_limits() -> None:
    """At the limit it fits: 22 * 64 / 4 = 352 of 360 slices with 4 x 4 bits, and just its LUTs."""
    node = technology("u250")
    design = replace(DESIGN, technology="u250", rows=64, cols=16)
    parts = silicon(Build.of(design), node)
    exact = replace(node, limits={name: int(value) for name, value in parts.items() if name in node.limits})
    check_device(design, exact)
    with pytest.raises(Misfit, match="lut"):
        check_device(design, replace(exact, limits={**exact.limits, "lut": int(parts["lut"]) - 1}))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^model must be one of .*analytical.*, not 'magic'$"):
        evaluate(NETWORK, DESIGN, model="magic")
    with pytest.raises(ValueError, match=r"^technology must be one of asic65, .*, not 'asic28'$"):
        evaluate(NETWORK, replace(DESIGN, technology="asic28"))


def test_a_layer_that_does_not_fit_is_named() -> None:
    with pytest.raises(Misfit, match=r"^layer 'conv': weight_depth / 2 must be at least 18, not 8$"):
        evaluate(NETWORK, replace(DESIGN, weight_depth=16))


def test_price_of_the_network_is_the_price_of_its_activity() -> None:
    found = evaluate(NETWORK, DESIGN)
    again = price(found.activity, Build.of(DESIGN), technology("asic45"))
    assert (found.cost.energy_nj, found.cost.area_mm2) == (again.energy_nj, again.area_mm2)
