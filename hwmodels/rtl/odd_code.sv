// An odd code of n enabled lanes as a two's complement number: sum_l (2 b_l - 1) 2^l = 2 u + 1 - 2^n, which is {u, 1} with its
// highest bit inverted. Lanes beyond the enabled ones repeat that bit, the sign: no adder.
module odd_code #(
  parameter int unsigned Lanes = 8
) (
  input  logic [Lanes-1:0]      bits_i,
  input  logic [Lanes-1:0]      en_i,  // the lowest n
  output logic signed [Lanes:0] code_o
);
  logic [Lanes-1:0] below;  // the lane above is enabled too
  logic sign;
  assign below = en_i >> 1;
  assign sign = |(en_i & ~below & ~bits_i);
  assign code_o[0] = 1'b1;
  assign code_o[Lanes] = sign;
  for (genvar l = 0; l + 1 < Lanes; l++) begin : gen_bit
    assign code_o[l+1] = below[l] ? bits_i[l] : sign;
  end
endmodule
