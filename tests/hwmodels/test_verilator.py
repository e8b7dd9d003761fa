"""A tool that fails, or is late, is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwmodels.rtl.verilator import run_tool
from hwmodels.tool_error import ToolError


def test_a_tool_that_ends_well_is_what_it_printed(tmp_path: Path) -> None:
    assert run_tool([sys.executable, "-c", "import os; print(os.getcwd())"], tmp_path, 60) == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('%Error: no top'); print('make: Error 2'); raise SystemExit(3)", "exit code 3: %Error: no top$"),
        ("raise SystemExit(3)", "exit code 3: it printed no error$"),
        ("import time; time.sleep(60)", "must end within 1 s, but did not$"),
    ],
)
def test_a_failure_is_the_first_line_that_says_why(code: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=message):
        run_tool([sys.executable, "-c", code], tmp_path, 1 if "sleep" in code else 60)
