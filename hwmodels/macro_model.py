"""Any SRAM macro from a foundry's few: a floorplan for the area, what switches for the energy, fitted to the macros' own files.

rows = words / mux, columns = bits mux, where mux words share a row. With non-negative coefficients, least squares of relative errors:

    area          = (columns + a) (b rows + c / mux + d)     cells, row drivers a columns wide, column circuits, those of a bit
    access energy = e words bits + f bits + g log2(words)    bitlines, sense amplifiers and write drivers, decoder and control
    leakage       = h words bits                             cells
    clock to q    = i + j rows + k columns                   control and decoder, bitlines, wordlines
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hwmodels.least_squares import Floats, non_negative
from hwmodels.macros import SHIPPED, Macro, shipped_macros

Sizes = tuple[Floats, Floats, Floats]
"""Words, bits and column mux of macros."""


def _switching(sizes: Sizes) -> list[Floats]:
    words, bits, _ = sizes
    return [words * bits, bits, np.log2(words)]


def _cells(sizes: Sizes) -> list[Floats]:
    words, bits, _ = sizes
    return [words * bits]


def _path(sizes: Sizes) -> list[Floats]:
    words, bits, mux = sizes
    return [np.ones_like(words), words / mux, bits * mux]


TERMS: Mapping[str, Callable[[Sizes], list[Floats]]] = MappingProxyType({
    "read_energy_pj": _switching, "write_energy_pj": _switching, "leakage_nw": _cells, "clock_to_q_ns": _path,
})  # fmt: skip
"""Features of the sums; the area is a product and stands apart."""
FIGURES = ("area_um2", *TERMS)
WIDEST_DRIVERS = 200.0
"""Columns that a row's drivers may be as wide as: the end of the search for `a`."""


@dataclass(frozen=True, slots=True)
class MacroModel:
    """A fit and the range that it was made from. Sizes may be arrays over designs."""

    row_drivers: float
    heights: tuple[float, ...]
    coefficients: Mapping[str, tuple[float, ...]]
    words: tuple[int, int]
    bits: tuple[int, int]
    rows: tuple[int, int]
    muxes: tuple[int, ...]
    source: str

    def figure(self, name: str, words: npt.ArrayLike, bits: npt.ArrayLike, mux: npt.ArrayLike) -> Floats:
        """One of FIGURES, of a macro of that size, wherever it lies."""
        sizes = (np.asarray(words, float), np.asarray(bits, float), np.asarray(mux, float))
        if name == "area_um2":
            heights = zip(_heights(sizes), self.heights, strict=True)
            return np.asarray((sizes[1] * sizes[2] + self.row_drivers) * sum(term * each for term, each in heights))
        terms = zip(TERMS[name](sizes), self.coefficients[name], strict=True)
        return np.asarray(sum(term * each for term, each in terms))

    def mux_of(self, words: npt.ArrayLike) -> Floats:
        """The narrowest column mux among the macros read that keeps the rows within theirs."""
        found = np.full(np.shape(words), float(self.muxes[-1]))
        for mux in reversed(self.muxes):
            found = np.where(np.asarray(words) <= mux * self.rows[1], float(mux), found)
        return found

    def read_energy(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """pJ per read of a word of a bank: all macros side by side."""
        return self._bank("read_energy_pj", words, bits)

    def write_energy(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """pJ per write of a word of a bank."""
        return self._bank("write_energy_pj", words, bits)

    def area(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """um2 of a bank; a bank above the largest macro is several of them."""
        return self._bank("area_um2", words, bits) * np.ceil(np.asarray(words) / self.words[1])

    def access_time_ns(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """From the clock to a word of a bank, without the wires and the choice between several macros."""
        beside = np.ceil(np.asarray(bits) / self.bits[1])
        return self._bank("clock_to_q_ns", words, bits) / beside

    def outside(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether a bank is smaller than the smallest macro read, which it is priced as, or takes several."""
        words, bits = np.asarray(words), np.asarray(bits)
        low = (words < self.words[0]) | (bits < self.bits[0])
        return np.asarray(low | (words > self.words[1]) | (bits > self.bits[1]))

    def _bank(self, name: str, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """A figure of the macros that a word lies in: equal ones side by side, each as deep as its share of the words."""
        beside, below = np.ceil(np.asarray(bits) / self.bits[1]), np.ceil(np.asarray(words) / self.words[1])
        deep = np.maximum(np.asarray(words) / below, self.words[0])
        wide = np.maximum(np.asarray(bits) / beside, self.bits[0])
        return np.asarray(beside * self.figure(name, deep, wide, self.mux_of(deep)))


def _heights(sizes: Sizes) -> list[Floats]:
    words, _, mux = sizes
    return [words / mux, 1 / mux, np.ones_like(words)]


def fit_macros(macros: Sequence[Macro]) -> MacroModel:
    """The model of some macros. Raises ValueError where there are fewer than four, too few for the area's coefficients."""
    if len(macros) < 4:
        raise ValueError(f"sram: at least 4 macros must be given to fit a model, not {len(macros)}")
    sizes = _sizes(macros)
    drivers = _row_drivers(macros, sizes)
    rows = [macro.words // macro.column_mux for macro in macros]
    return MacroModel(
        row_drivers=drivers,
        heights=_solved(_floorplan(sizes, drivers), macros, "area_um2"),
        coefficients={name: _solved(terms(sizes), macros, name) for name, terms in TERMS.items()},
        words=(min(macro.words for macro in macros), max(macro.words for macro in macros)),
        bits=(min(macro.bits for macro in macros), max(macro.bits for macro in macros)),
        rows=(min(rows), max(rows)),
        muxes=tuple(sorted({macro.column_mux for macro in macros})),
        source=f"fitted to {len(macros)} foundry macros at {macros[0].voltage_v:g} V, {macros[0].temperature_c:g} C",
    )


@cache
def shipped_model(name: str = SHIPPED) -> MacroModel:
    """The model of the macros that come with the package."""
    return fit_macros(shipped_macros(name))


def left_out(macros: Sequence[Macro]) -> dict[str, list[float]]:
    """Relative errors by figure: of every macro, from the model that is fitted to the others. Raises ValueError for fewer than five."""
    if len(macros) < 5:
        raise ValueError(f"sram: at least 5 macros must be given to leave one out of a fit, not {len(macros)}")
    errors: dict[str, list[float]] = {name: [] for name in FIGURES}
    for index, macro in enumerate(macros):
        model = fit_macros([*macros[:index], *macros[index + 1 :]])
        for name in FIGURES:
            got = float(model.figure(name, macro.words, macro.bits, macro.column_mux))
            errors[name].append(got / float(getattr(macro, name)) - 1)
    return errors


def _sizes(macros: Sequence[Macro]) -> Sizes:
    found = [[float(getattr(macro, name)) for macro in macros] for name in ("words", "bits", "column_mux")]
    return np.array(found[0]), np.array(found[1]), np.array(found[2])


def _floorplan(sizes: Sizes, drivers: float) -> list[Floats]:
    """Terms of the area once the width of a row's drivers is known."""
    return [(sizes[1] * sizes[2] + drivers) * height for height in _heights(sizes)]


def _solved(terms: Sequence[Floats], macros: Sequence[Macro], name: str) -> tuple[float, ...]:
    """Coefficients with the least squares of relative errors."""
    wanted = np.array([float(getattr(macro, name)) for macro in macros])
    return tuple(non_negative(np.stack(terms, axis=1) / wanted[:, None], np.ones_like(wanted)).tolist())


def _row_drivers(macros: Sequence[Macro], sizes: Sizes) -> float:
    """The `a` of the area by a search that narrows three times: nothing else of the model is not linear."""
    low, high = 0.0, WIDEST_DRIVERS
    for _ in range(3):
        tried = np.linspace(low, high, 41)
        best = int(np.argmin([_area_error(macros, sizes, drivers) for drivers in tried]))
        low, high = tried[max(0, best - 1)], tried[min(40, best + 1)]
    return float((low + high) / 2)


def _area_error(macros: Sequence[Macro], sizes: Sizes, drivers: float) -> float:
    terms = _floorplan(sizes, drivers)
    heights = _solved(terms, macros, "area_um2")
    areas = np.array([macro.area_um2 for macro in macros])
    return float((np.square(sum(term * each for term, each in zip(terms, heights, strict=True)) / areas - 1)).sum())
