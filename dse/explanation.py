"""One row, taken apart: the sum behind each figure, down to the constants and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dse.experiment import Experiment, parse
from dse.results import Results
from dse.space import blocks, design
from hwmodels.areas import Fit, fitted
from hwmodels.build import Build, banks
from hwmodels.clocks import engine_paths
from hwmodels.constants import ASSUMED
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.models import Evaluation, evaluate
from hwmodels.silicon import area_terms, resource_terms
from hwmodels.structure import UNEVEN
from hwmodels.technology import Technology
from hwmodels.terms import Term
from workloads.files import network_from_header
from workloads.network import Network


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row evaluated again, one design at a time, with tables of what its figures are made of.

    `energy` has the amount of every term and its `low` and `high`: the amount with the constants at the ends of their ranges.
    `clock` has the longest path of every part of the engine, the slowest first; it is empty where the limit is assumed.
    `notes` say what the figures cannot: banks outside the SRAM data, and constants that are assumed and have no range.
    """

    row: int
    evaluation: Evaluation
    layers: pd.DataFrame
    energy: pd.DataFrame
    silicon: pd.DataFrame
    constants: pd.DataFrame
    clock: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def energy_range_nj(self) -> tuple[float, float]:
        """The energy with all constants at the low ends of their ranges, and at the high ends."""
        return float(self.energy["low"].sum()), float(self.energy["high"].sum())


def experiment_of(opened: Results) -> Experiment:
    """The experiment that a folder was swept from. Its network files are not opened and need not exist any more."""
    return parse(opened.experiment_text, base=opened.path, where=str(opened.path / "experiment.toml"), find_files=False)


def networks_of(opened: Results) -> tuple[Network, ...]:
    """The networks of a sweep, as the manifest keeps them."""
    return tuple(network_from_header(entry["shape"]) for entry in opened.manifest["networks"])


def design_of(opened: Results, row: int) -> tuple[Network, Design]:
    """The network and the design of one row. Raises ValueError for a row that was not swept."""
    networks = networks_of(opened)
    block, found = design(blocks(experiment_of(opened).space, networks), row)
    return networks[block.network], found


def explain(opened: Results, row: int) -> Explanation:
    """Evaluate one row again and list the terms of every sum. Raises ValueError where the row is infeasible, saying why."""
    network, chosen = design_of(opened, row)
    return explain_design(network, chosen, row=row)


def explain_design(network: Network, chosen: Design, *, row: int = -1) -> Explanation:
    """The same for any network and design."""
    evaluation = evaluate(network, chosen)
    build, node = Build.of(chosen), evaluation.technology
    energy = energy_terms(evaluation.activity, build, node)
    silicon = area_terms(build, node) if node.kind == "asic" else resource_terms(build, node)
    return Explanation(
        row=row,
        evaluation=evaluation,
        layers=layer_table(evaluation),
        energy=_with_range(_term_table(energy, 1000.0, "nJ"), node),
        silicon=_term_table(silicon, 1e6 if node.kind == "asic" else 1.0, "mm2" if node.kind == "asic" else None),
        constants=_constant_table((*energy, *silicon), node),
        clock=_clock_table(build, node),
        notes=(*_bank_notes(build, node), *_assumed_notes(energy, node)),
    )


def layer_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per layer: mapping, cycles by cause, energy by component, what bounds it."""
    return pd.DataFrame([_layer_row(evaluation, index) for index in range(len(evaluation.layers))])


def _layer_row(evaluation: Evaluation, index: int) -> Mapping[str, Any]:
    result = evaluation.layers[index]
    layer, activity, cost = result.layer, result.evaluated.activity, result.cost
    mapping = result.evaluated.mapping
    bits = activity.memory_read_bits + activity.memory_write_bits
    operations = 2 * getattr(layer, "macs", 0) * layer.act_bits * getattr(layer, "weight_bits", 0)
    causes = ("load", "fill", "compute", "drain", "stall", "store")
    return {
        "layer": layer.name,
        "kind": type(layer).__name__.lower(),
        "macs": getattr(layer, "macs", 0),
        "act_bits": layer.act_bits,
        "weight_bits": getattr(layer, "weight_bits", 0),
        "mapping": f"{mapping.dataflow}, {mapping.groups} groups, block {mapping.block[0]}x{mapping.block[1]}",
        "latency_us": float(cost.latency_us),
        **{f"{cause}_cycles": getattr(activity.cycles, f"{cause}_cycles") for cause in causes},
        "energy_nj": float(cost.energy_nj),
        **{
            f"energy_{part}_nj": float(getattr(cost, f"energy_{part}_nj"))
            for part in ("pe", "post", "buffer", "memory", "leakage")
        },
        "utilisation": result.utilisation,
        "bound": activity.bound,
        "ops_per_byte": operations / (bits / 8),
        "gops": operations / float(cost.latency_us) / 1000.0,
    }


def _term_table(terms: Sequence[Term], scale: float, unit: str | None) -> pd.DataFrame:
    rows = [
        {
            "component": term.component,
            "term": term.name,
            "quantity": float(term.count),
            "each": float(term.each),
            "each_unit": term.unit,
            "amount": float(term.amount) / scale,
            "unit": unit or term.unit,
            "constants": ", ".join(term.constants),
        }
        for term in terms
        if float(term.amount) != 0
    ]
    return pd.DataFrame(rows)


def _with_range(table: pd.DataFrame, node: Technology) -> pd.DataFrame:
    """The same with `low` and `high`: a term lies where the widest of its constants may put it."""
    spans = [
        [node.constants[name].span for name in text.split(", ") if name in node.constants] or [(1.0, 1.0)]
        for text in table["constants"]
    ]
    low = table["amount"] * [min(span[0] for span in each) for each in spans]
    high = table["amount"] * [max(span[1] for span in each) for each in spans]
    place = table.columns.get_loc("amount") + 1
    table.insert(place, "low", low)
    table.insert(place + 1, "high", high)
    return table


def _clock_table(build: Build, node: Technology) -> pd.DataFrame:
    """Paths that limit the clock, with what each would allow by itself."""
    paths = sorted(((float(delay), part) for part, delay in engine_paths(build, node).items()), reverse=True)
    source = f"fitted to timing, see characterization/{node.fit}.csv"
    rows = [
        {"part": part, "path_ps": delay, "max_clock_mhz": 1e6 / delay, "source": source}
        for delay, part in paths
        if delay
    ]
    return pd.DataFrame(rows, columns=["part", "path_ps", "max_clock_mhz", "source"])


def _bank_notes(build: Build, node: Technology) -> list[str]:
    """Memories of an ASIC that lie outside the data they are priced from."""
    if node.sram is None:
        return []
    return [
        f"{bank.name} banks of {bank.depth} x {bank.bits} bits lie outside the SRAM data: smaller ones are priced as the "
        "smallest macro, larger ones as several"
        for bank in banks(build.knobs)
        if bank.count and node.sram.outside(bank.depth, bank.bits)
    ]


def _assumed_notes(terms: Sequence[Term], node: Technology) -> list[str]:
    """Constants that nothing bounds, in one sentence; what public data cannot support on a device, in another."""
    names = dict.fromkeys(
        name for term in terms if term.amount > 0 for name in term.constants if name in node.constants
    )
    loose = [
        name for name in names if ASSUMED in node.constants[name].source and node.constants[name].span == (1.0, 1.0)
    ]
    notes = [f"assumed, with no range known: {', '.join(loose)}"] if loose else []
    if node.kind == "fpga":
        notes.append(FPGA_NOTE)
    return notes


FPGA_NOTE = (
    "no public measurement gives the energy of a LUT, a block RAM or a DSP slice of this family with the design that it was "
    "measured on: the energy is good for comparing designs on the same device, its absolute value only within low and high"
)


def _constant_table(terms: Sequence[Term], node: Technology) -> pd.DataFrame:
    """Every constant that the terms use, once, with its source."""
    names = dict.fromkeys(name for term in terms for name in term.constants)
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "value": constant.value,
            "low": constant.low,
            "high": constant.high,
            "unit": constant.unit,
            "source": constant.source,
        }
        for name, constant in ((name, node.constants[name]) for name in names if name in node.constants)
    ]
    if node.sram is not None and "sram" in names:
        rows.append({"name": "sram", "value": float("nan"), "unit": "table", "source": node.sram.source})
    if "fit" in names:
        rows += _coefficients(fitted(node.fit))
    return pd.DataFrame(rows)


def _coefficients(fit: Fit) -> list[dict[str, object]]:
    """What one of each feature takes, by unit of the engine; and what a bit takes beside them, where synthesis is not smooth."""
    source = f"fitted to synthesis, see characterization/{fit.target}.csv"
    smooth = [
        (f"{unit}, {feature}", value, resource.removeprefix("area_"))
        for resource, units in fit.coefficients.items()
        for unit, features in units.items()
        for feature, value in features.items()
        if value > 0
    ]
    beside = [
        (f"{unit}, {UNEVEN[unit].words(place)}, beside its structure", amount, resource.removeprefix("area_"))
        for resource, units in fit.uneven.items()
        for unit, table in units.items()
        for place, amount in zip(table.places, table.amounts, strict=True)
    ]
    return [{"name": name, "value": value, "unit": unit, "source": source} for name, value, unit in (*smooth, *beside)]
