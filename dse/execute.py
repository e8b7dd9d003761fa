"""`dse run`: an encoded network on a file of images, with everything it counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dse.observing import Observed, activity_text, observed, rates_header
from dse.variants import load_array, load_network
from workloads.executor import accuracy, run


@dataclass(frozen=True, slots=True)
class Execution:
    """Outputs in the units of the source model, actions per layer and image, toggles if asked for, a summary for scripts."""

    outputs: npt.NDArray[np.float64]
    actions: pd.DataFrame
    observed: Observed | None
    summary: Mapping[str, Any]


def execute(
    network: Path,
    inputs: Path,
    *,
    labels: Path | None = None,
    output: Path | None = None,
    integers: Path | None = None,
    activity: Path | None = None,
    width: int = 64,
) -> Execution:
    """Run and write what was asked for. Raises ValueError for files that do not fit together, OverflowError for an accumulator."""
    encoded = load_network(network)
    done = run(encoded, load_array(inputs), width=width, keep_integers=integers is not None, products=True)
    measured = None if labels is None else accuracy(done.outputs, load_array(labels))
    if output is not None:
        _write(output, lambda file: np.save(file, done.outputs))
    if integers is not None:
        _write(integers, lambda file: np.savez(file, allow_pickle=False, **done.integers))
    seen = None if activity is None else observed(encoded, load_array(inputs), width=width)
    if activity is not None and seen is not None:
        text = activity_text(seen).encode()
        _write(activity, lambda file: file.write(text))
    rows = [{"layer": name} | asdict(actions) for name, actions in done.actions.items()]
    summary = {
        "network": encoded.network.name,
        "images": len(done.outputs),
        "accuracy": measured,
        "width": width,
        "ways": dict(done.ways),
        "actions": rows,
        "rates": None if seen is None else rates_header(seen.rates),
    }
    return Execution(done.outputs, pd.DataFrame(rows), seen, summary)


def ways_text(ways: Mapping[str, str]) -> str:
    """How many layers were computed by which way: `2 layers by branches; 1 layer by products, machine code`."""
    counts = Counter(ways.values())
    return "; ".join(f"{count} layer{'s' if count > 1 else ''} by {way}" for way, count in counts.items())


def _write(path: Path, fill: Any) -> None:
    """Write a file from memory, so that a failure leaves nothing half-written."""
    buffer = BytesIO()
    fill(buffer)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise ValueError(f"{path}: the folder must exist and be writable, but {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
