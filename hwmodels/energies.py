"""Energies of logic fitted to gate-level simulations: what toggles (`hwmodels.toggles`) times fJ.

The coefficients are least squares of the errors relative to the whole dynamic energy, none negative. What a PE costs is fitted to
random streams alone; what the grid adds, to whole arrays on real data. Clock pins are counted: every flip-flop pays in every cycle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from hwmodels.areas import PES, fitted
from hwmodels.design import PARTS, Design
from hwmodels.least_squares import relative
from hwmodels.rates import RANDOM, Rates
from hwmodels.structure import REGISTER, Features, Machine, Number, features_of
from hwmodels.structure import counts as unit_counts
from hwmodels.switching.table import EnergyTable, Sample, shipped_energy_table
from hwmodels.toggles import PE_FEATURES, PIPELINE, STAGES, grid_features, pipeline_features, worked

CONTROL = ("sequencer", "loader", "writer", "controller", "columns", "drain")
UNIT = {"post_unit": "threshold_compares", "vector_unit": "vector_words"}
"""The action that a unit's energy is counted by."""
UNIT_BITS: Mapping[str, Callable[[Design], float]] = {
    "post_unit": lambda k: k.acc_bits / k.rows,
    "vector_unit": lambda k: k.width,
}
"""Bits or lanes that an action of such a unit moves; a post unit serves one of the rows."""
CYCLES = "cycles"
"""The action of what costs energy in every cycle, whatever the machine does."""


@dataclass(frozen=True, slots=True)
class Event:
    """fJ each time that an action of `Actions` (or CYCLES) happens, `times` a time; by which coefficients, as `named` names them."""

    component: str
    name: str
    action: str
    times: Number
    each_fj: Number
    coefficients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Energies:
    """Coefficients of one target: fJ by unit, part and feature; fJ of a flip-flop's clock pin a cycle, in a PE, and
    where registers seldom move (a cell's clock takes less where its state stays 0); leakage of an area.

    `glitches` is by how much a unit-delay simulation exceeds the settled toggles: a bracket that no coefficient holds. It and the
    leakage are lowest, median and highest of the points.
    """

    target: str
    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]
    clock_fj: float
    still_clock_fj: float
    leakage_nw_um2: tuple[float, float, float]
    glitches: tuple[float, float, float]

    def pe_parts_fj(self, k: Machine, rates: Rates = RANDOM) -> dict[str, Number]:
        """fJ of a PE in a cycle of work, by part, its clock pins apart."""
        unit = PES[k.kind]
        found = {**PE_FEATURES[unit](k, rates), PIPELINE: pipeline_features(k, rates)}
        return {part: _sum(self.coefficients[unit][part], features) for part, features in found.items()}

    def events(self, k: Machine, rates: Rates = RANDOM) -> list[Event]:
        """Everything that costs dynamic energy in a machine."""
        return [*self._pe_events(k, rates), *self._grid_events(k, rates), *self._unit_events(k), *self._clock_events(k)]

    @property
    def named(self) -> dict[str, float]:
        """fJ of every coefficient above 0 under a name of its own, the clock pins of a flip-flop among them."""
        found = {_name(unit, feature): value for unit, feature, value in self._all() if value}
        return found | {CLOCK: self.clock_fj, STILL: self.still_clock_fj}

    def _all(self) -> Iterator[tuple[str, str, float]]:
        for unit, parts in self.coefficients.items():
            for features in parts.values():
                yield from ((unit, feature, value) for feature, value in features.items())

    def _pe_events(self, k: Machine, rates: Rates) -> list[Event]:
        unit, parts = PES[k.kind], self.pe_parts_fj(k, rates)
        return [
            Event("pe", PE_WORDS[unit][part], *worked(k, part), each, self._used(unit, *self.coefficients[unit][part]))
            for part, each in parts.items()
        ]

    def _grid_events(self, k: Machine, rates: Rates) -> list[Event]:
        found = self.coefficients["grid"]["all"]
        return [
            Event("pe", f"grid, {name}", action, times, found[name], self._used("grid", name))
            for name, (action, times) in grid_features(k, rates).items()
        ]

    def _unit_events(self, k: Machine) -> list[Event]:
        post, vector, control = (self.coefficients[unit]["all"] for unit in (*UNIT, "control"))
        return [
            Event(
                "post",
                "threshold compare bits",
                UNIT["post_unit"],
                k.acc_bits,
                post["compared bit"],
                self._used("post_unit", "compared bit"),
            ),
            Event(
                "post", "vector lanes", UNIT["vector_unit"], k.width, vector["lane"], self._used("vector_unit", "lane")
            ),
            Event(
                "control", "control that toggles, cycles", CYCLES, 1, control["cycle"], self._used("control", "cycle")
            ),
        ]

    def _clock_events(self, k: Machine) -> list[Event]:
        """A flip-flop's clock pin in every cycle, by component: as many as the RTL has."""
        model, found = fitted(self.target), dict[str, Number]()
        for unit, many in unit_counts(k).items():
            place = (
                "PEs" if unit in PES.values() else "grid" if unit == "grid" else "post" if unit in UNIT else "control"
            )
            found[place] = found.get(place, 0) + many * model.unit("ff", unit, k)
        return [
            Event("pe", "clock pins, PEs", CYCLES, found.pop("PEs"), self.clock_fj, (CLOCK,)),
            *(
                Event(
                    "pe" if place == "grid" else place,
                    f"clock pins, {place}",
                    CYCLES,
                    many,
                    self.still_clock_fj,
                    (STILL,),
                )
                for place, many in found.items()
            ),
        ]

    def _used(self, unit: str, *features: str) -> tuple[str, ...]:
        """Names of a part's coefficients, or of one of them."""
        named = (_name(unit, one) for one in features)
        return tuple(name for name in named if name in self.named)


PE_WORDS = {
    "pe": {
        "operands": "operand pins",
        "count": "xnor and popcount",
        "sum": "branch combine",
        "accumulate": "accumulate",
        PIPELINE: "pipeline registers",
    },
    "pe_mac": {
        "operands": "operand pins",
        "count": "multipliers",
        "sum": "sum of products",
        "accumulate": "accumulate",
        PIPELINE: "pipeline registers",
    },
}
"""Names of a PE's parts."""
CLOCK, STILL = "pe_flip_flop_clock_energy", "flip_flop_clock_energy"
CLOCKS = (CLOCK, STILL)


def _name(unit: str, feature: str) -> str:
    """Such as pe_full_adder_energy."""
    return re.sub(r"\W+", "_", f"{unit} {feature} energy")


def pe_energy_pj(target: str, design: Design, rates: Rates = RANDOM) -> float:
    """pJ of one PE of a design in a cycle of work, clock pins of its flip-flops included; leakage is not.

    In such a cycle an array PE does `width` x `lanes_a` x `lanes_w` xnor-popcount bits, a mac PE `width` products of all bits. A
    product of M x K bits by one lane takes M x K cycles. Raises ValueError for a target without energies.
    """
    found = energies(target)
    registers = float(fitted(target).unit("ff", PES[design.kind], design))
    return float(sum(found.pe_parts_fj(design, rates).values()) + registers * found.clock_fj) / 1000.0


@cache
def energies(target: str) -> Energies:
    """The fit of a table that comes with the package. Raises ValueError listing the targets."""
    return fit(shipped_energy_table(target))


def fit(table: EnergyTable, samples: Iterable[Sample] | None = None) -> Energies:
    """Coefficients of a table, or of some of its samples. Raises ValueError where a unit has none."""
    chosen = list(table.samples if samples is None else samples)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for unit in PE_FEATURES:
        own = [one for one in _needed(chosen, unit) if one.point.design.pe_cycles == len(PARTS)]
        found[unit] = {part: _fit_part(own, unit, part) for part in STAGES}
        found[unit][PIPELINE] = {"pipeline bit": 0.0}
    clock_fj = float(np.median([one.clock_fj / one.flip_flops for one in chosen if one.point.block in PE_FEATURES]))
    still = [one for one in chosen if one.point.block not in PE_FEATURES]
    partial = Energies(
        target=table.head["target"],
        coefficients=found,
        clock_fj=clock_fj,
        still_clock_fj=float(np.median([_still_fj(one, clock_fj) for one in still])) if still else clock_fj,
        leakage_nw_um2=_spread([one.leakage_nw / one.area_um2 for one in chosen]),
        glitches=_spread([one.glitches for one in chosen if one.glitches] or [1.0]),
    )
    for unit in PE_FEATURES:
        deep = [one for one in _needed(chosen, unit) if one.point.design.pe_cycles > len(PARTS)]
        found[unit][PIPELINE] = _fit_pipeline(deep, partial) if deep else found[unit][PIPELINE]
    found["grid"] = {"all": _fit_grid(_needed(chosen, "array", kind="array"), partial)}
    for unit, feature in (("post_unit", "compared bit"), ("vector_unit", "lane")):
        found[unit] = {"all": {feature: _per_action(_needed(chosen, unit), unit)}}
    found["control"] = {
        "all": {"cycle": sum(float(np.mean([one.switching_fj for one in _needed(chosen, unit)])) for unit in CONTROL)}
    }
    return partial


def predicted_fj(found: Energies, sample: Sample) -> float:
    """Dynamic fJ a cycle of a sample's block by the fit; its flip-flops are counted, not fitted."""
    k, block = sample.point.design, sample.point.block
    clock = _moving(sample) * found.clock_fj + (sample.flip_flops - _moving(sample)) * found.still_clock_fj
    if block in PE_FEATURES:
        return clock + float(sum(found.pe_parts_fj(k, sample.rates).values()))
    if block == "array":
        return clock + _array_fj(found, sample)
    if block in UNIT:
        return clock + _unit_fj(found, sample)
    raise ValueError(f"block {block}: must be a PE, an array, a post unit or a vector unit to be predicted")


def predicted_control_fj(found: Energies, samples: Sequence[Sample]) -> float:
    """The same of all units of control together."""
    clock = found.still_clock_fj * sum(one.flip_flops for one in samples)
    return clock + found.coefficients["control"]["all"]["cycle"]


def _moving(sample: Sample) -> int:
    """Flip-flops of a sample that are those of PEs."""
    k, block = sample.point.design, sample.point.block
    each = int(features_of(PES[k.kind], k)[REGISTER])
    return {"array": k.rows * k.cols * each, **dict.fromkeys(PE_FEATURES, sample.flip_flops)}.get(block, 0)


def _still_fj(sample: Sample, clock_fj: float) -> float:
    """fJ of the clock pin of a flip-flop outside the PEs."""
    return (sample.clock_fj - _moving(sample) * clock_fj) / (sample.flip_flops - _moving(sample))


def _array_fj(found: Energies, sample: Sample) -> float:
    grid = grid_features(sample.point.design, sample.rates)
    return _pes_fj(found, sample) + sum(
        sample.work[action] / sample.cycles * float(times) * found.coefficients["grid"]["all"][name]
        for name, (action, times) in grid.items()
    )


def _unit_fj(found: Energies, sample: Sample) -> float:
    """What a post unit, one of the rows', or the vector unit takes, a cycle, without clock pins."""
    block = sample.point.block
    bits = UNIT_BITS[block](sample.point.design)
    (each,) = found.coefficients[block]["all"].values()
    return sample.work[UNIT[block]] / sample.cycles * bits * each


def _pes_fj(found: Energies, sample: Sample) -> float:
    """What the PEs of an array take, a cycle, without clock pins."""
    k, total = sample.point.design, 0.0
    for part, each in found.pe_parts_fj(k, sample.rates).items():
        action, times = worked(k, part)
        total += sample.work[action] / sample.cycles * float(times) * float(each)
    return total


def _fit_part(samples: Sequence[Sample], unit: str, part: str) -> dict[str, float]:
    """fJ by feature; control that comes in counts with the accumulator."""
    also = ("hold", "other") if part == "accumulate" else ()
    values = np.array([sum(one.parts_fj[name] for name in (part, *also)) for one in samples])
    rows = [_parts(unit, one.point.design, one.rates)[part] for one in samples]
    return relative(rows, values, np.array([one.dynamic_fj for one in samples]))


@lru_cache(maxsize=8192)
def _parts(unit: str, design: Design, rates: Rates) -> Mapping[str, Features]:
    """The features of a PE by part, kept: a fit asks for them once a part and subset of its samples."""
    return PE_FEATURES[unit](design, rates)


def _fit_pipeline(samples: Sequence[Sample], known: Energies) -> dict[str, float]:
    """fJ by feature of what deeper PEs take beyond others."""
    left = [one.switching_fj - float(sum(known.pe_parts_fj(one.point.design, one.rates).values())) for one in samples]
    rows = [pipeline_features(one.point.design, one.rates) for one in samples]
    return relative(rows, np.array(left), np.array([one.dynamic_fj for one in samples]))


def _fit_grid(samples: Sequence[Sample], known: Energies) -> dict[str, float]:
    """fJ by feature of what arrays take beyond their PEs."""
    left, rows = [], []
    for one in samples:
        left.append(one.switching_fj - _pes_fj(known, one))
        features = grid_features(one.point.design, one.rates)
        rows.append({name: one.work[action] / one.cycles * float(times) for name, (action, times) in features.items()})
    return relative(rows, np.array(left), np.array([one.dynamic_fj for one in samples]))


def _per_action(samples: Sequence[Sample], unit: str) -> float:
    """fJ a bit each time that the unit's action happens: all energy over all actions."""
    done = sum(one.work[UNIT[unit]] * UNIT_BITS[unit](one.point.design) for one in samples)
    return sum(one.switching_fj * one.cycles for one in samples) / done if done else 0.0


def _needed(samples: Sequence[Sample], block: str, *, kind: str | None = None) -> list[Sample]:
    own = [one for one in samples if one.point.block == block and kind in (None, one.point.design.kind)]
    if not own:
        raise ValueError(f"energies: a fit must have samples of {block}, but there is none")
    return own


def _sum(coefficients: Mapping[str, float], features: Features) -> Number:
    return sum(value * features[name] for name, value in coefficients.items())


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lowest, median, highest."""
    return min(values), float(np.median(values)), max(values)
