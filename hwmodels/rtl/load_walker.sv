// Every beat of every load of a layer, in order: where it comes from and where it goes. The loader has two of these, one that
// asks and one that receives; so any latency of the memory gives the same machine.
module load_walker (
  input  logic        clk_i,
  input  dse_pkg::descriptor_t desc_i,
  input  logic        start_i,
  input  logic        step_i,
  output dse_pkg::beat_t       beat_o
);
  typedef enum logic [1:0] {Weights, Thresholds, Acts} phase_e;
  phase_e phase_q, first_phase, next_first_phase;

  logic next_tile, new_weights, new_acts, weight_half, act_half, last_channels, last_space, last_tile, wrap_space;
  logic unused_half, unused_wrap_channels;
  tile_order u_order (
    .clk_i, .desc_i, .start_i,
    .next_i         (next_tile),
    .new_weights_o  (new_weights),
    .new_acts_o     (new_acts),
    .weight_half_o  (weight_half),
    .act_half_o     (act_half),
    .half_o         (unused_half),
    .last_channels_o(last_channels),
    .last_space_o   (last_space),
    .last_o         (last_tile),
    .wrap_channels_o(unused_wrap_channels),
    .wrap_space_o   (wrap_space)
  );
  logic unused_flags;
  assign unused_flags = ^{new_weights, unused_half, unused_wrap_channels};

  // Whether the next tile begins with weights (or the thresholds of a vector layer).
  logic step_channel;
  assign step_channel = (desc_i.by_activation || last_space) && desc_i.channel_tiles != 1;
  assign first_phase = !desc_i.vector ? Weights : desc_i.thresholds ? Thresholds : Acts;
  assign next_first_phase = step_channel ? first_phase : Acts;

  // Beats of a word, or of a threshold.
  logic [dse_pkg::CountW-1:0] sub_q;
  logic end_sub;
  assign end_sub = sub_q == dse_pkg::CountW'((phase_q == Thresholds ? dse_pkg::ThresholdBeats : dse_pkg::WordBeats) - 1);

  // Weights: rows in chunks of a beat, lane, entry (word of the pass, pass, channel group).
  logic [dse_pkg::CountW-1:0] chunk_q, index_q, pass_q, group_q, entry_q, groups;
  logic [3:0]        lane_q;
  logic end_chunk, end_lane, end_index, end_pass, end_weights, last_group;
  assign groups = last_channels ? desc_i.threshold_groups_last : desc_i.threshold_groups_full;
  assign last_group = last_channels && group_q == groups - 1'b1;
  assign end_chunk = end_sub && chunk_q == (last_group ? desc_i.chunks_last : dse_pkg::CountW'(dse_pkg::RowChunks)) - 1'b1;
  assign end_lane = end_chunk && lane_q == (pass_q == dse_pkg::CountW'(desc_i.weight_passes) - 1'b1 ? desc_i.lanes_last_w : 4'(dse_pkg::LanesW)) - 1'b1;
  assign end_index = end_lane && index_q == desc_i.pass_words - 1'b1;
  assign end_pass = end_index && pass_q == dse_pkg::CountW'(desc_i.weight_passes) - 1'b1;
  assign end_weights = end_pass && group_q == groups - 1'b1;

  // Thresholds: place in the stage, stage, row, channel group.
  logic [dse_pkg::MaxAct-1:0] place_q;
  logic [3:0]        stage_q;
  logic [dse_pkg::CountW-1:0] row_q;
  logic end_place, end_stage, end_row, end_thresholds;
  assign end_place = end_sub && place_q == dse_pkg::MaxAct'((32'd1 << stage_q) - 1);
  assign end_stage = end_place && stage_q == desc_i.out_planes[3:0] - 1'b1;
  assign end_row = end_stage && row_q == (last_group ? desc_i.rows_last : dse_pkg::CountW'(dse_pkg::Rows)) - 1'b1;
  assign end_thresholds = end_row && group_q == groups - 1'b1;

  // Activations: plane, channel word, pixel, row, operand, column.
  logic [3:0]        plane_q, part_q;
  logic [dse_pkg::CountW-1:0] word_q, words, pixel_entry_q, column_q, block_column_q;
  logic [1:0]        operand_q;
  logic [dse_pkg::AddrW-1:0]  pixel_addr_q, channel_addr_q;
  logic end_plane, end_word, end_pixel_run, end_row_pixels, end_patch, end_operand, end_acts, last_column;
  logic x_last, y_last, x_piece_last, y_piece_last;
  assign words = last_channels ? desc_i.tile_words_last : desc_i.tile_words_full;
  assign end_plane = end_sub && plane_q == desc_i.act_planes - 1'b1;
  assign end_word = end_plane && word_q == words - 1'b1;
  assign end_pixel_run = end_word && (x_piece_last || desc_i.split);
  assign end_row_pixels = end_word && x_last;
  assign end_patch = end_row_pixels && y_last;
  assign end_operand = end_patch && operand_q == desc_i.operands - 1'b1;
  assign last_column = column_q == (last_space ? desc_i.columns_last : desc_i.columns_full) - 1'b1;
  assign end_acts = end_operand && last_column;

  logic weights_step, thresholds_step, acts_step, weights_done, parameters_done, tile_done;
  assign weights_step = step_i && phase_q == Weights;
  assign thresholds_step = step_i && phase_q == Thresholds;
  assign acts_step = step_i && phase_q == Acts;
  assign weights_done = weights_step && end_weights;
  assign parameters_done = (weights_done && !desc_i.thresholds) || (thresholds_step && end_thresholds);
  assign tile_done = (parameters_done && !new_acts) || (acts_step && end_acts);
  assign next_tile = tile_done;

  always_ff @(posedge clk_i) begin
    if (start_i) phase_q <= first_phase;
    else if (tile_done) phase_q <= next_first_phase;
    else if (parameters_done) phase_q <= Acts;
    else if (weights_done) phase_q <= Thresholds;
  end

  logic [dse_pkg::AddrW-1:0] parameter_addr_q;
  always_ff @(posedge clk_i) begin
    if (start_i || (parameters_done && last_channels)) parameter_addr_q <= desc_i.weight_base;
    else if (weights_step || thresholds_step) parameter_addr_q <= parameter_addr_q + dse_pkg::AddrW'(dse_pkg::RowWords);
    if (start_i || weights_done || parameters_done) begin
      {chunk_q, index_q, pass_q, group_q, entry_q, lane_q, place_q, stage_q, row_q} <= '0;
    end else if (weights_step && end_sub) begin
      chunk_q <= end_chunk ? '0 : chunk_q + 1'b1;
      if (end_chunk) lane_q <= end_lane ? '0 : lane_q + 1'b1;
      if (end_lane) begin
        entry_q <= entry_q + 1'b1;
        index_q <= end_index ? '0 : index_q + 1'b1;
      end
      if (end_index) pass_q <= end_pass ? '0 : pass_q + 1'b1;
      if (end_pass) group_q <= group_q + 1'b1;
    end else if (thresholds_step && end_sub) begin
      place_q <= end_place ? '0 : place_q + 1'b1;
      if (end_place) stage_q <= end_stage ? '0 : stage_q + 1'b1;
      if (end_stage) row_q <= end_row ? '0 : row_q + 1'b1;
      if (end_row) group_q <= group_q + 1'b1;
    end
    if (start_i) sub_q <= '0;
    else if (step_i) sub_q <= end_sub ? '0 : sub_q + 1'b1;
  end

  // The blocks, in row-major order; every space tile goes on where the one before stopped.
  logic next_block, reset_blocks, row_wrap;
  assign next_block = acts_step && end_operand;
  assign reset_blocks = start_i || (next_block && last_column && wrap_blocks);
  assign row_wrap = block_column_q == desc_i.block_columns - 1'b1;
  logic wrap_blocks;
  assign wrap_blocks = last_space;

  logic signed [dse_pkg::CoordW-1:0] origin_y, origin_x;
  logic [dse_pkg::AddrW-1:0]  memory_y, memory_x;
  logic [dse_pkg::CountW-1:0] entry_y, entry_x;
  axis_walker u_y (
    .clk_i,
    .axis_i      (desc_i.y),
    .reset_i     (reset_blocks),
    .block_i     (next_block && row_wrap),
    .again_i     (next_block || (acts_step && end_patch)),
    .next_i      (acts_step && end_row_pixels),
    .origin_o    (origin_y),
    .memory_o    (memory_y),
    .entry_o     (entry_y),
    .piece_last_o(y_piece_last),
    .block_last_o(y_last)
  );
  axis_walker u_x (
    .clk_i,
    .axis_i      (desc_i.x),
    .reset_i     (reset_blocks || (next_block && row_wrap)),
    .block_i     (next_block),
    .again_i     (acts_step && end_row_pixels),
    .next_i      (acts_step && end_word),
    .origin_o    (origin_x),
    .memory_o    (memory_x),
    .entry_o     (entry_x),
    .piece_last_o(x_piece_last),
    .block_last_o(x_last)
  );
  logic unused_piece, unused_wrap;
  assign unused_piece = y_piece_last;
  assign unused_wrap = wrap_space;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      {plane_q, part_q, word_q, pixel_entry_q, pixel_addr_q, column_q, block_column_q, operand_q, channel_addr_q} <= '0;
    end else if (acts_step) begin
      pixel_addr_q <= end_word ? '0 : pixel_addr_q + 1'b1;
      if (end_sub) begin
        plane_q <= end_plane ? '0 : plane_q + 1'b1;
        part_q <= (end_plane || part_q == 4'(dse_pkg::LanesA - 1)) ? '0 : part_q + 1'b1;
        if (end_word) pixel_entry_q <= '0;
        else if (end_plane || part_q == 4'(dse_pkg::LanesA - 1)) pixel_entry_q <= pixel_entry_q + 1'b1;
      end
      if (end_plane) word_q <= end_word ? '0 : word_q + 1'b1;
      if (end_patch) operand_q <= end_operand ? '0 : operand_q + 1'b1;
      if (end_operand) begin
        column_q <= last_column ? '0 : column_q + 1'b1;
        block_column_q <= (row_wrap || reset_blocks) ? '0 : block_column_q + 1'b1;
      end
      // A vector layer reads the channels of its tile.
      if (end_acts && desc_i.vector && last_space) channel_addr_q <= channel_addr_q + desc_i.act_tile_step;
    end
  end

  always_comb begin
    beat_o = '0;
    beat_o.weights = phase_q == Weights;
    beat_o.thresholds = phase_q == Thresholds;
    beat_o.complete = end_sub;
    beat_o.run_last = phase_q == Acts ? end_pixel_run : (phase_q == Thresholds ? end_thresholds : end_weights && !desc_i.thresholds);
    beat_o.tile_last = phase_q == Acts ? end_acts : beat_o.run_last && !new_acts;
    beat_o.layer_last = beat_o.tile_last && last_tile;
    if (phase_q == Acts) begin
      beat_o.addr = (operand_q[0] ? desc_i.act_base1 : desc_i.act_base0) + channel_addr_q + memory_y + memory_x + pixel_addr_q;
    end else begin
      beat_o.addr = parameter_addr_q;
    end
    beat_o.weight_entry = entry_q + (weight_half ? dse_pkg::CountW'(dse_pkg::WeightDepth / 2) : '0);
    beat_o.chunk = chunk_q;
    beat_o.lane = phase_q == Acts ? part_q : lane_q;
    beat_o.row = row_q;
    beat_o.stage = stage_q;
    beat_o.place = place_q;
    beat_o.group = group_q + (weight_half ? dse_pkg::CountW'(dse_pkg::ThresholdDepth / 2) : '0);
    beat_o.column = column_q;
    beat_o.act_half = act_half;
    beat_o.act_entry = entry_y + entry_x + pixel_entry_q + (operand_q[0] ? desc_i.inc_repeat : '0) +
                       (act_half ? dse_pkg::CountW'(dse_pkg::ActDepth / 2) : '0);
    beat_o.origin_y = origin_y;
    beat_o.origin_x = origin_x;
  end
endmodule
