"""Encoded networks survive a file bit by bit, and every broken file is refused in one line with its path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from workloads import files
from workloads.encoded import Codes, EncodedNetwork
from workloads.executor import run
from workloads.layers import Add, Concat, Conv, Dense, Flatten, Pool, Shuffle, Upsample
from workloads.network import Input, Network, Node
from workloads.random_network import random_parameters


def small() -> EncodedNetwork:
    """Every kind of layer once, thresholds, an affine output, unlike numbers everywhere."""
    conv = Conv(
        name="conv/a", in_shape=(2, 5, 6), out_channels=3, kernel=(2, 3), stride=(1, 1), padding=(1, 1, 0, 1),
        act_bits=8, weight_bits=3, out_bits=2, pad_code=-5, from_host=True,
    )  # fmt: skip
    add = Add(name="add", in_shape=(3, 5, 6), act_bits=2, out_bits=2)
    pool = Pool(name="pool", kind="max", in_shape=(3, 5, 6), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
    joined = Concat(name="joined", in_shape=(6, 2, 3), parts=(3, 3), act_bits=2)
    grown = Upsample(name="grown", kind="linear", in_shape=(6, 2, 3), factor=(2, 1), act_bits=2, out_bits=2)
    flatten = Flatten(name="flatten", in_shape=(6, 4, 3), act_bits=2)
    hidden = Dense(
        name="hidden", in_shape=(72, 1, 1), out_channels=8, act_bits=2, weight_bits=2, out_bits=2, ternary=True
    )
    space = Shuffle(name="space", in_shape=(8, 1, 1), block=2, act_bits=2)
    head = Dense(
        name="head", in_shape=(2, 2, 2), out_channels=4, act_bits=2, weight_bits=1, out_bits=None, weight_offset=-1
    )
    nodes = (
        Node(conv, ("image",)), Node(add, ("conv/a", "conv/a")), Node(pool, ("add",)), Node(joined, ("pool", "pool")),
        Node(grown, ("joined",)), Node(flatten, ("grown",)), Node(hidden, ("flatten",)), Node(space, ("hidden",)),
        Node(head, ("space",)),
    )  # fmt: skip
    network = Network("small", Input(name="image", shape=(2, 5, 6), bits=8), nodes)
    made = random_parameters(network, np.random.default_rng(11))
    return EncodedNetwork(network, Codes(bits=8, step=0.1, offset=255), made.parameters, {"file": "a.onnx", "sha": "é"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    target = tmp_path / "net.safetensors"
    files.save(small(), target)
    return target


def test_round_trip(path: Path) -> None:
    made, read = small(), files.load(path)
    assert read.network == made.network
    assert read.input_codes == made.input_codes
    assert read.source == made.source
    for name, wanted in made.parameters.items():
        found = read.parameters[name]
        assert found.acc_bits == wanted.acc_bits
        assert (found.weights is None) == (wanted.weights is None)
        if wanted.weights is not None:
            np.testing.assert_array_equal(found.weights, wanted.weights, strict=True)
        assert (found.thresholds is None) == (wanted.thresholds is None)
        if found.thresholds is not None and wanted.thresholds is not None:
            np.testing.assert_array_equal(found.thresholds.values, wanted.thresholds.values, strict=True)
            np.testing.assert_array_equal(found.thresholds.sign, wanted.thresholds.sign, strict=True)
        assert (found.affine is None) == (wanted.affine is None)
    images = np.random.default_rng(1).uniform(0, 51, size=(2, 2, 5, 6))
    np.testing.assert_array_equal(run(read, images).outputs, run(made, images).outputs)


def test_the_same_network_gives_the_same_bytes_in_another_process(path: Path, tmp_path: Path) -> None:
    script = "import sys; from workloads import files; files.save(files.load(sys.argv[1]), sys.argv[2])"
    for number in range(3):
        other = tmp_path / f"other{number}"
        subprocess.run([sys.executable, "-c", script, str(path), str(other)], check=True, cwd=Path(__file__).parents[2])
        assert other.read_bytes() == path.read_bytes()


def test_the_order_of_provenance_does_not_change_the_bytes(path: Path, tmp_path: Path) -> None:
    made = small()
    source = dict(reversed(made.source.items()))
    files.save(EncodedNetwork(made.network, made.input_codes, made.parameters, source), tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == path.read_bytes()


def test_saving_replaces_and_leaves_nothing_behind(path: Path) -> None:
    path.write_bytes(b"old")
    files.save(small(), path)
    assert files.load(path).network.name == "small"
    assert [item.name for item in path.parent.iterdir()] == ["net.safetensors"]


def test_a_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"net.safetensors: .* No space left on device"):
        files.save(small(), path)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_saving_into_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none/net: the folder must exist and be writable, but No such file"):
        files.save(small(), tmp_path / "none" / "net")


def refused(path: Path) -> str:
    """The message without its path; one line."""
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: ") as caught:
        files.load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == "the network file must exist"
    assert refused(tmp_path) == "the network file must exist"


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_file(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    assert refused(path).startswith("must be a complete safetensors file, but: ")


def test_another_file_altogether(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 this is a zip archive and no network at all")
    assert refused(path).startswith("must be a complete safetensors file, but: ")


Tensors = dict[str, np.ndarray]


def rewrite(path: Path, change: Callable[[dict[str, str], dict[str, Any], Tensors], object]) -> None:
    """Change metadata, header and tensors of a good file in place."""
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = json.loads(metadata["header"])
    before = dict(metadata)
    change(metadata, header, tensors)
    if metadata == before:
        metadata["header"] = json.dumps(header)
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "pt", "format must be 'dse-network', not 'pt'"),
        ("version", "2", "version must be '1', not '2'"),
        ("header", "{", "header must be JSON, but: "),
        ("header", "[" * 100000, ""),
        ("header", "[]", "header: must be an object, not []"),
        ("header", "{}", "header: 'network' must be given"),
    ],
)
def test_metadata(path: Path, key: str, value: str, message: str) -> None:
    rewrite(path, lambda metadata, _header, _tensors: metadata.update({key: value}))
    assert refused(path).startswith(message)


def test_no_metadata(path: Path) -> None:
    save_file({"a": np.zeros(1)}, path)
    assert refused(path) == "format must be 'dse-network', not None"


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("head/weights", None, "file: tensor 'head/weights' must be given, but is missing"),
        ("extra", np.zeros(2), "file: tensor 'extra' must not be given: the header does not know it"),
        ("head/weights", np.zeros((1, 4, 1), np.int64), "tensor 'head/weights': dtype must be U64, not I64"),
        (
            "head/weights",
            np.zeros((1, 4, 2), np.uint64),
            "layer 'head': weight planes must have shape (1, 4, 1), not (1, 4, 2)",
        ),
        (
            "head/weights",
            np.full((1, 4, 1), 2**40, np.uint64),
            "layer 'head': the unused bits of the last weight word must be 0",
        ),
        (
            "head/affine_bias",
            np.array([1, np.nan, 0, 0]),
            "parameters of 'head': affine: scale and bias must be finite",
        ),
        (
            "head/affine_bias",
            np.zeros(3),
            "parameters of 'head': affine: scale, bias and shift must be (channels,), not [(3,), (4,)]",
        ),
        ("head/affine_bias", np.zeros(4, np.float16), "tensor 'head/affine_bias': dtype must be F64, not F16"),
        ("add/threshold_signs", np.zeros(3, np.int64), "parameters of 'add': thresholds: every sign must be -1 or +1"),
    ],
)
def test_tensors(path: Path, name: str, tensor: np.ndarray | None, message: str) -> None:
    def change(_metadata: dict[str, str], _header: dict[str, Any], tensors: Tensors) -> None:
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor

    rewrite(path, change)
    assert refused(path) == message


def nodes(header: dict[str, Any], index: int) -> dict[str, Any]:
    layer: dict[str, Any] = header["network"]["nodes"][index]["layer"]
    return layer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: nodes(h, 0).update(layer="softmax"), "node 0: layer must be one of ['add', 'concat', 'conv', "),
        (lambda h: nodes(h, 0).update(layer=["conv"]), "node 0: layer must be one of "),
        (lambda h: nodes(h, 0).update(bias=1), "node 0 (conv): 'bias' must not be given; the fields are "),
        (lambda h: nodes(h, 0).pop("groups"), "node 0 (conv): 'groups' must be given"),
        (lambda h: nodes(h, 0).update(kernel=[2]), "node 0 (conv): kernel must be a list of 2 integers, not [2]"),
        (lambda h: nodes(h, 0).update(kernel=[2, "3"]), "node 0 (conv): kernel must be a list of 2 integers, not [2, "),
        (lambda h: nodes(h, 0).update(groups=1.0), "node 0 (conv): groups must be of type int, not 1.0"),
        (lambda h: nodes(h, 0).update(groups=None), "node 0 (conv): groups must be of type int, not None"),
        (lambda h: nodes(h, 0).update(from_host=1), "node 0 (conv): from_host must be of type bool, not 1"),
        (lambda h: nodes(h, 0).update(act_bits=9), "layer 'conv/a': act_bits must be between 1 and 8, not 9"),
        (lambda h: nodes(h, 2).update(kind="median"), "layer 'pool': kind must be 'max' or 'average', not 'median'"),
        (lambda h: h["network"]["nodes"][1].update(inputs="ab"), "node 1: inputs must be a list of names, not 'ab'"),
        (lambda h: h["network"].update(nodes={}), "network: nodes must be a list, not {}"),
        (lambda h: h["network"].update(nodes=[]), "network 'small': at least one layer must be given"),
        (
            lambda h: h["network"]["inputs"][0].update(bits=4),
            "layer 'conv/a': act_bits must be 4 as 'image' emits, not 8",
        ),
        (lambda h: h["codes"].update(step="1"), "codes: step must be a number, not '1'"),
        (lambda h: h["codes"].update(step=-1), "codes: step must be a finite number > 0, not -1.0"),
        (lambda h: h["codes"].update(offset=0.5), "codes: offset must be of type int, not 0.5"),
        (lambda h: h["source"].update(file=3), "source: every value must be text, not "),
        (lambda h: h["parameters"].pop("flatten"), "parameters: layer 'flatten' must be given, but is missing"),
        (
            lambda h: h["parameters"].update(other={"acc_bits": None, "tensors": [], "host": None}),
            "parameters: layer 'other' must not be given: the header does not know it",
        ),
        (lambda h: h["parameters"]["add"].update(acc_bits="8"), "parameters of 'add': acc_bits must be of type int, "),
        (
            lambda h: h["parameters"]["add"].update(tensors=["bias"]),
            "parameters of 'add': tensors must be a list out of ",
        ),
        (lambda h: h["parameters"]["add"].update(tensors=[[]]), "parameters of 'add': tensors must be a list out of "),
        (
            lambda h: h["parameters"]["add"].update(tensors=["threshold_signs"]),
            "parameters of 'add': threshold_signs and threshold_values must be given together",
        ),
    ],
)
def test_header(path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    rewrite(path, lambda _metadata, header, _tensors: change(header))
    assert refused(path).startswith(message)
