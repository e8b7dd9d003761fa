"""Everything that a report says, as one record of tables and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from reports.columns import chosen
from reports.wording import design_words

NEEDED = ("row", "precision", "machine")
MOST_ROWS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The content of one page.

    `decision` holds one row per precision at its best design, `points` a sample of the feasible rows, `front` the rows
    that no other row beats in all `objectives`, `layers` the chosen design layer by layer, `growth` how a sampler's search
    went (designs, hypervolume, the best of every objective), `crossover` multipliers against xnor-popcount by M and K.
    Tables may be empty and columns may be missing: the page says so instead. Growth and crossover belong to some results
    only, and are left out where they are empty.
    """

    title: str
    question: str
    answer: str
    decision: pd.DataFrame
    points: pd.DataFrame
    front: pd.DataFrame
    objectives: tuple[str, ...]
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    peaks: Mapping[str, float] = field(default_factory=dict)
    growth: pd.DataFrame = field(default_factory=pd.DataFrame)
    crossover: pd.DataFrame = field(default_factory=pd.DataFrame)
    swept: pd.DataFrame = field(default_factory=pd.DataFrame)
    infeasible: pd.DataFrame = field(default_factory=pd.DataFrame)
    counts: Mapping[str, int] = field(default_factory=dict)
    provenance: pd.DataFrame = field(default_factory=pd.DataFrame)
    constants: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Every design must have a number, a precision, a machine and the objectives."""
        for name in ("decision", "points", "front"):
            _must_carry(name, getattr(self, name), NEEDED)
        if not self.objectives:
            raise ValueError("report: objectives must name at least one column, not none")
        _must_carry("front", self.front, self.objectives)
        _must_carry("points", self.points, self.objectives)

    @property
    def winner(self) -> pd.Series | None:
        """The chosen design; None when the decision marks none."""
        rows = chosen(self.decision)
        return rows.iloc[0] if len(rows) else None


def _must_carry(name: str, table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing and len(table):
        raise ValueError(f"report: table {name!r} must have the columns {list(columns)}, but lacks {missing}")


def listed_designs(report: Report) -> pd.DataFrame:
    """The designs that the page lists one by one: the decision and the front (thinned to 400), each row once."""
    room = max(1, MOST_ROWS - len(report.decision))
    step = max(1, -(-len(report.front) // room))
    tables = [table for table in (report.decision, report.front.iloc[::step]) if len(table)]
    if not tables:
        return pd.DataFrame(columns=list(NEEDED))
    both = pd.concat(tables, ignore_index=True).drop_duplicates("row")
    both.insert(0, "design", [design_words(row) for _, row in both.iterrows()])
    return both.sort_values([report.objectives[0], "row"], kind="stable").reset_index(drop=True)
