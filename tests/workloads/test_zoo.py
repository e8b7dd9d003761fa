"""Totals of the built-in networks against published ones and against sums done by hand."""

from __future__ import annotations

import pytest

from workloads.layers import Add, Conv, Dense, Pool
from workloads.network import Network
from workloads.zoo import NETWORKS, cifar_convnet, resnet18

PAIRS = [(1, 1), (2, 2), (3, 5), (8, 8)]


def layer(network: Network, name: str) -> Conv | Dense | Pool | Add:
    found = next(item for item in network.layers if item.name == name)
    assert isinstance(found, Conv | Dense | Pool | Add)
    return found


def test_resnet18_has_the_published_number_of_weights() -> None:
    # torchvision states 11,689,512 parameters for resnet18 (its model page, "num_params").
    # Batch norm has a weight and a bias per channel: conv1 64; stage 1: 4*64; stages 2-4: 4*c and a downsample c.
    norm_channels = 64 + 4 * 64 + 5 * 128 + 5 * 256 + 5 * 512
    assert norm_channels == 4800
    assert resnet18().parameters == 11_689_512 - 2 * norm_channels - 1000 == 11_678_912


def test_resnet18_has_the_published_number_of_macs() -> None:
    # torchvision states 1.814 GFLOPS for resnet18, which counts multiply-accumulates; He et al. Table 1 says 1.8e9.
    assert resnet18().macs == 1_814_073_344


def test_resnet18_maps_shrink_as_in_table_1_of_he_et_al() -> None:
    network = resnet18(2, 2)
    sizes = {name: layer(network, name).out_shape for name in ("conv1", "maxpool", "layer4.1.add", "avgpool", "fc")}
    assert sizes == {
        "conv1": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer4.1.add": (512, 7, 7),
        "avgpool": (512, 1, 1),
        "fc": (1000, 1, 1),
    }


def test_resnet18_residual_adds_read_and_emit_m_bits() -> None:
    adds = [item for item in resnet18(3, 2).layers if isinstance(item, Add)]
    assert len(adds) == 8
    assert all((item.act_bits, item.out_bits) == (3, 3) for item in adds)


def test_resnet18_shortcuts_are_projections_only_where_the_shape_changes() -> None:
    by_name = {node.layer.name: node for node in resnet18().nodes}
    assert by_name["layer1.0.add"].inputs == ("layer1.0.conv2", "maxpool")
    assert by_name["layer1.1.add"].inputs == ("layer1.1.conv2", "layer1.0.add")
    assert by_name["layer2.0.add"].inputs == ("layer2.0.conv2", "layer2.0.downsample")
    assert by_name["layer2.0.downsample"].inputs == ("layer1.1.add",)
    assert sum(name.endswith("downsample") for name in by_name) == 3


def test_cifar_convnet_totals_by_hand() -> None:
    weights = {
        "conv1a": 3 * 128 * 9,
        "conv1b": 128 * 128 * 9,
        "conv2a": 128 * 256 * 9,
        "conv2b": 256 * 256 * 9,
        "conv3a": 256 * 512 * 9,
        "conv3b": 512 * 512 * 9,
        "fc1": 512 * 4 * 4 * 1024,
        "fc2": 1024 * 1024,
        "fc3": 1024 * 10,
    }
    positions = {"conv1": 32 * 32, "conv2": 16 * 16, "conv3": 8 * 8, "fc": 1}
    network = cifar_convnet()
    assert {item.name: item.weights for item in network.contractions} == weights
    assert network.parameters == sum(weights.values()) == 14_022_016
    macs = sum(
        count * positions[name.rstrip("ab123") if name.startswith("fc") else name[:5]]
        for name, count in weights.items()
    )
    assert network.macs == macs == 616_966_144


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("m", "k"), PAIRS)
class TestEveryNetwork:
    def test_first_layer_reads_the_host_and_the_last_emits_sums(self, name: str, m: int, k: int) -> None:
        network = NETWORKS[name](m, k)
        first, last = network.contractions[0], network.contractions[-1]
        assert first.from_host
        assert first.act_bits == network.input.bits == 8
        assert isinstance(first, Conv)
        assert first.pad_code == -255
        assert last.out_bits is None
        assert last is network.output
        assert not any(item.from_host for item in network.contractions[1:])

    def test_hidden_layers_carry_m_and_k(self, name: str, m: int, k: int) -> None:
        network = NETWORKS[name](m, k)
        assert network.precision == f"{m}x{k}"
        assert network.weight_storage_bits == k * network.parameters

    def test_shape_does_not_depend_on_bits(self, name: str, m: int, k: int) -> None:
        assert NETWORKS[name](m, k).macs == NETWORKS[name]().macs


@pytest.mark.parametrize("name", NETWORKS)
def test_entries_describe_themselves(name: str) -> None:
    entry = NETWORKS[name]
    assert entry.name == name == entry().name
    assert entry.description
    assert "\n" not in entry.description
    assert "arXiv" in entry.source


@pytest.mark.parametrize("name", NETWORKS)
def test_input_bits_set_the_code_of_zero(name: str) -> None:
    network = NETWORKS[name](2, 2, input_bits=5)
    first = network.contractions[0]
    assert network.input.bits == 5
    assert isinstance(first, Conv)
    assert first.pad_code == -31


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("m", "k"), [(0, 1), (9, 1), (1, 0), (1, 9)])
def test_bits_outside_1_to_8_are_refused(name: str, m: int, k: int) -> None:
    with pytest.raises(ValueError, match="must be between 1 and 8"):
        NETWORKS[name](m, k)
