"""Activity files: what real inputs made a network's operands do, written by `dse run --activity`, read where energy is priced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hwmodels.rates import RANDOM, Rates
from workloads.encoded import EncodedNetwork
from workloads.observation import Observation, mean_rates, observe

FORMAT = "dse-activity"


@dataclass(frozen=True, slots=True)
class Observed:
    """A network on `images` images, in words of `width` bits: every layer with weights, and the mean over them."""

    network: str
    images: int
    width: int
    layers: Mapping[str, Observation]

    @property
    def rates(self) -> Rates:
        """What energy is priced with: toggle rates, each layer weighted by its xnor words."""
        activations, weights, products = mean_rates(self.layers)
        return Rates(
            activations=activations,
            weights=weights,
            products=products,
            source=f"observed on {self.images} images in words of {self.width} bits",
        )

    @property
    def table(self) -> pd.DataFrame:
        """A row a layer."""
        return pd.DataFrame(
            {
                "layer": seen.layer,
                "activation_toggle_rate": seen.activation_toggle_rate,
                "weight_toggle_rate": seen.weight_toggle_rate,
                "product_toggle_rate": seen.product_toggle_rate,
                "constant_planes": _constants(seen),
                "acc_bits": seen.acc_bits,
                "acc_bound_bits": seen.acc_bound_bits,
            }
            for seen in self.layers.values()
        )


def observed(network: EncodedNetwork, inputs: npt.NDArray[np.generic], *, width: int = 64) -> Observed:
    """Run and observe. Raises ValueError where no layer has weights, and what `run` raises."""
    found = observe(network, inputs, width=width)
    if not found:
        raise ValueError(f"network {network.network.name!r}: must have a layer with weights to be observed")
    return Observed(network.network.name, len(inputs), width, found)


def activity_text(found: Observed) -> str:
    """The file: JSON with planes, histograms and rates of every layer."""
    layers = {name: asdict(seen) for name, seen in found.layers.items()}
    head = {"format": FORMAT, "network": found.network, "images": found.images, "width": found.width}
    return json.dumps(head | {"rates": asdict(found.rates), "layers": layers}, indent=1)


def rates_of(path: Path | None, network: str) -> Rates:
    """Rates of an activity file, those of random data where there is none."""
    return RANDOM if path is None else read_rates(path, network)


def read_rates(path: str | Path, network: str) -> Rates:
    """Toggle rates of an activity file of this network. Raises ValueError, one line, for any other file."""
    try:
        entry = json.loads(Path(path).read_text(encoding="utf-8"))
        rates = Rates(**_fields(entry))
    except OSError as error:
        raise ValueError(f"{path}: must be a readable activity file, but {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: must be an activity file as `dse run --activity` writes it, but {reason}") from error
    if entry["network"] != network:
        raise ValueError(f"{path}: must be the activity of network {network!r}, not of {entry['network']!r}")
    return rates


def _fields(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    return {name: entry["rates"][name] for name in ("activations", "weights", "products", "source")}


def _constants(seen: Observation) -> str:
    """Such as `3: +1`, counted from plane 0, the least significant."""
    marked = [(place, plane.constant) for place, plane in enumerate(seen.activations)]
    return ", ".join(f"{place}: {sign:+d}" for place, sign in marked if sign is not None)
