"""A cell library small enough to be worked by hand, and netlists of it as Yosys would write them."""

from __future__ import annotations

import json
from pathlib import Path

from hwmodels.liberty import parse_liberty
from hwmodels.switching.cells import Cells, cells_of
from hwmodels.switching.netlist import Netlist, read_netlist

# 2 V, so that 1/2 C V^2 is 2 fJ for every fF. Energies of INV rise with transition and load: 1 + 4 slew/ns + 0.2 load/fF fJ.
LIBRARY = """
library (toy) {
  time_unit : "1ns"; capacitive_load_unit (1, pf); leakage_power_unit : "1nW"; nom_voltage : 2;
  power_lut_template (grid) { variable_1 : input_transition_time; variable_2 : total_output_net_capacitance; }
  power_lut_template (turned) { variable_1 : total_output_net_capacitance; variable_2 : input_transition_time; }
  power_lut_template (edge) { variable_1 : input_transition_time; index_1 ("0, 1"); }
  cell (INV) {
    area : 1; cell_leakage_power : 4;
    leakage_power () { when : "!A"; value : 2; }
    leakage_power () { when : "A"; value : 6; }
    pin (A) { direction : input; capacitance : 0.002; }
    pin (Y) {
      direction : output; function : "!A";
      timing () { related_pin : "A"; rise_transition (scalar) { values ("0.4"); } fall_transition (scalar) { values ("0.6"); } }
      internal_power () {
        related_pin : "A";
        rise_power (grid) { index_1 ("0, 1"); index_2 ("0, 0.01"); values ("0.001, 0.003", "0.005, 0.007"); }
        fall_power (turned) { index_1 ("0, 0.01"); index_2 ("0, 1"); values ("0.002, 0.002", "0.002, 0.002"); }
      }
    }
  }
  cell (NAND2) {
    area : 2; cell_leakage_power : 1;
    pin (A) { direction : input; capacitance : 0.001; }
    pin (B) {
      direction : input; capacitance : 0.003;
      internal_power () { when : "!A"; rise_power (scalar) { values ("0.0005"); } fall_power (scalar) { values ("0.00025"); } }
    }
    pin (Y) {
      direction : output; function : "(A B)'";
      internal_power () { related_pin : "A"; rise_power (scalar) { values ("0.010"); } fall_power (scalar) { values ("0.020"); } }
      internal_power () { related_pin : "B"; rise_power (scalar) { values ("0.030"); } fall_power (scalar) { values ("0.040"); } }
    }
  }
  cell (TIE) {
    area : 1;
    leakage_power () { value : 3; }
    pin (Y) { direction : output; function : "1"; }
  }
  cell (DFF) {
    area : 6; cell_leakage_power : 8;
    ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (CK) {
      direction : input; capacitance : 0.001;
      internal_power () { when : "D&Q"; rise_power (edge) { values ("0.001, 0.001"); } fall_power (edge) { values ("0.002, 0.002"); } }
      internal_power () { when : "!D&!Q"; rise_power (scalar) { values ("0.003"); } fall_power (scalar) { values ("0.004"); } }
      internal_power () { when : "D&!Q"; rise_power (scalar) { values ("0"); } fall_power (scalar) { values ("0.005"); } }
      internal_power () { rise_power (scalar) { values ("0"); } fall_power (scalar) { values ("0.006"); } }
    }
    pin (D) {
      direction : input; capacitance : 0.001;
      internal_power () { when : "CK"; rise_power (scalar) { values ("0.0005"); } fall_power (scalar) { values ("0.00025"); } }
      internal_power () { when : "!CK"; rise_power (scalar) { values ("9"); } fall_power (scalar) { values ("9"); } }
    }
    pin (Q) {
      direction : output; function : "IQ";
      internal_power () { related_pin : "CK"; rise_power (scalar) { values ("0.010"); } fall_power (scalar) { values ("0.012"); } }
    }
    pin (QN) { direction : output; function : "IQN"; }
  }
}
"""


def toy_cells(text: str = LIBRARY) -> Cells:
    """The library, or a changed one."""
    return cells_of([parse_liberty(text, "toy.lib")])


def netlist(
    folder: Path, inputs: dict[str, int], outputs: dict[str, int], *cells: tuple[str, dict[str, int | str]],
    library: Cells | None = None,
) -> Netlist:  # fmt: skip
    """Nets by number, from 2 on; cells as (type, net by pin). The clock is the input "clk_i", if there is one."""
    ports = {name: {"direction": "input", "bits": [net]} for name, net in inputs.items()}
    ports |= {name: {"direction": "output", "bits": [net]} for name, net in outputs.items()}
    module = {
        "ports": ports,
        "cells": {
            f"c{place}": {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
            for place, (kind, pins) in enumerate(cells)
        },
        "netnames": {name: {"hide_name": 0, "bits": port["bits"]} for name, port in ports.items()}
        | {f"n{net}": {"hide_name": 1, "bits": [net]} for _, pins in cells for net in pins.values()},
    }
    path = folder / "net.json"
    path.write_text(json.dumps({"modules": {"top": module}}), encoding="utf-8")
    return read_netlist(path, "top", library or toy_cells())
