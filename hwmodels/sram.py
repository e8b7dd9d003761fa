"""Published tables of SRAM macros by capacity: the same questions as `hwmodels.macro_model` answers from a foundry's files."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SramTable:
    """Macros of a memory generator: (sizes,) arrays over capacity, for a port of `port_bits`."""

    port_bits: int
    capacity_bytes: tuple[float, ...]
    read_pj: tuple[float, ...]
    write_pj: tuple[float, ...]
    area_um2: tuple[float, ...]
    source: str

    def read_energy(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """pJ per read of a word of a bank; linear in its bits."""
        return self._lookup(self.read_pj, words, bits) * (np.asarray(bits) / self.port_bits)

    def write_energy(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """pJ per write of a word of a bank."""
        return self._lookup(self.write_pj, words, bits) * (np.asarray(bits) / self.port_bits)

    def area(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """um2 of a bank; a bank beyond the largest macro is several of them."""
        macros = np.maximum(1.0, _bytes(words, bits) / self.capacity_bytes[-1])
        return self._lookup(self.area_um2, words, bits) * macros

    def outside(self, words: npt.ArrayLike, bits: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether a bank lies outside the table: smaller ones cost as the smallest macro, larger ones are several."""
        capacity = _bytes(words, bits)
        return np.asarray((capacity < self.capacity_bytes[0]) | (capacity > self.capacity_bytes[-1]))

    def scaled(self, energy: float, area: float, note: str) -> SramTable:
        """The same at another node: energies and areas times a factor each, with a note on the source."""
        return replace(
            self,
            read_pj=tuple(value * energy for value in self.read_pj),
            write_pj=tuple(value * energy for value in self.write_pj),
            area_um2=tuple(value * area for value in self.area_um2),
            source=self.source + note,
        )

    def _lookup(self, values: tuple[float, ...], words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
        """Linear in log-log between neighbouring macros, held at both ends."""
        where = np.log(_bytes(words, bits))
        return np.exp(np.interp(where, np.log(self.capacity_bytes), np.log(values)))


def _bytes(words: npt.ArrayLike, bits: npt.ArrayLike) -> Floats:
    return np.asarray(np.asarray(words, np.float64) * np.asarray(bits) / 8)
