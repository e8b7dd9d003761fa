// Self-checking testbench: a memory of a given latency, images run one after the other, every output unit compared.
//
// Plusargs: +memory=, +inputs=, +expected= hex files (one unit a line), +memory_units=, +images=, +input_base=, +input_units=, +output_base=,
// +output_units=, +latency=, +limit=. Prints the cycles and the counts of every layer of the first image, then PASS or FAIL.
module tb #(
  parameter int unsigned MemoryUnits = 32'd1 << 20,
  parameter int unsigned ListUnits = 32'd1 << 20
);
  localparam int unsigned UnitW = dse_pkg::PortBits < dse_pkg::Width ? dse_pkg::PortBits : dse_pkg::Width;
  localparam int unsigned MaxLatency = 1024;

  logic clk = 1'b0, rst_n = 1'b0, go = 1'b0, done, running;
  always #5 clk = !clk;

  logic [UnitW-1:0] memory[MemoryUnits];
  logic [UnitW-1:0] inputs[ListUnits];
  logic [UnitW-1:0] expected[ListUnits];

  logic read_burst, read, read_valid, write_burst, write, write_ack;
  logic [dse_pkg::AddrW-1:0] read_addr, write_addr;
  logic [dse_pkg::PortBits-1:0] read_data, write_data;

  engine u_engine (
    .clk_i(clk), .rst_ni(rst_n), .go_i(go), .descriptors_i('0), .done_o(done), .running_o(running),
    .read_burst_o(read_burst), .read_o(read), .read_addr_o(read_addr), .read_valid_i(read_valid), .read_data_i(read_data),
    .write_burst_o(write_burst), .write_o(write), .write_addr_o(write_addr), .write_data_o(write_data), .write_ack_i(write_ack)
  );

  // The memory answers `latency` cycles after the beat: in the same cycle if that is 0.
  int unsigned latency, place;
  logic [dse_pkg::PortBits-1:0] now, data_at[MaxLatency];
  logic valid_at[MaxLatency], ack_at[MaxLatency];
  for (genvar u = 0; u < dse_pkg::RowWords; u++) begin : gen_unit
    assign now[u*UnitW+:UnitW] = memory[(read_addr+u)%MemoryUnits];
  end
  assign read_valid = latency == 0 ? read : valid_at[place];
  assign read_data = latency == 0 ? now : data_at[place];
  assign write_ack = latency == 0 ? write : ack_at[place];
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      for (int unsigned i = 0; i < MaxLatency; i++) begin
        valid_at[i] <= 1'b0;
        ack_at[i] <= 1'b0;
      end
      place <= 0;
    end else if (latency != 0) begin
      place <= place + 1 == latency ? 0 : place + 1;
      valid_at[place] <= read;
      ack_at[place] <= write;
      data_at[place] <= now;
    end
    if (write) memory[write_addr%MemoryUnits] <= write_data[UnitW-1:0];
  end

  // Counts of the layer that runs.
  longint unsigned cycles, load_busy, store_busy, issues, xnor_words, accumulations, activation_reads, weight_reads;
  longint unsigned activation_writes, weight_writes, threshold_writes, vector_words, output_entries;
  int unsigned layer, image;
  longint unsigned rows_on, lanes_a, lanes_w, left;
  always_comb begin
    rows_on = u_engine.u_sequencer.last_channels && u_engine.u_sequencer.group_q == u_engine.u_sequencer.groups - 1'b1
              ? 64'(u_engine.desc.rows_last) : 64'(dse_pkg::Rows);
    lanes_a = u_engine.what.act_top ? 64'(u_engine.desc.lanes_last_a) : 64'(dse_pkg::LanesA);
    lanes_w = u_engine.what.weight_top ? 64'(u_engine.desc.lanes_last_w) : 64'(dse_pkg::LanesW);
    left = (u_engine.u_loader.u_receive.last_group ? 64'(u_engine.desc.rows_last) : 64'(dse_pkg::Rows)) -
           64'(u_engine.received.chunk) * 64'(dse_pkg::RowWords);
  end
  always_ff @(posedge clk) begin
    if (running) begin
      cycles <= cycles + 1;
      load_busy <= load_busy + 64'(read_burst) + 64'(read);
      store_busy <= store_busy + 64'(write_burst) + 64'(write);
      if (u_engine.issue) begin
        issues <= issues + 1;
        if (u_engine.desc.vector) begin
          vector_words <= vector_words + lanes_a;
          activation_reads <= activation_reads + 64'(dse_pkg::LanesA);
        end else begin
          xnor_words <= xnor_words + rows_on * 64'(u_engine.columns_active) * lanes_a * lanes_w;
          accumulations <= accumulations + rows_on * 64'(u_engine.columns_active);
          activation_reads <= activation_reads + 64'(u_engine.columns_active) * 64'(dse_pkg::LanesA);
          weight_reads <= weight_reads + rows_on * 64'(dse_pkg::LanesW);
        end
      end
      if (u_engine.write_act) activation_writes <= activation_writes + 1;
      if (u_engine.write_weight) weight_writes <= weight_writes + (left < 64'(dse_pkg::RowWords) ? left : 64'(dse_pkg::RowWords));
      if (u_engine.write_threshold) threshold_writes <= threshold_writes + 1;
      if (u_engine.into.write) output_entries <= output_entries + 1;
    end
    if (running && (done || u_engine.fetch)) begin
      if (image == 0) begin
        $display("layer=%0d latency=%0d load_busy=%0d store_busy=%0d issues=%0d xnor_words=%0d accumulations=%0d", layer,
                 cycles + 1, load_busy, store_busy, issues, xnor_words, accumulations,
                 " activation_reads=%0d weight_reads=%0d activation_writes=%0d weight_writes=%0d", activation_reads,
                 weight_reads, activation_writes, weight_writes,
                 " threshold_writes=%0d vector_words=%0d output_entries=%0d", threshold_writes, vector_words, output_entries);
      end
      layer <= layer + 1;
    end
    if (!running || done || u_engine.fetch) begin
      cycles <= 0;
      load_busy <= 0;
      store_busy <= 0;
      issues <= 0;
      xnor_words <= 0;
      accumulations <= 0;
      activation_reads <= 0;
      weight_reads <= 0;
      activation_writes <= 0;
      weight_writes <= 0;
      threshold_writes <= 0;
      vector_words <= 0;
      output_entries <= 0;
    end
  end

  string file;
  typedef enum int {Memory, Inputs, Expected} list_e;

  // Fills a list from `file`, which must hold just so many units.
  task automatic read_units(input list_e list, input int unsigned wanted);
    int handle;
    int unsigned got;
    logic [UnitW-1:0] value;
    handle = $fopen(file, "r");
    if (handle == 0) $fatal(1, "tb: %s must be a readable file", file);
    got = 0;
    while ($fscanf(handle, "%h", value) == 1) begin
      case (list)
        Memory: memory[got%MemoryUnits] = value;
        Inputs: inputs[got%ListUnits] = value;
        default: expected[got%ListUnits] = value;
      endcase
      got++;
    end
    $fclose(handle);
    if (got != wanted) $fatal(1, "tb: %s must hold %0d units, not %0d", file, wanted, got);
  endtask

  int unsigned images, input_base, input_units, output_base, output_units, memory_units, limit, wrong, spent;
  initial begin
    if (!$value$plusargs("latency=%d", latency)) latency = 1;
    if (!$value$plusargs("images=%d", images)) images = 1;
    if (!$value$plusargs("input_base=%d", input_base)) input_base = 0;
    if (!$value$plusargs("input_units=%d", input_units)) input_units = 0;
    if (!$value$plusargs("output_base=%d", output_base)) output_base = 0;
    if (!$value$plusargs("output_units=%d", output_units)) output_units = 0;
    if (!$value$plusargs("limit=%d", limit)) limit = 100_000_000;
    if (latency >= MaxLatency) $fatal(1, "tb: latency must be below %0d, not %0d", MaxLatency, latency);
    if (!$value$plusargs("memory_units=%d", memory_units)) memory_units = 0;
    if ($value$plusargs("memory=%s", file)) read_units(Memory, memory_units);
    if ($value$plusargs("inputs=%s", file)) read_units(Inputs, images * input_units);
    if ($value$plusargs("expected=%s", file)) read_units(Expected, images * output_units);
    wrong = 0;
    layer = 0;
    repeat (2) @(negedge clk);
    rst_n = 1'b1;
    for (image = 0; image < images; image++) begin
      for (int unsigned i = 0; i < input_units; i++) memory[input_base+i] = inputs[image*input_units+i];
      layer = 0;
      spent = 0;
      @(negedge clk) go = 1'b1;
      @(negedge clk) go = 1'b0;
      while (!done) begin
        @(negedge clk);
        spent++;
        if (spent == limit) begin
          $display("FAIL: image %0d is not done after %0d cycles: layer %0d", image, limit, layer);
          $display("  loader waits for %s", u_engine.u_loader.waiting_q ? "data" : u_engine.u_loader.free_q == 0 ? "a free half" : "the port");
          $display("  sequencer waits for %s", u_engine.u_sequencer.loaded_q == 0 ? "a loaded tile" : "a free output half");
          $display("  writer has %0d tiles to store", u_engine.u_writer.tiles_q);
          $finish;
        end
      end
      @(negedge clk);
      for (int unsigned i = 0; i < output_units; i++) begin
        if (memory[output_base+i] !== expected[image*output_units+i]) begin
          if (wrong < 10) begin
            $display("image %0d, unit %0d: expected %h, got %h", image, i, expected[image*output_units+i], memory[output_base+i]);
          end
          wrong++;
        end
      end
    end
    if (wrong == 0) $display("PASS: %0d images, %0d units each", images, output_units);
    else $display("FAIL: %0d units differ", wrong);
    $finish;
  end
endmodule
