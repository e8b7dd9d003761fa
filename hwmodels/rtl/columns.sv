// The input coordinates of every column's block, in two halves as its bank, and which columns' taps lie inside the map.
module columns (
  input  logic                     clk_i,
  input  dse_pkg::descriptor_t              desc_i,
  input  logic                     write_i,
  input  logic                     write_half_i,
  input  logic [dse_pkg::CountW-1:0]        write_column_i,
  input  logic signed [dse_pkg::CoordW-1:0] write_y_i,
  input  logic signed [dse_pkg::CoordW-1:0] write_x_i,
  input  logic                     half_i,
  input  logic signed [dse_pkg::CoordW-1:0] cy_i,
  input  logic signed [dse_pkg::CoordW-1:0] cx_i,
  output logic [dse_pkg::Cols-1:0]          inside_o
);
  for (genvar c = 0; c < dse_pkg::Cols; c++) begin : gen_column
    logic signed [dse_pkg::CoordW-1:0] y_q[2], x_q[2];
    logic signed [dse_pkg::CoordW-1:0] y, x;
    always_ff @(posedge clk_i) begin
      if (write_i && write_column_i == dse_pkg::CountW'(c)) begin
        y_q[write_half_i] <= write_y_i;
        x_q[write_half_i] <= write_x_i;
      end
    end
    assign y = y_q[half_i] + cy_i;
    assign x = x_q[half_i] + cx_i;
    // Negative coordinates are large unsigned ones.
    assign inside_o[c] = unsigned'(y) < desc_i.map_h && unsigned'(x) < desc_i.map_w;
  end
endmodule
