"""What came out of a synthesis, in columns that mean the same for every target."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodels.synthesis.targets import Family, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Resources of one point. LUTs used as memory are in `lutram` only; of an ASIC only area_um2, ff and delay_ps are set."""

    lut: int = 0
    lutram: int = 0
    ff: int = 0
    carry: int = 0
    ram_kbit: int = 0
    dsp: int = 0
    area_um2: float = 0.0
    delay_ps: float = 0.0
    """Longest path between flip-flops or ports as abc estimates it, without wires; 0 where it does not say."""
    clock_mhz: float = 0.0
    """After place and route, median of the seeds; 0 where it was not routed."""


def read_counts(folder: Path, target: Target) -> Counts:
    """Counts of the files that a synthesis left. Raises ValueError where they do not say."""
    text = (folder / "counts.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text[text.index("{") :])["design"]
    cells = {name: _number(value) for name, value in found["num_cells_by_type"].items()}
    if not cells:
        raise ValueError("it gave no cells at all")
    if target.family:
        return _fpga(cells, target.family)
    if not float(found.get("area", 0)) > 0:
        raise ValueError(f"target {target.name}: synthesis must give an area, but it gave none")
    ff = sum(number for name, number in cells.items() if name in target.flip_flops)
    return Counts(ff=ff, area_um2=float(found["area"]), delay_ps=_delay(folder / "abc.log"))


def _fpga(cells: Mapping[str, int], family: Family) -> Counts:
    return Counts(
        lut=_weighted(cells, family.lut),
        lutram=_weighted(cells, family.lutram),
        ff=_named(cells, family.flip_flop),
        carry=_named(cells, family.carry),
        ram_kbit=_weighted(cells, family.ram_kbit),
        dsp=_named(cells, family.dsp),
    )


def _number(value: Any) -> int:
    """Cells of a type: Yosys writes a number, or with liberty files a record."""
    return int(value["count"] if isinstance(value, dict) else value)


def _weighted(cells: Mapping[str, int], weights: Mapping[str, int]) -> int:
    return sum(number * weights.get(name, 0) for name, number in cells.items())


def _named(cells: Mapping[str, int], starts: Sequence[str]) -> int:
    return sum(number for name, number in cells.items() if name.startswith(tuple(starts)))


def _delay(log: Path) -> float:
    """The last `Delay = 123.4 ps` of abc's report."""
    found = re.findall(r"Delay\s*=\s*([0-9.]+) ps", log.read_text(encoding="utf-8", errors="replace"))
    return float(found[-1]) if found else 0.0
