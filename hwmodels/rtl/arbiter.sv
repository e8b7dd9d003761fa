// Who gets the port in the cycle in which it is free. A port each: whoever asks. A shared one: the writer first, because a full
// output half stops the grid, while a late load mostly does not.
module arbiter #(
  parameter bit Shared = 1'b1
) (
  input  logic load_request_i,
  input  logic load_busy_i,
  output logic load_grant_o,
  input  logic store_request_i,
  input  logic store_busy_i,
  output logic store_grant_o
);
  assign store_grant_o = store_request_i && !(Shared && load_busy_i);
  assign load_grant_o = load_request_i && !(Shared && (store_busy_i || store_request_i));
endmodule
