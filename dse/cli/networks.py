"""Commands about networks: list, encode, execute, measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dse.cli.app import app
from dse.cli.options import ActBits, AsJson, NetworkName, WeightBits
from dse.cli.printing import print_json, print_layers, print_table, progress_of, records


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
        found = {name: records(table) for name, table in shown.items()}
        print_json({"file": str(made.written), **network_summary(made.network), **found, "notes": list(made.notes)})
        return
    for table in shown.values():
        print_table(table, False)
    print_layers(network_summary(made.network))
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

    print_table(zoo_table(), as_json)


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
        print_json(summary)
        return
    print_layers(summary)


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
        print_json(done.summary)
        return
    print_table(done.actions if done.observed is None else done.observed.table, False)
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

    with progress_of("accuracy", "images") as progress:
        table = measure_accuracy(networks, data, labels, output=output, batch=batch, progress=progress)
    signal = None if sqnr is None else measure_sqnr(networks, data, sqnr)
    if as_json:
        print_json(records(table) if signal is None else {"accuracy": records(table), "sqnr": records(signal)})
        return
    print_table(table, False)
    if signal is not None:
        print_table(signal, False)
