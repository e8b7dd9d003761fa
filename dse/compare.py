"""The decision: encoding precisions side by side, each at its best design under the same constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dse.estimates import CONSTANT
from dse.experiment import Constraint, Experiment, applies, check_column
from dse.explanation import design_of, experiment_of
from dse.keep import TIES, oriented, ranked
from dse.observing import rates_at, rates_from_header
from dse.results import Results, read_part
from hwmodels.models import evaluate
from hwmodels.technology import technology

SOFTWARE_WORD = 64
"""Bits of one software xnor-popcount in the paper's cost formula, W / (M K) over one multiply-accumulate at a time."""
TWIN_COLUMNS = ("energy_nj", "latency_us", "area_mm2", "lut")


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes a design best: the column to optimise, what a network must satisfy to win, and the technology to look at."""

    minimise: str
    require: tuple[Constraint, ...]
    technology: str

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        *,
        minimise: str | None = None,
        require: Sequence[Constraint] = (),
        technology: str | None = None,
    ) -> Choice:
        """What the experiment file states, with what the caller overrides. Raises ValueError for what was not swept."""
        chosen = swept_technology(experiment, technology)
        if minimise is not None:
            check_column(minimise, "minimise")
        goal = minimise or experiment.minimise
        if not applies(goal, chosen):
            raise ValueError(f"minimise must be a figure of {chosen}, not {goal!r}")
        return cls(goal, tuple(require) or experiment.require, chosen)


def swept_technology(experiment: Experiment, wanted: str | None) -> str:
    """The wanted technology, or the first of the experiment. Raises ValueError for one that was not swept."""
    known = experiment.space.technology
    if wanted is not None and wanted not in known:
        raise ValueError(f"technology must be one of {', '.join(known)} as swept, not {wanted!r}")
    return wanted or known[0]


@dataclass(frozen=True, slots=True)
class Decision:
    """One row per network at its best xnor-popcount design, best first; `winner` is the row number of the chosen one."""

    table: pd.DataFrame
    choice: Choice
    winner: int | None


def decide(opened: Results, choice: Choice) -> Decision:
    """Compare the precisions of a sweep. Raises ValueError where no xnor-popcount design is in the results."""
    table = best_rows(opened, choice, "array")
    if not len(table):
        raise ValueError(
            f"{opened.path}: must hold xnor-popcount designs in {choice.technology}, but no feasible one was swept"
        )
    table = table.merge(_twins(opened, choice), on="network", how="left")
    table["observed_energy_nj"] = [_observed_energy(opened, row) for row in table["row"]]
    table["fp32_speedup_bound"] = SOFTWARE_WORD / (table["binary_ops"] / (2 * table["macs"]))
    table["fp32_memory_ratio"] = 32 * table["weights"] / (table["model_kib"] * 8192)
    allowed = np.ones(len(table), np.bool_)
    for constraint in choice.require:
        if not applies(constraint.column, choice.technology):
            continue
        allowed &= np.asarray(constraint.holds(table[constraint.column]), np.bool_)
    order = np.lexsort((table["row"], _keys(table, choice)[:, 0]))
    table, allowed = table.iloc[order].reset_index(drop=True), allowed[order]
    winner = int(np.argmax(allowed)) if allowed.any() else None
    table.insert(0, "winner", np.arange(len(table)) == winner)
    table.insert(1, "meets", allowed)
    return Decision(table, choice, None if winner is None else int(table["row"].iloc[winner]))


def _observed_energy(opened: Results, row: int) -> float:
    """Energy of a design with the operand bits that toggled on real images; NaN where nothing was observed, and for an FPGA."""
    network, design = design_of(opened, row)
    entry = next(entry for entry in opened.manifest["networks"] if entry["name"] == network.name)
    rates = rates_from_header(entry["rates"])
    if not rates or technology(design.technology).kind == "fpga":
        return float("nan")
    return float(evaluate(network, design, rates=rates_at(rates, design.width)).cost.energy_nj)


def best_rows(opened: Results, choice: Choice, machine: str) -> pd.DataFrame:
    """The best design of every network on one kind of machine, in row order, read part by part."""
    _check_kept(opened, choice)
    best = pd.DataFrame()
    columns = list(dict.fromkeys(["network", "machine", "technology", choice.minimise, *TIES]))
    for part in opened.parts():
        table = read_part(part, columns).to_pandas()
        table = table[(table["machine"] == machine) & (table["technology"] == choice.technology)]
        both = pd.concat([best, table], ignore_index=True) if len(best) else table
        order = np.lexsort(_keys(both, choice).T[::-1])
        best = both.iloc[order].drop_duplicates("network")
    rows = opened.rows(best["row"].tolist() if len(best) else [])
    weights = {entry["name"]: entry["weights"] for entry in opened.manifest["networks"]}
    return rows.assign(weights=rows["network"].astype(str).map(weights))


def _check_kept(opened: Results, choice: Choice) -> None:
    """A search keeps the best designs of some columns; equals in a column that is the same for all are told apart by energy."""
    known = (*ranked(experiment_of(opened), choice.technology), *CONSTANT)
    if not opened.whole and choice.minimise not in known:
        raise ValueError(
            f"{opened.path}: minimise must be one of {', '.join(known)}, whose best designs were kept, not {choice.minimise!r}; "
            "name it in the experiment, or sweep with --keep all"
        )


def _keys(table: pd.DataFrame, choice: Choice) -> np.ndarray:
    return oriented(table, (choice.minimise, *TIES))


def _twins(opened: Results, choice: Choice) -> pd.DataFrame:
    """Each network's best mac twin: what plain integer multipliers of the same widths would cost."""
    twins = best_rows(opened, choice, "mac")
    return twins[["network", *TWIN_COLUMNS]].rename(columns={name: f"mac_{name}" for name in TWIN_COLUMNS})
