"""The model of SRAM macros: it finds coefficients that are known, and predicts the foundry's macros that it has not seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from hwmodels.least_squares import non_negative
from hwmodels.macro_model import FIGURES, MacroModel, fit_macros, left_out, shipped_model
from hwmodels.macros import Macro, shipped_macros

WORST = {
    "area_um2": 0.011, "read_energy_pj": 0.134, "write_energy_pj": 0.077, "leakage_nw": 1e-6, "clock_to_q_ns": 0.127,
}  # fmt: skip
"""Measured; a fit that misses a macro by more has become worse."""


def invented(words: int, bits: int, mux: int) -> Macro:
    """A macro of a foundry whose laws we know."""
    rows, columns = words / mux, bits * mux
    address = int(words).bit_length() - 1
    return replace(
        shipped_macros()[0], words=words, bits=bits, column_mux=mux,
        area_um2=(columns + 12.0) * (2.0 * rows + 200.0 / mux + 30.0), read_energy_pj=0.001 * words * bits + 0.4 * bits + 0.3 * address,
        write_energy_pj=0.002 * words * bits + 0.1 * bits + 0.9 * address, leakage_nw=0.02 * words * bits,
        clock_to_q_ns=1.0 + 0.003 * rows + 0.001 * columns,
    )  # fmt: skip


KNOWN = [
    invented(*size) for size in ((64, 64, 4), (256, 8, 4), (512, 32, 4), (1024, 16, 8), (2048, 8, 8), (4096, 16, 16))
]


def test_known_laws_are_found_again() -> None:
    model = fit_macros(KNOWN)
    assert model.row_drivers == pytest.approx(12.0, abs=0.05)
    assert model.heights == pytest.approx((2.0, 200.0, 30.0), rel=0.01)
    assert model.coefficients["read_energy_pj"] == pytest.approx((0.001, 0.4, 0.3))
    assert model.coefficients["leakage_nw"] == pytest.approx((0.02,))
    unseen = invented(8192, 24, 8)
    for name in FIGURES:
        assert float(model.figure(name, 8192, 24, 8)) == pytest.approx(getattr(unseen, name), rel=0.005), name


def test_macros_that_the_fit_has_not_seen() -> None:
    for name, errors in left_out(shipped_macros()).items():
        assert len(errors) == 7
        assert max(map(abs, errors)) <= WORST[name], name


def test_predictions_without_two_of_the_macros() -> None:
    """Fits without any two macros that leave both column muxes and a narrow macro at 4 words a row. Read energy suffers most."""
    worst, macros = dict.fromkeys(FIGURES, 0.0), shipped_macros()
    for pair in combinations(macros, 2):
        kept = [macro for macro in macros if macro not in pair]
        if {macro.column_mux for macro in kept} != {4, 8} or not any(macro.name == "1024x8 /4" for macro in kept):
            continue
        model = fit_macros(kept)
        for macro in pair:
            for name in FIGURES:
                got = float(model.figure(name, macro.words, macro.bits, macro.column_mux))
                worst[name] = max(worst[name], abs(got / getattr(macro, name) - 1))
    assert worst["area_um2"] < 0.01
    assert worst["write_energy_pj"] < 0.1
    assert worst["read_energy_pj"] < 0.25


def test_banks_are_made_of_macros() -> None:
    model = shipped_model()
    one = model.figure("read_energy_pj", 1024, 64, 4)
    assert float(model.read_energy(1024, 64)) == pytest.approx(float(one))
    assert float(model.read_energy(1024, 192)) == pytest.approx(3 * float(one))
    # 8192 words: two macros of 4096, of which an access wakes one.
    assert float(model.area(8192, 16)) == pytest.approx(2 * float(model.figure("area_um2", 4096, 16, 8)))
    assert float(model.read_energy(8192, 16)) == pytest.approx(float(model.figure("read_energy_pj", 4096, 16, 8)))
    assert float(model.area(3, 1)) == pytest.approx(float(model.figure("area_um2", 64, 8, 4)))
    assert model.mux_of([64, 1024, 2048, 2049, 4096]).tolist() == [4, 4, 4, 8, 8]
    assert model.outside([63, 64, 4096, 4097, 64, 64], [8, 8, 64, 64, 7, 65]).tolist() == [1, 0, 0, 1, 1, 1]


def test_arrays_cost_what_their_elements_cost() -> None:
    model, rng = shipped_model(), np.random.default_rng(0)
    words, bits = rng.integers(1, 20_000, 50), rng.integers(1, 300, 50)
    for figure in (model.read_energy, model.write_energy, model.area):
        single = [float(figure(int(one), int(other))) for one, other in zip(words, bits, strict=True)]
        np.testing.assert_allclose(figure(words, bits), single)


def test_more_memory_never_costs_less() -> None:
    model = shipped_model()
    bits = np.arange(1, 65)
    for figure in (model.read_energy, model.write_energy, model.area):
        assert (np.diff(figure(512, bits)) >= 0).all()
        assert (np.diff(figure(np.arange(64, 2049, 64), 32)) >= 0).all()


def test_too_few_macros() -> None:
    with pytest.raises(ValueError, match=r"^sram: at least 4 macros must be given to fit a model, not 3$"):
        fit_macros(shipped_macros()[:3])
    with pytest.raises(ValueError, match=r"^sram: at least 5 macros must be given to leave one out of a fit, not 4$"):
        left_out(shipped_macros()[:4])


def test_coefficients_are_the_best_of_all_that_are_not_negative() -> None:
    """Against the least squares over every subset of the columns."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        matrix, values = rng.normal(size=(8, 4)), rng.normal(size=8)
        best = float(values @ values)
        for count in range(1, 5):
            for chosen in combinations(range(4), count):
                x = np.linalg.lstsq(matrix[:, chosen], values, rcond=None)[0]
                if (x >= 0).all():
                    best = min(best, float(np.square(matrix[:, chosen] @ x - values).sum()))
        found = non_negative(matrix, values)
        assert (found >= 0).all()
        assert float(np.square(matrix @ found - values).sum()) == pytest.approx(best, abs=1e-9)


def test_a_model_is_a_value() -> None:
    assert isinstance(shipped_model(), MacroModel)
    assert shipped_model() is shipped_model()
    with pytest.raises(FileNotFoundError):
        shipped_model("nobody")
