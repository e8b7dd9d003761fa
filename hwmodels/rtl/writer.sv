// Stores the tiles: column by column, block row by block row, pixel by pixel, only what lies inside the map.
module writer (
  input  logic                                      clk_i,
  input  logic                                      rst_ni,
  input  dse_pkg::descriptor_t                               desc_i,
  input  logic                                      start_i,
  input  logic                                      drained_i,  // the last result of a tile is being written into the buffer
  output logic                                      stored_o,   // the last beat of a tile is on the port
  output logic                                      idle_o,     // every tile of the layer is stored and acknowledged
  // Output buffer.
  output logic                                      read_o,
  output logic [dse_pkg::CountW-1:0]                         read_addr_o,
  input  logic [dse_pkg::Slices-1:0][dse_pkg::MaxAct-1:0][dse_pkg::SliceW-1:0] read_planes_i,
  // Port.
  output logic                                      request_o,
  input  logic                                      grant_i,
  output logic                                      busy_o,
  output logic                                      write_o,
  output logic [dse_pkg::AddrW-1:0]                          write_addr_o,
  output logic [dse_pkg::PortBits-1:0]                       write_data_o,
  input  logic                                      ack_i
);
  logic next_tile, half, last_channels, last_space, last_tile, wrap_channels, wrap_space, step;
  logic unused_new_weights, unused_new_acts, unused_weight_half, unused_act_half;
  tile_order u_order (
    .clk_i, .desc_i, .start_i,
    .next_i         (next_tile),
    .new_weights_o  (unused_new_weights),
    .new_acts_o     (unused_new_acts),
    .weight_half_o  (unused_weight_half),
    .act_half_o     (unused_act_half),
    .half_o         (half),
    .last_channels_o(last_channels),
    .last_space_o   (last_space),
    .last_o         (last_tile),
    .wrap_channels_o(wrap_channels),
    .wrap_space_o   (wrap_space)
  );

  // A place on the map: the block's row and column, and the memory offset of its first pixel.
  typedef struct packed {
    logic [dse_pkg::CountW-1:0] y;
    logic [dse_pkg::CountW-1:0] x;
    logic [dse_pkg::CountW-1:0] column;
    logic [dse_pkg::AddrW-1:0]  row_addr;
    logic [dse_pkg::AddrW-1:0]  addr;
  } place_t;
  place_t block_q, first_q, block_after, block_next, first_next;

  // Counters: beat of a word, plane, word, pixel, row, column.
  logic [dse_pkg::CountW-1:0] sub_q, word_q, words, x_q, y_q, column_q;
  logic [5:0]        plane_q;
  logic [3:0]        lane_q;
  logic [dse_pkg::CountW-1:0] slice_q, entry_word_q, entry_pixel_q, entry_row_q, entry_column_q;
  logic [dse_pkg::AddrW-1:0]  addr_q, pixel_addr_q, row_addr_q, channel_addr_q;
  logic end_sub, end_lane, end_plane, end_word, end_x, end_y, end_tile, end_slice;

  assign words = last_channels ? desc_i.out_words_last : desc_i.out_words_full;
  assign end_sub = sub_q == dse_pkg::CountW'(dse_pkg::WordBeats - 1);
  assign end_lane = end_sub && lane_q == 4'(dse_pkg::MaxAct - 1);
  assign end_plane = end_sub && plane_q == desc_i.out_planes - 1'b1;
  assign end_word = end_plane && word_q == words - 1'b1;
  assign end_slice = dse_pkg::Rows <= dse_pkg::Width || slice_q == dse_pkg::CountW'(dse_pkg::Slices - 1);
  assign end_x = end_word && (x_q == desc_i.block_w - 1'b1 || block_q.x + x_q == desc_i.out_w - 1'b1);
  assign end_y = end_x && (y_q == desc_i.block_h - 1'b1 || block_q.y + y_q == desc_i.out_h - 1'b1);
  assign end_tile = end_y && column_q == (last_space ? desc_i.columns_last : desc_i.columns_full) - 1'b1;

  // The block after this one, in row-major order.
  logic row_wrap;
  assign row_wrap = block_q.column == desc_i.block_columns - 1'b1;
  always_comb begin
    block_after = block_q;
    block_after.y = row_wrap ? block_q.y + desc_i.block_h : block_q.y;
    block_after.x = row_wrap ? '0 : block_q.x + desc_i.block_w;
    block_after.column = row_wrap ? '0 : block_q.column + 1'b1;
    block_after.row_addr = row_wrap ? block_q.row_addr + desc_i.out_block_row : block_q.row_addr;
    block_after.addr = row_wrap ? block_after.row_addr : block_q.addr + desc_i.out_block_column;
    block_next = block_after;
    first_next = first_q;
    if (end_tile && wrap_space) begin
      block_next = '0;
      first_next = '0;
    end else if (end_tile && desc_i.by_activation && !last_channels) begin
      block_next = first_q;
    end else if (end_tile) begin
      first_next = block_after;
    end
  end

  logic [dse_pkg::AddrW-1:0] channel_next, row_next, pixel_next;
  always_comb begin
    channel_next = channel_addr_q;
    if (end_tile && wrap_channels) channel_next = '0;
    else if (end_tile && (desc_i.by_activation || last_space)) channel_next = channel_addr_q + desc_i.out_tile_step;
    row_next = end_y ? block_next.addr : row_addr_q + desc_i.out_row;
    pixel_next = end_x ? row_next : pixel_addr_q + desc_i.out_pixel;
  end

  assign next_tile = step && end_tile;
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      {block_q, first_q} <= '0;
      {sub_q, plane_q, lane_q, word_q, slice_q, x_q, y_q, column_q} <= '0;
      {entry_word_q, entry_pixel_q, entry_row_q, entry_column_q} <= '0;
      {pixel_addr_q, row_addr_q, channel_addr_q} <= '0;
      addr_q <= desc_i.out_base;
    end else if (step) begin
      sub_q <= end_sub ? '0 : sub_q + 1'b1;
      if (end_sub) begin
        plane_q <= end_plane ? '0 : plane_q + 1'b1;
        lane_q <= (end_plane || end_lane) ? '0 : lane_q + 1'b1;
      end
      if (end_plane) begin
        word_q <= end_word ? '0 : word_q + 1'b1;
        slice_q <= (end_word || end_slice) ? '0 : slice_q + 1'b1;
      end
      if (end_word) x_q <= end_x ? '0 : x_q + 1'b1;
      if (end_x) y_q <= end_y ? '0 : y_q + 1'b1;
      if (end_y) begin
        column_q <= end_tile ? '0 : column_q + 1'b1;
        block_q <= block_next;
        first_q <= first_next;
      end
      channel_addr_q <= channel_next;
      if (end_x) row_addr_q <= row_next;
      if (end_word) pixel_addr_q <= pixel_next;
      addr_q <= end_word ? desc_i.out_base + channel_next + pixel_next : addr_q + 1'b1;

      // Entries of the buffer: a word's parts, the pixel, the row of the block, the column. Rows keep their full length.
      if (end_y) entry_column_q <= end_tile ? '0 : entry_column_q + desc_i.out_inc_column;
      if (end_x) entry_row_q <= end_y ? '0 : entry_row_q + desc_i.out_inc_row;
      if (end_word) entry_pixel_q <= end_x ? '0 : entry_pixel_q + desc_i.out_inc_pos;
      if (end_word) entry_word_q <= '0;
      else if (end_plane) entry_word_q <= end_slice ? entry_group_q + dse_pkg::CountW'(desc_i.raw_factor) : entry_group_q;
      else if (end_lane) entry_word_q <= entry_word_q + 1'b1;
      if (end_word) entry_group_q <= '0;
      else if (end_plane && end_slice) entry_group_q <= entry_group_q + dse_pkg::CountW'(desc_i.raw_factor);
    end
    if (start_i) entry_group_q <= '0;
  end
  logic [dse_pkg::CountW-1:0] entry_group_q;

  assign read_o = step;
  assign read_addr_o = entry_column_q + entry_row_q + entry_pixel_q + entry_word_q + (half ? dse_pkg::CountW'(dse_pkg::OutEntries / 2) : '0);

  // The beat that is being sent; its entry has just been read.
  typedef struct packed {
    logic [dse_pkg::AddrW-1:0]  addr;
    logic [dse_pkg::CountW-1:0] sub;
    logic [dse_pkg::CountW-1:0] slice;
    logic [3:0]        lane;
    logic              tail;
    logic              run_last;
    logic              tile_last;
    logic              layer_last;
  } sent_t;
  sent_t sent_q;
  always_ff @(posedge clk_i) begin
    if (step) begin
      sent_q.addr <= addr_q;
      sent_q.sub <= sub_q;
      sent_q.slice <= slice_q;
      sent_q.lane <= lane_q;
      sent_q.tail <= last_channels && word_q == words - 1'b1;
      sent_q.run_last <= end_word && (end_x || desc_i.out_split);
      sent_q.tile_last <= end_tile;
      sent_q.layer_last <= end_tile && last_tile;
    end
  end

  // One word of one plane; bits beyond the last channel are 0.
  logic [dse_pkg::Width-1:0] word, mask;
  for (genvar b = 0; b < dse_pkg::Width; b++) begin : gen_word
    if (dse_pkg::Rows < dse_pkg::Width) begin : gen_slices
      assign word[b] = read_planes_i[b/dse_pkg::SliceW][sent_q.lane][b%dse_pkg::SliceW];
    end else begin : gen_slice
      assign word[b] = read_planes_i[sent_q.slice[dse_pkg::SliceIndexW-1:0]][sent_q.lane][b];
    end
    assign mask[b] = !sent_q.tail || dse_pkg::CountW'(b) < desc_i.out_tail;
  end
  if (dse_pkg::PortBits < dse_pkg::Width) begin : gen_part
    logic [dse_pkg::Width-1:0] shifted;
    assign shifted = (word & mask) >> (sent_q.sub * dse_pkg::PortBits);
    assign write_data_o = shifted[dse_pkg::PortBits-1:0];
  end else begin : gen_whole
    logic unused_sub;
    assign unused_sub = ^sent_q.sub;
    assign write_data_o = dse_pkg::PortBits'(word & mask);
  end

  // Bursts.
  logic       burst_q, burst_last, stored_all_q;
  logic [2:0] tiles_q;
  logic [dse_pkg::CountW-1:0] beats_q, unacked_q;
  assign burst_last = sent_q.run_last || beats_q == dse_pkg::CountW'(dse_pkg::PortBurst - 1);
  assign request_o = !burst_q && tiles_q != '0;
  assign busy_o = burst_q;
  assign step = grant_i || (burst_q && !burst_last);
  assign write_o = burst_q;
  assign write_addr_o = sent_q.addr;
  assign stored_o = burst_q && sent_q.tile_last;
  assign idle_o = stored_all_q && unacked_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {burst_q, stored_all_q} <= '0;
      {tiles_q, beats_q, unacked_q} <= '0;
    end else begin
      tiles_q <= tiles_q + 3'(drained_i) - 3'(stored_o);
      unacked_q <= unacked_q + dse_pkg::CountW'(write_o) - dse_pkg::CountW'(ack_i);
      if (grant_i) begin
        burst_q <= 1'b1;
        beats_q <= '0;
      end else if (burst_q) begin
        beats_q <= beats_q + 1'b1;
        if (burst_last) burst_q <= 1'b0;
      end
      if (start_i) stored_all_q <= 1'b0;
      else if (write_o && sent_q.layer_last) stored_all_q <= 1'b1;
    end
  end
endmodule
