// The output buffer: one memory a slice, so that R results, or W, are written at once and a whole word is read.
//
// An entry is Slices x SliceW channels of MaxAct planes; within a slice the planes lie one after the other.
module out_buffer (
  input  logic                                            clk_i,
  input  logic [dse_pkg::Slices-1:0]                               write_i,
  input  logic [dse_pkg::CountW-1:0]                               write_addr_i,
  input  logic [dse_pkg::Slices-1:0][dse_pkg::SliceW-1:0][dse_pkg::MaxAct-1:0]       write_code_i,
  input  logic                                            read_i,
  input  logic [dse_pkg::CountW-1:0]                               read_addr_i,
  output logic [dse_pkg::Slices-1:0][dse_pkg::MaxAct-1:0][dse_pkg::SliceW-1:0]       read_planes_o
);
  localparam int unsigned EntryW = dse_pkg::OutEntries > 1 ? $clog2(dse_pkg::OutEntries) : 1;
  for (genvar s = 0; s < dse_pkg::Slices; s++) begin : gen_slice
    logic [dse_pkg::MaxAct*dse_pkg::SliceW-1:0] planes;
    for (genvar m = 0; m < dse_pkg::MaxAct; m++) begin : gen_plane
      for (genvar c = 0; c < dse_pkg::SliceW; c++) begin : gen_channel
        assign planes[m*dse_pkg::SliceW+c] = write_code_i[s][c][m];
      end
    end
    bank #(
      .Depth(dse_pkg::OutEntries), .Lanes(1), .LaneW(dse_pkg::MaxAct * dse_pkg::SliceW)
    ) u_bank (
      .clk_i,
      .read_i      (read_i),
      .read_addr_i (read_addr_i[EntryW-1:0]),
      .read_data_o (read_planes_o[s]),
      .write_i     (write_i[s]),
      .write_addr_i(write_addr_i[EntryW-1:0]),
      .write_data_i(planes)
    );
  end
endmodule
