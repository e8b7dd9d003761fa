"""Image classifiers: AlexNet, VGG, GoogLeNet, ResNets, MobileNets and the paper's ConvNet, in the variants that torchvision counts."""

from __future__ import annotations

from workloads.network import Network
from workloads.zoo_chain import Chain, Map, image


def cifar_convnet(m: int, k: int, input_bits: int) -> Network:
    """2x128C3-MP2-2x256C3-MP2-2x512C3-MP2-2x1024FC-10 on 32x32 RGB: 3x3 kernels, pad 1, stride 1."""
    chain = Chain(image(32, input_bits), m, k)
    for stage, channels in enumerate((128, 256, 512), start=1):
        chain.conv(f"conv{stage}a", channels, 3)
        chain.conv(f"conv{stage}b", channels, 3)
        chain.max_pool(f"pool{stage}", 2, stride=2)
    _head(chain, (1024, 1024, 10))
    return chain.network("cifar_convnet")


def alexnet(m: int, k: int, input_bits: int) -> Network:
    """One tower: five convolutions, three max pools of 3x3/2, three fully connected layers."""
    chain = Chain(image(224, input_bits), m, k)
    chain.conv("conv1", 64, 11, stride=4, pad=2)
    chain.max_pool("pool1", 3, stride=2)
    chain.conv("conv2", 192, 5)
    chain.max_pool("pool2", 3, stride=2)
    for number, channels in enumerate((384, 256, 256), start=3):
        chain.conv(f"conv{number}", channels, 3)
    chain.max_pool("pool5", 3, stride=2)
    _head(chain, (4096, 4096, 1000))
    return chain.network("alexnet")


def vgg16(m: int, k: int, input_bits: int) -> Network:
    """Configuration D: thirteen 3x3 convolutions in five stages, three fully connected layers."""
    chain = Chain(image(224, input_bits), m, k)
    for stage, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for number in range(1, count + 1):
            chain.conv(f"conv{stage}_{number}", channels, 3)
        chain.max_pool(f"pool{stage}", 2, stride=2)
    _head(chain, (4096, 4096, 1000))
    return chain.network("vgg16")


_INCEPTIONS = (
    ("3a", 64, 96, 128, 16, 32, 32), ("3b", 128, 128, 192, 32, 96, 64),
    ("4a", 192, 96, 208, 16, 48, 64), ("4b", 160, 112, 224, 24, 64, 64), ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64), ("4e", 256, 160, 320, 32, 128, 128),
    ("5a", 256, 160, 320, 32, 128, 128), ("5b", 384, 192, 384, 48, 128, 128),
)  # fmt: skip
"""Outputs of the branches of each module: 1x1; 3x3 reduce, 3x3; second 3x3 reduce, second 3x3; pool projection."""


def googlenet(m: int, k: int, input_bits: int) -> Network:
    """Nine inception modules, without the auxiliary heads; 3x3 kernels in the third branch, as torchvision has them."""
    chain, ceiled = Chain(image(224, input_bits), m, k), (0, 0, 1, 1)
    chain.conv("conv1", 64, 7, stride=2)
    chain.max_pool("pool1", 3, stride=2, pads=ceiled)
    chain.conv("conv2", 64, 1)
    chain.conv("conv3", 192, 3)
    chain.max_pool("pool2", 3, stride=2, pads=ceiled)
    for name, *branches in _INCEPTIONS:
        if name == "4a":
            chain.max_pool("pool3", 3, stride=2, pads=ceiled)
        if name == "5a":
            chain.max_pool("pool4", 2, stride=2)
        _inception(chain, name, branches)
    chain.mean("avgpool")
    chain.dense("fc", 1000, raw=True)
    return chain.network("googlenet")


def _inception(chain: Chain, name: str, branches: list[int]) -> None:
    read = chain.newest
    one, three_reduce, three, five_reduce, five, projected = branches
    direct = chain.conv(f"{name}.1x1", one, 1)
    chain.conv(f"{name}.3x3reduce", three_reduce, 1, source=read)
    middle = chain.conv(f"{name}.3x3", three, 3)
    chain.conv(f"{name}.5x5reduce", five_reduce, 1, source=read)
    wide = chain.conv(f"{name}.5x5", five, 3)
    chain.max_pool(f"{name}.pool", 3, stride=1, pads=(1, 1, 1, 1), source=read)
    chain.concat(name, direct, middle, wide, chain.conv(f"{name}.project", projected, 1))


def resnet18(m: int, k: int, input_bits: int) -> Network:
    """conv 7x7/2, max pool 3x3/2, four stages of two basic blocks (64, 128, 256, 512), global average pool, fc 1000."""
    return _resnet("resnet18", (2, 2, 2, 2), m, k, input_bits, bottleneck=False)


def resnet34(m: int, k: int, input_bits: int) -> Network:
    """As ResNet-18, with 3, 4, 6 and 3 basic blocks."""
    return _resnet("resnet34", (3, 4, 6, 3), m, k, input_bits, bottleneck=False)


def resnet50(m: int, k: int, input_bits: int) -> Network:
    """3, 4, 6 and 3 bottleneck blocks; the stride is in the 3x3 convolution (version 1.5)."""
    return _resnet("resnet50", (3, 4, 6, 3), m, k, input_bits, bottleneck=True)


def _resnet(name: str, blocks: tuple[int, ...], m: int, k: int, input_bits: int, *, bottleneck: bool) -> Network:
    chain = Chain(image(224, input_bits), m, k)
    residual_stages(chain, blocks, bottleneck=bottleneck)
    chain.mean("avgpool")
    chain.dense("fc", 1000, raw=True)
    return chain.network(name)


def residual_stages(
    chain: Chain,
    blocks: tuple[int, ...],
    *,
    bottleneck: bool,
    strides: tuple[int, ...] = (1, 2, 2, 2),
    dilations: tuple[tuple[int, int], ...] = ((1, 1),) * 4,
) -> Map:
    """The stem and the stages of a ResNet; dilations of each stage's first block and of its others."""
    chain.conv("conv1", 64, 7, stride=2)
    chain.max_pool("maxpool", 3, stride=2, pads=(1, 1, 1, 1))
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride, dilation = (strides[stage], dilations[stage][0]) if block == 0 else (1, dilations[stage][1])
            make = _bottleneck if bottleneck else _basic_block
            make(chain, f"layer{stage + 1}.{block}", 64 * 2**stage, stride, dilation)
    return chain.newest


def _basic_block(chain: Chain, name: str, channels: int, stride: int, dilation: int) -> None:
    """Two 3x3 convolutions and the shortcut, a 1x1 convolution where the shape changes; all branches carry M bits."""
    read = chain.newest
    chain.conv(f"{name}.conv1", channels, 3, stride=stride, dilation=dilation)
    branch = chain.conv(f"{name}.conv2", channels, 3, dilation=dilation)
    _join(chain, name, read, branch, stride)


def _bottleneck(chain: Chain, name: str, channels: int, stride: int, dilation: int) -> None:
    """1x1, 3x3 and 1x1 with four times the channels, and the shortcut."""
    read = chain.newest
    chain.conv(f"{name}.conv1", channels, 1)
    chain.conv(f"{name}.conv2", channels, 3, stride=stride, dilation=dilation)
    branch = chain.conv(f"{name}.conv3", 4 * channels, 1)
    _join(chain, name, read, branch, stride)


def _join(chain: Chain, name: str, read: Map, branch: Map, stride: int) -> None:
    shortcut = read
    if read.shape != branch.shape:
        shortcut = chain.conv(f"{name}.downsample", branch.shape[0], 1, stride=stride, source=read)
    chain.add(f"{name}.add", branch, shortcut)


def mobilenet_v1(m: int, k: int, input_bits: int) -> Network:
    """Thirteen depthwise separable convolutions of width 1.0."""
    chain = Chain(image(224, input_bits), m, k)
    chain.conv("conv1", 32, 3, stride=2)
    widths = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for number, (channels, stride) in enumerate(widths, start=2):
        inputs = chain.newest.shape[0]
        chain.conv(f"conv{number}.depthwise", inputs, 3, stride=stride, groups=inputs)
        chain.conv(f"conv{number}.pointwise", channels, 1)
    chain.mean("avgpool")
    chain.dense("fc", 1000, raw=True)
    return chain.network("mobilenet_v1")


def mobilenet_v2(m: int, k: int, input_bits: int) -> Network:
    """Seventeen inverted residual blocks of width 1.0."""
    chain = Chain(image(224, input_bits), m, k)
    chain.conv("conv1", 32, 3, stride=2)
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    number = 0
    for expansion, channels, count, stride in stages:
        for block in range(count):
            number += 1
            _inverted(chain, f"block{number}", expansion, channels, stride if block == 0 else 1)
    chain.conv("conv2", 1280, 1)
    chain.mean("avgpool")
    chain.dense("fc", 1000, raw=True)
    return chain.network("mobilenet_v2")


def _inverted(chain: Chain, name: str, expansion: int, channels: int, stride: int) -> None:
    """Expand, depthwise, project; a shortcut where nothing changes."""
    read = chain.newest
    hidden = expansion * read.shape[0]
    if expansion > 1:
        chain.conv(f"{name}.expand", hidden, 1)
    chain.conv(f"{name}.depthwise", hidden, 3, stride=stride, groups=hidden)
    branch = chain.conv(f"{name}.project", channels, 1)
    if read.shape == branch.shape:
        chain.add(f"{name}.add", branch, read)


def _head(chain: Chain, outputs: tuple[int, ...]) -> None:
    """Fully connected layers over the newest map; the last one's sums leave."""
    features = chain.newest.shape
    chain.flatten()
    for number, count in enumerate(outputs, start=1):
        in_shape = features if number == 1 else None
        chain.dense(f"fc{number}", count, in_shape=in_shape, raw=number == len(outputs))
