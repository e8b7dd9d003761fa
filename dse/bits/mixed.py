"""`dse bits`: the exact front over per-layer bits on one design, or jointly over many, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse import pareto
from dse.bits.costs import StepCosts, step_costs
from dse.bits.fronts import Front, undominated
from dse.bits.losses import Losses
from dse.bits.objectives import BUILT, LOSS, SUMS, Goals, scale, totals
from dse.bits.problem import Problem
from dse.bits.question import Question
from dse.bits.sets import solve_sets
from dse.bits.solver import Answer, Budget, Table, solve
from dse.bits.subject import Subject, losses_for, problem_for, widest
from hwmodels.build import Build
from hwmodels.cost import silicon
from hwmodels.design import Design
from hwmodels.mapping import Misfit
from hwmodels.models import check_device, check_memory
from hwmodels.technology import technology
from workloads.network import Network, with_bits

Ints = npt.NDArray[np.int64]


EXACT_SUMS, MANY_POINTS = 2, 20_000


@dataclass(frozen=True, slots=True)
class Mixed:
    """A front over bits.

    table: one row a point, sorted by the first objective: `design` (its place in `designs`), the objectives, all sums, figures
    of the silicon, `ties`. bits: (points, layers, 2) M and K of the layers with products, in network order.
    `bound`: every point of the exact front has one here at most 1 + bound times as large in every objective; 0: this is it.
    """

    network: Network
    layers: tuple[str, ...]
    designs: tuple[Design, ...]
    goals: Goals
    losses: str
    table: pd.DataFrame
    bits: Ints
    bound: float
    assignments: int

    def chosen(self, point: int) -> dict[str, tuple[int, int]]:
        """(M, K) by layer of one point."""
        return {name: (int(m), int(k)) for name, (m, k) in zip(self.layers, self.bits[point], strict=True)}

    def network_of(self, point: int) -> Network:
        """The network at the bits of one point."""
        return with_bits(self.network, self.chosen(point))


def mixed_front(
    subject: Subject, question: Question, goals: Goals, designs: Sequence[Design], *, budget: Budget | None = None
) -> Mixed:
    """The front over all assignments of bits and all designs. Raises ValueError, one line, where nothing is possible."""
    problem = problem_for(subject, question)
    losses = losses_for(subject, question, problem)
    refused = [_refused(problem, goals, design) for design in designs]
    fitting = [design for design, reason in zip(designs, refused, strict=True) if reason is None]
    if not fitting:
        raise ValueError(
            f"bits: at least one of {len(designs)} design(s) must do, but: {'; '.join(dict.fromkeys(filter(None, refused)))}"
        )
    limit = (budget or default_budget(goals)).shared(len(fitting))
    found, reasons = list[_Found](), list[str]()
    for place, design in enumerate(fitting):
        costs = with_losses(problem, step_costs(problem, design), losses)
        answer = _solved(problem, costs, question, goals, design, limit)
        reasons += [reason for step in costs for reason in step.reasons]
        found.append(
            _Found(place, design, _figures(problem, costs, answer, goals, design), _bits(problem, answer), answer.bound)
        )
    if not any(len(item.table) for item in found):
        why = f" ({', '.join(dict.fromkeys(reasons))})" if reasons else ""
        raise ValueError(
            f"bits: no assignment of bits is possible on {len(fitting)} design(s) under {_words(goals)}{why}"
        )
    return _together(subject, problem, goals, losses, fitting, found)


def default_budget(goals: Goals) -> Budget:
    """Exact for two sums; for three, whose fronts grow without end, so many points that a search takes a minute or so."""
    return Budget(points=MANY_POINTS if len(goals.sums) > EXACT_SUMS else None)


def _refused(problem: Problem, goals: Goals, design: Design) -> str | None:
    """Why a design cannot be built, or None. An on-chip memory must hold the network at the most bits that may be chosen."""
    if not goals.built(design):
        return f"{design.name} breaks {_words(goals)}"
    try:
        check_device(design, technology(design.technology))
        check_memory(widest(problem), design)
    except Misfit as misfit:
        return str(misfit)
    return None


def with_losses(problem: Problem, costs: Sequence[StepCosts], losses: Losses) -> tuple[StepCosts, ...]:
    """The costs, and the loss of every choice beside them."""
    return tuple(
        StepCosts(
            {**found.costs, LOSS: _loss(problem, place, losses) + np.zeros(found.possible.shape, np.int64)},
            found.possible,
            found.reasons,
        )
        for place, found in enumerate(costs)
    )


def _loss(problem: Problem, place: int, losses: Losses) -> Ints:
    step = problem.steps[place]
    return (
        losses.whole(step, problem.groups[step.reads].values)[:, :, None]
        if step.pairs
        else np.zeros((1, 1, 1), np.int64)
    )


def _solved(
    problem: Problem, costs: Sequence[StepCosts], question: Question, goals: Goals, design: Design, budget: Budget
) -> Answer:
    """The front of the objectives; a second column of zeros stands in where there is one only."""
    names = goals.sums
    columns = [[found.costs[name] for name in names] for found in costs]
    empty = 2 - min(2, len(names))
    tables = [
        Table(np.stack([*column, *[np.zeros_like(column[0])] * empty], axis=-1), found.possible)
        for column, found in zip(columns, costs, strict=True)
    ]
    caps = (*goals.caps(design), *[float("inf")] * empty)
    if question.most_precisions is None:
        answer = solve(problem, tables, budget=budget, caps=caps)
    else:
        answer = solve_sets(problem, tables, question.most_precisions, budget=budget, caps=caps)
    return answer if goals.judged == len(names) else _judged(answer, goals.judged)


def _judged(answer: Answer, count: int) -> Answer:
    """The front of the first `count` sums alone: the others were only to be capped."""
    values = answer.values[:count] if count > 1 else np.stack([answer.values[0], np.zeros_like(answer.values[0])])
    if not values.shape[1]:
        return answer
    front = undominated(Front(np.ascontiguousarray(values), answer.ties, np.arange(values.shape[1])))
    kept = front.origin
    return Answer(
        answer.values[:, kept], front.ties, answer.acts[:, kept], answer.weights[:, kept], answer.bound, answer.kept
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The front of one design."""

    place: int
    design: Design
    table: pd.DataFrame
    bits: Ints
    bound: float


def _figures(
    problem: Problem, costs: Sequence[StepCosts], answer: Answer, goals: Goals, design: Design
) -> pd.DataFrame:
    places = [_places(problem, index, answer) for index in range(len(problem.steps))]
    whole = {name: totals(costs, places, name) for name in dict.fromkeys(SUMS.values())}
    parts = silicon(Build.of(design), technology(design.technology))
    columns = dict.fromkeys([*goals.objectives, *SUMS, *BUILT])
    table = pd.DataFrame(
        {name: whole[SUMS[name]] * scale(name, design) if name in SUMS else parts[name] for name in columns},
        index=range(len(answer.ties)),
    )
    table["latency_cycles"] = whole["latency"]
    return table.dropna(axis=1, how="all").assign(ties=answer.ties)


def _places(problem: Problem, index: int, answer: Answer) -> list[Ints]:
    """Where the choices of every point stand on the three axes of a step's costs."""
    step, points = problem.steps[index], len(answer.ties)
    reads, written = (
        problem.groups[step.reads].values,
        None if step.writes is None else problem.groups[step.writes].values,
    )
    weights = answer.weights[index] if step.second is None else answer.acts[step.second]
    return [
        np.searchsorted(reads, answer.acts[step.reads]),
        np.searchsorted(step.weight_bits, weights),
        np.zeros(points, np.int64) if written is None else np.searchsorted(written, answer.acts[step.writes or 0]),
    ]


def _bits(problem: Problem, answer: Answer) -> Ints:
    pairs = [
        (answer.acts[step.reads], answer.weights[place] if step.second is None else answer.acts[step.second])
        for place, step in enumerate(problem.steps)
        if step.pairs
    ]
    return np.array(pairs, np.int64).transpose(2, 0, 1)


def _together(
    subject: Subject, problem: Problem, goals: Goals, losses: Losses, designs: Sequence[Design], found: Sequence[_Found]
) -> Mixed:
    """One front of the fronts of all designs."""
    table = pd.concat([item.table.assign(design=item.place) for item in found], ignore_index=True)
    bits = np.concatenate([item.bits for item in found])
    kept = [name for name in goals.objectives if name in table.columns]
    keep = unbeaten(table[kept].to_numpy(np.float64)) if len(found) > 1 else np.ones(len(table), np.bool_)
    order = np.flatnonzero(keep)[np.lexsort(table.loc[keep, kept[::-1]].to_numpy(np.float64).T)]
    columns = [*kept, *(name for name in table.columns if name not in (*kept, "design", "ties")), "design", "ties"]
    layers = tuple(step.layer.name for step in problem.steps if step.pairs)
    return Mixed(
        network=subject.network, layers=layers, designs=tuple(designs), goals=goals, losses=losses.source,
        table=table.loc[order, columns].reset_index(drop=True), bits=bits[order],
        bound=max(item.bound for item in found), assignments=problem.assignments * len(designs),
    )  # fmt: skip


def unbeaten(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows of (points, objectives) no other beats; up to three objectives by rank, which is quick for many points."""
    if not 2 <= values.shape[1] <= 3:
        return pareto.front(values)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T]).astype(np.int64)
    front = undominated(Front(ranks, np.ones(len(values), np.int64), np.arange(len(values))))
    best = {tuple(point) for point in front.values.T.tolist()}
    return np.array([tuple(point) in best for point in ranks.T.tolist()], np.bool_)


def interesting(mixed: Mixed, count: int) -> list[int]:
    """`count` points spread over the front: the ends of every objective, then always the one farthest from those chosen.

    Distances are between logarithms of the objectives, each scaled to the range that it spans.
    """
    names = [name for name in mixed.goals.objectives if name in mixed.table.columns]
    values = np.log(np.maximum(mixed.table[names].to_numpy(np.float64), 1e-12))
    span = values.max(axis=0) - values.min(axis=0)
    values = (values - values.min(axis=0)) / np.where(span > 0, span, 1)
    chosen = list(dict.fromkeys(int(place) for place in values.argmin(axis=0)))[:count]
    distance = np.min([np.abs(values - values[place]).max(axis=1) for place in chosen], axis=0)
    while len(chosen) < min(count, len(values)) and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(values - values[chosen[-1]]).max(axis=1))
    return sorted(chosen)


def _words(goals: Goals) -> str:
    return " and ".join(map(str, goals.constraints)) or "no constraint"
