"""`dse encode --bits`: the words of the command line, and what is said where they are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dse.float_encoding import check_no_calibration, encode_at, read_bits
from dse.variants import load_network
from tests.workloads.qonnx_builder import Builder
from workloads.onnx_float_maps import Precision


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = Builder(("batch", 4))
    hidden = made.node("Relu", [made.node("MatMul", ["x", made.constant("w", np.eye(4))], "hidden")], "relu")
    made.node("MatMul", [hidden, made.constant("v", np.ones((4, 2)))], "fc", output="y")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32))
    return made.save(tmp_path / "float.onnx")


def test_bits_are_a_pair_or_a_table(tmp_path: Path) -> None:
    assert read_bits("4,2") == Precision((4, 2), {}, 8)
    (tmp_path / "bits.csv").write_text("layer,m,k\n*,4,2\n\nfc,8,8\n")
    assert read_bits(str(tmp_path / "bits.csv"), 6) == Precision((4, 2), {"fc": (8, 8)}, 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer,m,k\nfc,8,8\n", "must have a row for the layer '*'"),
        ("layer,k,m\n*,8,8\n", "the first row must be layer,m,k, not layer,k,m"),
        ("", "the first row must be layer,m,k, not absent"),
        ("layer,m,k\n*,8\n", "row 2: bits must be two integers M,K, not '8'"),
        ("layer,m,k\n*,8,8\n*,4,4\n", "every layer must have one row, but '*' has 2"),
        ("layer,m,k\n*,8,9\n", "k must be between 1 and 8, not 9"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bits.csv").write_text(text)
    with pytest.raises(ValueError, match="must") as error:
        read_bits(str(tmp_path / "bits.csv"))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_encode_needs_images(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--bits needs --calibrate"):
        encode_at(model, "4,4", None)
    with pytest.raises(ValueError, match="bits must be two integers M,K, not '4'"):
        encode_at(model, "4", tmp_path / "images.npy")


def test_options_of_the_search_mean_nothing_without_bits() -> None:
    check_no_calibration(None, None)
    with pytest.raises(ValueError, match="--calibrate, --method must come with --bits"):
        check_no_calibration(Path("x.npy"), "mse")


def test_a_quantized_network_takes_no_bits() -> None:
    digits = Path(__file__).parents[2] / "examples" / "digits"
    with pytest.raises(ValueError, match="must be a float network to be encoded with bits, but has quantizers"):
        encode_at(digits / "digits_m2k2.onnx", "4,4", digits / "images.npy")


def test_encode_writes_the_network_and_its_fit(model: Path, tmp_path: Path) -> None:
    from dse.cli import app

    target = tmp_path / "net.safetensors"
    images = str(tmp_path / "images.npy")
    done = CliRunner().invoke(app, ["encode", str(model), "--bits", "4,3", "--calibrate", images, "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert "Signal to quantization noise" in done.output
    assert [(layer.act_bits, layer.weight_bits) for layer in load_network(target).network.contractions] == [
        (8, 3),
        (4, 3),
    ]
