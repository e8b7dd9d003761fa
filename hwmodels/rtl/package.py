"""The parameter package of an engine: a `Design` and the descriptor's layout as SystemVerilog constants and types."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from hwmodels.design import Design
from hwmodels.mapping import DESCRIPTOR_BITS, VECTOR_BITS, row_words, threshold_beats, word_beats
from hwmodels.rtl.descriptor import AXIS_FIELDS, FIELDS
from workloads.layers import ceil_div

COUNT_BITS = 16
ADDRESS_BITS = 32


def shift_mask(design: Design) -> int:
    """Bit s is set where some M and K within the built ones ask the accumulator to move up by s places."""
    if design.kind == "mac":
        return 1
    gaps = plane_gaps(design.max_act_bits, design.max_weight_bits, design.lanes_a, design.lanes_w)
    return sum(1 << gap for gap in gaps)


@cache
def plane_gaps(max_act_bits: int, max_weight_bits: int, lanes_a: int, lanes_w: int) -> frozenset[int]:
    """By how many places the accumulator of a plane machine may have to move up, over every M and K within the built ones."""
    gaps = {0}
    for act in range(1, ceil_div(max_act_bits, lanes_a) + 1):
        for weight in range(1, ceil_div(max_weight_bits, lanes_w) + 1):
            weights = sorted(a * lanes_a + w * lanes_w for a in range(act) for w in range(weight))
            gaps |= {high - low for low, high in pairwise(weights)}
    return frozenset(gaps)


def parameters(design: Design) -> dict[str, int]:
    """Name and value of every constant, in the order of the package."""
    rows, width = design.rows, design.width
    slices = max(rows, width) // min(rows, width)
    mask = shift_mask(design)
    return {
        "Mac": int(design.kind == "mac"),
        "Rows": rows,
        "Cols": design.cols,
        "Width": width,
        "LanesA": design.act_lanes,
        "LanesW": design.weight_lanes,
        "MaxAct": design.max_act_bits,
        "MaxWeight": design.max_weight_bits,
        "WeightDepth": design.weight_depth,
        "ActDepth": design.act_depth,
        "ThresholdDepth": design.threshold_depth,
        "OutEntries": max(2, design.out_depth // max(1, width // rows)),
        "CountStages": design.count_stages,
        "SumStages": design.sum_stages,
        "AccStages": design.acc_stages,
        "PortBits": design.port_bits,
        "PortBurst": design.port_burst,
        "PortShared": int(design.port_shared),
        "AccBits": design.acc_bits,
        "VectorBits": min(VECTOR_BITS, design.acc_bits),
        "BiasBits": width.bit_length() + design.act_lanes + design.weight_lanes + 1,
        "ShiftMax": mask.bit_length() - 1,
        "ActPasses": ceil_div(design.max_act_bits, design.act_lanes),
        "Slices": slices,
        "SliceW": min(rows, width),
        "SliceIndexW": max(1, (slices - 1).bit_length()),
        "ColumnW": max(1, (design.cols - 1).bit_length()),
        "WordBeats": word_beats(design),
        "RowWords": row_words(design),
        "RowChunks": ceil_div(rows, row_words(design)),
        "ThresholdBeats": threshold_beats(design),
        "DescriptorBeats": ceil_div(DESCRIPTOR_BITS, design.port_bits),
        "UsedBits": sum(FIELDS.values()) + 2 * sum(AXIS_FIELDS.values()),
        "CountW": COUNT_BITS,
        "CoordW": COUNT_BITS,
        "AddrW": ADDRESS_BITS,
    }


def package(design: Design) -> str:
    """`dse_pkg.sv` of this design."""
    constants = parameters(design)
    lines = [f"  localparam {_kind(name)} {name} = {value};" for name, value in constants.items()]
    top = constants["ShiftMax"]
    lines.append(f"  localparam logic [ShiftMax:0] ShiftMask = {top + 1}'b{shift_mask(design):0{top + 1}b};")
    axis = _struct("axis_t", [_field(name, bits) for name, bits in AXIS_FIELDS.items()])
    fields = [_field(name, bits) for name, bits in FIELDS.items()]
    layer = _struct("descriptor_t", [*fields, "axis_t y", "axis_t x"])
    return HEADER.format(design=design.name) + "\n".join(lines) + "\n" + axis + layer + WIRES + "endpackage\n"


HEADER = """// Generated for: {design}.
package dse_pkg;
"""

WIRES = """
  // A result on its way out of the arithmetic: the buffer entry of column 0, and where its thresholds are.
  typedef struct packed {
    logic              tile_last;
    logic [CountW-1:0] addr;
    logic [CountW-1:0] slice;
    logic [CountW-1:0] threshold;
    logic [CountW-1:0] columns;
  } result_t;

  // What leaves in one cycle of the drain.
  typedef struct packed {
    logic              write;
    logic              tile_last;
    logic [CountW-1:0] addr;
    logic [CountW-1:0] slice;
    logic [CountW-1:0] threshold;
    logic [5:0]        part;
  } leaving_t;

  // One issue of the sequencer: what to read, and what the arithmetic does with it.
  typedef struct packed {
    logic [CountW-1:0] act_addr;
    logic [CountW-1:0] weight_addr;
    logic              act_half;
    logic [CountW-1:0] column;
    logic [CoordW-1:0] cy;
    logic [CoordW-1:0] cx;
    logic              tail;
    logic              act_top;
    logic              weight_top;
    logic [3:0]        act_pass;
    logic              first;
    logic              last_plane;
    logic [ShiftMax:0] shift;
    logic              last;
    result_t           result;
  } issue_t;

  // One beat of a load: where it comes from, and where it goes.
  typedef struct packed {
    logic              weights;
    logic              thresholds;
    logic              complete;
    logic              run_last;
    logic              tile_last;
    logic              layer_last;
    logic [AddrW-1:0]  addr;
    logic [CountW-1:0] weight_entry;
    logic [CountW-1:0] chunk;
    logic [3:0]        lane;
    logic [CountW-1:0] row;
    logic [3:0]        stage;
    logic [MaxAct-1:0] place;
    logic [CountW-1:0] group;
    logic [CountW-1:0] column;
    logic              act_half;
    logic [CountW-1:0] act_entry;
    logic [CoordW-1:0] origin_y;
    logic [CoordW-1:0] origin_x;
  } beat_t;
"""


def _struct(name: str, members: list[str]) -> str:
    """A packed struct whose first member holds the lowest bits (SystemVerilog lists the highest first)."""
    body = "".join(f"    {member};\n" for member in reversed(members))
    return f"\n  typedef struct packed {{\n{body}  }} {name};\n"


def _field(name: str, bits: int) -> str:
    return f"logic {name}" if bits == 1 else f"logic [{bits - 1}:0] {name}"


def _kind(name: str) -> str:
    return "logic" if name in ("Mac", "PortShared") else "int unsigned"
