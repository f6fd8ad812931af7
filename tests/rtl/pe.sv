// One processing element: a stationary weight, a multiplier and an adder.
//
// Activations move right, partial sums and weight packets move down, one register each. A weight
// packet names the row that it is for; the element whose row it is keeps the weight. With SHADOW
// it waits in a second register until the first activation of its tile brings `swap`.
module pe #(
    parameter bit SHADOW = 1,
    parameter int ROW = 0,
    parameter int ROW_BITS = 3,
    parameter int LANES = 2
) (
    input logic clk,
    input logic signed [7:0] a_in,
    input logic swap_in,
    output logic signed [7:0] a_out,
    output logic swap_out,
    input logic signed [31:0] sum_in,
    output logic signed [31:0] sum_out,
    input logic [LANES-1:0] weight_valid_in,
    input logic [LANES-1:0][ROW_BITS-1:0] weight_row_in,
    input logic [LANES-1:0][7:0] weight_in,
    output logic [LANES-1:0] weight_valid_out,
    output logic [LANES-1:0][ROW_BITS-1:0] weight_row_out,
    output logic [LANES-1:0][7:0] weight_out
);
  logic signed [7:0] active, shadow, weight;
  assign weight = SHADOW && swap_in ? shadow : active;

  always_ff @(posedge clk) begin
    a_out <= a_in;
    swap_out <= swap_in;
    sum_out <= sum_in + 32'(a_in) * 32'(weight);
    active <= weight;
    for (int lane = 0; lane < LANES; ++lane)
      if (weight_valid_in[lane] && weight_row_in[lane] == ROW_BITS'(ROW)) begin
        if (SHADOW) shadow <= weight_in[lane];
        else active <= weight_in[lane];
      end
    weight_valid_out <= weight_valid_in;
    weight_row_out <= weight_row_in;
    weight_out <= weight_in;
  end
endmodule
