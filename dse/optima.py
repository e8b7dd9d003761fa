"""The best design at every value of every knob that was swept: "the least energy at width 64"."""

from __future__ import annotations

import pandas as pd

from dse.experiment import Experiment
from dse.explanation import experiment_of
from dse.keep import MACHINES, TIES, ranked, sign, swept_knobs
from dse.results import Results, read_part

GROUP = (*MACHINES, "technology", "knob", "value", "objective")


def axis_optima(opened: Results) -> pd.DataFrame:
    """One row a network, machine, technology, swept knob, value of it (text) and ranked column (`objective`): the `best` figure
    and the `row` that has it, ties broken as everywhere. Reads part by part.

    Raises ValueError where the sweep did not keep these rows.
    """
    experiment = experiment_of(opened)
    if opened.manifest["keep"] == "front":
        raise ValueError(
            f"{opened.path}: must hold the best at every value, but was swept with --keep front; use --keep best"
        )
    columns = [ranked(experiment, technology) for technology in experiment.space.technology]
    wanted = (*MACHINES, "technology", *swept_knobs(experiment), *TIES, *(name for names in columns for name in names))
    found = [pd.DataFrame({name: [] for name in (*GROUP, "turned", *TIES)})]
    for part in opened.parts():
        table = read_part(part, list(dict.fromkeys(wanted))).to_pandas()
        found = [_best([*found, *_of_part(experiment, table)])]
    best = found[0]["turned"] * found[0]["objective"].map(sign)
    return found[0].assign(best=best)[[*GROUP, "best", "row"]]


def _of_part(experiment: Experiment, table: pd.DataFrame) -> list[pd.DataFrame]:
    """For every technology, column and knob the best rows of a part; figures turned so that less is better."""
    found = []
    for technology in table["technology"].unique():
        rows = table[table["technology"] == technology]
        for name in ranked(experiment, technology):
            own = rows[[*MACHINES, "technology", *TIES]].assign(objective=name, turned=rows[name] * sign(name))
            found += [_best([own.assign(knob=knob, value=_text(rows[knob]))]) for knob in swept_knobs(experiment)]
    return found


def _text(values: pd.Series) -> pd.Series:
    return values.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))


def _best(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The best row of every group, groups in the order in which they came."""
    both = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    both["order"] = both.groupby(list(GROUP), sort=False).ngroup()
    best = both.sort_values(["order", "turned", *TIES]).drop_duplicates("order")
    return best[[*GROUP, "turned", *TIES]]
