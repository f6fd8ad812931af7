// A weight-stationary matrix engine: command queue, weight loader, feeder, array, accumulators and
// output stage. Nothing in it counts the cycles of a command: times come out of its registers.
//
// Registers from a command to its last result, beside the array's own: command queue, scratchpad
// read, accumulator, accumulator read of the output stage, write to the scratchpad. A command that
// only accumulates sends its completion down the same way.
module matrix_engine
  import engine_types::*;
#(
    parameter int ROWS = 8,
    parameter int COLS = 8,
    parameter bit SHADOW = 1,
    parameter int LANES = 2,
    parameter int ACC_ROWS = 8192
) (
    input logic clk,
    input logic reset,
    input logic [15:0] load_bytes,    // 1 to LANES * COLS
    input logic [15:0] out_elements,  // 1 to COLS
    input logic command_valid,
    input command_t command,
    output logic command_ready,
    // Scratchpad: data of an address is taken at the end of the same cycle.
    output logic weight_read,
    output logic [31:0] weight_word,
    input logic [LANES*COLS-1:0][7:0] weight_data,
    output logic a_read,
    output logic [31:0] a_address,
    input logic [ROWS-1:0][7:0] a_data,
    output logic [15:0] write_count,
    output logic [31:0] write_address,
    output logic [COLS-1:0][7:0] write_data,
    output logic done,  // in the last cycle of a command
    output logic overflow,
    // For the test bench: the accumulators' contents.
    input logic [15:0] peek_row,
    output logic [COLS-1:0][31:0] peek_data
);
  localparam int ROW_BITS = $clog2(ROWS);

  // Command queue: four entries.
  command_t queue[4];
  logic [1:0] head, tail;
  logic [2:0] queued;
  logic accept, pop;
  assign command_ready = queued < 4;
  assign accept = command_valid && command_ready;
  always_ff @(posedge clk) begin
    if (accept) queue[tail] <= command;
    if (accept) tail <= tail + 1;
    if (pop) head <= head + 1;
    queued <= queued + (accept ? 1 : 0) - (pop ? 1 : 0);
    if (reset) {head, tail, queued} <= 0;
  end

  // Weights.
  logic [LANES-1:0] weight_valid;
  logic [LANES-1:0][ROW_BITS-1:0] weight_row;
  logic [LANES-1:0][COLS-1:0][7:0] weights;
  logic ready, take;
  tile_t loaded;
  logic streaming;
  weight_loader #(
      .ROWS(ROWS),
      .COLS(COLS),
      .SHADOW(SHADOW),
      .LANES(LANES)
  ) loader (
      .clk,
      .reset,
      .load_bytes,
      .command_valid(queued != 0),
      .command(queue[head]),
      .command_done(pop),
      .read(weight_read),
      .read_word(weight_word),
      .read_data(weight_data),
      .weight_valid,
      .weight_row,
      .weights,
      .ready,
      .tile(loaded),
      .take,
      .streaming
  );

  // Feeder: a row of activations in a cycle. The output stage is slower than the array where
  // `out_elements` is less than a row; a command waits until the one before it owes no output, for
  // it may use the same accumulators.
  tile_t fed, now;
  logic feeding;
  logic [15:0] m, m_now;
  int owed, owes;
  assign take = ready && !feeding && (!loaded.first || owed == 0);
  assign streaming = feeding || take;
  assign now = feeding ? fed : loaded;
  assign m_now = feeding ? m : 0;
  assign a_read = streaming;
  assign a_address = now.a_base + 32'(m_now) * now.a_stride;
  assign owes = owed + (streaming && now.emit
                        ? (int'(now.cols) + int'(out_elements) - 1) / int'(out_elements) : 0);
  logic [ROWS-1:0][7:0] a_row;
  logic swap;
  tag_t tag;
  always_ff @(posedge clk) begin
    if (take) fed <= loaded;
    feeding <= streaming && m_now + 1 < now.m;
    m <= m_now + 1;
    owed <= owes > 0 ? owes - 1 : 0;
    swap <= take;
    for (int r = 0; r < ROWS; ++r) a_row[r] <= streaming && r < int'(now.rows) ? a_data[r] : 0;
    tag.valid <= streaming;
    tag.clear <= now.clear;
    tag.emit <= now.emit;
    tag.last <= now.last && m_now + 1 == now.m;
    tag.acc_row <= now.acc_base + m_now;
    tag.cols <= now.cols;
    if (reset) begin
      feeding <= 0;
      owed <= 0;
      swap <= 0;
      tag.valid <= 0;
    end
  end

  logic [COLS-1:0][31:0] sums;
  systolic_array #(
      .ROWS(ROWS),
      .COLS(COLS),
      .SHADOW(SHADOW),
      .LANES(LANES)
  ) array (
      .clk,
      .activations(a_row),
      .swap,
      .weight_valid,
      .weight_row,
      .weights,
      .sums
  );

  // Tags keep step with their row: one register for each on its way through the array.
  localparam int STEPS = ROWS + COLS - 1;
  tag_t tags[STEPS+1];
  assign tags[0] = tag;
  for (genvar i = 1; i <= STEPS; ++i) begin : gen_tags
    always_ff @(posedge clk) begin
      tags[i] <= tags[i-1];
      if (reset) tags[i].valid <= 0;
    end
  end

  // Accumulators: rows of COLS sums; a row is read while it leaves the array, then added to and
  // written. The same row may follow itself, so the read sees the write of its own cycle.
  tag_t coming, row;
  assign coming = tags[STEPS-1];
  assign row = tags[STEPS];
  logic [COLS-1:0][31:0] accumulators[ACC_ROWS];
  logic [COLS-1:0][31:0] old_sums, new_sums, out_sums;
  logic [15:0] out_row;
  localparam int ACC_BITS = $clog2(ACC_ROWS);
  always_comb
    for (int c = 0; c < COLS; ++c)
      new_sums[c] = c < int'(row.cols) ? (row.clear ? 0 : old_sums[c]) + sums[c] : old_sums[c];
  always_ff @(posedge clk) begin
    if (row.valid && row.acc_row == coming.acc_row) old_sums <= new_sums;
    else old_sums <= accumulators[ACC_BITS'(coming.acc_row)];
    if (row.valid) accumulators[ACC_BITS'(row.acc_row)] <= new_sums;
    out_sums <= accumulators[ACC_BITS'(out_row)];
  end
  assign peek_data = accumulators[ACC_BITS'(peek_row)];

  logic out_done;
  output_stage #(
      .COLS(COLS)
  ) output_unit (
      .clk,
      .reset,
      .out_elements,
      .push(take && loaded.emit),
      .push_tile(loaded),
      .row_complete(row.valid && row.emit),
      .acc_row(out_row),
      .acc_data(out_sums),
      .write_count,
      .write_address,
      .write_data,
      .done(out_done),
      .overflow
  );
  logic [1:0] token;  // completion of a command without output
  always_ff @(posedge clk) begin
    token <= {token[0], row.valid && row.last && !row.emit};
    if (reset) token <= 0;
  end
  assign done = out_done || token[1];
endmodule
