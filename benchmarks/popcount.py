"""LUTs of a whole PE with one popcount or another: why `popcount.sv` is what it is.

One lane a side, 24-bit accumulator, xc7, by the Yosys that is there; the forms that are not shipped live here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hwmodels.design import Design
from hwmodels.synthesis.blocks import Point
from hwmodels.synthesis.targets import target
from hwmodels.synthesis.yosys import find_yosys, synthesize

WIDTHS = (32, 64, 128)
TIMEOUT_S = 900.0

PORTS = """module popcount #(
  parameter int unsigned Width = 64,
  parameter int unsigned Behind = 0,
  localparam int unsigned CountW = $clog2(Width + 1)
) (
  input  logic              clk_i,
  input  logic [Width-1:0]  bits_i,
  output logic [CountW-1:0] count_o
);
"""

LOOP = (
    PORTS
    + """  always_comb begin
    count_o = '0;
    for (int unsigned b = 0; b < Width; b++) count_o = count_o + CountW'(bits_i[b]);
  end
endmodule
"""
)

HALVES = (
    PORTS
    + """  localparam int unsigned Low = Width / 2;
  localparam int unsigned High = (Width - 1) / 2;
  if (Width == 1) begin : gen_bit
    assign count_o = bits_i;
  end else if (Width == 2) begin : gen_half_adder
    assign count_o = {bits_i[1] & bits_i[0], bits_i[1] ^ bits_i[0]};
  end else begin : gen_split
    // The two halves, and the bit that is left over as the carry-in of their adder.
    logic [$clog2(Low + 1)-1:0] low;
    logic [$clog2(High + 1)-1:0] high;
    popcount #(.Width(Low)) u_low (.clk_i, .bits_i(bits_i[Low-1:0]), .count_o(low));
    popcount #(.Width(High)) u_high (.clk_i, .bits_i(bits_i[Low+:High]), .count_o(high));
    if (Low + High < Width) begin : gen_carry_in
      assign count_o = CountW'(low) + CountW'(high) + CountW'(bits_i[Width-1]);
    end else begin : gen_exact
      assign count_o = CountW'(low) + CountW'(high);
    end
  end
endmodule
"""
)

FORMS: Mapping[str, str | None] = {
    "sums and carries apart, the odd bit as carry-in": None,
    "halves and a carry-in": HALVES,
    "loop of additions": LOOP,
}
"""Text of `popcount.sv`; None for the shipped one."""


@dataclass(frozen=True)
class Formed(Point):
    """A point with another popcount."""

    popcount: str | None = None

    def files(self) -> dict[str, str]:
        """The sources, one of them replaced."""
        own = super().files()
        return own if self.popcount is None else {**own, "popcount.sv": self.popcount}


def luts(width: int, popcount: str | None) -> int:
    """Of one PE."""
    design = Design(
        rows=width, width=width, port_bits=width, max_act_bits=4, max_weight_bits=4, weight_depth=65536 // width
    )
    with TemporaryDirectory() as folder:
        done = synthesize(
            Formed("pe", design, popcount), target("xc7"), find_yosys(), Path(folder), timeout_s=TIMEOUT_S
        )
    return done.counts.lut


def main() -> None:
    """Print a table; widths may be given."""
    widths = [int(word) for word in sys.argv[1:]] or list(WIDTHS)
    print(f"LUTs of a PE on xc7, {find_yosys().name}: {', '.join(f'{width} bits' for width in widths)}")
    for name, popcount in FORMS.items():
        print(f"{name:48s}" + "".join(f"{luts(width, popcount):8d}" for width in widths), flush=True)


if __name__ == "__main__":
    main()
