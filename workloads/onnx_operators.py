"""Every operator that an import knows, by name."""

from __future__ import annotations

from workloads.onnx_averages import AVERAGES
from workloads.onnx_host import HOSTED
from workloads.onnx_maps import MAPS
from workloads.onnx_nodes import NODES
from workloads.onnx_pads import PADS
from workloads.onnx_qlinear import QLINEAR
from workloads.onnx_sequences import SEQUENCES
from workloads.onnx_translation import Operator
from workloads.onnx_transposed import TRANSPOSED

OPERATORS: dict[str, Operator] = NODES | AVERAGES | MAPS | PADS | QLINEAR | SEQUENCES | TRANSPOSED | HOSTED
"""The supported operators."""
