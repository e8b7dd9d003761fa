"""Machine code gives numpy's integers and counts, by branches and by products, and is fetched only where much is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agreement.engines import alone
from tests.hwmodels.samples import random_conv, random_layer
from workloads import compiled, kernels, native
from workloads.compiled import Meter
from workloads.encoded import EncodedNetwork, Parameters
from workloads.encoding import encode_weights
from workloads.executor import Run, run_prepared
from workloads.layer_run import WAYS
from workloads.layers import Conv, Dense, Layer, max_code
from workloads.operands import operand, windows
from workloads.prepared import prepare
from workloads.products import product_sums
from workloads.random_network import random_parameters

NUMPY, MACHINE = Meter(2**62), Meter(-1)


@pytest.fixture(autouse=True)
def _numba() -> Iterator[None]:
    pytest.importorskip("numba")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "METER", MACHINE)
        yield


def ran(encoded: EncodedNetwork, inputs: np.ndarray, meter: Meter, *, products: bool, width: int = 64) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "METER", meter)
        return run_prepared(prepare(encoded, width=width, products=products), inputs, keep_integers=True)


def check(layer: Layer, seed: int, *, images: int = 2, width: int = 64) -> set[str]:
    """Integers, codes, outputs and actions of numpy's branches, whichever way; returns the ways taken."""
    encoded = random_parameters(alone(layer), np.random.default_rng(seed))
    inputs = np.random.default_rng(seed).uniform(-1, 1, (images, *encoded.network.input.shape)).astype(np.float32)
    wanted, ways = ran(encoded, inputs, NUMPY, products=False, width=width), set()
    for products in (False, True):
        found = ran(encoded, inputs, MACHINE, products=products, width=width)
        for name, integers in wanted.integers.items():
            np.testing.assert_array_equal(found.integers[name], integers)
        for name, codes in wanted.codes.items():
            np.testing.assert_array_equal(found.codes[name], codes)
        np.testing.assert_array_equal(found.outputs, wanted.outputs)
        assert found.actions == wanted.actions
        ways |= set(found.ways.values())
    assert set(wanted.ways.values()) <= {"branches"}
    return ways


@pytest.mark.parametrize("seed", range(80))
def test_any_layer(seed: int) -> None:
    """Masked taps, pad codes, groups, dilation, offsets, ternary weights and packed windows are drawn."""
    rng = Random(seed)
    layer = random_conv(rng, bits=8) if seed % 2 else random_layer(rng, bits=8)
    ways = check(layer, seed, images=1 + seed % 3, width=8 * 2 ** (seed % 4))
    assert ways <= {way for way in WAYS if "machine code" in way}


@pytest.mark.parametrize(("act_bits", "weight_bits"), list(product(range(1, 9), range(1, 9))))
def test_all_64_precisions_in_every_form(act_bits: int, weight_bits: int) -> None:
    layer = Conv(
        name="conv", in_shape=(9, 5, 6), out_channels=5, kernel=(3, 2), padding=(1, 0, 2, 1), stride=(1, 2),
        act_bits=act_bits, weight_bits=weight_bits, out_bits=act_bits,
        pad_code=None if weight_bits % 2 else max_code(act_bits),
        weight_offset=(0, 0, 1, -1, 2, -3)[(act_bits + weight_bits) % 6],
    )  # fmt: skip
    few = act_bits * weight_bits <= native.MOST_BRANCHES
    assert check(layer, act_bits + 8 * weight_bits) == (
        {"branches, machine code"} if few else {"branches, machine code", "products, machine code"}
    )


@pytest.mark.parametrize("act_bits", [1, 2, 8])
@pytest.mark.parametrize("groups", [1, 3])
def test_ternary_weights(act_bits: int, groups: int) -> None:
    layer = Conv(
        name="conv", in_shape=(12, 6, 6), out_channels=6, kernel=(3, 3), padding=(1, 1, 1, 1), groups=groups,
        act_bits=act_bits, weight_bits=2, ternary=True, out_bits=2,
    )  # fmt: skip
    assert "branches, machine code" in check(layer, act_bits)


@pytest.mark.parametrize("tail", [1, 7, 8, 9, 63, 64, 65])
@pytest.mark.parametrize("bits", [1, 3])
def test_tails(tail: int, bits: int) -> None:
    """Of channels, of positions and of outputs, against bytes, words, lanes and tiles."""
    dense = Dense(
        name="fc", in_shape=(tail, 1, 1), out_channels=3, act_bits=bits, weight_bits=bits, out_bits=1, positions=3
    )
    check(dense, tail, images=1)
    check(replace(dense, positions=tail, in_shape=(33, 1, 1)), tail, images=1)
    check(replace(dense, out_channels=tail, positions=1), tail)
    check(replace(dense, out_channels=tail, positions=1, in_shape=(3, 2, 5)), tail)


def test_wider_sums_than_32_bits_are_left_to_numpy() -> None:
    layer = Dense(name="fc", in_shape=(20000, 1, 1), out_channels=1, act_bits=8, weight_bits=8, out_bits=None)
    assert layer.acc_bound > 2**30
    encoded = random_parameters(alone(layer), np.random.default_rng(1))
    assert native.native_weights(layer, encoded.parameters["fc"].weights, products=True) is None
    inputs = np.ones((1, 20000, 1, 1))
    assert ran(encoded, inputs, MACHINE, products=True).ways == {"fc": "products"}
    assert ran(encoded, inputs, MACHINE, products=False).ways == {"fc": "branches"}


@pytest.mark.parametrize(("act_bits", "weight_bits"), list(product((1, 4, 6, 7, 8), repeat=2)))
@pytest.mark.parametrize("signs", ["same", "mixed"])
def test_extreme_codes_never_saturate(act_bits: int, weight_bits: int, signs: str) -> None:
    """All activations largest, all weights largest in size: pairs of products, and blocks of pairs, at the ends of 16 bits."""
    layer = Dense(
        name="fc", in_shape=(700, 1, 1), out_channels=6, act_bits=act_bits, weight_bits=weight_bits, out_bits=None
    )
    weights = np.full((6, 700), max_code(weight_bits))
    weights[::2] *= -1
    if signs == "mixed":
        weights[4:, ::2] *= -1
    source = np.zeros((700, 1, 1, 2), np.uint8)
    source[..., 1] = max_code(act_bits)
    made = native.native_weights(layer, encode_weights(weights, weight_bits), products=True)
    assert made is not None
    codes = 2 * source[:, 0, 0].astype(np.int64) - max_code(act_bits)
    np.testing.assert_array_equal(native.native_sums(layer, source, made), weights @ codes)


def test_a_block_of_products_fits_16_bits() -> None:
    """The rule that keeps `pmaddubsw` from saturating, for every precision: 2 block max(u) max|b| < 2^15."""
    for act_bits, weight_bits in product(range(1, 9), range(1, 9)):
        layer = Dense(
            name="fc", in_shape=(8, 1, 1), out_channels=4, act_bits=act_bits, weight_bits=weight_bits, out_bits=None
        )
        top = max_code(weight_bits)
        weights = encode_weights(np.array([[-top] * 8, [top] * 8, [-1] * 8, [1] * 8]), weight_bits)
        made = native.native_weights(layer, weights, products=True)
        if act_bits * weight_bits <= native.MOST_BRANCHES:
            continue
        assert made is not None
        assert (made.block == 0) == (act_bits == weight_bits == 8)
        largest = np.abs(made.words.view(np.int8).astype(int)).max() if made.block else 0
        assert 2 * made.block * max_code(act_bits) * largest < 2**15


def test_sums_are_spelt_out_where_the_processor_has_no_instruction() -> None:
    """The template without x86 instructions gives the same sums."""
    from numba import njit

    from workloads import compiled_products as own

    rng = np.random.default_rng(3)
    for fill, wide in ((own._direct(2, own._BYTES), False), (own._blocks, False), (own._direct(1, own._HALVES), True)):
        found, starts = [], np.arange(own.POSITIONS, dtype=np.int32)
        panel = rng.integers(0, 2**32, size=(6, own.POSITIONS), dtype=np.uint32) & np.uint32(0x0F0F0F0F)
        weights = rng.integers(0, 2**32, size=(6, own.CHANNELS), dtype=np.uint32)
        if wide:
            panel &= np.uint32(0x00FF00FF)
        else:
            weights &= np.uint32(0xF7F7F7F7)
        for fast in (own.FAST, False):
            tile = own._template(fill, fast)

            @njit
            def call(
                panel: np.ndarray, weights: np.ndarray, starts: np.ndarray, sums: np.ndarray, tile: object = tile
            ) -> None:
                tile(panel, weights, 0, starts, 0, starts, 0, sums, 0, sums.shape[1], np.int32(1), panel.shape[0], 2)

            sums = np.zeros((own.CHANNELS, own.POSITIONS), np.int32)
            call(panel, weights, starts, sums)
            found.append(sums)
        kind, other = (np.int16, np.int16) if wide else (np.uint8, np.int8)
        left = weights.T.copy().view(other).astype(np.int64).reshape(own.CHANNELS, -1)
        right = panel.T.copy().view(kind).astype(np.int64).reshape(own.POSITIONS, -1)
        np.testing.assert_array_equal(found[0], 2 * (left @ right.T) + starts + starts[: own.CHANNELS, None])
        np.testing.assert_array_equal(found[1], found[0])


@settings(max_examples=40, deadline=None)
@given(
    planes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    words=st.integers(1, 8),
    groups=st.integers(1, 2),
    rows=st.integers(1, 5),
    columns=st.sampled_from([1, 2, 7, 64, 65]),
    wide=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.uint32, np.uint64]),
    seed=st.integers(0, 1000),
)
def test_words_of_any_width(
    planes: tuple[int, int], words: int, groups: int, rows: int, columns: int, wide: bool, dtype: type, seed: int
) -> None:
    rng, sums_dtype = np.random.default_rng(seed), np.int64 if wide else np.int32
    top = np.iinfo(dtype).max
    left = rng.integers(0, top, size=(planes[0], words, groups, rows), dtype=dtype, endpoint=True)
    right = rng.integers(0, top, size=(planes[1], words, groups, columns), dtype=dtype, endpoint=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "METER", NUMPY)
        wanted = kernels.branch_sums(left, right, sums_dtype)
    found = kernels.branch_sums(left, right, sums_dtype)
    assert (found.sums == wanted.sums).all()
    assert found.sums.dtype == wanted.sums.dtype
    assert (found.xnor_words, found.combines) == (wanted.xnor_words, wanted.combines)


def test_more_rows_than_a_16_bit_count_holds() -> None:
    """70001 channels that all differ: 8751 rows of bytes."""
    layer = Dense(name="fc", in_shape=(70001, 1, 1), out_channels=2, act_bits=1, weight_bits=1, out_bits=None)
    made = native.native_weights(layer, encode_weights(np.full((2, 70001), -1), 1), products=False)
    assert made is not None
    assert native.native_sums(layer, np.ones((70001, 1, 1, 3), np.uint8), made).tolist() == [[-70001] * 3] * 2


@settings(max_examples=150, deadline=None)
@given(
    bits=st.integers(1, 8),
    columns=st.sampled_from([1, 40, 600, 700]),
    spread=st.sampled_from([1, 5, 300, 10**6, 2**29]),
    level_spread=st.sampled_from([1, 5, 300, 10**6, 2**31 - 1]),
    seed=st.integers(0, 1000),
)
def test_codes_by_counting_searching_and_tables(
    bits: int, columns: int, spread: int, level_spread: int, seed: int
) -> None:
    """Levels that coincide, that no sum reaches, at the ends of 32 bits; sums that are all equal."""
    rng = np.random.default_rng(seed)
    sums = rng.integers(-spread, spread, size=(3, columns), endpoint=True).astype(np.int32)
    values = np.sort(rng.integers(-level_spread, level_spread, size=(3, 2**bits - 1), endpoint=True), axis=1)
    values[2] = 7
    sign, levels = np.array([1, -1, 1], np.int32), values.astype(np.int32)
    wanted = (sign[:, None, None] * sums[:, :, None].astype(np.int64) >= values[:, None, :]).sum(axis=2)
    np.testing.assert_array_equal(kernels.emit(sums, sign, levels), wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "METER", NUMPY)
        np.testing.assert_array_equal(kernels.emit(sums, sign, levels), wanted)


@settings(max_examples=100, deadline=None)
@given(bits=st.integers(1, 8), seed=st.integers(0, 1000))
def test_levels_counted_are_levels_searched(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.integers(-9, 9, size=(3, 40)).astype(np.int32)
    values = np.sort(rng.integers(-9, 9, size=(3, 2**bits - 1)), axis=1).astype(np.int32)
    assert (kernels._counted(sums, values) == kernels._searched(sums, values)).all()


@pytest.mark.parametrize("images", [1, 3])
def test_corrections_at_the_border(images: int) -> None:
    rng = np.random.default_rng(images)
    sums, border = rng.integers(-99, 99, size=(4, 10, images)).astype(np.int32), np.array([0, 3, 9])
    correction = rng.integers(-9, 9, size=(4, 3))
    wanted = sums.copy()
    wanted[:, border] += correction[:, :, None].astype(np.int32)
    kernels.add_columns(sums, border, correction)
    np.testing.assert_array_equal(sums, wanted)


def test_only_much_work_is_compiled() -> None:
    meter = Meter(100)
    assert not meter.passed(100)
    assert meter.passed(101)
    meter.count(100)
    assert not meter.passed()
    assert meter.passed(1)


def test_without_numba_numpy_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "has_numba", lambda: False)
    layer = Dense(name="fc", in_shape=(9, 1, 1), out_channels=2, act_bits=5, weight_bits=4, out_bits=None)
    encoded = random_parameters(alone(layer), np.random.default_rng(1))
    assert ran(encoded, np.ones((1, 9, 1, 1)), MACHINE, products=True).ways == {"fc": "products"}
    assert ran(encoded, np.ones((1, 9, 1, 1)), MACHINE, products=False).ways == {"fc": "branches"}


def test_a_run_that_passes_the_meter_says_so() -> None:
    """The second of three batches is the first by machine code."""
    layer = Dense(name="fc", in_shape=(64, 1, 1), out_channels=10, act_bits=1, weight_bits=1, out_bits=None)
    encoded = random_parameters(alone(layer), np.random.default_rng(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "METER", Meter(10))
        done = run_prepared(prepare(encoded), np.ones((3, 64, 1, 1)), batch=1)
    assert done.ways == {"fc": "branches; branches, machine code"}


def test_a_native_layer_is_the_branches_of_its_operand() -> None:
    """Without the executor in between: windows and operands against the native sums, and against floating point."""
    layer = Conv(
        name="conv", in_shape=(10, 7, 6), out_channels=4, kernel=(3, 3), dilation=(2, 1), act_bits=3, weight_bits=2,
        out_bits=None,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    weights = 2 * rng.integers(0, 4, size=(4, layer.reduction)) - 3
    planes, source = encode_weights(weights, 2), rng.integers(0, 8, size=(10, 7, 6, 2)).astype(np.uint8)
    wanted = product_sums(layer, source, weights[None].astype(np.float64), np.int64)[0]
    for products in (False, True):
        made = native.native_weights(layer, planes, products=products)
        assert made is not None
        np.testing.assert_array_equal(native.native_sums(layer, source, made), wanted)
    own = operand(layer, Parameters(weights=planes), 64)
    counted = kernels.branch_sums(own.words, windows(layer, source, 64), own.dtype).sums[0]
    np.testing.assert_array_equal(layer.acc_bound - 2 * counted, wanted)
