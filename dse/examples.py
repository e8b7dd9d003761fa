"""Where the shipped example lies: beside the packages in a checkout, inside this package in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PLACES = (Path(__file__).parent / "examples" / "digits", Path(__file__).parent.parent / "examples" / "digits")


def digits() -> Path:
    """The folder of the digits example. Raises ValueError where it was not installed."""
    for place in _PLACES:
        if (place / "experiment.toml").is_file():
            return place
    raise ValueError(f"the digits example must be installed with the package, but is not in {_PLACES[0]}")
