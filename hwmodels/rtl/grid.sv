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
  // The issue on its way: q1 operands, q2 counts, q3 sums, q4 accumulators.
  logic   issue_q1, issue_q2, issue_q3, issue_q4;
  dse_pkg::issue_t what_q1, what_q2, what_q3, what_q4;
  logic [dse_pkg::Cols-1:0] inside_q1;
  always_ff @(posedge clk_i) begin
    {issue_q1, issue_q2, issue_q3, issue_q4} <= {issue_i && !desc_i.vector, issue_q1, issue_q2, issue_q3};
    {what_q1, what_q2, what_q3, what_q4} <= {what_i, what_q1, what_q2, what_q3};
    inside_q1 <= inside_i;
  end

  // The true elements of the word, as a count and as a mask.
  logic [dse_pkg::CountW-1:0] elements;
  logic [dse_pkg::Width-1:0]  mask;
  assign elements = what_q1.tail ? desc_i.tail : dse_pkg::CountW'(dse_pkg::Width);
  for (genvar e = 0; e < dse_pkg::Width; e++) begin : gen_mask
    assign mask[e] = dse_pkg::CountW'(e) < elements;
  end

  // Lanes in use: all but those beyond the highest plane.
  logic [dse_pkg::LanesA-1:0] act_en;
  logic [dse_pkg::LanesW-1:0] weight_en;
  logic [3:0]        act_count, weight_count;
  assign act_count = what_q1.act_top ? desc_i.lanes_last_a : 4'(dse_pkg::LanesA);
  assign weight_count = what_q1.weight_top ? desc_i.lanes_last_w : 4'(dse_pkg::LanesW);
  for (genvar l = 0; l < dse_pkg::LanesA; l++) begin : gen_act_en
    assign act_en[l] = 4'(l) < act_count;
  end
  for (genvar l = 0; l < dse_pkg::LanesW; l++) begin : gen_weight_en
    assign weight_en[l] = 4'(l) < weight_count;
  end

  // n (2^a - 1)(2^w - 1), by two shifts and two subtractions.
  logic signed [dse_pkg::BiasBits-1:0] bias_act, bias_q2;
  assign bias_act = dse_pkg::BiasBits'((dse_pkg::BiasBits'(elements) << act_count) - dse_pkg::BiasBits'(elements));
  always_ff @(posedge clk_i) bias_q2 <= (bias_act << weight_count) - bias_act;

  // A tap outside the map is the pad code, or nothing.
  logic [dse_pkg::LanesA*dse_pkg::Width-1:0] pad;
  for (genvar l = 0; l < dse_pkg::LanesA; l++) begin : gen_pad
    logic [6:0] plane;
    assign plane = 7'(what_q1.act_pass) * 7'(dse_pkg::LanesA) + 7'(l);
    assign pad[l*dse_pkg::Width+:dse_pkg::Width] = (plane < 7'd8 && desc_i.pad_bits[plane[2:0]]) ? mask : '0;
  end

  logic [dse_pkg::Cols-1:0] valid_q2;
  always_ff @(posedge clk_i) valid_q2 <= inside_q1 | {dse_pkg::Cols{desc_i.pad_coded}};

  // Packed: Yosys drives no unpacked array from the ports of a module that it does not see into.
  logic [dse_pkg::Rows-1:0][dse_pkg::Cols-1:0][dse_pkg::AccBits-1:0] acc;
  for (genvar c = 0; c < dse_pkg::Cols; c++) begin : gen_column
    logic [dse_pkg::LanesA*dse_pkg::Width-1:0] act;
    assign act = inside_q1[c] ? act_i[c] : pad;
    for (genvar r = 0; r < dse_pkg::Rows; r++) begin : gen_row
      if (dse_pkg::Mac) begin : gen_mac
        pe_mac #(
          .Width(dse_pkg::Width), .LanesA(dse_pkg::LanesA), .LanesW(dse_pkg::LanesW), .AccBits(dse_pkg::AccBits)
        ) u_pe (
          .clk_i,
          .act_i       (act),
          .weight_i    (weight_i[r]),
          .act_en_i    (act_en),
          .weight_en_i (weight_en),
          .mask_i      (mask),
          .valid_i     (valid_q2[c]),
          .accumulate_i(issue_q3),
          .first_i     (what_q3.first),
          .acc_o       (acc[r][c])
        );
      end else begin : gen_planes
        pe #(
          .Width(dse_pkg::Width), .LanesA(dse_pkg::LanesA), .LanesW(dse_pkg::LanesW), .AccBits(dse_pkg::AccBits), .BiasBits(dse_pkg::BiasBits), .ShiftMax(dse_pkg::ShiftMax),
          .ShiftMask(dse_pkg::ShiftMask)
        ) u_pe (
          .clk_i,
          .act_i       (act),
          .weight_i    (weight_i[r]),
          .act_en_i    (act_en),
          .weight_en_i (weight_en),
          .bias_i      (bias_q2),
          .valid_i     (valid_q2[c]),
          .accumulate_i(issue_q3),
          .first_i     (what_q3.first),
          .shift_i     (what_q3.shift),
          .acc_o       (acc[r][c])
        );
      end
    end
  end

  assign move_o = issue_q4 && what_q4.last;
  assign result_o = what_q4.result;

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
