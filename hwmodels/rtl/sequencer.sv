// Walks the steps of every tile: one issue a cycle, each naming a bank entry, a weight entry and what the arithmetic does with them.
//
// Counters from the inside: channel word (vector layers: plane group), tap column, tap row, repeat (the two opposite planes, or
// the operands), plane pair, column and row in the block, channel group (vector: channel word), column (vector only).
// A step begins when the drain of the step before has let go, and a tile when it is loaded and an output half is free.
module sequencer (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  dse_pkg::descriptor_t         desc_i,
  input  logic                start_i,
  input  logic                loaded_i,  // a tile is in the banks
  input  logic                stored_i,  // an output half is free again
  output logic                issue_o,
  output dse_pkg::issue_t              what_o,
  output logic [dse_pkg::CountW-1:0]   columns_o  // columns with a block in the current tile
);
  logic active_q, tile_start_q, step_start_q;
  logic [1:0] loaded_q, free_q;
  logic [dse_pkg::CountW-1:0] wait_q;

  logic order_next, weight_half, act_half, half, last_channels, last_space, last_tile, wrap_channels;
  logic unused_new_weights, unused_new_acts, unused_wrap_space;
  tile_order u_order (
    .clk_i, .desc_i, .start_i,
    .next_i         (order_next),
    .new_weights_o  (unused_new_weights),
    .new_acts_o     (unused_new_acts),
    .weight_half_o  (weight_half),
    .act_half_o     (act_half),
    .half_o         (half),
    .last_channels_o(last_channels),
    .last_space_o   (last_space),
    .last_o         (last_tile),
    .wrap_channels_o(wrap_channels),
    .wrap_space_o   (unused_wrap_space)
  );

  // Counters and the carries between them.
  logic [dse_pkg::CountW-1:0] word_q, tap_x_q, tap_y_q, pos_x_q, pos_y_q, group_q, column_q;
  logic [1:0]        repeat_q;
  logic [dse_pkg::CountW-1:0] groups;
  logic end_word, end_tap_x, end_tap_y, end_pass, end_step, end_x, end_y, end_group, end_tile, last_pair, last_column;

  assign groups = last_channels ? desc_i.groups_last : desc_i.groups_full;
  assign columns_o = last_space ? desc_i.columns_last : desc_i.columns_full;
  assign last_column = !desc_i.vector || column_q == columns_o - 1'b1;
  assign end_word = word_q == desc_i.words - 1'b1;
  assign end_tap_x = end_word && tap_x_q == desc_i.taps_x - 1'b1;
  assign end_tap_y = end_tap_x && tap_y_q == desc_i.taps_y - 1'b1;
  assign end_pass = end_tap_y && repeat_q == desc_i.repeats - 1'b1;
  assign end_step = end_pass && (last_pair || desc_i.vector);
  assign end_x = end_step && pos_x_q == desc_i.block_w - 1'b1;
  assign end_y = end_x && pos_y_q == desc_i.block_h - 1'b1;
  assign end_group = end_y && group_q == groups - 1'b1;
  assign end_tile = end_group && last_column;

  logic ready;
  assign ready = wait_q == '0 && (!tile_start_q || (loaded_q != '0 && free_q != '0));
  assign issue_o = active_q && (!step_start_q || ready);
  assign order_next = issue_o && end_tile;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      loaded_q <= '0;
      free_q <= '0;
      wait_q <= '0;
      tile_start_q <= 1'b0;
      step_start_q <= 1'b0;
    end else begin
      loaded_q <= loaded_q + 2'(loaded_i) - 2'(issue_o && tile_start_q);
      free_q <= free_q + 2'(stored_i) - 2'(issue_o && tile_start_q);
      if (issue_o && step_start_q) wait_q <= desc_i.drain - 1'b1;
      else if (wait_q != '0) wait_q <= wait_q - 1'b1;
      if (issue_o) begin
        step_start_q <= end_step;
        tile_start_q <= end_tile;
        if (end_tile && last_tile) active_q <= 1'b0;
      end
      if (start_i) begin
        active_q <= 1'b1;
        tile_start_q <= 1'b1;
        step_start_q <= 1'b1;
        loaded_q <= '0;
        free_q <= 2'd2;
        wait_q <= '0;
      end
    end
  end

  // Plane pairs.
  logic [3:0]        act_pass, weight_pass;
  logic [dse_pkg::CountW-1:0] pass_addr;
  logic [dse_pkg::ShiftMax:0] pass_shift;
  plane_order u_planes (
    .clk_i, .desc_i, .start_i,
    .next_i       (issue_o && end_pass),
    .act_pass_o   (act_pass),
    .weight_pass_o(weight_pass),
    .weight_addr_o(pass_addr),
    .shift_o      (pass_shift),
    .last_o       (last_pair)
  );

  // Where the next channel group of a grouped layer starts to read: outputs and input channels counted in remainders.
  logic [dse_pkg::CountW-1:0] rem_q, word_rem_q, rem_next, word_rem_next, inc_group, word_rem_sum, rem_sum;
  logic carry, word_carry;
  assign rem_sum = rem_q + desc_i.group_rem;
  assign carry = rem_sum >= desc_i.group_outputs;
  assign rem_next = carry ? rem_sum - desc_i.group_outputs : rem_sum;
  assign word_rem_sum = word_rem_q + (carry ? desc_i.group_words1 : desc_i.group_words0);
  assign word_carry = word_rem_sum >= dse_pkg::CountW'(dse_pkg::Width);
  assign word_rem_next = word_carry ? word_rem_sum - dse_pkg::CountW'(dse_pkg::Width) : word_rem_sum;
  assign inc_group = (carry ? desc_i.group_inc1 : desc_i.group_inc0) + (word_carry ? desc_i.inc_channel_word : '0);

  // Addresses: one base a level, so that a carry starts again from the base of the level above.
  logic [dse_pkg::CountW-1:0] addr_q, base_tap_x_q, base_tap_y_q, base_repeat_q, base_x_q, base_y_q, base_group_q;
  logic [dse_pkg::CountW-1:0] tile_group_q, tile_rem_q, tile_word_rem_q;
  logic [dse_pkg::CountW-1:0] index_q, weight_group_q;
  logic signed [dse_pkg::CoordW-1:0] tap_cy_q, tap_cx_q, pos_cy_q, pos_cx_q;
  logic [dse_pkg::CountW-1:0] next_group, next_y, next_x, next_repeat, next_tap_y, next_tap_x;
  logic stay;  // the next tile has the same channels
  assign stay = !desc_i.by_activation && !last_space;

  always_comb begin
    if (!end_y) next_group = base_group_q;
    else if (!end_group) next_group = base_group_q + inc_group;
    else if (desc_i.vector || wrap_channels) next_group = '0;
    else next_group = stay ? tile_group_q : base_group_q + inc_group;
    next_y = end_y ? next_group : (end_x ? base_y_q + desc_i.inc_y : base_y_q);
    next_x = end_x ? next_y : (end_step ? base_x_q + desc_i.inc_x : base_x_q);
    next_repeat = end_pass ? next_x : (end_tap_y ? base_repeat_q + desc_i.inc_repeat : base_repeat_q);
    next_tap_y = end_tap_y ? next_repeat : (end_tap_x ? base_tap_y_q + desc_i.inc_tap_y : base_tap_y_q);
    next_tap_x = end_tap_x ? next_tap_y : (end_word ? base_tap_x_q + desc_i.inc_tap_x : base_tap_x_q);
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      {word_q, tap_x_q, tap_y_q, repeat_q, pos_x_q, pos_y_q, group_q, column_q} <= '0;
      {addr_q, base_tap_x_q, base_tap_y_q, base_repeat_q, base_x_q, base_y_q, base_group_q} <= '0;
      {tile_group_q, tile_rem_q, tile_word_rem_q, rem_q, word_rem_q} <= '0;
      {index_q, weight_group_q} <= '0;
      {tap_cy_q, tap_cx_q, pos_cy_q, pos_cx_q} <= '0;
    end else if (issue_o) begin
      word_q <= end_word ? '0 : word_q + 1'b1;
      if (end_word) tap_x_q <= end_tap_x ? '0 : tap_x_q + 1'b1;
      if (end_tap_x) tap_y_q <= end_tap_y ? '0 : tap_y_q + 1'b1;
      if (end_tap_y) repeat_q <= end_pass ? '0 : repeat_q + 1'b1;
      if (end_step) pos_x_q <= end_x ? '0 : pos_x_q + 1'b1;
      if (end_x) pos_y_q <= end_y ? '0 : pos_y_q + 1'b1;
      if (end_y) group_q <= end_group ? '0 : group_q + 1'b1;
      if (end_group) column_q <= end_tile ? '0 : column_q + 1'b1;

      addr_q <= end_word ? next_tap_x : addr_q + desc_i.inc_word;
      base_tap_x_q <= next_tap_x;
      base_tap_y_q <= next_tap_y;
      base_repeat_q <= next_repeat;
      base_x_q <= next_x;
      base_y_q <= next_y;
      base_group_q <= next_group;

      if (end_word) tap_cx_q <= end_tap_x ? '0 : tap_cx_q + $signed(desc_i.dilation_x);
      if (end_tap_x) tap_cy_q <= end_tap_y ? '0 : tap_cy_q + $signed(desc_i.dilation_y);
      if (end_step) pos_cx_q <= end_x ? '0 : pos_cx_q + $signed(desc_i.stride_x);
      if (end_x) pos_cy_q <= end_y ? '0 : pos_cy_q + $signed(desc_i.stride_y);

      index_q <= end_pass ? '0 : index_q + 1'b1;
      if (end_y) weight_group_q <= end_group ? '0 : weight_group_q + desc_i.group_entries;

      if (end_y) {rem_q, word_rem_q} <= {rem_next, word_rem_next};
      if (end_group) begin
        if (desc_i.vector || wrap_channels) {rem_q, word_rem_q, tile_group_q, tile_rem_q, tile_word_rem_q} <= '0;
        else if (stay) {rem_q, word_rem_q} <= {tile_rem_q, tile_word_rem_q};
        else {tile_group_q, tile_rem_q, tile_word_rem_q} <= {base_group_q + inc_group, rem_next, word_rem_next};
      end
    end
  end

  // Where results go.
  logic [dse_pkg::CountW-1:0] out_column_q, out_group_q, out_pos_q, threshold_q, slice_q;
  logic sliced, end_slice;
  assign sliced = desc_i.vector ? dse_pkg::Rows > dse_pkg::Width : dse_pkg::Rows < dse_pkg::Width;
  assign end_slice = !sliced || slice_q == dse_pkg::CountW'(dse_pkg::Slices - 1);
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      {out_column_q, out_group_q, out_pos_q, threshold_q, slice_q} <= '0;
    end else if (issue_o && end_step) begin
      out_pos_q <= end_y ? '0 : out_pos_q + desc_i.out_inc_pos;
      if (end_y) begin
        slice_q <= (end_group || end_slice) ? '0 : slice_q + 1'b1;
        if (end_group) out_group_q <= '0;
        else if (end_slice) out_group_q <= out_group_q + dse_pkg::CountW'(desc_i.raw_factor);
        if (end_group) threshold_q <= '0;
        else if (desc_i.vector && dse_pkg::Rows < dse_pkg::Width) threshold_q <= threshold_q + dse_pkg::CountW'(dse_pkg::Slices);
        else if (!desc_i.vector || end_slice) threshold_q <= threshold_q + 1'b1;
      end
      if (end_group) out_column_q <= end_tile ? '0 : out_column_q + desc_i.out_inc_column;
    end
  end

  always_comb begin
    what_o = '0;
    what_o.act_addr = addr_q + (desc_i.vector ? '0 : dse_pkg::CountW'(act_pass)) + (act_half ? dse_pkg::CountW'(dse_pkg::ActDepth / 2) : '0);
    what_o.weight_addr = weight_group_q + pass_addr + index_q + (weight_half ? dse_pkg::CountW'(dse_pkg::WeightDepth / 2) : '0);
    what_o.act_half = act_half;
    what_o.column = column_q;
    what_o.cy = pos_cy_q + tap_cy_q;
    what_o.cx = pos_cx_q + tap_cx_q;
    what_o.tail = !desc_i.vector && end_word;
    what_o.act_top = desc_i.vector ? end_word : act_pass == desc_i.act_passes - 1'b1;
    what_o.weight_top = weight_pass == desc_i.weight_passes - 1'b1;
    what_o.act_pass = desc_i.vector ? word_q[3:0] : act_pass;
    what_o.first = step_start_q;
    what_o.last_plane = end_word;
    what_o.shift = (index_q != '0) ? (dse_pkg::ShiftMax + 1)'(1) : pass_shift;
    what_o.last = end_step;
    what_o.result.tile_last = end_tile;
    what_o.result.addr = out_column_q + out_group_q + out_pos_q + (half ? dse_pkg::CountW'(dse_pkg::OutEntries / 2) : '0);
    what_o.result.slice = slice_q;
    what_o.result.threshold = threshold_q + (weight_half ? dse_pkg::CountW'(dse_pkg::ThresholdDepth / 2) : '0);
    what_o.result.columns = columns_o;
  end
endmodule
