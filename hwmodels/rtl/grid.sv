// Rows x Cols processing elements, the padding of their operands, and the hold registers from which results leave column by column.
module grid (
  input  logic                                  clk_i,
  input  dse_pkg::descriptor_t                           desc_i,
  // Issue cycle.
  input  logic                                  issue_i,
  input  dse_pkg::issue_t                                what_i,
  input  logic [dse_pkg::Cols-1:0]                       inside_i,
  // One cycle later: what the banks gave.
  input  logic [dse_pkg::Cols-1:0][dse_pkg::LanesA*dse_pkg::Width-1:0]     act_i,
  input  logic [dse_pkg::Rows-1:0][dse_pkg::LanesW*dse_pkg::Width-1:0]     weight_i,
  // Drain.
  input  logic                                  shift_i,
  output logic                                  move_o,
  output dse_pkg::result_t                               result_o,
  output logic signed [dse_pkg::Rows-1:0][dse_pkg::AccBits-1:0]   value_o
);
  // Cycles from the operands to the last one of the sums.
  localparam int unsigned SumCycles = dse_pkg::CountStages + dse_pkg::SumStages - 1;
  localparam bit Halves = dse_pkg::AccStages > 1;
  localparam int unsigned IssueW = 1 + $bits(what_i);

  // The issue on its way: with the operands, the sums (and a cycle behind, for the high halves), and the results.
  logic            issue_read, issue_acc, issue_late, issue_move;
  dse_pkg::issue_t what_read, what_acc, what_late, what_move;
  delay #(.Bits(IssueW)) u_read (
    .clk_i,
    .data_i({issue_i && !desc_i.vector, what_i}),
    .data_o({issue_read, what_read})
  );
  delay #(.Bits(IssueW), .Cycles(SumCycles + 1)) u_acc (
    .clk_i,
    .data_i({issue_read, what_read}),
    .data_o({issue_acc, what_acc})
  );
  delay #(.Bits(IssueW)) u_late (
    .clk_i,
    .data_i({issue_acc, what_acc}),
    .data_o({issue_late, what_late})
  );
  delay #(.Bits(IssueW), .Cycles(dse_pkg::AccStages - 1)) u_move (
    .clk_i,
    .data_i({issue_late, what_late}),
    .data_o({issue_move, what_move})
  );
  logic [dse_pkg::Cols-1:0] inside_q1;
  always_ff @(posedge clk_i) inside_q1 <= inside_i;

  // The true elements of the word, as a count and as a mask.
  logic [dse_pkg::CountW-1:0] elements;
  logic [dse_pkg::Width-1:0]  mask;
  assign elements = what_read.tail ? desc_i.tail : dse_pkg::CountW'(dse_pkg::Width);
  for (genvar e = 0; e < dse_pkg::Width; e++) begin : gen_mask
    assign mask[e] = dse_pkg::CountW'(e) < elements;
  end

  // Lanes in use: all but those beyond the highest plane. Branches ask with their counts, multipliers with their operands.
  localparam int unsigned EnableCycles = dse_pkg::Mac ? 0 : dse_pkg::CountStages - 1;
  logic [dse_pkg::LanesA-1:0] lanes_a, act_en;
  logic [dse_pkg::LanesW-1:0] lanes_w, weight_en;
  logic [3:0]        act_count, weight_count;
  assign act_count = what_read.act_top ? desc_i.lanes_last_a : 4'(dse_pkg::LanesA);
  assign weight_count = what_read.weight_top ? desc_i.lanes_last_w : 4'(dse_pkg::LanesW);
  for (genvar l = 0; l < dse_pkg::LanesA; l++) begin : gen_act_en
    assign lanes_a[l] = 4'(l) < act_count;
  end
  for (genvar l = 0; l < dse_pkg::LanesW; l++) begin : gen_weight_en
    assign lanes_w[l] = 4'(l) < weight_count;
  end

  delay #(.Bits(dse_pkg::LanesA + dse_pkg::LanesW), .Cycles(EnableCycles)) u_enable (
    .clk_i,
    .data_i({lanes_a, lanes_w}),
    .data_o({act_en, weight_en})
  );

  // n (2^a - 1)(2^w - 1), by two shifts and two subtractions.
  logic signed [dse_pkg::BiasBits-1:0] bias_act, bias_read, bias;
  assign bias_act = dse_pkg::BiasBits'((dse_pkg::BiasBits'(elements) << act_count) - dse_pkg::BiasBits'(elements));
  assign bias_read = (bias_act << weight_count) - bias_act;
  delay #(.Bits(dse_pkg::BiasBits), .Cycles(SumCycles)) u_bias (.clk_i, .data_i(bias_read), .data_o(bias));

  // A tap outside the map is the pad code, or nothing.
  logic [dse_pkg::LanesA*dse_pkg::Width-1:0] pad;
  for (genvar l = 0; l < dse_pkg::LanesA; l++) begin : gen_pad
    logic [6:0] plane;
    assign plane = 7'(what_read.act_pass) * 7'(dse_pkg::LanesA) + 7'(l);
    assign pad[l*dse_pkg::Width+:dse_pkg::Width] = (plane < 7'd8 && desc_i.pad_bits[plane[2:0]]) ? mask : '0;
  end

  logic [dse_pkg::Cols-1:0] valid;
  delay #(.Bits(dse_pkg::Cols), .Cycles(SumCycles)) u_valid (
    .clk_i,
    .data_i(inside_q1 | {dse_pkg::Cols{desc_i.pad_coded}}),
    .data_o(valid)
  );

  // Packed: Yosys drives no unpacked array from the ports of a module that it does not see into.
  logic [dse_pkg::Rows-1:0][dse_pkg::Cols-1:0][dse_pkg::AccBits-1:0] acc;
  for (genvar c = 0; c < dse_pkg::Cols; c++) begin : gen_column
    logic [dse_pkg::LanesA*dse_pkg::Width-1:0] act;
    assign act = inside_q1[c] ? act_i[c] : pad;
    for (genvar r = 0; r < dse_pkg::Rows; r++) begin : gen_row
      if (dse_pkg::Mac) begin : gen_mac
        pe_mac #(
          .Width(dse_pkg::Width), .LanesA(dse_pkg::LanesA), .LanesW(dse_pkg::LanesW), .AccBits(dse_pkg::AccBits),
          .CountStages(dse_pkg::CountStages), .SumStages(dse_pkg::SumStages), .AccStages(dse_pkg::AccStages)
        ) u_pe (
          .clk_i,
          .act_i       (act),
          .weight_i    (weight_i[r]),
          .act_en_i    (act_en),
          .weight_en_i (weight_en),
          .mask_i      (mask),
          .valid_i     (valid[c]),
          .accumulate_i(issue_acc),
          .first_i     (what_acc.first),
          .late_accumulate_i(Halves && issue_late),
          .late_first_i(Halves && what_late.first),
          .acc_o       (acc[r][c])
        );
      end else begin : gen_planes
        pe #(
          .Width(dse_pkg::Width), .LanesA(dse_pkg::LanesA), .LanesW(dse_pkg::LanesW), .AccBits(dse_pkg::AccBits), .BiasBits(dse_pkg::BiasBits), .ShiftMax(dse_pkg::ShiftMax),
          .ShiftMask(dse_pkg::ShiftMask), .CountStages(dse_pkg::CountStages), .SumStages(dse_pkg::SumStages), .AccStages(dse_pkg::AccStages)
        ) u_pe (
          .clk_i,
          .act_i       (act),
          .weight_i    (weight_i[r]),
          .act_en_i    (act_en),
          .weight_en_i (weight_en),
          .bias_i      (bias),
          .valid_i     (valid[c]),
          .accumulate_i(issue_acc),
          .first_i     (what_acc.first),
          .shift_i     (what_acc.shift),
          .late_accumulate_i(Halves && issue_late),
          .late_first_i(Halves && what_late.first),
          .late_shift_i(Halves ? what_late.shift : '0),
          .acc_o       (acc[r][c])
        );
      end
    end
  end

  assign move_o = issue_move && what_move.last;
  assign result_o = what_move.result;

  // Hold registers: loaded at once, shifted towards column 0.
  logic signed [dse_pkg::AccBits-1:0] hold_q[dse_pkg::Rows][dse_pkg::Cols];
  for (genvar r = 0; r < dse_pkg::Rows; r++) begin : gen_hold
    for (genvar c = 0; c < dse_pkg::Cols; c++) begin : gen_column
      always_ff @(posedge clk_i) begin
        if (move_o) hold_q[r][c] <= $signed(acc[r][c]);
        else if (shift_i && c + 1 < dse_pkg::Cols) hold_q[r][c] <= hold_q[r][c+1<dse_pkg::Cols?c+1 : c];
      end
    end
    assign value_o[r] = hold_q[r][0];
  end
endmodule
