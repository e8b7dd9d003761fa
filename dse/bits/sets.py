"""At most so many distinct precisions: every small enough set of (M, K) is solved, and the fronts are joined.

Each solution is counted once. A set U counts c(U) assignments of a vector within U; summed over the sets with the weight
sum over j = 0..n - |U| of (-1)^j binomial(P - |U|, j), P pairs in all and n allowed, every assignment is counted exactly once,
however many sets hold it (inclusion and exclusion).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np

from dse.bits.fronts import Front, Ints, undominated
from dse.bits.problem import Pairs, Problem
from dse.bits.solver import Answer, Budget, Table, solve

MOST_SETS = 3000
"""Sets that are tried; a set of a 20-layer network takes some milliseconds."""


def solve_sets(
    problem: Problem, tables: Sequence[Table], most: int, *, budget: Budget, caps: Sequence[float] | None = None
) -> Answer:
    """As `solve`, with at most `most` distinct (M, K) over all layers. Raises ValueError where there are too many sets to try."""
    forced, free = _pairs(problem)
    room = most - len(forced)
    if room < 0:
        raise ValueError(f"bits.most_precisions: must be at least {len(forced)}, as many as are fixed, not {most}")
    count = sum(comb(len(free), size) for size in range(room + 1))
    if count > MOST_SETS:
        raise ValueError(
            f"bits.most_precisions: {len(free)} pairs of bits make {count:,} sets of at most {room}, and at most {MOST_SETS:,} "
            "can be tried; narrow bits.m or bits.k"
        )
    found = [
        (answer, sum((-1) ** more * comb(len(free) - size, more) for more in range(room - size + 1)))
        for size in range(room + 1)
        for chosen in combinations(free, size)
        for answer in _solved(problem, tables, {*forced, *chosen}, budget, caps)
    ]
    return _joined(problem, [item for item, _ in found], [weight for _, weight in found], tables[0].costs.shape[3])


def _pairs(problem: Problem) -> tuple[Pairs, Pairs]:
    """Pairs that some layer cannot do without, and all others that some layer may have."""
    layers = [step for step in problem.steps if step.pairs]
    forced = dict.fromkeys(step.pairs[0] for step in layers if len(step.pairs) == 1)
    every = dict.fromkeys(pair for step in layers for pair in step.pairs)
    return tuple(forced), tuple(pair for pair in every if pair not in forced)


def _solved(
    problem: Problem,
    tables: Sequence[Table],
    chosen: set[tuple[int, int]],
    budget: Budget,
    caps: Sequence[float] | None,
) -> Iterator[Answer]:
    """The answer with these pairs alone, if there is one."""
    masked = []
    for step, table in zip(problem.steps, tables, strict=True):
        if step.pairs:
            acts = problem.groups[step.reads].values
            mask = np.array([[(m, k) in chosen for k in step.weight_bits] for m in acts])
            table = replace(table, possible=table.possible & mask[:, :, None])
            if not table.possible.any():
                return
        masked.append(table)
    answer = solve(problem, masked, budget=budget, caps=caps)
    if len(answer.ties):
        yield answer


def _joined(problem: Problem, answers: Sequence[Answer], weights: Sequence[int], objectives: int) -> Answer:
    """The front of all answers; the ties of equal vectors are added up with the weights of their sets."""
    if not answers:
        shapes = ((len(problem.groups), 0), (len(problem.steps), 0))
        acts, bits = (np.zeros(shape, np.int64) for shape in shapes)
        return Answer(np.zeros((objectives, 0), np.int64), np.zeros(0, np.int64), acts, bits, 0.0, ())
    values = np.concatenate([answer.values for answer in answers], axis=1)
    front = undominated(Front(values, np.ones(values.shape[1], np.int64), np.arange(values.shape[1])))
    return Answer(
        front.values,
        _counted(values, [(answer.ties, weight) for answer, weight in zip(answers, weights, strict=True)], front),
        np.concatenate([answer.acts for answer in answers], axis=1)[:, front.origin],
        np.concatenate([answer.weights for answer in answers], axis=1)[:, front.origin],
        max(answer.bound for answer in answers),
        (),
    )


def _counted(values: Ints, ties: Sequence[tuple[Ints, int]], front: Front) -> Ints:
    weighted = np.concatenate([count * weight for count, weight in ties])
    place = {tuple(point): index for index, point in enumerate(front.values.T.tolist())}
    found = np.zeros(front.size, np.int64)
    for point, count in zip(values.T.tolist(), weighted.tolist(), strict=True):
        index = place.get(tuple(point))
        if index is not None:
            found[index] += count
    return found
