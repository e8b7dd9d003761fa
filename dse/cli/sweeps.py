"""Commands that look for designs: demo, init, sweep, bits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.app import app
from dse.cli.options import AsJson, Workers
from dse.cli.printing import print_decision, print_json, print_table, progress_of, records

if TYPE_CHECKING:
    import pandas as pd

    from dse.results import Results


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for what the demo makes.")] = Path(
        "demo-results"
    ),
    workers: Workers = 2,
) -> None:
    """Run the main job on the shipped example: encode, execute, sweep, decide, report."""
    from dse.demo import demo as run_demo

    with progress_of("sweep") as progress:
        made = run_demo(output, workers=workers, say=print, progress=progress)
    print_decision(made.results, made.decision.table, made.decision.choice)
    print(f"report   {made.report.resolve()}")


@app.command()
def init(path: Annotated[Path, typer.Argument(help="Experiment file to write.")] = Path("experiment.toml")) -> None:
    """Write a commented experiment file to start from."""
    from dse.template import write_template

    write_template(path)
    print(f"wrote {path}; next: dse sweep {path} -o results")


@app.command()
def sweep(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML); `dse init` writes one.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Results folder.")] = Path("results"),
    workers: Workers = 1,
    executor: Annotated[str, typer.Option(help="local, or dask (extra `dask`): a cluster, docs/cluster.md.")] = "local",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler; without it dask runs on this machine.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted sweep of the same experiment.")
    ] = False,
    refine: Annotated[
        bool, typer.Option("--refine", help="Exact cycles of every design on the front -> refined.csv.")
    ] = False,
    keep: Annotated[
        str,
        typer.Option(
            help="best: the front, the best of every network and of every value of a knob, a sample; front: quicker, without the best of "
            "values; all: every feasible row."
        ),
    ] = "best",
    sampler: Annotated[
        str | None,
        typer.Option(
            help="Look only at the designs that one asks for: random, halton, nsga2 or tpe (the last two: extra `search`)."
        ),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Designs that the sampler asks for.")] = 1000,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the sampler [default: as the experiment says].")] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say how long it will take, and do nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the designs of a space that are worth building for its networks."""
    from dse.experiment import load
    from dse.sampling import sampling_of
    from dse.sweeps import forecast
    from dse.sweeps import sweep as run_sweep

    loaded = load(experiment)
    if estimate:
        print(forecast(loaded, workers=workers, keep=keep))
        return
    sampling = sampling_of(loaded, sampler, budget, seed)
    with progress_of("sweep") as progress:
        done = run_sweep(
            loaded, output, workers=workers, executor=executor, scheduler=scheduler, resume=resume, keep=keep,
            sampling=sampling, progress=progress, tell=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
    counts = {name: done.manifest[name] for name in ("evaluated", "skipped", "feasible", "infeasible", "sampling")}
    refined = _refined(done) if refine else None
    if as_json:
        exact = {} if refined is None else {"refined": records(refined)}
        print_json({"results": str(done.path), **counts, **exact})
        return
    skipped = f"{counts['skipped']:,} skipped by bounds, " if counts["skipped"] else ""
    if sampling is not None:
        print(f"{sampling.words}, of a space of {done.manifest['rows']:,}")
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
    with progress_of("verify", "points") as progress:
        done = choose_bits(
            experiment, designs=designs or (), front=front, objectives=objectives or (), show=show, verified=verify,
            budget=budget, progress=progress,
        )  # fmt: skip
    written = [] if output is None else write_bits(done, output)
    if as_json:
        print_json({**done.summary, "points": records(done.view), "files": [str(path) for path in written]})
        return
    print_table(done.view, False)
    for line in done.words:
        print(line)
    if output is not None:
        print(f"wrote {written[0]} and {len(written) - 1} more files in {output}")
