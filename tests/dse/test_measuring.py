"""`dse accuracy`: counts by hand, a killed run that goes on, and files that do not fit together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import dse.measuring as measuring
from dse.cli import app
from dse.measuring import Score, measure_accuracy, ranks, read_scores
from dse.variants import load_network
from workloads.executor import run

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FILES = (DIGITS / "images.npy", DIGITS / "labels.npy")


def test_ranks_count_who_stands_before() -> None:
    outputs = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 5.0, 5.0]])
    assert ranks(outputs, np.array([0, 2, 2])).tolist() == [0, 2, 1]
    assert ranks(outputs, np.array([1, 0, 0])).tolist() == [2, 0, 2]
    assert (ranks(outputs, outputs.argmax(axis=1)) == 0).all()


def test_accuracy_is_that_of_the_executor_whatever_the_batch() -> None:
    images, labels = np.load(FILES[0]), np.load(FILES[1])
    for name in ("m1k1", "m6k6"):
        path = DIGITS / f"digits_{name}.onnx"
        wanted = float((run(load_network(path), images).outputs.argmax(axis=1) == labels).mean())
        for batch in (77, 500):
            assert measure_accuracy([path], *FILES, batch=batch)["accuracy"].tolist() == [wanted]


def test_a_killed_run_goes_on_and_a_finished_one_is_not_redone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, networks = tmp_path / "scores.csv", [DIGITS / "digits_m1k1.onnx", DIGITS / "digits_m2k1.onnx"]
    whole = measure_accuracy(networks, *FILES, batch=100)

    def killed(done: int, _total: int) -> None:
        if done > 650:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_accuracy(networks, *FILES, output=output, batch=100, progress=killed)
    assert [score.images for score in read_scores(output)] == [500, 100]
    seen: list[int] = []
    resumed = measure_accuracy(
        networks, *FILES, output=output, batch=100, progress=lambda done, _total: seen.append(done)
    )
    assert seen == [700, 800, 900, 1000]
    assert resumed.equals(whole)
    monkeypatch.setattr(measuring, "run_prepared", None)
    assert measure_accuracy(networks, *FILES, output=output).equals(whole)


def test_scores_of_other_files_do_not_count(tmp_path: Path) -> None:
    output, network = tmp_path / "scores.csv", [DIGITS / "digits_m1k1.onnx"]
    measure_accuracy(network, *FILES, output=output)
    labels = np.load(FILES[1])
    np.save(tmp_path / "shifted.npy", (labels + 1) % 10)
    found = measure_accuracy(network, FILES[0], tmp_path / "shifted.npy", output=output)
    assert found["accuracy"][0] < 0.2
    assert len(read_scores(output)) == 2


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(3, np.int64), "labels must be integers (500,), one an image, not int64 (3,)"),
        (np.zeros(500), "not float64 (500,)"),
        (np.full(500, 10), "labels must be in 0..9, not 10..10"),
        (np.full(500, -1), "labels must be in 0..9, not -1..-1"),
    ],
)
def test_wrong_labels_are_one_line(labels: np.ndarray, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(ValueError, match="labels must be") as error:
        measure_accuracy([DIGITS / "digits_m1k1.onnx"], FILES[0], tmp_path / "labels.npy")
    assert words in str(error.value)


def test_an_output_that_is_something_else_is_not_overwritten(tmp_path: Path) -> None:
    for text in ("a,b\n1,2\n", "", "\x00\x01"):
        (tmp_path / "notes.csv").write_text(text)
        with pytest.raises(ValueError, match="must be scores as dse accuracy writes them"):
            measure_accuracy([DIGITS / "digits_m1k1.onnx"], *FILES, output=tmp_path / "notes.csv")
        assert (tmp_path / "notes.csv").read_text() == text
    with pytest.raises(ValueError, match="top1 <= top5 <= images"):
        Score("n", "1x1", 10, 11, 11, "", "", "")
    with pytest.raises(ValueError, match="images must be \\(N, channels, height, width\\)"):
        measure_accuracy([DIGITS / "digits_m1k1.onnx"], FILES[1], FILES[1])


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    words = ["accuracy", str(DIGITS / "digits_m1k1.onnx"), "--data", str(FILES[0]), "--labels", str(FILES[1]), "--json"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "scores.csv")])
    assert done.exit_code == 0, done.output
    row = json.loads(done.stdout)[0]
    assert (row["network"], row["images"], row["accuracy_source"]) == ("digits_m1k1", 500, "measured")
    assert read_scores(tmp_path / "scores.csv")[0].top1 == round(500 * row["accuracy"])


def test_signal_to_noise_beside_accuracy(tmp_path: Path) -> None:
    words = ["accuracy", str(DIGITS / "digits_m4k4.onnx"), "--data", str(FILES[0]), "--labels", str(FILES[1])]
    done = CliRunner().invoke(app, [*words, "--sqnr", "8", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["accuracy"][0]["accuracy_source"] == "measured"
    assert [row["layer"] for row in found["sqnr"]] == ["conv1", "conv2", "conv3", "conv4", "add", "output"]
    assert all(10 < row["sqnr_db"] < 30 for row in found["sqnr"])
    with pytest.raises(ValueError, match="signal to noise needs the ONNX file"):
        measuring.measure_sqnr([tmp_path / "net.safetensors"], FILES[0], 8)
