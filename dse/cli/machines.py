"""Commands about machines: technologies, simulation, RTL, synthesis, validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dse.cli.app import app
from dse.cli.options import ActBits, AsJson, DesignText, NetworkName, WeightBits, Workers
from dse.cli.printing import fail, print_json, print_table, progress_of, records

technologies_app = typer.Typer(help="Built-in technologies.", invoke_without_command=True, rich_markup_mode=None)
app.add_typer(technologies_app, name="technologies")


@technologies_app.callback()
def technologies(context: typer.Context, as_json: AsJson = False) -> None:
    """List the built-in technologies, the limits of devices, and how many of their constants are assumed."""
    if context.invoked_subcommand is not None:
        return
    from dse.summary import technology_table

    print_table(technology_table(), as_json)


@technologies_app.command("show")
def technologies_show(name: Annotated[str, typer.Argument(help="One of the list.")], as_json: AsJson = False) -> None:
    """Show every constant of a technology with its unit and source."""
    from dse.summary import constant_table

    print_table(constant_table(name), as_json)


@app.command()
def simulate(
    design: DesignText,
    network: NetworkName,
    m: ActBits = None,
    k: WeightBits = None,
    trace: Annotated[Path | None, typer.Option(help="Write a trace for Perfetto (.json).")] = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a timeline that zooms (.html).")] = None,
    activity: Annotated[
        Path | None, typer.Option(help="What `dse run --activity` wrote: energy of the bits that toggled.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a network on one design, event by event: exact cycles, stalls by cause, utilisation, bandwidth, energy."""
    from dse.design_file import load_design
    from dse.observing import rates_of
    from dse.simulation import simulate as run_simulation
    from dse.simulation import write_trace
    from dse.summary import named_network

    shapes = named_network(network, m, k)
    machine = load_design(design)
    found = run_simulation(shapes, machine, rates_of(activity, shapes.name, machine.width))
    if trace is not None:
        write_trace(found, trace)
    if timeline is not None:
        from reports.timeline import write_timeline

        title = f"{found.network.name} on {found.design.name}"
        write_timeline(found.intervals, found.over_time, title, timeline)
    if as_json:
        print_json(found.summary)
        return
    print_table(found.layers, False)
    print(
        f"{found.network.name} on {found.design.name}: {found.cycles:,} cycles, "
        f"{found.cycles / found.design.clock_mhz:,.1f} us, grid at work {found.utilisation:.1%}"
    )
    for source, energy_nj in found.energy_nj.items():
        print(f"{energy_nj:,.1f} nJ with operand bits toggling as {source}")


@app.command()
def rtl(
    design: DesignText,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    network: Annotated[
        Path | None, typer.Option(help="Encoded network (.safetensors), or QONNX, to run on it.")
    ] = None,
    inputs: Annotated[Path | None, typer.Option("--input", help="Images (.npy) to run; with --network.")] = None,
    images: Annotated[int, typer.Option(min=1, help="How many of the images.")] = 1,
    check: Annotated[bool, typer.Option("--run", help="Compile with Verilator, run, and compare every bit.")] = False,
) -> None:
    """Write the engine of a design in SystemVerilog, with a network's memory image and a self-checking testbench."""
    from dse.design_file import load_design
    from dse.rtl import emit
    from hwmodels.tool_error import ToolError

    try:
        for line in emit(load_design(design), output, network=network, inputs=inputs, images=images, check=check):
            print(line)
    except ToolError as error:
        fail(str(error), 2)


@app.command("characterize-sram")
def characterize_sram(
    liberty: Annotated[list[Path], typer.Argument(help="Liberty files of SRAM macros, one each (.lib or .lib.gz).")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table (.csv) to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a foundry's SRAM macros, fit the model to them, and print how far it is from each macro that it has not seen."""
    from dse.macro_table import characterize_macros

    print_table(characterize_macros(liberty, output), as_json)


@app.command()
def characterize(
    target: Annotated[str, typer.Argument(help="xc7, xcup, ecp5 or ice40; with --liberty, any name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table (.csv) to write, point by point.")],
    liberty: Annotated[
        list[Path] | None, typer.Option(help="Standard cells (.lib or .lib.gz) to synthesize for; repeat it.")
    ] = None,
    points: Annotated[
        str, typer.Option(help="full, enough to fit; small, to try a target; widths, PEs of neighbouring widths.")
    ] = "full",
    workers: Workers = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the table that is there.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a point may take.")] = 900.0,
    yosys: Annotated[
        str | None, typer.Option(help="path, pyosys or yowasp [default: the first that is there].")
    ] = None,
    energy: Annotated[
        bool,
        typer.Option("--energy", help="Energy of gates that toggle, instead of areas; needs --liberty and Verilator."),
    ] = False,
    wire: Annotated[
        float, typer.Option(min=0, help="With --energy: fF of wire for every pin that a net drives.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Synthesize the engine and its blocks for a target, and fit areas, or energies, to what came out."""
    if energy:
        _characterize_energy(target, output, liberty or [], points, workers, resume, timeout, yosys, wire, as_json)
        return
    from dse.characterize import characterize as run_characterize
    from dse.clock_fits import clock_table
    from dse.fits import fit_table, width_steps
    from hwmodels.tool_error import ToolError

    try:
        with progress_of("characterize", "points") as progress:
            done = run_characterize(
                target, output, liberty=liberty or (), points=points, workers=workers, resume=resume,
                timeout_s=timeout, yosys=yosys, progress=progress,
            )  # fmt: skip
    except ToolError as error:
        fail(str(error), 2)
    if as_json:
        tables = {
            "errors": fit_table(done.table),
            "clock_errors": clock_table(done.table),
            "steps": width_steps(done.table),
        }
        print_json({**done.summary, **{name: records(table) for name, table in tables.items()}})
    else:
        for table in (fit_table(done.table), clock_table(done.table), width_steps(done.table)):
            if len(table):
                print_table(table, False)
        print(done.words)
    if done.failed:
        raise typer.Exit(1)


def _characterize_energy(
    target: str, output: Path, liberty: list[Path], points: str, workers: int, resume: bool, timeout: float, yosys: str | None,
    wire: float, as_json: bool,
) -> None:  # fmt: skip
    from dse.characterize_energy import characterize_energy
    from dse.energy_fits import energy_fit_table
    from hwmodels.tool_error import ToolError

    try:
        with progress_of("characterize", "points") as progress:
            done = characterize_energy(
                target, output, liberty=liberty, points=points, workers=workers, resume=resume, timeout_s=timeout, yosys=yosys,
                wire_ff=wire, progress=progress,
            )  # fmt: skip
    except ToolError as error:
        fail(str(error), 2)
    if as_json:
        print_json({**done.summary, "errors": records(energy_fit_table(done.table))})
    else:
        print_table(energy_fit_table(done.table), False)
        print(done.words)
    if done.failed:
        raise typer.Exit(1)


@app.command()
def validate(
    as_json: AsJson = False,
    cases: Annotated[int, typer.Option(min=1, help="Random cases of each agreement.")] = 40,
    published: Annotated[
        bool, typer.Option("--published", help="Only against published machines; no random cases.")
    ] = False,
) -> None:
    """Print how far each level is from the truth below it, and how far the models are from published machines."""
    from dse.clock_fits import shipped_clocks
    from dse.energy_fits import shipped_energy_fits
    from dse.fits import shipped_fits
    from dse.published import PUBLISHED_COLUMNS, published_table
    from dse.validation import validate as run_validate

    machines, agreements = published_table(), None if published else run_validate(cases=cases)
    fits, clocks, energies = (
        (None, None, None) if published else (shipped_fits(), shipped_clocks(), shipped_energy_fits())
    )
    if as_json:
        own = {"agreements": agreements, "fits": fits, "clocks": clocks, "energies": energies, "published": machines}
        print_json({name: records(table) for name, table in own.items() if table is not None})
    else:
        if agreements is not None:
            print_table(agreements, False)
            print()
        if fits is not None and clocks is not None:
            print(
                "fitted to synthesis: relative errors on points held out, on the largest, and at widths without a point"
            )
            print_table(fits, False)
            print()
            print("clocks fitted to timing: relative errors of the longest path on points held out, and on the slowest")
            print_table(clocks, False)
            print()
            print(
                "fitted to gates that toggle: relative errors of dynamic energy, every design predicted from the others"
            )
            print_table(energies, False)
            print()
        print_table(machines, False, PUBLISHED_COLUMNS)
    if not machines["holds"].all() or not (agreements is None or agreements["agrees"].all()):
        raise typer.Exit(1)
