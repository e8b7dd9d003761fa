"""What synthesis reads of the sources: everything that matters, and nothing that would make points old for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodels.design import Design
from hwmodels.rtl.package import package
from hwmodels.rtl.sources import sources
from hwmodels.synthesis import blocks
from hwmodels.synthesis.blocks import BLOCKS, Point
from hwmodels.synthesis.essence import needed, plain

PACKAGE = """
// Generated.
package p;
  localparam int unsigned Width = 8; // bits
  localparam int unsigned Depth = 4;
  localparam logic [Width:0] Mask = 9'b1;
  typedef struct packed {
    logic [Depth-1:0] a;
  } inner_t;
  typedef struct packed {
    inner_t inner;
    logic   b;
  } outer_t;
endpackage
"""
SMALL = Design(rows=4, cols=2, width=16, port_bits=16)


def test_comments_and_blank_lines_go() -> None:
    assert plain("// a\n\n  wire x; // y\n  /* z\n z */ wire w;\n") == "wire x;\nwire w;\n"


def test_only_what_is_named_stays_and_what_that_is_made_of() -> None:
    assert needed(PACKAGE, ["input p::inner_t x"]) == (
        "package p;\nlocalparam int unsigned Depth = 4;\ntypedef struct packed {\nlogic [Depth-1:0] a;\n} inner_t;\nendpackage\n"
    )
    assert "Width" in needed(PACKAGE, ["p::Mask"])
    outer = needed(PACKAGE, ["p::outer_t"])
    assert "inner_t;" in outer
    assert "Depth" in outer
    assert "Width" not in outer
    # A name of the module's own is not the package's.
    assert needed(PACKAGE, ["localparam Width = 3;"]) == "package p;\nendpackage\n"


def test_a_package_of_other_things_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold constants and packed structs, but there is 'function"):
        needed(PACKAGE.replace("typedef struct packed {", "function int f();"), [])
    with pytest.raises(ValueError, match="must be `package NAME"):
        needed("module m; endmodule", [])


def test_a_constant_that_nobody_reads_changes_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    designs = {name: SMALL if block.kind != "mac" else replace(SMALL, kind="mac") for name, block in BLOCKS.items()}
    before = {name: Point(name, design).digest("") for name, design in designs.items()}

    def wider(design: Design) -> str:
        return package(design).replace("endpackage", "  localparam int unsigned Unheard = 7;\nendpackage")

    monkeypatch.setattr(blocks, "package", wider)
    assert {name: Point(name, design).digest("") for name, design in designs.items()} == before


def test_every_name_of_the_package_that_a_module_reads_is_there() -> None:
    for name in BLOCKS:
        files = Point(name, replace(SMALL, kind=BLOCKS[name].kind or "array")).files()
        if "dse_pkg.sv" in files:
            assert "dse_pkg::" in "".join(files.values())
        assert not any("//" in text for text in files.values()), name
    assert "//" in sources()["engine.sv"]
