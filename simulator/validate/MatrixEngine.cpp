//===- MatrixEngine.cpp - Timing of the matrix engine ---------------------===//
//
// matrix-commands: rows, cols, shadow (a second set of weights), load_bytes and out_elements (a
// cycle), commands: a list of [m, n, k, clears, emits], the last two 0 or 1. The figure is the
// end of the last command, in cycles from the first one's issue. Ports never bind.
// convolution-busy: rows (input channels), cols (output channels) of a dot-product engine;
// height, width (of the output), out, in (channels), kernel: [height, width].
//
//===----------------------------------------------------------------------===//

#include "simulator/validate/MatrixEngine.h"

#include "simulator/core/Simulator.h"
#include "simulator/validate/Evaluators.h"

using namespace llvm;

namespace npucc {

namespace {

constexpr int64_t kLargest = 1 << 16;

LoopDim loop(int64_t extent, LoopRole role, bool reduction = false) {
  LoopDim dim;
  dim.extent = extent;
  dim.role = role;
  dim.reduction = reduction;
  return dim;
}

Operand operand(Space space, int64_t offset, ElementType type, ArrayRef<int64_t> strides) {
  Operand o;
  o.address.space = space;
  o.address.offset.constant = offset;
  o.type = type;
  o.strides.assign(strides.begin(), strides.end());
  return o;
}

/// All of a command, from the start of each memory.
MatrixCommand product(const MatrixSeries::Command &c) {
  MatrixCommand command;
  command.dims = {loop(c.m, LoopRole::Stream), loop(c.n, LoopRole::OutChannel),
                  loop(c.k, LoopRole::InChannel, true)};
  command.a = operand(Space::Spm, 0, ElementType::Int8, {c.k, 0, 1});
  command.b = operand(Space::Spm, c.m * c.k, ElementType::Int8, {0, 1, c.n});
  command.accumulator = operand(Space::Acc, 0, ElementType::Int32, {4 * c.n, 4, 0});
  command.out = operand(Space::Spm, (c.m + c.n) * c.k, ElementType::Int8, {c.n, 1, 0});
  command.hasEpilogue = c.emits;
  BodyInst sum;
  sum.op = BodyOp::Input;
  sum.isFloat = false;
  sum.a = 0;
  command.epilogue.insts = {sum};
  command.epilogue.yields = {0};
  command.clearIf.always = c.clears;
  command.clearIf.equals = c.clears ? 0 : 1; // of a constant 0: never
  return command;
}

/// Memories and ports that never bind; 1 GHz.
Machine wideMachine() {
  Machine m;
  m.name = "array";
  m.clockHz = m.control.clockHz = 1e9;
  m.matrix.precisions = {{"int8", 1}};
  m.matrix.colDims = {LoopRole::OutChannel};
  m.matrix.accumulatorBytes = int64_t(1) << 30;
  m.scratchpad.bytes = int64_t(1) << 32;
  m.scratchpad.readBytesPerCycle = m.scratchpad.writeBytesPerCycle = kLargest;
  m.dma.bytesPerCycle = 64;
  return m;
}

} // namespace

Expected<MatrixSeries> readMatrixSeries(Fields &fields) {
  MatrixSeries series;
  fields.integer("rows", series.rows, 1, kLargest);
  fields.integer("cols", series.cols, 1, kLargest);
  fields.integer("load_bytes", series.loadBytes, 1, kLargest);
  fields.integer("out_elements", series.outElements, 1, kLargest);
  fields.boolean("shadow", series.shadow);
  const DataNode *list = fields.find("commands");
  for (const DataNode &node : list ? ArrayRef<DataNode>(list->children) : ArrayRef<DataNode>()) {
    if (node.children.size() != 5) {
      fields.error(node, "a command is a list [m, n, k, clears, emits]");
      continue;
    }
    double value[5] = {};
    for (size_t i = 0; i < 5; ++i)
      fields.numberAt(node.children[i], "commands", i < 3 ? 1 : 0, i < 3 ? kLargest : 1, value[i]);
    series.commands.push_back(
        {int64_t(value[0]), int64_t(value[1]), int64_t(value[2]), value[3] != 0, value[4] != 0});
  }
  if (list && series.commands.empty())
    fields.error(*list, "commands must be a list of at least one command");
  if (Error error = fields.done())
    return std::move(error);
  return series;
}

Expected<Figure> matrixCommands(Fields &fields, Networks &) {
  Expected<MatrixSeries> series = readMatrixSeries(fields);
  if (!series)
    return series.takeError();
  Machine machine = wideMachine();
  machine.matrix.rows = series->rows;
  machine.matrix.cols = series->cols;
  machine.matrix.rowDims = {LoopRole::InChannel, LoopRole::Window};
  machine.matrix.shadowWeights = series->shadow;
  machine.matrix.weightLoadBytesPerCycle = series->loadBytes;
  machine.matrix.outputElementsPerCycle = series->outElements;
  Program program;
  program.spmBytes = machine.scratchpad.bytes;
  program.accBytes = machine.matrix.accumulatorBytes;
  Stream stream{EngineKind::Matrix, 0, {}};
  for (const MatrixSeries::Command &command : series->commands) {
    auto index = static_cast<uint32_t>(program.matrix.size());
    program.layers.push_back({"command", "MatMul", 0, false, -1, 0});
    program.commands.push_back({CommandKind::Matrix, static_cast<int32_t>(index), index});
    stream.code.push_back({Instruction::Kind::Run, static_cast<int32_t>(index), false});
    program.matrix.push_back(product(command));
  }
  program.streams = {std::move(stream)};
  SimulationOptions options;
  options.functional = false;
  Expected<SimulationResult> result = simulate(program, machine, {}, options);
  if (!result)
    return result.takeError();
  return Figure{double(result->layers.back().lastCycle - result->layers.front().firstCycle), ""};
}

MatrixCommand convolutionCommand(const ConvolutionShape &s) {
  MatrixSeries::Command all{s.height * s.width, s.out, s.in * s.kernelHeight * s.kernelWidth, true,
                            true};
  MatrixCommand command = product(all); // addresses
  int64_t inWidth = s.width + s.kernelWidth - 1;
  command.dims = {loop(s.height, LoopRole::Stream),
                  loop(s.width, LoopRole::Stream),
                  loop(s.out, LoopRole::OutChannel),
                  loop(s.kernelHeight, LoopRole::Window, true),
                  loop(s.kernelWidth, LoopRole::Window, true),
                  loop(s.in, LoopRole::InChannel, true)};
  command.a.strides = {inWidth * s.in, s.in, 0, inWidth * s.in, s.in, 1};
  command.b.strides = {0, 0, 1, s.kernelWidth * s.in * s.out, s.in * s.out, s.out};
  command.accumulator.strides = {4 * s.width * s.out, 4 * s.out, 4, 0, 0, 0};
  command.out.strides = {s.width * s.out, s.out, 1, 0, 0, 0};
  return command;
}

void readConvolution(Fields &fields, ConvolutionShape &shape) {
  for (auto [key, value] : {std::pair<StringRef, int64_t *>{"height", &shape.height},
                            {"width", &shape.width},
                            {"out", &shape.out},
                            {"in", &shape.in}})
    fields.integer(key, *value, 1, kLargest);
  const DataNode *kernel = fields.find("kernel");
  if (!kernel)
    return;
  double height = 1, width = 1;
  if (kernel->children.size() != 2)
    return fields.error(*kernel, "kernel is a list [height, width]");
  fields.numberAt(kernel->children[0], "kernel", 1, kLargest, height);
  fields.numberAt(kernel->children[1], "kernel", 1, kLargest, width);
  shape.kernelHeight = int64_t(height);
  shape.kernelWidth = int64_t(width);
}

Expected<Figure> convolutionBusy(Fields &fields, Networks &) {
  Machine machine = wideMachine();
  machine.matrix.kind = MatrixKind::DotProduct;
  machine.matrix.rowDims = {LoopRole::InChannel};
  machine.matrix.weightLoadBytesPerCycle = machine.matrix.outputElementsPerCycle = kLargest;
  ConvolutionShape shape;
  fields.integer("rows", machine.matrix.rows, 1, kLargest);
  fields.integer("cols", machine.matrix.cols, 1, kLargest);
  readConvolution(fields, shape);
  if (Error error = fields.done())
    return std::move(error);
  MatrixCommand command = convolutionCommand(shape);
  SmallVector<int64_t, 8> extents;
  for (const LoopDim &dim : command.dims)
    extents.push_back(dim.extent);
  return Figure{double(matrixCost(command, extents, true, true, machine).workCycles), ""};
}

} // namespace npucc
