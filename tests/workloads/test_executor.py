"""The executor on small layers worked by hand: values, actions, overflow, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workloads.actions import Actions, total
from workloads.encoded import Affine, Codes, EncodedNetwork, Parameters, Thresholds
from workloads.encoding import encode_weights
from workloads.executor import accuracy, run, run_prepared
from workloads.layers import Add, Conv, Dense, Flatten, Layer, Pool
from workloads.network import Input, Network, Node
from workloads.prepared import prepare
from workloads.random_network import random_parameters


def encoded(layer: Layer, parameters: Parameters, *, offset: int = 0) -> EncodedNetwork:
    """One layer behind an input of step 1."""
    inputs = ("input", "input") if isinstance(layer, Add) else ("input",)
    network = Network("one", Input(name="input", shape=layer.in_shape, bits=layer.act_bits), (Node(layer, inputs),))
    return EncodedNetwork(network, Codes(bits=layer.act_bits, step=1.0, offset=offset), {layer.name: parameters})


def thresholds(sign: list[int], values: list[list[int]]) -> Thresholds:
    return Thresholds(np.array(sign, dtype=np.int64), np.array(values, dtype=np.int64))


DENSE = Dense(name="fc", in_shape=(3, 1, 1), out_channels=2, act_bits=2, weight_bits=3, out_bits=None)
# rows of weights 7 -5 1 and -1 3 5; inputs 3 -1 1: 21 + 5 + 1 = 27 and -3 - 3 + 5 = -1
WEIGHTS = encode_weights([[7, -5, 1], [-1, 3, 5]], 3)
IMAGE = np.array([3.0, -1.0, 1.0]).reshape(1, 3, 1, 1)


def test_a_dense_layer_by_hand() -> None:
    result = run(encoded(DENSE, Parameters(weights=WEIGHTS)), IMAGE, keep_integers=True)
    assert result.outputs.tolist() == [[27.0, -1.0]]
    assert result.outputs.dtype == np.float64
    assert result.integers["fc"].tolist() == [[[[27]], [[-1]]]]
    assert result.integers["fc"].dtype == np.int64
    assert result.codes["input"].ravel().tolist() == [3, -1, 1]
    assert set(result.codes) == {"input"}


def test_the_affine_output_is_the_only_float() -> None:
    parameters = Parameters(weights=WEIGHTS, affine=Affine(np.array([0.5, 2.0]), np.array([0.25, -1.0])))
    assert run(encoded(DENSE, parameters), IMAGE).outputs.tolist() == [[13.75, -3.0]]


def test_thresholds_count_the_levels_that_a_sum_reaches() -> None:
    # channel 0: 27 reaches -4 and 27 but not 28: u = 2, code 1
    # channel 1 is mirrored: 1 reaches 0, 1 and 1: u = 3, code 3
    parameters = Parameters(weights=WEIGHTS, thresholds=thresholds([1, -1], [[-4, 27, 28], [0, 1, 1]]))
    result = run(encoded(replace(DENSE, out_bits=2), parameters), IMAGE, keep_integers=True)
    assert result.outputs.tolist() == [[1.0, 3.0]]
    assert result.integers["fc"].ravel().tolist() == [27, -1]
    assert result.codes["fc"].ravel().tolist() == [1, 3]


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_threshold_is_found(bits: int) -> None:
    # one input 3 times weights -7..7: sums -21..21 in steps of 6 against all levels
    sums = 3 * np.arange(-7, 8, 2)
    layer = Dense(name="fc", in_shape=(1, 1, 1), out_channels=8, act_bits=2, weight_bits=3, out_bits=bits)
    levels = np.sort(np.random.default_rng(bits).integers(-23, 23, size=(8, 2**bits - 1)), axis=1)
    levels[0] = -(2**62)
    levels[7] = 2**62
    parameters = Parameters(
        weights=encode_weights(np.arange(-7, 8, 2)[:, None], 3), thresholds=Thresholds(np.ones(8, np.int64), levels)
    )
    codes = run(encoded(layer, parameters), np.full((1, 1, 1, 1), 3.0), keep_integers=True).codes["fc"].ravel()
    assert codes.tolist() == (2 * (sums[:, None] >= levels).sum(axis=1) - (2**bits - 1)).tolist()


CONV = Conv(
    name="conv", in_shape=(1, 2, 2), out_channels=1, kernel=(1, 2), padding=(0, 1, 0, 0), act_bits=2, weight_bits=2,
    out_bits=None,
)  # fmt: skip
# map rows (3 1) and (-1 -3), weights (1 -3), one column of padding on the left:
# inside 3 - 3 = 0 and -1 + 9 = 8; at the left border pad - 9 and pad + 3
MAP = np.array([[[[3.0, 1.0], [-1.0, -3.0]]]])


@pytest.mark.parametrize(("pad_code", "left"), [(None, [-9, 3]), (-1, [-10, 2]), (3, [-6, 6])])
def test_both_padding_policies_by_hand(pad_code: int | None, left: list[int]) -> None:
    layer = replace(CONV, pad_code=pad_code)
    outputs = run(encoded(layer, Parameters(weights=encode_weights([[1, -3]], 2))), MAP).outputs
    assert outputs.tolist() == [[[[left[0], 0.0], [left[1], 8.0]]]]


def test_pools_and_sum_by_hand() -> None:
    codes = np.array([[[[3.0, -1.0, 1.0], [-3.0, -3.0, -1.0]]]])
    shape = (1, 2, 3)
    largest = Pool(
        name="p", kind="max", in_shape=shape, kernel=(2, 2), padding=(0, 1, 1, 0), act_bits=2, out_bits=2, stride=(1, 1)
    )
    assert run(encoded(largest, Parameters()), codes).outputs.tolist() == [[[[3, 3, 1], [-3, -3, -1]]]]
    mean = Pool(name="p", kind="average", in_shape=shape, kernel=(2, 2), act_bits=2, out_bits=None)
    assert run(encoded(mean, Parameters()), codes).outputs.tolist() == [[[[-4, -4]]]]
    add = Add(name="a", in_shape=shape, act_bits=2, out_bits=None)
    assert run(encoded(add, Parameters()), codes).outputs.tolist() == [[[[6, -2, 2], [-6, -6, -2]]]]
    flatten = Flatten(name="f", in_shape=shape, act_bits=2)
    assert run(encoded(flatten, Parameters()), codes).outputs.tolist() == [[3, -1, 1, -3, -3, -1]]


def test_an_affine_input_needs_nothing_from_the_executor() -> None:
    # unsigned 8-bit pixels 0..255: code 2u - 255, so the sum is sum(w (2u - 255))
    layer = replace(DENSE, act_bits=8)
    pixels = np.array([0.0, 200.0, 255.0]).reshape(1, 3, 1, 1)
    network = encoded(layer, Parameters(weights=WEIGHTS))
    network = EncodedNetwork(network.network, Codes(bits=8, step=0.5, offset=255), network.parameters)
    # codes -255 145 255: 7 * -255 - 5 * 145 + 255 = -2255 and 255 + 435 + 1275 = 1965
    assert run(network, pixels).outputs.tolist() == [[-2255.0, 1965.0]]


ACTION_CONV = Conv(
    name="layer", in_shape=(18, 4, 5), out_channels=14, kernel=(2, 3), groups=2, act_bits=2, weight_bits=3, out_bits=4
)


def actions_of(layer: Layer, width: int) -> Actions:
    inputs = ("input", "input") if isinstance(layer, Add) else ("input",)
    network = Network("one", Input(name="input", shape=layer.in_shape, bits=layer.act_bits), (Node(layer, inputs),))
    made = random_parameters(network, np.random.default_rng(1))
    images = np.zeros((3, *layer.in_shape))
    results = [run(made, images, width=width, batch=batch).actions for batch in (1, 2, 3)]
    assert results[0] == results[1] == results[2]
    return results[0]["layer"]


def test_actions_of_a_grouped_convolution() -> None:
    # 9 positions (3 x 3), 6 taps of 9 channels: 2 words of 8 each, 12 words; 126 outputs; 6 plane pairs
    assert actions_of(ACTION_CONV, 8) == Actions(
        xnor_words=126 * 12 * 6,
        accumulations=126 * 12 * 6,
        combines=126 * 6,
        threshold_compares=126 * 4,
        activation_reads=126 * 12 * 6,
        weight_reads=126 * 12 * 6,
        activation_writes=9 * 12 * 2 * 2,
        weight_writes=14 * 12 * 3,
        output_writes=4 * 9 * 2,
    )


def test_actions_of_packed_windows() -> None:
    # from the host: 6 taps of 9 channels, 54 elements, close up to 7 words of 8
    layer = replace(ACTION_CONV, in_shape=(9, *ACTION_CONV.in_shape[1:]), groups=1, from_host=True, out_bits=None)
    found = actions_of(layer, 8)
    assert (found.xnor_words, found.activation_writes, found.weight_writes) == (126 * 7 * 6, 9 * 7 * 2, 14 * 7 * 3)
    # 54 * 3 * 7 = 1134 takes 12 bits: 9 positions of 2 words of 12 planes
    assert (found.threshold_compares, found.output_writes) == (0, 9 * 2 * 12)


def test_masked_taps_count() -> None:
    layer = replace(ACTION_CONV, padding=(1, 1, 1, 1))
    assert actions_of(layer, 64).xnor_words == 14 * 5 * 5 * 6 * 6


def test_actions_of_the_others() -> None:
    pool = Pool(name="layer", kind="max", in_shape=(9, 4, 5), kernel=(2, 3), act_bits=2, out_bits=2)
    assert actions_of(pool, 8) == Actions(vector_words=9 * 6 * 2 * 2, output_writes=2 * 9 * 2)
    mean = replace(pool, kind="average", out_bits=3)
    assert actions_of(mean, 8) == Actions(vector_words=216, threshold_compares=3 * 81, output_writes=3 * 9 * 2)
    add = Add(name="layer", in_shape=(9, 4, 5), act_bits=2, out_bits=None)
    # 2 codes of +-3 take 4 bits
    assert actions_of(add, 8) == Actions(vector_words=2 * 20 * 2 * 2, output_writes=20 * 2 * 4)
    assert actions_of(Flatten(name="layer", in_shape=(9, 4, 5), act_bits=2), 8) == Actions()
    # 20 positions of a map, 9 channels: 20 taps of 2 words
    dense = Dense(name="layer", in_shape=(9, 4, 5), out_channels=3, act_bits=2, weight_bits=1, out_bits=None)
    assert actions_of(dense, 8).xnor_words == 3 * 40 * 2
    assert actions_of(replace(dense, from_host=True), 8).xnor_words == 3 * 23 * 2


def test_actions_add_up() -> None:
    assert total([Actions(combines=2, xnor_words=3), Actions(combines=5)]) == Actions(combines=7, xnor_words=3)


# inputs 3 -1 1: 21 + 5 + 1 = 27, its opposite, and -15 - 1 - 1 = -17; 5 bits hold -16..15, 6 bits -32..31
@pytest.mark.parametrize(
    ("row", "declared", "needed"),
    [([7, -5, 1], 6, None), ([7, -5, 1], 5, 6), ([-7, 5, -1], 6, None), ([-5, 1, -1], 5, 6), ([-5, -1, 3], 5, None)],
)
def test_a_declared_accumulator_is_checked_against_the_sums(row: list[int], declared: int, needed: int | None) -> None:
    parameters = Parameters(weights=encode_weights([row], 3), acc_bits=declared)
    network = encoded(replace(DENSE, out_channels=1), parameters)
    if needed is None:
        assert run(network, IMAGE).outputs.tolist() == [[float(np.dot(row, [3, -1, 1]))]]
        return
    message = f"^layer 'fc': the accumulator must have {needed} bits for these inputs, not {declared}$"
    with pytest.raises(OverflowError, match=message):
        run(network, IMAGE)


@pytest.mark.parametrize(("sum_", "bits"), [(-16, 5), (15, 5), (16, 6), (-17, 6), (0, 1), (-1, 1), (1, 2)])
def test_both_ends_of_two_s_complement(sum_: int, bits: int) -> None:
    # one code of weight 1 is an odd sum, two make an even one
    codes = [sum_] if sum_ % 2 else [sum_ - 1, 1]
    layer = Dense(name="fc", in_shape=(len(codes), 1, 1), out_channels=1, act_bits=5, weight_bits=1, out_bits=None)
    weights = encode_weights([[1] * len(codes)], 1)
    image = np.array(codes, dtype=float).reshape(1, -1, 1, 1)
    run(encoded(layer, Parameters(weights=weights, acc_bits=bits)), image)
    if bits > 1:
        with pytest.raises(OverflowError, match=f"must have {bits} bits for these inputs, not {bits - 1}$"):
            run(encoded(layer, Parameters(weights=weights, acc_bits=bits - 1)), image)


def test_overflow_of_a_sum_without_weights() -> None:
    add = Add(name="add", in_shape=(1, 1, 1), act_bits=2, out_bits=None)
    with pytest.raises(OverflowError, match=r"^layer 'add': the accumulator must have 4 bits for these inputs, not 3$"):
        run(encoded(add, Parameters(acc_bits=3)), np.full((1, 1, 1, 1), 3.0))
    assert run(encoded(add, Parameters(acc_bits=3)), np.full((1, 1, 1, 1), 1.0)).outputs.tolist() == [[2.0]]


def test_batches_and_widths_do_not_change_the_result() -> None:
    network = Network("one", Input(name="input", shape=(18, 4, 5), bits=2), (Node(ACTION_CONV, ("input",)),))
    made = random_parameters(network, np.random.default_rng(3))
    images = np.random.default_rng(4).uniform(-1, 1, size=(5, 18, 4, 5))
    wanted = run(made, images).outputs
    for width in (8, 16, 32):
        prepared = prepare(made, width=width)
        np.testing.assert_array_equal(run_prepared(prepared, images, batch=2).outputs, wanted)
    one = run(made, images, keep_integers=False)
    assert dict(one.integers) == {}
    assert dict(one.codes) == {}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 3)), r"inputs must have shape \(N, 3, 1, 1\) with N >= 1, not \(2, 3\)"),
        (np.zeros((2, 3, 1, 2)), r"inputs must have shape \(N, 3, 1, 1\) with N >= 1, not \(2, 3, 1, 2\)"),
        (np.zeros((0, 3, 1, 1)), r"inputs must have shape \(N, 3, 1, 1\) with N >= 1, not \(0, 3, 1, 1\)"),
        (np.zeros((1, 3, 1, 1), dtype=complex), "inputs must be an array of real numbers, not complex128"),
        (np.zeros((1, 3, 1, 1), dtype="U1"), "inputs must be an array of real numbers, not <U1"),
        ([[1.0]], "inputs must be an array of real numbers, not list"),
        (np.array([0, 0, 0, 0, np.nan, 0]).reshape(2, 3, 1, 1), "inputs must be numbers, but image 1 holds NaN"),
    ],
)
def test_wrong_inputs(inputs: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"^network 'one': {message}$"):
        run(encoded(DENSE, Parameters(weights=WEIGHTS)), inputs)


def test_wrong_width_and_batch() -> None:
    network = encoded(DENSE, Parameters(weights=WEIGHTS))
    with pytest.raises(ValueError, match=r"width must be one of \[8, 16, 32, 64\], not 12"):
        run(network, IMAGE, width=12)
    with pytest.raises(ValueError, match=r"^network 'one': batch must be at least 1, not 0$"):
        run(network, IMAGE, batch=0)


def test_accuracy() -> None:
    assert accuracy(np.array([[1.0, 2.0], [3.0, 3.0], [0.0, 1.0], [5.0, 1.0]]), [1, 0, 0, 0]) == 0.75
    message = r"^accuracy: labels must be \(N,\) for outputs \(N, classes\), not \(1,\) for \(2, 3\)$"
    with pytest.raises(ValueError, match=message):
        accuracy(np.zeros((2, 3)), [1])


def test_random_parameters_repeat_and_use_all_codes() -> None:
    network = Network("one", Input(name="input", shape=(18, 4, 5), bits=2), (Node(ACTION_CONV, ("input",)),))
    one, two = (random_parameters(network, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.parameters["layer"].weights, two.parameters["layer"].weights)
    images = np.random.default_rng(8).uniform(-1.3, 1.3, size=(20, 18, 4, 5))
    codes = run(one, images, keep_integers=True).codes["layer"]
    shares = np.bincount(((codes + 15) // 2).ravel(), minlength=16) / codes.size
    assert shares.min() > 0.02
    assert shares.max() < 0.15
