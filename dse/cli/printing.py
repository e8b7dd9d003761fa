"""Tables, JSON, progress and the one line of an error: what every command prints with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pandas as pd

    from dse.compare import Choice
    from dse.progress import Progress
    from dse.results import Results


def fail(message: str | None, code: int) -> NoReturn:
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(code)


def print_table(table: pd.DataFrame, as_json: bool, columns: Sequence[str] = ()) -> None:
    from reports.tables import text_table

    if as_json:
        print_json(records(table[list(columns)] if columns else table))
    else:
        print(text_table(table, columns))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values, NaN as null."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False, default=lambda item: item.item()))


@contextmanager
def progress_of(label: str, what: str = "designs") -> Iterator[Progress]:
    """A bar with rate and time left on a terminal, a plain line every tenth in a log."""
    from dse.progress import bar, lines

    with bar(label, what) if sys.stderr.isatty() else lines(label, what) as update:
        yield update


def choice_of(opened: Results, minimise: str | None, require: Sequence[str] | None, technology: str | None) -> Choice:
    from dse.compare import Choice
    from dse.experiment import DECIDED, constraint
    from dse.explanation import experiment_of

    wanted = [constraint(text, "--require", DECIDED) for text in require or ()]
    return Choice.of(experiment_of(opened), minimise=minimise, require=wanted, technology=technology)


def print_decision(opened: Results, table: pd.DataFrame, choice: Choice) -> None:
    from dse.compare import Decision
    from dse.report import answer
    from dse.summary import decision_view

    winner = table.loc[table["winner"], "row"]
    print()
    print_table(decision_view(table), False)
    print()
    print(answer(Decision(table, choice, int(winner.iloc[0]) if len(winner) else None)))
    print(f"explain  dse explain {opened.path} {int(table['row'].iloc[0] if not len(winner) else winner.iloc[0])}")


def print_layers(summary: dict[str, Any]) -> None:
    import pandas as pd

    print_table(pd.DataFrame(summary["layers"]), False)
    print(
        f"{summary['name']}: {summary['macs']:,} MACs, {summary['parameters']:,} weights, {summary['model_kib']:.1f} KiB, {summary['precision']}"
    )
    if summary["host"]:
        print(f"computed by the host: {', '.join(f'{count} {name}' for name, count in summary['host'].items())}")
