"""The samplers by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from dse.samplers.evolution import nsga2, tpe
from dse.samplers.halton import Halton
from dse.samplers.protocol import MakesSampler, Sampler
from dse.samplers.uniform import Uniform

SAMPLERS: Mapping[str, MakesSampler] = MappingProxyType(
    {"random": Uniform, "halton": Halton, "nsga2": nsga2, "tpe": tpe}
)
NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType({"nsga2": ("optuna",), "tpe": ("optuna",)})


def packages(name: str) -> tuple[str, ...]:
    """Packages other than numpy that a sampler needs, and that decide its points."""
    return NEEDS.get(name, ())


def sampler(name: str, sizes: tuple[int, ...], objectives: int, seed: int) -> Sampler:
    """A sampler by name. Raises ValueError listing the known names, or where its package is not installed."""
    check_sampler(name)
    return SAMPLERS[name](sizes, objectives, seed)


def check_sampler(name: str) -> None:
    """Raise ValueError listing the known names for another one, or where its package is not installed."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {name!r}")
    if any(find_spec(package) is None for package in packages(name)):
        raise ValueError(f"sampler: {name} needs Optuna; install it with `pip install 'dse-xnor[search]'`")
