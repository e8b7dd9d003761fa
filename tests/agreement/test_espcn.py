"""A trained super-resolution network (ESPCN, sub-pixel convolution) against qonnx: every layer, every pixel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx_builder import TIE, reference

from workloads.encoded import Codes
from workloads.executor import run
from workloads.onnx_import import load_onnx

SHARED = Path(os.environ.get("DSE_SHARED", Path(__file__).parents[3] / "shared"))
MODEL = SHARED / "models" / "espcn" / "espcn_subpixel_quant.onnx"

pytestmark = pytest.mark.skipif(
    not MODEL.is_file(), reason=f"{MODEL} is absent (a trained network that is not shipped)"
)

LAYERS = {  # layer: its codes, the values before its quantizer, the scale, bits
    "Conv_5": ("x.3", "onnx.brevitas::Quant_39", "scale.3", 4),
    "Conv_17": ("x.12", "onnx.brevitas::Quant_51", "scale.11", 4),
    "Conv_29": ("x.20", "onnx.brevitas::Quant_63", "scale.19", 4),
    "DepthToSpace_42": ("79", "inp", "scale.27", 8),
}


def test_all_layers_equal_qonnx() -> None:
    network = load_onnx(MODEL, input_codes=Codes(bits=8, step=1 / 510, offset=255))
    images = (np.random.default_rng(0).integers(0, 256, (1, 3, 128, 128)) / 255).astype(np.float32)
    got, model = run(network, images, keep_integers=True), onnx.load(MODEL)
    del model.graph.input[1:]  # initializers that the file also lists as inputs
    expected = reference(model, images)
    assert got.outputs.shape == (1, 3, 256, 256)
    for name, (codes, before, scale, bits) in LAYERS.items():
        step = float(expected[scale].ravel()[0])
        wanted = np.rint(expected[codes].astype(np.float64) / step)
        differs = (got.codes[name] + 2**bits - 1) // 2 != wanted
        position = expected[before].astype(np.float64) / step
        # The last layer meets ten pixels of 196,608 at which float32 stands on a tie; no other layer meets any.
        assert differs.sum() <= (20 if bits == 8 else 0), name
        assert (np.abs(position - np.floor(position) - 0.5)[differs] < TIE).all(), name
