"""What a bit of hardware costs: every constant under its source, or marked assumed. `dse technologies show NAME` prints them.

Sources: H14 = Horowitz, ISSCC 2014, 45 nm, as transcribed by two independent energy tables; AL = Aladdin 40 nm table
(Accelergy-Project/accelergy-aladdin-plug-in @ 5e2e126); CACTI = CACTI-7 45 nm itrs-hp sweep (hsharma35/bitfusion @ 04ec1c8);
SB17 = Stillmaker & Baas 2017, Integration 58:74-81 (coefficients via wromaszkan/nodeScale @ 0676b74); BI = BISMO's resource
law v2 (EECS-NTNU/bismo @ b388d78); FN = FINN's estimates (Xilinx/finn @ 39f0c9a).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from hwmodels.constants import ASSUMED, OFF_CHIP, Constant, assumed
from hwmodels.energies import CLOCKS, Energies, energies
from hwmodels.macro_model import MacroModel, shipped_model
from hwmodels.rates import RANDOM_RATE
from hwmodels.sram import SramTable
from hwmodels.switching.table import shipped_energies


@dataclass(frozen=True, slots=True)
class Technology:
    """A process node or a device. `limits` are what a device offers (empty for ASIC); `sram` is None on FPGAs (block RAM)."""

    name: str
    kind: str
    node_nm: float
    voltage_v: float
    description: str
    constants: Mapping[str, Constant]
    sram: SramTable | MacroModel | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    fit: str = ""
    """Target whose characterization gives the logic's area or resources; "" where published constants do."""
    energies: str = ""
    """Target whose gate-level simulations give the logic's energy; "" where published constants do."""

    def __getitem__(self, name: str) -> float:
        """The value of one constant."""
        return self.constants[name].value


def energy_factor(node: str, voltage_v: float) -> float:
    """SB17's E(V) = e2 V^2 + e1 V + e0; energies scale as E(to) / E(from)."""
    e2, e1, e0 = ENERGY_COEFFICIENTS[_node(node)]
    return e2 * voltage_v**2 + e1 * voltage_v + e0


def delay_factor(node: str, voltage_v: float) -> float:
    """SB17's D(V) = d3 V^3 + d2 V^2 + d1 V + d0; delays scale as D(to) / D(from)."""
    d3, d2, d1, d0 = DELAY_COEFFICIENTS[_node(node)]
    return d3 * voltage_v**3 + d2 * voltage_v**2 + d1 * voltage_v + d0


def scaled(base: Technology, *, name: str, node: str, voltage_v: float, base_node: str) -> Technology:
    """An ASIC technology at another node by SB17's published equations; off-chip memory does not scale.

    Leakage has no published equation there; it is kept per area, so it shrinks with the area only (assumed).
    """
    energy = energy_factor(node, voltage_v) / energy_factor(base_node, base.voltage_v)
    area = AREA_MULTIPLIERS[node] / AREA_MULTIPLIERS[base_node]
    clock = delay_factor(base_node, base.voltage_v) / delay_factor(node, voltage_v)
    note = f" x SB17 {base_node}@{base.voltage_v:g} V -> {node}@{voltage_v:g} V"
    factors = {"pJ": energy, "um2": area, "MHz": clock}
    constants = {key: _scale(constant, factors, note) for key, constant in base.constants.items()}
    assert isinstance(base.sram, SramTable)
    sram = base.sram.scaled(energy, area, note)
    label = f"{node} nm ASIC at {voltage_v:g} V, scaled from {base.name} by published equations"
    return Technology(name, "asic", float(node.split("HP")[0]), voltage_v, label, MappingProxyType(constants), sram)


def at_voltage(base: Technology, voltage_v: float) -> Technology:
    """The same node at another voltage: energies by C V^2 (assumed), the rest as it was."""
    if voltage_v == base.voltage_v:
        return base
    energy, note = (voltage_v / base.voltage_v) ** 2, f" x (V/{base.voltage_v:g})^2 -> {voltage_v:g} V (assumed)"
    constants = {key: _scale(constant, {"pJ": energy}, note) for key, constant in base.constants.items()}
    assert isinstance(base.sram, SramTable)
    return replace(
        base, voltage_v=voltage_v, constants=MappingProxyType(constants), sram=base.sram.scaled(energy, 1.0, note)
    )


def _scale(constant: Constant, factors: Mapping[str, float], note: str) -> Constant:
    factor = factors.get(constant.unit)
    if factor is None:
        return constant
    return constant.scaled(factor, note)


def _node(node: str) -> str:
    if node not in ENERGY_COEFFICIENTS:
        raise ValueError(f"technology: node must be one of {', '.join(ENERGY_COEFFICIENTS)}, not {node!r}")
    return node


# SB17, table of e2, e1, e0 (unit test: 65 nm @ 1.3 V -> 32 nm @ 0.9 V takes 1 pJ to 0.1755 pJ, the authors' own check).
ENERGY_COEFFICIENTS: Mapping[str, tuple[float, float, float]] = {
    "130": (7.171, -6.709, 2.904),
    "90": (4.762, -4.781, 2.092),
    "65": (3.755, -4.398, 1.975),
    "45": (1.018, -0.3107, 0.1539),
    "32": (0.8367, -0.4341, 0.1701),
    "20": (0.373, -0.1582, 0.04104),
    "16": (0.2958, -0.1241, 0.03024),
    "14": (0.2363, -0.09675, 0.02239),
    "10": (0.2068, -0.09311, 0.02375),
    "7": (0.1776, -0.09097, 0.02447),
}
DELAY_COEFFICIENTS: Mapping[str, tuple[float, float, float, float]] = {
    "130": (-76.65, 334.9, -493.4, 275.8),
    "90": (-60.34, 262.5, -384.2, 210.9),
    "65": (-53.3, 230.4, -333.9, 178.6),
    "45": (-501.6, 1567.0, -1619.0, 566.1),
    "32": (-1047.0, 2982.0, -2797.0, 873.5),
    "20": (0.0, 34.63, -66.37, 41.15),
    "16": (0.0, 24.8, -47.52, 28.87),
    "14": (-40.66, 109.2, -100.6, 35.92),
    "10": (-34.95, 93.65, -85.99, 30.4),
    "7": (-28.58, 76.6, -70.26, 24.69),
}
# SB17, area relative to 45 nm. There is no 28/22 nm row: such a node must be interpolated, so none is built in.
AREA_MULTIPLIERS: Mapping[str, float] = {
    "130": 6.4, "90": 2.8, "65": 1.5, "45": 1.0, "32": 0.46, "20": 0.21, "16": 0.19, "14": 0.17, "10": 0.10, "7": 0.059,
}  # fmt: skip

# CACTI, 32-bit port, 1R1W, 360 K. Leakage of that file is ITRS-HP (1.7 mW per KiB) and not used: see sram_leakage.
CACTI_45 = SramTable(
    port_bits=32,
    capacity_bytes=(128, 512, 1024, 2048, 4096, 8192, 16384),
    read_pj=(0.684, 1.061, 1.133, 1.903, 3.983, 6.392, 9.982),
    write_pj=(0.925, 2.339, 3.296, 3.639, 5.051, 5.563, 8.421),
    area_um2=(1500, 7600, 8820, 15130, 48570, 57510, 108580),
    source="CACTI-7 45 nm itrs-hp, 32-bit port, 1R1W, 360 K; log-log between sizes, linear in entry bits (assumed)",
)

_ASIC_45 = {
    "xnor_energy": Constant(
        0.018 / 32, "pJ", "AL bitwise row 0.018 pJ per 32-bit unit, 40 nm; the row is ambiguous: up to 32x more", high=0.018
    ),
    "xnor_area": Constant(50.4 / 32, "um2", "AL bitwise row 50.4 um2 per 32-bit unit, 40 nm; the row is ambiguous"),
    "adder_bit_energy": Constant(0.03 / 8, "pJ", "H14 int add 8 bit 0.03 pJ, 45 nm"),
    "adder_bit_area": Constant(179 / 32, "um2", "AL adder 32 bit 179 um2, 40 nm, 5 ns"),
    "register_bit_energy": Constant(0.009, "pJ", "AL register 0.009 pJ per bit, 40 nm"),
    "register_bit_area": Constant(5.98, "um2", "AL register 5.98 um2 per bit, 40 nm"),
    "multiplier_bit2_energy": Constant(0.2 / 64, "pJ", "H14 int mult 8 bit 0.2 pJ, per partial-product bit (32 bit gives 0.00303)"),
    "multiplier_bit2_area": Constant(4600 / 1024, "um2", "AL multiplier 32 bit 4600 um2, 40 nm, per partial-product bit"),
    **OFF_CHIP,
    "sram_leakage": Constant(10.0, "uW/KiB", f"{ASSUMED}: a low-leakage cell; CACTI's itrs-hp cell at 360 K has 1700"),
    "logic_leakage": Constant(5.0, "mW/mm2", ASSUMED),
    "control_area": Constant(20_000.0, "um2", f"{ASSUMED}: controller, address generators, loader, writer"),
    "control_energy": Constant(2.0, "pJ", f"{ASSUMED}: controller and clock distribution, per cycle"),
    "max_clock": Constant(1000.0, "MHz", f"{ASSUMED}; not used where the clock is fitted to timing"),
}  # fmt: skip


def _fpga(lut_pj: float, bram_pj: float, dsp_pj: float, static_w: float, clock_mhz: float) -> dict[str, Constant]:
    """Constants of a device; resource laws are shared, energies are assumed per family."""
    return {
        "branch_lut": Constant(1.17, "LUT/bit", "BI law v2: 1.17 Dk per dot-product unit (and-popcount; xnor costs the same LUT)"),
        "pe_lut": Constant(44.1, "LUT", "BI law v2: constant per dot-product unit (shift, accumulate)"),
        "post_lut": Constant(120.1, "LUT", "BI: result stage per dot-product unit, here one per row"),
        "adder_bit_lut": Constant(1.0, "LUT", "one LUT and carry per bit, 7-series and UltraScale+ slices"),
        "control_lut": Constant(3000.0, "LUT", f"{ASSUMED}: controller, loader, writer"),
        "lut_energy": assumed(lut_pj, "pJ", "per LUT with its wires and flip-flop and active cycle", within=3),
        "bram_energy": assumed(bram_pj, "pJ", "per 36-bit block-RAM access", within=3),
        "dsp_energy": assumed(dsp_pj, "pJ", "per DSP slice and active cycle", within=3),
        **OFF_CHIP,
        "static_power": assumed(static_w * 1000.0, "mW", "whole device, idle", within=3),
        "control_energy": assumed(3000.0 * lut_pj * 0.1, "pJ", "a tenth of the control LUTs toggle in a cycle", within=3),
        "max_clock": Constant(clock_mhz, "MHz", f"{ASSUMED}; not used where the clock is fitted to timing"),
    }  # fmt: skip


ASIC_45 = Technology(
    "asic45",
    "asic",
    45,
    0.9,
    "45 nm ASIC, published operation energies, CACTI SRAM",
    MappingProxyType(_ASIC_45),
    CACTI_45,
)


def _cells(name: str, node: str, voltage_v: float, description: str, *, scaled_v: float | None = None) -> Technology:
    """Standard cells whose logic area is fitted to synthesis, and its energy to gates that toggle where they were simulated; the
    rest is scaled from published numbers, by SB17 to `scaled_v` where the cells' voltage is above what it says of the node."""
    gates = name in shipped_energies()
    base = replace(
        at_voltage(scaled(ASIC_45, name=name, node=node, voltage_v=scaled_v or voltage_v, base_node="45"), voltage_v),
        fit=name,
        description=f"{description}: logic area {'and energy ' if gates else ''}fitted to synthesis, the rest scaled from asic45",
    )
    return with_energies(base, energies(name)) if gates else base


def with_macros(base: Technology, macros: MacroModel, source: str) -> Technology:
    """The same technology with SRAM of its own foundry instead of a scaled table: accesses, area and leakage."""
    leakage = Constant(macros.coefficients["leakage_nw"][0] * 8192 / 1000, "uW/KiB", f"{macros.source}: {source}")
    constants = MappingProxyType({**base.constants, "sram_leakage": leakage})
    return replace(base, constants=constants, sram=replace(macros, source=f"{macros.source}: {source}"))


FIT_ERROR = 0.15
"""By how much the energy of a whole array may be off, predicted from others; a test holds it."""
CLOCK_TREE = 1.5
"""Wires and buffers of a clock tree, over the clock pins that they lead to; assumed."""
PUBLISHED_ENERGIES = ("xnor_energy", "register_bit_energy", "multiplier_bit2_energy", "control_energy")
"""Constants that fitted energies stand in for."""
PUBLISHED_LOGIC = (
    "xnor_area", "adder_bit_area", "register_bit_area", "multiplier_bit2_area", "control_area",
    "branch_lut", "pe_lut", "post_lut", "adder_bit_lut", "control_lut",
)  # fmt: skip
"""Constants that fitted areas or resources stand in for."""


def without(constants: Mapping[str, Constant], names: Sequence[str]) -> Mapping[str, Constant]:
    """The constants but for some."""
    return MappingProxyType({name: constant for name, constant in constants.items() if name not in names})


def with_energies(base: Technology, found: Energies) -> Technology:
    """The same technology with energies of logic from gate-level simulations of its own cells, and their leakage.

    Low is the fit's error below; high is a simulation with a delay a gate, glitches and all, or of clock pins a clock tree.
    """
    source = f"fitted to gate-level toggles, characterization/energy/{found.target}.csv"
    low, glitches = 1 - FIT_ERROR, found.glitches[2]
    fitted = {
        name: Constant(
            value / 1000, "pJ", source, low * value / 1000, value / 1000 * (CLOCK_TREE if name in CLOCKS else glitches)
        )
        for name, value in found.named.items()
    }
    adder = found.named["pe_full_adder_energy"] * RANDOM_RATE / 1000
    leakage = Constant(found.leakage_nw_um2[1], "mW/mm2", source, found.leakage_nw_um2[0], found.leakage_nw_um2[2])
    kept = without(base.constants, PUBLISHED_ENERGIES)
    constants = {**kept, **fitted, "adder_bit_energy": Constant(adder, "pJ", source), "logic_leakage": leakage}
    return replace(base, constants=MappingProxyType(constants), energies=found.target)


def _synthesized(base: Technology, name: str, fit: str, description: str) -> Technology:
    """A device whose LUTs, flip-flops and block RAM are fitted to synthesis of the engine, instead of published laws."""
    return replace(
        base,
        name=name,
        fit=fit,
        constants=without(base.constants, PUBLISHED_LOGIC),
        description=f"{description}: LUTs, flip-flops and block RAM fitted to synthesis",
    )


# Limits: Xilinx DS190 (Zynq-7000), DS891 (Zynq UltraScale+), DS962 (Alveo U250); Lattice FPGA-DS-02012 (ECP5: 208 blocks of 18 Kbit).
_ZYNQ7020 = Technology(
    "zynq7020", "fpga", 28, 1.0, "Xilinx Zynq-7020 (xc7z020), 7-series",
    MappingProxyType(_fpga(0.20, 12.0, 8.0, 0.12, 250)), None,
    MappingProxyType({"lut": 53_200, "ff": 106_400, "bram36": 140, "dsp": 220}),
)  # fmt: skip
_ZU3EG = Technology(
    "zu3eg", "fpga", 16, 0.85, "Xilinx Zynq UltraScale+ ZU3EG",
    MappingProxyType(_fpga(0.10, 7.0, 5.0, 0.30, 400)), None,
    MappingProxyType({"lut": 70_560, "ff": 141_120, "bram36": 216, "dsp": 360}),
)  # fmt: skip
_U250 = Technology(
    "u250", "fpga", 16, 0.85, "Xilinx Alveo U250",
    MappingProxyType(_fpga(0.10, 7.0, 5.0, 20.0, 400)), None,
    MappingProxyType({"lut": 1_728_000, "ff": 3_456_000, "bram36": 2_688, "dsp": 12_288}),
)  # fmt: skip
_LFE5U85 = Technology(
    "lfe5u85", "fpga", 40, 1.1, "Lattice ECP5 LFE5U-85",
    MappingProxyType(_fpga(0.30, 12.0, 8.0, 0.20, 150)), None,
    MappingProxyType({"lut": 83_640, "ff": 83_640, "bram36": 104, "dsp": 156}),
)  # fmt: skip


def _sg13g2() -> Technology:
    return with_macros(
        _cells("sg13g2", "130", 1.2, "IHP SG13G2, 130 nm"),
        shipped_model(),
        "IHP SG13G2 RM_IHPSG13_1P, see characterization/sram/ihp_sg13g2.csv",
    )


TECHNOLOGIES: Mapping[str, Callable[[], Technology]] = MappingProxyType({
    "asic65": lambda: scaled(ASIC_45, name="asic65", node="65", voltage_v=1.1, base_node="45"),
    "asic45": lambda: ASIC_45,
    "asic32": lambda: scaled(ASIC_45, name="asic32", node="32", voltage_v=0.9, base_node="45"),
    "asic16": lambda: scaled(ASIC_45, name="asic16", node="16", voltage_v=0.8, base_node="45"),
    "asic7": lambda: scaled(ASIC_45, name="asic7", node="7", voltage_v=0.7, base_node="45"),
    "sg13g2": _sg13g2,
    "sky130hd": lambda: _cells("sky130hd", "130", 1.8, "SkyWater sky130_fd_sc_hd, 130 nm", scaled_v=1.3),
    "asap7": lambda: _cells("asap7", "7", 0.7, "ASAP7, predictive 7 nm"),
    "zynq7020": lambda: _ZYNQ7020,
    "xc7z020": lambda: _synthesized(_ZYNQ7020, "xc7z020", "xc7", "Xilinx Zynq-7020"),
    "zu3eg": lambda: _ZU3EG,
    "xczu3eg": lambda: _synthesized(_ZU3EG, "xczu3eg", "xcup", "Xilinx Zynq UltraScale+ ZU3EG"),
    "u250": lambda: _U250,
    "xcu250": lambda: _synthesized(_U250, "xcu250", "xcup", "Xilinx Alveo U250"),
    "lfe5u85": lambda: _synthesized(_LFE5U85, "lfe5u85", "ecp5", "Lattice ECP5 LFE5U-85"),
})  # fmt: skip
"""What makes each built-in technology: fits are worked out for those that are asked for, not at every start."""


@cache
def technology(name: str) -> Technology:
    """A built-in technology; ValueError lists the known ones."""
    if name not in TECHNOLOGIES:
        raise ValueError(f"technology must be one of {', '.join(TECHNOLOGIES)}, not {name!r}")
    return TECHNOLOGIES[name]()
