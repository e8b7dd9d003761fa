"""The samplers by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dse.samplers.evolution import nsga2, tpe
from dse.samplers.halton import Halton
from dse.samplers.protocol import MakesSampler, Sampler
from dse.samplers.uniform import Uniform

SAMPLERS: Mapping[str, MakesSampler] = MappingProxyType(
    {"random": Uniform, "halton": Halton, "nsga2": nsga2, "tpe": tpe}
)


def sampler(name: str, sizes: tuple[int, ...], objectives: int, seed: int) -> Sampler:
    """A sampler by name. Raises ValueError listing the known names, or where its package is not installed."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {name!r}")
    return SAMPLERS[name](sizes, objectives, seed)
