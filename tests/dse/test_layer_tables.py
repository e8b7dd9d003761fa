"""Layer tables as a user meets them: Python, the command line, experiments, and cycles of peer tools."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import dse
from dse.experiment import load
from dse.summary import named_network
from dse.table_encoding import encode_table
from dse.variants import load_network, variants
from hwmodels.analytical import evaluate_mapping
from hwmodels.design import Design
from hwmodels.geometry import geometry
from hwmodels.mapping import WEIGHT, Mapping
from hwmodels.models import evaluate
from tests.conftest import Dse
from tests.dse.test_bad_input import refused
from workloads.layers import Conv
from workloads.network import Input, Network, Node
from workloads.tables import READERS, at_bits, load_table
from workloads.weight_encodings import with_weights
from workloads.zoo import NETWORKS

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CONV2 = "conv2_x, 58, 58, 3, 3, 64, 64, 1,\n"
ROWS = HEADER + "first, 10, 10, 3, 3, 3, 8, 1,\nsecond, 8, 8, 3, 3, 8, 16, 1,\nfc, 1, 1, 1, 1, 64, 10, 1,\n"
YAML = """
- {id: 0, name: fc, operator_type: Gemm, equation: "O[d][k]+=I[d][c]*W[c][k]", loop_dims: [C, D, K], loop_sizes: [30, 4, 10],
   operand_precision: {W: 2, I: 3, O: 16, O_final: 16}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "net.yaml").write_text(YAML)
    return tmp_path


def test_conv2_x_takes_the_cycles_of_the_peers(tmp_path: Path) -> None:
    """ZigZag 3.9.1 and AccelForge 1.0.467 give 112,896 compute cycles on 32 x 32 multipliers, as `dse validate` says."""
    (tmp_path / "conv.csv").write_text(HEADER + CONV2)
    (layer,) = load_table(tmp_path / "conv.csv", (8, 8)).layers
    machine = Design(
        kind="mac", rows=32, cols=1, width=32, max_act_bits=8, max_weight_bits=8, weight_depth=4096, act_depth=4096, out_depth=8192
    )  # fmt: skip
    shape = geometry(layer, machine.width)
    assert shape is not None
    assert evaluate_mapping(shape, machine, Mapping(WEIGHT, 2, (8, 8))).activity.cycles.compute_cycles == 112_896


def test_a_row_costs_what_the_same_hidden_layer_costs_alone(folder: Path) -> None:
    table = evaluate(load_table(folder / "rows.csv", (2, 2)), Design())
    assert [result.layer.name for result in table.layers] == ["first", "second", "fc"]
    for result in table.layers:
        layer = result.layer
        assert isinstance(layer, Conv)
        alone = Network("alone", Input(name="x", shape=layer.in_shape, bits=2), (Node(layer, ("x",)),))
        assert evaluate(alone, Design()).layers[0].evaluated == result.evaluated
        assert not layer.from_host


def test_python(folder: Path) -> None:
    assert dse.load_table(folder / "rows.csv", (2, 4)).precision == "2x4"
    assert dse.load_table(folder / "net.yaml").precision == "3x2"
    assert dse.load_table(folder / "net.yaml", (1, 1)).precision == "1x1"
    (folder / "net.yml").write_text(YAML)
    assert dse.load_table(folder / "net.yml").macs == 1200
    assert set(READERS) == {".csv", ".yaml", ".yml", ".toml"}


def test_other_bits_of_a_layer_list(tmp_path: Path) -> None:
    (tmp_path / "resnet18.toml").write_text(dse.network_toml(NETWORKS["resnet18"](1, 1)))
    assert load_table(tmp_path / "resnet18.toml") == NETWORKS["resnet18"](1, 1)
    assert (
        load_table(tmp_path / "resnet18.toml", (3, 2))
        == at_bits(NETWORKS["resnet18"](1, 1), 3, 2)
        == NETWORKS["resnet18"](3, 2)
    )


def test_weight_encodings_of_tables(folder: Path) -> None:
    """A table keeps the encoding of its weights unless another is asked for."""
    ternary = with_weights(NETWORKS["resnet18"](1, 2), "ternary")
    (folder / "ternary.toml").write_text(dse.network_toml(ternary))
    assert named_network(str(folder / "ternary.toml")) == ternary
    assert named_network(str(folder / "ternary.toml"), weights="odd") == NETWORKS["resnet18"](1, 2)
    rows = named_network(str(folder / "rows.csv"), 2, 2, "unsigned")
    assert rows == with_weights(load_table(folder / "rows.csv", (2, 2)), "unsigned")
    assert len(rows.inputs) == 3
    sources = (
        'networks = [{ table = "ternary.toml" }, { table = "rows.csv", bits = "2x2", weights = ["odd", "unsigned"] }]'
    )
    (folder / "weights.toml").write_text(sources)
    found = [variant.network for variant in variants(load(folder / "weights.toml"))]
    assert [network.name for network in found] == ["resnet18", "rows_2x2", "rows_2x2_unsigned"]
    assert found[0] == ternary
    assert found[2].nodes == rows.nodes


def test_show_and_simulate(folder: Path, dse_command: Dse) -> None:
    shown = dse_command("networks", "show", "rows.csv", "--m", "2", "--k", "3", "--json")
    summary = json.loads(shown.stdout)
    # 64 positions of 8 channels of 27, 36 of 16 of 72, 10 of 64.
    assert (summary["macs"], summary["precision"]) == (64 * 8 * 27 + 36 * 16 * 72 + 640, "2x3")
    (folder / "zoo.toml").write_text(dse_command("networks", "show", "resnet18", "--m", "2", "--toml").stdout)
    assert load_table(folder / "zoo.toml") == NETWORKS["resnet18"](2, 1)
    done = dse_command("simulate", "rows=8,cols=4", "rows.csv", "--m", "1", "--k", "1")
    assert done.returncode == 0, done.stderr
    assert "second" in done.stdout


def test_encode_writes_a_layer_list(folder: Path, dse_command: Dse) -> None:
    done = dse_command("encode", "rows.csv", "--bits", "2,3")
    assert done.stdout.splitlines()[-2:] == ["a layer table: shapes and bits, no weights", "wrote rows.toml"]
    assert load_table(folder / "rows.toml") == load_table(folder / "rows.csv", (2, 3))
    (folder / "bits.csv").write_text("layer,m,k\n*,2,2\nfc,8,4\n")
    network, target = encode_table(folder / "rows.csv", str(folder / "bits.csv"), folder / "other.toml")
    assert load_table(target) == network
    assert [(layer.act_bits, layer.weight_bits) for layer in network.contractions] == [(2, 2), (2, 2), (8, 4)]
    assert encode_table(folder / "net.yaml", None, None)[0].precision == "3x2"
    summary = json.loads(dse_command("encode", "rows.csv", "--bits", "1,1", "--json").stdout)
    assert (summary["file"], summary["name"]) == ("rows.toml", "rows")


EXPERIMENT = """
[[networks]]
table = "rows.csv"
bits = ["1x1", "2x2"]
layers = { first = "8x2" }
[[networks]]
table = "net.yaml"
[space]
rows = 8
cols = [2, 4]
"""


def test_experiment(folder: Path, dse_command: Dse) -> None:
    (folder / "experiment.toml").write_text(EXPERIMENT)
    done = dse_command("sweep", "experiment.toml", "-o", "results")
    assert done.returncode == 0, done.stderr
    networks = json.loads((folder / "results" / "manifest.json").read_text())["networks"]
    assert [entry["name"] for entry in networks] == ["rows_1x1", "rows_2x2", "net"]
    assert [entry["precision"] for entry in networks] == ["mixed", "mixed", "3x2"]
    assert [len(entry["shape"]["inputs"]) for entry in networks] == [3, 3, 1]
    explained = dse_command("explain", "results", "0")
    assert explained.returncode == 0, explained.stderr
    assert "second" in explained.stdout


REFUSED = {
    "missing column": (HEADER.replace("Channels,", "") + CONV2, "header: column 'channels' must be given"),
    "a number": (ROWS.replace("16, 1", "many, 1"), "bad.csv: row 3 (second), column 'num filter': must be an integer between"),
    "a name twice": (ROWS.replace("second", "first"), "row 3 (first), column 'layer': names must be unique"),
    "empty": ("", "bad.csv: must have a header and at least one row, but is empty"),
    "huge": (HEADER + "a, 2000000000, 2000000000, 1, 1, 1, 1, 1,", "layer 'a.input': maps and multiply-accumulates must be at mo"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables(case: str, folder: Path) -> None:
    text, message = REFUSED[case]
    (folder / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_table(folder / "bad.csv", "2,2", None)
    assert not (folder / "bad.toml").exists()


def test_garbage(folder: Path) -> None:
    for suffix in READERS:
        path = folder / f"bad{suffix}"
        for raw in (bytes(range(256)) * 8, b"\x00" * 100, b"[" * 2_000, b"\xff" * 2000, b'"\n' * 50, b"- " * 1_500):
            path.write_bytes(raw)
            with pytest.raises(ValueError, match=r"^[^\n]*bad\.\w+: [^\n]+$"):
                load_table(path, (1, 1))


def test_too_large_a_file(folder: Path) -> None:
    with open(folder / "bad.csv", "wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(ValueError, match=r"bad\.csv: a layer table must be at most 4 MiB, not 200,000,000 bytes$"):
        load_table(folder / "bad.csv", (1, 1))


def test_one_line_and_exit_code_2(folder: Path, dse_command: Dse) -> None:
    (folder / "bad.csv").write_text(ROWS.replace("16, 1", "many, 1"))
    line = "bad.csv: row 3 (second), column 'num filter': must be an integer between 1 and 2147483647, not 'many'"
    refused(dse_command("encode", "bad.csv", "--bits", "2,2"), line)
    refused(dse_command("networks", "show", "bad.csv", "--m", "2", "--k", "2"), line)
    refused(
        dse_command("encode", "rows.csv", "--bits", "2,2", "--method", "mse"),
        "--method must come with a float ONNX file",
    )
    refused(dse_command("encode", "rows.csv", "--bits", "2,2", "--fold-constant-planes"), "must come with an ONNX file")
    assert sorted(path.name for path in folder.iterdir()) == ["bad.csv", "net.yaml", "rows.csv"]


def test_bits_and_names(folder: Path) -> None:
    rows, own = folder / "rows.csv", folder / "own.toml"
    own.write_text(dse.network_toml(load_table(folder / "net.yaml")))
    with pytest.raises(ValueError, match=r"rows\.csv: a SCALE-Sim table has no bits, so M and K must be given$"):
        named_network(str(rows))
    with pytest.raises(ValueError, match=r"rows\.csv: --m and --k must be given together for a layer table$"):
        named_network(str(rows), m=2)
    with pytest.raises(ValueError, match=r"rows\.csv: bits: K must be between 1 and 8, not 9$"):
        load_table(rows, (2, 9))
    with pytest.raises(
        ValueError, match=r"none\.csv: the layer table must be readable, but No such file or directory$"
    ):
        load_table(folder / "none.csv", (1, 1))
    with pytest.raises(
        ValueError, match=r"rows\.txt: the suffix of a layer table must be one of \.csv, \.yaml, \.yml, \.toml"
    ):
        load_table(folder / "rows.txt")
    with pytest.raises(ValueError, match=r"x\.safetensors: a layer table has no weights, so .* must end in \.toml$"):
        encode_table(rows, "2,2", folder / "x.safetensors")
    with pytest.raises(ValueError, match=r"own\.toml: must be another file than the table itself"):
        encode_table(own, "2,2", None)
    with pytest.raises(ValueError, match=r"none/x\.toml: the folder must exist and be writable"):
        encode_table(rows, "2,2", folder / "none" / "x.toml")
    with pytest.raises(
        ValueError, match=r"tiny\.onnx: an encoded network brings its own bits, so --m, --k and --weights must"
    ):
        named_network("tiny.onnx", 1, 1)
    with pytest.raises(ValueError, match=r"rows\.csv: must be an encoded network, but a layer table has no weights"):
        load_network(rows)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('table = "net.yaml"', 'table = "none.yaml"', "none.yaml: the layer table must be readable"),
        ('bits = ["1x1", "2x2"]', "", "rows.csv: a SCALE-Sim table has no bits, so M and K must be given"),
        (
            'table = "net.yaml"',
            'table = "net.yaml"\nzoo = "resnet18"',
            "must have one of `file`, `zoo` and `table`, not zoo and table",
        ),
        (
            'table = "net.yaml"',
            'table = "net.yaml"\nbits = []',
            "networks[1].bits: at least one 'MxK' must be given, not none",
        ),
        (
            'table = "net.yaml"',
            'table = "net.yaml"\ndata = "x.npy"',
            "networks[1]: shapes of the zoo or a table have no weights",
        ),
        ('table = "net.yaml"', "table = 3", "networks[1].table: must be str, not 3"),
        ('{ first = "8x2" }', '{ frist = "8x2" }', "network 'rows': 'frist' is not a layer that reduces"),
    ],
)
def test_bad_experiments(old: str, new: str, message: str, folder: Path) -> None:
    assert old in EXPERIMENT
    (folder / "experiment.toml").write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message)):
        variants(load(folder / "experiment.toml"))
