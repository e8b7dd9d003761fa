"""What a file leaves open, in the words of the command line."""

from __future__ import annotations

import numpy as np
import pytest

from dse.importing import integer_input, read_shape
from workloads.encoded import Codes


def test_the_scale_is_that_of_float32() -> None:
    assert integer_input("1/255", 8) == Codes(bits=8, step=float(np.float32(1 / 255)) / 2, offset=255)
    assert integer_input("0.5", 4) == Codes(bits=4, step=0.25, offset=15)


@pytest.mark.parametrize("text", ["", "a", "1/0", "0", "-1", "nan", "1e60"])
def test_a_scale_must_be_a_positive_number(text: str) -> None:
    with pytest.raises(ValueError, match="--input-scale must be"):
        integer_input(text, 8)


@pytest.mark.parametrize("text", ["", "3,", "3,x", "0,4", "-1", "3.5"])
def test_a_shape_must_be_sizes(text: str) -> None:
    assert read_shape("3, 32,32") == (3, 32, 32)
    with pytest.raises(ValueError, match="--shape must be sizes"):
        read_shape(text)
