"""One design from the command line: a TOML file with its knobs, or `rows=16,cols=8`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hwmodels.design import Design
from hwmodels.technology import TECHNOLOGIES

KNOBS = {item.name: type(getattr(Design(), item.name)) for item in fields(Design)}
"""Name and type of every knob."""


def load_design(text: str) -> Design:
    """A design from a file (`knob = value` lines, or a [design] table) or from `knob=value,knob=value`.

    Raises ValueError, one line, naming the file and the knob.
    """
    if "=" in text:
        return _design(dict(_pair(part, text) for part in text.split(",")), text)
    path = Path(text)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{text}: must be a readable TOML file or knob=value pairs, but {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{text}: must be TOML, but {error}") from error
    table = data.get("design", data)
    if not isinstance(table, Mapping):
        raise ValueError(f"{text}: design must be a table of knobs, not {table!r}")
    return _design(table, text)


def _pair(part: str, text: str) -> tuple[str, Any]:
    name, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals or not name or not value:
        raise ValueError(f"{text}: must be knob=value pairs with commas between, not {part!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _design(knobs: Mapping[str, Any], where: str) -> Design:
    for name, value in knobs.items():
        _check(name, value, where)
    try:
        return Design(**knobs)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _check(name: str, value: Any, where: str) -> None:
    if name not in KNOBS:
        near = get_close_matches(name, KNOBS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{where}: {name!r} must be a knob of a design{hint}; the knobs are {', '.join(KNOBS)}")
    wanted = KNOBS[name]
    fits = isinstance(value, (int, float) if wanted is float else wanted) and (
        wanted is bool or not isinstance(value, bool)
    )
    if not fits:
        raise ValueError(f"{where}: {name} must be a value of type {wanted.__name__}, not {value!r}")
    if name == "technology" and value not in TECHNOLOGIES:
        raise ValueError(f"{where}: technology must be one of {', '.join(TECHNOLOGIES)}, not {value!r}")
