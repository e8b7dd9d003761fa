"""Built-in networks: the two classifiers of arXiv:1905.13389 as shapes, at any M and K.

    NETWORKS["resnet18"](2, 2).macs

They carry no weights: what a chip costs depends on shapes alone. The first layer reads `input_bits`-bit codes of an
unsigned image from the host; every hidden map has M-bit codes; the last layer hands raw sums to the host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool, Shape
from workloads.network import Input, Network, Node


class Build(Protocol):
    """A network at M-bit activations and K-bit weights."""

    def __call__(self, m: int = 1, k: int = 1, *, input_bits: int = 8) -> Network:
        """Build it. Raises ValueError for bits outside 1..8."""


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """A built-in network: what a list prints about it, and the function that builds it. Calling the entry builds."""

    name: str
    description: str
    source: str
    build: Build

    def __call__(self, m: int = 1, k: int = 1, *, input_bits: int = 8) -> Network:
        """Build it. Raises ValueError for bits outside 1..8."""
        return self.build(m, k, input_bits=input_bits)


@dataclass
class _Chain:
    """A network under construction: every layer reads the newest map unless told otherwise."""

    input: Input
    m: int
    k: int
    nodes: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the newest map."""
        return self.nodes[-1].layer.name if self.nodes else self.input.name

    @property
    def shape(self) -> Shape:
        """Shape of the newest map."""
        return self.nodes[-1].layer.out_shape if self.nodes else self.input.shape

    def append(self, layer: Layer, *inputs: str) -> None:
        """Add a layer behind the newest map, or behind `inputs`."""
        self.nodes.append(Node(layer, inputs or (self.name,)))

    def conv(
        self, name: str, channels: int, kernel: int, *, stride: int = 1, source: tuple[str, Shape] | None = None
    ) -> None:
        """A square convolution padded by half its kernel; the one that reads the image pads with the code of zero."""
        read, shape = source or (self.name, self.shape)
        first, pad = read == self.input.name, kernel // 2
        layer = Conv(
            name=name,
            in_shape=shape,
            out_channels=channels,
            kernel=(kernel, kernel),
            act_bits=self.input.bits if first else self.m,
            weight_bits=self.k,
            out_bits=self.m,
            stride=(stride, stride),
            padding=(pad, pad, pad, pad),
            pad_code=-(2**self.input.bits - 1) if first else None,
            from_host=first,
        )
        self.append(layer, read)

    def max_pool(self, name: str, kernel: int, *, stride: int, pad: int = 0) -> None:
        """A square max pool."""
        layer = Pool(
            name=name,
            kind="max",
            in_shape=self.shape,
            kernel=(kernel, kernel),
            act_bits=self.m,
            out_bits=self.m,
            stride=(stride, stride),
            padding=(pad, pad, pad, pad),
        )
        self.append(layer)

    def dense(self, name: str, outputs: int, *, in_shape: Shape, out_bits: int | None) -> None:
        """A fully connected layer over the map `in_shape`, flattened or not."""
        layer = Dense(
            name=name,
            in_shape=in_shape,
            out_channels=outputs,
            act_bits=self.m,
            weight_bits=self.k,
            out_bits=out_bits,
        )
        self.append(layer)

    def network(self, name: str) -> Network:
        """The finished network."""
        return Network(name, self.input, tuple(self.nodes))


def cifar_convnet(m: int = 1, k: int = 1, *, input_bits: int = 8) -> Network:
    """2x128C3-MP2-2x256C3-MP2-2x512C3-MP2-2x1024FC-10 on 32x32 RGB: 3x3 kernels, pad 1, stride 1."""
    chain = _Chain(Input(name="image", shape=(3, 32, 32), bits=input_bits), m, k)
    for stage, channels in enumerate((128, 256, 512), start=1):
        chain.conv(f"conv{stage}a", channels, 3)
        chain.conv(f"conv{stage}b", channels, 3)
        chain.max_pool(f"pool{stage}", 2, stride=2)
    features = chain.shape
    chain.append(Flatten(name="flatten", in_shape=features, act_bits=m))
    chain.dense("fc1", 1024, in_shape=features, out_bits=m)
    chain.dense("fc2", 1024, in_shape=(1024, 1, 1), out_bits=m)
    chain.dense("fc3", 10, in_shape=(1024, 1, 1), out_bits=None)
    return chain.network("cifar_convnet")


def resnet18(m: int = 1, k: int = 1, *, input_bits: int = 8) -> Network:
    """conv 7x7/2, max pool 3x3/2, four stages of two basic blocks (64, 128, 256, 512), global average pool, fc 1000."""
    chain = _Chain(Input(name="image", shape=(3, 224, 224), bits=input_bits), m, k)
    chain.conv("conv1", 64, 7, stride=2)
    chain.max_pool("maxpool", 3, stride=2, pad=1)
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            _basic_block(chain, f"layer{stage}.{block}", channels, stride=2 if stage > 1 and block == 0 else 1)
    window = chain.shape[1:]
    average = Pool(name="avgpool", kind="average", in_shape=chain.shape, kernel=window, act_bits=m, out_bits=m)
    chain.append(average)
    chain.dense("fc", 1000, in_shape=chain.shape, out_bits=None)
    return chain.network("resnet18")


def _basic_block(chain: _Chain, name: str, channels: int, *, stride: int) -> None:
    """Two 3x3 convolutions and the shortcut, a 1x1 convolution where the shape changes; all branches carry M bits."""
    source = (chain.name, chain.shape)
    chain.conv(f"{name}.conv1", channels, 3, stride=stride)
    chain.conv(f"{name}.conv2", channels, 3)
    branch, shortcut = chain.name, source[0]
    if source[1] != chain.shape:
        chain.conv(f"{name}.downsample", channels, 1, stride=stride, source=source)
        shortcut = chain.name
    chain.append(Add(name=f"{name}.add", in_shape=chain.shape, act_bits=chain.m, out_bits=chain.m), branch, shortcut)


_ENTRIES = (
    ZooEntry(
        "cifar_convnet",
        "CIFAR-10 ConvNet of BinaryConnect and BNN: six 3x3 convolutions, three fully connected layers",
        "Courbariaux et al., arXiv:1511.00363 and arXiv:1602.02830; used by arXiv:1905.13389 Table 3",
        cifar_convnet,
    ),
    ZooEntry(
        "resnet18",
        "ResNet-18 for ImageNet, 224x224: eight residual blocks of two 3x3 convolutions",
        "He et al., arXiv:1512.03385 Table 1 (projection shortcuts, option B); used by arXiv:1905.13389 Table 3",
        resnet18,
    ),
)

NETWORKS: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}
"""Built-in networks by name."""
