"""A synthetic, seeded report: thirteen precisions, a few hundred designs, ten layers. No model behind it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from reports import Report

PRECISIONS = ("1x1", "1x2", "2x1", "2x2", "2x3", "3x3", "2x4", "4x4", "5x5", "4x8", "6x6", "7x7", "8x8")
ACCURACY = (0.903, 0.921, 0.917, 0.953, 0.960, 0.967, 0.964, 0.976, 0.978, 0.979, 0.982, 0.984, 0.985)
LAYERS = (
    "conv1",
    "res1.conv1",
    "res1.conv2",
    "res2.conv1",
    "res2.conv2",
    "res2.skip",
    "res3.conv1",
    "res3.conv2",
    "res3.skip",
    "fc",
)


def design_table(count: int = 600, *, seed: int = 7, target: str = "asic", accuracy: bool = True) -> pd.DataFrame:
    """`count` made-up designs with every column of the contract, row numbers from 100 on."""
    draw = np.random.default_rng(seed)
    pick = draw.integers(0, len(PRECISIONS), count)
    mac = draw.random(count) < 0.35
    bits = np.array([[int(part) for part in name.split("x")] for name in PRECISIONS])[pick]
    pes = 2 ** draw.integers(2, 6, (count, 2))
    lanes = np.where(mac[:, None], bits, np.minimum(2 ** draw.integers(0, 2, (count, 2)), bits))
    table = pd.DataFrame(
        {"row": np.arange(100, 100 + count), "network": "resnet8-cifar10", "precision": np.array(PRECISIONS)[pick]}
    )
    table["act_bits"], table["weight_bits"] = bits[:, 0], bits[:, 1]
    table["machine"] = np.where(mac, "mac", "array")
    table["rows"], table["cols"] = pes[:, 0], pes[:, 1]
    table["width"] = np.where(mac, 2 ** draw.integers(2, 5, count), 2 ** draw.integers(5, 8, count))
    table["lanes_a"], table["lanes_w"] = lanes[:, 0], lanes[:, 1]
    table["port_bits"], table["memory"] = (
        2 ** draw.integers(5, 9, count),
        np.where(draw.random(count) < 0.5, "dram", "sram"),
    )
    table["clock_mhz"], table["technology"], table["dataflow"] = 500.0, "asic45", "output stationary"
    table["accuracy"] = np.array(ACCURACY)[pick] if accuracy else np.nan
    table["accuracy_source"] = "measured" if accuracy else "unknown"
    table["model_kib"], table["macs"] = 9.6 * bits[:, 1], 12_501_632
    table["binary_ops"] = 2 * table["macs"] * bits.prod(axis=1)
    return _with_costs(table, draw, target)


def _with_costs(table: pd.DataFrame, draw: np.random.Generator, target: str) -> pd.DataFrame:
    mac, branches = table["machine"] == "mac", table["act_bits"] * table["weight_bits"]
    wide = table["rows"] * table["cols"] * table["width"]
    per_cycle = wide * np.where(mac, 1.0, table["lanes_a"] * table["lanes_w"] / branches)
    noise = draw.uniform(0.8, 1.25, len(table))
    compute = table["macs"] / per_cycle * noise
    moved = 8 * 1024 * table["model_kib"] / table["port_bits"]
    for name, share in (("load", 1.0), ("fill", 0.12), ("drain", 0.15), ("store", 0.3), ("stall", 0.25)):
        table[f"{name}_cycles"] = (moved * share * draw.uniform(0.6, 1.4, len(table))).round()
    table["compute_cycles"] = compute.round()
    cycles = [f"{name}_cycles" for name in ("load", "fill", "compute", "drain", "stall", "store")]
    table["latency_cycles"] = table[cycles].sum(axis=1)
    table["latency_us"] = table["latency_cycles"] / table["clock_mhz"]
    table["throughput_per_s"] = 1e6 / table["latency_us"]
    per_mac = np.where(mac, 0.17 + 0.008 * branches, 0.02 * branches + 0.03)
    table["energy_pe_nj"] = 1e-3 * table["macs"] * per_mac * noise
    table["energy_post_nj"] = 0.06 * table["energy_pe_nj"] + 15
    table["energy_buffer_nj"] = 1e-3 * table["macs"] * (table["act_bits"] + table["weight_bits"]) * 0.006 * noise
    table["energy_memory_nj"] = np.where(table["memory"] == "dram", 50.0, 6.0) * table["model_kib"]
    table["energy_control_nj"] = 2e-3 * table["latency_cycles"]
    table["energy_leakage_nj"] = 2e-5 * wide * table["latency_us"]
    table["energy_nj"] = table[[c for c in table.columns if c.startswith("energy_")]].sum(axis=1)
    table["power_mw"] = table["energy_nj"] / table["latency_us"]
    table["utilisation"] = table["compute_cycles"] / table["latency_cycles"]
    table["bandwidth_gbit_s"] = 8.2 * table["model_kib"] / table["latency_us"]
    table["bound"] = np.where(table["utilisation"] > 0.5, "compute", "load")
    return _with_area(table, wide * np.where(mac, 0.5 * branches, table["lanes_a"] * table["lanes_w"]), target)


def _with_area(table: pd.DataFrame, gates: pd.Series, target: str) -> pd.DataFrame:
    parts = {
        "pe": 6e-6 * gates,
        "post": 0.004 + 4e-6 * gates,
        "buffer": 0.02 + 0.002 * table["model_kib"],
        "control": 0.006 + 0 * gates,
    }
    for name, area in parts.items():
        table[f"area_{name}_mm2"] = area if target == "asic" else np.nan
        table[f"lut_{name}"] = np.nan if target == "asic" else (area * 60_000).round()
    table["area_memory_mm2"] = np.where((table["memory"] == "sram") & (target == "asic"), 0.15, np.nan)
    total = sum(parts.values()) + table["area_memory_mm2"].fillna(0)
    table["area_mm2"] = total if target == "asic" else np.nan
    for name, scale in (("lut", 60_000), ("ff", 42_000), ("bram36", 40), ("dsp", 0)):
        table[name] = np.nan if target == "asic" else (total * scale).round()
    return table


def front_of(table: pd.DataFrame, objectives: tuple[str, ...]) -> pd.DataFrame:
    """The rows that no other row beats; slow and plain."""
    signs = np.array([-1.0 if name in ("accuracy", "throughput_per_s") else 1.0 for name in objectives])
    costs = table[list(objectives)].to_numpy(float) * signs
    beaten = [bool(((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any()) for cost in costs]
    return table[~np.array(beaten)]


def decision_of(table: pd.DataFrame) -> pd.DataFrame:
    """The least-energy array per precision, with its integer-multiplier twin; the cheapest one over 95 % wins."""
    best = table.loc[table[table["machine"] == "array"].groupby("precision")["energy_nj"].idxmin()]
    twins = table[table["machine"] == "mac"].groupby("precision")[["energy_nj", "latency_us", "area_mm2", "lut"]].min()
    best = best.join(twins.add_prefix("mac_"), on="precision")
    best["fp32_speedup_bound"] = 64 / (best["act_bits"] * best["weight_bits"])
    best["fp32_memory_ratio"] = 32 / best["weight_bits"]
    good = best["energy_nj"].where(best["accuracy"].fillna(1) > 0.95)
    best["winner"] = best.index == good.idxmin()
    return best.sort_values(["act_bits", "weight_bits"])


def layer_table(names: tuple[str, ...] = LAYERS, *, seed: int = 3) -> pd.DataFrame:
    """One chosen design, layer by layer."""
    draw = np.random.default_rng(seed)
    count = len(names)
    table = pd.DataFrame({"layer": list(names), "kind": ["conv"] * (count - 1) + ["dense"]})
    table["macs"] = (10 ** draw.uniform(5, 6.5, count)).astype(int)
    table["compute_cycles"] = (table["macs"] / 900).round()
    for name, low, high in (
        ("load", 0.1, 0.9),
        ("fill", 0.02, 0.1),
        ("drain", 0.02, 0.12),
        ("stall", 0.0, 0.3),
        ("store", 0.05, 0.2),
    ):
        table[f"{name}_cycles"] = (table["compute_cycles"] * draw.uniform(low, high, count)).round()
    cycles = table[[c for c in table.columns if c.endswith("_cycles")]].sum(axis=1)
    table["latency_us"] = cycles / 500
    for name, scale in (("pe", 3e-5), ("post", 4e-6), ("buffer", 2e-5), ("memory", 2.5e-5), ("leakage", 3e-6)):
        table[f"energy_{name}_nj"] = scale * table["macs"] * draw.uniform(0.6, 1.4, count)
    table["energy_nj"] = table[[c for c in table.columns if c.startswith("energy_")]].sum(axis=1)
    table["utilisation"] = table["compute_cycles"] / cycles
    table["bound"] = ["load" if share < 0.5 else "compute" for share in table["utilisation"]]
    table["ops_per_byte"] = 10 ** draw.uniform(1.6, 3.4, count)
    table["gops"] = np.minimum(table["ops_per_byte"] * 8.0, 4096.0) * draw.uniform(0.45, 0.98, count)
    return table


def make_report(
    *,
    count: int = 600,
    target: str = "asic",
    accuracy: bool = True,
    objectives: tuple[str, ...] = ("energy_nj", "latency_us", "area_mm2"),
    layers: tuple[str, ...] = LAYERS,
) -> Report:
    """A whole report on made-up numbers."""
    table = design_table(count, target=target, accuracy=accuracy)
    front = front_of(table, objectives)
    return Report(
        title="resnet8 on CIFAR-10, synthetic numbers for the tests of this page",
        question="Which precision and which array run resnet8 at 10,000 images a second in 1 mm² at 95 % accuracy?",
        answer="2x2 on a 16x8 array of 64-bit PEs: 95.3 % accuracy at a quarter of the energy of 4x4. "
        "Integer multipliers of the same widths would need more energy and more area.",
        decision=decision_of(table),
        points=table,
        front=front,
        objectives=objectives,
        layers=layer_table(layers),
        peaks={"peak_gops": 4096.0, "memory_gbyte_s": 8.0},
        swept=pd.DataFrame(
            {"knob": ["rows", "cols", "width"], "values": ["4, 8, 16, 32", "4, 8, 16, 32", "32, 64, 128"]}
        ),
        infeasible=pd.DataFrame(
            {"reason": ["weights do not fit the buffer", "area above 1 mm2"], "count": [120_345, 88_112]}
        ),
        counts={"evaluated": 412_000, "feasible": 203_543, "front": len(front)},
        provenance=pd.DataFrame({"key": ["dse", "experiment sha256", "seed"], "value": ["0.1.0", "9f2b" * 16, "7"]}),
        constants=pd.DataFrame(
            {"name": ["sram_read_pj_per_bit"], "value": [0.021], "unit": ["pJ/bit"], "source": ["assumed"]}
        ),
        notes=("Leakage does not depend on temperature.", "DRAM refresh is not modelled."),
    )


@pytest.fixture
def report() -> Report:
    """The default synthetic report."""
    return make_report()


@pytest.fixture
def report_with() -> Callable[..., Report]:
    """The builder, for reports that lack something."""
    return make_report
