//===- Dump.cpp - A machine as YAML ---------------------------------------===//

#include "models/machine/Machine.h"

#include "llvm/Support/raw_ostream.h"

#include <cstdio>

using namespace llvm;

namespace npucc {

namespace {

/// Enough digits to read the same double back, few where few do.
std::string digits(double value) {
  char buffer[40];
  for (int precision : {6, 10, 17}) {
    snprintf(buffer, sizeof buffer, "%.*g", precision, value);
    if (std::strtod(buffer, nullptr) == value)
      break;
  }
  return buffer;
}

const char *kindName(MatrixKind kind) {
  switch (kind) {
  case MatrixKind::Systolic:
    return "systolic";
  case MatrixKind::DotProduct:
    return "dot_product";
  case MatrixKind::RowStationary:
    return "row_stationary";
  case MatrixKind::InMemory:
    return "in_memory";
  }
  return "systolic";
}

const char *stationaryName(Stationary stationary) {
  switch (stationary) {
  case Stationary::Weight:
    return "weight";
  case Stationary::Input:
    return "input";
  case Stationary::Output:
    return "output";
  }
  return "weight";
}

std::string roles(ArrayRef<LoopRole> list) {
  static const char *const kNames[] = {"batch",      "stream", "out_channel",
                                       "in_channel", "window", "other"};
  std::string text = "[";
  for (LoopRole role : list)
    text += (text.size() > 1 ? ", " : "") + std::string(kNames[static_cast<size_t>(role)]);
  return text + "]";
}

std::string flow(const std::map<std::string, double> &values) {
  std::string text = "{";
  for (const auto &[key, value] : values)
    text += (text.size() > 1 ? ", " : "") + key + ": " + digits(value);
  return text + "}";
}

/// Any text as a YAML scalar.
std::string quoted(StringRef text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

} // namespace

std::string dumpMachine(const Machine &machine) {
  std::string text;
  raw_string_ostream os(text);
  const MatrixEngine &matrix = machine.matrix;
  os << "name: " << quoted(machine.name) << "\n"
     << "technology: " << machine.technologyName << "\n"
     << "voltage_v: " << digits(machine.voltageV) << "\n"
     << "clock_hz: " << digits(machine.clockHz) << "\n"
     << "core:\n"
     << "  count: " << machine.cores << "\n"
     << "  matrix:\n"
     << "    kind: " << kindName(matrix.kind) << "\n"
     << "    rows: " << matrix.rows << "\n"
     << "    cols: " << matrix.cols << "\n"
     << "    stationary: " << stationaryName(matrix.stationary) << "\n"
     << "    unroll: {rows: " << roles(matrix.rowDims) << ", cols: " << roles(matrix.colDims)
     << "}\n"
     << "    precisions: " << flow(matrix.precisions) << "\n"
     << "    accumulator_bytes: " << matrix.accumulatorBytes << "\n"
     << "    weight_load_bytes_per_cycle: " << matrix.weightLoadBytesPerCycle << "\n"
     << "    shadow_weights: " << (matrix.shadowWeights ? "true" : "false") << "\n"
     << "    output_elements_per_cycle: " << matrix.outputElementsPerCycle << "\n"
     << "    pipeline_cycles: " << matrix.pipelineCycles << "\n"
     << "  vector:\n"
     << "    lanes: " << machine.vector.lanes << "\n"
     << "    ops_per_lane_per_cycle: " << digits(machine.vector.opsPerLanePerCycle) << "\n"
     << "    pipeline_cycles: " << machine.vector.pipelineCycles << "\n"
     << "    op_cost: " << flow(machine.vector.opCost) << "\n"
     << "  scratchpad:\n"
     << "    bytes: " << machine.scratchpad.bytes << "\n"
     << "    banks: " << machine.scratchpad.banks << "\n"
     << "    read_bytes_per_cycle: " << machine.scratchpad.readBytesPerCycle << "\n"
     << "    write_bytes_per_cycle: " << machine.scratchpad.writeBytesPerCycle << "\n"
     << "  dma:\n"
     << "    load_channels: " << machine.dma.loadChannels << "\n"
     << "    store_channels: " << machine.dma.storeChannels << "\n"
     << "    bytes_per_cycle: " << machine.dma.bytesPerCycle << "\n"
     << "    setup_cycles: " << machine.dma.setupCycles << "\n"
     << "control:\n"
     << "  kind: " << quoted(machine.control.kind) << "\n"
     << "  clock_hz: " << digits(machine.control.clockHz) << "\n"
     << "  ops_per_cycle: " << digits(machine.control.opsPerCycle) << "\n"
     << "  bytes_per_cycle: " << digits(machine.control.bytesPerCycle) << "\n"
     << "  interrupt_cycles: " << machine.control.interruptCycles << "\n"
     << "dram:\n"
     << "  standard: " << machine.dramStandard << "\n"
     << "  channels: " << machine.dramChannels << "\n"
     << "  width_bits: " << machine.dramWidthBits << "\n"
     << "  refresh: " << (machine.dramRefreshPerBank ? "per_bank" : "all_bank") << "\n";
  return text;
}

} // namespace npucc
