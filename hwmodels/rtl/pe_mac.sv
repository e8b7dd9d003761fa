// The multiplier twin of pe: Width products of odd codes of up to LanesA x LanesW bits, and an adder tree. The ports are the
// same; bit i of lane l is bit l of code i. Codes beyond `count_i` are no codes and add nothing.
//
// Cycle 0: operands; then one or two cycles each for products, sum and accumulator. A second one cuts the path of the first.
module pe_mac #(
  parameter int unsigned Width = 64,
  parameter int unsigned LanesA = 8,
  parameter int unsigned LanesW = 8,
  parameter int unsigned AccBits = 32,
  parameter int unsigned CountStages = 1,
  parameter int unsigned SumStages = 1,
  parameter int unsigned AccStages = 1
) (
  input  logic                      clk_i,
  input  logic [LanesA*Width-1:0]   act_i,
  input  logic [LanesW*Width-1:0]   weight_i,
  input  logic [LanesA-1:0]         act_en_i,
  input  logic [LanesW-1:0]         weight_en_i,
  input  logic [Width-1:0]          mask_i,
  // CountStages + SumStages - 1 cycles later.
  input  logic                      valid_i,
  // CountStages + SumStages cycles later, and once more a cycle behind.
  input  logic                      accumulate_i,
  input  logic                      first_i,
  input  logic                      late_accumulate_i,
  input  logic                      late_first_i,
  output logic signed [AccBits-1:0] acc_o
);
  localparam int unsigned ProductW = LanesA + LanesW + 1;
  localparam int unsigned SumW = ProductW + $clog2(Width + 1);

  logic [Width*ProductW-1:0] product_q;
  for (genvar e = 0; e < Width; e++) begin : gen_element
    logic [LanesA-1:0] act_bits;
    logic [LanesW-1:0] weight_bits;
    logic signed [LanesA:0] act;
    logic signed [LanesW:0] weight;
    for (genvar l = 0; l < LanesA; l++) begin : gen_act_bit
      assign act_bits[l] = act_i[l*Width+e];
    end
    for (genvar l = 0; l < LanesW; l++) begin : gen_weight_bit
      assign weight_bits[l] = weight_i[l*Width+e];
    end
    odd_code #(.Lanes(LanesA)) u_act (.bits_i(act_bits), .en_i(act_en_i), .code_o(act));
    odd_code #(.Lanes(LanesW)) u_weight (.bits_i(weight_bits), .en_i(weight_en_i), .code_o(weight));
    if (CountStages == 1) begin : gen_whole
      always_ff @(posedge clk_i) begin
        product_q[e*ProductW+:ProductW] <= mask_i[e] ? ProductW'(act) * ProductW'(weight) : '0;
      end
    end else begin : gen_parts
      // Products with the lower and the upper half of the weight's bits, then their sum.
      localparam int unsigned Low = (LanesW + 1) / 2;
      localparam int unsigned LowW = LanesA + 1 + Low;
      localparam int unsigned HighW = ProductW - Low;
      logic signed [Low:0] low;
      logic signed [LanesW-Low:0] high;
      logic signed [LowW-1:0] low_q;
      logic signed [HighW-1:0] high_q;
      assign low = {1'b0, weight[Low-1:0]};
      assign high = weight[LanesW:Low];
      always_ff @(posedge clk_i) begin
        low_q <= mask_i[e] ? LowW'(act) * LowW'(low) : '0;
        high_q <= mask_i[e] ? HighW'(act) * HighW'(high) : '0;
        product_q[e*ProductW+:ProductW] <= ProductW'(low_q) + (ProductW'(high_q) <<< Low);
      end
    end
  end

  logic signed [SumW-1:0] sum, sum_q;
  if (SumStages == 1) begin : gen_sum
    always_comb begin
      sum = '0;
      for (int unsigned e = 0; e < Width; e++) sum = sum + SumW'($signed(product_q[e*ProductW+:ProductW]));
    end
  end else begin : gen_sums
    // First of Inner products each, about the square root of all, then those sums.
    localparam int unsigned Inner = 2 ** (($clog2(Width) + 1) / 2);
    localparam int unsigned Parts = (Width + Inner - 1) / Inner;
    localparam int unsigned PartW = ProductW + $clog2(Inner);
    logic [Parts*PartW-1:0] part, part_q;
    always_comb begin
      part = '0;
      for (int unsigned e = 0; e < Width; e++) begin
        part[e/Inner*PartW+:PartW] = part[e/Inner*PartW+:PartW] + PartW'($signed(product_q[e*ProductW+:ProductW]));
      end
    end
    always_ff @(posedge clk_i) part_q <= part;
    always_comb begin
      sum = '0;
      for (int unsigned p = 0; p < Parts; p++) sum = sum + SumW'($signed(part_q[p*PartW+:PartW]));
    end
  end
  always_ff @(posedge clk_i) sum_q <= valid_i ? sum : '0;

  accumulator #(.AccBits(AccBits), .SumW(SumW), .Stages(AccStages), .ShiftMask(2'b01)) u_accumulator (
    .clk_i,
    .sum_i(sum_q),
    .accumulate_i, .first_i,
    .shift_i(2'b01),
    .late_accumulate_i, .late_first_i,
    .late_shift_i(2'b01),
    .acc_o
  );
endmodule
