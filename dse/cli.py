"""The command line: parse, call one function, print. The only file that prints or exits; heavy imports wait for their command."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dse import __version__

if TYPE_CHECKING:
    import pandas as pd

    from dse.compare import Choice
    from dse.results import Results
    from dse.sweeps import Progress

app = typer.Typer(
    help="Choose the encoding and the array of an xnor-popcount accelerator before the chip exists.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ResultsFolder = Annotated[Path, typer.Argument(help="Folder that `dse sweep` wrote.")]
Technology = Annotated[str | None, typer.Option(help="One of the technologies that were swept [default: the first].")]
Minimise = Annotated[
    str | None, typer.Option(help="Column that makes a design best [default: as the experiment says].")
]
Require = Annotated[
    list[str] | None, typer.Option(help="What a precision must satisfy to win, e.g. 'accuracy >= 0.98'.")
]
NetworkName = Annotated[
    str, typer.Argument(help="A built-in network, a layer table (.csv, .yaml, .toml), or the path of an encoded one.")
]
ActBits = Annotated[
    int | None,
    typer.Option("--m", min=1, max=8, help="Activation bits [default: 1, of a layer table its own]."),
]
WeightBits = Annotated[
    int | None, typer.Option("--k", min=1, max=8, help="Weight bits [default: 1, of a layer table its own].")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes; the results do not depend on it.")]


def main() -> None:
    """Entry point: bad input is one line and exit code 2, an interrupt 130, a request to end 143."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except _Ended:
        code = ENDED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(error.strerror if error.filename is None else f"{error.filename}: {error.strerror}", 2)
    except (ValueError, OverflowError) as error:
        _fail(str(error), 2)
    except UsageError as error:
        _fail(_usage(error), 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    if code in (INTERRUPTED, ENDED):
        _fail("interrupted; what is finished is kept, run it again with --resume", code)
    sys.exit(code)


INTERRUPTED, ENDED = 130, 143
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer brings its own copy of this class in new versions and click's in old ones."""


class _Ended(BaseException):
    """SIGTERM, so that what must be undone is undone."""


def _end(_number: int, _frame: object) -> NoReturn:
    raise _Ended


def _usage(error: Any) -> str:
    """What is wrong with the arguments, and where to read what they must be."""
    message = str(error.format_message())
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} See `{error.ctx.command_path if error.ctx else 'dse'} -h`."


def _fail(message: str | None, code: int) -> NoReturn:
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dse {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for what the demo makes.")] = Path(
        "demo-results"
    ),
    workers: Workers = 2,
) -> None:
    """Run the main job on the shipped example: encode, execute, sweep, decide, report."""
    from dse.demo import demo as run_demo

    with _progress("sweep") as progress:
        made = run_demo(output, workers=workers, say=print, progress=progress)
    _print_decision(made.results, made.decision.table, made.decision.choice)
    print(f"report   {made.report.resolve()}")


@app.command()
def init(path: Annotated[Path, typer.Argument(help="Experiment file to write.")] = Path("experiment.toml")) -> None:
    """Write a commented experiment file to start from."""
    from dse.template import write_template

    write_template(path)
    print(f"wrote {path}; next: dse sweep {path} -o results")


@app.command()
def encode(
    model: Annotated[Path, typer.Argument(help="QONNX file; with --bits, a float ONNX file; or a layer table.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Encoded network [default: MODEL.safetensors; of a table MODEL.toml]."),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option(help="Encode a float network or a table: M,K, or a CSV file with layer,m,k and a row for '*'."),
    ] = None,
    calibrate: Annotated[Path | None, typer.Option(help="Images (.npy) to search scales on; with --bits.")] = None,
    input_bits: Annotated[
        int | None, typer.Option(min=1, max=8, help="Bits of the network input [default: 8].")
    ] = None,
    input_scale: Annotated[
        str | None, typer.Option(help="An input without a quantizer is unsigned integers times this, 1/255 say.")
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Sizes that the file leaves open, behind the batch: 3,32,32.")
    ] = None,
    fold: Annotated[
        bool, typer.Option("--fold-constant-planes", help="Leave out activation planes that no input can change.")
    ] = False,
    sqnr: Annotated[
        bool,
        typer.Option("--sqnr", help="Print signal to noise of every layer against the float network; with --bits."),
    ] = False,
    method: Annotated[
        str | None, typer.Option(help="Scale search: mse, percentile or max; with --bits [default: mse].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a QONNX network, or with --bits a float ONNX network, into packed {-1,+1} planes and integer thresholds.

    A layer table (.csv, .yaml, .toml) has no weights: it becomes a layer list at the bits of --bits.
    """
    from dse.encode_file import Request, encode_file
    from dse.summary import network_summary

    made = encode_file(
        Request(
            model=model,
            output=output,
            bits=bits,
            calibrate=calibrate,
            input_bits=input_bits,
            input_scale=input_scale,
            shape=shape,
            method=method,
            fold=fold,
            sqnr=sqnr,
        )
    )
    tables = {"fits": made.fits, "sqnr": made.signal}
    shown = {name: table for name, table in tables.items() if table is not None}
    if as_json:
        found = {name: _records(table) for name, table in shown.items()}
        _print_json({"file": str(made.written), **network_summary(made.network), **found, "notes": list(made.notes)})
        return
    for table in shown.values():
        _print_table(table, False)
    _print_layers(network_summary(made.network))
    for line in (*made.notes, f"wrote {made.written}"):
        print(line)


networks_app = typer.Typer(help="Built-in networks.", invoke_without_command=True, rich_markup_mode=None)
app.add_typer(networks_app, name="networks")


@networks_app.callback()
def networks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the built-in networks."""
    if context.invoked_subcommand is not None:
        return
    from dse.summary import zoo_table

    _print_table(zoo_table(), as_json)


@networks_app.command("show")
def networks_show(
    name: NetworkName,
    m: ActBits = None,
    k: WeightBits = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of shapes: odd, unsigned, twos_complement or ternary [default: odd, of a table its own]."
        ),
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="Of a language model: prefill or decode [default: prefill].")
    ] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens read, or kept, of a language model [default: 512].")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences at once of a language model [default: 1].")] = None,
    as_toml: Annotated[bool, typer.Option("--toml", help="Print it as a layer list (TOML).")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a network layer by layer: shapes, bits, operations."""
    from dse.summary import decoding_of, named_network, network_summary

    network = named_network(name, m, k, weights, decoding_of(phase, context, batch))
    if as_toml:
        from workloads.layer_list import network_toml

        print(network_toml(network), end="")
        return
    summary = network_summary(network)
    if as_json:
        _print_json(summary)
        return
    _print_layers(summary)


technologies_app = typer.Typer(help="Built-in technologies.", invoke_without_command=True, rich_markup_mode=None)
app.add_typer(technologies_app, name="technologies")


@technologies_app.callback()
def technologies(context: typer.Context, as_json: AsJson = False) -> None:
    """List the built-in technologies, the limits of devices, and how many of their constants are assumed."""
    if context.invoked_subcommand is not None:
        return
    from dse.summary import technology_table

    _print_table(technology_table(), as_json)


@technologies_app.command("show")
def technologies_show(name: Annotated[str, typer.Argument(help="One of the list.")], as_json: AsJson = False) -> None:
    """Show every constant of a technology with its unit and source."""
    from dse.summary import constant_table

    _print_table(constant_table(name), as_json)


@app.command()
def run(
    network: Annotated[Path, typer.Argument(help="Encoded network (.safetensors), or QONNX.")],
    inputs: Annotated[Path, typer.Option("--input", help="Images, .npy of shape (N, channels, height, width).")],
    output: Annotated[Path | None, typer.Option(help="Write outputs (.npy), in the units of the source model.")] = None,
    integers: Annotated[Path | None, typer.Option(help="Write the raw accumulators of every layer (.npz).")] = None,
    labels: Annotated[Path | None, typer.Option(help="Classes (.npy) to report accuracy against.")] = None,
    activity: Annotated[
        Path | None, typer.Option(help="Write toggles, constant planes and histograms of every layer (.json).")
    ] = None,
    width: Annotated[int, typer.Option(help="Bits of a packed word: 8, 16, 32 or 64.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Execute an encoded network bit-exactly, by xnor and popcount or the same integers sooner, and count what it does."""
    from dse.execute import execute, ways_text

    done = execute(network, inputs, labels=labels, output=output, integers=integers, activity=activity, width=width)
    if as_json:
        _print_json(done.summary)
        return
    _print_table(done.actions if done.observed is None else done.observed.table, False)
    accuracy = done.summary["accuracy"]
    print(f"{done.summary['images']} images" + ("" if accuracy is None else f", accuracy {accuracy:.4f}"))
    print(ways_text(done.summary["ways"]))


@app.command()
def accuracy(
    networks: Annotated[list[Path], typer.Argument(help="Encoded networks (.safetensors) or QONNX files.")],
    data: Annotated[Path, typer.Option(help="Images, .npy of shape (N, channels, height, width).")],
    labels: Annotated[Path, typer.Option(help="Labels, .npy of N integers.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Scores (.csv), kept batch by batch: a killed run goes on.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images between two writes.")] = 256,
    sqnr: Annotated[
        int | None,
        typer.Option(min=1, help="Print signal to noise of every layer against the float network on so many images."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy of encoded networks, bit-exactly, with progress and resume."""
    from dse.measuring import measure_accuracy, measure_sqnr

    with _progress("accuracy", "images") as progress:
        table = measure_accuracy(networks, data, labels, output=output, batch=batch, progress=progress)
    signal = None if sqnr is None else measure_sqnr(networks, data, sqnr)
    if as_json:
        _print_json(_records(table) if signal is None else {"accuracy": _records(table), "sqnr": _records(signal)})
        return
    _print_table(table, False)
    if signal is not None:
        _print_table(signal, False)


@app.command()
def sweep(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML); `dse init` writes one.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Results folder.")] = Path("results"),
    workers: Workers = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted sweep of the same experiment.")
    ] = False,
    refine: Annotated[
        bool, typer.Option("--refine", help="Exact cycles of every design on the front -> refined.csv.")
    ] = False,
    keep: Annotated[
        str, typer.Option(help="best: the front, the best of every network, a sample; all: every feasible row.")
    ] = "best",
    as_json: AsJson = False,
) -> None:
    """Find the designs of a space that are worth building for its networks."""
    from dse.experiment import load
    from dse.sweeps import sweep as run_sweep

    with _progress("sweep") as progress:
        done = run_sweep(load(experiment), output, workers=workers, resume=resume, keep=keep, progress=progress)
    counts = {name: done.manifest[name] for name in ("evaluated", "skipped", "feasible", "infeasible")}
    refined = _refined(done) if refine else None
    if as_json:
        exact = {} if refined is None else {"refined": _records(refined)}
        _print_json({"results": str(done.path), **counts, **exact})
        return
    skipped = f"{counts['skipped']:,} skipped by bounds, " if counts["skipped"] else ""
    print(f"{skipped}{counts['evaluated']:,} designs evaluated, {counts['feasible']:,} feasible -> {done.path}")
    for reason, count in sorted(counts["infeasible"].items(), key=lambda item: -item[1]):
        print(f"  {count:>12,} infeasible: {reason}")
    if refined is not None and len(refined):
        error = refined["latency_error"]
        print(
            f"{len(refined):,} designs of the front refined: the closed form's latency is off by "
            f"{error.median():+.2%} in the median, {error.min():+.2%} to {error.max():+.2%}"
        )


def _refined(done: Results) -> pd.DataFrame:
    from dse.refine import refine, write_refined

    table = refine(done)
    write_refined(table, done.path)
    return table


@app.command()
def search(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML) whose space is too large to sweep.")],
    sampler: Annotated[
        str, typer.Option(help="random, halton, nsga2 or tpe (the last two: extra `search`).")
    ] = "halton",
    budget: Annotated[int, typer.Option(help="Designs to ask for.")] = 1000,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the sampler [default: as the experiment says].")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for rows.parquet, front.csv, hypervolume.csv, search.html."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for good designs in a space too large to enumerate, within a budget of designs."""
    from dse.experiment import load
    from dse.sampling import search as run_search
    from dse.sampling import write_search
    from dse.summary import FRONT_COLUMNS

    with _progress("search") as progress:
        done = run_search(load(experiment), sampler, budget=budget, seed=seed, progress=progress)
    if output is not None:
        write_search(done, output)
    columns = list(dict.fromkeys([*FRONT_COLUMNS, *done.objectives]))
    if as_json:
        _print_json({"asked": done.asked, "space": done.space, "front": _records(done.front[columns]),
                     "hypervolume": _records(done.growth)})  # fmt: skip
        return
    _print_table(done.front, False, columns)
    print(
        f"{done.sampler}, seed {done.seed}: {done.asked:,} designs of {done.space:,} asked for, {len(done.rows):,} different feasible "
        f"ones, {len(done.front)} on the front, hypervolume {done.growth['hypervolume'].iloc[-1]:.3f}"
    )
    if output is not None:
        print(f"wrote {output}")


@app.command()
def bits(
    experiment: Annotated[
        Path, typer.Argument(help="Experiment file (TOML) with one network; its [bits] table is optional.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for front.csv, bits of the shown points, and the figure."),
    ] = None,
    designs: Annotated[
        list[str] | None,
        typer.Option("--design", help="TOML file or rows=16,cols=8,...; repeat it [default: the space]."),
    ] = None,
    front: Annotated[Path | None, typer.Option(help="Results folder: choose on all designs of its front.")] = None,
    objectives: Annotated[
        list[str] | None, typer.Option("--objective", help="Column; repeat it [default: as the experiment says].")
    ] = None,
    bound: Annotated[
        float | None, typer.Option(help="Largest factor lost, e.g. 0.1 for 10 %; 0 is exact [default: see --points].")
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            help="Points kept after a layer, at most; the bound that costs is told [default: 20000 for three sums]."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Time for the search; the bound that costs is told.")] = None,
    show: Annotated[int, typer.Option(min=1, help="Points to print.")] = 10,
    verify: Annotated[int, typer.Option(min=0, help="Points to encode and run on the executor.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Choose M and K of every layer: the exact front of energy, latency and loss over all assignments of bits."""
    from dse.bits.run import choose_bits, write_bits
    from dse.bits.solver import Budget

    given = any(option is not None for option in (bound, points, seconds))
    budget = Budget(bound=bound or 0.0, points=points, seconds=seconds) if given else None
    with _progress("verify", "points") as progress:
        done = choose_bits(
            experiment, designs=designs or (), front=front, objectives=objectives or (), show=show, verified=verify,
            budget=budget, progress=progress,
        )  # fmt: skip
    written = [] if output is None else write_bits(done, output)
    if as_json:
        _print_json({**done.summary, "points": _records(done.view), "files": [str(path) for path in written]})
        return
    _print_table(done.view, False)
    for line in done.words:
        print(line)
    if output is not None:
        print(f"wrote {written[0]} and {len(written) - 1} more files in {output}")


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
    _print_table(table, as_json, list(dict.fromkeys([*FRONT_COLUMNS, *wanted])))


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
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the table as .csv or .md.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare encoding precisions, each at its best design, with the mac twin and the paper's fp32 bound; or two folders."""
    from dse.compare import decide
    from dse.results import open_results
    from dse.summary import write_table

    if crossover:
        from dse.crossover import crossover as run_crossover

        _print_table(run_crossover(technology or "sg13g2", width=width), as_json)
        return
    if results is None:
        raise ValueError("compare: a folder of results must be given, or --crossover")
    if other is not None:
        _print_difference(results, other, technology, output, as_json)
        return
    if by != "precision":
        raise ValueError(f"--by must be precision, not {by!r}")
    opened = open_results(results)
    choice = _choice(opened, minimise, require, technology)
    decision = decide(opened, choice)
    if output is not None:
        write_table(decision.table, output)
        print(f"wrote {output}: {len(decision.table)} networks")
    elif as_json:
        _print_json({"winner": decision.winner, "networks": _records(decision.table)})
    else:
        _print_decision(opened, decision.table, choice)


@app.command()
def query(
    results: ResultsFolder,
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables `rows` and `networks`.")],
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
        _print_json(_records(table))
    else:
        _print_table(table.head(show), False)
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
    from dse.sensitivity import sensitivity as run_sensitivity

    _print_table(run_sensitivity(open_results(results), technology=technology, objectives=objectives or ()), as_json)


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
        tables = {name: _records(getattr(found, name)) for name in ("layers", "energy", "silicon", "constants")}
        said = {"energy_range_nj": found.energy_range_nj, "notes": found.notes}
        _print_json(
            {"row": row, "network": evaluation.network.name, "design": evaluation.design.name, **said, **tables}
        )
        return
    print(f"row {row}: {evaluation.network.name} on {evaluation.design.name}")
    for title, table in (
        ("layers", found.layers),
        ("energy", found.energy),
        ("silicon", found.silicon),
        ("constants", found.constants),
    ):
        print(f"\n{title}")
        _print_table(table, False)
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
        opened, choice=_choice(opened, minimise, require, technology), command=" ".join(["dse", *sys.argv[1:]])
    )
    print(f"wrote {write_page(page, output)}")
    if explore is not None:
        from dse.explore import write_explore

        print(f"wrote {write_explore(opened, explore, technology=technology)}")
    if images is not None:
        for suffix in ("png", "svg"):
            for path in write_images(pictures(page), images, suffix=suffix):
                print(f"wrote {path}")


DesignText = Annotated[str, typer.Argument(metavar="DESIGN", help="TOML file with knobs, or rows=16,cols=8,...")]


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
        _print_json(found.summary)
        return
    _print_table(found.layers, False)
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
    from dse.rtl import ToolError, emit

    try:
        for line in emit(load_design(design), output, network=network, inputs=inputs, images=images, check=check):
            print(line)
    except ToolError as error:
        _fail(str(error), 2)


@app.command("characterize-sram")
def characterize_sram(
    liberty: Annotated[list[Path], typer.Argument(help="Liberty files of SRAM macros, one each (.lib or .lib.gz).")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table (.csv) to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a foundry's SRAM macros, fit the model to them, and print how far it is from each macro that it has not seen."""
    from dse.macro_table import characterize_macros

    _print_table(characterize_macros(liberty, output), as_json)


@app.command()
def characterize(
    target: Annotated[str, typer.Argument(help="xc7, xcup, ecp5 or ice40; with --liberty, any name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table (.csv) to write, point by point.")],
    liberty: Annotated[
        list[Path] | None, typer.Option(help="Standard cells (.lib or .lib.gz) to synthesize for; repeat it.")
    ] = None,
    points: Annotated[str, typer.Option(help="full, enough to fit, or small, to try a target.")] = "full",
    workers: Workers = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the table that is there.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a point may take.")] = 900.0,
    yosys: Annotated[
        str | None, typer.Option(help="path, pyosys or yowasp [default: the first that is there].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Synthesize the engine and its blocks for a target, and fit areas to what came out."""
    from dse.characterize import characterize as run_characterize
    from dse.fits import fit_table
    from hwmodels.synthesis.yosys import ToolError

    try:
        with _progress("characterize", "points") as progress:
            done = run_characterize(
                target, output, liberty=liberty or (), points=points, workers=workers, resume=resume,
                timeout_s=timeout, yosys=yosys, progress=progress,
            )  # fmt: skip
    except ToolError as error:
        _fail(str(error), 2)
    if as_json:
        _print_json({**done.summary, "errors": _records(fit_table(done.table))})
    else:
        _print_table(fit_table(done.table), False)
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
    from dse.fits import shipped_fits
    from dse.published import PUBLISHED_COLUMNS, published_table
    from dse.validation import validate as run_validate

    machines, agreements = published_table(), None if published else run_validate(cases=cases)
    fits = None if published else shipped_fits()
    if as_json:
        own = {"agreements": agreements, "fits": fits, "published": machines}
        _print_json({name: _records(table) for name, table in own.items() if table is not None})
    else:
        if agreements is not None:
            _print_table(agreements, False)
            print()
        if fits is not None:
            print("fitted to synthesis: relative errors on points held out, and on the largest from the smaller ones")
            _print_table(fits, False)
            print()
        _print_table(machines, False, PUBLISHED_COLUMNS)
    if not machines["holds"].all() or not (agreements is None or agreements["agrees"].all()):
        raise typer.Exit(1)


def _choice(opened: Results, minimise: str | None, require: Sequence[str] | None, technology: str | None) -> Choice:
    from dse.compare import Choice
    from dse.experiment import DECIDED, constraint
    from dse.explanation import experiment_of

    wanted = [constraint(text, "--require", DECIDED) for text in require or ()]
    return Choice.of(experiment_of(opened), minimise=minimise, require=wanted, technology=technology)


def _print_decision(opened: Results, table: pd.DataFrame, choice: Choice) -> None:
    from dse.compare import Decision
    from dse.report import answer
    from dse.summary import decision_view

    winner = table.loc[table["winner"], "row"]
    print()
    _print_table(decision_view(table), False)
    print()
    print(answer(Decision(table, choice, int(winner.iloc[0]) if len(winner) else None)))
    print(f"explain  dse explain {opened.path} {int(table['row'].iloc[0] if not len(winner) else winner.iloc[0])}")


def _print_difference(one: Path, other: Path, technology: str | None, output: Path | None, as_json: bool) -> None:
    from dse.difference import difference
    from dse.results import open_results
    from dse.summary import write_table

    found = difference(open_results(one), open_results(other), technology=technology)
    if output is not None:
        write_table(found.front, output)
        print(f"wrote {output}: {len(found.front)} designs")
    elif as_json:
        _print_json({"inputs": _records(found.inputs), "front": _records(found.front), "summary": found.words})
    else:
        for table in (found.inputs, found.front):
            if len(table):
                _print_table(table, False)
                print()
        print(found.words)


def _print_layers(summary: dict[str, Any]) -> None:
    import pandas as pd

    _print_table(pd.DataFrame(summary["layers"]), False)
    print(
        f"{summary['name']}: {summary['macs']:,} MACs, {summary['parameters']:,} weights, {summary['model_kib']:.1f} KiB, {summary['precision']}"
    )
    if summary["host"]:
        print(f"computed by the host: {', '.join(f'{count} {name}' for name, count in summary['host'].items())}")


def _print_table(table: pd.DataFrame, as_json: bool, columns: Sequence[str] = ()) -> None:
    from reports.tables import text_table

    if as_json:
        _print_json(_records(table[list(columns)] if columns else table))
    else:
        print(text_table(table, columns))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values, NaN as null."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False, default=lambda item: item.item()))


@contextmanager
def _progress(label: str, what: str = "designs") -> Iterator[Progress]:
    """A bar with rate and time left on a terminal, a plain line every tenth in a log."""
    from dse.progress import bar, lines

    with bar(label, what) if sys.stderr.isatty() else lines(label, what) as update:
        yield update


if __name__ == "__main__":
    main()
