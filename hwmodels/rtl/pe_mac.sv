// The multiplier twin of pe: Width products of odd codes of up to LanesA x LanesW bits, and an adder tree. The ports are the
// same; bit i of lane l is bit l of code i. Codes beyond `count_i` are no codes and add nothing.
module pe_mac #(
  parameter int unsigned Width = 64,
  parameter int unsigned LanesA = 8,
  parameter int unsigned LanesW = 8,
  parameter int unsigned AccBits = 32
) (
  input  logic                      clk_i,
  input  logic [LanesA*Width-1:0]   act_i,
  input  logic [LanesW*Width-1:0]   weight_i,
  input  logic [LanesA-1:0]         act_en_i,
  input  logic [LanesW-1:0]         weight_en_i,
  input  logic [Width-1:0]          mask_i,
  // One cycle later.
  input  logic                      valid_i,
  // Two cycles later.
  input  logic                      accumulate_i,
  input  logic                      first_i,
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
    always_ff @(posedge clk_i) begin
      product_q[e*ProductW+:ProductW] <= mask_i[e] ? ProductW'(act) * ProductW'(weight) : '0;
    end
  end

  logic signed [SumW-1:0] sum, sum_q;
  always_comb begin
    sum = '0;
    for (int unsigned e = 0; e < Width; e++) sum = sum + SumW'($signed(product_q[e*ProductW+:ProductW]));
  end
  always_ff @(posedge clk_i) sum_q <= valid_i ? sum : '0;

  logic signed [AccBits-1:0] acc_q;
  always_ff @(posedge clk_i) if (accumulate_i) acc_q <= (first_i ? '0 : acc_q) + AccBits'(sum_q);
  assign acc_o = acc_q;
endmodule
