"""The engine's SystemVerilog files, lowest module first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

ENGINE = (
    "delay", "popcount", "accumulator", "odd_code", "bank", "pe", "pe_mac", "plane_order", "tile_order", "sequencer", "columns", "grid",
    "vector_unit", "drain", "post_unit", "axis_walker", "load_walker", "loader", "out_buffer", "writer", "controller", "arbiter", "engine",
)  # fmt: skip
TESTBENCH = "tb"
PACKAGE = "dse_pkg.sv"
WAIVERS = "lint.vlt"


@cache
def sources() -> Mapping[str, str]:
    """Text of every file by its name: modules, testbench, lint waivers. The package comes from `hwmodels.rtl.package`."""
    names = [*(f"{name}.sv" for name in (*ENGINE, TESTBENCH)), WAIVERS]
    return MappingProxyType({name: (files("hwmodels.rtl") / name).read_text(encoding="utf-8") for name in names})
