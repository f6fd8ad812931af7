//===- Actions.cpp - Names and sums of counted actions ------------------------===//
//
// The names are the keys of models/technology/*.yaml and of the report's "actions".
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Cost.h"

namespace npucc {

const char *actionName(Action action) {
  switch (action) {
  case Action::MacInt8:
    return "matrix.mac_int8";
  case Action::MacInt16:
    return "matrix.mac_int16";
  case Action::MacFp8:
    return "matrix.mac_fp8";
  case Action::MacFp16:
    return "matrix.mac_fp16";
  case Action::MacBf16:
    return "matrix.mac_bf16";
  case Action::MacFp32:
    return "matrix.mac_fp32";
  case Action::WeightLoadByte:
    return "matrix.weight_load_byte";
  case Action::AccumulatorReadByte:
    return "matrix.accumulator_read_byte";
  case Action::AccumulatorWriteByte:
    return "matrix.accumulator_write_byte";
  case Action::OutputElement:
    return "matrix.output_element";
  case Action::VectorOp:
    return "vector.op";
  case Action::ScratchpadReadByte:
    return "scratchpad.read_byte";
  case Action::ScratchpadWriteByte:
    return "scratchpad.write_byte";
  case Action::DmaByte:
    return "dma.byte";
  case Action::NocByte:
    return "noc.byte";
  case Action::DramReadByte:
    return "dram.read_byte";
  case Action::DramWriteByte:
    return "dram.write_byte";
  case Action::DramActivate:
    return "dram.activate";
  case Action::ControlCommand:
    return "control.command";
  case Action::HostOp:
    return "control.op";
  case Action::HostByte:
    return "control.byte";
  case Action::Count:
    break;
  }
  return "unknown";
}

Actions &Actions::operator+=(const Actions &other) {
  for (size_t i = 0; i < count.size(); ++i)
    count[i] += other.count[i];
  return *this;
}

} // namespace npucc
