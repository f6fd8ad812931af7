// ROWS x COLS processing elements with their skew.
//
// What comes in belongs to one moment: a row of activations, rows of weights. Row r waits r cycles
// in the skew registers, column c of the weights c cycles, so that everything that meets in an
// element has come the same way. Behind the last row column c waits COLS - 1 - c cycles, so that a
// row of sums leaves as one word, ROWS + COLS - 1 cycles after its activations came.
module systolic_array #(
    parameter int ROWS = 8,
    parameter int COLS = 8,
    parameter bit SHADOW = 1,
    parameter int LANES = 2,
    parameter int ROW_BITS = $clog2(ROWS)
) (
    input logic clk,
    input logic [ROWS-1:0][7:0] activations,
    input logic swap,
    input logic [LANES-1:0] weight_valid,
    input logic [LANES-1:0][ROW_BITS-1:0] weight_row,
    input logic [LANES-1:0][COLS-1:0][7:0] weights,
    output logic [COLS-1:0][31:0] sums
);
  // [row][column]: what enters element (row, column).
  logic signed [7:0] a[ROWS][COLS+1];
  logic swaps[ROWS][COLS+1];
  logic signed [31:0] partial[ROWS+1][COLS];
  logic [LANES-1:0] valid[ROWS+1][COLS];
  logic [LANES-1:0][ROW_BITS-1:0] row[ROWS+1][COLS];
  logic [LANES-1:0][7:0] w[ROWS+1][COLS];

  for (genvar r = 0; r < ROWS; ++r) begin : gen_rows
    if (r == 0) begin : gen_first
      assign a[r][0] = activations[0];
      assign swaps[r][0] = swap;
    end else begin : gen_skew
      logic [r-1:0][7:0] a_skew;
      logic [r-1:0] swap_skew;
      always_ff @(posedge clk) begin
        a_skew[0] <= activations[r];
        swap_skew[0] <= swap;
        for (int i = 1; i < r; ++i) begin
          a_skew[i] <= a_skew[i-1];
          swap_skew[i] <= swap_skew[i-1];
        end
      end
      assign a[r][0] = a_skew[r-1];
      assign swaps[r][0] = swap_skew[r-1];
    end
    for (genvar c = 0; c < COLS; ++c) begin : gen_elements
      pe #(
          .SHADOW(SHADOW),
          .ROW(r),
          .ROW_BITS(ROW_BITS),
          .LANES(LANES)
      ) element (
          .clk,
          .a_in(a[r][c]),
          .swap_in(swaps[r][c]),
          .a_out(a[r][c+1]),
          .swap_out(swaps[r][c+1]),
          .sum_in(partial[r][c]),
          .sum_out(partial[r+1][c]),
          .weight_valid_in(valid[r][c]),
          .weight_row_in(row[r][c]),
          .weight_in(w[r][c]),
          .weight_valid_out(valid[r+1][c]),
          .weight_row_out(row[r+1][c]),
          .weight_out(w[r+1][c])
      );
    end
  end

  for (genvar c = 0; c < COLS; ++c) begin : gen_columns
    logic [LANES-1:0][7:0] packet;
    for (genvar lane = 0; lane < LANES; ++lane) begin : gen_lanes
      assign packet[lane] = weights[lane][c];
    end
    assign partial[0][c] = 0;
    if (c == 0) begin : gen_first
      assign valid[0][c] = weight_valid;
      assign row[0][c] = weight_row;
      assign w[0][c] = packet;
    end else begin : gen_skew
      logic [LANES-1:0] valid_skew[c];
      logic [LANES-1:0][ROW_BITS-1:0] row_skew[c];
      logic [LANES-1:0][7:0] w_skew[c];
      always_ff @(posedge clk) begin
        valid_skew[0] <= weight_valid;
        row_skew[0] <= weight_row;
        w_skew[0] <= packet;
        for (int i = 1; i < c; ++i) begin
          valid_skew[i] <= valid_skew[i-1];
          row_skew[i] <= row_skew[i-1];
          w_skew[i] <= w_skew[i-1];
        end
      end
      assign valid[0][c] = valid_skew[c-1];
      assign row[0][c] = row_skew[c-1];
      assign w[0][c] = w_skew[c-1];
    end
    localparam int WAIT = COLS - 1 - c;
    if (WAIT == 0) begin : gen_last
      assign sums[c] = partial[ROWS][c];
    end else begin : gen_deskew
      logic [31:0] deskew[WAIT];
      always_ff @(posedge clk) begin
        deskew[0] <= partial[ROWS][c];
        for (int i = 1; i < WAIT; ++i) deskew[i] <= deskew[i-1];
      end
      assign sums[c] = deskew[WAIT-1];
    end
  end
endmodule
