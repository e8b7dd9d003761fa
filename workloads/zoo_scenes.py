"""Detection and segmentation: SSD on ResNet-18, DeepLab v3 on ResNet-50, U-Net."""

from __future__ import annotations

from workloads.network import Network
from workloads.zoo_chain import Chain, Map, image
from workloads.zoo_classifiers import residual_stages

VOC_CLASSES = 21
"""Twenty and the background."""
BOXES = (4, 6, 6, 6, 4, 4)
"""Default boxes a position of each of SSD's six maps."""


def ssd_resnet18(m: int, k: int, input_bits: int) -> Network:
    """SSD 300: ResNet-18 up to its third stage, which keeps its size (38x38), five smaller maps, box and class heads on all six.

    arXiv:1905.13389 names the network and prints no layers; these are those of NVIDIA's SSD with a ResNet-18 backbone.
    """
    chain = Chain(image(300, input_bits), m, k)
    maps = [residual_stages(chain, (2, 2, 2), bottleneck=False, strides=(1, 2, 1))]
    for number, (middle, outputs) in enumerate(((256, 512), (256, 512), (128, 256), (128, 256), (128, 128)), start=1):
        chain.conv(f"extra{number}a", middle, 1)
        shrinks = number < 4
        maps.append(chain.conv(f"extra{number}b", outputs, 3, stride=2 if shrinks else 1, pad=1 if shrinks else 0))
    for number, (read, boxes) in enumerate(zip(maps, BOXES, strict=True), start=1):
        chain.conv(f"boxes{number}", 4 * boxes, 3, source=read, raw=True)
        chain.conv(f"classes{number}", VOC_CLASSES * boxes, 3, source=read, raw=True)
    return chain.network("ssd_resnet18")


def deeplab(m: int, k: int, input_bits: int) -> Network:
    """DeepLab v3 on ResNet-50 at output stride 8, 520x520; the host enlarges the scores eight times."""
    chain = Chain(image(520, input_bits), m, k)
    read = residual_stages(
        chain, (3, 4, 6, 3), bottleneck=True, strides=(1, 2, 1, 1), dilations=((1, 1), (1, 1), (1, 2), (2, 4))
    )
    branches = [chain.conv("aspp.1x1", 256, 1, source=read)]
    branches += [chain.conv(f"aspp.rate{rate}", 256, 3, dilation=rate, source=read) for rate in (12, 24, 36)]
    chain.mean("aspp.mean", source=read)
    chain.conv("aspp.pooled", 256, 1)
    branches.append(chain.upsample("aspp.spread", (read.shape[1], read.shape[2]), "nearest"))
    chain.concat("aspp", *branches)
    chain.conv("project", 256, 1)
    chain.conv("head", 256, 3)
    chain.conv("classes", VOC_CLASSES, 1, raw=True)
    return chain.network("deeplabv3_resnet50")


def unet(m: int, k: int, input_bits: int) -> Network:
    """Five levels of two 3x3 convolutions, padded; 2x2 max pools down, 2x2 transposed convolutions up; two classes; 512x512."""
    chain, left = Chain(image(512, input_bits), m, k), list[Map]()
    for level in range(5):
        if level:
            chain.max_pool(f"down{level}", 2, stride=2)
        left.append(_double(chain, f"left{level}", 64 * 2**level))
    for level in reversed(range(4)):
        grown = chain.transposed(f"up{level}", 64 * 2**level)
        chain.concat(f"join{level}", left[level], grown)
        _double(chain, f"right{level}", 64 * 2**level)
    chain.conv("classes", 2, 1, raw=True)
    return chain.network("unet")


def _double(chain: Chain, name: str, channels: int) -> Map:
    chain.conv(f"{name}.a", channels, 3)
    return chain.conv(f"{name}.b", channels, 3)
