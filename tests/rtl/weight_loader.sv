// Brings the tiles of the queued commands into the array, one after the other.
//
// A word of `load_bytes` is read in a cycle. Behind the read register a width converter makes rows
// of it: as many in a cycle as a whole word can fill (LANES at most), so a narrow tile takes its
// rows one by one although a word holds several.
module weight_loader
  import engine_types::*;
#(
    parameter int ROWS = 8,
    parameter int COLS = 8,
    parameter bit SHADOW = 1,
    parameter int LANES = 2,
    parameter int ROW_BITS = $clog2(ROWS),
    parameter int WORD = LANES * COLS
) (
    input logic clk,
    input logic reset,
    input logic [15:0] load_bytes,
    // The command whose tiles are loaded next.
    input logic command_valid,
    input command_t command,
    output logic command_done,
    // Scratchpad.
    output logic read,
    output logic [31:0] read_word,
    input logic [WORD-1:0][7:0] read_data,
    // To the array.
    output logic [LANES-1:0] weight_valid,
    output logic [LANES-1:0][ROW_BITS-1:0] weight_row,
    output logic [LANES-1:0][COLS-1:0][7:0] weights,
    // To the feeder: `tile` is in the array, its last row in this cycle at the latest.
    output logic ready,
    output tile_t tile,
    input logic take,
    input logic streaming
);
  localparam int CAPACITY = WORD + LANES * COLS;

  // Where the command stands.
  logic [15:0] k0, n0, n_index;
  logic [31:0] next_word;
  logic command_open;  // next_word is the command's

  // The tile on its way.
  logic busy, loaded;
  logic [15:0] row;
  int bytes_left, held;
  logic [CAPACITY-1:0][7:0] converter;  // byte 0 is the oldest

  tile_t next_tile;
  logic last_k, last_n, start, finish, fetch;
  int lanes, rows_now, used;

  assign last_k = 32'(k0) + ROWS >= 32'(command.k);
  assign last_n = 32'(n0) + COLS >= 32'(command.n);
  always_comb begin
    next_tile.m = command.m;
    next_tile.rows = last_k ? command.k - k0 : 16'(ROWS);
    next_tile.cols = last_n ? command.n - n0 : 16'(COLS);
    next_tile.a_base = command.a_base + 32'(k0);
    next_tile.a_stride = command.a_stride;
    next_tile.acc_base = command.acc_base + n_index * command.m;
    next_tile.out_base = command.out_base + 32'(n0);
    next_tile.out_stride = command.out_stride;
    next_tile.clear = command.clear && k0 == 0;
    next_tile.emit = command.emit && last_k;
    next_tile.first = k0 == 0 && n0 == 0;
    next_tile.last = last_k && last_n;
  end

  // The converter's rows of this cycle.
  assign lanes = int'(load_bytes) > COLS ? LANES : 1;
  always_comb begin
    rows_now = 0;
    weight_valid = 0;
    weight_row = 0;
    weights = 0;
    for (int lane = 0; lane < LANES; ++lane)
      if (busy && lane < lanes && int'(row) + lane < int'(tile.rows) &&
          held >= (lane + 1) * int'(tile.cols)) begin
        rows_now = lane + 1;
        weight_valid[lane] = 1;
        weight_row[lane] = ROW_BITS'(int'(row) + lane);
        for (int c = 0; c < COLS; ++c)
          if (c < int'(tile.cols)) weights[lane][c] = converter[lane*int'(tile.cols)+c];
      end
    used = rows_now * int'(tile.cols);
  end
  assign finish = busy && int'(row) + rows_now == int'(tile.rows);
  assign ready = loaded || finish;

  // With shadow registers the next tile follows when this one is taken; without, when it has
  // been streamed.
  assign start = command_valid && (SHADOW ? take || (!busy && !loaded)
                                          : !busy && !loaded && !streaming);
  assign fetch = busy && !finish && bytes_left > 0 && held - used <= LANES * COLS;
  assign read = start || fetch;
  assign read_word = start && !command_open ? command.weight_base : next_word;
  assign command_done = start && next_tile.last;

  always_ff @(posedge clk) begin
    if (take) loaded <= 0;
    else if (finish) loaded <= 1;
    if (finish) busy <= 0;
    row <= row + 16'(rows_now);
    if (start) begin
      busy <= 1;
      row <= 0;
      tile <= next_tile;
      bytes_left <= int'(next_tile.rows) * int'(next_tile.cols) - int'(load_bytes);
      command_open <= !next_tile.last;
      k0 <= last_k ? 0 : k0 + 16'(ROWS);
      if (last_k) begin
        n0 <= last_n ? 0 : n0 + 16'(COLS);
        n_index <= last_n ? 0 : n_index + 1;
      end
    end else if (fetch) bytes_left <= bytes_left - int'(load_bytes);
    if (read) next_word <= read_word + 1;

    for (int i = 0; i < CAPACITY; ++i) begin
      // What stays moves down; a new word goes behind it. A tile starts with an empty converter.
      int rest;
      rest = start ? 0 : held - used;
      if (i < rest) converter[i] <= converter[i+used];
      else if (read && i - rest < int'(load_bytes)) converter[i] <= read_data[i-rest];
    end
    held <= (start ? 0 : held - used) + (read ? int'(load_bytes) : 0);

    if (reset) begin
      {k0, n0, n_index} <= 0;
      {busy, loaded, command_open} <= 0;
      held <= 0;
    end
  end
endmodule
