"""What a file leaves open, in the words of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dse.importing import integer_input, read_shape
from tests.conftest import Dse
from workloads.encoded import Codes


def test_a_bad_file_is_one_line_and_leaves_nothing(tmp_path: Path, dse_command: Dse) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\x3a\x02\x0a\x00" * 400_000)
    result = dse_command("encode", "bad.onnx")
    assert result.returncode == 2
    assert result.stderr == "error: bad.onnx: must hold at most 300000 records to be read as a network\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


def test_words_must_mean_something(dse_command: Dse) -> None:
    for words, message in (
        (["--input-bits", "4"], "--input-bits must come with --bits or --input-scale"),
        (["--bits", "2,2", "--shape", "3,4,4"], "--shape must come without --bits"),
    ):
        result = dse_command("encode", "absent.onnx", *words)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr


def test_the_scale_is_that_of_float32() -> None:
    assert integer_input("1/255", 8) == Codes(bits=8, step=float(np.float32(1 / 255)) / 2, offset=255)
    assert integer_input("0.5", 4) == Codes(bits=4, step=0.25, offset=15)


@pytest.mark.parametrize("text", ["", "a", "1/0", "0", "-1", "nan", "1e60"])
def test_a_scale_must_be_a_positive_number(text: str) -> None:
    with pytest.raises(ValueError, match="--input-scale must be"):
        integer_input(text, 8)


@pytest.mark.parametrize("text", ["", "3,", "3,x", "0,4", "-1", "3.5"])
def test_a_shape_must_be_sizes(text: str) -> None:
    assert read_shape("3, 32,32") == (3, 32, 32)
    with pytest.raises(ValueError, match="--shape must be sizes"):
        read_shape(text)
