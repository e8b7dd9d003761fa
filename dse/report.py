"""From a results folder to the report page: gather the tables, say what they mean, hand them to `reports`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dse.compare import Choice, Decision, decide
from dse.crossover import crossover
from dse.experiment import Experiment
from dse.explanation import Explanation, experiment_of, explain
from dse.front import front_rows, shared
from dse.results import Results
from hwmodels.technology import technology
from reports.columns import COLUMNS
from reports.page import write_page
from reports.report import Report
from reports.wording import design_words, quantity

SAMPLE_ROWS = 3000
NOTES = (
    "Latency is the closed form of docs/machine.md: compute, drain and every count are exact, stalls use mean tiles. `dse validate` "
    "says how far it is from the simulation of every event; `dse sweep --refine` gives exact cycles of the front.",
    "Technologies named after a synthesis target have areas or resources fitted to synthesis, without placement and wires. Other "
    "area constants, and all of clock and energy, are published values or marked assumed. FPGA energies are assumed, within a factor of three.",
    "Accuracy is measured on the executor, cited with its source, or unknown; it is never interpolated.",
)


def build_report(opened: Results, *, choice: Choice | None = None, command: str = "dse report") -> Report:
    """Everything that the page says. Raises ValueError where the results hold no design to report."""
    experiment = experiment_of(opened)
    chosen = choice or Choice.of(experiment)
    decision = decide(opened, chosen)
    shown = decision.winner if decision.winner is not None else int(decision.table["row"].iloc[0])
    explained = explain(opened, shown)
    front = front_rows(opened, experiment.objectives, technology=chosen.technology)
    return Report(
        title=f"{experiment.name}: which encoding, which array?",
        question=_question(chosen),
        answer=answer(decision),
        decision=decision.table,
        points=sample(opened, chosen.technology, experiment.seed),
        front=front,
        objectives=shared(experiment.objectives, chosen.technology),
        layers=explained.layers,
        peaks=peaks(explained),
        growth=growth(opened),
        crossover=_crossover(chosen.technology),
        swept=swept(experiment),
        infeasible=_infeasible(opened),
        counts={name: int(opened.manifest[name]) for name in ("rows", "skipped", "evaluated", "feasible")}
        | {"front": len(front)},
        provenance=provenance(opened, command),
        constants=explained.constants,
        notes=(*_sampling_notes(opened), *NOTES, *_fit_notes(decision.table)),
    )


def write_report(
    opened: Results, path: str | Path, *, choice: Choice | None = None, command: str = "dse report"
) -> Path:
    """Write the page; all or nothing."""
    return write_page(build_report(opened, choice=choice, command=command), Path(path))


def growth(opened: Results) -> pd.DataFrame:
    """How the search of a sampler went; empty where the whole space was swept."""
    sampling = opened.manifest["sampling"]
    return pd.read_csv(opened.path / sampling["hypervolume"]) if sampling else pd.DataFrame()


def _crossover(name: str) -> pd.DataFrame:
    """Multipliers against xnor-popcount by bits; empty for a technology whose area is not fitted to synthesis."""
    target = technology(name).fit
    return crossover([target]) if target else pd.DataFrame()


def _sampling_notes(opened: Results) -> list[str]:
    sampling = opened.manifest["sampling"]
    if not sampling:
        return []
    return [
        f"Only the designs that the sampler {sampling['sampler']} asked for were looked at ({sampling['budget']:,} of them, seed "
        f"{sampling['seed']}, told the figures of {sampling['technology']}): front and best designs are those of what it saw, and it "
        "proves nothing about the others."
    ]


def _fit_notes(designs: pd.DataFrame) -> list[str]:
    """Which of the compared designs are larger or smaller than any that the area was fitted to."""
    outside = designs.loc[designs["outside_fit"] == 1, "row"].tolist()
    rows = ", ".join(str(row) for row in outside)
    return [f"Area or resources of rows {rows} are extrapolated: the fit has seen no such machine."] if outside else []


def answer(decision: Decision) -> str:
    """One or two sentences: which precision and which array, and against what."""
    wanted = " and ".join(str(item) for item in decision.choice.require)
    if decision.winner is None:
        return f"No precision satisfies {wanted}; the table shows how close each comes."
    best = decision.table[decision.table["winner"]].iloc[0]
    goal = COLUMNS[decision.choice.minimise]
    sentence = (
        f"Encode at {best['precision']} (network {best['network']}) and build {design_words(best)}: "
        f"{goal.label.lower()} {quantity(float(best[goal.name]), goal)}"
    )
    if not np.isnan(best["accuracy"]):
        sentence += f" at {best['accuracy']:.1%} accuracy ({best['accuracy_source']})"
    return f"{sentence}. {_twin_sentence(best)}".strip()


def _twin_sentence(best: pd.Series) -> str:
    ratio = float(best.get("mac_energy_nj", np.nan)) / float(best["energy_nj"])
    if np.isnan(ratio):
        return ""
    verdict = f"{ratio:.2f} times its energy" if ratio >= 1 else f"only {ratio:.2f} of its energy"
    return f"The best array of integer multipliers for the same network needs {verdict} per inference."


def sample(opened: Results, technology: str, seed: int) -> pd.DataFrame:
    """At most SAMPLE_ROWS feasible rows, drawn uniformly and reproducibly."""
    table = opened.table(["row", "technology", "kept"])
    drawn = table["kept"].str.contains("sample") | opened.whole
    rows = table.loc[drawn & (table["technology"] == technology), "row"].to_numpy()
    if len(rows) > SAMPLE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE_ROWS, replace=False))
    return opened.rows(rows.tolist())


def swept(experiment: Experiment) -> pd.DataFrame:
    """The axes and their values; a knob with one value is fixed."""
    rows = []
    for name in experiment.space.__dataclass_fields__:
        values = getattr(experiment.space, name)
        rows.append({"knob": name, "values": ", ".join(_value(name, value) for value in values)})
    return pd.DataFrame(rows)


def peaks(explained: Explanation) -> Mapping[str, float]:
    """The two roofs: binary operations per ns of the grid (2 a branch bit), and bytes per ns of the port."""
    design = explained.evaluation.design
    lanes = design.act_lanes * design.weight_lanes
    operations = 2 * design.rows * design.cols * design.width * lanes * design.clock_mhz / 1000.0
    return {"peak_gops": operations, "memory_gbyte_s": design.port_bits / 8 * design.clock_mhz / 1000.0}


def provenance(opened: Results, command: str) -> pd.DataFrame:
    """Versions, hashes, seed and command."""
    manifest = opened.manifest
    pairs: list[tuple[str, Any]] = [("command", command), ("experiment", manifest["name"]), ("seed", manifest["seed"])]
    pairs += [("experiment SHA-256", manifest["experiment_sha256"])]
    pairs += [(f"{name} version", value) for name, value in manifest["versions"].items()]
    pairs += [(f"network {entry['name']} SHA-256", entry["sha256"]) for entry in manifest["networks"]]
    return pd.DataFrame(pairs, columns=["key", "value"]).astype({"value": str})


def _question(choice: Choice) -> str:
    goal = COLUMNS[choice.minimise]
    wanted = f", given {' and '.join(str(item) for item in choice.require)}" if choice.require else ""
    verb = "raises" if goal.direction == "larger" else "lowers"
    return f"Which activation and weight bits, and which xnor-popcount array in {choice.technology}, {verb} {goal.label.lower()} most{wanted}?"


def _infeasible(opened: Results) -> pd.DataFrame:
    found = sorted(opened.manifest["infeasible"].items(), key=lambda item: -item[1])
    return pd.DataFrame(found, columns=["reason", "count"])


def _value(name: str, value: Any) -> str:
    if value == 0 and name in ("lanes_a", "lanes_w"):
        return "full"
    if value == 0 and name in ("max_act_bits", "max_weight_bits"):
        return "as the network"
    return f"{value:g}" if isinstance(value, float) else str(value)
