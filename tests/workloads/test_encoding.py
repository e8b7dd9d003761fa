"""Codes, planes, words and the quantizer: the paper's tables, word tails and ties, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import encoding
from workloads.encoded import Codes
from workloads.layers import Conv, Dense

BITS = range(1, 9)
TAILS = [1, 31, 32, 33, 63, 64, 65]
WIDTHS = [8, 16, 32, 64]


def test_table_2_of_the_paper() -> None:
    # {c2, c1} of -1, -1/3, 1/3, 1 is {-1,-1}, {-1,+1}, {+1,-1}, {+1,+1}; plane 0 is c1
    planes = encoding.planes([-3, -1, 1, 3], 2)
    assert planes.tolist() == [[0, 1, 0, 1], [0, 0, 1, 1]]
    np.testing.assert_allclose(encoding.paper_quantize([-1, -1 / 3, 1 / 3, 1], 2), [-1, -1 / 3, 1 / 3, 1])


def test_three_bits_by_hand() -> None:
    # -7 = -4-2-1, -5 = -4-2+1, -3 = -4+2-1, 1 = +4-2-1
    assert encoding.planes([-7, -5, -3, 1], 3).T.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("bits", BITS)
def test_codes_are_all_odd_integers_and_come_back(bits: int) -> None:
    codes = np.arange(-(2**bits - 1), 2**bits, 2)
    assert len(codes) == 2**bits
    assert 0 not in codes
    planes = encoding.planes(codes, bits)
    assert planes.shape == (bits, 2**bits)
    assert planes.dtype == np.uint8
    np.testing.assert_array_equal(encoding.codes(planes), codes)
    np.testing.assert_array_equal(encoding.signed(encoding.unsigned(codes, bits), bits), codes)
    np.testing.assert_array_equal(encoding.unsigned(codes, bits), np.arange(2**bits))


@pytest.mark.parametrize("value", [0, 2, -2, 5, -5, 300])
def test_values_without_a_code_are_refused_by_name(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^codes: every value must be an odd integer in -3\.\.3, not {value}$"):
        encoding.planes([1, value, -1], 2)


def test_codes_must_be_integers_and_bits_in_range() -> None:
    with pytest.raises(ValueError, match=r"^codes: the dtype must be an integer one, not float64$"):
        encoding.planes([1.0], 2)
    with pytest.raises(ValueError, match=r"^codes: bits must be between 1 and 8, not 9$"):
        encoding.planes([1], 9)
    with pytest.raises(ValueError, match=r"^planes: every element must be 0 or 1, not 2$"):
        encoding.codes(np.array([[0, 2]], dtype=np.uint8))


def test_bit_i_of_word_j_is_element_width_j_plus_i() -> None:
    bits = np.zeros(11, dtype=np.uint8)
    bits[[0, 3, 9]] = 1
    assert encoding.pack(bits, 8).tolist() == [0b1001, 0b10]
    assert encoding.pack(bits, 16).tolist() == [0b10_0000_1001]
    assert encoding.pack(bits).tolist() == [0b10_0000_1001]
    assert encoding.pack(bits).dtype == np.uint64


@pytest.mark.parametrize("length", TAILS)
@pytest.mark.parametrize("width", WIDTHS)
def test_packing_comes_back_and_leaves_unused_bits_0(width: int, length: int) -> None:
    bits = np.random.default_rng(length).integers(0, 2, size=(2, 3, length), dtype=np.uint8)
    words = encoding.pack(bits, width)
    assert words.shape == (2, 3, -(-length // width))
    assert words.dtype.itemsize * 8 == width
    np.testing.assert_array_equal(encoding.unpack(words, length), bits)
    assert int(np.bitwise_count(words).sum()) == int(bits.sum())


def test_packing_errors() -> None:
    with pytest.raises(ValueError, match=r"^packing: width must be one of \[8, 16, 32, 64\], not 24$"):
        encoding.pack([0, 1], 24)
    with pytest.raises(ValueError, match=r"^packing: 65 elements must take 2 words of 64 bits, not 1$"):
        encoding.unpack(np.zeros(1, dtype=np.uint64), 65)


@pytest.mark.parametrize("length", TAILS)
@pytest.mark.parametrize("width", WIDTHS)
def test_dot_product_from_xor_and_from_xnor(width: int, length: int) -> None:
    rng = np.random.default_rng(length + width)
    x, w = 2 * rng.integers(0, 2, size=(2, length)) - 1
    one, other = encoding.pack(encoding.planes(x, 1)[0], width), encoding.pack(encoding.planes(w, 1)[0], width)
    wanted = sum(a * b for a, b in zip(x.tolist(), w.tolist(), strict=True))
    unequal = int(np.bitwise_count(one ^ other).sum())
    equal = int(np.bitwise_count(~(one ^ other)).sum()) - (len(one) * width - length)
    assert length - 2 * unequal == wanted == 2 * equal - length


@pytest.mark.parametrize("bits", BITS)
def test_weights_in_the_layout_of_parameters(bits: int) -> None:
    codes = 2 * np.random.default_rng(bits).integers(0, 2**bits, size=(5, 67)) - (2**bits - 1)
    words = encoding.encode_weights(codes, bits)
    assert words.shape == (bits, 5, 2)
    assert words.dtype == np.uint64
    np.testing.assert_array_equal(encoding.decode_weights(words, 67), codes)


@pytest.mark.parametrize("bits", BITS)
def test_zero_is_never_the_largest_code_of_several_bits(bits: int) -> None:
    # Eq. 15 at x = 0: the tie between -1 and +1 goes to +1, not to the all-ones code of sign(sin(0)) = +1
    assert encoding.quantize(0.0, encoding.paper_codes(bits)) == 1
    assert encoding.quantize(-0.0, encoding.paper_codes(bits)) == 1
    assert encoding.paper_quantize(0.0, bits) == pytest.approx(1 / (2**bits - 1))


def test_ties_of_two_bits() -> None:
    # u = rint(x + 1.5) for step 0.5: x = -1 -> 0.5 -> 0, x = 0 -> 1.5 -> 2, x = 1 -> 2.5 -> 2
    assert encoding.quantize([-1.0, 0.0, 1.0], Codes(bits=2, step=0.5)).tolist() == [-3, 1, 1]
    assert encoding.quantize([-1.01, -0.99, -0.01, 1.01], Codes(bits=2, step=0.5)).tolist() == [-3, -1, -1, 3]


def test_one_bit_is_the_sign() -> None:
    assert encoding.quantize([-0.1, -0.0, 0.0, 0.1], Codes(bits=1, step=3.0)).tolist() == [-1, 1, 1, 1]
    # offset 2 and step 3: the values are 3 and 9, the middle 6
    assert encoding.quantize([5.9, 6.0, 6.1], Codes(bits=1, step=3.0, offset=2)).tolist() == [-1, 1, 1]


@pytest.mark.parametrize(("bits", "zero_point"), [(8, 0), (8, 3), (8, 128), (4, 7), (2, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odd_offsets_are_onnx_quantize_linear(bits: int, zero_point: int, dtype: type) -> None:
    top, scale = 2**bits - 1, dtype(0.25)
    values: np.ndarray = np.concatenate([np.arange(-300, 300) * 0.125, np.linspace(-40, 40, 997)]).astype(dtype)
    wanted = np.clip(np.rint(values / scale) + zero_point, 0, top)
    codes = encoding.quantize(values, Codes(bits=bits, step=float(scale) / 2, offset=top - 2 * zero_point))
    np.testing.assert_array_equal(encoding.unsigned(codes, bits), wanted)


def test_float32_values_are_divided_in_float32() -> None:
    # in float32 0.35 / 0.1 is 3.5, a tie that goes to 4; the same two floats divided in float64 give 3.49999989
    value, scale = np.array([0.35], dtype=np.float32), np.float32(0.1)
    codes = Codes(bits=8, step=float(scale) / 2, offset=255)
    assert encoding.unsigned(encoding.quantize(value, codes), 8).tolist() == [4]
    assert encoding.unsigned(encoding.quantize(value.astype(np.float64), codes), 8).tolist() == [3]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 8), st.integers(-300, 300), st.floats(-50, 50), st.sampled_from([0.125, 0.3, 1.0, 7.0]))
def test_no_code_is_nearer(bits: int, offset: int, value: float, step: float) -> None:
    codes = np.arange(-(2**bits - 1), 2**bits, 2)
    distance = abs(step * (codes + offset) - value)
    chosen = int(encoding.quantize(value, Codes(bits=bits, step=step, offset=offset)))
    assert distance[(chosen + 2**bits - 1) // 2] <= distance.min() + 1e-9


def test_infinities_clip_and_nan_is_refused() -> None:
    codes = Codes(bits=3, step=0.5)
    assert encoding.quantize([-math.inf, math.inf, 1e308], codes).tolist() == [-7, 7, 7]
    assert encoding.quantize(np.array([3e38, -3e38], dtype=np.float32), Codes(bits=3, step=1e-3)).tolist() == [7, -7]
    assert encoding.quantize(np.array([1.0], dtype=np.float32), Codes(bits=3, step=1e-300)).tolist() == [7]
    with pytest.raises(ValueError, match=r"^quantize: every value must be a number, not NaN$"):
        encoding.quantize([0.0, math.nan], codes)
    with pytest.raises(ValueError, match=r"^quantize: values must be real numbers, not complex128$"):
        encoding.quantize([1j], codes)


@pytest.mark.parametrize("bits", BITS)
def test_the_trigonometric_encoder_agrees_away_from_ties(bits: int) -> None:
    # bit m < M: sign(-sin(n pi x / 2^m)), bit M: sign(sin(n pi x / 2^M)), n = 2^M - 1; ties: even multiples of 1/n
    top = 2**bits - 1
    grid = np.linspace(-1, 1, 4001)
    away = grid[abs(grid * top / 2 - np.rint(grid * top / 2)) > 1e-6]
    signs = [-np.sin(top * np.pi * away / 2**m) for m in range(1, bits)] + [np.sin(top * np.pi * away / 2**bits)]
    wanted = (np.array(signs) > 0).astype(np.uint8)
    np.testing.assert_array_equal(encoding.planes(encoding.quantize(away, encoding.paper_codes(bits)), bits), wanted)


@pytest.mark.parametrize("bits", BITS)
def test_equation_15_away_from_ties(bits: int) -> None:
    top, x = 2**bits - 1, np.linspace(-0.999, 0.9991, 501)
    wanted = 2 * (np.floor(top * (x + 1) / 2 + 0.5) / top - 0.5)
    np.testing.assert_allclose(encoding.paper_quantize(x, bits), wanted, atol=1e-12)
    np.testing.assert_allclose(encoding.paper_quantize([-7.0, 7.0], bits), [-1, 1])


def conv(**changes: object) -> Conv:
    values: dict[str, object] = {
        "name": "conv", "in_shape": (3, 9, 9), "out_channels": 4, "kernel": (7, 7), "act_bits": 8, "weight_bits": 1,
        "out_bits": 1, "from_host": True,
    }  # fmt: skip
    return Conv(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "width", "words", "packed"),
    [
        (conv(), 64, 3, True),  # ceil(147 / 64) against 49
        (conv(), 8, 19, True),  # ceil(147 / 8) against 49
        (conv(from_host=False), 64, 49, False),
        (conv(padding=(3, 3, 3, 3)), 64, 49, False),  # masked taps
        (conv(padding=(3, 3, 3, 3), pad_code=-255), 64, 3, True),
        (conv(in_shape=(64, 9, 9), kernel=(3, 3)), 64, 9, False),  # nothing to gain
        (conv(in_shape=(3, 9, 9), kernel=(1, 2)), 4, 2, False),  # ceil(6 / 4) against 2 * ceil(3 / 4)
        (conv(in_shape=(3, 9, 9), kernel=(1, 2)), 6, 1, True),
        (conv(in_shape=(6, 9, 9), groups=2, kernel=(1, 2)), 6, 2, False),  # groups read windows of their own
    ],
)
def test_words_per_window_of_a_convolution(layer: Conv, width: int, words: int, packed: bool) -> None:
    assert encoding.words_per_window(layer, width) == words
    assert encoding.packed_windows(layer, width) is packed


def test_words_per_window_of_a_dense_layer() -> None:
    shape = {"name": "fc", "in_shape": (5, 2, 3), "out_channels": 7, "act_bits": 1, "weight_bits": 1, "out_bits": None}
    assert encoding.words_per_window(Dense(**shape), 8) == 6  # type: ignore[arg-type]
    assert encoding.words_per_window(Dense(**shape, from_host=True), 8) == 4  # type: ignore[arg-type]
