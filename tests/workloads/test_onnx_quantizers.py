"""Every quantizer of QONNX against the functions of `qonnx` itself: exact ladders, float32 levels, what the codes stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from workloads.layers import max_code
from workloads.onnx_activation import Activation, Emitting
from workloads.onnx_graph import GraphNode
from workloads.onnx_input import RawInput, are_nearest, host_levels
from workloads.onnx_multithreshold import read_multithreshold
from workloads.onnx_quantizer import ROUNDING_NAMES, read_quantizer
from workloads.onnx_trunc import read_trunc
from workloads.thresholds import Curve, level

pytest.importorskip("qonnx")
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant
from qonnx.custom_op.general.multithreshold import multithreshold
from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2

Singles = npt.NDArray[np.float32]
MODES = sorted(set(ROUNDING_NAMES) - {"ROUND_TO_ZERO"})  # which qonnx does not know by that name


@dataclass(frozen=True)
class Case:
    """A quantizer, the function of qonnx, and values that meet its boundaries; the first `exact` make no rounding of their own."""

    quantizer: Emitting
    reference: Callable[[Singles], Any]
    values: Singles
    exact: int

    @property
    def activation(self) -> Activation:
        return self.quantizer.activation(1, 2)


def node(op: str, inputs: int, **attributes: Any) -> GraphNode:
    """As `onnx_graph` reads it."""
    made = helper.make_node(op, [f"i{place}" for place in range(inputs)], ["o"], name="tested", **attributes)
    found = {item.name: helper.get_attribute_value(item) for item in made.attribute}
    return GraphNode("tested", op, "", tuple(made.input), ("o",), found)


def number(value: float) -> Singles:
    return np.asarray(value, np.float32)


GRID = 161


def around(step: float, shift: float) -> Singles:
    """Halves and quarters of the step, and the float32 numbers beside them."""
    grid = (((np.arange(GRID) - GRID // 2) / 4 - shift) * step).astype(np.float32)
    up, down = (np.nextafter(grid, np.float32(end)) for end in (np.inf, -np.inf))
    return np.concatenate([grid, up, down, np.float32([0.0, -0.0, 1e9, -1e9])])


@st.composite
def quants(draw: st.DrawFn) -> Case:
    """Quant: dyadic scales and zero points, so that float32 is exact and every tie is met."""
    bits, signed, narrow = draw(st.integers(1, 8)), draw(st.booleans()), draw(st.booleans())
    narrow = narrow and (bits > 1)
    scale, zero = number(2.0 ** draw(st.integers(-6, 3))), number(draw(st.integers(-9, 9)) / 2)
    mode = draw(st.sampled_from(MODES))
    made = node("Quant", 4, signed=int(signed), narrow=int(narrow), rounding_mode=mode)
    width = number(bits)
    return Case(
        read_quantizer(made, (scale, zero, width)),
        lambda values: int_quant(values, scale, zero, width, signed, narrow, mode),
        around(float(scale), float(zero)),
        GRID,
    )


@st.composite
def truncs(draw: st.DrawFn) -> Case:
    """Both versions of Trunc, on values that reach the integers of their input bits."""
    output, extra, signed = draw(st.integers(1, 6)), draw(st.integers(0, 4)), draw(st.booleans())
    scale, zero = 2.0 ** draw(st.integers(-3, 2)), number(draw(st.integers(-4, 4)))
    mode, version = draw(st.sampled_from(MODES)), draw(st.sampled_from([1, 2]))
    width, low = output + extra, -(2 ** (output + extra - 1)) if signed else 0
    values = ((np.arange(low * 4, (low + 2**width) * 4 - 3) / 4) * scale).astype(np.float32)
    reach = Fraction(float(values.min())), Fraction(float(values.max()))
    bits = (number(width), number(output))
    if version == 1:
        made = read_trunc(node("Trunc", 5, rounding_mode=mode), (number(scale), zero, *bits), reach)
        return Case(made, lambda x: trunc_v1(x, number(scale), zero, *bits, mode), values, len(values))
    out_scale, narrow = number(scale * 2.0**extra), draw(st.booleans()) and output > 1
    read = node("Trunc", 6, rounding_mode=mode, signed=int(signed), narrow=int(narrow))
    return Case(
        read_trunc(read, (number(scale), zero, bits[0], out_scale, bits[1]), reach),
        lambda x: trunc_v2(x, number(scale), zero, bits[0], narrow, signed, out_scale, bits[1], mode),
        values,
        len(values),
    )


@st.composite
def multithresholds(draw: st.DrawFn) -> Case:
    """Thresholds in any order, equal ones among them; out_scale of both signs."""
    quarters = draw(st.lists(st.integers(-40, 40), min_size=1, max_size=40))
    thresholds = np.array([quarters], np.float32) / 4
    scale, bias = draw(st.sampled_from([1.0, 2.0, 0.5, -1.0])), draw(st.integers(-6, 6)) / 2
    made = node("MultiThreshold", 2, out_dtype="INT8", out_scale=scale, out_bias=bias)
    return Case(
        read_multithreshold(made, thresholds),
        lambda values: multithreshold(values[:, None], thresholds, scale, bias)[:, 0],
        around(1.0, 0.0),
        GRID,
    )


def bipolar(scale: float) -> Case:
    made = read_quantizer(node("BipolarQuant", 2), (number(scale),))
    return Case(made, lambda values: binary_quant(values, number(scale)), around(1.0, 0.0), GRID)


def check(case: Case) -> None:
    """The levels in float32 give the values of qonnx on every value, the ladder in fractions where float32 is exact."""
    activation, wanted = case.activation, np.asarray(case.reference(case.values), np.float64)
    line, top = activation.lines[0], max_code(activation.bits)
    levels = activation.levels(case.values[None])[0].tolist()
    assert [float(line(Fraction(2 * u - top))) for u in levels] == wanted.tolist()
    exact = [level(activation.ladders[0], Fraction(float(value))) for value in case.values[: case.exact]]
    assert exact == levels[: case.exact]
    assert max(levels) <= activation.highest
    assert len(activation.ladders[0]) == activation.highest


@given(quants())
@settings(max_examples=100, deadline=None)
def test_quants(case: Case) -> None:
    check(case)


@given(truncs())
@settings(max_examples=100, deadline=None)
def test_truncs(case: Case) -> None:
    check(case)


@given(multithresholds())
@settings(max_examples=50, deadline=None)
def test_multithresholds(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_bipolar(scale: float) -> None:
    check(bipolar(scale))


def test_brevitas_names_the_rounding_towards_zero() -> None:
    assert ROUNDING_NAMES["ROUND_TO_ZERO"] == ROUNDING_NAMES["DOWN"]


@given(quants(), st.floats(-4, 4, width=32).filter(lambda x: abs(x) > 1e-3), st.floats(-4, 4, width=32))
@settings(max_examples=40, deadline=None)
def test_host_levels_are_those_of_float32(case: Case, slope: float, shift: float) -> None:
    """x -> slope * x + shift -> quantizer, all in float32: equal on a grid, and beside every threshold that was found."""
    gain, offset, raw = number(slope), number(shift), RawInput(shape=(1, 1, 1), curves=(Curve(),), flat=False)
    source = raw.stepped(lambda x: x * gain).stepped(lambda x: x + offset)
    found = host_levels(source, case.activation)
    edges = found.sign[0] * found.values[0][np.isfinite(found.values[0])].astype(np.float32)
    values = np.concatenate([case.values, *(np.nextafter(edges, np.float32(end)) for end in (np.inf, -np.inf)), edges])
    values = values.astype(np.float32)
    got = np.searchsorted(found.values[0], found.sign[0] * values, side="right")
    line, top = case.activation.lines[0], max_code(case.activation.bits)
    wanted = np.asarray(case.reference(values * gain + offset), np.float64)
    assert [float(line(Fraction(2 * int(u) - top))) for u in got] == wanted.tolist()


def test_the_host_needs_no_levels_where_the_nearest_code_is_meant() -> None:
    raw = RawInput(shape=(1, 1, 1), curves=(Curve(),), flat=False)
    for zero, nearest in ((0, True), (1, False), (1.5, True)):
        made = node("Quant", 4, signed=0, narrow=0, rounding_mode="ROUND")
        quantizer = read_quantizer(made, (number(0.1), number(zero), number(2)))
        assert are_nearest(host_levels(raw, quantizer.activation(1, 4)), quantizer.codes) == nearest
