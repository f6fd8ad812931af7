// What the units of the matrix engine tell each other.
package engine_types;
  // out[m, n] (+)= sum over k of a[m, k] * b[k, n]. Weights lie tile by tile, column tiles outside,
  // each tile row by row and from a whole word on. Accumulator rows: acc_base + column tile * m + row.
  typedef struct packed {
    logic [15:0] m, n, k;
    logic [31:0] a_base, a_stride;  // bytes
    logic [31:0] weight_base;       // words
    logic [15:0] acc_base;          // rows
    logic [31:0] out_base, out_stride;  // bytes
    logic clear;  // start from zero
    logic emit;   // send the sums through the output stage
  } command_t;

  // One stationary tile of a command.
  typedef struct packed {
    logic [15:0] m, rows, cols;
    logic [31:0] a_base, a_stride;
    logic [15:0] acc_base;
    logic [31:0] out_base, out_stride;
    logic clear, emit;
    logic first, last;  // of its command
  } tile_t;

  // Travels beside a row of activations.
  typedef struct packed {
    logic valid, clear, emit, last;
    logic [15:0] acc_row;
    logic [15:0] cols;
  } tag_t;
endpackage
