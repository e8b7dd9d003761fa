"""How long a 100 MB QONNX file takes to become planes and thresholds, and how much memory: `python benchmarks/importing.py`.

The ratio is to reading and hashing the same bytes, in the same run.
"""

from __future__ import annotations

import hashlib
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.workloads.qonnx_builder import Builder, paper
from workloads.onnx_import import load_onnx

FEATURES, LAYERS = 2048, 6


def build(folder: Path) -> Path:
    """Six dense layers of 2048 x 2048 float32 weights of 2 bits, 4-bit activations."""
    rng, made = np.random.default_rng(0), Builder(("batch", FEATURES))
    x = made.quant("x", "input", paper(4))
    for layer in range(LAYERS):
        latent = rng.normal(size=(FEATURES, FEATURES)).astype(np.float32)
        weights = made.weights(f"w{layer}", latent, paper(2))
        x = made.node("MatMul", [x, weights], f"fc{layer}", output="y" if layer == LAYERS - 1 else None)
        x = x if layer == LAYERS - 1 else made.quant(x, f"act{layer}", paper(4))
    return made.save(folder / "large.onnx")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder))
        began = time.perf_counter()
        hashlib.sha256(path.read_bytes())
        read = time.perf_counter()
        network = load_onnx(path).network
        loaded = time.perf_counter()
        print(
            f"{path.stat().st_size / 1e6:.0f} MB, {network.parameters:,} weights: {loaded - read:.2f} s, "
            f"{(loaded - read) / (read - began):.1f} x reading and hashing; peak of making and importing "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
        )


if __name__ == "__main__":
    main()
