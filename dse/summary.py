"""Small tables for people: networks, technologies, the decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dse.variants import load_network
from hwmodels.areas import fitted
from hwmodels.macro_model import MacroModel
from hwmodels.sram import SramTable
from hwmodels.technology import TECHNOLOGIES, Technology, technology
from reports.tables import csv_table, markdown_table
from reports.wording import design_words
from workloads.layers import Conv, Dense, Host, Layer, MatMul
from workloads.network import Network
from workloads.tables import READERS, load_table
from workloads.weight_encodings import with_weights
from workloads.zoo import NETWORKS, Decoding

FRONT_COLUMNS = (
    "row", "network", "precision", "machine", "rows", "cols", "width", "lanes_a", "lanes_w", "memory", "clock_mhz",
    "technology", "accuracy",
)  # fmt: skip
DECISION_COLUMNS = (
    "winner", "network", "precision", "accuracy", "model_kib", "row", "design", "memory", "latency_us", "energy_nj",
    "observed_energy_nj", "area_mm2",
    "lut", "mac_energy_nj", "fp32_speedup_bound",
)  # fmt: skip


def named_network(
    name: str,
    m: int | None = None,
    k: int | None = None,
    weights: str | None = None,
    decoding: Decoding | None = None,
) -> Network:
    """A network of the zoo at M x K (1 where not given), of a layer table (at its own bits where not given), or of a file.

    Shapes take a weight encoding other than their own, and a language model a phase, context and batch. Raises ValueError listing
    the known names, and for words that mean nothing.
    """
    if name in NETWORKS:
        return with_weights(NETWORKS[name](m or 1, k or 1, decoding=decoding), weights)
    if decoding is not None:
        raise ValueError(f"{name}: --phase, --context and --batch are those of a built-in language model")
    if Path(name).suffix in READERS:
        if (m is None) != (k is None):
            raise ValueError(f"{name}: --m and --k must be given together for a layer table")
        return with_weights(load_table(name, None if m is None or k is None else (m, k)), weights)
    if Path(name).suffix in (".onnx", ".safetensors"):
        if (m, k, weights) != (None, None, None):
            raise ValueError(
                f"{name}: an encoded network brings its own bits, so --m, --k and --weights must not be given"
            )
        return load_network(name).network
    raise ValueError(f"network must be a file or one of {', '.join(NETWORKS)}, not {name!r}")


def decoding_of(phase: str | None, context: int | None, batch: int | None) -> Decoding | None:
    """What a language model does, None where nothing of it was said. Raises ValueError for another phase or numbers below 1."""
    said = {"phase": phase, "context": context, "batch": batch}
    given = {name: value for name, value in said.items() if value is not None}
    return replace(Decoding(), **given) if given else None  # type: ignore[arg-type]


def network_summary(network: Network) -> dict[str, Any]:
    """Totals and layers as plain values; `host` counts what the machine does not compute, by function."""
    return {
        "name": network.name,
        "precision": network.precision,
        "macs": network.macs,
        "parameters": network.parameters,
        "model_kib": network.weight_storage_bits / 8192,
        "binary_ops": network.binary_ops,
        "host": dict(Counter(layer.function for layer in network.layers if isinstance(layer, Host))),
        "layers": [_layer_summary(layer) for layer in network.layers],
    }


def zoo_table() -> pd.DataFrame:
    """The built-in networks; language models as they decode one token after 512."""
    rows = []
    for name, entry in NETWORKS.items():
        network = entry(decoding=Decoding(phase="decode") if entry.decodes else None)
        rows.append(
            {"network": name, "macs": network.macs, "parameters": network.parameters, "description": entry.description}
        )
    return pd.DataFrame(rows)


def technology_table() -> pd.DataFrame:
    """The built-in technologies with the limits of devices, and how many of their constants are assumed."""
    return pd.DataFrame([_technology_row(entry) for entry in map(technology, TECHNOLOGIES)])


def constant_table(name: str) -> pd.DataFrame:
    """Every constant of one technology. Raises ValueError listing the known names."""
    entry = technology(name)
    rows = [
        {"constant": key, "value": constant.value, "unit": constant.unit, "source": constant.source}
        for key, constant in entry.constants.items()
    ]
    if entry.fit:
        rows += _fit_rows(entry.fit)
    if isinstance(entry.sram, SramTable):
        rows += _table_rows(entry.sram)
    elif entry.sram is not None:
        rows += _macro_rows(entry.sram)
    return pd.DataFrame(rows)


def _fit_rows(target: str) -> list[dict[str, Any]]:
    """What each structural feature of each unit takes, by the fit to synthesis."""
    units, source = {"area_um2": "um2", "lut": "LUT", "ff": "FF"}, f"fitted to synthesis, characterization/{target}.csv"
    return [
        {"constant": f"{unit}: {feature}", "value": value, "unit": units[resource], "source": source}
        for resource, found in fitted(target).coefficients.items()
        for unit, features in found.items()
        for feature, value in features.items()
    ]


def _table_rows(table: SramTable) -> list[dict[str, Any]]:
    """Read, write and area of every size of a published table."""
    unit = f"pJ per {table.port_bits} bit"
    kinds = (("read", table.read_pj, unit), ("write", table.write_pj, unit), ("area", table.area_um2, "um2"))
    return [
        {"constant": f"sram {capacity:g} B {kind}", "value": values[index], "unit": unit, "source": table.source}
        for index, capacity in enumerate(table.capacity_bytes)
        for kind, values, unit in kinds
    ]


MACRO_UNITS = {"pj": "pJ", "nw": "nW", "ns": "ns"}


def _macro_rows(model: MacroModel) -> list[dict[str, Any]]:
    """Coefficients of a fit to macros; `hwmodels.macro_model` says what they multiply."""
    sums = {"area row drivers": ("columns", (model.row_drivers,)), "area heights": ("um2 per column", model.heights)}
    for name, coefficients in model.coefficients.items():
        figure, unit = name.rsplit("_", 1)
        sums[figure.replace("_", " ")] = (MACRO_UNITS[unit], coefficients)
    return [
        {"constant": f"sram {name} {index}", "value": value, "unit": unit, "source": model.source}
        for name, (unit, values) in sums.items()
        for index, value in enumerate(values)
    ]


def decision_view(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a decision that fit a terminal; those without a single number are left out."""
    view = table.assign(
        winner=table["winner"].map({True: "*", False: ""}), design=[design_words(row) for _, row in table.iterrows()]
    )
    return view[[name for name in DECISION_COLUMNS if name in view.columns and view[name].notna().any()]]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as .csv or .md. Raises ValueError for another suffix or an unwritable folder."""
    writers = {".csv": csv_table, ".md": markdown_table}
    if path.suffix not in writers:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(writers)}, not {path.suffix!r}")
    try:
        path.write_text(writers[path.suffix](table), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: the folder must exist and be writable, but {error.strerror}") from error


def _layer_summary(layer: Layer) -> dict[str, Any]:
    weighted = layer if isinstance(layer, Conv | Dense | MatMul) else None
    return {
        "layer": layer.name,
        "kind": type(layer).__name__.lower(),
        "in_shape": "x".join(map(str, layer.in_shape)),
        "out_shape": "x".join(map(str, layer.out_shape)),
        "act_bits": layer.act_bits,
        "weight_bits": weighted and weighted.weight_bits,
        "out_bits": layer.out_bits,
        "macs": weighted.macs if weighted else 0,
        "weights": weighted.weights if weighted else 0,
    }


def _technology_row(entry: Technology) -> dict[str, Any]:
    assumed = sum(constant.source.startswith("assumed") for constant in entry.constants.values())
    return {
        "technology": entry.name,
        "kind": entry.kind,
        "node_nm": entry.node_nm,
        "voltage_v": entry.voltage_v,
        **{name: entry.limits.get(name) for name in ("lut", "ff", "bram36", "dsp")},
        "constants": len(entry.constants),
        "assumed": assumed,
        "description": entry.description,
    }
