// One row's thresholds: a binary search, one stage and one memory a bit. Raw values pass A bits at a time.
module post_unit (
  input  logic                       clk_i,
  input  dse_pkg::descriptor_t                desc_i,
  input  logic signed [dse_pkg::AccBits-1:0]  value_i,
  input  logic [dse_pkg::CountW-1:0]          group_i,
  input  logic [5:0]                 part_i,
  output logic [dse_pkg::MaxAct-1:0]          code_o,
  // Thresholds come in heap order: stage, place in the stage, channel group.
  input  logic                       write_i,
  input  logic [3:0]                 write_stage_i,
  input  logic [dse_pkg::CountW-1:0]          write_group_i,
  input  logic [dse_pkg::MaxAct-1:0]          write_place_i,
  input  logic [31:0]                write_data_i
);
  localparam int unsigned GroupW = $clog2(dse_pkg::ThresholdDepth);

  // A vector layer's first threshold says in bit 31 that the code is inverted.
  logic signed [dse_pkg::AccBits-1:0] write_value;
  assign write_value = dse_pkg::AccBits'(desc_i.vector ? $signed({write_data_i[30], write_data_i[30:0]}) : $signed(write_data_i));

  logic signed [dse_pkg::AccBits-1:0] value_q[dse_pkg::MaxAct];
  logic [GroupW-1:0]         group_q[dse_pkg::MaxAct];
  logic                      invert_q[dse_pkg::MaxAct+1];
  logic [dse_pkg::MaxAct-1:0]         code_q[dse_pkg::MaxAct+1];

  // Raw values enter as finished codes.
  logic [dse_pkg::MaxAct*((dse_pkg::AccBits+dse_pkg::MaxAct-1)/dse_pkg::MaxAct)-1:0] extended;
  logic [dse_pkg::MaxAct-1:0] raw;
  assign extended = $bits(extended)'(value_i);
  assign raw = dse_pkg::MaxAct'(extended >> (part_i * dse_pkg::MaxAct));
  always_ff @(posedge clk_i) begin
    value_q[0] <= value_i;
    group_q[0] <= group_i[GroupW-1:0];
    code_q[0] <= desc_i.raw ? raw : '0;
  end

  for (genvar s = 0; s < dse_pkg::MaxAct; s++) begin : gen_stage
    localparam int unsigned Depth = dse_pkg::ThresholdDepth << s;
    localparam int unsigned EntryW = s == 0 ? dse_pkg::AccBits + 1 : dse_pkg::AccBits;
    logic [EntryW-1:0]          entry, write_entry;
    logic [GroupW+s-1:0]        read_addr, write_addr;
    logic [dse_pkg::MaxAct-1:0]          code;
    logic                       found;
    if (s == 0) begin : gen_root
      assign read_addr = group_i[GroupW-1:0];
      assign write_addr = write_group_i[GroupW-1:0];
      assign write_entry = {desc_i.vector && write_data_i[31], write_value};
      assign invert_q[0] = 1'b0;
      always_ff @(posedge clk_i) invert_q[1] <= entry[dse_pkg::AccBits] && desc_i.thresholds;
    end else begin : gen_inner
      // The stage before has just found its bit: it is part of this stage's address in the same cycle.
      assign read_addr = {group_q[s-1], gen_stage[s-1].code[s-1:0]};
      assign write_addr = {write_group_i[GroupW-1:0], write_place_i[s-1:0]};
      assign write_entry = write_value;
      always_ff @(posedge clk_i) invert_q[s+1] <= invert_q[s];
    end
    bank #(
      .Depth(Depth), .Lanes(1), .LaneW(EntryW)
    ) u_thresholds (
      .clk_i,
      .read_i      (1'b1),
      .read_addr_i (read_addr),
      .read_data_o (entry),
      .write_i     (write_i && write_stage_i == 4'(s)),
      .write_addr_i(write_addr),
      .write_data_i(write_entry)
    );
    assign found = value_q[s] >= $signed(entry[dse_pkg::AccBits-1:0]);
    assign code = (desc_i.thresholds && 4'(s) < desc_i.out_planes[3:0]) ? dse_pkg::MaxAct'({code_q[s], found}) : code_q[s];
    always_ff @(posedge clk_i) code_q[s+1] <= code;
    if (s + 1 < dse_pkg::MaxAct) begin : gen_carry
      always_ff @(posedge clk_i) begin
        value_q[s+1] <= value_q[s];
        group_q[s+1] <= group_q[s];
      end
    end
  end
  assign code_o = code_q[dse_pkg::MaxAct] ^ {dse_pkg::MaxAct{invert_q[dse_pkg::MaxAct]}};
endmodule
