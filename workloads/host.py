"""What the host computes between codes and codes: functions that no popcount computes, in float32, by the ONNX definitions.

A `HostFunction` is a list of steps over tensors by name; `FUNCTIONS` knows every operator. Nothing is executed but these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import erf, isfinite, pi, prod, sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.views import View

Singles = npt.NDArray[np.float32]
Attributes = Mapping[str, Any]
"""Integers, floats, texts, or tuples of integers, as ONNX attributes are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMap:
    """A tensor at either end of a host function: value = step * (code + offset), its axes lying in the map as `view` says."""

    name: str
    step: float
    offset: int
    view: View
    highest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator on named tensors; an absent optional input is ""."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.op not in FUNCTIONS:
            raise ValueError(f"host: every step must be one of {', '.join(sorted(FUNCTIONS))}, not {self.op!r}")
        for name, value in self.attributes.items():
            whole = isinstance(value, tuple) and all(type(item) is int for item in value)
            if not (whole or type(value) in (int, str) or (isinstance(value, float) and isfinite(value))):
                raise ValueError(f"host: attribute {name} of {self.op} must be numbers or a text, not {value!r}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """Maps of codes to real values, in order: `result` names the last tensor and the codes that its values are rounded to."""

    operands: tuple[HostMap, ...]
    steps: tuple[Step, ...]
    constants: Mapping[str, Singles]
    result: HostMap

    def __post_init__(self) -> None:
        known = {operand.name for operand in self.operands} | set(self.constants) | {""}
        for step in self.steps:
            missing = [name for name in step.inputs if name not in known]
            if missing:
                raise ValueError(f"host: {step.op} must read what is known before it, not {missing[0]!r}")
            known.add(step.output)
        if self.result.name not in known:
            raise ValueError(f"host: the result must be computed, not {self.result.name!r}")
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    @property
    def text(self) -> str:
        """The operators, in order."""
        return ", ".join(step.op for step in self.steps)

    def __call__(self, values: Sequence[Singles]) -> Singles:
        """Tensors (images, ...) of the operands to the result (images, ...)."""
        tensors = {**self.constants, **{own.name: value for own, value in zip(self.operands, values, strict=True)}}
        for step in self.steps:
            given = [tensors[name] if name else None for name in step.inputs]
            with np.errstate(all="ignore"):
                tensors[step.output] = np.asarray(FUNCTIONS[step.op](given, step.attributes), dtype=np.float32)
        return tensors[self.result.name]


Function = Callable[[list[Any], Attributes], Any]


def _softmax(given: list[Any], attributes: Attributes) -> Singles:
    axis = attributes.get("axis", -1)
    powers = np.exp(given[0] - given[0].max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def _layer_normalization(given: list[Any], attributes: Attributes) -> Singles:
    x, scale, bias = (*given, None)[:3]
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + np.float32(attributes.get("epsilon", 1e-5)))
    return np.asarray(centred / spread * scale + (0 if bias is None else bias))


def _reduce_mean(given: list[Any], attributes: Attributes) -> Singles:
    axes = tuple(attributes["axes"])
    return np.asarray(given[0].mean(axis=axes, keepdims=bool(attributes.get("keepdims", 1))))


_ERF = np.vectorize(erf, otypes=[np.float64])


def _gelu(given: list[Any], attributes: Attributes) -> Singles:
    x = given[0]
    if attributes.get("approximate", "none") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + _ERF(x / sqrt(2))))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _hard_sigmoid(x: Any, alpha: float, beta: float) -> Any:
    return np.clip(np.float32(alpha) * x + np.float32(beta), 0, 1)


def _reshape(given: list[Any], attributes: Attributes) -> Any:
    """The batch is what it is; 0 keeps a size, -1 takes what is left."""
    x, shape = given[0], list(attributes["shape"])
    kept = [x.shape[place] if size == 0 else size for place, size in enumerate(shape[1:], start=1)]
    known = prod(size for size in kept if size > 0)
    return x.reshape(len(x), *(x[0].size // known if size < 0 else size for size in kept))


def _concat(given: list[Any], attributes: Attributes) -> Any:
    """Tensors joined; a constant of batch 1 (a class token) is the same for every image."""
    images = max(len(one) for one in given)
    return np.concatenate(
        [np.broadcast_to(one, (images, *one.shape[1:])) if len(one) == 1 else one for one in given], attributes["axis"]
    )


def _clip(given: list[Any], _: Attributes) -> Any:
    x, low, high = (*given, None, None)[:3]
    return np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)


FUNCTIONS: dict[str, Function] = {
    "Add": lambda given, _: given[0] + given[1],
    "Sub": lambda given, _: given[0] - given[1],
    "Mul": lambda given, _: given[0] * given[1],
    "Div": lambda given, _: given[0] / given[1],
    "Pow": lambda given, _: given[0] ** given[1],
    "Neg": lambda given, _: -given[0],
    "Reciprocal": lambda given, _: 1 / given[0],
    "Sqrt": lambda given, _: np.sqrt(given[0]),
    "Exp": lambda given, _: np.exp(given[0]),
    "Erf": lambda given, _: _ERF(given[0]),
    "Tanh": lambda given, _: np.tanh(given[0]),
    "Sigmoid": lambda given, _: _sigmoid(given[0]),
    "HardSigmoid": lambda given, own: _hard_sigmoid(given[0], own.get("alpha", 0.2), own.get("beta", 0.5)),
    "HardSwish": lambda given, _: given[0] * _hard_sigmoid(given[0], 1 / 6, 0.5),
    "LeakyRelu": lambda given, own: np.where(given[0] < 0, np.float32(own.get("alpha", 0.01)) * given[0], given[0]),
    "Elu": lambda given, own: np.where(given[0] < 0, np.float32(own.get("alpha", 1.0)) * np.expm1(given[0]), given[0]),
    "Softplus": lambda given, _: np.logaddexp(given[0], 0),
    "Gelu": _gelu,
    "Relu": lambda given, _: np.maximum(given[0], 0),
    "Clip": _clip,
    "Softmax": _softmax,
    "LogSoftmax": lambda given, own: np.log(_softmax(given, own)),
    "LayerNormalization": _layer_normalization,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Transpose": lambda given, own: given[0].transpose(own["perm"]),
    "Concat": _concat,
    "Identity": lambda given, _: given[0],
}
"""Operators that the host computes, by their ONNX names."""
