"""Built-in networks as shapes, at any M and K.

NETWORKS["resnet18"](2, 2).macs
NETWORKS["llama2_7b"](8, 4, decoding=Decoding(phase="decode", context=2048)).macs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workloads.network import Network
from workloads.zoo_classifiers import (
    alexnet,
    cifar_convnet,
    googlenet,
    mobilenet_v1,
    mobilenet_v2,
    resnet18,
    resnet34,
    resnet50,
    vgg16,
)
from workloads.zoo_finn import cnv, fully_connected
from workloads.zoo_scenes import deeplab, ssd_resnet18, unet
from workloads.zoo_transformers import BITNET_2B, LLAMA2_7B, Decoder, Decoding, decoder, vit_small

Build = Callable[[int, int, int], Network]
"""M, K and bits of the network input to a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Totals that others print: parameters and multiply-accumulates, None where nobody does. `source` says who."""

    parameters: float | None
    macs: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooEntry:
    """A built-in network: what a list prints about it, and how to build it. Calling the entry builds."""

    name: str
    description: str
    source: str
    published: Published
    build: Build | None = None
    decoder: Decoder | None = None
    ternary: bool = False

    @property
    def decodes(self) -> bool:
        """Whether it is a language model, which has a phase, a context and a batch."""
        return self.decoder is not None

    def __call__(self, m: int = 1, k: int = 1, *, input_bits: int = 8, decoding: Decoding | None = None) -> Network:
        """Build it. Raises ValueError for bits outside 1..8, and for a decoding where there is none.

        A language model's input are M-bit embeddings, and the weights of a ternary one are ternary where K = 2.
        """
        if self.decoder is not None:
            ternary = self.ternary and k == 2
            return decoder(self.name, self.decoder, m, k, decoding or Decoding(), ternary=ternary)
        if decoding is not None:
            raise ValueError(f"network {self.name!r}: phase, context and batch are those of language models")
        assert self.build is not None
        return self.build(m, k, input_bits)


def _torchvision(parameters: float, giga_macs: float) -> Published:
    return Published(parameters=parameters, macs=giga_macs * 1e9, source="torchvision model zoo (num_params, GFLOPS)")


_ENTRIES = (
    ZooEntry(
        name="cifar_convnet",
        description="CIFAR-10 ConvNet of BinaryConnect and BNN: six 3x3 convolutions, three fully connected layers",
        source="Courbariaux et al., arXiv:1511.00363 and arXiv:1602.02830; used by arXiv:1905.13389 Table 3",
        published=Published(parameters=14.0e6, macs=None, source="arXiv:1602.02830; counted by hand in the test"),
        build=cifar_convnet,
    ),
    ZooEntry(
        name="alexnet",
        description="AlexNet in one tower, 224x224",
        source="Krizhevsky, arXiv:1404.5997",
        published=_torchvision(61_100_840, 0.714),
        build=alexnet,
    ),
    ZooEntry(
        name="vgg16",
        description="VGG-16, configuration D, 224x224",
        source="Simonyan and Zisserman, arXiv:1409.1556",
        published=_torchvision(138_357_544, 15.47),
        build=vgg16,
    ),
    ZooEntry(
        name="googlenet",
        description="GoogLeNet, nine inception modules, 224x224",
        source="Szegedy et al., arXiv:1409.4842, as torchvision builds it",
        published=_torchvision(6_624_904, 1.498),
        build=googlenet,
    ),
    ZooEntry(
        name="resnet18",
        description="ResNet-18 for ImageNet, 224x224: eight residual blocks of two 3x3 convolutions",
        source="He et al., arXiv:1512.03385 Table 1 (projection shortcuts, option B); used by arXiv:1905.13389 Table 3",
        published=_torchvision(11_689_512, 1.814),
        build=resnet18,
    ),
    ZooEntry(
        name="resnet34",
        description="ResNet-34 for ImageNet, 224x224: sixteen residual blocks of two 3x3 convolutions",
        source="He et al., arXiv:1512.03385 Table 1",
        published=_torchvision(21_797_672, 3.664),
        build=resnet34,
    ),
    ZooEntry(
        name="resnet50",
        description="ResNet-50 v1.5 for ImageNet, 224x224: sixteen bottleneck blocks",
        source="He et al., arXiv:1512.03385 Table 1; stride in the 3x3 convolution",
        published=_torchvision(25_557_032, 4.089),
        build=resnet50,
    ),
    ZooEntry(
        name="mobilenet_v1",
        description="MobileNet, width 1.0, 224x224: depthwise separable convolutions",
        source="Howard et al., arXiv:1704.04861 Table 1",
        published=Published(parameters=4.2e6, macs=569e6, source="arXiv:1704.04861 Table 8"),
        build=mobilenet_v1,
    ),
    ZooEntry(
        name="mobilenet_v2",
        description="MobileNet v2, width 1.0, 224x224: inverted residuals",
        source="Sandler et al., arXiv:1801.04381 Table 2",
        published=_torchvision(3_504_872, 0.301),
        build=mobilenet_v2,
    ),
    ZooEntry(
        name="cnv",
        description="CNV of FINN on 32x32 images: six 3x3 convolutions without padding, three fully connected layers",
        source="Umuroglu et al., arXiv:1612.07119",
        published=Published(parameters=1_542_848, macs=None, source="Pappalardo et al., arXiv:2206.07527 Table II"),
        build=cnv,
    ),
    ZooEntry(
        name="tfc",
        description="TFC of FINN on digits: 784-64-64-64-10",
        source="Umuroglu et al., arXiv:1612.07119",
        published=Published(parameters=59_008, macs=59_008, source="Pappalardo et al., arXiv:2206.07527 Table II"),
        build=fully_connected("tfc", 64),
    ),
    ZooEntry(
        name="lfc",
        description="LFC of FINN on digits: 784-1024-1024-1024-10",
        source="Umuroglu et al., arXiv:1612.07119",
        published=Published(parameters=2.9e6, macs=2.9e6, source="arXiv:1612.07119 Table 3: 5.8 MOP a frame"),
        build=fully_connected("lfc", 1024),
    ),
    ZooEntry(
        name="ssd_resnet18",
        description="SSD 300 on ResNet-18, VOC classes: the detection network of the paper",
        source="Liu et al., arXiv:1512.02325; layers as in NVIDIA's SSD with backbone resnet18; arXiv:1905.13389 Table 4",
        published=Published(parameters=None, macs=None, source="none found; the test counts it by hand"),
        build=ssd_resnet18,
    ),
    ZooEntry(
        name="deeplabv3_resnet50",
        description="DeepLab v3 on ResNet-50, output stride 8, 520x520",
        source="Chen et al., arXiv:1706.05587, as torchvision builds it, without the auxiliary head",
        published=_torchvision(42_004_074, 178.722),
        build=deeplab,
    ),
    ZooEntry(
        name="unet",
        description="U-Net, padded, 512x512, two classes",
        source="Ronneberger et al., arXiv:1505.04597, with padding and batch norm as in the widely used PyTorch version",
        published=Published(
            parameters=31_037_698, macs=None, source="milesial/Pytorch-UNet, n_channels=3, n_classes=2"
        ),
        build=unet,
    ),
    ZooEntry(
        name="vit_s",
        description="ViT-S/16, 224x224: twelve blocks of six heads",
        source="Touvron et al., arXiv:2012.12877 (DeiT-S)",
        published=Published(parameters=22_050_664, macs=4.6e9, source="arXiv:2012.12877 Table 1 and DeiT-S weights"),
        build=vit_small,
    ),
    ZooEntry(
        name="bitnet_2b",
        description="BitNet b1.58 2B4T: ternary weights where K is 2, grouped queries; prefill or decode",
        source="Ma et al., arXiv:2504.12285",
        published=Published(parameters=2.4e9, macs=None, source="arXiv:2504.12285 (2.4 B with embeddings)"),
        decoder=BITNET_2B,
        ternary=True,
    ),
    ZooEntry(
        name="llama2_7b",
        description="Llama 2 7B decoder; prefill or decode",
        source="Touvron et al., arXiv:2307.09288",
        published=Published(
            parameters=6_738_415_616, macs=None, source="Llama-2-7b weights (parameters of the checkpoint)"
        ),
        decoder=LLAMA2_7B,
    ),
)

NETWORKS: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}
"""Built-in networks by name."""

__all__ = ["NETWORKS", "Decoding", "Published", "ZooEntry"]
