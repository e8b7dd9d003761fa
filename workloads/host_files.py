"""Host functions and arrangements as JSON: the part of `workloads.files` that says what the host does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.encoded import Arrangement
from workloads.host import HostFunction, HostMap, Step
from workloads.views import View

Tensors = Mapping[str, npt.NDArray[Any]]

PREFIX = "constant_"
"""Constants of a host function are tensors constant_0, constant_1, ..."""


def function_header(function: HostFunction) -> dict[str, Any]:
    """A function without the numbers of its constants."""
    return {
        "operands": [_map_header(own) for own in function.operands],
        "steps": [
            {"op": step.op, "inputs": list(step.inputs), "output": step.output, "attributes": dict(step.attributes)}
            for step in function.steps
        ],
        "constants": sorted(function.constants),
        "result": _map_header(function.result),
    }


def function_tensors(function: HostFunction) -> dict[str, npt.NDArray[np.float32]]:
    """The constants, in the order of their names."""
    names = sorted(function.constants)
    return {
        f"{PREFIX}{place}": function.constants[name].astype(np.float32, order="C") for place, name in enumerate(names)
    }


def function_from(where: str, entry: Any, tensors: Tensors) -> HostFunction:
    """What `function_header` and `function_tensors` wrote. Raises ValueError, naming the place, for anything else."""
    try:
        names = entry["constants"]
        if len(names) != sum(name.startswith(PREFIX) for name in tensors):
            raise ValueError(f"there must be {len(names)} constants")
        return HostFunction(
            operands=tuple(_map(own) for own in entry["operands"]),
            steps=tuple(_step(step) for step in entry["steps"]),
            constants={_text(name): tensors[f"{PREFIX}{place}"] for place, name in enumerate(names)},
            result=_map(entry["result"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{where}: the host function must have operands, steps, constants and a result ({error})"
        ) from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def arrangement_header(arrangement: Arrangement | None) -> dict[str, Any] | None:
    """None where the output is that of the last layer."""
    if arrangement is None:
        return None
    return {
        "layers": list(arrangement.layers),
        "block": arrangement.block,
        "start": list(arrangement.start),
        "size": list(arrangement.size),
    }


def arrangement_from(entry: Any) -> Arrangement | None:
    """What `arrangement_header` wrote. Raises ValueError for anything else."""
    if entry is None:
        return None
    try:
        layers, block, start, size = entry["layers"], entry["block"], entry["start"], entry["size"]
        (top, left), (height, width) = start, size
        return Arrangement(
            layers=tuple(_text(name) for name in layers),
            block=_integer(block),
            start=(_integer(top), _integer(left)),
            size=(_integer(height), _integer(width)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"arrangement: must have layers, block, start and size ({error})") from error


def _map_header(own: HostMap) -> dict[str, Any]:
    axes = [list(axis) for axis in own.view.axes]
    view = {"factors": list(own.view.factors), "axes": axes}
    return {"name": own.name, "step": own.step, "offset": own.offset, "highest": own.highest} | view


def _map(entry: Any) -> HostMap:
    step, highest = entry["step"], entry["highest"]
    if isinstance(step, bool) or not isinstance(step, int | float):
        raise ValueError(f"step must be a number, not {step!r}")
    view = View(
        tuple(_integer(size) for size in entry["factors"]),
        tuple(tuple(_integer(factor) for factor in axis) for axis in entry["axes"]),
    )
    return HostMap(
        name=_text(entry["name"]),
        step=float(step),
        offset=_integer(entry["offset"]),
        view=view,
        highest=None if highest is None else _integer(highest),
    )


def _step(entry: Any) -> Step:
    attributes = {
        _text(name): tuple(value) if isinstance(value, list) else value for name, value in entry["attributes"].items()
    }
    inputs = tuple(_text(name) for name in entry["inputs"])
    return Step(op=_text(entry["op"]), inputs=inputs, output=_text(entry["output"]), attributes=attributes)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"must be an integer, not {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value
