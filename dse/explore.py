"""From a results folder to the page to look around in."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dse.compare import swept_technology
from dse.explanation import experiment_of
from dse.front import front_rows, shared
from dse.report import sample
from dse.results import Results
from dse.sensitivity import LEAST_ROWS, drawn, effects, knobs
from reports.explore_page import write_explore_page
from reports.figures.explore import explore_points


def write_explore(opened: Results, path: Path, *, technology: str | None = None) -> Path:
    """Write the page over the front and a sample. Raises ValueError where it cannot be written."""
    experiment = experiment_of(opened)
    chosen = swept_technology(experiment, technology)
    objectives, rows = shared(experiment.objectives, chosen), sample(opened, chosen, experiment.seed)
    front = front_rows(opened, experiment.objectives, technology=chosen)
    swept = knobs(experiment, rows)
    moved = effects(rows, swept, objectives) if len(rows) >= LEAST_ROWS else pd.DataFrame()
    points = explore_points(rows, front, swept, objectives)
    title, lead = f"{experiment.name}: designs in {chosen}", f"{drawn(opened)[0].upper()}{drawn(opened)[1:]}."
    try:
        write_explore_page(points, moved, title, lead, path)
    except OSError as error:
        raise ValueError(f"{path}: the page must go to a folder that can be written, but {error.strerror}") from error
    return path
