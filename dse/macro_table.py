"""`dse characterize-sram`: macros read from liberty files into a table, and the errors of a model fitted without each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hwmodels.macro_model import FIGURES, left_out
from hwmodels.macros import Macro, read_macro, write_macros


def characterize_macros(liberty: Sequence[Path], output: Path | None) -> pd.DataFrame:
    """Read, write to `output` if that is given, and compare. Raises ValueError for a file that is no whole macro, or fewer than five."""
    macros = [read_macro(path) for path in liberty]
    if output is not None:
        write_macros(macros, output)
    return macro_table(macros)


def macro_table(macros: Sequence[Macro]) -> pd.DataFrame:
    """One row per macro: what the foundry states, and by how much a model fitted to the other macros misses it."""
    errors = left_out(macros)
    rows = []
    for index, macro in enumerate(macros):
        stated = {name: getattr(macro, name) for name in FIGURES}
        missed = {f"{name.rsplit('_', 1)[0]}_error": errors[name][index] for name in FIGURES}
        rows.append({"macro": macro.name, **stated, **missed})
    return pd.DataFrame(rows)
