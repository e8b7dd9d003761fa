"""Train and export the `digits` example: small residual networks with M-bit activations and K-bit weights.

Everything is seeded: the same torch build writes the same networks. The data are the 1797 handwritten 8x8
digits that scikit-learn ships; each network is written as QONNX, next to the 500 test images, their labels
and one table, `networks.json`.

    python train.py --out DIR [--only digits_m2k2] [--epochs 200]

Shapes are channels first: images are (N, 1, 8, 8), integer pixels 0..16.

    image -> conv1 -> conv2 -> maxpool -+-> conv3 -> conv4 -+-> Add -> BN -> quant -> maxpool -> fc -> logits
                                        +-------------------+
    each conv: 3x3, zero padding 1, no bias, then BN and the quantizer

M of a layer is the bit width of the activations it reads, K the bit width of its weights.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

SEED = 2019
DATASET = "scikit-learn load_digits, 500 test images"
TEST_IMAGES = 500
BATCH = 32
LEARNING_RATE = 0.02
IMAGE_BITS = 5
NORM_EPSILON = 1e-5
# Bit width that stands for "not quantized, only clipped to [-1, 1]" (hard tanh): the start of the recipe.
FULL = 32

WEIGHT_SHAPES = {
    "conv1": (16, 1, 3, 3),
    "conv2": (32, 16, 3, 3),
    "conv3": (32, 32, 3, 3),
    "conv4": (32, 32, 3, 3),
    "fc": (128, 10),
}
NORM_CHANNELS = {"conv1": 16, "conv2": 32, "conv3": 32, "conv4": 32, "add": 32}
# The layer that reads each quantizer. conv4 meets the skip branch in Add, so it takes the bits of the skip
# codes, which are the codes conv3 reads.
READER = {"conv1": "conv2", "conv2": "conv3", "conv3": "conv4", "conv4": "conv3", "add": "fc"}


# --- precisions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """One network of the set: bit widths per layer, and the network whose latent weights it starts from."""

    name: str
    parent: str | None
    m_bits: Mapping[str, int]
    k_bits: Mapping[str, int]

    def precision(self) -> str:
        """Text such as `conv1 5x2, conv2 2x2, ..., fc 2x2`: M x K of every layer."""
        return ", ".join(f"{layer} {self.m_bits[layer]}x{self.k_bits[layer]}" for layer in WEIGHT_SHAPES)


def uniform(m: int, k: int, parent: str | None) -> Network:
    """Network with M = m and K = k in every layer, except that conv1 always reads the 5-bit image."""
    name = "digits_float" if m == FULL else f"digits_m{m}k{k}"
    m_bits = dict.fromkeys(WEIGHT_SHAPES, m) | {"conv1": IMAGE_BITS}
    return Network(name, parent, m_bits, dict.fromkeys(WEIGHT_SHAPES, k))


def mixed() -> Network:
    """Two bits where most weights are (conv3, conv4, fc), four where the image enters and features leave."""
    m_bits = {"conv1": IMAGE_BITS, "conv2": 4, "conv3": 2, "conv4": 2, "fc": 4}
    k_bits = {"conv1": 4, "conv2": 4, "conv3": 2, "conv4": 2, "fc": 2}
    return Network("digits_mixed", "digits_m4k4", m_bits, k_bits)


# In training order: every parent stands before its children.
NETWORKS = (
    uniform(FULL, FULL, None),
    uniform(8, 8, "digits_float"),
    uniform(6, 6, "digits_m8k8"),
    uniform(4, 4, "digits_m6k6"),
    uniform(3, 3, "digits_m4k4"),
    uniform(2, 2, "digits_m3k3"),
    uniform(1, 1, "digits_m2k2"),
    uniform(8, 4, "digits_m8k8"),
    uniform(4, 8, "digits_m8k8"),
    uniform(4, 2, "digits_m4k4"),
    uniform(2, 4, "digits_m4k4"),
    uniform(2, 1, "digits_m2k2"),
    uniform(1, 2, "digits_m2k2"),
    mixed(),
)


def lineage(name: str) -> list[Network]:
    """The network `name` preceded by its ancestors, oldest first."""
    by_name = {network.name: network for network in NETWORKS}
    chain = [by_name[name]]
    while chain[0].parent is not None:
        chain.insert(0, by_name[chain[0].parent])
    return chain


# --- data -----------------------------------------------------------------------------------------


class Split(NamedTuple):
    """Images (N, 1, 8, 8) uint8, pixels 0..16, and labels (N,) uint8."""

    images: np.ndarray
    labels: np.ndarray


def load_splits() -> tuple[Split, Split]:
    """The fixed stratified split: 1297 training and 500 test images."""
    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]
    labels = digits.target.astype(np.uint8)
    parts = train_test_split(images, labels, test_size=TEST_IMAGES, stratify=labels, random_state=SEED)
    train_images, test_images, train_labels, test_labels = parts
    return Split(train_images, train_labels), Split(test_images, test_labels)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn by up to 9 degrees, stretch by up to 8 %, shift by up to one pixel; back to whole pixels.

    Shapes (N, 1, 8, 8) -> (N, 1, 8, 8). One output pixel is 2/8 in the units of `affine_grid`.
    """
    noise = 2 * torch.rand((4, len(images)), generator=generator) - 1
    angle, stretch, shift = 0.16 * noise[0], 1 + 0.08 * noise[1], 0.25 * noise[2:]
    cos, sin = stretch * angle.cos(), stretch * angle.sin()
    rows = [torch.stack([cos, -sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False).round().clamp(0, 16)


# --- quantizers -----------------------------------------------------------------------------------


def ladder(x: Tensor, bits: int) -> Tensor:
    """Eq. 15 on [-1, 1] with n = 2^bits - 1: odd integers -n..n divided by n; one bit is sign, sign(0) = +1.

    q(x) = 2 * (round(n * (x + 1) / 2) / n - 1/2), rounding half to even. Written as the QONNX node Quant
    computes it, (round(clip(x / s + z, 0, n)) - z) * s with s = 2/n and z = n/2, in float32 step by step:
    what is trained here and what an executor of the exported file computes are then the same bits.
    """
    if bits == 1:
        return torch.where(x >= 0, 1.0, -1.0)
    n = 2**bits - 1
    scale, zero = torch.tensor(2 / n), torch.tensor(n / 2)
    return ((x / scale + zero).clamp(0, n).round() - zero) * scale


class StraightThrough(torch.autograd.Function):
    """Forward Eq. 15; backward the gradient of clip(x, -1, 1), as if the ladder were a slope."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, bits: int) -> Tensor:
        """Quantize and remember where the input was."""
        ctx.save_for_backward(x)
        return ladder(x, bits)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        """Pass the gradient inside [-1, 1] and stop it outside."""
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * (x.abs() <= 1), None


def quantize(x: Tensor, bits: int) -> Tensor:
    """Quantize to `bits`, differentiably; FULL only clips to [-1, 1]."""
    return x.clamp(-1, 1) if bits == FULL else StraightThrough.apply(x, bits)


# --- network --------------------------------------------------------------------------------------


class DigitNet(nn.Module):
    """The network of the module docstring. Latent weights, real in [-1, 1], are quantized at every use."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.m_bits, self.k_bits = network.m_bits, network.k_bits
        # Batch norm undoes any common factor, so the weights may fill the range the quantizer divides up.
        self.weights = nn.ParameterDict(
            {layer: nn.Parameter(2 * torch.rand(shape) - 1) for layer, shape in WEIGHT_SHAPES.items()}
        )
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(size, NORM_EPSILON) for name, size in NORM_CHANNELS.items()})
        self.fc_scale = nn.Parameter(torch.full((10,), 0.3))
        self.fc_bias = nn.Parameter(torch.zeros(10))

    def weight(self, layer: str) -> Tensor:
        """Quantized weights of a layer: (out, in, 3, 3), or (128, 10) for fc."""
        return quantize(self.weights[layer], self.k_bits[layer])

    def activate(self, x: Tensor, name: str) -> Tensor:
        """Batch norm, then the quantizer with the bits its reader wants."""
        return quantize(self.norms[name](x), self.m_bits[READER[name]])

    def convolve(self, x: Tensor, layer: str) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W); the border is padded with the real number 0."""
        return self.activate(F.conv2d(x, self.weight(layer), padding=1), layer)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 1, 8, 8), pixels 0..16, to logits (N, 10). The norm of conv1 absorbs the factor 1/16."""
        skip = F.max_pool2d(self.convolve(self.convolve(images, "conv1"), "conv2"), 2)
        block = self.convolve(self.convolve(skip, "conv3"), "conv4")
        features = F.max_pool2d(self.activate(skip + block, "add"), 2).flatten(1)
        return features @ self.weight("fc") * self.fc_scale + self.fc_bias


# --- training -------------------------------------------------------------------------------------


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Float images and int64 labels of a split."""
    return torch.from_numpy(split.images).float(), torch.from_numpy(split.labels).long()


def step(model: DigitNet, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """One update; latent weights are clipped back to [-1, 1], the range of the quantizer."""
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()
    with torch.no_grad():
        for weight in model.weights.values():
            weight.clamp_(-1, 1)


def train(model: DigitNet, split: Split, epochs: int, generator: torch.Generator) -> None:
    """Adam, a cosine from LEARNING_RATE to 0; one schedule for every network, and the last epoch counts."""
    images, labels = tensors(split)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            step(model, optimizer, augment(images[chosen], generator), labels[chosen])
        schedule.step()
    model.eval()


@torch.no_grad()
def accuracy(model: DigitNet, split: Split) -> float:
    """Share of the images whose largest logit is the label."""
    images, labels = tensors(split)
    return (model(images).argmax(1) == labels).sum().item() / len(labels)


def build(network: Network, parents: Mapping[str, DigitNet]) -> DigitNet:
    """A fresh network, or one that starts from the latent weights and norms of its trained parent."""
    torch.manual_seed(SEED)
    model = DigitNet(network)
    if network.parent is not None:
        model.load_state_dict(parents[network.parent].state_dict())
    return model


def train_all(networks: Sequence[Network], split: Split, epochs: int) -> dict[str, DigitNet]:
    """Train each from its parent. Seeds depend on the network alone: `--only` gives the same result."""
    trained: dict[str, DigitNet] = {}
    for network in networks:
        start = time.monotonic()
        model = build(network, trained)
        train(model, split, epochs, torch.Generator().manual_seed(SEED + NETWORKS.index(network)))
        trained[network.name] = model
        print(f"{network.name:14} trained in {time.monotonic() - start:5.1f} s", flush=True)
    return trained


# --- export ---------------------------------------------------------------------------------------


QONNX_DOMAIN = "qonnx.custom_op.general"
Attributes = Mapping[str, int | float | str | list[int]]


@dataclass
class Graph:
    """An ONNX graph under construction. `shapes` holds the shape of every activation; batch is 1."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def constant(self, name: str, value: Tensor | float) -> str:
        """Store a float32 initializer; numbers become scalars of shape ()."""
        array = np.asarray(torch.as_tensor(value).detach().numpy(), dtype=np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self,
        op: str,
        name: str,
        inputs: Sequence[str],
        shape: tuple[int, ...] | None = None,
        attributes: Attributes | None = None,
        domain: str = "",
    ) -> str:
        """Append a node, return its output `<name>_out`; without `shape` that of the first input is kept."""
        output = f"{name}_out"
        node = helper.make_node(op, inputs, [output], name=name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self.nodes.append(node)
        self.shapes[output] = shape or self.shapes[inputs[0]]
        return output


def add_quant(graph: Graph, x: str, name: str, bits: int, scale: float, zero: float) -> str:
    """Unsigned QONNX Quant: (round(clip(x / scale + zero, 0, 2^bits - 1)) - zero) * scale."""
    values = {"scale": scale, "zeropt": zero, "bitwidth": float(bits)}
    inputs = [x] + [graph.constant(f"{name}_{key}", value) for key, value in values.items()]
    attributes: Attributes = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    return graph.node("Quant", name, inputs, attributes=attributes, domain=QONNX_DOMAIN)


def add_ladder(graph: Graph, x: str, name: str, bits: int) -> str:
    """Eq. 15: with n = 2^bits - 1, Quant of scale 2/n and zero point n/2; BipolarQuant for one bit."""
    if bits == 1:
        inputs = [x, graph.constant(f"{name}_scale", 1.0)]
        return graph.node("BipolarQuant", name, inputs, domain=QONNX_DOMAIN)
    n = 2**bits - 1
    return add_quant(graph, x, name, bits, scale=2 / n, zero=n / 2)


def add_weight(graph: Graph, model: DigitNet, layer: str) -> str:
    """Latent float32 weights through their quantizer, as Brevitas exports them."""
    latent = graph.constant(f"{layer}_weight", model.weights[layer])
    graph.shapes[latent] = WEIGHT_SHAPES[layer]
    return add_ladder(graph, latent, f"{layer}_weight_quant", model.k_bits[layer])


def add_activation(graph: Graph, model: DigitNet, x: str, name: str) -> str:
    """Batch norm in inference mode, gamma * (x - mean) / sqrt(var + epsilon) + beta, and the quantizer."""
    state = model.norms[name].state_dict()
    keys = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    inputs = [x] + [graph.constant(f"{name}_bn_{key}", state[source]) for key, source in keys.items()]
    normed = graph.node("BatchNormalization", f"{name}_bn", inputs, attributes={"epsilon": NORM_EPSILON})
    return add_ladder(graph, normed, f"{name}_quant", model.m_bits[READER[name]])


def add_conv(graph: Graph, model: DigitNet, x: str, layer: str) -> str:
    """Convolution, norm and quantizer of one layer."""
    shape = (1, WEIGHT_SHAPES[layer][0], *graph.shapes[x][2:])
    attributes: Attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    out = graph.node("Conv", layer, [x, add_weight(graph, model, layer)], shape, attributes)
    return add_activation(graph, model, out, layer)


def add_pool(graph: Graph, x: str, name: str) -> str:
    """Maximum over 2x2 windows, stride 2."""
    batch, channels, height, width = graph.shapes[x]
    attributes: Attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return graph.node("MaxPool", name, [x], (batch, channels, height // 2, width // 2), attributes)


def add_classifier(graph: Graph, model: DigitNet, x: str) -> str:
    """Logits = (features @ weights) * scale + bias, features (1, 128) in the order channel, row, column."""
    flat = graph.node("Flatten", "flatten", [x], (1, 128), {"axis": 1})
    sums = graph.node("MatMul", "fc", [flat, add_weight(graph, model, "fc")], (1, 10))
    scaled = graph.node("Mul", "fc_scale", [sums, graph.constant("fc_scale_value", model.fc_scale)])
    return graph.node("Add", "fc_bias", [scaled, graph.constant("fc_bias_value", model.fc_bias)])


def add_network(graph: Graph, model: DigitNet) -> str:
    """All nodes from the input `image` to the logits; the mirror image of `DigitNet.forward`."""
    graph.shapes["image"] = (1, 1, 8, 8)
    # Scale 1 and zero point 0: the codes of the image are its pixels, in every network.
    x = add_quant(graph, "image", "image_quant", IMAGE_BITS, scale=1.0, zero=0.0)
    skip = add_pool(graph, add_conv(graph, model, add_conv(graph, model, x, "conv1"), "conv2"), "pool1")
    block = add_conv(graph, model, add_conv(graph, model, skip, "conv3"), "conv4")
    features = add_activation(graph, model, graph.node("Add", "add", [skip, block]), "add")
    return add_classifier(graph, model, add_pool(graph, features, "pool2"))


def to_onnx(model: DigitNet, network: Network, test_accuracy: float) -> onnx.ModelProto:
    """The QONNX model; shapes of all activations are stored because ONNX cannot infer through Quant."""
    graph = Graph()
    logits = add_network(graph, model)
    infos = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in graph.shapes.items()}
    inputs, outputs = [infos.pop("image")], [infos.pop(logits)]
    stored = {tensor.name for tensor in graph.constants}
    inner = [info for name, info in infos.items() if name not in stored]
    proto = helper.make_graph(graph.nodes, network.name, inputs, outputs, graph.constants, value_info=inner)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)]
    exported = helper.make_model(proto, opset_imports=opsets, ir_version=8, producer_name="dse-digits")
    facts = {"accuracy": str(test_accuracy), "precision": network.precision(), "dataset": DATASET}
    helper.set_model_props(exported, facts)
    onnx.checker.check_model(exported)
    return exported


def bits_entry(bits: Mapping[str, int]) -> int | dict[str, int]:
    """One number if all layers but conv1 share it, otherwise the table of layers."""
    inner = {value for layer, value in bits.items() if layer != "conv1"}
    return inner.pop() if len(inner) == 1 else dict(bits)


def record(network: Network, test_accuracy: float, epochs: int) -> dict[str, object]:
    """The row of `networks.json`."""
    return {
        "name": network.name,
        "file": f"{network.name}.onnx",
        "m_bits": bits_entry(network.m_bits),
        "k_bits": bits_entry(network.k_bits),
        "precision": network.precision(),
        "accuracy": test_accuracy,
        "epochs": epochs,
        "seed": SEED,
    }


def write_records(path: Path, records: Sequence[dict[str, object]]) -> None:
    """Write `networks.json`, keeping the rows of networks that were not trained this time."""
    old = json.loads(path.read_text()) if path.exists() else []
    rows = {row["name"]: row for row in [*old, *records]}
    path.write_text(json.dumps(list(rows.values()), indent=2) + "\n")


def export(out: Path, networks: Sequence[Network], models: Mapping[str, DigitNet], test: Split, epochs: int) -> None:
    """Write the test split, one QONNX file per network, and the table."""
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "images.npy", test.images)
    np.save(out / "labels.npy", test.labels)
    records = []
    for network in networks:
        test_accuracy = accuracy(models[network.name], test)
        onnx.save(to_onnx(models[network.name], network, test_accuracy), out / f"{network.name}.onnx")
        records.append(record(network, test_accuracy, epochs))
        print(f"{network.name:14} accuracy {test_accuracy:.3f}")
    write_records(out / "networks.json", records)


def main() -> None:
    """Parse, train, export."""
    parser = argparse.ArgumentParser(description="Train and export the digits networks.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    names = [network.name for network in NETWORKS if network.parent is not None]
    parser.add_argument("--only", choices=names, help="train this network and its ancestors, write it alone")
    parser.add_argument("--epochs", type=int, default=200, help="epochs per network (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train_split, test_split = load_splits()
    wanted = [arguments.only] if arguments.only else names
    models = train_all(lineage(arguments.only) if arguments.only else NETWORKS, train_split, arguments.epochs)
    chosen = [network for network in NETWORKS if network.name in wanted]
    export(arguments.out, chosen, models, test_split, arguments.epochs)


if __name__ == "__main__":
    main()
