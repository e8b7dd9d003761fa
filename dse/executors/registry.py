"""The executors by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from dse.executors.cluster import dask
from dse.executors.local import local
from dse.executors.protocol import Executor, Start

EXECUTORS: Mapping[str, Executor] = MappingProxyType({"local": local, "dask": dask})


def executor(name: str, *, workers: int, scheduler: str | None = None) -> AbstractContextManager[Start]:
    """An executor by name. Raises ValueError listing the known names; entering it, where its workers cannot be had."""
    if name not in EXECUTORS:
        raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, not {name!r}")
    return EXECUTORS[name](workers, scheduler)
