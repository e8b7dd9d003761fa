"""Imports point one way, and the command line starts light: read from the source, not from a promise."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import dse
from dse.rows import COLUMN_ORDER
from reports.columns import COLUMNS

ROOT = Path(__file__).parent.parent
PACKAGES = ("workloads", "hwmodels", "reports", "dse")
OWN = {
    "workloads": {"workloads"},
    "hwmodels": {"hwmodels", "workloads.layers", "workloads.network", "workloads.encoding", "workloads.actions"},
    "reports": {"reports"},
    "dse": set(PACKAGES),
}
THIRD = {
    "workloads": {"numpy"},
    "hwmodels": {"numpy"},
    "reports": {"numpy", "pandas", "plotly", "kaleido"},
    "dse": {"numpy", "pandas", "pyarrow"},
}
ALONE = {
    "onnx": ("workloads/onnx_",),
    "google": ("workloads/onnx_",),
    "safetensors": ("workloads/files.py",),
    "yaml": ("workloads/zigzag_nest.py",),
    "typer": ("dse/cli/",),
    "rich": ("dse/progress.py",),
    "simpy": ("hwmodels/cycle/",),
    "numba": (
        "dse/bits/fronts.py",
        "dse/skyline.py",
        "hwmodels/kernels.py",
        "hwmodels/recurrence.py",
        "workloads/compiled_",
    ),
    "llvmlite": ("workloads/compiled_",),
    "onnxruntime": ("workloads/onnx_float.py",),
    "duckdb": ("dse/query.py",),
    "optuna": ("dse/samplers/evolution.py",),
    "distributed": ("dse/executors/cluster.py",),
}
"""Packages that only these files may import."""
HEAVY = ("numpy", "pandas", "pyarrow", "plotly", "onnx", "safetensors", "simpy", "numba", "yaml")

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every imported module of a file, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def allowed(name: str, path: Path) -> bool:
    place, package, top = path.relative_to(ROOT).as_posix(), path.relative_to(ROOT).parts[0], name.split(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if top in ALONE:
        return place.startswith(ALONE[top])
    if top in PACKAGES:
        return any(name == own or name.startswith(f"{own}.") for own in OWN[package])
    return top in THIRD[package]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    assert [name for name in imported(path) if not allowed(name, path)] == []


def test_the_rule_refuses_what_it_must() -> None:
    assert not allowed("dse.sweeps", ROOT / "hwmodels" / "design.py")
    assert not allowed("workloads.executor", ROOT / "hwmodels" / "design.py")
    assert not allowed("hwmodels", ROOT / "reports" / "page.py")
    assert not allowed("pandas", ROOT / "workloads" / "layers.py")
    assert not allowed("typer", ROOT / "dse" / "sweep.py")


def test_no_module_imports_itself_in_a_circle() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    edges = {name: {other for other in imported(path) if other in names} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circle: {' -> '.join((*trail, name))}"
        if name not in done:
            for other in edges[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in names:
        visit(name, ())


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dse.cli", "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert loaded & set(HEAVY) == set()
    assert "typer" in loaded


def test_every_public_name_is_importable_and_explained() -> None:
    for name in dse.__all__:
        assert getattr(dse, name) is not None
        if callable(getattr(dse, name)):
            assert getattr(dse, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = dse.nothing


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "dse"])
def test_packages_hand_on_what_they_name(package: str) -> None:
    module = import_module(package)
    assert all(hasattr(module, name) for name in getattr(module, "__all__", ()))


def test_reports_know_every_column_that_a_sweep_writes() -> None:
    assert set(COLUMN_ORDER) - set(COLUMNS) == set()


def test_a_public_name_is_never_a_module() -> None:
    """A function named like its module would be replaced by the module as soon as that is imported."""
    for name in dse._HOMES:
        getattr(dse, name)
        assert not isinstance(getattr(dse, name), ModuleType), name
