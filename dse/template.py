"""The commented experiment file that `dse init` writes."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = """\
# An experiment: which networks, which machines, and what counts. Run it with
#   dse sweep experiment.toml -o results
#   dse compare results --by precision
#   dse report results -o report.html
name = "my-experiment"
seed = 1

# Columns that make the Pareto front. Less is better, except accuracy, throughput_per_s and utilisation.
# Others: latency_cycles, power_mw, lut, ff, bram36, dsp, model_kib, bandwidth_gbit_s.
objectives = ["energy_nj", "latency_us", "area_mm2"]

# Designs that break a constraint are counted with their reason, and not kept.
constraints = ["latency_us <= 20000"]

# The decision: among networks that satisfy all of `require`, the design with the least `minimise`.
minimise = "energy_nj"
require = []                          # e.g. ["accuracy >= 0.95"]

# A network of the zoo (`dse networks`) takes any bits M x K in 1..8 ...
[[networks]]
zoo = "resnet18"
bits = ["1x1", "2x2", "4x4", "8x8"]
# layers = { fc = "8x8" }             # layers with bits of their own

# ... and so does a layer table: SCALE-Sim CSV, ZigZag YAML or a layer list (docs/tables.md) ...
# [[networks]]
# table = "topology.csv"
# bits = "2x2"

# ... and a trained one brings its bits and thresholds; give it images and classes, and its accuracy is measured.
# [[networks]]
# file = "nets/*.onnx"                # QONNX, or .safetensors made by `dse encode`
# data = "images.npy"
# labels = "labels.npy"

# Every knob takes a value, a list, { from, to, step } or { from, to, times }. What is not given keeps its default.
[space]
machine = ["array", "mac"]            # xnor-popcount branches, or the twin with integer multipliers
technology = "asic45"                 # `dse technologies` lists them
memory = "dram"                       # or lpddr4, ddr3, hbm2, ...; or "sram": everything on chip, memory_kib of it
# memory_kib = [512, 2048]
clock_mhz = [200, 500]
rows = { from = 8, to = 64, times = 2 }   # output channels in parallel; must divide width or be a multiple of it
cols = [4, 8, 16]                     # output positions in parallel
width = [32, 64]                      # bits that a PE reduces in a cycle
lanes_a = [1, "full"]                 # activation planes at once; "full" is all planes of the network
lanes_w = [1, "full"]
# max_act_bits = "network"            # widest codes the machine is built for
# max_weight_bits = "network"
# count_stages = [1, 2]               # cycles of a PE's popcounts, of the sum of its branches, of its accumulator:
# sum_stages = 1                      # a second one shortens the longest path of that part
# acc_stages = 1
weight_depth = [2048, 8192]           # entries of a bank, both halves of the double buffer
act_depth = [1024, 4096]
out_depth = 4096
threshold_depth = 32                  # channel groups of `rows` channels, both halves
port_bits = [64, 128, 256]            # memory port; must divide width or be a multiple of it
port_shared = true                    # loader and writer share it
port_latency = 20
port_burst = 16
# dataflow = "best"                   # or "weight", "activation"
"""


def write_template(path: Path) -> None:
    """Write the file. Raises ValueError where one exists already or the folder cannot be written."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise ValueError(f"{path}: must be a new file, but exists") from None
    except OSError as error:
        raise ValueError(f"{path}: the folder must exist and be writable, but {error.strerror}") from error
