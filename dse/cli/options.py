"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ResultsFolder = Annotated[Path, typer.Argument(help="Folder that `dse sweep` wrote.")]
Technology = Annotated[str | None, typer.Option(help="One of the technologies that were swept [default: the first].")]
Minimise = Annotated[
    str | None, typer.Option(help="Column that makes a design best [default: as the experiment says].")
]
Require = Annotated[
    list[str] | None, typer.Option(help="What a precision must satisfy to win, e.g. 'accuracy >= 0.98'.")
]
NetworkName = Annotated[
    str, typer.Argument(help="A built-in network, a layer table (.csv, .yaml, .toml), or the path of an encoded one.")
]
ActBits = Annotated[
    int | None,
    typer.Option("--m", min=1, max=8, help="Activation bits [default: 1, of a layer table its own]."),
]
WeightBits = Annotated[
    int | None, typer.Option("--k", min=1, max=8, help="Weight bits [default: 1, of a layer table its own].")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes; the results do not depend on it.")]
DesignText = Annotated[str, typer.Argument(metavar="DESIGN", help="TOML file with knobs, or rows=16,cols=8,...")]
