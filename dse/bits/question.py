"""The `[bits]` table of an experiment: which bits a layer may have, and how what they lose is told."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dse.bits.problem import Pairs
from dse.experiment import Experiment, bit_pair
from workloads.calibration import METHODS
from workloads.layers import MAX_BITS, Contraction, Layer
from workloads.network import Network, at_bits
from workloads.spelling import unknown

LOSSES = ("noise", "sqnr", "measured")
"""Words for where the loss of a layer comes from; anything else is the path of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What may be chosen. Paths are relative to the experiment file.

    `ends` holds for the first and the last layer, `fixed` for layers by name; the M of a layer that reads the network input
    belongs to the input. `most_precisions`: distinct (M, K) over all layers, at most. With `calibrate` the network file is a
    float ONNX network. `loss` is one of LOSSES or the path of a CSV table.
    """

    m: tuple[int, ...] = tuple(range(1, MAX_BITS + 1))
    k: tuple[int, ...] = tuple(range(1, MAX_BITS + 1))
    ends: tuple[int, int] | None = None
    fixed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    most_precisions: int | None = None
    loss: str | Path | None = None
    calibrate: Path | None = None
    input_bits: int = 8
    method: str = "mse"


KEYS = tuple(item.name for item in fields(Question))


def question_of(experiment: Experiment, base: Path) -> Question:
    """The `[bits]` table of an experiment whose file lies in `base`; all defaults where there is none. Raises ValueError."""
    table = tomllib.loads(experiment.text).get("bits", {})
    if not isinstance(table, dict):
        raise ValueError(f"bits: must be a table, not {table!r}")
    for key in table:
        if key not in KEYS:
            raise ValueError(f"bits.{key}: {unknown(key, KEYS)}")
    return Question(**{key: _value(key, value, base) for key, value in table.items()})


def allowed(network: Network, question: Question) -> dict[str, Pairs]:
    """The (M, K) that every layer may have. Raises ValueError for layers that do not exist or bits that cannot be."""
    layers = {layer.name: layer for layer in network.contractions}
    for name in question.fixed:
        if name not in layers:
            raise ValueError(f"bits.fixed: {unknown(name, layers)}")
    ends = {network.contractions[0].name, network.contractions[-1].name} if question.ends else set()
    return {
        name: _pairs(network, layer, question.fixed.get(name, question.ends if name in ends else None), question)
        for name, layer in layers.items()
    }


def _pairs(network: Network, layer: Contraction, pair: tuple[int, int] | None, question: Question) -> Pairs:
    acts, weights = (question.m, question.k) if pair is None else ((pair[0],), (pair[1],))
    if reads_input(network, layer):
        if layer.name in question.fixed and acts != (network.input.bits,):
            raise ValueError(
                f"bits.fixed: M of {layer.name!r}, which reads the network input, must be {network.input.bits}, not {acts[0]}"
            )
        acts = (network.input.bits,)
    pairs = tuple((m, k) for m in acts for k in weights if _possible(layer, m, k))
    if not pairs:
        raise ValueError(
            f"bits: layer {layer.name!r} must have some M x K, but can have none of the bits that it may choose from"
        )
    return pairs


def _possible(layer: Contraction, m: int, k: int) -> bool:
    """Whether the layer exists at these bits: ternary weights have two planes, a pad code must be a code."""
    try:
        at_bits(layer, m, k, layer.out_bits)
    except ValueError:
        return False
    return True


def reads_input(network: Network, layer: Layer) -> bool:
    """Whether a layer reads the network input itself."""
    return any(node.layer is layer and network.input.name in node.inputs for node in network.nodes)


def _value(key: str, value: Any, base: Path) -> Any:
    where = f"bits.{key}"
    if key in ("m", "k"):
        return _widths(value, where)
    if key == "ends":
        return bit_pair(value, where)
    if key == "fixed":
        if not isinstance(value, dict):
            raise ValueError(f"{where}: must be a table of layer = 'MxK', not {value!r}")
        return {name: bit_pair(pair, f"{where}.{name}") for name, pair in value.items()}
    if key in ("most_precisions", "input_bits"):
        return _whole(value, where, MAX_BITS if key == "input_bits" else MAX_BITS**2)
    if not isinstance(value, str):
        raise ValueError(f"{where}: must be a text, not {value!r}")
    if key == "method":
        if value not in METHODS:
            raise ValueError(f"{where}: must be one of {', '.join(METHODS)}, not {value!r}")
        return value
    return value if key == "loss" and value in LOSSES else _path(value, where, base, key)


def _path(value: str, where: str, base: Path, key: str) -> Path:
    if key == "loss" and not value.endswith(".csv"):
        raise ValueError(f"{where}: must be one of {', '.join(LOSSES)}, or a .csv file, not {value!r}")
    return base / value


def _widths(value: Any, where: str) -> tuple[int, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{where}: at least one number of bits must be given, not none")
    return tuple(sorted({_whole(item, where, MAX_BITS) for item in values}))


def _whole(value: Any, where: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{where}: must be an integer between 1 and {most}, not {value!r}")
    return value
