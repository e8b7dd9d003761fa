"""`dse accuracy`: encoded networks on labelled images, bit-exactly, batch by batch, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse.progress import Progress
from dse.variants import MEASURED, load_array, load_network
from workloads.encoded import EncodedNetwork
from workloads.executor import run_prepared
from workloads.prepared import prepare

TOP = 5
BATCH = 256
COUNTS = ("images", "top1", "top5")


@dataclass(frozen=True, slots=True)
class Score:
    """How many of the first `images` images a network got right; the digests name what was measured."""

    network: str
    precision: str
    images: int
    top1: int
    top5: int
    network_sha256: str
    data_sha256: str
    labels_sha256: str

    def __post_init__(self) -> None:
        if not 0 <= self.top1 <= self.top5 <= self.images:
            raise ValueError(f"score of {self.network!r}: must have 0 <= top1 <= top5 <= images, not {self}")

    @property
    def key(self) -> tuple[str, str, str]:
        """What the score is of."""
        return self.network_sha256, self.data_sha256, self.labels_sha256


def measure_accuracy(
    networks: Sequence[str | Path],
    data: str | Path,
    labels: str | Path,
    *,
    output: Path | None = None,
    batch: int = BATCH,
    progress: Progress = lambda _done, _total: None,
) -> pd.DataFrame:
    """Top-1 and top-5 of every network on images (N, channels, height, width) with labels (N,), in order.

    `output` (CSV) is written after every batch; scores that it holds of the same files are not measured again. Raises
    ValueError, one line, for files that do not fit together or an output that is something else.
    """
    if batch < 1:
        raise ValueError(f"accuracy: batch must be at least 1, not {batch}")
    images, wanted = load_array(data), load_array(labels)
    if images.ndim != 4:
        raise ValueError(f"{data}: images must be (N, channels, height, width), not {images.shape}")
    known = {score.key: score for score in (read_scores(output) if output is not None and output.exists() else [])}
    digests, total, scores = (_digest(data), _digest(labels)), len(images) * len(networks), list[Score]()
    loaded = [(_digest(path), load_network(path)) for path in networks]
    for place, (digest, encoded) in enumerate(loaded):
        _check(encoded, images, wanted)
        key = (digest, *digests)
        known.setdefault(key, Score(encoded.network.name, encoded.network.precision, 0, 0, 0, *key))
        for score in _scores(encoded, images, wanted, known[key], batch):
            progress(place * len(images) + score.images, total)
            known[key] = score
            if output is not None:
                write_scores(output, list(known.values()))
        scores.append(known[key])
    return accuracies(scores)


def measure_sqnr(networks: Sequence[str | Path], data: str | Path, images: int) -> pd.DataFrame:
    """Signal to noise against the float network, layer by layer, on the first `images` of a file.

    A row each: network, layer, sqnr_db. Raises ValueError for a network that is no ONNX file, which alone knows its float network.
    """
    from workloads.onnx_signal import layer_sqnr

    others = [path for path in map(Path, networks) if path.suffix != ".onnx"]
    if others:
        raise ValueError(f"{others[0]}: signal to noise needs the ONNX file, which describes the float network")
    part = load_array(data)[:images]
    rows = [(Path(path).stem, layer_sqnr(path, part)) for path in networks]
    return pd.DataFrame(
        {"network": name, "layer": layer, "sqnr_db": value} for name, found in rows for layer, value in found.items()
    )


def accuracies(scores: Sequence[Score]) -> pd.DataFrame:
    """A row each: network, precision, images, accuracy, top5_accuracy, accuracy_source."""
    return pd.DataFrame(
        {
            "network": score.network,
            "precision": score.precision,
            "images": score.images,
            "accuracy": score.top1 / score.images,
            "top5_accuracy": score.top5 / score.images,
            "accuracy_source": MEASURED,
        }
        for score in scores
    )


def read_scores(path: Path) -> list[Score]:
    """The scores of a file that `write_scores` wrote. Raises ValueError for any other."""
    names = [item.name for item in fields(Score)]
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(table.columns) != names:
            raise ValueError(f"columns must be {', '.join(names)}")
        return [_score(row) for row in table.to_dict("records")]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: must be scores as dse accuracy writes them, but {' '.join(str(error).split())}"
        ) from error


def _score(row: Mapping[Hashable, str]) -> Score:
    images, top1, top5 = (int(row[name]) for name in COUNTS)
    digests = (row["network_sha256"], row["data_sha256"], row["labels_sha256"])
    return Score(row["network"], row["precision"], images, top1, top5, *digests)


def write_scores(path: Path, scores: Sequence[Score]) -> None:
    """Write all scores, or leave the file as it was."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        pd.DataFrame([asdict(score) for score in scores]).to_csv(temporary, index=False)
        temporary.replace(path)
    except OSError as error:
        raise ValueError(f"{path}: the folder must exist and be writable, but {error.strerror}") from error


def ranks(outputs: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Rank of each label among outputs (N, classes), 0 the best; of equal outputs the first class stands first."""
    own = np.take_along_axis(outputs, labels[:, None], axis=1)
    before = np.arange(outputs.shape[1]) < labels[:, None]
    return np.asarray(((outputs > own) | ((outputs == own) & before)).sum(axis=1))


def _scores(
    encoded: EncodedNetwork, images: npt.NDArray[np.generic], labels: npt.NDArray[np.integer], score: Score, batch: int
) -> Iterator[Score]:
    """The score after every batch that is left; the score itself where nothing is left."""
    prepared = prepare(encoded, products=True)
    for first in range(score.images, len(images), batch):
        part = slice(first, first + batch)
        found = ranks(run_prepared(prepared, images[part]).outputs, labels[part])
        top1, top5 = score.top1 + int((found == 0).sum()), score.top5 + int((found < TOP).sum())
        score = replace(score, images=first + len(found), top1=top1, top5=top5)
        yield score


def _check(encoded: EncodedNetwork, images: npt.NDArray[np.generic], labels: npt.NDArray[np.generic]) -> None:
    """Refuse labels that are none before the first batch; the executor refuses images that do not fit."""
    where, classes = f"network {encoded.network.name!r}", encoded.network.output.out_shape
    if classes[1:] != (1, 1):
        raise ValueError(f"{where}: must end in one number a class to be scored, not in a map {classes}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or not len(labels):
        raise ValueError(
            f"{where}: labels must be integers ({len(images)},), one an image, not {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes[0]:
        raise ValueError(f"{where}: labels must be in 0..{classes[0] - 1}, not {labels.min()}..{labels.max()}")


def _digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
