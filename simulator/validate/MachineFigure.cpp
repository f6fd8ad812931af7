//===- MachineFigure.cpp - Energy and area of a machine file's core -------===//
//
// machine: a file of models/npu; rows, cols, scratchpad_bytes, technology, voltage_v: what differs
// from it (buses grow with the array); only: the one precision that is left. figure: area_mm2 of
// the matrix engine and the scratchpad, or power_w while the engine runs a convolution (fields as
// convolution-busy) at full rate: its energy and the scratchpad's, with their leakage and clock
// tree, without DRAM and control core.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Energy.h"
#include "simulator/validate/Evaluators.h"
#include "simulator/validate/MatrixEngine.h"

using namespace llvm;

namespace npucc {

namespace {

/// The machine with another array, everything beside it in proportion.
void resize(Machine &machine, int64_t rows, int64_t cols, int64_t scratchpadBytes) {
  MatrixEngine &engine = machine.matrix;
  auto times = [](int64_t value, int64_t to, int64_t from) {
    return std::max<int64_t>(1, value * to / std::max<int64_t>(from, 1));
  };
  machine.scratchpad.readBytesPerCycle =
      times(machine.scratchpad.readBytesPerCycle, rows, engine.rows);
  machine.scratchpad.writeBytesPerCycle =
      times(machine.scratchpad.writeBytesPerCycle, cols, engine.cols);
  engine.weightLoadBytesPerCycle = times(engine.weightLoadBytesPerCycle, rows, engine.rows);
  engine.outputElementsPerCycle = times(engine.outputElementsPerCycle, cols, engine.cols);
  engine.accumulatorBytes = times(engine.accumulatorBytes, cols, engine.cols);
  engine.rows = rows;
  engine.cols = cols;
  machine.scratchpad.bytes = scratchpadBytes;
}

Figure area(const EnergyModel &model) {
  Bounded sum = model.area().matrix;
  sum += model.area().scratchpad;
  Figure figure;
  figure.value = sum.value;
  figure.low = sum.low;
  figure.high = sum.high;
  return figure;
}

Figure power(const EnergyModel &model, const Machine &machine, const ConvolutionShape &shape) {
  MatrixCommand command = convolutionCommand(shape);
  SmallVector<int64_t, 8> extents;
  for (const LoopDim &dim : command.dims)
    extents.push_back(dim.extent);
  CommandCost cost = matrixCost(command, extents, true, true, machine);
  double seconds = double(cost.cycles) / machine.clockHz;
  Energy energy = model.sampled(cost.actions, seconds);
  Bounded sum = energy[Component::Matrix];
  sum += energy[Component::Scratchpad];
  sum = sum.scaled(1 / seconds);
  EnergyModel::StaticPower leakage = model.staticPower();
  for (const Bounded *part : {&leakage.matrix, &leakage.scratchpad, &leakage.clock})
    sum += *part;
  Figure figure;
  figure.value = sum.value;
  figure.low = sum.low;
  figure.high = sum.high;
  figure.note = std::to_string(int(shape.macs() / double(cost.cycles) /
                                       double(machine.matrix.rows * machine.matrix.cols) * 100 +
                                   0.5)) +
                " % of the elements busy";
  return figure;
}

} // namespace

Expected<Figure> machineFigure(Fields &fields, Networks &) {
  static const StringRef kFigures[] = {"area_mm2", "power_w"};
  constexpr int64_t kMost = 1 << 16;
  std::string name, technology, only;
  int64_t rows = 0, cols = 0, bytes = 0;
  double voltage = 0;
  size_t figure = 0;
  ConvolutionShape shape;
  fields.text("machine", name);
  fields.integer("rows", rows, 1, kMost, DataMap::Optional);
  fields.integer("cols", cols, 1, kMost, DataMap::Optional);
  fields.integer("scratchpad_bytes", bytes, 1, int64_t(1) << 40, DataMap::Optional);
  fields.text("technology", technology, DataMap::Optional);
  fields.text("only", only, DataMap::Optional);
  fields.number("voltage_v", voltage, 0.1, 5, DataMap::Optional);
  fields.choice("figure", kFigures, figure);
  if (figure == 1)
    readConvolution(fields, shape);
  if (Error error = fields.done())
    return std::move(error);
  Expected<Machine> machine = loadMachine(name);
  if (!machine)
    return machine.takeError();
  if (!only.empty()) {
    auto found = machine->matrix.precisions.find(only);
    if (found == machine->matrix.precisions.end())
      return createStringError(name + " has no precision '" + only + "'");
    machine->matrix.precisions = {{only, found->second}};
  }
  if (!technology.empty()) {
    Expected<Technology> other = loadTechnology(technology);
    if (!other)
      return other.takeError();
    machine->technology = std::move(*other);
    machine->voltageV = machine->technology.nominalVoltageV;
  }
  if (voltage > 0)
    machine->voltageV = voltage;
  resize(*machine, rows > 0 ? rows : machine->matrix.rows, cols > 0 ? cols : machine->matrix.cols,
         bytes > 0 ? bytes : machine->scratchpad.bytes);
  EnergyModel model(*machine);
  return figure == 0 ? area(model) : power(model, *machine, shape);
}

} // namespace npucc
