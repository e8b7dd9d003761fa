"""Random small networks of linear quantization, written as integer operators or as QuantizeLinear and DequantizeLinear around real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
Style = Literal["operators", "qdq"]

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint4": (0, 15), "int4": (-8, 7), "uint2": (0, 3), "int2": (-2, 1)}
OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]


@dataclass
class Graph:
    """A graph under construction: `integers` lists the layers by name with the tensor of their integers and its type."""

    input_shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    integers: dict[str, tuple[str, str]] = field(default_factory=dict)
    opset: int = 21

    def constant(self, name: str, value: Any, kind: str = "float32") -> str:
        wanted = getattr(TensorProto, kind.upper().replace("FLOAT32", "FLOAT"))
        array = np.asarray(value).astype(helper.tensor_dtype_to_np_dtype(wanted))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def linear(self, name: str, scale: Any, zero: Any, kind: str) -> list[str]:
        """The names of a scale and its zero point."""
        scales, zeros = np.broadcast_arrays(np.float32(scale), np.asarray(zero))
        return [self.constant(f"{name}_scale", scales), self.constant(f"{name}_zero", zeros, kind)]

    def model(self) -> onnx.ModelProto:
        source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", *self.input_shape))
        sink = helper.make_tensor_value_info(str(self.nodes[-1].output[0]), TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "linear", [source], [sink], self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def small(**changes: Any) -> Graph:
    """x (2,4,4) -> QuantizeLinear -> QLinearConv (3 channels) -> DequantizeLinear, one thing changed."""
    given: dict[str, Any] = {
        "scale": 0.25, "zero": (0, "uint8"), "weights": "int8", "w_scale": [1, 2, 3], "w_zero": ([0, 0, 0], "int8"),
        "y_scale": 1.0, "y_zero": (0, "uint8"), "bias": "int32", "x_attributes": {}, "kind": "uint8",
    } | changes  # fmt: skip
    graph = Graph((2, 4, 4))
    first = [graph.constant("x_scale", given["scale"]), graph.constant("x_zero", given["zero"][0], given["kind"])]
    graph.node("QuantizeLinear", ["x", *first], "q", **given["x_attributes"])
    source = ["q", graph.constant("s", 0.25), graph.constant("z", given["zero"][0], given["zero"][1])]
    weights = [
        graph.constant("w", np.ones((3, 2, 1, 1)), given["weights"]),
        graph.constant("w_scale", given["w_scale"]),
        graph.constant("w_zero", *given["w_zero"]),
    ]
    ends = [graph.constant("y_scale", given["y_scale"]), graph.constant("y_zero", *given["y_zero"])]
    graph.node("QLinearConv", [*source, *weights, *ends, graph.constant("b", [1, 2, 3], given["bias"])], "conv")
    graph.node("DequantizeLinear", ["conv", *graph.linear("end", 1.0, 0, "uint8")], "y")
    return graph


def dynamic() -> Graph:
    """DynamicQuantizeLinear, whose scale is one of its outputs."""
    graph = Graph((2,))
    graph.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dynamic"))
    graph.node("MatMulInteger", ["q", graph.constant("w", np.ones((2, 1)), "int8"), "z"], "sums")
    graph.node("Cast", ["sums"], "y", to=TensorProto.FLOAT)
    return graph


@dataclass
class Random:
    """A random network whose tensors stand at `at`, in integers of `kind` with `scale` and `zero`."""

    seed: int
    style: Style
    dyadic: bool
    acts: str = "uint8"
    weights: str = "int8"
    zeros: bool = False
    """Whether weights have a zero point a channel."""

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.shape = tuple(int(self.rng.integers(low, low + 3)) for low in (1, 5, 6))
        self.graph = Graph(self.shape)
        self.images = self.rng.uniform(-1.3, 1.3, (2, *self.shape)).astype(np.float32)
        self.kind, self.scale, self.zero = self.acts, self.pick(1 / 100), self.zero_point(self.acts)
        self.at = "x_integers"
        self.graph.node("QuantizeLinear", ["x", *self.linear("x")], self.at)
        self.graph.integers["x"] = (self.at, self.kind)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, about: float) -> float:
        """A scale of about this size: a power of two, or any float32."""
        scale = about * float(self.rng.uniform(0.6, 1.6))
        return float(2.0 ** np.round(np.log2(scale))) if self.dyadic else float(np.float32(scale))

    def zero_point(self, kind: str) -> int:
        """Near the middle of the type, or anywhere."""
        low, high = RANGES[kind]
        if self.chance(0.2):
            return int(self.rng.integers(low, high + 1))
        third = (high - low) // 3
        return int(self.rng.integers(low + third, high - third + 1))

    def linear(self, name: str) -> list[str]:
        return self.graph.linear(name, self.scale, self.zero, self.kind)

    def weight(
        self, name: str, shape: tuple[int, ...], axis: int, fan_in: int, half: bool = False
    ) -> tuple[list[str], Array]:
        """Integer weights with one scale or one a channel: the names of integers, scale and zero point, and the scales.

        `half` of the range keeps uint8 times int8 exact where x86 adds products in pairs of 16 bits: 2 * 255 * 64 < 2^15.
        """
        low, high = RANGES[self.weights]
        if half and low:
            low, high = low // 2, high // 2
        integers = self.rng.integers(low, high + 1, shape)
        count = shape[axis] if self.chance(0.5) else 1
        scale = np.array([self.pick(1 / (high - low) / np.sqrt(fan_in) * 4) for _ in range(count)])
        zero: Any = self.zero_point(self.weights) if self.chance(0.4) and not half else 0 if low else (high + 1) // 2
        scales = scale if count > 1 else scale[0]
        if count > 1 and self.zeros:
            zero = [self.zero_point(self.weights) for _ in range(count)]
        names = [
            self.graph.constant(name, integers, self.weights),
            *self.graph.linear(name, scales, zero, self.weights),
        ]
        return names, scale

    def bias(self, name: str, count: int, scale: Array) -> list[str]:
        """32-bit integers that count in x_scale * w_scale: as they are, or with that scale in float32 behind them."""
        unit = np.float32(self.scale) * np.float32(scale)
        integers = np.round(self.rng.normal(0, 0.5, count) / unit).astype(np.int64)
        plain = self.graph.constant(name, integers, "int32")
        if self.style == "operators":
            return [plain]
        zeros = np.zeros(unit.shape, np.int64)
        scales = self.graph.linear(name, unit if len(unit) > 1 else unit[0], zeros if len(unit) > 1 else 0, "int32")
        return [self.graph.node("DequantizeLinear", [plain, *scales], f"{name}_real", axis=0)]

    def real(self, integers: list[str], name: str, **attributes: Any) -> str:
        """Integers with scale and zero point, dequantized."""
        return self.graph.node("DequantizeLinear", integers, f"{name}_real", **attributes)

    def contract(self, op: str, name: str, weights: list[str], axis: int, bias: list[str], **attributes: Any) -> None:
        """Conv, MatMul or Gemm in either style; the output gets a scale of its own."""
        source = [self.at, *self.linear(f"{name}_x")]
        self.kind, self.scale, self.zero = self.acts, self.pick(1 / 60), self.zero_point(self.acts)
        target = self.linear(f"{name}_y")
        self.at = f"{name}_integers"
        self.graph.integers[name if self.style == "qdq" else self.at] = (self.at, self.kind)
        if self.style == "operators":
            op, domain = {
                "Conv": ("QLinearConv", ""),
                "MatMul": ("QLinearMatMul", ""),
                "Gemm": ("QGemm", "com.microsoft"),
            }[op]
            ends = [*bias, *target] if op == "QGemm" else [*target, *bias]
            self.graph.node(op, [*source, *weights, *ends], self.at, domain, **attributes)
            return
        reals = [self.real(source, f"{name}_x"), self.real(weights, f"{name}_w", axis=axis)]
        out = self.activation(self.graph.node(op, [*reals, *bias], name, **attributes), name)
        self.graph.node("QuantizeLinear", [out, *target], self.at)

    def activation(self, real: str, name: str) -> str:
        """Relu, Clip or nothing."""
        if self.chance(0.3):
            return self.graph.node("Relu", [real], f"{name}_relu")
        if self.chance(0.3):
            ends = [self.graph.constant(f"{name}_low", -0.5), self.graph.constant(f"{name}_high", 1.0)]
            return self.graph.node("Clip", [real, *ends], f"{name}_clip")
        return real

    def conv(self, name: str, *, same: bool = False) -> None:
        channels = self.shape[0]
        groups = int(self.rng.choice([g for g in (1, channels) if channels % g == 0]))
        kernel = [3, 3] if same else [int(self.rng.integers(1, 4)), int(self.rng.integers(1, 4))]
        outputs = channels if same else groups * int(self.rng.integers(1, 4))
        pads = [1, 1, 1, 1] if same else [int(self.rng.integers(0, size)) if size > 1 else 0 for size in kernel * 2]
        strides = [1, 1] if same else [int(self.rng.integers(1, 3)), 1]
        shape = (outputs, channels // groups, *kernel)
        weights, scale = self.weight(f"{name}_w", shape, 0, int(np.prod(shape[1:])))
        bias = self.bias(f"{name}_b", outputs, scale) if self.chance(0.6) else []
        self.contract("Conv", name, weights, 0, bias, group=groups, kernel_shape=kernel, pads=pads, strides=strides)
        sizes = [
            (s + a + b - k) // t + 1
            for s, a, b, k, t in zip(self.shape[1:], pads[:2], pads[2:], kernel, strides, strict=True)
        ]
        self.shape = (outputs, *sizes)

    def passing(self, op: str, name: str, **attributes: Any) -> None:
        """An operator that rounds nothing: on the integers themselves, or on what they stand for, requantized as they were."""
        if self.style == "operators":
            self.at = self.graph.node(op, [self.at], name, **attributes)
        else:
            out = self.graph.node(
                op, [self.real([self.at, *self.linear(f"{name}_x")], f"{name}_x")], name, **attributes
            )
            self.at = self.graph.node("QuantizeLinear", [out, *self.linear(f"{name}_y")], f"{name}_integers")
        self.graph.integers[name] = (self.at, self.kind)

    def max_pool(self, name: str) -> None:
        self.passing("MaxPool", name, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 1, 1, 0])

    def residual(self, name: str) -> None:
        skip, old = self.at, self.linear(f"{name}_skip")
        self.conv(f"{name}_conv", same=True)
        own = self.linear(f"{name}_own")
        self.scale, self.zero = self.pick(1 / 50), self.zero_point(self.acts)
        target, left = self.linear(f"{name}_y"), self.at
        self.at = f"{name}_integers"
        self.graph.integers[name if self.style == "qdq" else self.at] = (self.at, self.kind)
        if self.style == "operators":
            self.graph.node("QLinearAdd", [left, *own, skip, *old, *target], self.at, "com.microsoft")
            return
        reals = [self.real([left, *own], f"{name}_left"), self.real([skip, *old], f"{name}_right")]
        out = self.activation(self.graph.node("Add", reals, name), name)
        self.graph.node("QuantizeLinear", [out, *target], self.at)

    def mean(self, name: str) -> None:
        """A global average."""
        source = [self.at, *self.linear(f"{name}_x")]
        self.scale, self.zero = self.pick(1 / 100), self.zero_point(self.acts)
        target = self.linear(f"{name}_y")
        self.at = f"{name}_integers"
        self.graph.integers[name if self.style == "qdq" else self.at] = (self.at, self.kind)
        if self.style == "operators":
            self.graph.node("QLinearGlobalAveragePool", [*source, *target], self.at, "com.microsoft", channels_last=0)
        else:
            out = self.graph.node("GlobalAveragePool", [self.real(source, f"{name}_x")], name)
            self.graph.node("QuantizeLinear", [out, *target], self.at)
        self.shape = (self.shape[0], 1, 1)

    def head(self) -> None:
        """Flatten, a dense layer with a bias, one without, and the outputs as real numbers."""
        self.passing("Flatten", "flat")
        features = int(np.prod(self.shape))
        if self.chance(0.5):
            weights, scale = self.weight("fc1_w", (features, 5), 1, features)
            self.contract("Gemm", "fc1", weights, 1, self.bias("fc1_b", 5, scale), alpha=1.0)
        else:
            weights, scale = self.weight("fc1_w", (5, features), 0, features)
            self.contract("Gemm", "fc1", weights, 0, self.bias("fc1_b", 5, scale), alpha=1.0, transB=1)
        weights, _ = self.weight("fc2_w", (5, 3), 1, 5, half=self.acts == "uint8")
        self.contract("MatMul", "fc2", weights, 1, [])
        self.graph.node("DequantizeLinear", [self.at, *self.linear("y")], "y")

    def finish(self) -> Graph:
        self.conv("first")
        blocks = [self.conv, self.max_pool, self.residual]
        for index, pick in enumerate(self.rng.integers(0, 3, int(self.rng.integers(1, 3)))):
            blocks[pick](f"block{index}")
        if self.chance(0.5) and not (
            self.style == "qdq" and self.dyadic and self.shape[1] * self.shape[2] not in (16, 32, 64)
        ):
            self.mean("mean")
        self.head()
        return self.graph
