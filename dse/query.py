"""`dse query`: SQL over the rows of a results folder, by DuckDB (extra `query`). It reads these rows and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.dataset

from dse.optima import axis_optima
from dse.results import Results

LOCKED = (
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
"""No file, no network, no variable of this program: what the query names must be a table that it was given."""


def query(opened: Results, sql: str) -> pd.DataFrame:
    """The answer to one SELECT over the tables `rows` (all columns of docs/results.md), `networks` (of the manifest) and `axes`
    (the best at every value of every knob).

    Raises ValueError, one line, for SQL that is wrong or does anything but read, and where DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ValueError("query: needs DuckDB; install it with `pip install 'dse-xnor[query]'`") from None
    with duckdb.connect(":memory:") as connection:
        # A copy of a whole sweep would not fit in memory; DuckDB reads columns and rows of the parts as it needs them.
        connection.register("rows", pyarrow.dataset.dataset([str(path) for path in opened.parts()], format="parquet"))
        connection.register("networks", _networks(opened))
        if re.search(r"\baxes\b", sql, re.IGNORECASE):
            connection.register("axes", axis_optima(opened))
        for setting in LOCKED:
            connection.execute(setting)
        try:
            _check_reads(duckdb.extract_statements(sql), duckdb.StatementType)
            answer: pd.DataFrame = connection.execute(sql).df()
        except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"query: {_line(error)}") from None
    return answer


def _check_reads(statements: Sequence[object], kinds: object) -> None:
    reading = {getattr(kinds, name) for name in ("SELECT", "EXPLAIN")}
    if len(statements) != 1 or getattr(statements[0], "type", None) not in reading:
        raise ValueError(
            f"query: must be one SELECT over the tables rows, networks and axes, not {len(statements)} statement(s) that do more"
        )


def _networks(opened: Results) -> pa.Table:
    kept = [{name: value for name, value in entry.items() if name != "shape"} for entry in opened.manifest["networks"]]
    return pa.Table.from_pylist(kept)


def _line(error: Exception) -> str:
    """What DuckDB says, without the drawing of where in the query it is."""
    return " ".join(str(error).split("\n\nLINE ", maxsplit=1)[0].split())
