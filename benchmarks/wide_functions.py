"""LUTs of PEs on ECP5 with and without functions of five to seven inputs: why they are off.

`python benchmarks/wide_functions.py clock` places and routes the two that the documentation names as well (minutes).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hwmodels.design import Design
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.counts import Counts
from hwmodels.synthesis.routing import routed
from hwmodels.synthesis.targets import Target, target
from hwmodels.synthesis.yosys import find_yosys, synthesize

TIMEOUT_S = 900.0
OFF = " -nowidelut"


def flows() -> dict[str, Target]:
    """ECP5 as it is characterized, and with wide functions."""
    aim = target("ecp5")
    assert aim.family is not None
    commands = tuple(command.replace(OFF, "") for command in aim.family.synthesis)
    return {"off": aim, "on": replace(aim, family=replace(aim.family, synthesis=commands))}


def points() -> list[Point]:
    """The routed ones of them first."""
    base = Design(rows=8, width=8, port_bits=8, weight_depth=512)
    xnor = (
        (64, 1, 1, 2, 2, 256), (12, 2, 2, 4, 4, 512), (8, 4, 4, 8, 8, 512), (16, 1, 1, 8, 8, 1024), (128, 1, 1, 4, 4, 512),
        (16, 4, 4, 4, 4, 1024),
    )  # fmt: skip
    mac = [(8, 4, 4), (8, 1, 1), (16, 1, 1), (32, 1, 1), (16, 4, 4), (8, 5, 4), (8, 8, 8)]
    pes = [
        Point("pe", replace(base, rows=w, width=w, port_bits=w, lanes_a=la, lanes_w=lw, max_act_bits=m, max_weight_bits=k, weight_depth=d))
        for w, la, lw, m, k, d in xnor
    ]  # fmt: skip
    macs = [
        Point("pe_mac", replace(base, kind="mac", rows=w, width=w, port_bits=w, max_act_bits=m, max_weight_bits=k))
        for w, m, k in mac
    ]
    return [pes[0], macs[0], *pes[1:], *macs[1:]]


def counted(point: Point, aim: Target, *, clock: bool) -> Counts:
    """What a flow makes of a PE."""
    with TemporaryDirectory() as folder:
        found = synthesize(point, aim, find_yosys(), Path(folder), timeout_s=TIMEOUT_S).counts
        return routed(found, point, aim, Path(folder), timeout_s=TIMEOUT_S) if clock else found


if __name__ == "__main__":
    for place, point in enumerate(points()):
        found = {name: counted(point, aim, clock=place < 2 and "clock" in sys.argv) for name, aim in flows().items()}
        said = ", ".join(
            f"{name} {one.lut} LUT" + (f" {one.clock_mhz:g} MHz" if one.clock_mhz else "")
            for name, one in found.items()
        )
        print(f"{point.name}: wide functions {said}", flush=True)
