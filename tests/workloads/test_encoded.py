"""What an encoded network refuses: parameters that do not fit its layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workloads.encoded import Affine, Codes, EncodedNetwork, Parameters, Thresholds
from workloads.encoding import encode_weights
from workloads.layers import Dense, Pool
from workloads.network import Input, Network, Node

FC = Dense(name="fc", in_shape=(3, 2, 2), out_channels=2, act_bits=2, weight_bits=1, out_bits=2)
POOL = Pool(name="pool", kind="max", in_shape=(3, 4, 4), kernel=(2, 2), stride=(2, 2), act_bits=2, out_bits=2)
NETWORK = Network("n", Input(name="input", shape=(3, 4, 4), bits=2), (Node(POOL, ("input",)), Node(FC, ("pool",))))
CODES = Codes(bits=2, step=0.5)
WEIGHTS = encode_weights(np.ones((2, 12), dtype=int), 1)
LEVELS = Thresholds(np.array([1, -1]), np.array([[-1, 0, 5], [2, 2, 3]]))
GOOD = Parameters(weights=WEIGHTS, thresholds=LEVELS)


def test_what_fits_is_frozen() -> None:
    network = EncodedNetwork(NETWORK, CODES, {"fc": GOOD}, {"origin": "hand"})
    assert network.parameters["fc"].thresholds is LEVELS
    assert LEVELS.bits == 2
    with pytest.raises(TypeError):
        network.parameters["fc"] = GOOD  # type: ignore[index]
    with pytest.raises(TypeError):
        network.source["origin"] = "file"  # type: ignore[index]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, r"layer 'fc': weight planes must have shape \(1, 2, 1\), not None"),
        ({"fc": replace(GOOD, weights=WEIGHTS[:, :1])}, r"layer 'fc': weight planes must have shape \(1, 2, 1\), not "),
        ({"fc": replace(GOOD, weights=WEIGHTS.astype(np.int64))}, "layer 'fc': weight planes must be uint64, not "),
        ({"fc": replace(GOOD, weights=WEIGHTS | np.uint64(1 << 12))}, "layer 'fc': the unused bits .* must be 0"),
        ({"fc": replace(GOOD, thresholds=None)}, "layer 'fc': emits 2-bit codes, so thresholds must be given"),
        (
            {"fc": replace(GOOD, thresholds=Thresholds(np.array([1]), np.array([[1, 2, 3]])))},
            r"layer 'fc': thresholds must have shape \(2, 3\), not \(1, 3\)",
        ),
        ({"fc": replace(GOOD, affine=Affine(np.ones(3), np.ones(3)))}, "layer 'fc': the affine output must have 2 "),
        (
            {"fc": GOOD, "pool": Parameters(thresholds=Thresholds(np.ones(3, int), np.zeros((3, 3), int)))},
            "layer 'pool': hands its codes on, so thresholds must not be given",
        ),
        ({"fc": GOOD, "fd": GOOD}, "network 'n': parameters must belong to a layer, not to 'fd'"),
    ],
)
def test_parameters_that_do_not_fit(parameters: dict[str, Parameters], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        EncodedNetwork(NETWORK, CODES, parameters)


def test_input_codes_must_have_the_bits_of_the_input() -> None:
    with pytest.raises(ValueError, match=r"^network 'n': input codes must have 2 bits, not 3$"):
        EncodedNetwork(NETWORK, Codes(bits=3, step=1.0), {"fc": GOOD})


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_is_positive_and_finite(step: float) -> None:
    with pytest.raises(ValueError, match=r"^codes: step must be a finite number > 0, not "):
        Codes(bits=2, step=step)


@pytest.mark.parametrize(
    ("bits", "offset", "zero"), [(2, 0, None), (2, 3, -3), (8, -1, 1), (8, 256, None), (2, 5, None)]
)
def test_the_code_of_zero(bits: int, offset: int, zero: int | None) -> None:
    assert Codes(bits=bits, step=1.0, offset=offset).zero_code == zero


def test_what_thresholds_and_affine_refuse() -> None:
    with pytest.raises(ValueError, match=r"^thresholds: values must be \(channels, levels\) with one"):
        Thresholds(np.array([1]), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match=r"^thresholds: values must ascend in every channel$"):
        Thresholds(np.array([1]), np.array([[3, 2, 4]]))
    with pytest.raises(ValueError, match=r"^thresholds: every sign must be -1 or \+1$"):
        Thresholds(np.array([0]), np.array([[1]]))
    with pytest.raises(
        ValueError, match=r"^affine: scale, bias and shift must be \(channels,\), not \[\(2,\), \(3,\)\]$"
    ):
        Affine(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"^affine: scale and bias must be finite$"):
        Affine(np.array([1.0, np.nan]), np.ones(2))
