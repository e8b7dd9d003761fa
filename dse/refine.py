"""`dse sweep --refine`: exact cycles of every design on the front, before anybody reads it as an answer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dse.compare import swept_technology
from dse.explanation import design_of, experiment_of
from dse.front import front_rows
from dse.results import Results
from hwmodels.design import Design
from hwmodels.exact import exact_layer
from workloads.network import Network

REFINED = "refined.csv"


def refine(opened: Results, *, technology: str | None = None) -> pd.DataFrame:
    """The front of the experiment's objectives with exact latencies beside the closed form's, in row order.

    exact_latency_cycles comes from the recurrence, or from event simulation where loader and writer share a port;
    latency_error is the closed form's, relative to it.
    """
    experiment = experiment_of(opened)
    front = front_rows(opened, experiment.objectives, technology=swept_technology(experiment, technology))
    exact = [exact_cycles(*design_of(opened, int(row))) for row in front["row"]]
    table = front[["row", "network", "precision", "latency_cycles", "latency_us"]].copy()
    table["exact_latency_cycles"] = exact
    table["exact_latency_us"] = table["latency_us"] * table["exact_latency_cycles"] / table["latency_cycles"]
    table["latency_error"] = table["latency_cycles"] / table["exact_latency_cycles"] - 1
    return table


def write_refined(table: pd.DataFrame, folder: Path) -> Path:
    """refined.csv beside the parts of a results folder, whole or not at all."""
    path, temporary = folder / REFINED, folder / f".{REFINED}.tmp"
    table.to_csv(temporary, index=False)
    temporary.replace(path)
    return path


def exact_cycles(network: Network, design: Design) -> int:
    """Exact latency of a network on a design, each layer under the closed form's best mapping."""
    found = (exact_layer(layer, design) for layer in network.layers)
    return sum(item.activity.cycles.total for item in found if item is not None)
