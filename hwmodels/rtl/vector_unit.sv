// Width lanes that gather the planes of unsigned codes and keep the largest code of a window, or the sum of its codes.
module vector_unit (
  input  logic                              clk_i,
  input  dse_pkg::descriptor_t                       desc_i,
  input  logic                              issue_i,
  input  dse_pkg::issue_t                            what_i,
  input  logic [dse_pkg::Cols-1:0]                   inside_i,
  input  logic [dse_pkg::Cols-1:0][dse_pkg::LanesA*dse_pkg::Width-1:0] act_i,
  input  logic                              shift_i,
  output logic                              move_o,
  output dse_pkg::result_t                           result_o,
  output logic [dse_pkg::Width-1:0][dse_pkg::VectorBits-1:0]  value_o
);
  logic   issue_q1, issue_q2, inside_q1;
  dse_pkg::issue_t what_q1, what_q2;
  always_ff @(posedge clk_i) begin
    {issue_q1, issue_q2} <= {issue_i && desc_i.vector, issue_q1};
    {what_q1, what_q2} <= {what_i, what_q1};
    inside_q1 <= inside_i[what_i.column[dse_pkg::ColumnW-1:0]];
  end

  // Planes of the word, the ones that just came on top of those before.
  logic [dse_pkg::LanesA*dse_pkg::Width-1:0]  entry;
  logic [dse_pkg::MaxAct*dse_pkg::Width-1:0]  planes, planes_q;
  assign entry = act_i[what_q1.column[dse_pkg::ColumnW-1:0]];
  for (genvar m = 0; m < dse_pkg::MaxAct; m++) begin : gen_plane
    localparam int unsigned Pass = m / dse_pkg::LanesA;
    localparam int unsigned Lane = m % dse_pkg::LanesA;
    assign planes[m*dse_pkg::Width+:dse_pkg::Width] =
        4'(m) >= desc_i.act_planes ? '0 :
        what_q1.act_pass == 4'(Pass) ? entry[Lane*dse_pkg::Width+:dse_pkg::Width] :
        what_q1.act_pass > 4'(Pass) ? planes_q[m*dse_pkg::Width+:dse_pkg::Width] : '0;
  end
  always_ff @(posedge clk_i) if (issue_q1) planes_q <= planes;

  for (genvar w = 0; w < dse_pkg::Width; w++) begin : gen_lane
    logic [dse_pkg::MaxAct-1:0]     code;
    logic [dse_pkg::VectorBits-1:0] so_far, next, value_q, leaving_q;
    for (genvar m = 0; m < dse_pkg::MaxAct; m++) begin : gen_bit
      assign code[m] = planes[m*dse_pkg::Width+w];
    end
    assign so_far = what_q1.first ? '0 : value_q;
    always_comb begin
      next = so_far;
      if (what_q1.last_plane && inside_q1) begin
        if (!desc_i.maximum) next = so_far + dse_pkg::VectorBits'(code);
        else if (dse_pkg::VectorBits'(code) > so_far) next = dse_pkg::VectorBits'(code);
      end
    end
    always_ff @(posedge clk_i) begin
      if (issue_q1) value_q <= next;
      if (move_o) leaving_q <= value_q;
      else if (shift_i && w + dse_pkg::Rows < dse_pkg::Width) leaving_q <= value_o[w+dse_pkg::Rows<dse_pkg::Width?w+dse_pkg::Rows : w];
    end
    assign value_o[w] = leaving_q;
  end

  assign move_o = issue_q2 && what_q2.last;
  assign result_o = what_q2.result;
endmodule
