"""The documentation says what is true: examples and sessions run, tables name what the code has, links lead somewhere.

In a page, fences with these words are run in order, in one folder and with one set of names:

    python run [needs=MODULE]    a `>>>` example; skipped where MODULE is not installed
    console run                  `$ dse ...` lines, each followed by what it prints, `...` standing for anything
    toml file=NAME               a file that the commands after it read
"""

from __future__ import annotations

import doctest
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import MISSING, fields
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

from dse.cli import main
from dse.experiment import CHOICES, HIGHEST, LOWEST, NETWORK_KEYS, SECTIONS, WORDS, parse
from dse.explanation import explain_design
from dse.rows import COLUMN_ORDER
from dse.space import FULL, Space
from dse.template import TEMPLATE
from hwmodels.analytical import evaluate_layer
from hwmodels.design import Design
from reports.columns import COLUMNS
from tests.agreement.walk import Walk, stall, timeline, window
from tests.workloads.qlinear_graphs import Graph, dynamic, small
from tests.workloads.qonnx_builder import Builder, Levels, paper, unsigned
from workloads import compiled
from workloads.compiled import WORTHWHILE, Meter
from workloads.layer_list import KINDS
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.onnx_import import load_onnx
from workloads.onnx_operators import OPERATORS
from workloads.tables import READERS
from workloads.zigzag_nest import DIMS
from workloads.zoo import NETWORKS, Decoding

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md")])
LOOSE = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


class Fence(NamedTuple):
    """A fenced block: the words after its backticks, its text, and the line it starts in."""

    words: list[str]
    text: str
    line: int


def fences(path: Path) -> Iterator[Fence]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, flags=re.S | re.M):
        yield Fence(found[1].split(), found[2], text[: found.start()].count("\n") + 1)


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a text ("" for the first of the page)."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    lines = text[text.index(heading) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| ---"))
    found = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(table: list[list[str]]) -> list[str]:
    """The comma-separated names of the first cells."""
    return [name for row in table for name in row[0].split(", ")]


def same(wanted: str, got: str) -> bool:
    return doctest.OutputChecker().check_output(wanted.strip() + "\n", got.strip() + "\n", LOOSE)


def run_python(fence: Fence, path: Path, scope: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(fence.text, scope, path.name, str(path), fence.line)
    runner, said = doctest.DocTestRunner(optionflags=LOOSE), list[str]()
    runner.run(test, out=said.append, clear_globs=False)
    scope.update(test.globs)
    assert test.examples
    assert runner.failures == 0, "".join(said)


def run_console(fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    for session in re.split(r"^\$ ", fence.text, flags=re.M)[1:]:
        command, _, wanted = session.partition("\n")
        got = output(shlex.split(command), monkeypatch)
        assert same(wanted, got), f"$ {command}\n{got}"


def output(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints, without its progress; of one that fails, its error."""
    assert words[0] == "dse"
    monkeypatch.setattr(sys, "argv", words)
    printed, failed, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(printed), redirect_stderr(failed):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return printed.getvalue() + (failed.getvalue() if code else "")


@pytest.mark.parametrize(
    "path", [path for path in PAGES if any("run" in fence.words for fence in fences(path))], ids=lambda path: path.name
)
def test_page_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # By which way a network runs depends on how much the process has asked for; a page starts as its reader does.
    monkeypatch.setattr(compiled, "METER", Meter(WORTHWHILE))
    scope: dict[str, Any] = {"__name__": "docs"}
    for fence in fences(path):
        options = dict(word.split("=", 1) for word in fence.words if "=" in word)
        if "file" in options:
            Path(options["file"]).write_text(fence.text, encoding="utf-8")
        elif "run" in fence.words and find_spec(options.get("needs", "dse")):
            if fence.words[0] == "python":
                run_python(fence, path, scope)
            else:
                run_console(fence, monkeypatch)


def test_zoo_table_is_the_zoo() -> None:
    table = {row[0]: row[1:] for row in rows("networks.md", "<!-- checked: zoo -->")}
    assert list(table) == list(NETWORKS)
    for name, entry in NETWORKS.items():
        network = entry(decoding=Decoding(phase="decode") if entry.decodes else None)
        parameters, macs = entry.published.parameters, entry.published.macs
        assert table[name] == [
            f"{network.macs:,}",
            f"{network.parameters:,}",
            "–" if parameters is None else f"{parameters:,.0f}",
            "–" if macs is None else f"{macs:.4g}",
            entry.published.source,
        ]


def test_every_prompt_is_run() -> None:
    """What looks like an example is one."""
    for path in sorted(ROOT.glob("docs/*.md")):
        for fence in fences(path):
            if fence.words[:1] == ["toml"]:
                assert any(word.startswith("file=") for word in fence.words), f"{path.name}:{fence.line}"
            if re.search(r"^(>>>|\$ dse) ", fence.text, flags=re.M):
                assert "run" in fence.words, f"{path.name}:{fence.line}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_experiment_keys_and_defaults() -> None:
    table = rows("experiment-file.md", "")
    assert [row[0] for row in table] == list(SECTIONS)
    assert {row[0] for row in rows("experiment-file.md", "## networks")} == set(NETWORK_KEYS)
    plain = parse('[[networks]]\nzoo = "resnet18"', base=ROOT, where="plain")
    defaults = {row[0]: row[2] for row in table}
    assert (defaults["name"], defaults["seed"]) == (plain.name, str(plain.seed))
    assert defaults["objectives"].split(", ") == list(plain.objectives)
    assert (defaults["constraints"], defaults["require"]) == ("none", "none")
    assert (plain.constraints, plain.require) == ((), ())
    assert (defaults["minimise"], plain.minimise) == ("first objective", plain.objectives[0])


def test_space_knobs() -> None:
    table = rows("experiment-file.md", "| knob |")
    defaults = {item.name: item.default[0] for item in fields(Space)}  # type: ignore[index]
    assert [row[0] for row in table] == list(defaults)
    for name, default, values, _ in table:
        value = WORDS[name] if name in WORDS and defaults[name] == FULL else defaults[name]
        assert default == (str(value).lower() if isinstance(value, bool) else str(value)), name
        assert values == legal(name), name


def legal(name: str) -> str:
    """The values of a knob as the page writes them."""
    if name in CHOICES:
        return ", ".join(CHOICES[name])
    if name == "port_shared":
        return "true, false"
    if name == "clock_mhz":
        return "number > 0 and < 100000"
    low = LOWEST.get(name, 1)
    if name in HIGHEST:
        return f"{low}..{HIGHEST[name]}" + (f", {WORDS[name]}" if name in WORDS else "")
    return f"integer >= {low}"


@pytest.mark.parametrize("row", rows("experiment-file.md", "| written |"), ids=lambda row: row[0])
def test_spreads(row: list[str]) -> None:
    written = row[0].strip("`")
    found = parse(f'networks = [{{ zoo = "resnet18" }}]\n[space]\n{written}', base=ROOT, where="spread").space
    assert ", ".join(map(str, getattr(found, written.split(" ")[0]))) == row[1]


def test_limits_of_the_space() -> None:
    """The ends that the page states: one beyond each is refused."""
    for knob, value in (("clock_mhz", 0), ("clock_mhz", 100_000), ("rows", 0), ("port_latency", -1), ("lanes_a", 9)):
        with pytest.raises(ValueError, match=f"space.{knob}"):
            parse(f'networks = [{{ zoo = "resnet18" }}]\n[space]\n{knob} = {value}', base=ROOT, where="limit")


def test_template_is_an_experiment() -> None:
    assert parse(TEMPLATE, base=ROOT, where="template", find_files=False).networks


def test_result_columns_and_units() -> None:
    table = rows("results.md", "<!-- checked: columns -->")
    assert sorted(names(table)) == sorted((*COLUMN_ORDER, "kept"))
    for cell, unit, _ in table:
        for name in cell.split(", "):
            assert unit == ("" if COLUMNS[name].unit == "id" else COLUMNS[name].unit), name


def test_manifest_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.toml").write_text(
        'networks = [{ zoo = "resnet18" }]\n[space]\nweight_depth = 8192\nact_depth = 4096\nout_depth = 4096\n'
    )
    output(["dse", "sweep", "one.toml", "-o", "results"], monkeypatch)
    manifest = json.loads(Path("results/manifest.json").read_text(encoding="utf-8"))
    assert sorted(names(rows("results.md", "<!-- checked: manifest -->"))) == sorted(manifest)
    assert sorted(names(rows("results.md", "<!-- checked: manifest networks -->"))) == sorted(manifest["networks"][0])


def test_layer_list_keys() -> None:
    """Every kind of layer with its fields, those that may be left out in brackets."""
    written = {row[0]: row[1].split(", ") for row in rows("tables.md", "<!-- checked: kinds -->")}
    for name, kind in KINDS.items():
        optional = {item.name for item in fields(kind) if item.default is not MISSING or "None" in str(item.type)}
        keys = [f"[{item.name}]" if item.name in optional else item.name for item in fields(kind)]
        assert written.pop(name) == keys, name
    assert not written


def test_zigzag_operators() -> None:
    found = {name: row[1].split(", ") for row in rows("tables.md", "| operator_type |") for name in row[0].split(", ")}
    assert found == {name: list(dims) for name, dims in DIMS.items()}


def test_table_suffixes() -> None:
    assert set(names(rows("tables.md", "| suffix |"))) == set(READERS)


def test_imported_nodes() -> None:
    assert set(names(rows("importing.md", "") + rows("graphs.md", ""))) == set(OPERATORS)


WEIGHTS = np.random.default_rng(0).uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32)


TWO_BITS = paper(2)


def network(
    *, act: Levels | None = TWO_BITS, weights: Levels | None = TWO_BITS, batch: int = 1, output: str = "y"
) -> Builder:
    """A padded 3x3 convolution of a 4x4 map, the tail left to the caller where `output` is not y."""
    builder = Builder((batch, 3, 4, 4))
    codes = builder.quant("x", "act", act) if act else "x"
    read = builder.weights("w", WEIGHTS, weights) if weights else builder.constant("w", WEIGHTS)
    builder.node("Conv", [codes, read], "conv", output=output, pads=[1, 1, 1, 1])
    return builder


def ending(op: str, name: str) -> Builder:
    builder = network(output="conv_out")
    builder.node(op, ["conv_out"], name, output="y")
    return builder


def two_readers() -> Builder:
    builder = network(output="conv_out")
    first = builder.quant("conv_out", "first", paper(2))
    second = builder.quant(builder.node("Relu", ["conv_out"], "relu"), "second", paper(2))
    builder.node("Add", [first, second], "sum", output="y")
    return builder


def scales_per_channel() -> Builder:
    builder = network(output="conv_out")
    scale = np.arange(1, 5, dtype=np.float32).reshape(1, 4, 1, 1)
    flat = builder.node("Flatten", [builder.quant("conv_out", "codes", Levels(2, scale))], "flat")
    builder.node("MatMul", [flat, builder.weights("v", np.ones((64, 2)), TWO_BITS)], "fc", output="y")
    return builder


REFUSED: dict[str, Callable[[], Builder | Graph]] = {
    "an unsupported node": lambda: ending("Sin", "sine"),
    "float weights": lambda: network(weights=None),
    "more than 8 bits": lambda: network(act=unsigned(9, 1.0)),
    "a zero point of 1/4": lambda: network(act=Levels(2, np.float32(1), zero=0.25)),
    "weights with a zero point of 1/4": lambda: network(weights=Levels(2, np.float32(1), zero=0.25)),
    "pads, and codes without a zero": lambda: network(act=Levels(2, np.float32(1), zero=0.5)),
    "one activation scale per channel": scales_per_channel,
    "an unknown rounding mode": lambda: network(act=Levels(2, np.float32(1), rounding="STOCHASTIC")),
    "no quantizer on the input": lambda: network(act=None),
    "sums with two readers": two_readers,
    "a Relu at the end": lambda: ending("Relu", "relu"),
    "a fixed batch": lambda: network(batch=4),
    "dynamic quantization": dynamic,
    "integers of 16 bits, or float8": lambda: small(kind="uint16", zero=(0, "uint16")),
    "a zero point of another type": lambda: small(w_zero=([0, 0, 0], "uint8")),
    "as many scales as the axis has not": lambda: small(w_scale=[1, 2], w_zero=([0, 0], "int8")),
    "a scale of zero": lambda: small(scale=0.0),
    "one scale a block": lambda: small(x_attributes={"block_size": 2}),
}


def test_refusals_are_all_shown() -> None:
    assert [row[0] for row in rows("importing.md", "<!-- checked: refusals -->")] == list(REFUSED)


@pytest.mark.parametrize("row", rows("importing.md", "<!-- checked: refusals -->"), ids=lambda row: row[0])
def test_refusal_message(row: list[str], tmp_path: Path) -> None:
    onnx.save(REFUSED[row[0]]().model(), tmp_path / "refused.onnx")
    with pytest.raises(ValueError, match=r"\w") as refusal:
        load_onnx(tmp_path / "refused.onnx")
    assert same(row[1].strip("`"), str(refusal.value)), refusal.value


LAYER = Conv(
    name="conv", in_shape=(64, 14, 14), out_channels=64, kernel=(3, 3), padding=(1, 1, 1, 1),
    act_bits=2, weight_bits=2, out_bits=2,
)  # fmt: skip
MACHINE = Design(rows=32, cols=7, width=64, max_act_bits=2, max_weight_bits=2)


def number(text: str) -> float:
    return float(text.replace(",", "").strip("*"))


def product(text: str) -> float:
    """The value of `a · (b + c) · d`, as the energy table writes its counts."""
    return prod(sum(number(term) for term in factor.strip(" ()").split("+")) for factor in text.split("·"))


def test_cycles_by_hand() -> None:
    found = evaluate_layer(LAYER, MACHINE)
    assert found is not None
    cycles = found.activity.cycles
    table = {row[0]: row[2] for row in rows("closed-form.md", "## Cycles")}
    for cause in ("load", "fill", "compute", "drain", "stall", "store"):
        stated = next(value for name, value in table.items() if name.startswith(f"**{cause}**"))
        assert number(stated) == getattr(cycles, f"{cause}_cycles"), cause
    assert number(table["latency"]) == cycles.total


def test_counts_by_hand() -> None:
    found = evaluate_layer(LAYER, MACHINE)
    assert found is not None
    activity = found.activity
    for action, _, count in rows("closed-form.md", "| action |"):
        name = action.split(" ")[0]
        moved = activity.memory_read_bits + activity.memory_write_bits
        # One lane of each operand: an entry is a word.
        assert number(count) == (moved if name == "bits" else getattr(activity.actions, name)), name


def test_energy_by_hand() -> None:
    one = Network("one", Input(name="x", shape=LAYER.in_shape, bits=2), (Node(LAYER, ("x",)),))
    terms = explain_design(one, MACHINE).energy.set_index("term")
    *table, total = rows("closed-form.md", "| term | count |")
    assert {row[0] for row in table} == set(terms.index)
    for name, count, each, _, amount in table:
        assert product(count) == pytest.approx(terms.loc[name, "quantity"], rel=1e-6), name
        assert number(each) == pytest.approx(terms.loc[name, "each"], rel=1e-3), name
        assert number(amount) == pytest.approx(terms.loc[name, "amount"], abs=0.051), name
    assert number(total[-1]) == pytest.approx(terms["amount"].sum(), abs=0.051)


def test_the_example_states_how_far_the_closed_form_is_off() -> None:
    """The walk over every tile, burst by burst, waits less than mean tiles do."""
    found = evaluate_layer(LAYER, MACHINE)
    assert found is not None
    mapping = found.mapping
    tiles = Walk(window(LAYER, 64), MACHINE, mapping.dataflow, mapping.groups, mapping.block).run().tiles
    exact = timeline(tiles, MACHINE)
    assert (stall(exact, tiles), exact.latency) == (244, 4046)
    text = (ROOT / "docs" / "closed-form.md").read_text(encoding="utf-8")
    assert "waits 244 cycles instead of 281, so\n4046 cycles in all" in text
    assert f"{100 * (found.activity.cycles.total / exact.latency - 1):.1f} % above" in text
