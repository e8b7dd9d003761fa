// What goes in, `Cycles` later.
module delay #(
  parameter int unsigned Bits = 1,
  parameter int unsigned Cycles = 1
) (
  input  logic            clk_i,
  input  logic [Bits-1:0] data_i,
  output logic [Bits-1:0] data_o
);
  if (Cycles == 0) begin : gen_now
    assign data_o = data_i;
  end else begin : gen_later
    logic [Cycles*Bits-1:0] data_q;
    always_ff @(posedge clk_i) data_q <= (Cycles * Bits)'({data_q, data_i});
    assign data_o = data_q[(Cycles-1)*Bits+:Bits];
  end
endmodule
