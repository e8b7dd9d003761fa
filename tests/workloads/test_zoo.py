"""Totals of the built-in networks against published ones and against sums done by hand."""

from __future__ import annotations

import pytest

from workloads.layers import Add, Conv, Dense, Host, MatMul, Pool
from workloads.network import Network
from workloads.zoo import NETWORKS, Decoding
from workloads.zoo_scenes import BOXES
from workloads.zoo_transformers import BITNET_2B, LLAMA2_7B, Decoder

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
    assert NETWORKS["resnet18"]().parameters == 11_689_512 - 2 * norm_channels - 1000 == 11_678_912


def test_resnet18_has_the_published_number_of_macs() -> None:
    # torchvision states 1.814 GFLOPS for resnet18, which counts multiply-accumulates; He et al. Table 1 says 1.8e9.
    assert NETWORKS["resnet18"]().macs == 1_814_073_344


def test_resnet18_maps_shrink_as_in_table_1_of_he_et_al() -> None:
    network = NETWORKS["resnet18"](2, 2)
    sizes = {name: layer(network, name).out_shape for name in ("conv1", "maxpool", "layer4.1.add", "avgpool", "fc")}
    assert sizes == {
        "conv1": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer4.1.add": (512, 7, 7),
        "avgpool": (512, 1, 1),
        "fc": (1000, 1, 1),
    }


def test_resnet18_residual_adds_read_and_emit_m_bits() -> None:
    adds = [item for item in NETWORKS["resnet18"](3, 2).layers if isinstance(item, Add)]
    assert len(adds) == 8
    assert all((item.act_bits, item.out_bits) == (3, 3) for item in adds)


def test_resnet18_shortcuts_are_projections_only_where_the_shape_changes() -> None:
    by_name = {node.layer.name: node for node in NETWORKS["resnet18"]().nodes}
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
    network = NETWORKS["cifar_convnet"]()
    assert {item.name: item.weights for item in network.contractions} == weights
    assert network.parameters == sum(weights.values()) == 14_022_016
    macs = sum(
        count * positions[name.rstrip("ab123") if name.startswith("fc") else name[:5]]
        for name, count in weights.items()
    )
    assert network.macs == macs == 616_966_144


def norms(network: Network, *, without: tuple[str, ...] = ()) -> int:
    """Batch norm parameters: a weight and a bias for every output channel of a convolution."""
    convs = [item for item in network.contractions if isinstance(item, Conv) and not item.name.startswith(without)]
    return sum(2 * item.out_channels for item in convs)


def biases(network: Network, *kinds: type[Conv] | type[Dense]) -> int:
    return sum(item.out_channels for item in network.contractions if isinstance(item, kinds))


def published(name: str) -> int:
    found = NETWORKS[name].published.parameters
    assert found is not None
    return int(found)


def test_parameters_are_the_published_ones_to_the_last_one() -> None:
    """Weights here, plus what the published totals count besides: biases and batch norms."""
    for name in ("alexnet", "vgg16"):
        network = NETWORKS[name]()
        assert network.parameters + biases(network, Conv, Dense) == published(name)
    for name in ("googlenet", "resnet18", "resnet34", "resnet50", "mobilenet_v2"):
        network = NETWORKS[name]()
        assert network.parameters + norms(network) + biases(network, Dense) == published(name)
    for name in ("cnv", "tfc"):
        assert NETWORKS[name]().parameters == published(name)
    # The auxiliary head: a 3x3 convolution 1024 to 256 with batch norm, a 1x1 convolution to 21 classes with bias.
    deeplab = NETWORKS["deeplabv3_resnet50"]()
    auxiliary = 1024 * 256 * 9 + 2 * 256 + 256 * 21 + 21
    assert deeplab.parameters + norms(deeplab, without=("classes",)) + 21 + auxiliary == published("deeplabv3_resnet50")
    # Batch norm behind the double convolutions; transposed convolutions and the last one have biases.
    unet = NETWORKS["unet"]()
    grown = 512 + 256 + 128 + 64
    assert unet.parameters + norms(unet, without=("up", "classes")) + grown + 2 == published("unet")
    # Biases everywhere, two normalizations a block and one at the end, class token, positions.
    vit = NETWORKS["vit_s"]()
    assert vit.parameters + biases(vit, Conv, Dense) + 2 * 384 * 25 + 384 + 197 * 384 == published("vit_s")
    # Embeddings, and a scale for every feature of two normalizations a layer and one at the end.
    llama = NETWORKS["llama2_7b"]()
    assert llama.parameters + 32000 * 4096 + 65 * 4096 == published("llama2_7b")


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.published.macs is not None])
def test_macs_are_the_published_ones(name: str) -> None:
    entry = NETWORKS[name]
    macs = entry().macs
    if name == "deeplabv3_resnet50":  # the published figure counts the auxiliary head, on maps of 65 x 65
        macs += 65 * 65 * (1024 * 256 * 9 + 256 * 21)
    assert entry.published.macs is not None
    # As many digits as are printed: 1.814e9 is +-0.0005e9.
    digits = len(f"{entry.published.macs:e}".split("e")[0].rstrip("0").replace(".", ""))
    assert macs == pytest.approx(entry.published.macs, rel=0.51 * 10.0 ** (1 - digits))


def test_rounded_parameters() -> None:
    assert NETWORKS["mobilenet_v1"]().parameters == pytest.approx(4.2e6, rel=0.012)  # 4.2 million, two digits
    assert NETWORKS["lfc"]().parameters == 784 * 1024 + 2 * 1024**2 + 10240
    # 2.4 billion with the embeddings, which are the logits' weights
    assert NETWORKS["bitnet_2b"]().parameters == pytest.approx(published("bitnet_2b"), rel=0.02)


def test_ssd_by_hand() -> None:
    network = NETWORKS["ssd_resnet18"]()
    maps = [item for item in network.contractions if item.name.startswith("boxes")]
    assert [item.in_shape[1] for item in maps] == [38, 19, 10, 5, 3, 1]
    assert [item.in_shape[0] for item in maps] == [256, 512, 512, 256, 256, 128]
    # 8,732 default boxes, as arXiv:1512.02325 states for SSD300; 4 coordinates and 21 classes each
    assert sum(boxes * item.positions for item, boxes in zip(maps, BOXES, strict=True)) == 8732
    outputs = [item for item in network.contractions if item.out_bits is None]
    assert sum(item.out_channels * item.positions for item in outputs) == 8732 * 25
    backbone = 11_678_912 - 512 * 1000 - (256 * 512 * 9 + 3 * 512 * 512 * 9 + 256 * 512)
    extras = sum(
        a * b + b * c * 9
        for a, b, c in ((256, 256, 512), (512, 256, 512), (512, 128, 256), (256, 128, 256), (256, 128, 128))
    )
    heads = sum(9 * item.in_shape[0] * boxes * 25 for item, boxes in zip(maps, BOXES, strict=True))
    assert network.parameters == backbone + extras + heads


def layer_weights(shape: Decoder) -> int:
    """Queries and output, keys and values, three matrices of the gated layer."""
    keys = shape.key_heads * shape.hidden // shape.heads
    return 2 * shape.hidden**2 + 2 * shape.hidden * keys + 3 * shape.hidden * shape.inner


@pytest.mark.parametrize(("name", "shape"), [("bitnet_2b", BITNET_2B), ("llama2_7b", LLAMA2_7B)])
@pytest.mark.parametrize(
    ("phase", "context", "batch"), [("prefill", 7, 1), ("prefill", 5, 3), ("decode", 100, 1), ("decode", 9, 4)]
)
def test_language_models_by_formula(name: str, shape: Decoder, phase: str, context: int, batch: int) -> None:
    decoding = Decoding(phase=phase, context=context, batch=batch)  # type: ignore[arg-type]
    network = NETWORKS[name](8, 2, decoding=decoding)
    tokens = context if phase == "prefill" else 1
    dense = shape.layers * layer_weights(shape) * tokens * batch + shape.hidden * shape.vocabulary * batch
    attention = shape.layers * 2 * batch * tokens * context * shape.hidden
    assert network.macs == dense + attention
    assert network.parameters == shape.layers * layer_weights(shape) + shape.hidden * shape.vocabulary
    products = [item for item in network.layers if isinstance(item, MatMul)]
    assert len(products) == 2 * shape.layers
    assert all(item.cached == (phase == "decode") for item in products)
    assert {item.heads for item in products} == {batch * shape.key_heads}
    assert network.output.out_shape == (shape.vocabulary, 1, batch)
    assert sum(isinstance(item, Host) and item.function == "softmax" for item in network.layers) == shape.layers


def test_ternary_language_model() -> None:
    dense = [item for item in NETWORKS["bitnet_2b"](8, 2).layers if isinstance(item, Dense)]
    assert all(item.ternary for item in dense)
    assert not any(item.ternary for item in NETWORKS["bitnet_2b"](8, 4).layers if isinstance(item, Dense))


def test_what_a_decoding_refuses() -> None:
    with pytest.raises(ValueError, match="phase must be 'prefill' or 'decode', not 'train'"):
        Decoding(phase="train")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sequence: context must be an integer >= 1, not 0"):
        Decoding(context=0)
    with pytest.raises(ValueError, match="network 'vgg16': phase, context and batch are those of language models"):
        NETWORKS["vgg16"](decoding=Decoding())


IMAGES = [name for name, entry in NETWORKS.items() if not entry.decodes]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("m", "k"), PAIRS)
class TestEveryNetwork:
    def test_first_layer_reads_the_host_and_the_last_emits_sums(self, name: str, m: int, k: int) -> None:
        network = NETWORKS[name](m, k)
        first, last = network.contractions[0], network.contractions[-1]
        assert last.out_bits is None
        assert last is network.output
        assert not any(item.from_host for item in network.contractions[1:] if isinstance(item, Conv | Dense))
        if name in IMAGES:
            assert isinstance(first, Conv | Dense)
            assert first.from_host
            assert first.act_bits == network.input.bits == 8
            assert not isinstance(first, Conv) or first.pad_code == (-255 if any(first.padding) else None)

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
    assert entry.published.source


@pytest.mark.parametrize("name", IMAGES)
def test_input_bits_set_the_code_of_zero(name: str) -> None:
    network = NETWORKS[name](2, 2, input_bits=5)
    first = network.contractions[0]
    assert network.input.bits == first.act_bits == 5
    assert not isinstance(first, Conv) or first.pad_code in (None, -31)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("m", "k"), [(0, 1), (9, 1), (1, 0), (1, 9)])
def test_bits_outside_1_to_8_are_refused(name: str, m: int, k: int) -> None:
    with pytest.raises(ValueError, match="must be between 1 and 8"):
        NETWORKS[name](m, k)
