//===- Technology.h - Energy per action ---------------------------*- C++ -*-===//
//
// models/technology/*.yaml. Energies are per action of a component, in pJ, at the
// table's node and nominal voltage, each with unit, source and interval.
// docs/energy.md has the derivations.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"

#include <map>
#include <string>

namespace npucc {

struct Constant {
  double value = 0, low = 0, high = 0;
  std::string unit, source, confidence; ///< confidence: "high", "medium" or "low"
};

struct Technology {
  std::string name;
  double nodeNm = 0, nominalVoltageV = 0;
  /// "<component>.<action>" -> energy, e.g. "matrix.mac_int8", "scratchpad.read_byte",
  /// "vector.op", "dma.byte", "noc.byte", "control.command". DRAM: DramStandard::energy.
  std::map<std::string, Constant> energyPj;
  /// "<component>.<what>" -> static power: "scratchpad.leakage_w_per_mib",
  /// "matrix.leakage_w_per_element", "vector.leakage_w_per_lane", "core.base_w".
  std::map<std::string, Constant> staticW;
  /// Energies of SRAM hold at these sizes; at another size they are multiplied by
  /// (bytes / reference) ^ exponent.
  int64_t sramReferenceBytes = 1 << 20, accumulatorReferenceBytes = 4096;
  double sramSizeExponent = 0;
};

} // namespace npucc
