"""Latency, energy, area or resources of one design, or of many: numbers with their units in the name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodels.activity import Activity
from hwmodels.areas import fitted
from hwmodels.build import Build
from hwmodels.clocks import max_clock_mhz
from hwmodels.design import Design
from hwmodels.energy import energy_terms
from hwmodels.knobs import Knobs
from hwmodels.rates import RANDOM, Rates
from hwmodels.silicon import area_terms, resource_terms
from hwmodels.technology import Technology
from hwmodels.terms import Number, Term, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Every field is a number, or an array over designs; what a technology does not have is NaN."""

    latency_cycles: Number
    latency_us: Number
    throughput_per_s: Number
    energy_nj: Number
    energy_pe_nj: Number
    energy_post_nj: Number
    energy_buffer_nj: Number
    energy_memory_nj: Number
    energy_control_nj: Number
    energy_leakage_nj: Number
    power_mw: Number
    area_mm2: Number
    area_pe_mm2: Number
    area_post_mm2: Number
    area_buffer_mm2: Number
    area_memory_mm2: Number
    area_control_mm2: Number
    lut: Number
    lut_pe: Number
    lut_post: Number
    lut_buffer: Number
    lut_control: Number
    ff: Number
    bram36: Number
    dsp: Number
    max_clock_mhz: Number
    outside_fit: Number
    bandwidth_gbit_s: Number


def price(activity: Activity, build: Build, technology: Technology, rates: Rates = RANDOM) -> Cost:
    """Activity x parts x constants; latency_us = cycles / MHz, power = energy / latency; `rates` of the data that it works on."""
    cycles = activity.cycles.total
    latency_us = cycles / build.clock_mhz
    energy = energy_terms(activity, build, technology, rates)
    parts = ("pe", "post", "buffer", "memory", "control", "leakage")
    nanojoules = {name: total(energy, component=name) / 1000.0 for name in parts}
    energy_nj = sum(nanojoules.values())
    bits = activity.memory_read_bits + activity.memory_write_bits
    return Cost(
        latency_cycles=cycles,
        latency_us=latency_us,
        throughput_per_s=1e6 / latency_us,
        energy_nj=energy_nj,
        **{f"energy_{name}_nj": value for name, value in nanojoules.items()},
        # 1 nJ in 1 us is 1 mW; 1 bit in 1 us is 0.001 Gbit/s.
        power_mw=energy_nj / latency_us,
        bandwidth_gbit_s=bits / latency_us / 1000.0,
        **silicon(build, technology),
    )


def silicon(build: Build, technology: Technology) -> dict[str, Any]:
    """Area columns of an ASIC or resource columns of an FPGA, the others NaN; the fastest clock; and whether they are extrapolated."""
    area = area_terms(build, technology) if technology.kind == "asic" else ()
    parts = resource_terms(build, technology) if technology.kind == "fpga" else ()
    columns: dict[str, Any] = {"area_mm2": _of(area, 1e6), "lut": _whole(parts, "lut")}
    for name in ("pe", "post", "buffer", "memory", "control"):
        columns[f"area_{name}_mm2"] = total(area, component=name) / 1e6 if area else np.nan
    for name in ("pe", "post", "buffer", "control"):
        columns[f"lut_{name}"] = _whole(parts, "lut", name)
    columns |= {unit: _whole(parts, unit) for unit in ("ff", "bram36", "dsp")}
    limit = max_clock_mhz(build, technology)
    return columns | {"max_clock_mhz": limit, "outside_fit": _outside_fit(build.knobs, technology)}


def _outside_fit(knobs: Design | Knobs, technology: Technology) -> Number:
    """1 where the area is extrapolated beyond the synthesized machines, else 0."""
    return np.where(fitted(technology.fit).outside(knobs), 1, 0) if technology.fit else 0


def _of(terms: tuple[Term, ...], scale: float) -> Number:
    return total(terms) / scale if terms else np.nan


def _whole(terms: tuple[Term, ...], unit: str, component: str | None = None) -> Number:
    return np.ceil(total(terms, component=component, unit=unit)) if terms else np.nan
