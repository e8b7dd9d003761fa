// One processing element: LanesA x LanesW xnor-popcount branches of Width bits, weighted, into one accumulator.
//
//   acc <- (first ? 0 : acc << shift) + bias - 2 * sum_ij 2^(i+j) * popcount(act_i xor weight_j)
//
// bias is n * (2^lanes_a - 1) * (2^lanes_w - 1), the same for a whole column. Cycle 0: operands; then one or two cycles each for
// counts, sum and accumulator. A second one cuts the path of the first in the middle.
module pe #(
  parameter int unsigned Width = 64,
  parameter int unsigned LanesA = 1,
  parameter int unsigned LanesW = 1,
  parameter int unsigned AccBits = 32,
  parameter int unsigned BiasBits = 16,
  parameter int unsigned ShiftMax = 1,
  parameter logic [ShiftMax:0] ShiftMask = 2'b11,
  parameter int unsigned CountStages = 1,
  parameter int unsigned SumStages = 1,
  parameter int unsigned AccStages = 1
) (
  input  logic                      clk_i,
  input  logic [LanesA*Width-1:0]   act_i,
  input  logic [LanesW*Width-1:0]   weight_i,
  // CountStages - 1 cycles later.
  input  logic [LanesA-1:0]         act_en_i,
  input  logic [LanesW-1:0]         weight_en_i,
  // CountStages + SumStages - 1 cycles later.
  input  logic signed [BiasBits-1:0] bias_i,
  input  logic                      valid_i,
  // CountStages + SumStages cycles later, and once more a cycle behind.
  input  logic                      accumulate_i,
  input  logic                      first_i,
  input  logic [ShiftMax:0]         shift_i,
  input  logic                      late_accumulate_i,
  input  logic                      late_first_i,
  input  logic [ShiftMax:0]         late_shift_i,
  output logic signed [AccBits-1:0] acc_o
);
  localparam int unsigned Branches = LanesA * LanesW;
  localparam int unsigned CountW = $clog2(Width + 1);
  localparam int unsigned SumW = BiasBits;
  // All levels of the popcount but the lowest, on the other side of the register: it has 1 + log3 of its bits.
  localparam int unsigned Behind = CountStages == 1 ? 0 : Width < 32 ? 1 : Width < 95 ? 2 : Width < 284 ? 3 : 4;

  logic [Branches*CountW-1:0] count_q;
  for (genvar i = 0; i < LanesA; i++) begin : gen_act
    for (genvar j = 0; j < LanesW; j++) begin : gen_weight
      logic [CountW-1:0] count;
      popcount #(.Width(Width), .Behind(Behind)) u_popcount (
        .clk_i,
        .bits_i (act_i[i*Width+:Width] ^ weight_i[j*Width+:Width]),
        .count_o(count)
      );
      always_ff @(posedge clk_i) begin
        count_q[(i*LanesW+j)*CountW+:CountW] <= (act_en_i[i] && weight_en_i[j]) ? count : '0;
      end
    end
  end

  logic signed [SumW-1:0] weighted, sum_q;
  if (SumStages == 1) begin : gen_whole
    always_comb begin
      weighted = '0;
      for (int unsigned i = 0; i < LanesA; i++) begin
        for (int unsigned j = 0; j < LanesW; j++) begin
          weighted = weighted + (SumW'(count_q[(i*LanesW+j)*CountW+:CountW]) << (i + j));
        end
      end
    end
  end else begin : gen_parts
    // First the branches of one lane, of which there are more on the other side; then those sums.
    localparam int unsigned Inner = LanesA < LanesW ? LanesA : LanesW;
    localparam int unsigned Parts = Branches / Inner;
    localparam int unsigned PartW = $clog2(Width * (2 ** Inner - 1) + 1);
    logic [Parts*PartW-1:0] part, part_q;
    always_comb begin
      part = '0;
      for (int unsigned p = 0; p < Parts; p++) begin
        for (int unsigned b = 0; b < Inner; b++) begin
          part[p*PartW+:PartW] = part[p*PartW+:PartW]
              + (PartW'(count_q[(LanesA < LanesW ? b*LanesW+p : p*LanesW+b)*CountW+:CountW]) << b);
        end
      end
    end
    always_ff @(posedge clk_i) part_q <= part;
    always_comb begin
      weighted = '0;
      for (int unsigned p = 0; p < Parts; p++) weighted = weighted + (SumW'(part_q[p*PartW+:PartW]) << p);
    end
  end
  always_ff @(posedge clk_i) sum_q <= valid_i ? bias_i - (weighted <<< 1) : '0;

  accumulator #(.AccBits(AccBits), .SumW(SumW), .Stages(AccStages), .ShiftMax(ShiftMax), .ShiftMask(ShiftMask)) u_accumulator (
    .clk_i,
    .sum_i(sum_q),
    .accumulate_i, .first_i, .shift_i, .late_accumulate_i, .late_first_i, .late_shift_i,
    .acc_o
  );
endmodule
