// The order of the tiles of a layer, and what each has to load: one copy in every unit that walks tiles.
module tile_order (
  input  logic        clk_i,
  input  dse_pkg::descriptor_t desc_i,
  input  logic        start_i,        // a new layer: tile 0
  input  logic        next_i,         // the next tile
  output logic        new_weights_o,  // this tile's weights are not those of the tile before
  output logic        new_acts_o,
  output logic        weight_half_o,
  output logic        act_half_o,
  output logic        half_o,         // parity of the tile: which output half it fills
  output logic        last_channels_o,
  output logic        last_space_o,
  output logic        last_o,
  output logic        wrap_channels_o,  // the next tile is in channel tile 0
  output logic        wrap_space_o      // the next tile is in space tile 0
);
  logic [dse_pkg::CountW-1:0] channel_q, space_q;
  logic              new_weights_q, new_acts_q, weight_half_q, act_half_q, half_q;
  logic              step_channel, step_space;

  assign last_channels_o = channel_q == desc_i.channel_tiles - 1'b1;
  assign last_space_o = space_q == desc_i.space_tiles - 1'b1;
  assign last_o = last_channels_o && last_space_o;
  assign step_channel = desc_i.by_activation || last_space_o;
  assign step_space = !desc_i.by_activation || last_channels_o;
  assign wrap_channels_o = step_channel && last_channels_o;
  assign wrap_space_o = step_space && last_space_o;

  // What the next tile does not share with this one; a vector layer reads other channels in every tile.
  logic new_weights, new_acts;
  assign new_weights = step_channel && desc_i.channel_tiles != 1;
  assign new_acts = desc_i.vector || (step_space && desc_i.space_tiles != 1);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      channel_q <= '0;
      space_q <= '0;
      new_weights_q <= 1'b1;
      new_acts_q <= 1'b1;
      weight_half_q <= 1'b0;
      act_half_q <= 1'b0;
      half_q <= 1'b0;
    end else if (next_i) begin
      if (step_channel) channel_q <= last_channels_o ? '0 : channel_q + 1'b1;
      if (step_space) space_q <= last_space_o ? '0 : space_q + 1'b1;
      new_weights_q <= new_weights;
      new_acts_q <= new_acts;
      weight_half_q <= weight_half_q ^ new_weights;
      act_half_q <= act_half_q ^ new_acts;
      half_q <= !half_q;
    end
  end

  assign new_weights_o = new_weights_q;
  assign new_acts_o = new_acts_q;
  assign weight_half_o = weight_half_q;
  assign act_half_o = act_half_q;
  assign half_o = half_q;
endmodule
