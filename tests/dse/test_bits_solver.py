"""Mixed precision against brute force: every assignment that `with_bits` accepts, priced layer by layer, ties counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from random import Random

import numpy as np
import pytest

from dse.bits import fronts
from dse.bits.costs import step_costs
from dse.bits.problem import Pairs, Problem, Step, problem_of
from dse.bits.solver import Answer, Budget, Table, solve
from hwmodels.build import Build
from hwmodels.cost import price
from hwmodels.design import Design
from hwmodels.mapping import Misfit
from hwmodels.models import MODELS, evaluate
from hwmodels.technology import technology
from workloads.layers import Add, Concat, Conv, Dense, Flatten, Host, Layer, MatMul, Pool
from workloads.network import Input, Network, Node, with_bits

DESIGN = Design(rows=4, cols=2, width=8, lanes_a=2, lanes_w=1, weight_depth=512, act_depth=512, out_depth=512)
SMALL = Design(rows=4, cols=2, width=8, max_act_bits=6, weight_depth=64, act_depth=64, out_depth=64, threshold_depth=8)
SHAPES = ("chain", "residual", "diamond", "pooled", "averaged", "twice", "attention", "joined")
Vector = tuple[int, ...]
Loss = dict[tuple[str, int, int], int]


def conv(name: str, source: str, channels: tuple[int, int] = (4, 4), *, first: bool = False, raw: bool = False) -> Node:
    layer = Conv(
        name=name, in_shape=(channels[0], 4, 3), out_channels=channels[1], kernel=(1, 1), act_bits=3 if first else 2,
        weight_bits=1, out_bits=None if raw else 2, from_host=first,
    )  # fmt: skip
    return Node(layer, (source,))


def add(name: str, *sources: str, raw: bool = False) -> Node:
    return Node(Add(name=name, in_shape=(4, 4, 3), act_bits=2, out_bits=None if raw else 2), sources)


def tokens(name: str, source: str, features: tuple[int, int] = (3, 4), *, raw: bool = False) -> Node:
    first = source == "x"
    layer = Dense(
        name=name, in_shape=(features[0], 1, 1), out_channels=features[1], act_bits=3 if first else 2, weight_bits=1,
        out_bits=None if raw else 2, positions=3, from_host=first,
    )  # fmt: skip
    return Node(layer, (source,))


def product_of(name: str, first: str, second: str) -> Node:
    layer = MatMul(
        name=name,
        in_shape=(4, 1, 3),
        other_shape=(4, 1, 3),
        heads=1,
        over="channels",
        act_bits=2,
        weight_bits=2,
        out_bits=2,
    )
    return Node(layer, (first, second))


def network(shape: str) -> Network:
    """Small networks with what couples layers: one map read twice, maps that are added, pools between, a raw end."""
    first = conv("a", "x", (3, 4), first=True)
    pool = Pool(name="pool", kind="average", in_shape=(4, 4, 3), kernel=(2, 3), act_bits=2, out_bits=2)
    peak = Pool(name="peak", kind="max", in_shape=(4, 4, 3), kernel=(2, 2), act_bits=2, out_bits=2)
    flat = Flatten(name="flat", in_shape=(4, 3, 2), act_bits=2)
    joined = Concat(name="join", in_shape=(8, 4, 3), parts=(4, 4), act_bits=2)
    host = Host(name="soft", function="softmax", in_shape=(8, 4, 3), out_shape=(8, 4, 3), act_bits=2, out_bits=2)
    head = Dense(name="head", in_shape=(4, 3, 2), out_channels=5, act_bits=2, weight_bits=1, out_bits=None)
    mean = Dense(name="mean", in_shape=(4, 3, 1), out_channels=5, act_bits=2, weight_bits=1, out_bits=None)
    nodes = {
        "chain": [first, conv("b", "a"), conv("c", "b"), conv("d", "c", raw=True)],
        "residual": [first, conv("b", "a"), conv("c", "b"), add("sum", "c", "a"), conv("d", "sum", raw=True)],
        "diamond": [first, conv("b", "a"), conv("c", "a"), add("sum", "b", "c"), conv("d", "sum"), Node(peak, ("d",))],
        "pooled": [first, Node(peak, ("a",)), Node(flat, ("peak",)), Node(head, ("flat",))],
        "averaged": [first, Node(pool, ("a",)), Node(mean, ("pool",))],
        "attention": [
            tokens("q", "x"),
            tokens("k", "x"),
            product_of("scores", "q", "k"),
            tokens("out", "scores", (3, 2), raw=True),
        ],
        "joined": [
            first,
            conv("b", "a"),
            Node(joined, ("a", "b")),
            Node(host, ("join",)),
            conv("d", "soft", (8, 4), raw=True),
        ],
        "twice": [first, add("sum", "a", "a"), conv("b", "sum"), add("end", "b", "sum", raw=True)],
    }[shape]
    size = (3, 1, 3) if shape == "attention" else (3, 4, 3)
    return Network(shape, Input(name="x", shape=size, bits=3), tuple(nodes))


def allowed(net: Network, rng: Random, count: int) -> dict[str, Pairs]:
    """Some M and some K for every layer; sometimes a pair is missing."""
    found = {}
    acts = sorted({2, *rng.sample(range(1, 9), count)})
    for layer in net.contractions:
        weights = acts if isinstance(layer, MatMul) else sorted(rng.sample(range(1, 9), count))
        pairs = [(m, k) for m in ([3] if getattr(layer, "from_host", False) else acts) for k in weights]
        if rng.random() < 0.5 and len(pairs) > 2:
            pairs.remove(rng.choice(pairs))
        found[layer.name] = tuple(pairs)
    return found


def losses(net: Network, rng: Random, spread: int) -> Loss:
    """Falling with the bits, coarse enough for many ties."""
    return {
        (layer.name, m, k): (rng.randint(0, spread) + 8 * spread // (m * k)) // 2
        for layer in net.contractions
        for m in range(1, 9)
        for k in range(1, 9)
    }


@cache
def priced(layer: Layer, design: Design) -> tuple[int, int] | None:
    """Cycles and whole femtojoules of one layer by the scalar closed form; None where it does not fit."""
    try:
        found = MODELS["analytical"](layer, design)
    except Misfit:
        return None
    if found is None:
        return 0, 0
    cost = price(found.activity, Build.of(design), technology(design.technology))
    return int(cost.latency_cycles), round(cost.energy_nj * 1e6)


def assignments(net: Network, pairs: dict[str, Pairs]) -> Iterator[tuple[dict[str, tuple[int, int]], Network]]:
    """Every assignment that with_bits accepts and that keeps the bits of the input."""
    names = [layer.name for layer in net.contractions]
    for chosen in product(*(pairs[name] for name in names)):
        bits = dict(zip(names, chosen, strict=True))
        try:
            made = with_bits(net, bits)
        except ValueError:
            continue
        if made.input == net.input:
            yield bits, made


def total(made: Network, design: Design, loss: Loss) -> tuple[int, int, int] | None:
    parts = [priced(layer, design) for layer in made.layers]
    if any(part is None for part in parts):
        return None
    lost = sum(loss[layer.name, layer.act_bits, layer.weight_bits] for layer in made.contractions)
    return sum(part[0] for part in parts if part), sum(part[1] for part in parts if part), lost


def brute(
    net: Network, pairs: dict[str, Pairs], design: Design, loss: Loss, objectives: Sequence[int]
) -> Counter[Vector]:
    """The front of all assignments, with the number of assignments of each vector."""
    found: Counter[Vector] = Counter()
    for _, made in assignments(net, pairs):
        values = total(made, design, loss)
        if values is not None:
            found[tuple(values[index] for index in objectives)] += 1
    every = np.array(list(found), np.int64).reshape(len(found), len(objectives))
    return Counter({one: count for one, count in found.items() if not dominated(np.array(one), every)})


def dominated(one: np.ndarray, every: np.ndarray) -> bool:
    return bool(((every <= one).all(axis=1) & (every != one).any(axis=1)).any())


def tables(problem: Problem, design: Design, loss: Loss, objectives: Sequence[int]) -> list[Table]:
    made = []
    for step, costs in zip(problem.steps, step_costs(problem, design), strict=True):
        lost = np.zeros(costs.possible.shape, np.int64)
        if step.pairs:
            for i, m in enumerate(problem.groups[step.reads].values):
                for j, k in enumerate(step.weight_bits):
                    lost[i, j] = loss[step.layer.name, m, k]
        columns = (costs.costs["latency"], costs.costs["energy"], lost)
        made.append(Table(np.stack([columns[index] for index in objectives], axis=-1), costs.possible))
    return made


def counted(answer: Answer) -> Counter[Vector]:
    return Counter(dict(zip(map(tuple, answer.values.T.tolist()), answer.ties.tolist(), strict=True)))


def bits_of(problem: Problem, answer: Answer, point: int) -> dict[str, tuple[int, int]]:
    return {
        step.layer.name: (int(answer.acts[step.reads, point]), int(second_bits(answer, step, place, point)))
        for place, step in enumerate(problem.steps)
        if step.pairs
    }


def second_bits(answer: Answer, step: Step, place: int, point: int) -> int:
    return int(answer.weights[place, point] if step.second is None else answer.acts[step.second, point])


@pytest.mark.parametrize("objectives", [(0, 2), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_front_is_that_of_all_assignments(shape: str, objectives: tuple[int, ...]) -> None:
    net, rng, feasible = network(shape), Random(f"{shape}{objectives}"), 0
    for seed in range(3):
        few = 2 if len(net.contractions) > 3 else 3
        pairs, design = allowed(net, rng, few), SMALL if seed % 2 else DESIGN
        loss = losses(net, rng, rng.choice((1, 3, 1000)))
        wanted = brute(net, pairs, design, loss, objectives)
        try:
            problem = problem_of(net, pairs)
        except ValueError:
            assert not list(assignments(net, pairs))
            continue
        answer = solve(problem, tables(problem, design, loss, objectives))
        assert counted(answer) == wanted
        assert answer.bound == 0
        feasible += len(wanted)
        for point in range(len(answer.ties)):
            values = total(with_bits(net, bits_of(problem, answer, point)), design, loss)
            assert values is not None
            assert tuple(values[index] for index in objectives) == tuple(answer.values[:, point].tolist())
    assert feasible >= 2


def test_numpy_alone_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"merge": fronts.merge, "beaten": fronts.beaten, "scan": fronts.scan, "beaten3": fronts.beaten_of_three}
    monkeypatch.setattr(fronts, "_kernels", lambda: {**plain, "compiled": False})
    for objectives in ((0, 2), (0, 1, 2)):
        test_the_front_is_that_of_all_assignments("residual", objectives)


def test_the_sum_over_layers_is_the_price_of_the_network() -> None:
    net, rng = network("residual"), Random(5)
    pairs = allowed(net, rng, 3)
    for _, made in list(assignments(net, pairs))[::40]:
        values, whole = total(made, DESIGN, losses(net, rng, 3)), evaluate(made, DESIGN).cost
        assert values is not None
        assert values[0] == whole.latency_cycles
        assert abs(values[1] - whole.energy_nj * 1e6) <= len(made.layers) / 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("objectives", [(0, 2), (0, 1, 2)], ids=str)
def test_a_bound_is_kept(shape: str, objectives: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dse.bits.solver.FEW", 1)
    net, rng = network(shape), Random(shape)
    pairs, loss = allowed(net, rng, 2 if len(net.contractions) > 3 else 3), losses(net, rng, 1000)
    wanted = brute(net, pairs, DESIGN, loss, objectives)
    problem = problem_of(net, pairs)
    made = tables(problem, DESIGN, loss, objectives)
    for budget in (Budget(bound=0.3), Budget(bound=0.02), Budget(points=4), Budget(seconds=1e-9)):
        answer = solve(problem, made, budget=budget)
        factor = 1 + answer.bound
        assert budget.bound == 0 or answer.bound <= budget.bound * (1 + 1e-9)
        for point in wanted:
            assert (answer.values <= factor * np.array(point)[:, None] + 1e-6).all(axis=0).any()
        for point in counted(answer):
            assert not dominated(np.array(point), answer.values.T)


def test_caps_leave_the_front_of_what_is_left() -> None:
    net, rng = network("residual"), Random(2)
    pairs, loss = allowed(net, rng, 3), losses(net, rng, 1000)
    problem = problem_of(net, pairs)
    made, whole = tables(problem, DESIGN, loss, (0, 2)), brute(net, pairs, DESIGN, loss, (0, 2))
    cap = sorted(whole)[len(whole) // 2][0]
    capped = solve(problem, made, caps=(cap + 0.5, float("inf")))
    assert counted(capped) == Counter({point: count for point, count in whole.items() if point[0] <= cap})
    assert solve(problem, made, caps=(1.0, float("inf"))).values.shape == (2, 0)


def test_readers_of_one_map_must_have_an_m_in_common() -> None:
    net = network("diamond")
    pairs: dict[str, Pairs] = {"a": ((3, 1),), "b": ((1, 1),), "c": ((2, 1),), "d": ((2, 1),)}
    with pytest.raises(ValueError, match="'diamond': b, c share one M, but no M is allowed to all of them"):
        problem_of(net, pairs)
