// Ones of a word. Two halves and a carry-in: the adder that joins them takes the odd bit as its carry, so that Width = 2^k - 1
// inputs need exactly k full-adder ranks. Smallest of the four shapes tried on FPGA and ASIC.
module popcount #(
  parameter int unsigned Width = 64,
  localparam int unsigned CountW = $clog2(Width + 1)
) (
  input  logic [Width-1:0]  bits_i,
  output logic [CountW-1:0] count_o
);
  if (Width == 1) begin : gen_bit
    assign count_o = bits_i;
  end else if (Width == 2) begin : gen_half_adder
    assign count_o = {bits_i[1] & bits_i[0], bits_i[1] ^ bits_i[0]};
  end else begin : gen_split
    localparam int unsigned LowW = (Width - 1) / 2;
    localparam int unsigned HighW = Width - 1 - LowW;
    logic [$clog2(LowW+1)-1:0]  low;
    logic [$clog2(HighW+1)-1:0] high;
    popcount #(.Width(LowW)) u_low (.bits_i(bits_i[0+:LowW]), .count_o(low));
    popcount #(.Width(HighW)) u_high (.bits_i(bits_i[LowW+:HighW]), .count_o(high));
    assign count_o = CountW'(low) + CountW'(high) + CountW'(bits_i[Width-1]);
  end
endmodule
