"""The geometry of ONNX windows: kernels, strides, pads and dilations of Conv and the pools."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workloads.layers import Pair, Shape, ceil_div
from workloads.onnx_graph import GraphNode
from workloads.onnx_values import CodeMap


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a Conv or a pool; padding is (top, left, bottom, right), which is ONNX' own order."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)


def kernel_shape(node: GraphNode) -> Pair:
    if "kernel_shape" not in node.attributes:
        raise ValueError(f"{node}: attribute kernel_shape must be given")
    height, width = node.integers("kernel_shape", (1, 1))
    return height, width


def read_window(node: GraphNode, kernel: Pair, shape: Shape, *, dilated: bool = True) -> Window:
    """The window attributes of a node; its kernel must be `kernel`, the map it slides over is `shape`."""
    given, stride = node.integers("kernel_shape", kernel), node.integers("strides", (1, 1))
    dilation = node.integers("dilations", (1, 1))
    if given != kernel:
        raise ValueError(f"{node}: kernel_shape must be {kernel} as the weights have it, not {given}")
    if not dilated and dilation != (1, 1):
        raise ValueError(f"{node}: dilations must be (1, 1), not {dilation}")
    if min(*stride, *dilation, *kernel) < 1:
        raise ValueError(f"{node}: kernel, strides and dilations must be >= 1, not {kernel}, {stride} and {dilation}")
    window = Window(kernel, (stride[0], stride[1]), dilation=(dilation[0], dilation[1]))
    window = replace(window, padding=_padding(node, window, shape))
    return _ceiled(window, shape) if node.integer("ceil_mode", 0) else window


def _ceiled(window: Window, shape: Shape) -> Window:
    """Pads after the map so that the last window, which starts inside the map or its first pads, is whole."""
    top, left, bottom, right = window.padding
    ends = [
        _ceiled_pad(size, window.kernel[place], window.stride[place], before, after)
        for place, (size, before, after) in enumerate(((shape[1], top, bottom), (shape[2], left, right)))
    ]
    return replace(window, padding=(top, left, ends[0], ends[1]))


def _ceiled_pad(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    outputs = ceil_div(size + before + after - kernel, stride) + 1
    if (outputs - 1) * stride >= size + before:
        outputs -= 1
    return max(after, (outputs - 1) * stride + kernel - size - before)


def _padding(node: GraphNode, window: Window, shape: Shape) -> tuple[int, int, int, int]:
    mode = node.text("auto_pad", "NOTSET")
    if mode == "NOTSET":
        top, left, bottom, right = node.integers("pads", (0, 0, 0, 0))
        return top, left, bottom, right
    if mode == "VALID":
        return 0, 0, 0, 0
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"{node}: auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {mode!r}")
    totals = [_same_padding(window, axis, shape[axis + 1]) for axis in (0, 1)]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    before, after = (small, large) if mode == "SAME_UPPER" else (large, small)
    return before[0], before[1], after[0], after[1]


def _same_padding(window: Window, axis: int, size: int) -> int:
    """Pads that give ceil(size / stride) outputs along one axis."""
    stride, span = window.stride[axis], (window.kernel[axis] - 1) * window.dilation[axis] + 1
    return max((ceil_div(size, stride) - 1) * stride + span - size, 0)


def map_shape(node: GraphNode, source: CodeMap) -> Shape:
    if source.flat:
        raise ValueError(f"{node}: input {node.inputs[0]!r} must be (batch, channels, height, width), not flattened")
    return source.shape
