// Reads descriptors, weights, thresholds and activations, in bursts of at most PortBurst beats: one request cycle and its beats.
module loader (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  dse_pkg::descriptor_t         desc_i,
  // A descriptor to fetch, or a layer to load.
  input  logic                fetch_i,
  input  logic [dse_pkg::AddrW-1:0]    fetch_addr_i,
  output logic                fetched_o,     // the last beat of the descriptor is here
  output logic                fetch_beat_o,  // a beat of the descriptor is here
  input  logic                start_i,
  input  logic                done_i,        // the input halves of a tile are free
  output logic                loaded_o,      // the last beat of a tile is here
  // Port.
  output logic                request_o,
  input  logic                grant_i,
  output logic                busy_o,
  output logic                read_o,
  output logic [dse_pkg::AddrW-1:0]    read_addr_o,
  input  logic                data_valid_i,
  output dse_pkg::beat_t               received_o     // what the beat on the data wires is
);
  dse_pkg::beat_t asked;
  logic  step, fetching_q, waiting_q, active_q, burst_q;
  logic [1:0] free_q;
  logic [dse_pkg::CountW-1:0] beats_q, fetch_asked_q, fetch_got_q;
  logic [dse_pkg::AddrW-1:0]  fetch_addr_q;

  load_walker u_ask (
    .clk_i, .desc_i, .start_i,
    .step_i(step && !fetching_q),
    .beat_o(asked)
  );
  load_walker u_receive (
    .clk_i, .desc_i, .start_i,
    .step_i(data_valid_i && !fetching_q),
    .beat_o(received_o)
  );

  logic fetch_ask_last, burst_last, tile_asked;
  assign fetch_ask_last = fetch_asked_q == dse_pkg::CountW'(dse_pkg::DescriptorBeats - 1);
  assign burst_last = beats_q == dse_pkg::CountW'(dse_pkg::PortBurst - 1) || (fetching_q ? fetch_ask_last : asked.run_last);
  assign tile_asked = step && !fetching_q && asked.tile_last;
  assign step = burst_q;

  assign request_o = !burst_q && !waiting_q && (fetching_q || (active_q && (started_q || free_q != '0)));
  assign busy_o = burst_q;
  assign read_o = step;
  assign read_addr_o = fetching_q ? fetch_addr_q : asked.addr;
  assign fetch_beat_o = data_valid_i && fetching_q;
  assign fetched_o = fetch_beat_o && fetch_got_q == dse_pkg::CountW'(dse_pkg::DescriptorBeats - 1);
  assign loaded_o = data_valid_i && !fetching_q && received_o.tile_last;

  // A tile holds a free pair of halves from its first request on; the next tile asks when this one has arrived.
  logic started_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {fetching_q, waiting_q, active_q, burst_q, started_q} <= '0;
      {free_q, beats_q, fetch_asked_q, fetch_got_q} <= '0;
    end else begin
      free_q <= free_q + 2'(done_i) - 2'(grant_i && !fetching_q && !started_q);
      if (grant_i) begin
        burst_q <= 1'b1;
        beats_q <= '0;
        if (!fetching_q) started_q <= 1'b1;
      end else if (burst_q) begin
        beats_q <= beats_q + 1'b1;
        if (burst_last) burst_q <= 1'b0;
      end
      if (fetching_q && step) begin
        fetch_asked_q <= fetch_asked_q + 1'b1;
        if (fetch_ask_last) waiting_q <= 1'b1;
      end
      if (fetch_beat_o) fetch_got_q <= fetch_got_q + 1'b1;
      if (fetched_o) {fetching_q, waiting_q} <= '0;
      if (tile_asked) begin
        started_q <= 1'b0;
        waiting_q <= 1'b1;
        if (asked.layer_last) active_q <= 1'b0;
      end
      if (loaded_o) waiting_q <= 1'b0;
      if (fetch_i) begin
        fetching_q <= 1'b1;
        {fetch_asked_q, fetch_got_q} <= '0;
      end
      if (start_i) begin
        active_q <= 1'b1;
        free_q <= 2'd2;
        waiting_q <= 1'b0;
      end
    end
  end
  always_ff @(posedge clk_i) begin
    if (fetch_i) fetch_addr_q <= fetch_addr_i;
    else if (fetching_q && step) fetch_addr_q <= fetch_addr_q + dse_pkg::AddrW'(dse_pkg::RowWords);
  end
endmodule
