"""The columns that a results table may carry: what each is called, its unit, and which way is better."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Direction = Literal["smaller", "larger", "none"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a results table.

    `unit` is "" for text and plain counts, "id" for numbers that are names, "1" for fractions (people read per cent).
    """

    name: str
    label: str
    unit: str = ""
    direction: Direction = "none"

    @property
    def shown_unit(self) -> str:
        """The unit as a reader sees it."""
        return {"1": "%", "id": "", "us": "µs", "mm2": "mm²", "um2": "µm²", "MAC/cycle/mm2": "MAC/cycle/mm²"}.get(
            self.unit, self.unit
        )

    @property
    def scale(self) -> float:
        """What a stored value is multiplied by to be in `shown_unit`."""
        return 100.0 if self.unit == "1" else 1.0

    @property
    def heading(self) -> str:
        """Label and unit in one string, for an axis or a plain table head."""
        return f"{self.label} ({self.shown_unit})" if self.shown_unit else self.label

    @property
    def hint(self) -> str:
        """Which way is better, in words; empty when neither is."""
        return {"smaller": "less is better", "larger": "more is better", "none": ""}[self.direction]


IDENTITY = (
    Column("row", "Row", "id"),
    Column("network", "Network"),
    Column("precision", "Precision"),
    Column("act_bits", "Activation bits M", "bit"),
    Column("weight_bits", "Weight bits K", "bit"),
    Column("machine", "Machine"),
    Column("rows", "PE rows"),
    Column("cols", "PE columns"),
    Column("width", "PE width", "bit"),
    Column("lanes_a", "Activation lanes"),
    Column("lanes_w", "Weight lanes"),
    Column("max_act_bits", "Widest activation", "bit"),
    Column("max_weight_bits", "Widest weight", "bit"),
    Column("count_stages", "Stages of the counts", "cycles"),
    Column("sum_stages", "Stages of the sum", "cycles"),
    Column("acc_stages", "Stages of the accumulator", "cycles"),
    Column("sqnr_db", "Signal to quantization noise", "dB", "larger"),
    Column("weight_depth", "Weight buffer depth", "entries"),
    Column("act_depth", "Activation buffer depth", "entries"),
    Column("out_depth", "Output buffer depth", "entries"),
    Column("threshold_depth", "Threshold buffer depth", "channel groups"),
    Column("port_bits", "Memory port", "bit"),
    Column("port_shared", "Port shared"),
    Column("port_latency", "Port latency", "cycles"),
    Column("port_burst", "Burst", "beats"),
    Column("memory", "Memory"),
    Column("memory_kib", "Memory size", "KiB"),
    Column("clock_mhz", "Clock", "MHz"),
    Column("technology", "Technology"),
    Column("dataflow", "Dataflow"),
    Column("kept", "Kept as"),
)

QUALITY = (
    Column("accuracy", "Accuracy", "1", "larger"),
    Column("top5_accuracy", "Top-5 accuracy", "1", "larger"),
    Column("accuracy_source", "Accuracy source"),
    Column("model_kib", "Model size", "KiB", "smaller"),
    Column("macs", "Multiply-accumulates"),
    Column("binary_ops", "Binary operations"),
)

METRICS = (
    Column("latency_cycles", "Latency", "cycles", "smaller"),
    Column("latency_us", "Latency", "us", "smaller"),
    Column("throughput_per_s", "Throughput", "1/s", "larger"),
    Column("energy_nj", "Energy per inference", "nJ", "smaller"),
    Column("power_mw", "Power", "mW", "smaller"),
    Column("area_mm2", "Area", "mm2", "smaller"),
    Column("lut", "Logic", "LUT", "smaller"),
    Column("ff", "Registers", "FF", "smaller"),
    Column("bram36", "Block RAM", "BRAM36", "smaller"),
    Column("dsp", "Multiplier blocks", "DSP", "smaller"),
    Column("max_clock_mhz", "Fastest clock", "MHz", "larger"),
    Column("outside_fit", "Outside the fit"),
    Column("utilisation", "PE utilisation", "1", "larger"),
    Column("bandwidth_gbit_s", "Memory bandwidth", "Gbit/s", "smaller"),
    Column("bound", "Limited by"),
)

CYCLE_PARTS = (
    Column("compute_cycles", "compute", "cycles"),
    Column("load_cycles", "load", "cycles"),
    Column("fill_cycles", "fill", "cycles"),
    Column("drain_cycles", "drain", "cycles"),
    Column("store_cycles", "store", "cycles"),
    Column("stall_cycles", "stall", "cycles"),
)

ENERGY_PARTS = (
    Column("energy_pe_nj", "PEs", "nJ", "smaller"),
    Column("energy_post_nj", "post-processing", "nJ", "smaller"),
    Column("energy_buffer_nj", "buffers", "nJ", "smaller"),
    Column("energy_memory_nj", "memory", "nJ", "smaller"),
    Column("energy_control_nj", "control", "nJ", "smaller"),
    Column("energy_leakage_nj", "leakage", "nJ", "smaller"),
)

AREA_PARTS = (
    Column("area_pe_mm2", "PEs", "mm2", "smaller"),
    Column("area_post_mm2", "post-processing", "mm2", "smaller"),
    Column("area_buffer_mm2", "buffers", "mm2", "smaller"),
    Column("area_memory_mm2", "memory", "mm2", "smaller"),
    Column("area_control_mm2", "control", "mm2", "smaller"),
)

LUT_PARTS = (
    Column("lut_pe", "PEs", "LUT", "smaller"),
    Column("lut_post", "post-processing", "LUT", "smaller"),
    Column("lut_buffer", "buffers", "LUT", "smaller"),
    Column("lut_control", "control", "LUT", "smaller"),
)

LAYERS = (
    Column("layer", "Layer"),
    Column("kind", "Kind"),
    Column("ops_per_byte", "Binary operations per byte of memory traffic", "ops/B", "larger"),
    Column("gops", "Binary operations per second", "Gop/s", "larger"),
    Column("time_share", "Share of time", "1"),
)

DATA = (
    Column("activation_toggle_rate", "Activation bits toggling", "1"),
    Column("weight_toggle_rate", "Weight bits toggling", "1"),
    Column("product_toggle_rate", "Xnor bits toggling", "1"),
    Column("constant_planes", "Constant planes"),
    Column("acc_bits", "Accumulator bits needed", "bit"),
    Column("acc_bound_bits", "Accumulator bits declared", "bit"),
)

DECISION = (
    Column("winner", "Best"),
    Column("design", "Design"),
    Column("observed_energy_nj", "Energy, observed toggles", "nJ", "smaller"),
    Column("mac_energy_nj", "Energy, MAC twin", "nJ", "smaller"),
    Column("mac_latency_us", "Latency, MAC twin", "us", "smaller"),
    Column("mac_area_mm2", "Area, MAC twin", "mm2", "smaller"),
    Column("mac_lut", "Logic, MAC twin", "LUT", "smaller"),
    Column("fp32_speedup_bound", "fp32 speed-up bound", "x", "larger"),
    Column("fp32_memory_ratio", "fp32 weight ratio", "x", "larger"),
)

BOOKKEEPING = (
    Column("knob", "Knob"),
    Column("values", "Values tried"),
    Column("reason", "Reason"),
    Column("count", "Designs"),
    Column("share", "Share", "1"),
    Column("key", "What"),
    Column("name", "Constant"),
    Column("value", "Value", "id"),
    Column("unit", "Unit"),
    Column("source", "Source"),
)

SENSITIVITY = (
    Column("objective", "Objective"),
    Column("factor", "Factor", "x"),
)

BITS = (
    Column("point", "Point", "id"),
    Column("loss", "Loss", "", "smaller"),
    Column("output_noise", "Output noise measured", "", "smaller"),
    Column("ties", "Assignments"),
    Column("layer_bits", "Bits of the layers"),
)

FORMS = (("mac", "Multipliers"), ("parallel", "Parallel planes"), ("serial", "Serial planes"))
CROSSOVER = (
    Column("target", "Target"),
    Column("m", "M", "bit"),
    Column("k", "K", "bit"),
    *(Column(f"{form}_area_um2", label, "um2", "smaller") for form, label in FORMS),
    *(Column(f"{form}_lut", label, "LUT", "smaller") for form, label in FORMS if form != "mac"),
    *(Column(f"{form}_to_mac", f"{label.split()[0]}/mult.", "", "smaller") for form, label in FORMS if form != "mac"),
    Column("smallest", "Smallest"),
    *(Column(f"{form}_per_mm2", label, "MAC/cycle/mm2", "larger") for form, label in FORMS),
    *(Column(f"{form}_per_klut", label, "MAC/cycle/kLUT", "larger") for form, label in FORMS),
    Column("densest", "Densest"),
    *(Column(f"{form}_clock_mhz", label, "MHz", "larger") for form, label in FORMS),
    *(Column(f"{form}_gmac_s_per_mm2", label, "GMAC/s/mm2", "larger") for form, label in FORMS),
    *(Column(f"{form}_gmac_s_per_klut", label, "GMAC/s/kLUT", "larger") for form, label in FORMS),
    *(Column(f"{form}_limit", f"{label}, clock limit") for form, label in FORMS),
    Column("densest_own_clock", "Densest"),
    *(Column(f"{form}_energy_pj", label, "pJ/MAC", "smaller") for form, label in FORMS),
    Column("leanest", "Leanest"),
)

_GROUPS = (
    BITS,
    SENSITIVITY,
    CROSSOVER,
    IDENTITY,
    QUALITY,
    METRICS,
    CYCLE_PARTS,
    ENERGY_PARTS,
    AREA_PARTS,
    LUT_PARTS,
    LAYERS,
    DATA,
    DECISION,
    BOOKKEEPING,
)
COLUMNS: dict[str, Column] = {column.name: column for group in _GROUPS for column in group}


def describe(name: str) -> Column:
    """The column called `name`; a name that is not in the contract stands for itself, without unit or direction."""
    return COLUMNS.get(name, Column(name, name.replace("_", " ")))


def values_of(table: pd.DataFrame, name: str) -> pd.Series:
    """The numbers of a column as float64; all NaN when the table does not carry it."""
    if name not in table.columns:
        return pd.Series(float("nan"), index=table.index, dtype="float64")
    return pd.to_numeric(table[name], errors="coerce").astype("float64")


def known(table: pd.DataFrame, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Those of `columns` that the table carries with at least one number in them."""
    return tuple(column for column in columns if bool(values_of(table, column.name).notna().any()))


def is_chosen(table: pd.DataFrame) -> list[bool]:
    """For each row, whether the decision marks it as the winner."""
    if "winner" not in table.columns:
        return [False] * len(table)
    return [str(mark) == "True" for mark in table["winner"]]


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that the decision marks as the winner; none when nothing is marked."""
    return table.loc[is_chosen(table)]
