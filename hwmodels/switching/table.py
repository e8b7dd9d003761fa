"""Tables of gate-level energy: one CSV a target, under a head that says by what, from what and under which assumptions it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hwmodels.headed_csv import Form, line
from hwmodels.rates import Rates
from hwmodels.synthesis.blocks import KNOBS, Point, design_of

PARTS = ("operands", "count", "sum", "accumulate", "hold", "other")
"""Where toggles cost energy: nets of the operands; xnor and popcount, or multipliers; the sum of branches, or of products; the
accumulator; the registers from which results leave; everything else."""
WORK = (
    "xnor_words",
    "accumulations",
    "activation_reads",
    "weight_reads",
    "output_writes",
    "threshold_compares",
    "vector_words",
)
"""Actions that a row counts over its cycles."""
RATES = ("activations", "weights", "products")
HEAD = ("target", "tool", "simulator", "options", "origin", "voltage_v", "wire_ff", "input_slew_ns", "rtl")
COLUMNS = (
    "block", *KNOBS, "stream", *(f"{name}_rate" for name in RATES), "cycles", *WORK, *(f"{name}_fj" for name in PARTS),
    "clock_fj", "leakage_nw", "flip_flops", "area_um2", "glitches", "digest",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A block under one stream. Energies are fJ a clock cycle, mean over `cycles`; leakage is of the whole block.

    `work` counts actions over those cycles; `glitches` is the energy of a unit-delay simulation over that of the settled toggles, 0
    where it was not simulated.
    """

    point: Point
    stream: str
    rates: Rates
    cycles: int
    work: Mapping[str, float]
    parts_fj: Mapping[str, float]
    clock_fj: float
    leakage_nw: float
    flip_flops: int
    area_um2: float
    glitches: float
    digest: str

    @property
    def switching_fj(self) -> float:
        """All parts, a cycle."""
        return sum(self.parts_fj.values())

    @property
    def dynamic_fj(self) -> float:
        """The same with the clock pins."""
        return self.switching_fj + self.clock_fj

    def cells(self) -> list[str]:
        """Values of COLUMNS as text."""
        return [
            self.point.block,
            *(str(getattr(self.point.design, name)) for name in KNOBS),
            self.stream,
            *(f"{getattr(self.rates, name):.4f}" for name in RATES),
            str(self.cycles),
            *(f"{self.work[name]:.8g}" for name in WORK),
            *(f"{self.parts_fj[name]:.5g}" for name in PARTS),
            f"{self.clock_fj:.5g}",
            f"{self.leakage_nw:.5g}",
            str(self.flip_flops),
            f"{self.area_um2:.6g}",
            f"{self.glitches:.3f}",
            self.digest,
        ]


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """A target's samples, and the lines of its head by name."""

    head: Mapping[str, str]
    samples: tuple[Sample, ...]

    def of(self, *blocks: str) -> tuple[Sample, ...]:
        """Samples of some blocks."""
        return tuple(one for one in self.samples if one.point.block in blocks)


def table_text(table: EnergyTable) -> str:
    """The whole file: `# name: value` lines, column names, samples."""
    head = "".join(f"# {name}: {table.head[name]}\n" for name in HEAD)
    return head + line(COLUMNS) + "".join(line(one.cells()) for one in table.samples)


def read_table(path: Path) -> EnergyTable:
    """A table from its file. Raises ValueError naming file and line."""
    return EnergyTable(*FORM.read(path))


def parse_table(text: str, where: str) -> EnergyTable:
    """A table from its text. Raises ValueError naming `where` and the line."""
    return EnergyTable(*FORM.parse(text, where))


def _sample(values: Mapping[str, str]) -> Sample:
    numbers = {item.name: float(values[item.name]) for item in fields(Sample) if item.name in NUMBERS}
    return Sample(
        point=Point(values["block"], design_of(values)),
        stream=values["stream"],
        rates=Rates(**{name: float(values[f"{name}_rate"]) for name in RATES}, source=values["stream"]),
        cycles=int(values["cycles"]),
        work={name: float(values[name]) for name in WORK},
        parts_fj={name: float(values[f"{name}_fj"]) for name in PARTS},
        flip_flops=int(values["flip_flops"]),
        digest=values["digest"],
        **numbers,
    )


NUMBERS = ("clock_fj", "leakage_nw", "area_um2", "glitches")


FORM = Form("an energy table", HEAD, COLUMNS, _sample)


def shipped_energies() -> tuple[str, ...]:
    """Targets whose tables come with the package."""
    folder = _folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(item.name.removesuffix(".csv") for item in found if item.name.endswith(".csv")))


def shipped_energy_table(target: str) -> EnergyTable:
    """A table that comes with the package. Raises ValueError listing the targets."""
    if target not in shipped_energies():
        raise ValueError(f"target must be one with energies ({', '.join(shipped_energies())}), not {target!r}")
    where = f"characterization/energy/{target}.csv"
    return parse_table((_folder() / f"{target}.csv").read_text(encoding="utf-8"), where)


def _folder() -> Traversable:
    return files("hwmodels") / "characterization" / "energy"
