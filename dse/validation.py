"""The agreements between the levels of truth that exist so far, as one table; a row that does not agree is a defect.

Level 1 (closed form) is checked against the executor's counts and against published figures; the vectorised closed form
against the plain one and against exact cycles; the recurrence against the event simulation; the executor against
integer arithmetic on decoded codes. RTL is compared by `make agreement`, because it needs a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dse.space import FULL, Space, blocks, design, knobs
from hwmodels import batch
from hwmodels.activity import Activity
from hwmodels.analytical import evaluate_layer, evaluate_mapping
from hwmodels.build import Build
from hwmodels.design import Design
from hwmodels.exact import exact_layer, recurrence_times, simulated_times
from hwmodels.geometry import geometry
from hwmodels.macro_model import left_out
from hwmodels.macros import shipped_macros
from hwmodels.mapping import WEIGHT, Mapping, Misfit, mappings, walk_of
from hwmodels.models import evaluate
from hwmodels.schedule import cycles_by_cause, schedule
from hwmodels.silicon import resource_terms
from hwmodels.technology import energy_factor, technology
from hwmodels.terms import total
from workloads.actions import Actions
from workloads.encoded import Ints
from workloads.encoding import decode_weights, quantize
from workloads.executor import run
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters
from workloads.zoo import NETWORKS

SEED = 20240611


def validate(*, cases: int = 40) -> pd.DataFrame:
    """One row per agreement: what, against what, cases, worst difference, the difference allowed, and whether it holds."""
    return pd.DataFrame([check(cases) for check in CHECKS])


def _row(what: str, against: str, cases: int, worst: float, allowed: float, unit: str) -> dict[str, object]:
    return {
        "what": what,
        "against": against,
        "cases": cases,
        "worst": worst,
        "allowed": allowed,
        "difference_in": unit,
        "agrees": bool(worst <= allowed),
    }


def _executor_values(cases: int) -> dict[str, object]:
    """Packed xnor-popcount against int64 products of decoded codes."""
    rng = np.random.default_rng(SEED)
    worst = 0
    for layer in _layers(rng, cases):
        network = random_parameters(_single(layer), rng)
        images = rng.uniform(-1, 1, (2, *layer.in_shape)).astype(np.float32)
        got = run(network, images, keep_integers=True).integers[layer.name]
        weights = network.parameters[layer.name].weights
        if weights is None:
            raise ValueError(f"layer {layer.name!r}: weight planes must be given")
        wanted = _convolve(quantize(images, network.input_codes), decode_weights(weights, layer.reduction), layer)
        worst = max(worst, int(np.abs(got - wanted).max()))
    return _row("executor values", "integer products of decoded codes", cases, worst, 0, "accumulator units")


def _executor_actions(cases: int) -> dict[str, object]:
    """The executor's own counts against the closed form of the machine with one PE, the map being one block."""
    rng = np.random.default_rng(SEED + 1)
    machine = Design(
        rows=1, cols=1, width=64, weight_depth=2**22, act_depth=2**22, out_depth=2**22, threshold_depth=2**22
    )
    names = (
        "xnor_words",
        "accumulations",
        "combines",
        "threshold_compares",
        "activation_reads",
        "weight_reads",
        "output_writes",
    )
    worst = 0
    for layer in _layers(rng, cases):
        network = random_parameters(_single(layer), rng)
        counted = run(network, np.zeros((1, *layer.in_shape), np.float32)).actions[layer.name]
        shape = geometry(layer, machine.width)
        if shape is None:
            raise ValueError(f"layer {layer.name!r}: must cost something")
        whole = Mapping(WEIGHT, walk_of(shape, machine).channel_groups, shape.out_size)
        modelled = evaluate_mapping(shape, machine, whole).activity
        worst = max(worst, _difference(counted, modelled.actions, names))
    return _row("executor activity", "closed form, one PE", cases, worst, 0, "actions")


def _batch_against_scalar(cases: int) -> dict[str, object]:
    """The vectorised sweep against the plain closed form, all counts."""
    rng = np.random.default_rng(SEED + 2)
    space = Space(
        rows=(4, 16, 64), cols=(1, 7), width=(16, 64), lanes_a=(1, FULL), lanes_w=(1, FULL), act_depth=(4096,), weight_depth=(4096,),
        out_depth=(256, 8192), port_bits=(32, 128), port_shared=(True, False), dataflow=("best",),
    )  # fmt: skip
    worst = 0
    for layer in _layers(rng, cases):
        network = _single(layer)
        grid = blocks(space, [network])
        place = int(rng.integers(grid[0].designs))
        arrays = batch.evaluate(network.layers, knobs(grid[0], np.array([place])))
        _, machine = design(grid, place * len(grid[0].settings))
        plain = evaluate(network, machine).activity
        worst = max(worst, _activity_difference(arrays.layers[0], plain))
    return _row("vectorised sweep", "closed form, one design at a time", cases, worst, 0, "cycles, actions or bits")


def _closed_form(cases: int) -> dict[str, object]:
    """Latency of the closed form against exact cycles: layers of ResNet-18 and the CIFAR ConvNet on random machines."""
    errors = np.abs([stated / exact - 1 for stated, exact in _latencies(cases)])
    what = f"closed form, latency (median {np.median(errors):.2%})"
    return _row(what, "recurrence or event simulation", len(errors), float(errors.max()), 0.12, "relative")


def _latencies(cases: int) -> Iterator[tuple[int, int]]:
    """Cycles of the closed form, and exact ones, of random layers under their best mappings."""
    rng = np.random.default_rng(SEED + 3)
    layers = [
        layer
        for network in (NETWORKS["resnet18"](m=2, k=2), NETWORKS["cifar_convnet"](m=1, k=1))
        for layer in network.layers
    ]
    while cases:
        machine = Design(
            rows=int(rng.choice([8, 16, 32])), cols=int(rng.choice([1, 4, 8])), width=int(rng.choice([32, 64])), weight_depth=8192,
            act_depth=4096, out_depth=4096, port_bits=int(rng.choice([32, 64, 128])), port_shared=bool(rng.integers(2)),
            port_latency=int(rng.choice([0, 20, 60])),
        )  # fmt: skip
        layer = layers[int(rng.integers(len(layers)))]
        try:
            stated, exact = evaluate_layer(layer, machine), exact_layer(layer, machine)
        except Misfit:
            continue
        if stated is not None and exact is not None:
            cases -= 1
            yield stated.activity.cycles.total, exact.activity.cycles.total


def _recurrence(cases: int) -> dict[str, object]:
    """The recurrence against the event simulation where loader and writer have a port each."""
    rng, worst = np.random.default_rng(SEED + 4), 0
    machine = Design(
        rows=4, cols=3, width=16, port_bits=16, port_shared=False, weight_depth=4096, act_depth=4096, out_depth=4096
    )
    for layer in _layers(rng, cases):
        shape = geometry(layer, machine.width)
        if shape is None:
            raise ValueError(f"layer {layer.name!r}: must cost something")
        options = list(mappings(shape, machine))
        plan = schedule(shape, machine, options[int(rng.integers(len(options)))])
        one, other = (cycles_by_cause(plan, clock(plan)).total for clock in (recurrence_times, simulated_times))
        worst = max(worst, abs(one - other))
    return _row("recurrence, latency", "event simulation, a port each", cases, worst, 0, "cycles")


def _peer_cycles(cases: int) -> dict[str, object]:
    """ResNet-18 conv2_x on 32 x 32 multipliers: ZigZag and AccelForge both give 112,896 compute cycles."""
    del cases
    layer = Conv(
        name="conv2_x",
        in_shape=(64, 56, 56),
        out_channels=64,
        kernel=(3, 3),
        padding=(1, 1, 1, 1),
        act_bits=8,
        weight_bits=8,
        out_bits=8,
    )
    machine = Design(
        kind="mac",
        rows=32,
        cols=1,
        width=32,
        max_act_bits=8,
        max_weight_bits=8,
        weight_depth=4096,
        act_depth=4096,
        out_depth=8192,
    )
    shape = geometry(layer, machine.width)
    if shape is None:
        raise ValueError(f"layer {layer.name!r}: must cost something")
    # 8 divides 56: no position beyond the map is walked.
    cycles = evaluate_mapping(shape, machine, Mapping(WEIGHT, 2, (8, 8))).activity.cycles.compute_cycles
    return _row(
        "conv2_x on 32 x 32 multipliers",
        "112,896 compute cycles (ZigZag 3.9.1, AccelForge 1.0.467)",
        1,
        abs(cycles - 112_896),
        0,
        "cycles",
    )


def _scaling(cases: int) -> dict[str, object]:
    """1 pJ at 65 nm and 1.3 V becomes 0.1755 pJ at 32 nm and 0.9 V: the authors' own example."""
    del cases
    ratio = energy_factor("32", 0.9) / energy_factor("65", 1.3)
    return _row(
        "technology scaling", "0.1755 (Stillmaker & Baas 2017, example)", 1, abs(ratio / 0.1755 - 1), 5e-4, "relative"
    )


def _bismo(cases: int) -> dict[str, object]:
    """Dot-product units of 64 bit: BISMO v2's law a Dk + b = 1.17 * 64 + 44.1 LUT each."""
    del cases
    machine = Design(rows=2, cols=2, width=64, technology="zynq7020")
    terms = resource_terms(Build.of(machine), technology("zynq7020"))
    luts = float(total(terms, component="pe", unit="lut")) / 4
    return _row(
        "LUT of a 64-bit PE",
        "118.98 (BISMO v2 law, without its result stage)",
        1,
        abs(luts / 118.98 - 1),
        1e-6,
        "relative",
    )


MACRO_ERRORS = {
    "area_um2": 0.02, "read_energy_pj": 0.15, "write_energy_pj": 0.10, "leakage_nw": 1e-5, "clock_to_q_ns": 0.15,
}  # fmt: skip
"""What a macro of SRAM may be off by, predicted from the others."""


def _macro(figure: str, cases: int) -> dict[str, object]:
    """Every foundry macro, from the model that is fitted to the others."""
    del cases
    errors = np.abs(left_out(shipped_macros())[figure])
    what = f"SRAM {' '.join(figure.split('_')[:-1])} (median {np.median(errors):.1%})"
    return _row(
        what,
        "IHP SG13G2 macros, each left out of its fit",
        len(errors),
        float(errors.max()),
        MACRO_ERRORS[figure],
        "relative",
    )


CHECKS: tuple[Callable[[int], dict[str, object]], ...] = (
    _executor_values, _executor_actions, _batch_against_scalar, _closed_form, _recurrence, _peer_cycles, _scaling, _bismo,
    *(partial(_macro, figure) for figure in MACRO_ERRORS),
)  # fmt: skip
"""Every agreement; each takes the number of random cases."""


def _layers(rng: np.random.Generator, cases: int) -> Iterator[Conv]:
    """Random convolutions with tails, strides, pads, dilation and unlike bits."""
    for index in range(cases):
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        yield Conv(
            name=f"conv{index}",
            in_shape=(int(rng.choice([1, 3, 31, 64, 65])), int(rng.integers(5, 9)), int(rng.integers(5, 9))),
            out_channels=int(rng.choice([1, 10, 33])),
            kernel=kernel,
            act_bits=int(rng.integers(1, 9)),
            weight_bits=int(rng.integers(1, 9)),
            out_bits=int(rng.integers(1, 5)),
            stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            # Padding must be smaller than the window.
            padding=(
                int(rng.integers(0, min(2, kernel[0]))),
                int(rng.integers(0, min(2, kernel[1]))),
                int(rng.integers(0, min(2, kernel[0]))),
                int(rng.integers(0, min(2, kernel[1]))),
            ),
            dilation=(int(rng.integers(1, 3)), 1),
        )


def _single(layer: Conv) -> Network:
    return Network(
        layer.name, Input(name="input", shape=layer.in_shape, bits=layer.act_bits), (Node(layer, ("input",)),)
    )


def _convolve(codes: Ints, weights: Ints, layer: Conv) -> Ints:
    """Convolution of integer codes, pads adding nothing: (N, out_channels, height, width) int64."""
    top, left, bottom, right = layer.padding
    padded = np.pad(codes, ((0, 0), (0, 0), (top, bottom), (left, right)))
    spans = [(size - 1) * step + 1 for size, step in zip(layer.kernel, layer.dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(2, 3))
    windows = windows[:, :, :: layer.stride[0], :: layer.stride[1], :: layer.dilation[0], :: layer.dilation[1]]
    kernels = weights.reshape(layer.out_channels, layer.in_shape[0], *layer.kernel)
    return np.asarray(np.einsum("ncyxhw,ochw->noyx", windows, kernels))


def _difference(one: Actions, other: Actions, names: tuple[str, ...]) -> int:
    return max(abs(int(getattr(one, name)) - int(getattr(other, name))) for name in names)


def _activity_difference(arrays: Activity, plain: Activity) -> int:
    pairs: list[tuple[Any, Any]] = [(arrays.cycles, plain.cycles), (arrays.actions, plain.actions), (arrays, plain)]
    numbers = [
        abs(int(getattr(one, item.name)[0]) - int(getattr(other, item.name)))
        for one, other in pairs
        for item in fields(type(other))
        if item.name not in ("cycles", "actions")
    ]
    return max(numbers)
