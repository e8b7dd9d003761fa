// A memory of one read and one write port. A read takes one cycle; lanes are written one by one.
module bank #(
  parameter int unsigned Depth = 16,
  parameter int unsigned Lanes = 1,
  parameter int unsigned LaneW = 8,
  localparam int unsigned AddrW = Depth > 1 ? $clog2(Depth) : 1
) (
  input  logic                   clk_i,
  input  logic                   read_i,
  input  logic [AddrW-1:0]       read_addr_i,
  output logic [Lanes*LaneW-1:0] read_data_o,
  input  logic [Lanes-1:0]       write_i,
  input  logic [AddrW-1:0]       write_addr_i,
  input  logic [Lanes*LaneW-1:0] write_data_i
);
  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [LaneW-1:0] mem[Depth];
    logic [LaneW-1:0] data_q;
    always_ff @(posedge clk_i) begin
      if (write_i[lane]) mem[write_addr_i] <= write_data_i[lane*LaneW+:LaneW];
      if (read_i) data_q <= mem[read_addr_i];
    end
    assign read_data_o[lane*LaneW+:LaneW] = data_q;
  end
endmodule
