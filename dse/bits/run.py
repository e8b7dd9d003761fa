"""`dse bits` from its words: read the experiment, find the designs, choose, verify, write."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dse.bits.mixed import Mixed, interesting, mixed_front
from dse.bits.objectives import BUILT, LOSS, SUMS, Goals
from dse.bits.question import question_of
from dse.bits.solver import Budget
from dse.bits.subject import problem_for, subject_of, widest
from dse.bits.verify import Verified, verify
from dse.compare import swept_technology
from dse.design_file import load_design
from dse.experiment import Experiment, load
from dse.explanation import design_of, experiment_of
from dse.front import front_rows
from dse.results import open_results
from dse.space import blocks, design
from hwmodels.design import Design
from reports.bits_page import write_bits_page
from workloads.network import Network

MOST_DESIGNS = 256
FRONT, PAGE = "front.csv", "front.html"


@dataclass(frozen=True, slots=True)
class Done:
    """The front, the points to look at, and what was measured of them."""

    mixed: Mixed
    shown: tuple[int, ...]
    verified: Verified | None

    @property
    def view(self) -> pd.DataFrame:
        """The points to look at: figures, measurements, and the bits of all layers as one text."""
        mixed = self.mixed
        table = mixed.table.loc[list(self.shown)].copy()
        table.insert(0, "point", self.shown)
        if self.verified is not None:
            columns = [name for name in self.verified.points.columns if name not in (LOSS, "accuracy_source")]
            table = table.merge(self.verified.points[columns], on="point", how="left")
        table["layer_bits"] = [" ".join(f"{m}x{k}" for m, k in mixed.bits[point]) for point in self.shown]
        named = mixed.goals.objectives
        same = [name for name in (*BUILT, "design", "ties") if name in table and table[name].nunique() == 1]
        hidden = [name for name in ("latency_cycles", "latency_us", *same) if name not in named]
        return table.drop(columns=[name for name in hidden if name in table])

    @property
    def summary(self) -> dict[str, Any]:
        """What was searched and how far the answer can be trusted, as plain values."""
        mixed, found = self.mixed, self.verified
        return {
            "network": mixed.network.name,
            "layers": list(mixed.layers),
            "designs": [item.name for item in mixed.designs],
            "objectives": list(mixed.goals.objectives),
            "loss": mixed.losses,
            "assignments": mixed.assignments,
            "front": len(mixed.table),
            "bound": mixed.bound,
            "rank_correlation": None if found is None or np.isnan(found.agreement) else found.agreement,
        }

    @property
    def words(self) -> list[str]:
        """The same in sentences."""
        mixed, found = self.mixed, self.verified
        exact = "the exact front" if mixed.bound == 0 else f"a front within {mixed.bound:.2%} of the exact one"
        many = f"{mixed.assignments:,}" if mixed.assignments < 1e9 else f"10^{math.log10(mixed.assignments):.0f}"
        lines = [
            f"{len(mixed.table):,} points, {exact}, of {many} assignments of bits to {len(mixed.layers)} layers of "
            f"{mixed.network.name} on {len(mixed.designs)} design{'s' if len(mixed.designs) > 1 else ''}",
            f"bits: {' '.join(mixed.layers)}",
            f"loss: {mixed.losses}",
        ]
        if found is not None:
            rank = "unknown" if np.isnan(found.agreement) else f"{found.agreement:.2f}"
            best = "" if np.isnan(found.best) else f"; accuracy at 8 bits everywhere {found.best:.4f}"
            lines.append(
                f"{len(found.points)} points run on the executor: rank correlation of predicted and measured {rank}{best}"
            )
        return lines


def choose_bits(
    path: Path,
    *,
    designs: Sequence[str] = (),
    front: Path | None = None,
    objectives: Sequence[str] = (),
    budget: Budget | None = None,
    show: int = 10,
    verified: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Done:
    """The front over the bits of an experiment's network, on designs as given, on those of a front, or on all of its space.

    `show` points are picked from it, and `verified` of them run. Raises ValueError, one line, for anything that does not fit.
    """
    experiment = load(path)
    question = question_of(experiment, path.parent)
    subject = subject_of(experiment, question)
    found = _designs(experiment, widest(problem_for(subject, question)), designs, front)
    goals = Goals(_objectives(experiment, objectives), experiment.constraints)
    mixed = mixed_front(subject, question, goals, found, budget=budget)
    shown = tuple(interesting(mixed, max(show, verified)))
    checked = verify(mixed, subject, interesting(mixed, verified), progress) if verified else None
    return Done(
        mixed, shown if checked is None else tuple(sorted({*shown, *checked.points["point"].tolist()})), checked
    )


def write_bits(done: Done, folder: Path) -> list[Path]:
    """front.csv with all points, point-N.csv for each shown one as `dse encode --bits` reads it, front.html.

    Raises ValueError where the folder cannot be written.
    """
    mixed = done.mixed
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget(folder)
        written = [_write(full_table(done), folder / FRONT)]
        for point in done.shown:
            rows = [(name, m, k) for name, (m, k) in mixed.chosen(point).items()]
            table = pd.DataFrame([("*", *rows[-1][1:]), *rows], columns=["layer", "m", "k"])
            written.append(_write(table, folder / f"point-{point}.csv"))
        written.append(_page(done, folder / PAGE))
    except OSError as error:
        raise ValueError(f"{folder}: the output folder must be writable, but {error.strerror or error}") from error
    return written


def _forget(folder: Path) -> None:
    """Points of an earlier front in the same folder would be read as points of this one."""
    for path in folder.glob("point-*.csv") if (folder / FRONT).exists() else ():
        path.unlink()


def full_table(done: Done) -> pd.DataFrame:
    """All points: number, design in words, figures, ties, measurements, and `MxK` of every layer in a column of its name."""
    mixed = done.mixed
    table = mixed.table.assign(design=[mixed.designs[place].name for place in mixed.table["design"]])
    table.insert(0, "point", range(len(table)))
    if done.verified is not None:
        table = table.merge(done.verified.points.drop(columns=LOSS), on="point", how="left")
    layers = {name: [f"{m}x{k}" for m, k in mixed.bits[:, place]] for place, name in enumerate(mixed.layers)}
    return pd.concat([table, pd.DataFrame(layers, index=table.index)], axis=1)


def _page(done: Done, path: Path) -> Path:
    mixed = done.mixed
    cost = next(name for name in mixed.goals.objectives if name in SUMS and name != LOSS)
    title = f"Bits for the layers of {mixed.network.name}"
    write_bits_page(full_table(done), list(done.shown), cost, list(mixed.layers), title, path)
    return path


def _write(table: pd.DataFrame, path: Path) -> Path:
    temporary = path.with_name(f".{path.name}.tmp")
    table.to_csv(temporary, index=False)
    temporary.replace(path)
    return path


def _objectives(experiment: Experiment, wanted: Sequence[str]) -> tuple[str, ...]:
    """As asked for, or those of the experiment that bits can be judged by; the loss always belongs to them."""
    known = (*SUMS, *BUILT)
    named = tuple(wanted) or tuple(name for name in experiment.objectives if name in known)
    return tuple(dict.fromkeys((*named, LOSS)))


def _designs(experiment: Experiment, network: Network, given: Sequence[str], front: Path | None) -> list[Design]:
    if given and front is not None:
        raise ValueError("bits: --design and --front must not be given together")
    if given:
        return [load_design(text) for text in given]
    return _of_front(front) if front is not None else _of_space(experiment, network)


def _of_front(folder: Path) -> list[Design]:
    """Every machine on the front of a swept experiment, once, as wide as it was built."""
    opened = open_results(folder)
    experiment = experiment_of(opened)
    rows = front_rows(opened, experiment.objectives, technology=swept_technology(experiment, None))
    return list(dict.fromkeys(design_of(opened, int(row))[1] for row in rows["row"]))


def _of_space(experiment: Experiment, network: Network) -> list[Design]:
    """Every machine of the space that can be built, for the widest bits that may be chosen."""
    every = blocks(experiment.space, [network])
    total = every[-1].first_row + every[-1].rows
    if total > MOST_DESIGNS:
        raise ValueError(
            f"space: must hold at most {MOST_DESIGNS} designs to choose bits on, not {total:,}; narrow it, name one with "
            "--design, or sweep it and give --front RESULTS"
        )
    found = []
    for row in range(total):
        try:
            found.append(design(every, row)[1])
        except ValueError:
            continue
    if not found:
        raise ValueError("space: must hold a design that can be built, but none of them can")
    return found
