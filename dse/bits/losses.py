"""What a layer loses at M x K bits: an additive proxy of accuracy, by a model, by measurement, or by the user's table.

Noise adds up: to first order the noise-to-signal ratio at the output of a network is the sum of those that every quantized tensor
brings in (Lin, Talathi, Annapureddy, arXiv:1511.06393, section 3.1: 1 / SQNR of the output = sum of 1 / SQNR of all steps). So

    loss(layer, M, K) = 10^(-SQNR(codes read, M) / 10) + 10^(-SQNR(weights, K) / 10)

is added over the layers. It is a proxy: what it says of accuracy must be measured (`dse bits --verify`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.bits.problem import Problem, Step
from workloads.encoded import EncodedNetwork
from workloads.executor import run
from workloads.layers import MAX_BITS
from workloads.onnx_float import encode_float, layer_fits
from workloads.onnx_float_maps import Precision

WIDTHS = range(1, MAX_BITS + 1)
DECIBELS_A_BIT = 20 * math.log10(2)
"""Of a uniform quantizer whose range is full; assumed where nothing is measured."""
UNIT = 1e-9
"""Losses are whole multiples of this, so that sums and ties are exact."""
COLUMNS = ["layer", "m", "k", "loss"]


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss of every layer with weights at every pair of bits, and where it comes from."""

    values: Mapping[tuple[str, int, int], float]
    source: str

    def whole(self, step: Step, reads: tuple[int, ...]) -> npt.NDArray[Any]:
        """(values of M read, values of K) int64, in units of UNIT; 0 where the pair is not allowed. ValueError if one is missing."""
        name, found = step.layer.name, np.zeros((len(reads), len(step.weight_bits)), np.int64)
        for m, k in step.pairs:
            if (name, m, k) not in self.values:
                raise ValueError(f"loss: {self.source} must have a row for layer {name!r} at m {m}, k {k}")
            if k in step.weight_bits:
                found[reads.index(m), step.weight_bits.index(k)] = round(self.values[name, m, k] / UNIT)
        return found


@dataclass(frozen=True, slots=True)
class FloatNetwork:
    """A float ONNX file, the images that its scales are searched on, and how."""

    path: Path
    images: npt.NDArray[Any]
    input_bits: int
    method: str

    def precision(
        self, layers: Mapping[str, tuple[int, int]], uniform: tuple[int, int] = (MAX_BITS, MAX_BITS)
    ) -> Precision:
        """These bits, and `uniform` ones where a map has no layer that asks."""
        return Precision(uniform, layers, self.input_bits)


def assumed_losses(problem: Problem) -> Losses:
    """6.02 dB a bit for every tensor of every layer: for networks that have shapes only."""
    noise = {bits: 10 ** (-DECIBELS_A_BIT * bits / 10) for bits in WIDTHS}
    values = {(name, m, k): noise[m] + noise[k] for name, m, k in _choices(problem)}
    return Losses(values, "assumed: 6.02 dB a bit in every layer")


def sqnr_losses(problem: Problem, network: FloatNetwork) -> Losses:
    """Noise-to-signal ratios of the codes and the weights of every layer, as the scale search left them."""
    codes, weights = dict[tuple[str, int], float](), dict[tuple[str, int], float]()
    for bits in WIDTHS:
        precision = network.precision({}, (bits, bits))
        for name, read, held in layer_fits(network.path, precision, network.images, method=network.method):
            codes[name, read.bits] = 10 ** (-read.sqnr_db / 10)
            weights[name, held.bits] = 10 ** (-held.sqnr_db / 10)
    values = {(name, m, k): codes[name, m] + weights[name, k] for name, m, k in _choices(problem) if (name, m) in codes}
    return Losses(values, f"noise to signal of codes and weights on {len(network.images)} calibration images")


def measured_losses(problem: Problem, network: FloatNetwork) -> Losses:
    """Squared error of the network's outputs, relative to their power, with one choice at few bits and all others at 8.

    The M of a group of maps is charged to the first layer that reads it, so that it counts once.
    """
    whole = {step.layer.name: (_act_bits(problem, step), MAX_BITS) for step in problem.steps if step.pairs}
    best = outputs_at(network, whole, network.images)
    power = float((best**2).sum())

    def error(bits: Mapping[str, tuple[int, int]]) -> float:
        return float(((outputs_at(network, {**whole, **bits}, network.images) - best) ** 2).sum()) / power

    charged, values = set[int](), dict[tuple[str, int, int], float]()
    for step in (step for step in problem.steps if step.pairs):
        name = step.layer.name
        of_weights = {k: error({name: (whole[name][0], k)}) if k < MAX_BITS else 0.0 for k in step.weight_bits}
        readers = {other.layer.name for other in problem.steps if other.pairs and other.reads == step.reads}
        for m in problem.groups[step.reads].values:
            free = step.reads in charged or m == whole[name][0]
            of_codes = 0.0 if free else error(dict.fromkeys(readers, (m, MAX_BITS)))
            values |= {(name, m, k): of_codes + lost for k, lost in of_weights.items()}
        charged.add(step.reads)
    return Losses(
        values, f"squared error of the outputs on {len(network.images)} calibration images, one choice at a time"
    )


def table_losses(path: Path) -> Losses:
    """A CSV file with the columns layer, m, k, loss. Raises ValueError, one line, with the row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: must be a readable CSV file, but {error}") from error
    if not lines or [name.strip() for name in lines[0]] != COLUMNS:
        raise ValueError(
            f"{path}: the first row must be {','.join(COLUMNS)}, not {','.join(lines[0]) if lines else 'absent'}"
        )
    values: dict[tuple[str, int, int], float] = {}
    for row, line in enumerate(lines[1:], 2):
        if line:
            key, loss = _row(line, f"{path}: row {row}")
            if key in values:
                raise ValueError(f"{path}: row {row}: layer {key[0]!r} at m {key[1]}, k {key[2]} must come once")
            values[key] = loss
    return Losses(values, str(path))


def _row(line: list[str], where: str) -> tuple[tuple[str, int, int], float]:
    try:
        name, m, k, loss = line[0].strip(), int(line[1]), int(line[2]), float(line[3])
    except (ValueError, IndexError):
        raise ValueError(f"{where}: must be a layer, two integers and a number, not {','.join(line)!r}") from None
    if m not in WIDTHS or k not in WIDTHS or not 0 <= loss <= 1e6:
        raise ValueError(
            f"{where}: m and k must be between 1 and {MAX_BITS} and loss between 0 and 1e6, not {','.join(line)!r}"
        )
    return (name, m, k), loss


def _choices(problem: Problem) -> Iterator[tuple[str, int, int]]:
    return ((step.layer.name, m, k) for step in problem.steps for m, k in step.pairs)


def _act_bits(problem: Problem, step: Step) -> int:
    return max(problem.groups[step.reads].values)


def outputs_at(
    network: FloatNetwork, bits: Mapping[str, tuple[int, int]], images: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Outputs of the network, encoded at these bits, for images; rows of features do for a network without a map."""
    encoded, _ = encode_float(network.path, network.precision(bits), network.images, method=network.method)
    return outputs_of(encoded, images)


def outputs_of(encoded: EncodedNetwork, images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Outputs of an encoded network, as `run` gives them; images may be rows of features."""
    whole = images.reshape(len(images), *encoded.network.input.shape) if images.ndim == 2 else images
    return np.asarray(run(encoded, whole, products=True).outputs, np.float64)
