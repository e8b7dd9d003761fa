"""`dse compare A B`: what changed between two results folders: inputs, versions, counts, and the front."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from dse.compare import swept_technology
from dse.explanation import experiment_of
from dse.front import front_rows
from dse.results import Results
from dse.space import Setting
from hwmodels.knobs import NUMERIC
from reports.columns import COLUMNS
from reports.wording import design_words

NAMED = ("network", "machine", "dataflow", *(item.name for item in fields(Setting)), *NUMERIC)
"""Columns that make a row the same design in both folders, whatever its number."""


@dataclass(frozen=True, slots=True)
class Difference:
    """inputs: what, a, b, one row a change. front: one row a design on either front, `on` a, b or both, and the objectives of each."""

    inputs: pd.DataFrame
    front: pd.DataFrame
    objectives: tuple[str, ...]

    @property
    def words(self) -> str:
        """One sentence: how many designs came, went, stayed, and what the best became."""
        counts = self.front["on"].value_counts()
        moved = ", ".join(_moved(self.front, name) for name in self.objectives)
        return (
            f"{len(self.inputs)} inputs differ; front: {counts.get('both', 0)} designs on both, {counts.get('a', 0)} only on a, "
            f"{counts.get('b', 0)} only on b; best {moved}"
        )


def difference(first: Results, second: Results, *, technology: str | None = None) -> Difference:
    """Compare two folders on the objectives of the first. Raises ValueError for a technology that was not swept in both."""
    objectives = experiment_of(first).objectives
    fronts = [
        front_rows(opened, objectives, technology=swept_technology(experiment_of(opened), technology))
        for opened in (first, second)
    ]
    known = tuple(name for name in objectives if all(table[name].notna().any() for table in fronts))
    inputs = pd.DataFrame(list(_changes(first, second)), columns=["what", "a", "b"])
    return Difference(inputs, _fronts(fronts[0], fronts[1], known), known)


def _changes(first: Results, second: Results) -> Iterator[tuple[str, str, str]]:
    """Everything that is not alike, by its dotted name."""
    pairs = (
        ("experiment", tomllib.loads(first.experiment_text), tomllib.loads(second.experiment_text)),
        ("manifest", _facts(first.manifest), _facts(second.manifest)),
    )
    for where, one, other in pairs:
        left, right = dict(_flat(one, where)), dict(_flat(other, where))
        for name in dict.fromkeys([*left, *right]):
            if left.get(name) != right.get(name):
                yield name, str(left.get(name, "–")), str(right.get(name, "–"))


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with networks by name, without what follows from them or from the text of the experiment."""
    networks = {
        entry["name"]: {key: value for key, value in entry.items() if key not in ("name", "shape")}
        for entry in manifest["networks"]
    }
    left_out = ("networks", "experiment_sha256", "name", "seed")
    return {**{key: value for key, value in manifest.items() if key not in left_out}, "networks": networks}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}")
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for place, item in enumerate(value):
            yield from _flat(item, f"{name}[{place}]")
    else:
        yield name, value


def _fronts(first: pd.DataFrame, second: pd.DataFrame, objectives: tuple[str, ...]) -> pd.DataFrame:
    """Both fronts, design by design; what a design is stands in words, and in which folder it is on the front."""
    keys = [name for name in NAMED if name in first.columns and name in second.columns]
    sides = [table.astype({"network": str, "machine": str, "dataflow": str}) for table in (first, second)]
    both = sides[0][[*keys, *objectives]].merge(
        sides[1][[*keys, *objectives]], on=keys, how="outer", suffixes=("_a", "_b"), indicator=True
    )
    on = both["_merge"].map({"both": "both", "left_only": "a", "right_only": "b"}).astype(str)
    words = [design_words(row) for _, row in both.iterrows()]
    values = [f"{name}_{side}" for name in objectives for side in "ab"]
    return pd.concat([pd.DataFrame({"on": on, "network": both["network"], "design": words}), both[values]], axis=1)


def _moved(front: pd.DataFrame, name: str) -> str:
    pick = "max" if COLUMNS[name].direction == "larger" else "min"
    one, other = (float(getattr(front[f"{name}_{side}"], pick)()) for side in "ab")
    return f"{name} {one:.6g} -> {other:.6g}"
