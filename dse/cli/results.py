"""Commands that read a results folder: pareto, compare, query, sensitivity, explain, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dse.cli.app import app
from dse.cli.options import AsJson, Minimise, Require, ResultsFolder, Technology
from dse.cli.printing import choice_of, print_decision, print_json, print_table, records


@app.command()
def pareto(
    results: ResultsFolder,
    objectives: Annotated[
        list[str] | None, typer.Option("--objective", help="Column; repeat it [default: as the experiment says].")
    ] = None,
    technology: Technology = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the front as .csv or .md.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the designs that no other design beats in every objective."""
    from dse.compare import swept_technology
    from dse.explanation import experiment_of
    from dse.front import front_rows
    from dse.results import open_results
    from dse.summary import FRONT_COLUMNS, write_table

    opened = open_results(results)
    experiment = experiment_of(opened)
    wanted = tuple(objectives or experiment.objectives)
    table = front_rows(opened, wanted, technology=swept_technology(experiment, technology))
    if output is not None:
        write_table(table, output)
        print(f"wrote {output}: {len(table)} designs")
        return
    print_table(table, as_json, list(dict.fromkeys([*FRONT_COLUMNS, *wanted])))


@app.command()
def compare(
    results: Annotated[
        Path | None, typer.Argument(help="Folder that `dse sweep` wrote; none with --crossover.")
    ] = None,
    other: Annotated[Path | None, typer.Argument(help="A second results folder: tell what changed.")] = None,
    crossover: Annotated[
        bool,
        typer.Option(
            "--crossover", help="Xnor-popcount PEs against multiplier PEs of the same M and K, by a fit to synthesis."
        ),
    ] = False,
    width: Annotated[int, typer.Option(min=1, help="Products of a PE; with --crossover.")] = 16,
    by: Annotated[str, typer.Option(help="What to set side by side: precision.")] = "precision",
    minimise: Minimise = None,
    require: Require = None,
    technology: Technology = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the table as .csv or .md; with --crossover the chart as .html."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare encoding precisions, each at its best design, with the mac twin and the paper's fp32 bound; or two folders."""
    from dse.compare import decide
    from dse.results import open_results
    from dse.summary import write_table

    if crossover:
        _print_crossover([technology] if technology else [], width, output, as_json)
        return
    if results is None:
        raise ValueError("compare: a folder of results must be given, or --crossover")
    if other is not None:
        _print_difference(results, other, technology, output, as_json)
        return
    if by != "precision":
        raise ValueError(f"--by must be precision, not {by!r}")
    opened = open_results(results)
    choice = choice_of(opened, minimise, require, technology)
    decision = decide(opened, choice)
    if output is not None:
        write_table(decision.table, output)
        print(f"wrote {output}: {len(decision.table)} networks")
    elif as_json:
        print_json({"winner": decision.winner, "networks": records(decision.table)})
    else:
        print_decision(opened, decision.table, choice)


def _print_crossover(targets: list[str], width: int, output: Path | None, as_json: bool) -> None:
    from dse.crossover import crossover, shown, verdicts, write_crossover

    table = crossover(targets, width=width)
    if output is not None:
        write_crossover(table, output)
        print(f"wrote {output}: {len(table)} pairs of bits")
    elif as_json:
        print_json(records(table))
    else:
        print_table(shown(table), False)
        print("\n".join(verdicts(table)))


def _print_difference(one: Path, other: Path, technology: str | None, output: Path | None, as_json: bool) -> None:
    from dse.difference import difference
    from dse.results import open_results
    from dse.summary import write_table

    found = difference(open_results(one), open_results(other), technology=technology)
    if output is not None:
        write_table(found.front, output)
        print(f"wrote {output}: {len(found.front)} designs")
    elif as_json:
        print_json({"inputs": records(found.inputs), "front": records(found.front), "summary": found.words})
    else:
        for table in (found.inputs, found.front):
            if len(table):
                print_table(table, False)
                print()
        print(found.words)


@app.command()
def query(
    results: ResultsFolder,
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables `rows`, `networks` and `axes`.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the answer as .csv or .md.")] = None,
    show: Annotated[int, typer.Option(min=1, help="Rows to print at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Ask the rows of a sweep in SQL (DuckDB, extra `query`); nothing is written, no other file is read."""
    from dse.query import query as run_query
    from dse.results import open_results
    from dse.summary import write_table

    table = run_query(open_results(results), sql)
    if output is not None:
        write_table(table, output)
        print(f"wrote {output}: {len(table)} rows")
    elif as_json:
        print_json(records(table))
    else:
        print_table(table.head(show), False)
        if len(table) > show:
            print(f"... {len(table):,} rows in all")


@app.command()
def sensitivity(
    results: ResultsFolder,
    objectives: Annotated[
        list[str] | None, typer.Option("--objective", help="Column; repeat it [default: as the experiment says].")
    ] = None,
    technology: Technology = None,
    as_json: AsJson = False,
) -> None:
    """Tell which knob moves which objective, from a sample of the rows."""
    from dse.results import open_results
    from dse.sensitivity import drawn
    from dse.sensitivity import sensitivity as run_sensitivity

    opened = open_results(results)
    print_table(run_sensitivity(opened, technology=technology, objectives=objectives or ()), as_json)
    if not as_json:
        print(f"over {drawn(opened)}")


@app.command()
def explain(
    results: ResultsFolder,
    row: Annotated[int, typer.Argument(help="Row number, as pareto and compare print it.")],
    as_json: AsJson = False,
) -> None:
    """Show the sum behind each figure of one design, down to the constants and their sources."""
    from dse.explanation import explain as run_explain
    from dse.results import open_results

    found = run_explain(open_results(results), row)
    evaluation = found.evaluation
    if as_json:
        tables = {name: records(getattr(found, name)) for name in ("layers", "energy", "silicon", "clock", "constants")}
        said = {"energy_range_nj": found.energy_range_nj, "notes": found.notes}
        print_json({"row": row, "network": evaluation.network.name, "design": evaluation.design.name, **said, **tables})
        return
    print(f"row {row}: {evaluation.network.name} on {evaluation.design.name}")
    for title, table in (
        ("layers", found.layers),
        ("energy", found.energy),
        ("silicon", found.silicon),
        ("clock", found.clock),
        ("constants", found.constants),
    ):
        if len(table):
            print(f"\n{title}")
            print_table(table, False)
    low, high = found.energy_range_nj
    print(
        f"\nenergy {evaluation.cost.energy_nj:,.1f} nJ; {low:,.1f} to {high:,.1f} nJ with all constants at the ends of their ranges"
    )
    for note in found.notes:
        print(f"note: {note}")


@app.command()
def report(
    results: ResultsFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML page to write.")] = Path("report.html"),
    minimise: Minimise = None,
    require: Require = None,
    technology: Technology = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder for the figures as PNG and SVG (needs the extra `images`).")
    ] = None,
    explore: Annotated[
        Path | None, typer.Option(help="Also write a page (.html) with parallel coordinates and a scatter matrix.")
    ] = None,
) -> None:
    """Write one self-contained HTML page that opens offline."""
    from dse.report import build_report
    from dse.results import open_results
    from reports.gallery import pictures
    from reports.images import write_images
    from reports.page import write_page

    opened = open_results(results)
    page = build_report(
        opened, choice=choice_of(opened, minimise, require, technology), command=" ".join(["dse", *sys.argv[1:]])
    )
    print(f"wrote {write_page(page, output)}")
    if explore is not None:
        from dse.explore import write_explore

        print(f"wrote {write_explore(opened, explore, technology=technology)}")
    if images is not None:
        for suffix in ("png", "svg"):
            for path in write_images(pictures(page), images, suffix=suffix):
                print(f"wrote {path}")
