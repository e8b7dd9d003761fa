"""Which activations of a float network become codes, and where: as few as the import needs, each where it is made.

What a contraction, a sum of two maps, an average, a resize or the host reads must be codes. They are made before the nodes that
only pass codes on. What a Concat reads may stay sums: one quantizer behind it gives all its parts their codes, without
a second rounding. A map that two nodes read is codes, for sums have one reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from workloads.host import FUNCTIONS
from workloads.layers import check_bits
from workloads.onnx_graph import Graph, GraphNode

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Nodes whose input 1, where it is constant, is weights."""

PASSING = (
    *("MaxPool", "GlobalMaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Pad"),
    *("Identity", "Dropout"),
)
"""Nodes whose outputs are codes of their inputs."""

READING = ("AveragePool", "GlobalAveragePool", "Resize", "Upsample")
"""Nodes without weights that read codes and make sums, or codes again."""

AFFINE = ("Add", "Sub", "Mul", "Div", "BatchNormalization", "Relu", "Clip", "Neg")
"""Nodes that change what sums stand for, where their other operands are constants a channel."""


@dataclass(frozen=True, slots=True)
class Precision:
    """M and K of every layer with weights: `uniform`, or its own in `layers` by node name. `images`: bits of the input."""

    uniform: tuple[int, int]
    layers: Mapping[str, tuple[int, int]]
    images: int = 8

    def __post_init__(self) -> None:
        check_bits("precision", m=self.uniform[0], k=self.uniform[1], input_bits=self.images)
        for name, (m, k) in self.layers.items():
            check_bits(f"precision of {name!r}", m=m, k=k)

    def of(self, name: str) -> tuple[int, int]:
        """(M, K) of a layer."""
        return self.layers.get(name, self.uniform)


def weighted(graph: Graph) -> list[GraphNode]:
    """Nodes with constant weights."""
    return [node for node in graph.nodes if node.op in WEIGHTED and node.inputs[1] in graph.constants]


def maps_to_quantize(graph: Graph, precision: Precision) -> Iterator[tuple[str, int]]:
    """(tensor, M) of every activation to quantize, in the order in which they are met."""
    walk = _Walk(graph, precision)
    for node in graph.nodes:
        walk.visit(node)
    walk.settle()
    yield from ((name, bits or precision.uniform[0]) for name, bits in walk.bits.items())


def codes_read(graph: Graph) -> dict[str, str]:
    """The tensor whose codes every layer with weights reads, by the layer's name."""
    walk = _Walk(graph, Precision((1, 1), {}))
    return {node.name: walk.reads(node) for node in weighted(graph)}


@dataclass
class _Walk:
    """What is known so far: `bits` of the tensors to quantize (0: nobody has asked for any), and which tensors the host computes."""

    graph: Graph
    precision: Precision
    bits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {out: node.inputs[0] for node in self.graph.nodes if _passes(node) for out in node.outputs}
        self._hosted: set[str] = set()
        reads = [(self._origin(name), node.name) for node in self.graph.nodes for name in node.inputs if name]
        self._readers = Counter(name for name, _ in set(reads))

    def visit(self, node: GraphNode) -> None:
        """Ask for the codes that a node reads."""
        live = [name for name in node.inputs if name and name not in self.graph.constants]
        if _passes(node) or not live:
            return
        if self._on_host(node, live):
            self._hosted.update(node.outputs)
            for name in live:
                self._ask(name, 0, unless_hosted=True)
        elif node.op in WEIGHTED:
            for name in live[:2]:
                self._ask(name, self.precision.of(node.name)[0])
        else:
            codes = node.op in READING or node.op == "ReduceMean" or (node.op in ("Add", "Sub") and len(live) == 2)
            for name in live:
                if codes or self._needs_codes(node, self._origin(name)):
                    self._ask(name, 0)

    def settle(self) -> None:
        """Maps that nobody asked for bits take those that are asked of what is made of them, or those of the map they are added to.

        A layer that hands codes on asks for what is asked of it, as `workloads.network.with_bits` has it.
        """
        for node in reversed(self.graph.nodes):
            read = [self._origin(name) for name in node.inputs if name and name not in self.graph.constants]
            joined = node.op in ("Add", "Sub") and len(read) == 2
            if not joined and node.op not in READING:
                continue
            known = [self.bits.get(self._made(node.outputs[0]), 0), *(self.bits.get(name, 0) for name in read)]
            wanted = next((bits for bits in known if bits), 0)
            self.bits.update({name: wanted for name in read if self.bits.get(name) == 0})

    def _made(self, name: str) -> str:
        """The tensor that becomes codes of what a node makes: behind the constants and functions of one reader each."""
        while name not in self.bits:
            readers = [node for node in self.graph.nodes if name in node.inputs]
            if len(readers) != 1 or (readers[0].op not in AFFINE and not _passes(readers[0])):
                break
            name = readers[0].outputs[0]
        return name

    def reads(self, node: GraphNode) -> str:
        """The tensor whose codes a node reads first."""
        return self._origin(node.inputs[0])

    def _needs_codes(self, node: GraphNode, origin: str) -> bool:
        """Whether a node that could take sums must read codes here: what the host makes, what has two readers, a joined input."""
        if origin == self.graph.input_name:
            return node.op == "Concat"
        return origin in self._hosted or self._readers[origin] > 1

    def _ask(self, name: str, wanted: int, *, unless_hosted: bool = False) -> None:
        """A map has one M; the network input keeps its own."""
        origin = self._origin(name)
        if unless_hosted and origin in self._hosted and origin not in self.bits:
            return
        given = self.precision.images if origin == self.graph.input_name else wanted
        known = self.bits.get(origin, 0)
        if known and given and known != given:
            raise ValueError(f"precision: the readers of {origin!r} must agree on M, but want {known} and {given}")
        self.bits[origin] = known or given

    def _origin(self, name: str) -> str:
        """The tensor to quantize so that `name` holds codes: before pools and reshapes."""
        while name in self._before:
            name = self._before[name]
        return name

    def _on_host(self, node: GraphNode, live: list[str]) -> bool:
        """Whether the host computes a node: functions of no sum of codes, and what they lead to."""
        if node.op not in FUNCTIONS or node.outputs[0] == self.graph.output_name:
            return False
        if node.op == "Concat":
            return len(live) < len(node.inputs)
        if node.op not in AFFINE and node.op != "ReduceMean":
            return True
        hosted = any(self._origin(name) in self._hosted and self._origin(name) not in self.bits for name in live)
        if node.op == "ReduceMean":
            axes = (
                self.graph.constants[node.inputs[1]].ravel().tolist()
                if len(node.inputs) > 1
                else node.attributes.get("axes")
            )
            return hosted or list(axes or ()) in ([-1], [2])
        wide = [self.graph.constants[name].shape for name in node.inputs if name in self.graph.constants]
        table = node.op in ("Add", "Sub", "Mul", "Div") and any(
            np.count_nonzero(np.array(shape) > 1) > 1 for shape in wide
        )
        return hosted or table or (node.op in ("Mul", "Div") and len(live) == 2)


def _passes(node: GraphNode) -> bool:
    """Whether the outputs of a node are codes of its input."""
    return node.op in PASSING or (node.op in ("Resize", "Upsample") and node.text("mode", "nearest") == "nearest")
