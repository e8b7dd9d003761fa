// Runs the layers one after the other: fetch the descriptor, set up, start the units, wait until memory has everything.
module controller (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                go_i,
  input  logic [dse_pkg::AddrW-1:0]    descriptors_i,
  output logic                done_o,
  output logic                fetch_o,
  output logic [dse_pkg::AddrW-1:0]    fetch_addr_o,
  input  logic                fetched_i,
  input  logic                beat_i,
  input  logic [dse_pkg::PortBits-1:0] data_i,
  output dse_pkg::descriptor_t         desc_o,
  output logic                start_o,
  output logic                running_o,  // a layer is on its way
  input  logic                idle_i
);
  typedef enum logic [2:0] {Idle, Fetch, Decode, Start, Run} state_e;
  state_e state_q;
  logic [dse_pkg::AddrW-1:0]                    addr_q;
  localparam int unsigned FetchedW = dse_pkg::DescriptorBeats * dse_pkg::PortBits;
  logic [FetchedW-1:0]              words_q;
  logic [FetchedW+dse_pkg::PortBits-1:0] joined;
  logic layer_done;

  assign layer_done = state_q == Run && idle_i;
  assign fetch_o = (state_q == Idle && go_i) || (layer_done && !desc_o.last_layer);
  assign fetch_addr_o = state_q == Idle ? descriptors_i : addr_q;
  assign start_o = state_q == Start;
  assign done_o = layer_done && desc_o.last_layer;
  assign running_o = state_q != Idle;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle: if (go_i) state_q <= Fetch;
        Fetch: if (fetched_i) state_q <= Decode;
        Decode: state_q <= Start;
        Start: state_q <= Run;
        Run: if (layer_done) state_q <= desc_o.last_layer ? Idle : Fetch;
        default: state_q <= Idle;
      endcase
    end
  end
  assign joined = {data_i, words_q};
  always_ff @(posedge clk_i) begin
    if (fetch_o) addr_q <= fetch_addr_o + dse_pkg::AddrW'(dse_pkg::DescriptorBeats * dse_pkg::RowWords);
    // The first beat holds the lowest bits.
    if (beat_i) words_q <= joined[dse_pkg::PortBits+:FetchedW];
  end
  assign desc_o = words_q[dse_pkg::UsedBits-1:0];
endmodule
