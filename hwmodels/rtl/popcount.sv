// Ones of a word. Full adders take three bits each; the ones among their sums count once, among their carries twice. The last
// bit left over is a carry-in of the adder that joins the two. Smallest of the seven shapes tried on FPGAs, and within 1 to 4 % of
// the smallest as standard cells (docs/characterization.md).
//
// Behind: joining adders that lie behind a register; 0 for none at all, and the count is there in the same cycle.
module popcount #(
  parameter int unsigned Width = 64,
  parameter int unsigned Behind = 0,
  localparam int unsigned CountW = $clog2(Width + 1)
) (
  input  logic              clk_i,
  input  logic [Width-1:0]  bits_i,
  output logic [CountW-1:0] count_o
);
  localparam int unsigned Triples = Width / 3;
  localparam int unsigned Left = Width % 3;
  if (Width < 4) begin : gen_small
    logic [CountW-1:0] count;
    if (Width == 1) begin : gen_bit
      assign count = bits_i;
    end else if (Width == 2) begin : gen_half_adder
      assign count = {bits_i[1] & bits_i[0], bits_i[1] ^ bits_i[0]};
    end else begin : gen_full_adder
      assign count = {(bits_i[0] & bits_i[1]) | (bits_i[2] & (bits_i[0] | bits_i[1])), ^bits_i};
    end
    if (Behind == 0) begin : gen_now
      assign count_o = count;
    end else begin : gen_register
      always_ff @(posedge clk_i) count_o <= count;
    end
  end else begin : gen_split
    // Of two bits left over, the first goes among the sums.
    localparam int unsigned SumW = Triples + Left / 2;
    localparam int unsigned OnceW = $clog2(SumW + 1);
    localparam int unsigned TwiceW = $clog2(Triples + 1);
    logic [SumW-1:0]    sums;
    logic [Triples-1:0] carries;
    for (genvar t = 0; t < Triples; t++) begin : gen_triple
      assign sums[t] = ^bits_i[3*t+:3];
      assign carries[t] = (bits_i[3*t] & bits_i[3*t+1]) | (bits_i[3*t+2] & (bits_i[3*t] | bits_i[3*t+1]));
    end
    if (Left == 2) begin : gen_first_left
      assign sums[SumW-1] = bits_i[Width-2];
    end
    logic [OnceW-1:0]  once, found_once;
    logic [TwiceW-1:0] twice, found_twice;
    logic              last, found_last;
    popcount #(.Width(SumW), .Behind(Behind > 1 ? Behind - 1 : 0)) u_sums (.clk_i, .bits_i(sums), .count_o(found_once));
    popcount #(.Width(Triples), .Behind(Behind > 1 ? Behind - 1 : 0)) u_carries (.clk_i, .bits_i(carries), .count_o(found_twice));
    assign found_last = Left != 0 && bits_i[Width-1];
    if (Behind == 1) begin : gen_register
      always_ff @(posedge clk_i) {once, twice, last} <= {found_once, found_twice, found_last};
    end else begin : gen_through
      assign {once, twice} = {found_once, found_twice};
      if (Behind == 0) begin : gen_now
        assign last = found_last;
      end else begin : gen_late
        always_ff @(posedge clk_i) last <= found_last;
      end
    end
    if (Left == 0) begin : gen_exact
      assign count_o = CountW'(once) + (CountW'(twice) << 1);
    end else begin : gen_carry_in
      assign count_o = CountW'(once) + (CountW'(twice) << 1) + CountW'(last);
    end
  end
endmodule
