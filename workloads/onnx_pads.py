"""Pad nodes: zeros around a map that a Conv reads are pads of that Conv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workloads.onnx_graph import Array, Graph, GraphNode
from workloads.onnx_translation import Operator, Translation
from workloads.onnx_values import Value


def merge_pads(graph: Graph) -> Graph:
    """The graph in which every Conv that reads a Pad of zeros has those pads itself; all other Pads stay (and are refused)."""
    pads = {node.outputs[0]: node for node in graph.nodes if node.op == "Pad" and _spatial(node, graph.constants)}
    nodes = [_padded(node, pads, graph.constants) for node in graph.nodes]
    read = {name for node in nodes for name in node.inputs} | {graph.output_name}
    return replace(graph, nodes=tuple(node for node in nodes if node.outputs[0] in read or node.outputs[0] not in pads))


def _padded(node: GraphNode, pads: Mapping[str, GraphNode], constants: Mapping[str, Array]) -> GraphNode:
    if node.op != "Conv" or node.inputs[0] not in pads or node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return node
    pad = pads[node.inputs[0]]
    own = (0, 0, 0, 0) if node.text("auto_pad", "NOTSET") == "VALID" else node.integers("pads", (0, 0, 0, 0))
    extra = _spatial(pad, constants) or (0, 0, 0, 0)
    attributes = {name: value for name, value in node.attributes.items() if name != "auto_pad"}
    attributes["pads"] = [one + other for one, other in zip(own, extra, strict=True)]
    return replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attributes=attributes)


def _spatial(node: GraphNode, constants: Mapping[str, Array]) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of a Pad of zeros around height and width, None of any other."""
    given = node.attributes.get("pads")
    if len(node.inputs) > 1:
        given = constants[node.inputs[1]].ravel().tolist() if node.inputs[1] in constants else None
    named = [name for name in node.inputs[2:3] if name]
    value = constants[named[0]] if named and named[0] in constants else node.attributes.get("value", 0.0)
    other = (named and named[0] not in constants) or (len(node.inputs) > 3 and node.inputs[3])
    zero = getattr(value, "size", 1) == 1 and float(getattr(value, "flat", [value])[0]) == 0
    if (
        other
        or not zero
        or node.text("mode", "constant") != "constant"
        or not isinstance(given, list)
        or len(given) != 8
    ):
        return None
    top, left, bottom, right = (int(given[place]) for place in (2, 3, 6, 7))
    return (top, left, bottom, right) if not any(given[place] for place in (0, 1, 4, 5)) else None


def pad(state: Translation, node: GraphNode) -> Value:
    """A Pad that no Conv has taken over."""
    raise ValueError(
        f"{node}: must put zeros around the height and width of a map that only Convs read, so that they become their pads "
        f"(graph {state.graph.name!r})"
    )


PADS: dict[str, Operator] = {"Pad": Operator(range(1, 5), pad)}
"""Pad, refused where `merge_pads` has left it."""
