"""Mixed precision per layer: seconds for exact and bounded fronts, one process, and how tight a bound really is.

Seconds are processor time of the one process. Costs come from the closed form, integers throughout; the loss is a random but
falling table, as measured ones are. Compiling the kernels (once a machine) is not counted. Targets: 20 layers, 2 objectives,
exact: 2 s; ResNet-50, 2 objectives, exact: 30 s; 3 objectives within 10 %: 60 s.
"""

from __future__ import annotations

import time
from itertools import product

import numpy as np

from dse.bits.costs import step_costs
from dse.bits.problem import Problem, problem_of
from dse.bits.solver import Answer, Budget, Table, solve
from hwmodels.design import Design
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.zoo import NETWORKS

DESIGN = Design(rows=32, cols=16, weight_depth=16384, act_depth=8192, out_depth=8192)
PAIRS = tuple(product(range(1, 9), repeat=2))
UNIT = 1e9


def chain(layers: int) -> Network:
    """3x3 convolutions, one behind the other, which grow as the map shrinks."""
    nodes, shape, source = list[Node](), (3, 56, 56), "image"
    for place in range(layers):
        stride, channels = 2 if place in (5, 10, 15) else 1, 64 * 2 ** (place // 5)
        layer = Conv(
            name=f"conv{place}", in_shape=shape, out_channels=channels, kernel=(3, 3), act_bits=2 if place else 8,
            weight_bits=2, out_bits=None if place == layers - 1 else 2, stride=(stride, stride), padding=(1, 1, 1, 1),
            pad_code=None if place else -255, from_host=place == 0,
        )  # fmt: skip
        nodes.append(Node(layer, (source,)))
        source, shape = layer.name, layer.out_shape
    return Network(f"chain of {layers}", Input(name="image", shape=(3, 56, 56), bits=8), tuple(nodes))


def problem_and_tables(network: Network, objectives: tuple[str, ...]) -> tuple[Problem, list[Table], float]:
    """The problem, its tables, and the seconds that these took."""
    began = time.process_time()
    problem = problem_of(network, {layer.name: PAIRS for layer in network.contractions})
    rng, tables = np.random.default_rng(0), []
    for step, found in zip(problem.steps, step_costs(problem, DESIGN), strict=True):
        acts = np.array(problem.groups[step.reads].values)[:, None, None]
        loss = rng.lognormal(0, 0.6) * (4.0**-acts + 4.0 ** -np.array(step.weight_bits)[None, :, None])
        whole = np.rint(UNIT * loss * bool(step.pairs) * np.ones(found.possible.shape)).astype(np.int64)
        columns = {**found.costs, "loss": whole}
        tables.append(Table(np.stack([columns[name] for name in objectives], axis=-1), found.possible))
    return problem, tables, time.process_time() - began


def measured(network: Network, objectives: tuple[str, ...], budget: Budget) -> Answer:
    """Solve, print the time."""
    problem, tables, priced = problem_and_tables(network, objectives)
    began = time.process_time()
    answer = solve(problem, tables, budget=budget)
    taken = time.process_time() - began
    exact = "exact" if answer.bound == 0 else f"within {answer.bound:.1%}"
    layers = len(network.contractions)
    print(
        f"{network.name} ({layers} layers, 10^{np.log10(float(problem.assignments)):.0f} assignments), "
        f"{' and '.join(objectives)}, {exact}: {taken:.2f} s and {priced:.2f} s for costs, {len(answer.ties):,} points"
    )
    return answer


def tightness(network: Network, bound: float) -> None:
    """How far a bounded front is from the exact one: the largest factor over all exact points."""
    objectives = ("latency", "energy", "loss")
    exact, near = measured(network, objectives, Budget()), measured(network, objectives, Budget(bound=bound))
    worst = 1.0
    for point in exact.values.T:
        worst = max(worst, float((near.values / np.maximum(point, 1)[:, None]).max(axis=0).min()))
    print(f"  guaranteed factor {1 + near.bound:.3f}, measured {worst:.4f}")


def main() -> None:
    """Measure and print."""
    solve(*problem_and_tables(chain(3), ("latency", "loss"))[:2])
    solve(*problem_and_tables(chain(3), ("latency", "energy", "loss"))[:2])
    measured(chain(20), ("latency", "loss"), Budget())
    measured(chain(20), ("energy", "loss"), Budget())
    measured(NETWORKS["resnet18"](), ("latency", "loss"), Budget())
    measured(NETWORKS["resnet50"](), ("latency", "loss"), Budget())
    measured(NETWORKS["resnet50"](), ("energy", "loss"), Budget())
    measured(chain(20), ("latency", "energy", "loss"), Budget(bound=0.1))
    measured(NETWORKS["resnet18"](), ("latency", "energy", "loss"), Budget(bound=0.1))
    tightness(chain(8), 0.1)


if __name__ == "__main__":
    main()
