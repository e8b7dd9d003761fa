"""Activity files: from images to energy of the bits that toggled, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dse.execute import execute
from dse.observing import observed, rates_at, read_rates
from dse.simulation import simulate
from dse.variants import load_network
from hwmodels.design import Design
from hwmodels.models import evaluate
from hwmodels.rates import RANDOM, Rates
from tests.conftest import Dse
from workloads.observation import mean_rates

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
NETWORK, IMAGES = DIGITS / "digits_m2k2.onnx", DIGITS / "images.npy"
DESIGN = Design(rows=8, cols=8, width=16, act_depth=4096, weight_depth=4096, threshold_depth=64)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    np.save(tmp_path / "few.npy", np.load(IMAGES)[:4])
    return tmp_path / "few.npy"


def test_energy_of_what_was_observed(few: Path, tmp_path: Path) -> None:
    done = execute(NETWORK, few, activity=tmp_path / "activity.json", width=16)
    assert done.observed is not None
    by_width = read_rates(tmp_path / "activity.json", "digits_m2k2")
    assert by_width == done.observed.rates
    assert list(by_width) == [8, 16, 32, 64]
    rates = rates_at(by_width, DESIGN.width)
    assert rates.source == "observed on 4 images in words of 16 bits"
    assert mean_rates(done.observed.layers) == (rates.activations, rates.weights, rates.products)
    network = load_network(NETWORK).network
    random, real = (evaluate(network, DESIGN, rates=each) for each in (RANDOM, rates))
    assert (random.rates, real.rates) == (RANDOM, rates)
    assert real.activity == random.activity
    assert real.cost.energy_pe_nj < random.cost.energy_pe_nj
    for part in ("post", "buffer", "memory", "control", "leakage"):
        assert getattr(real.cost, f"energy_{part}_nj") == getattr(random.cost, f"energy_{part}_nj")
    found = simulate(network, DESIGN, rates)
    assert list(found.energy_nj) == ["random data", rates.source]
    assert found.energy_nj[rates.source] < found.energy_nj["random data"]


def test_energy_is_proportional_to_toggles() -> None:
    network = load_network(NETWORK).network
    still, half, all_bits = (
        evaluate(network, DESIGN, rates=Rates(activations=rate, weights=rate, products=rate)).cost.energy_pe_nj
        for rate in (0.0, 0.5, 1.0)
    )
    assert half - still == pytest.approx(all_bits - half)
    assert half == evaluate(network, DESIGN).cost.energy_pe_nj


def test_the_nearest_width_prices_a_machine() -> None:
    rates = {width: Rates(products=width / 100) for width in (8, 16, 32, 64)}
    assert [rates_at(rates, width).products for width in (4, 8, 12, 16, 24, 48, 256)] == [
        0.08, 0.08, 0.16, 0.16, 0.32, 0.64, 0.64,
    ]  # fmt: skip


def test_wide_words_that_few_channels_fill_toggle_less() -> None:
    rates = observed(load_network(NETWORK), np.load(IMAGES)[:4]).rates
    assert rates[8].products > rates[16].products > rates[32].products > rates[64].products


def test_the_table_names_constant_planes() -> None:
    images = np.zeros_like(np.load(IMAGES)[:2])
    table = observed(load_network(NETWORK), images).table
    assert table["constant_planes"][0].startswith("0: -1, 1: -1")
    assert (table["acc_bits"] <= table["acc_bound_bits"]).all()


def test_the_command(few: Path, dse_command: Dse, tmp_path: Path) -> None:
    done = dse_command("run", str(NETWORK), "--input", str(few), "--activity", "a.json")
    assert done.returncode == 0, done.stderr
    assert "Xnor bits toggling" in done.stdout
    (tmp_path / "design.toml").write_text(
        "rows = 8\nwidth = 16\nact_depth = 4096\nweight_depth = 4096\nthreshold_depth = 64\n"
    )
    found = dse_command("simulate", "design.toml", str(NETWORK), "--activity", "a.json")
    assert found.returncode == 0, found.stderr
    assert "nJ with operand bits toggling as random data" in found.stdout
    assert "nJ with operand bits toggling as observed on 4 images in words of 16 bits" in found.stdout


def file_of(network: str, *, activations: float) -> str:
    rates = {"8": {"activations": activations, "weights": 0, "products": 0, "source": ""}}
    return json.dumps({"format": "dse-activity", "network": network, "rates": rates})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "its format is not 'dse-activity'"),
        ("nonsense", "must be an activity file as `dse run --activity` writes it, but Expecting value"),
        (json.dumps({"format": "dse-activity", "network": "x"}), "but 'rates'"),
        (
            file_of("x", activations=2),
            "rates: activations must be between 0 and 1, not 2",
        ),
        (
            file_of("x", activations=0),
            "must be the activity of network 'digits_m2k2', not of 'x'",
        ),
    ],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: must be ") as error:
        read_rates(tmp_path / "a.json", "digits_m2k2")
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1
