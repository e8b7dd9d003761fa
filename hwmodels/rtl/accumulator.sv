// acc <- (first ? 0 : acc << shift) + sum, in one cycle, or in two halves, the high one a cycle behind the low one: then no carry runs
// through more than half of the bits in a cycle, and a whole result is there a cycle later.
module accumulator #(
  parameter int unsigned AccBits = 32,
  parameter int unsigned SumW = 16,
  parameter int unsigned Stages = 1,
  parameter int unsigned ShiftMax = 1,
  // Bit s: a shift by s places is ever asked for. Anything else would be a barrel shifter that nobody uses.
  parameter logic [ShiftMax:0] ShiftMask = 2'b11
) (
  input  logic                      clk_i,
  input  logic signed [SumW-1:0]    sum_i,
  input  logic                      accumulate_i,
  input  logic                      first_i,
  input  logic [ShiftMax:0]         shift_i,
  // The same three a cycle later, for the high half.
  input  logic                      late_accumulate_i,
  input  logic                      late_first_i,
  input  logic [ShiftMax:0]         late_shift_i,
  output logic signed [AccBits-1:0] acc_o
);
  if (Stages == 1) begin : gen_whole
    logic signed [AccBits-1:0] acc_q, shifted;
    always_comb begin
      shifted = '0;
      for (int unsigned s = 0; s <= ShiftMax; s++) begin
        if (ShiftMask[s] && shift_i[s] && !first_i) shifted = shifted | (acc_q <<< s);
      end
    end
    always_ff @(posedge clk_i) if (accumulate_i) acc_q <= shifted + AccBits'(sum_i);
    assign acc_o = acc_q;
  end else begin : gen_halves
    localparam int unsigned Low = AccBits / 2;
    localparam int unsigned High = AccBits - Low;
    logic [AccBits-1:0] sum, shifted;
    logic [Low-1:0]     low_q, low, late_low_q;
    logic [High-1:0]    high_q, late_sum_q;
    logic               carry, carry_q;
    assign sum = AccBits'(sum_i);
    always_comb begin
      low = '0;
      shifted = '0;
      for (int unsigned s = 0; s <= ShiftMax; s++) begin
        if (ShiftMask[s] && shift_i[s] && !first_i) low = low | (low_q << s);
        if (ShiftMask[s] && late_shift_i[s] && !late_first_i) shifted = shifted | ({high_q, late_low_q} << s);
      end
    end
    logic [Low-1:0] low_sum;
    assign {carry, low_sum} = {1'b0, low} + {1'b0, sum[Low-1:0]};
    always_ff @(posedge clk_i) begin
      if (accumulate_i) low_q <= low_sum;
      late_low_q <= low_q;
      late_sum_q <= sum[AccBits-1:Low];
      carry_q <= carry;
      if (late_accumulate_i) high_q <= shifted[AccBits-1:Low] + late_sum_q + High'(carry_q);
    end
    assign acc_o = {high_q, late_low_q};
  end
endmodule
