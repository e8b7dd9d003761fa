"""`dse bits --verify`: what the proxy said, and what the executor says, of some points of a front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse.bits.losses import FloatNetwork, outputs_at, outputs_of
from dse.bits.mixed import Mixed
from dse.bits.subject import Subject
from dse.variants import MEASURED, load_array
from workloads.encoded import EncodedNetwork
from workloads.executor import accuracy
from workloads.layers import MAX_BITS, Contraction
from workloads.network import Network
from workloads.onnx_float import encode_float

Progress = Callable[[int, int], None]
"""Called with points done and points in all."""


@dataclass(frozen=True, slots=True)
class Verified:
    """points: point, loss as predicted, output_noise and accuracy as measured, accuracy_source. `agreement`: Spearman's rank
    correlation of predicted loss and measured noise, NaN for fewer than three points; `best` the accuracy at 8 bits everywhere.
    """

    points: pd.DataFrame
    agreement: float
    best: float


def verify(
    mixed: Mixed, subject: Subject, points: Sequence[int], progress: Progress = lambda _done, _all: None
) -> Verified:
    """Encode and run the network at the bits of some points, or look them up among its encoded versions.

    output_noise is the squared error of the outputs against those at 8 bits everywhere, relative to their power. Raises
    ValueError where the experiment has no labelled images, or no network that could be run.
    """
    if subject.data is None or subject.labels is None:
        raise ValueError("bits: --verify needs `data` and `labels` in [[networks]], on which accuracy is measured")
    images, labels = load_array(subject.data), load_array(subject.labels)
    if subject.source is None:
        return _looked_up(mixed, subject.versions, points, images, labels)
    whole = outputs_at(subject.source, {name: (_input_bits(mixed, name), MAX_BITS) for name in mixed.layers}, images)
    rows = []
    for done, point in enumerate(points):
        progress(done, len(points))
        encoded = encoded_at(mixed, subject.source, point)
        outputs = outputs_of(encoded, images)
        noise = float(((outputs - whole) ** 2).sum() / (whole**2).sum())
        rows.append({"point": point, "loss": mixed.table["loss"][point], "output_noise": noise,
                     "accuracy": accuracy(outputs, labels), "accuracy_source": MEASURED})  # fmt: skip
    progress(len(points), len(points))
    table = pd.DataFrame(rows)
    return Verified(table, rank_correlation(table["loss"], table["output_noise"]), accuracy(whole, labels))


def encoded_at(mixed: Mixed, source: FloatNetwork, point: int) -> EncodedNetwork:
    """The float network encoded at the bits of a point. Raises ValueError where the graph cannot have exactly these bits."""
    chosen = mixed.chosen(point)
    uniform = (chosen[mixed.layers[-1]][0], MAX_BITS)
    encoded, _ = encode_float(source.path, source.precision(chosen, uniform), source.images, method=source.method)
    for wanted, made in zip(_precisions(mixed.network_of(point)), _precisions(encoded.network), strict=True):
        if wanted != made:
            raise ValueError(
                f"bits: point {point}: layer {wanted[0]!r} must be {wanted[1:]} bits, but the graph makes it {made[1:]}"
            )
    return encoded


def rank_correlation(one: pd.Series, other: pd.Series) -> float:
    """Spearman's; NaN for fewer than three values or where one of them never changes."""
    if len(one) < 3 or one.nunique() == 1 or other.nunique() == 1:
        return float("nan")
    return float(np.corrcoef(one.rank(), other.rank())[0, 1])


def _precisions(network: Network) -> Iterator[tuple[str, int, int, int | None]]:
    return (
        (layer.name, layer.act_bits, layer.weight_bits, layer.out_bits)
        for layer in network.layers
        if isinstance(layer, Contraction)
    )


def _input_bits(mixed: Mixed, name: str) -> int:
    """8, or the bits of the input for a layer that reads it."""
    readers = [node.layer.name for node in mixed.network.nodes if mixed.network.input.name in node.inputs]
    return mixed.network.input.bits if name in readers else MAX_BITS


def _looked_up(
    mixed: Mixed, versions: Sequence[EncodedNetwork], points: Sequence[int], images: npt.NDArray[np.generic],
    labels: npt.NDArray[np.generic],
) -> Verified:  # fmt: skip
    """Points whose bits some encoded version has: of those asked for, and of the whole front if none of them."""
    known = {tuple((act, weight) for _, act, weight, _ in _precisions(item.network)): item for item in versions}
    bits = {point: tuple(mixed.chosen(point).values()) for point in range(len(mixed.table))}
    found = [point for point in points if bits[point] in known] or [point for point in bits if bits[point] in known]
    if not found:
        raise ValueError(
            f"bits: --verify needs a float network with bits.calibrate, or encoded versions at bits of the front; none of "
            f"{len(versions)} is"
        )
    rows = [
        {"point": point, "loss": mixed.table["loss"][point],
         "accuracy": accuracy(outputs_of(known[bits[point]], images), labels), "accuracy_source": MEASURED}
        for point in found[: len(points)]
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return Verified(table, rank_correlation(table["loss"], -table["accuracy"]), float("nan"))
