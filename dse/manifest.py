"""The manifest of a results folder: what was swept, with which inputs and versions."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dse import results
from dse.observing import rates_header
from dse.samplers.registry import packages
from dse.sweep_plan import Plan
from dse.variants import Variant
from workloads.files import network_header

GROWTH = "hypervolume.csv"


def manifest(prepared: Plan, counts: results.Counts | None) -> dict[str, Any]:
    """What was swept, with which inputs and versions; complete once `counts` are known."""
    experiment = prepared.experiment
    found = counts or results.Counts(0, 0, {})
    return {
        "format": results.FORMAT,
        "version": results.VERSION,
        "name": experiment.name,
        "status": "running" if counts is None else "complete",
        "experiment_sha256": experiment.digest,
        "seed": experiment.seed,
        "rows": prepared.rows,
        "keep": prepared.kept,
        "sampling": _sampling_entry(prepared),
        "evaluated": found.evaluated,
        "feasible": found.feasible,
        "infeasible": dict(found.infeasible),
        "skipped": found.skipped,
        "priced": found.priced,
        "networks": [_network_entry(variant) for variant in prepared.variants],
        "versions": versions() | {name: version(name) for name in _asking(prepared)},
        "platform": sys.platform,
    }


def check_inputs(folder: Path, wanted: dict[str, Any]) -> None:
    """Rows of other networks or of another version of the models must not be mixed with those to come."""
    found = results.open_results(folder, unfinished=True).manifest
    same = json.loads(json.dumps(wanted))
    for key in ("networks", "versions", "keep", "sampling"):
        if found[key] != same[key]:
            raise ValueError(
                f"{folder}: must have been begun with the same {key}, but they changed; choose a new folder"
            )


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Of everything that the figures and the bytes of a part may depend on."""
    found = {name: version(name) for name in ("dse-xnor", "numpy", "pyarrow", "pandas")}
    return found | {"python": platform.python_version()}


def _network_entry(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.network.name,
        "precision": variant.network.precision,
        "accuracy": None if np.isnan(variant.accuracy) else variant.accuracy,
        "accuracy_source": variant.accuracy_source,
        "weights": variant.network.parameters,
        "sha256": variant.digest,
        "rates": rates_header(variant.rates),
        "shape": network_header(variant.network),
    }


def _sampling_entry(prepared: Plan) -> dict[str, Any] | None:
    """Who asked for the designs, and where it stands how that went."""
    if prepared.sampling is None:
        return None
    technology = prepared.experiment.space.technology[0]
    return {**asdict(prepared.sampling), "technology": technology, "hypervolume": GROWTH}


def _asking(prepared: Plan) -> tuple[str, ...]:
    """Packages whose version decides which designs are asked for."""
    return packages(prepared.sampling.sampler) if prepared.sampling else ()
