"""The engine of a design as a folder that runs on its own: sources, parameter package, memory image, self-checking testbench."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dse.image import Image, image
from dse.variants import load_array, load_network
from hwmodels.analytical import evaluate_layer
from hwmodels.design import Design
from hwmodels.mapping import Mapping
from hwmodels.rtl.package import package
from hwmodels.rtl.sources import ENGINE, PACKAGE, TESTBENCH, WAIVERS, sources
from hwmodels.rtl.verilator import ONE_FILE, QUIET, compile_simulator, run_tool, verilator
from hwmodels.tool_error import ToolError
from workloads.encoded import EncodedNetwork
from workloads.network import Network

BUILD_SECONDS = 600
RUN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class RtlRun:
    """What the testbench saw: whether every output unit was right, and cycles and counts of each layer of the first image."""

    passed: bool
    layers: tuple[dict[str, int], ...]
    log: str


def best_mappings(network: Network, design: Design) -> dict[str, Mapping]:
    """The closed form's mapping of every layer that costs something. Raises Misfit where one does not fit."""
    found = {layer.name: evaluate_layer(layer, design) for layer in network.layers}
    return {name: best.mapping for name, best in found.items() if best is not None}


def write_engine(design: Design, folder: Path) -> None:
    """Sources, package, Makefile and README into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources().items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / PACKAGE).write_text(package(design), encoding="utf-8")


def write_bundle(
    design: Design, folder: Path, encoded: EncodedNetwork | None = None, inputs: npt.NDArray[np.floating] | None = None
) -> Image | None:
    """An engine that a hardware team can take away: with a network, its memory, inputs and expected outputs as well.

    Raises Misfit, and writes nothing, where a layer does not fit the design.
    """
    found = None
    if encoded is not None and inputs is not None:
        found = image(encoded, design, best_mappings(encoded.network, design), inputs)
    write_engine(design, folder)
    if found is not None:
        write_image(found, folder)
    arguments = (
        " ".join(plusargs(found, Path(), design.port_latency, len(inputs))) if found and inputs is not None else ""
    )
    units = memory_units(found) if found else 1024
    words = {"sources": " ".join(file_list()), "flags": " ".join((*QUIET, *ONE_FILE))}
    (folder / "Makefile").write_text(MAKEFILE.format(**words, units=units, arguments=arguments))
    (folder / "README.md").write_text(README.format(design=design.name), encoding="utf-8")
    return found


def emit(
    design: Design, folder: Path, *, network: Path | None, inputs: Path | None, images: int, check: bool
) -> Iterator[str]:
    """What `dse rtl` does, as lines to print. Raises ValueError for files that do not fit, ToolError where Verilator fails."""
    if (network is None) != (inputs is None):
        raise ValueError("rtl: --network and --input must be given together")
    if network is None or inputs is None:
        if check:
            raise ValueError("rtl: --run must have a --network and its --input")
        write_bundle(design, folder)
        yield f"wrote {folder}: {design.name}"
        return
    encoded, given = load_network(network), load_array(inputs)[:images]
    found = write_bundle(design, folder, encoded, given)
    assert found is not None
    yield f"wrote {folder}: {design.name}, {encoded.network.name}, {len(found.memory):,} units, {len(given)} images"
    if check:
        run = simulate(
            build(design, folder / "build", units=memory_units(found)),
            encoded,
            design,
            best_mappings(encoded.network, design),
            given,
            folder,
        )
        yield from (f"layer {number}: {layer['latency']:,} cycles" for number, layer in enumerate(run.layers))
        yield next(line for line in run.log.splitlines() if line.startswith(("PASS", "FAIL")))
        if not run.passed:
            raise ToolError("rtl: the engine's outputs must equal the executor's, but they differ (see above)")


def write_image(found: Image, folder: Path) -> None:
    """memory.hex, inputs.hex and expected.hex, one unit a line."""
    for name, units in (
        ("memory", found.memory),
        ("inputs", [unit for one in found.inputs for unit in one]),
        ("expected", [unit for one in found.expected for unit in one]),
    ):
        (folder / f"{name}.hex").write_text("".join(f"{unit:x}\n" for unit in units), encoding="ascii")


def memory_units(found: Image) -> int:
    """A power of two that holds the memory and either list of the testbench."""
    longest = max(found.units, len(found.inputs) * len(found.inputs[0]), len(found.expected) * len(found.expected[0]))
    return 1 << longest.bit_length()


def file_list() -> tuple[str, ...]:
    """File names in the order in which a tool reads them."""
    return (PACKAGE, *(f"{name}.sv" for name in (*ENGINE, TESTBENCH)))


def plusargs(found: Image, folder: Path, latency: int, images: int) -> list[str]:
    """How the testbench is told what to run."""
    return [
        *(f"+{name}={folder / name}.hex" for name in ("memory", "inputs", "expected")),
        f"+memory_units={len(found.memory)}",
        f"+images={images}",
        f"+input_base={found.input_region.base}",
        f"+input_units={found.input_region.units}",
        f"+output_base={found.output_region.base}",
        f"+output_units={found.output_region.units}",
        f"+latency={latency}",
    ]


def build(design: Design, cache: Path, *, units: int = 1 << 16) -> Path:
    """The simulator of an engine, compiled once per content of its sources. Raises ToolError with the tool's own words."""
    texts = {**sources(), PACKAGE: package(design)}
    key = hashlib.sha256(repr((sorted(texts.items()), units)).encode()).hexdigest()[:16]
    folder = cache / key
    binary = folder / "obj" / "Vtb"
    if not binary.exists():
        write_engine(design, folder)
        arguments = (*testbench(units), "-O3", *file_list())
        compile_simulator(
            arguments, folder, top=TESTBENCH, level="-O1", seconds=BUILD_SECONDS, library=cache / "library"
        )
    return binary


def testbench(units: int) -> tuple[str, ...]:
    """What Verilator is told of the testbench: its memory, and that it makes its own clock."""
    return ("--cc", "--exe", "--main", "--timing", f"-GMemoryUnits={units}", f"-GListUnits={units}")


def lint(folder: Path) -> str:
    """What `verilator --lint-only -Wall` has to say about an engine in `folder`: nothing, if it is clean."""
    engine = [name for name in file_list() if name != f"{TESTBENCH}.sv"]
    command = [verilator(), "--lint-only", "-Wall", "--top-module", "engine", WAIVERS, *engine]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith("%"))


def simulate(
    binary: Path, encoded: EncodedNetwork, design: Design, mappings: dict[str, Mapping], inputs: npt.NDArray[np.floating], folder: Path
) -> RtlRun:  # fmt: skip
    """Run real inputs (N, channels, height, width) on the compiled engine and compare every output unit."""
    # The testbench runs in the folder, where a path from here would lead elsewhere.
    found, place = image(encoded, design, mappings, inputs), folder.resolve()
    write_image(found, place)
    command = [str(binary.resolve()), *plusargs(found, place, design.port_latency, len(inputs))]
    return read_log(run_tool(command, place, RUN_SECONDS))


def read_log(text: str) -> RtlRun:
    """The testbench's own lines."""
    lines = [line for line in text.splitlines() if line.startswith("layer=")]
    layers = tuple({name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)} for line in lines)
    return RtlRun(bool(re.search(r"^PASS", text, re.MULTILINE)), layers, text)


MAKEFILE = """# `make` compiles the testbench with Verilator and runs it; `make lint` lints the engine.
VERILATOR ?= verilator-cli
SOURCES := {sources}

run: obj/Vtb
	./obj/Vtb {arguments}

obj/Vtb: $(SOURCES)
	$(VERILATOR) --binary --timing {flags} -O3 --top-module tb \\
	-GMemoryUnits={units} -GListUnits={units} -Mdir obj -MAKEFLAGS OPT_FAST=-O1 $(SOURCES)

lint:
	$(VERILATOR) --lint-only -Wall --top-module engine lint.vlt $(filter-out tb.sv,$(SOURCES))

.PHONY: run lint
"""

README = """# Engine: {design}

- `dse_pkg.sv`: parameters and the layout of a layer's descriptor. Everything else is the same for every design.
- `engine.sv`: the top; `pe.sv` (or `pe_mac.sv`) is where the arithmetic is.
- `tb.sv`: a memory of any latency (`+latency=`), and a comparison of every output unit.
- `memory.hex`, `inputs.hex`, `expected.hex` (with a network): descriptors, weights and thresholds; input maps; what must come out.
  One unit of min(port bits, width) bits a line.

`make` compiles and runs, and ends with PASS or FAIL; `make lint` lints. Yosys reads the sources without plug-ins:
`read_verilog -sv dse_pkg.sv ... engine.sv; hierarchy -top engine`.
The contract of the machine, cycle by cycle, is `docs/machine.md` of the dse project.
"""
