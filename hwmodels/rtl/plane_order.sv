// The order of the plane pairs of one dot product: descending weight, of equals the highest activation group first.
//
// Every activation group has a pointer to its highest weight group not visited yet; the heaviest of these pairs is next.
// `shift_o` is how far the accumulator moves up when it enters the current pair.
module plane_order (
  input  logic                  clk_i,
  input  dse_pkg::descriptor_t           desc_i,
  input  logic                  start_i,  // first pair of a dot product, before anything else happens in this cycle
  input  logic                  next_i,   // the current pair is done
  output logic [3:0]            act_pass_o,
  output logic [3:0]            weight_pass_o,
  output logic [dse_pkg::CountW-1:0]     weight_addr_o,
  output logic [dse_pkg::ShiftMax:0]     shift_o,
  output logic                  last_o
);
  logic [3:0]        left_q[dse_pkg::ActPasses];  // pairs left in each activation group
  logic [dse_pkg::CountW-1:0] addr_q[dse_pkg::ActPasses];  // pass_words * (left - 1)
  logic [3:0]        pick, left, pick_next, left_next;
  logic [6:0]        weight, weight_next;
  logic [dse_pkg::CountW-1:0] addr;
  logic [6:0]        gap_q;

  function automatic logic [6:0] weight_of(input logic [3:0] act, input logic [3:0] left_of);
    logic [3:0] weight_pass;
    weight_pass = left_of - 4'd1;
    weight_of = 7'(act) * dse_pkg::LanesA[6:0] + 7'(weight_pass) * dse_pkg::LanesW[6:0];
  endfunction

  // The heaviest pair, and the heaviest pair after it.
  always_comb begin
    pick = '0;
    left = '0;
    weight = '0;
    addr = '0;
    for (int unsigned a = 0; a < dse_pkg::ActPasses; a++) begin
      if (left_q[a] != 0 && (left == 0 || weight_of(4'(a), left_q[a]) >= weight)) begin
        pick = 4'(a);
        left = left_q[a];
        weight = weight_of(4'(a), left_q[a]);
        addr = addr_q[a];
      end
    end
    pick_next = '0;
    left_next = '0;
    weight_next = '0;
    for (int unsigned a = 0; a < dse_pkg::ActPasses; a++) begin
      logic [3:0] rest;
      rest = (4'(a) == pick) ? left_q[a] - 4'd1 : left_q[a];
      if (rest != 0 && (left_next == 0 || weight_of(4'(a), rest) >= weight_next)) begin
        pick_next = 4'(a);
        left_next = rest;
        weight_next = weight_of(4'(a), rest);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i || (next_i && last_o)) begin
      for (int unsigned a = 0; a < dse_pkg::ActPasses; a++) begin
        left_q[a] <= (4'(a) < desc_i.act_passes) ? desc_i.weight_passes : '0;
        addr_q[a] <= desc_i.pass_top;
      end
      gap_q <= '0;
    end else if (next_i) begin
      for (int unsigned a = 0; a < dse_pkg::ActPasses; a++) begin
        if (4'(a) == pick) begin
          left_q[a] <= left_q[a] - 4'd1;
          addr_q[a] <= addr_q[a] - desc_i.pass_words;
        end
      end
      gap_q <= weight - weight_next;
    end
  end

  assign act_pass_o = pick;
  assign weight_pass_o = left - 4'd1;
  assign weight_addr_o = addr;
  assign last_o = left_next == 0;
  for (genvar s = 0; s <= dse_pkg::ShiftMax; s++) begin : gen_shift
    assign shift_o[s] = gap_q == 7'(s);
  end
  logic unused;
  assign unused = ^pick_next;
endmodule
