// The array machine: runs a network, layer after layer, from descriptors, packed planes and thresholds in memory.
//
// Memory is addressed in units of min(PortBits, Width) bits; a beat may begin at any unit. A read beat may be answered any number of
// cycles later, in order; a write beat is acknowledged once.
module engine (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                go_i,
  input  logic [dse_pkg::AddrW-1:0]    descriptors_i,
  output logic                done_o,
  output logic                running_o,
  // Read port. `read_burst_o` is the request cycle of a burst.
  output logic                read_burst_o,
  output logic                read_o,
  output logic [dse_pkg::AddrW-1:0]    read_addr_o,
  input  logic                read_valid_i,
  input  logic [dse_pkg::PortBits-1:0] read_data_i,
  // Write port. The low Width bits of a beat are written.
  output logic                write_burst_o,
  output logic                write_o,
  output logic [dse_pkg::AddrW-1:0]    write_addr_o,
  output logic [dse_pkg::PortBits-1:0] write_data_o,
  input  logic                write_ack_i
);
  if (dse_pkg::Rows % dse_pkg::Width != 0 && dse_pkg::Width % dse_pkg::Rows != 0) begin : gen_illegal_rows
    $fatal(1, "engine: Rows must divide Width or be a multiple of it");
  end
  if (dse_pkg::Width % dse_pkg::PortBits != 0 && dse_pkg::PortBits % dse_pkg::Width != 0) begin : gen_illegal_port
    $fatal(1, "engine: PortBits must divide Width or be a multiple of it");
  end
  if (dse_pkg::LanesA > dse_pkg::MaxAct || dse_pkg::LanesW > dse_pkg::MaxWeight || dse_pkg::MaxAct > 8 || dse_pkg::MaxWeight > 8) begin : gen_illegal_lanes
    $fatal(1, "engine: lanes must be at most MaxAct and MaxWeight, and these at most 8");
  end
  if (dse_pkg::WeightDepth < 2 || dse_pkg::ActDepth < 2 || dse_pkg::OutEntries < 2 || dse_pkg::ThresholdDepth < 2) begin : gen_illegal_depth
    $fatal(1, "engine: every buffer needs two halves of at least one entry");
  end

  dse_pkg::descriptor_t desc;
  logic start, fetch, fetched, fetch_beat, loaded, drained, stored, idle;
  logic [dse_pkg::AddrW-1:0] fetch_addr;
  controller u_controller (
    .clk_i, .rst_ni, .go_i, .descriptors_i, .done_o,
    .fetch_o     (fetch),
    .fetch_addr_o(fetch_addr),
    .fetched_i   (fetched),
    .beat_i      (fetch_beat),
    .data_i      (read_data_i),
    .desc_o      (desc),
    .start_o     (start),
    .running_o,
    .idle_i      (idle)
  );

  logic load_request, load_grant, load_busy, store_request, store_grant, store_busy;
  arbiter #(.Shared(dse_pkg::PortShared)) u_arbiter (
    .load_request_i (load_request),
    .load_busy_i    (load_busy),
    .load_grant_o   (load_grant),
    .store_request_i(store_request),
    .store_busy_i   (store_busy),
    .store_grant_o  (store_grant)
  );
  assign read_burst_o = load_grant;
  assign write_burst_o = store_grant;

  dse_pkg::beat_t received;
  loader u_loader (
    .clk_i, .rst_ni,
    .desc_i      (desc),
    .fetch_i     (fetch),
    .fetch_addr_i(fetch_addr),
    .fetched_o   (fetched),
    .fetch_beat_o(fetch_beat),
    .start_i     (start),
    .done_i      (drained),
    .loaded_o    (loaded),
    .request_o   (load_request),
    .grant_i     (load_grant),
    .busy_o      (load_busy),
    .read_o,
    .read_addr_o,
    .data_valid_i(read_valid_i),
    .received_o  (received)
  );

  logic              issue;
  dse_pkg::issue_t            what;
  logic [dse_pkg::CountW-1:0] columns_active;
  sequencer u_sequencer (
    .clk_i, .rst_ni,
    .desc_i   (desc),
    .start_i  (start),
    .loaded_i (loaded),
    .stored_i (stored),
    .issue_o  (issue),
    .what_o   (what),
    .columns_o(columns_active)
  );

  // Beats become words; what arrived of a word or threshold so far waits below the new beat.
  logic write_word;
  logic [dse_pkg::Width-1:0] word;
  logic [31:0]      threshold;
  assign write_word = read_valid_i && !fetch_beat && received.complete;
  if (dse_pkg::WordBeats > 1) begin : gen_assemble
    logic [dse_pkg::Width-1:0] word_q;
    assign word = {read_data_i, word_q[dse_pkg::Width-1:dse_pkg::PortBits]};
    always_ff @(posedge clk_i) if (read_valid_i) word_q <= word;
  end else begin : gen_word
    assign word = read_data_i[dse_pkg::Width-1:0];
  end
  if (dse_pkg::ThresholdBeats > 1) begin : gen_threshold
    localparam int unsigned HeldW = dse_pkg::ThresholdBeats * dse_pkg::PortBits;
    logic [HeldW-1:0] held, held_q;
    assign held = {read_data_i, held_q[HeldW-1:dse_pkg::PortBits]};
    always_ff @(posedge clk_i) if (read_valid_i) held_q <= held;
    assign threshold = held[31:0];
  end else begin : gen_whole_threshold
    assign threshold = read_data_i[31:0];
  end

  // Banks.
  localparam int unsigned ActAddrW = $clog2(dse_pkg::ActDepth);
  localparam int unsigned WeightAddrW = $clog2(dse_pkg::WeightDepth);
  logic [dse_pkg::Cols-1:0]                     inside_map, column_on;
  logic [dse_pkg::Cols-1:0][dse_pkg::LanesA*dse_pkg::Width-1:0]   acts;
  logic [dse_pkg::Rows-1:0][dse_pkg::LanesW*dse_pkg::Width-1:0]   weights;
  logic write_act, write_weight, write_threshold;
  assign write_act = write_word && !received.weights && !received.thresholds;
  assign write_weight = write_word && received.weights;
  assign write_threshold = write_word && received.thresholds;

  for (genvar c = 0; c < dse_pkg::Cols; c++) begin : gen_act_bank
    assign column_on[c] = desc.vector ? what.column == dse_pkg::CountW'(c) : dse_pkg::CountW'(c) < columns_active;
    bank #(
      .Depth(dse_pkg::ActDepth), .Lanes(dse_pkg::LanesA), .LaneW(dse_pkg::Width)
    ) u_bank (
      .clk_i,
      .read_i      (issue && column_on[c]),
      .read_addr_i (what.act_addr[ActAddrW-1:0]),
      .read_data_o (acts[c]),
      .write_i     ({dse_pkg::LanesA{write_act && received.column == dse_pkg::CountW'(c)}} & (dse_pkg::LanesA'(1) << received.lane)),
      .write_addr_i(received.act_entry[ActAddrW-1:0]),
      .write_data_i({dse_pkg::LanesA{word}})
    );
  end
  for (genvar r = 0; r < dse_pkg::Rows; r++) begin : gen_weight_bank
    logic [dse_pkg::Width-1:0] row_word;
    if (dse_pkg::RowWords > 1) begin : gen_wide
      assign row_word = read_data_i[(r%dse_pkg::RowWords)*dse_pkg::Width+:dse_pkg::Width];
    end else begin : gen_narrow
      assign row_word = word;
    end
    bank #(
      .Depth(dse_pkg::WeightDepth), .Lanes(dse_pkg::LanesW), .LaneW(dse_pkg::Width)
    ) u_bank (
      .clk_i,
      .read_i      (issue && !desc.vector),
      .read_addr_i (what.weight_addr[WeightAddrW-1:0]),
      .read_data_o (weights[r]),
      .write_i     ({dse_pkg::LanesW{write_weight && received.chunk == dse_pkg::CountW'(r / dse_pkg::RowWords)}} & (dse_pkg::LanesW'(1) << received.lane)),
      .write_addr_i(received.weight_entry[WeightAddrW-1:0]),
      .write_data_i({dse_pkg::LanesW{row_word}})
    );
  end

  columns u_columns (
    .clk_i,
    .desc_i        (desc),
    .write_i       (write_act),
    .write_half_i  (received.act_half),
    .write_column_i(received.column),
    .write_y_i     (received.origin_y),
    .write_x_i     (received.origin_x),
    .half_i        (what.act_half),
    .cy_i          (what.cy),
    .cx_i          (what.cx),
    .inside_o      (inside_map)
  );

  logic grid_move, vector_move, shift, draining;
  dse_pkg::result_t grid_result, vector_result;
  logic signed [dse_pkg::Rows-1:0][dse_pkg::AccBits-1:0]  grid_value;
  logic [dse_pkg::Width-1:0][dse_pkg::VectorBits-1:0]     vector_value;
  grid u_grid (
    .clk_i,
    .desc_i  (desc),
    .issue_i (issue),
    .what_i  (what),
    .inside_i(inside_map),
    .act_i   (acts),
    .weight_i(weights),
    .shift_i (shift),
    .move_o  (grid_move),
    .result_o(grid_result),
    .value_o (grid_value)
  );
  vector_unit u_vector (
    .clk_i,
    .desc_i  (desc),
    .issue_i (issue),
    .what_i  (what),
    .inside_i(inside_map),
    .act_i   (acts),
    .shift_i (shift),
    .move_o  (vector_move),
    .result_o(vector_result),
    .value_o (vector_value)
  );

  dse_pkg::leaving_t leaving;
  drain u_drain (
    .clk_i, .rst_ni,
    .desc_i   (desc),
    .move_i   (grid_move || vector_move),
    .result_i (desc.vector ? vector_result : grid_result),
    .shift_o  (shift),
    .busy_o   (draining),
    .leaving_o(leaving)
  );

  // Post units, and what goes with a code through their stages.
  logic [dse_pkg::Rows-1:0][dse_pkg::MaxAct-1:0] code;
  dse_pkg::leaving_t leaving_q[dse_pkg::MaxAct+1];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      for (int unsigned s = 0; s <= dse_pkg::MaxAct; s++) leaving_q[s] <= '0;
    end else begin
      leaving_q[0] <= desc.maximum ? '0 : leaving;
      for (int unsigned s = 1; s <= dse_pkg::MaxAct; s++) leaving_q[s] <= leaving_q[s-1];
    end
  end
  for (genvar r = 0; r < dse_pkg::Rows; r++) begin : gen_post
    logic signed [dse_pkg::AccBits-1:0] value;
    assign value = desc.vector ? dse_pkg::AccBits'(vector_value[r%dse_pkg::Width]) : grid_value[r];
    post_unit u_post (
      .clk_i,
      .desc_i       (desc),
      .value_i      (value),
      .group_i      (leaving.threshold),
      .part_i       (leaving.part),
      .code_o       (code[r]),
      .write_i      (write_threshold && received.row == dse_pkg::CountW'(r)),
      .write_stage_i(received.stage),
      .write_group_i(received.group),
      .write_place_i(received.place),
      .write_data_i (threshold)
    );
  end

  // Into the output buffer: codes of the post units, or what a max pool hands on.
  dse_pkg::leaving_t into;
  logic [dse_pkg::Slices-1:0] out_write;
  logic [dse_pkg::Slices-1:0][dse_pkg::SliceW-1:0][dse_pkg::MaxAct-1:0] out_code;
  logic whole;
  assign into = desc.maximum ? leaving : leaving_q[dse_pkg::MaxAct];
  assign whole = dse_pkg::Slices == 1 || (desc.maximum && dse_pkg::Rows < dse_pkg::Width) || (!desc.vector && dse_pkg::Rows > dse_pkg::Width);
  assign out_write = !into.write ? '0 : whole ? '1 : dse_pkg::Slices'(1) << into.slice;
  assign drained = into.tile_last;
  for (genvar s = 0; s < dse_pkg::Slices; s++) begin : gen_slice
    for (genvar c = 0; c < dse_pkg::SliceW; c++) begin : gen_channel
      assign out_code[s][c] = desc.maximum ? dse_pkg::MaxAct'(vector_value[dse_pkg::Rows<dse_pkg::Width?s*dse_pkg::SliceW+c : c]) : code[dse_pkg::Rows>dse_pkg::Width?s*dse_pkg::SliceW+c : c];
    end
  end

  logic                                      out_read;
  logic [dse_pkg::CountW-1:0]                         out_read_addr;
  logic [dse_pkg::Slices-1:0][dse_pkg::MaxAct-1:0][dse_pkg::SliceW-1:0] out_planes;
  out_buffer u_out (
    .clk_i,
    .write_i      (out_write),
    .write_addr_i (into.addr),
    .write_code_i (out_code),
    .read_i       (out_read),
    .read_addr_i  (out_read_addr),
    .read_planes_o(out_planes)
  );
  writer u_writer (
    .clk_i, .rst_ni,
    .desc_i       (desc),
    .start_i      (start),
    .drained_i    (drained),
    .stored_o     (stored),
    .idle_o       (idle),
    .read_o       (out_read),
    .read_addr_o  (out_read_addr),
    .read_planes_i(out_planes),
    .request_o    (store_request),
    .grant_i      (store_grant),
    .busy_o       (store_busy),
    .write_o,
    .write_addr_o,
    .write_data_o,
    .ack_i        (write_ack_i)
  );
  logic unused;
  assign unused = draining;
endmodule
