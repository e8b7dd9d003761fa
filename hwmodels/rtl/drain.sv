// Leads the results of one step out: which column and which part of a raw sum leaves in which cycle, and to which entry.
module drain (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  dse_pkg::descriptor_t desc_i,
  input  logic        move_i,
  input  dse_pkg::result_t     result_i,
  output logic        shift_o,
  output logic        busy_o,
  output dse_pkg::leaving_t    leaving_o
);
  logic              busy_q;
  dse_pkg::result_t           result_q;
  logic [dse_pkg::CountW-1:0] left_q, index_q;
  logic [5:0]        part_q;
  logic              end_part;

  assign end_part = part_q == desc_i.raw_factor - 1'b1;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      busy_q <= 1'b0;
    end else if (move_i) begin
      busy_q <= 1'b1;
    end else if (left_q == dse_pkg::CountW'(1)) begin
      busy_q <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (move_i) begin
      result_q <= result_i;
      left_q <= desc_i.drain;
      index_q <= '0;
      part_q <= '0;
    end else if (busy_q) begin
      left_q <= left_q - 1'b1;
      part_q <= end_part ? '0 : part_q + 1'b1;
      if (end_part) begin
        index_q <= index_q + 1'b1;
        if (!desc_i.vector) result_q.addr <= result_q.addr + desc_i.out_inc_column;
        else if (dse_pkg::Rows < dse_pkg::Width) begin
          result_q.slice <= result_q.slice + 1'b1;
          result_q.threshold <= result_q.threshold + 1'b1;
        end
      end
    end
  end

  assign busy_o = busy_q;
  assign shift_o = busy_q && end_part;
  assign leaving_o.write = busy_q && (desc_i.vector || index_q < result_q.columns);
  assign leaving_o.addr = result_q.addr + dse_pkg::CountW'(part_q);
  assign leaving_o.slice = result_q.slice;
  assign leaving_o.threshold = result_q.threshold;
  assign leaving_o.part = part_q;
  assign leaving_o.tile_last = busy_q && result_q.tile_last && left_q == dse_pkg::CountW'(1);
endmodule
