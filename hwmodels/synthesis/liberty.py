"""Liberty files, as far as synthesis needs them: is the file whole, which cells does it hold, which of them are flip-flops."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from hwmodels.liberty import text_of


@dataclass(frozen=True, slots=True)
class Library:
    """What a liberty file says of itself. `flip_flops` are cells with an `ff` group; `sized` those with an area above 0."""

    name: str
    digest: str
    voltage_v: float | None
    cells: tuple[str, ...]
    sized: tuple[str, ...]
    flip_flops: tuple[str, ...]


def library(path: Path) -> Library:
    """Reads one file. Raises ValueError where it is no liberty file, is truncated, or a cell group never ends."""
    text = text_of(path)
    plain = ASIDE.sub(lambda found: found[1] or "", text)
    start = re.search(r"\blibrary\s*\(\s*([^)\s]*)\s*\)\s*\{", plain)
    if start is None:
        raise ValueError(f"{path}: must be a liberty file, but has no `library (...) {{`")
    if plain.count("{") != plain.count("}"):
        raise ValueError(
            f"{path}: must be a whole liberty file, but {plain.count('{')} groups begin and {plain.count('}')} end"
        )
    cells = {found[1]: _group(plain, found.end()) for found in re.finditer(CELL, plain)}
    voltage = re.search(r"\bnom_voltage\s*:\s*([0-9.]+)", plain)
    return Library(
        name=start[1].strip('"') or path.name.split(".lib")[0],
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        voltage_v=float(voltage[1]) if voltage else None,
        cells=tuple(cells),
        sized=tuple(name for name, body in cells.items() if (area := AREA.search(body)) and float(area[1]) > 0),
        flip_flops=tuple(name for name, body in cells.items() if FLIP_FLOP.search(body)),
    )


def check_libraries(paths: tuple[Path, ...]) -> tuple[Library, ...]:
    """All files of one technology. Raises ValueError where together they cannot price a synchronous machine."""
    found = tuple(library(path) for path in paths)
    where = ", ".join(str(path) for path in paths)
    if not any(one.cells for one in found):
        raise ValueError(f"{where}: must hold cells, but there is no `cell` group")
    if not any(one.flip_flops for one in found):
        raise ValueError(f"{where}: must hold flip-flops, but no cell has an `ff` group")
    cells, sized = (sum(len(getattr(one, name)) for one in found) for name in ("cells", "sized"))
    if 2 * sized < cells:
        raise ValueError(f"{where}: cells must have an area, but only {sized} of {cells} have one above 0")
    return found


# Comments, and strings: a name in quotes stays as the name, tables and formulas go.
ASIDE = re.compile(r"/\*.*?\*/|//[^\n]*|\"([\w.-]*)\"|\"[^\"]*\"", flags=re.S)
CELL = re.compile(r"\bcell\s*\(\s*([\w.-]*)\s*\)\s*\{")
BRACE = re.compile(r"[{}]")
AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)")
FLIP_FLOP = re.compile(r"\bff\s*\(")


def _group(text: str, start: int) -> str:
    """The text from `start`, just behind a brace, to the brace that closes it."""
    depth = 1
    for found in BRACE.finditer(text, start):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return text[start : found.start()]
    return text[start:]
