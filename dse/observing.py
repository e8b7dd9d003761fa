"""Activity files: what real inputs made a network's operands do, written by `dse run --activity`, read where energy is priced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hwmodels.rates import RANDOM, Rates
from workloads.encoded import EncodedNetwork
from workloads.encoding import WORD_TYPES
from workloads.observation import Observation, mean_rates, observe

FORMAT = "dse-activity"
FIELDS = ("activations", "weights", "products", "source")


@dataclass(frozen=True, slots=True)
class Observed:
    """A network on `images` images: every layer with weights in words of `width` bits, and what energy is priced with.

    `rates`: by word width, toggle rates of the whole network, each layer weighted by its xnor words. A wide word that few channels
    fill has bits that never toggle, so a machine is priced with the rates of its own width.
    """

    network: str
    images: int
    width: int
    layers: Mapping[str, Observation]
    rates: Mapping[int, Rates]

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
    return Observed(network.network.name, len(inputs), width, found, observed_rates(network, inputs))


def observed_rates(network: EncodedNetwork, inputs: npt.NDArray[np.generic]) -> dict[int, Rates]:
    """Toggle rates of a network by word width. Raises what `run` raises."""
    return {width: _rates(observe(network, inputs, width=width), len(inputs), width) for width in WORD_TYPES}


def _rates(layers: Mapping[str, Observation], images: int, width: int) -> Rates:
    activations, weights, products = mean_rates(layers)
    source = f"observed on {images} images in words of {width} bits"
    return Rates(activations=activations, weights=weights, products=products, source=source)


def rates_at(rates: Mapping[int, Rates], width: int) -> Rates:
    """The rates of a machine's width, or of the nearest that was observed."""
    return rates[min(rates, key=lambda known: (abs(log2(known / width)), known))]


def activity_text(found: Observed) -> str:
    """The file: JSON with planes, histograms and rates of every layer."""
    layers = {name: asdict(seen) for name, seen in found.layers.items()}
    head = {"format": FORMAT, "network": found.network, "images": found.images, "width": found.width}
    return json.dumps(head | {"rates": rates_header(found.rates), "layers": layers}, indent=1)


def rates_header(rates: Mapping[int, Rates]) -> dict[str, dict[str, Any]]:
    """Rates as JSON holds them, by width."""
    return {str(width): asdict(own) for width, own in rates.items()}


def rates_from_header(entry: Any) -> dict[int, Rates]:
    """What `rates_header` made. Raises ValueError, TypeError or KeyError for anything else."""
    return {int(width): Rates(**{name: own[name] for name in FIELDS}) for width, own in dict(entry).items()}


def rates_of(path: Path | None, network: str, width: int) -> Rates:
    """Rates of an activity file for a machine of this width, those of random data where there is no file."""
    return RANDOM if path is None else rates_at(read_rates(path, network), width)


def read_rates(path: str | Path, network: str) -> dict[int, Rates]:
    """Toggle rates of an activity file of this network, by word width. Raises ValueError, one line, for any other file."""
    try:
        entry = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        rates = rates_from_header(entry["rates"])
        if not rates:
            raise ValueError("it has no rates")
    except OSError as error:
        raise ValueError(f"{path}: must be a readable activity file, but {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: must be an activity file as `dse run --activity` writes it, but {reason}") from error
    if entry["network"] != network:
        raise ValueError(f"{path}: must be the activity of network {network!r}, not of {entry['network']!r}")
    return rates


def _constants(seen: Observation) -> str:
    """Such as `3: +1`, counted from plane 0, the least significant."""
    marked = [(place, plane.constant) for place, plane in enumerate(seen.activations)]
    return ", ".join(f"{place}: {sign:+d}" for place, sign in marked if sign is not None)
