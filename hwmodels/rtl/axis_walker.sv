// One axis of the patch that a block reads: pixels inside the map, piece by piece, block by block.
//
// Three numbers stand for a place: its coordinate, that coordinate in memory units, and minus that coordinate in bank entries.
// A piece that begins before the map is entered at coordinate 0, which is memory offset 0 and bank offset -coordinate.
module axis_walker (
  input  logic                     clk_i,
  input  dse_pkg::axis_t                    axis_i,
  input  logic                     reset_i,  // to the first block
  input  logic                     block_i,  // to the next block
  input  logic                     again_i,  // to the first pixel of this block
  input  logic                     next_i,   // to the next pixel
  output logic signed [dse_pkg::CoordW-1:0] origin_o,
  output logic [dse_pkg::AddrW-1:0]         memory_o,
  output logic [dse_pkg::CountW-1:0]        entry_o,
  output logic                     piece_last_o,
  output logic                     block_last_o
);
  // The block, the piece and the pixel.
  logic signed [dse_pkg::CoordW-1:0] block_q, block, piece_q, piece, pixel_q;
  logic [dse_pkg::AddrW-1:0]         block_m_q, block_m, piece_m_q, piece_m, pixel_m_q;
  logic [dse_pkg::CountW-1:0]        block_e_q, block_e, piece_e_q, piece_e, pixel_e_q, base_q, base, index_q;

  logic signed [dse_pkg::CoordW-1:0] piece_end, next_piece;
  assign piece_end = piece_q + $signed(axis_i.span);
  assign next_piece = piece_q + $signed(axis_i.step);
  assign piece_last_o = pixel_q + 1'b1 == $signed(axis_i.size) || pixel_q + 1'b1 == piece_end;
  assign block_last_o = piece_last_o && (index_q == axis_i.windows - 1'b1 || next_piece >= $signed(axis_i.size));

  always_comb begin
    block = block_q;
    block_m = block_m_q;
    block_e = block_e_q;
    if (reset_i) begin
      block = $signed(axis_i.origin);
      block_m = axis_i.origin_m;
      block_e = axis_i.origin_e;
    end else if (block_i) begin
      block = block_q + $signed(axis_i.block);
      block_m = block_m_q + axis_i.block_m;
      block_e = block_e_q + axis_i.block_e;
    end
    piece = block;
    piece_m = block_m;
    piece_e = block_e;
    base = '0;
    if (!(reset_i || block_i || again_i)) begin
      piece = next_piece;
      piece_m = piece_m_q + axis_i.step_m;
      piece_e = piece_e_q + axis_i.step_e;
      base = base_q + axis_i.step_base;
    end
  end

  always_ff @(posedge clk_i) begin
    if (reset_i || block_i || again_i || (next_i && piece_last_o)) begin
      {block_q, block_m_q, block_e_q} <= {block, block_m, block_e};
      {piece_q, piece_m_q, piece_e_q, base_q} <= {piece, piece_m, piece_e, base};
      index_q <= (reset_i || block_i || again_i) ? '0 : index_q + 1'b1;
      pixel_q <= piece < 0 ? '0 : piece;
      pixel_m_q <= piece < 0 ? '0 : piece_m;
      pixel_e_q <= piece < 0 ? base + piece_e : base;
    end else if (next_i) begin
      pixel_q <= pixel_q + 1'b1;
      pixel_m_q <= pixel_m_q + axis_i.unit_m;
      pixel_e_q <= pixel_e_q + axis_i.unit_e;
    end
  end

  assign origin_o = block_q;
  assign memory_o = pixel_m_q;
  assign entry_o = pixel_e_q;
endmodule
