"""How often the bits of a machine's operands toggle: what makes dynamic energy depend on data."""

from __future__ import annotations

from dataclasses import dataclass

RANDOM_RATE = 0.5
"""Share of bits that differ between two random words: what published operation energies stand for (assumed where they do not say)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of bits that toggle a cycle: of activation words, of weight words, of their xnor; `source` says whence."""

    activations: float = RANDOM_RATE
    weights: float = RANDOM_RATE
    products: float = RANDOM_RATE
    source: str = "random data"

    def __post_init__(self) -> None:
        for name in ("activations", "weights", "products"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"rates: {name} must be between 0 and 1, not {value!r}")


RANDOM = Rates()
"""Nothing observed."""
