"""The network whose bits are chosen, and what is known of it: float weights, encoded versions, labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dse.bits.losses import FloatNetwork, Losses, assumed_losses, measured_losses, sqnr_losses, table_losses
from dse.bits.problem import Problem, problem_of
from dse.bits.question import Question, allowed
from dse.experiment import Experiment, NetworkSource
from dse.variants import load_array, load_network, shapes
from workloads.encoded import EncodedNetwork
from workloads.network import Network, with_bits
from workloads.onnx_float import encode_float
from workloads.weight_encodings import with_weights

MOST_STATES = 4096
"""States of the search at once: 8 values of M for four groups of maps."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network, its float source where there is one, its encoded versions, and the files to measure accuracy on."""

    network: Network
    source: FloatNetwork | None
    versions: tuple[EncodedNetwork, ...]
    data: Path | None
    labels: Path | None


def subject_of(experiment: Experiment, question: Question) -> Subject:
    """Read the network of an experiment. Raises ValueError where there is more than one, or `calibrate` does not fit it."""
    if len(experiment.networks) != 1:
        raise ValueError(f"networks: must be one [[networks]] table to choose bits for, not {len(experiment.networks)}")
    source = experiment.networks[0]
    if question.calibrate is not None:
        return _from_float(source, question, question.calibrate)
    if not source.files:
        bits = source.bits[0] if source.bits else None
        return Subject(with_weights(shapes(source, bits), (source.weights or (None,))[0]), None, (), None, None)
    versions = tuple(load_network(path) for path in source.files)
    _check_alike(versions)
    return Subject(versions[0].network, None, versions, source.data, source.labels)


def _from_float(source: NetworkSource, question: Question, calibrate: Path) -> Subject:
    if len(source.files) != 1:
        raise ValueError("bits.calibrate: must come with one float ONNX file in [[networks]]")
    network = FloatNetwork(source.files[0], load_array(calibrate), question.input_bits, question.method)
    encoded, _ = encode_float(network.path, network.precision({}), network.images, method=network.method)
    return Subject(encoded.network, network, (), source.data, source.labels)


def _check_alike(versions: Sequence[EncodedNetwork]) -> None:
    first = _shape(versions[0].network)
    for version in versions[1:]:
        if _shape(version.network) != first:
            raise ValueError(
                f"networks: must be versions of one network, but {version.network.name!r} differs from "
                f"{versions[0].network.name!r} in more than bits"
            )


def _shape(network: Network) -> list[tuple[object, ...]]:
    return [(type(node.layer), node.layer.name, node.layer.out_shape, node.inputs) for node in network.nodes]


def problem_for(subject: Subject, question: Question) -> Problem:
    """What may be chosen for the network. Raises ValueError where so many maps live at once that no search could hold their M."""
    problem = problem_of(subject.network, allowed(subject.network, question))
    if problem.states > MOST_STATES:
        raise ValueError(
            f"bits: network {subject.network.name!r} has {problem.states:,} combinations of M alive at once, and at most "
            f"{MOST_STATES:,} can be searched; allow fewer values in bits.m"
        )
    return problem


def widest(problem: Problem) -> Network:
    """The network at the most bits that may be chosen: what a machine must be built for."""
    bits = {
        step.layer.name: (max(problem.groups[step.reads].values), max(step.weight_bits))
        for step in problem.steps
        if step.pairs
    }
    return with_bits(problem.network, bits)


def losses_for(subject: Subject, question: Question, problem: Problem) -> Losses:
    """The loss as the question wants it: measured where it can be, assumed where there are only shapes."""
    wanted = question.loss or ("sqnr" if subject.source is not None else "noise")
    if isinstance(wanted, Path):
        return table_losses(wanted)
    if wanted == "noise":
        return assumed_losses(problem)
    if subject.source is None:
        raise ValueError(
            f"bits.loss: {wanted!r} needs a float ONNX network and bits.calibrate, from which it is measured"
        )
    return (sqnr_losses if wanted == "sqnr" else measured_losses)(problem, subject.source)
