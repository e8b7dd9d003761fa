"""One network on one machine in two ways, in one run: Verilator on the RTL, and the event simulation. Simulated cycles per second.

The digits network at 2 x 4 bits, 100 images on the RTL (values and cycles), one on the event simulation (cycles only). For comparison,
SCALE-Sim simulates about 4,200 array cycles per CPU second.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from dse.rtl import best_mappings, build, simulate
from dse.variants import load_network
from hwmodels.cycle import simulate as events
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.schedule import schedule

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
DESIGN = Design(rows=8, cols=4, width=32, max_act_bits=8, max_weight_bits=4, port_bits=32)
IMAGES = 100
SCALE_SIM = 4_200


def main() -> None:
    """Print a line for each."""
    encoded = load_network(DIGITS / "digits_m2k4.onnx")
    mappings = best_mappings(encoded.network, DESIGN)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        binary = build(DESIGN, folder, units=1 << 18)
        built = time.perf_counter()
        seen = simulate(binary, encoded, DESIGN, mappings, np.load(DIGITS / "images.npy")[:IMAGES], folder)
        seconds = time.perf_counter() - built
    cycles = sum(layer["latency"] for layer in seen.layers)
    shapes = [(geometry(layer, DESIGN.width), mappings.get(layer.name)) for layer in encoded.network.layers]
    plans = [schedule(shape, DESIGN, mapping) for shape, mapping in shapes if shape is not None and mapping is not None]
    started = time.perf_counter()
    for plan in plans:
        events(plan)
    simulated = time.perf_counter() - started
    rtl, event = cycles * IMAGES / seconds, cycles / simulated
    print(
        f"Verilator  {rtl:12,.0f} cycles/s ({seen.passed=}, built in {built - began:.1f} s), {rtl / SCALE_SIM:,.0f} x SCALE-Sim"
    )
    print(f"events     {event:12,.0f} cycles/s, {event / rtl:,.1f} x Verilator, {event / SCALE_SIM:,.0f} x SCALE-Sim")


if __name__ == "__main__":
    main()
