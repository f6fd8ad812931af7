// Takes finished rows from the accumulators, saturates them to int8 and writes `out_elements` of
// them in a cycle. Tiles come in order; a credit stands for each row of sums that is complete.
module output_stage
  import engine_types::*;
#(
    parameter int COLS = 8,
    parameter int TILES = 64
) (
    input logic clk,
    input logic reset,
    input logic [15:0] out_elements,
    input logic push,  // a tile whose rows will come
    input tile_t push_tile,
    input logic row_complete,
    // Read port of the accumulators; data is there in the next cycle.
    output logic [15:0] acc_row,
    input logic [COLS-1:0][31:0] acc_data,
    // To the scratchpad.
    output logic [15:0] write_count,
    output logic [31:0] write_address,
    output logic [COLS-1:0][7:0] write_data,
    output logic done,     // the last element of a command is written
    output logic overflow
);
  tile_t queue[TILES];
  logic [$clog2(TILES)-1:0] head, tail;
  logic [$clog2(TILES):0] waiting;
  logic [15:0] m, column;
  int credits;

  tile_t tile;
  logic active, row_end, tile_end;
  assign tile = queue[head];
  assign active = credits > 0;
  assign row_end = active && int'(column) + int'(out_elements) >= int'(tile.cols);
  assign tile_end = row_end && m + 1 == tile.m;
  assign acc_row = tile.acc_base + m;
  assign overflow = waiting == ($clog2(TILES) + 1)'(TILES) && push && !tile_end;

  logic [15:0] first;  // column of the elements that are written
  logic last;

  always_ff @(posedge clk) begin
    if (push) queue[tail] <= push_tile;
    if (push) tail <= tail + 1;
    if (tile_end) head <= head + 1;
    waiting <= waiting + (push ? 1 : 0) - (tile_end ? 1 : 0);
    credits <= credits + (row_complete ? 1 : 0) - (row_end ? 1 : 0);
    if (active) column <= row_end ? 0 : column + out_elements;
    if (row_end) m <= tile_end ? 0 : m + 1;

    first <= column;
    last <= tile_end && tile.last;
    write_address <= tile.out_base + 32'(m) * tile.out_stride + 32'(column);
    write_count <= !active ? 0 : row_end ? tile.cols - column : out_elements;

    if (reset) begin
      {head, tail} <= 0;
      waiting <= 0;
      {m, column} <= 0;
      credits <= 0;
      write_count <= 0;
      last <= 0;
    end
  end

  function automatic logic [7:0] saturated(input logic signed [31:0] sum);
    return sum > 127 ? 8'h7f : sum < -128 ? 8'h80 : sum[7:0];
  endfunction

  always_comb begin
    write_data = 0;
    for (int i = 0; i < COLS; ++i)
      if (i < int'(write_count)) write_data[i] = saturated(acc_data[int'(first)+i]);
  end
  assign done = last;
endmodule
