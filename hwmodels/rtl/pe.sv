// One processing element: LanesA x LanesW xnor-popcount branches of Width bits, weighted, into one accumulator.
//
//   acc <- (first ? 0 : acc << shift) + bias - 2 * sum_ij 2^(i+j) * popcount(act_i xor weight_j)
//
// bias is n * (2^lanes_a - 1) * (2^lanes_w - 1), the same for a whole column. Cycle 0: operands; 1: counts; 2: sum; 3: accumulator.
module pe #(
  parameter int unsigned Width = 64,
  parameter int unsigned LanesA = 1,
  parameter int unsigned LanesW = 1,
  parameter int unsigned AccBits = 32,
  parameter int unsigned BiasBits = 16,
  parameter int unsigned ShiftMax = 1,
  // Bit s: a shift by s places is ever asked for. Anything else would be a barrel shifter that nobody uses.
  parameter logic [ShiftMax:0] ShiftMask = 2'b11
) (
  input  logic                      clk_i,
  input  logic [LanesA*Width-1:0]   act_i,
  input  logic [LanesW*Width-1:0]   weight_i,
  input  logic [LanesA-1:0]         act_en_i,
  input  logic [LanesW-1:0]         weight_en_i,
  // One cycle later.
  input  logic signed [BiasBits-1:0] bias_i,
  input  logic                      valid_i,
  // Two cycles later.
  input  logic                      accumulate_i,
  input  logic                      first_i,
  input  logic [ShiftMax:0]         shift_i,
  output logic signed [AccBits-1:0] acc_o
);
  localparam int unsigned CountW = $clog2(Width + 1);
  localparam int unsigned SumW = BiasBits;

  logic [LanesA*LanesW*CountW-1:0] count_q;
  for (genvar i = 0; i < LanesA; i++) begin : gen_act
    for (genvar j = 0; j < LanesW; j++) begin : gen_weight
      logic [CountW-1:0] count;
      popcount #(.Width(Width)) u_popcount (
        .bits_i (act_i[i*Width+:Width] ^ weight_i[j*Width+:Width]),
        .count_o(count)
      );
      always_ff @(posedge clk_i) begin
        count_q[(i*LanesW+j)*CountW+:CountW] <= (act_en_i[i] && weight_en_i[j]) ? count : '0;
      end
    end
  end

  logic signed [SumW-1:0] weighted, sum_q;
  always_comb begin
    weighted = '0;
    for (int unsigned i = 0; i < LanesA; i++) begin
      for (int unsigned j = 0; j < LanesW; j++) begin
        weighted = weighted + (SumW'(count_q[(i*LanesW+j)*CountW+:CountW]) << (i + j));
      end
    end
  end
  always_ff @(posedge clk_i) sum_q <= valid_i ? bias_i - (weighted <<< 1) : '0;

  logic signed [AccBits-1:0] acc_q, shifted;
  always_comb begin
    shifted = '0;
    for (int unsigned s = 0; s <= ShiftMax; s++) begin
      if (ShiftMask[s] && shift_i[s] && !first_i) shifted = shifted | (acc_q <<< s);
    end
  end
  always_ff @(posedge clk_i) if (accumulate_i) acc_q <= shifted + AccBits'(sum_q);
  assign acc_o = acc_q;
endmodule
