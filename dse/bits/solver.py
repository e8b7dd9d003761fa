"""The exact front over all choices: dynamic programming over the graph, one front for every set of M that still matter.

    F[t + 1][s'] = front of the union over s, K of  F[t][s] + cost[t][M read, K, M written]

where a state s holds the M of every group that some layer ahead still reads or writes. Costs add up, so what is dominated in
one state stays dominated whatever comes: no point of the final front is lost, and ways to reach it are counted (Bellman 1957).

Two states are compared as well. Whoever goes on from s with M of one group could have had M' there and go on alike, for at most
`switch` more: the sum over the layers ahead of the largest difference of their costs. What that beats is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from dse.bits.fronts import Front, Ints, Shifted, start, undominated, union, without_beaten
from dse.bits.problem import Problem, Step

State = tuple[int, ...]
"""The place of the M of every live group among its values."""
NEVER = np.iinfo(np.int64).max // 4
"""A cost that no sum of costs reaches: what cannot be."""


@dataclass(frozen=True, slots=True)
class Table:
    """Costs of a step: (values of M read, values of K, values of M written, objectives) int64, and which of them are possible."""

    costs: Ints
    possible: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When to stop being exact: `bound` is guaranteed, `points` and `seconds` make the bound as large as they must.

    bound 0.1: every point of the exact front has one in the answer that is at most 10 % larger in every objective.
    """

    bound: float = 0.0
    points: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.bound) and self.bound >= 0):
            raise ValueError(f"bits: bound must be a number >= 0, not {self.bound}")
        if self.points is not None and self.points < 1:
            raise ValueError(f"bits: points must be at least 1, not {self.points}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"bits: seconds must be more than 0, not {self.seconds}")

    def shared(self, count: int) -> Budget:
        """The same for each of `count` searches: they share points and time."""
        points = None if self.points is None else max(1, self.points // count)
        return replace(self, points=points, seconds=None if self.seconds is None else self.seconds / count)


@dataclass(frozen=True, slots=True)
class Answer:
    """values (objectives, points), the number of assignments that reach each, and one of them.

    acts (groups, points): M of each group; weights (steps, points): K of each step, 0 where there is none. `bound`: every
    point of the exact front has one here at most 1 + bound times as large in every objective; 0 where this is the exact front.
    """

    values: Ints
    ties: Ints
    acts: Ints
    weights: Ints
    bound: float
    kept: tuple[int, ...]
    """Points over all states after every step."""


def solve(
    problem: Problem, tables: Sequence[Table], *, budget: Budget | None = None, caps: Sequence[float] | None = None
) -> Answer:
    """The front of the sums of costs. `caps`: the most that each objective may be. An answer without points: nothing is possible."""
    plan = list(_plan(problem, tables))
    lowers, switches = _lowers(plan), _switches(problem, tables)
    allowance, limit = _Allowance(budget or Budget(), len(plan)), _limits(caps, tables)
    objectives = tables[0].costs.shape[3]
    fronts: list[Front] = [start(objectives) for _ in plan[0].before]
    trail, kept = list[list[Ints]](), list[int]()
    for place, move in enumerate(plan):
        fronts = _advance(move, fronts, lowers[place + 1], limit, allowance)
        fronts = _compared(move, fronts, switches[place + 1])
        trail.append([front.origin for front in fronts])
        kept.append(sum(front.size for front in fronts))
    final = (
        undominated(fronts[0]) if fronts and fronts[0].size else Front(np.zeros((objectives, 0), np.int64), *_none())
    )
    acts, weights = _traced(problem, plan, trail, final)
    return Answer(final.values, final.ties, acts, weights, allowance.used - 1, tuple(kept))


def _none() -> tuple[Ints, Ints]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Arrow:
    """From one state to another: the options of K, dominated ones left out, equal ones joined."""

    source: int
    target: int
    options: Front
    """`origin` is the place of K."""


@dataclass(frozen=True, slots=True)
class _Move:
    """One step: the live groups and the states before and after it, and the arrows between them."""

    step: Step
    live: tuple[int, ...]
    before: tuple[State, ...]
    after: tuple[State, ...]
    next_live: tuple[int, ...]
    arrows: tuple[_Arrow, ...]


def _plan(problem: Problem, tables: Sequence[Table]) -> Iterator[_Move]:
    last = _last_use(problem)
    live: tuple[int, ...] = (problem.source,)
    states: tuple[State, ...] = tuple((place,) for place in range(len(problem.groups[problem.source].values)))
    for place, (step, table) in enumerate(zip(problem.steps, tables, strict=True)):
        every = live if step.writes is None or step.writes in live else (*live, step.writes)
        next_live = tuple(group for group in every if last[group] > place)
        targets: dict[State, int] = {}
        arrows = [
            _Arrow(source, targets.setdefault(target, len(targets)), options)
            for source, target, options in _arrows(problem, step, table, live, states, every, next_live)
        ]
        yield _Move(step, live, states, tuple(targets), next_live, tuple(arrows))
        live, states = next_live, tuple(targets)


def _last_use(problem: Problem) -> dict[int, int]:
    last = dict.fromkeys(range(len(problem.groups)), -1)
    for place, step in enumerate(problem.steps):
        for group in step.roles:
            if group is not None:
                last[group] = place
    return last


def _arrows(
    problem: Problem, step: Step, table: Table, live: tuple[int, ...], states: tuple[State, ...],
    every: tuple[int, ...], next_live: tuple[int, ...],
) -> Iterator[tuple[int, State, Front]]:  # fmt: skip
    """(source, target, options) of every possible pair of states."""
    fresh = len(every) > len(live)
    choices = range(len(problem.groups[every[-1]].values)) if fresh else (None,)
    known: dict[tuple[int, ...], Front | None] = {}
    for source, state in enumerate(states):
        for choice in choices:
            values = dict(zip(every, state if choice is None else (*state, choice), strict=True))
            key = tuple(-1 if group is None else values[group] for group in step.roles)
            if key not in known:
                known[key] = _options(table, *key)
            options = known[key]
            if options is not None:
                yield source, tuple(values[group] for group in next_live), options


def _options(table: Table, read: int, second: int, written: int) -> Front | None:
    """The K of one M read and one written that no other K beats; only the one of the second group where there is one."""
    possible = np.flatnonzero(table.possible[read, :, max(written, 0)])
    if second >= 0:
        possible = possible[possible == second]
    if not len(possible):
        return None
    values = np.ascontiguousarray(table.costs[read, possible, max(written, 0)].T)
    return undominated(Front(values, np.ones(len(possible), np.int64), possible))


def _lowers(plan: Sequence[_Move]) -> list[Ints]:
    """For every step and state the least that each objective has still to come; NEVER where there is no way on."""
    objectives = plan[0].arrows[0].options.values.shape[0] if plan[0].arrows else 1
    lowers = [np.zeros((len(plan[-1].after), objectives), np.int64)]
    for move in reversed(plan):
        found = np.full((len(move.before), objectives), NEVER, np.int64)
        for arrow in move.arrows:
            ahead = np.minimum(arrow.options.values.min(axis=1) + lowers[-1][arrow.target], NEVER)
            found[arrow.source] = np.minimum(found[arrow.source], ahead)
        lowers.append(found)
    return lowers[::-1]


def _switches(problem: Problem, tables: Sequence[Table]) -> list[dict[int, Ints]]:
    """For every step and group: (M, M', objectives) what going on with M' costs more than with M at most; NEVER if it may not."""
    objectives = tables[0].costs.shape[3]
    ahead = {
        group: np.zeros((len(item.values), len(item.values), objectives), np.int64)
        for group, item in enumerate(problem.groups)
    }
    found = [dict(ahead)]
    for step, table in zip(reversed(problem.steps), reversed(tables), strict=True):
        for group in {group for group in step.roles if group is not None}:
            ahead[group] = np.minimum(ahead[group] + _dearest(step, table, group), NEVER)
        found.append(dict(ahead))
    return found[::-1]


def _dearest(step: Step, table: Table, group: int) -> Ints:
    """(M, M', objectives): the largest of cost(M') - cost(M) over everything else that the layer depends on."""
    values = next(size for size, role in zip(table.possible.shape, step.roles, strict=True) if role == group)
    at = [tuple(value if role == group else slice(None) for role in step.roles) for value in range(values)]
    found = np.zeros((values, values, table.costs.shape[3]), np.int64)
    for old, new in product(range(values), repeat=2):
        where = np.asarray(table.possible[at[old]])
        if where.any():
            more = table.costs[at[new]][where] - table.costs[at[old]][where]
            found[old, new] = more.max(axis=0) if table.possible[at[new]][where].all() else NEVER
    return found


class _Allowance:
    """How much of the bound is spent, and the factor that the next step may spend."""

    def __init__(self, budget: Budget, steps: int) -> None:
        self._budget, self._left = budget, steps
        self._began = time.monotonic()
        self._done = 0
        self.used = 1.0

    def factor(self, points: int) -> float:
        """The guaranteed bound is shared out among the steps that have many points to lose."""
        self._done += points
        share = ((1 + self._budget.bound) / self.used) ** (1 / max(1, self._left))
        self._left -= 1
        if points < FEW:
            return 1.0
        return share if share > 1 else 1.0

    def most(self, growth: float) -> int | None:
        """Points that may be kept now, so that the number and the time stay in the budget."""
        most = self._budget.points
        if self._budget.seconds is not None:
            spent = max(1e-3, time.monotonic() - self._began)
            left = max(0.0, self._budget.seconds - spent) / max(1, self._left)
            quick = max(1, int(self._done / spent * left / max(1.0, growth)))
            most = quick if most is None else min(most, quick)
        return most


FEW = 2000
"""Points that are not worth thinning."""
FINEST = 1e-6
"""The least factor above 1 that is tried where the number of points is limited."""


def _advance(move: _Move, fronts: Sequence[Front], lower: Ints, limit: Ints, allowance: _Allowance) -> list[Front]:
    """The fronts of the states after a step."""
    parts: list[list[Shifted]] = [[] for _ in move.after]
    for arrow in move.arrows:
        front = fronts[arrow.source]
        if not front.size or lower[arrow.target][0] >= NEVER:
            continue
        for values, times, place in zip(
            arrow.options.values.T, arrow.options.ties.tolist(), arrow.options.origin.tolist(), strict=True
        ):
            parts[arrow.target].append(Shifted(front, values, times, (arrow.source << 40) | (place << 32)))
    sources = sum(part.front.size for group in parts for part in group)
    factor = allowance.factor(sources)
    found = [
        _capped(union(group, lower=rest, factor=factor), rest, limit) if group else _empty(fronts)
        for group, rest in zip(parts, lower, strict=True)
    ]
    allowance.used *= factor
    most = allowance.most(sources / max(1, sum(front.size for front in fronts)))
    if most is not None and sum(front.size for front in found) > most:
        found, factor = _shrunk(found, lower, most)
        allowance.used *= factor
    return found


def _empty(fronts: Sequence[Front]) -> Front:
    return Front(np.zeros((fronts[0].values.shape[0], 0), np.int64), *_none())


def _capped(front: Front, lower: Ints, limit: Ints) -> Front:
    """The points that can still end within the caps."""
    keep = (front.values + lower[:, None] <= limit[:, None]).all(axis=0)
    return front if keep.all() else front.take(keep)


def _shrunk(fronts: Sequence[Front], lower: Ints, most: int) -> tuple[list[Front], float]:
    """At most about `most` points over all fronts, by the least power of two of FINEST that is enough."""
    step = FINEST
    while True:
        found = [
            union([Shifted(front, np.zeros_like(rest), 1, 0)], lower=rest, factor=1 + step) if front.size else front
            for front, rest in zip(fronts, lower, strict=True)
        ]
        found = [_with_origin(thin, front) for thin, front in zip(found, fronts, strict=True)]
        if sum(front.size for front in found) <= max(most, len(found)) or step > 1e3:
            return found, 1 + step
        step *= 2


def _with_origin(thin: Front, whole: Front) -> Front:
    """A thinned front whose origins are places in the whole one, with the origins of those places."""
    return Front(thin.values, thin.ties, whole.origin[thin.origin]) if thin.size and thin is not whole else thin


def _compared(move: _Move, fronts: Sequence[Front], switches: dict[int, Ints]) -> list[Front]:
    """The fronts without points that another state, with the M of one group switched, beats."""
    found = list(fronts)
    place_of = {state: index for index, state in enumerate(move.after)}
    for index, state in enumerate(move.after):
        others = []
        for position, group in enumerate(move.next_live):
            for value, cost in enumerate(switches[group][state[position]]):
                other = place_of.get((*state[:position], value, *state[position + 1 :]))
                if other not in (None, index) and cost[0] < NEVER:
                    others.append((found[other], cost))
        if others and found[index].size:
            found[index] = without_beaten(found[index], others)
    return found


def _limits(caps: Sequence[float] | None, tables: Sequence[Table]) -> Ints:
    objectives = tables[0].costs.shape[3]
    if caps is None:
        return np.full(objectives, NEVER - 1, np.int64)
    return np.array([NEVER - 1 if np.isinf(cap) else int(np.floor(cap)) for cap in caps], np.int64)


def _traced(
    problem: Problem, plan: Sequence[_Move], trail: Sequence[Sequence[Ints]], final: Front
) -> tuple[Ints, Ints]:
    """M of each group and K of each step, for every final point, by following the origins back."""
    acts = np.zeros((len(problem.groups), final.size), np.int64)
    weights = np.zeros((len(problem.steps), final.size), np.int64)
    codes = final.origin
    for place in range(len(plan) - 1, -1, -1) if final.size else ():
        move = plan[place]
        source, option, index = codes >> 40, (codes >> 32) & 0xFF, codes & 0xFFFFFFFF
        weights[place] = np.array(move.step.weight_bits, np.int64)[option] * (move.step.second is None)
        before = np.array(move.before, np.int64)
        for position, group in enumerate(move.live):
            acts[group] = np.array(problem.groups[group].values, np.int64)[before[source, position]]
        if place:
            sizes = [len(origins) for origins in trail[place - 1]]
            begin = np.concatenate([[0], np.cumsum(sizes)])
            codes = np.concatenate(trail[place - 1])[begin[source] + index]
    return acts, weights
