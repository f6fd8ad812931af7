//===- Technology.h - Energy per action ---------------------------*- C++ -*-===//
//
// models/technology/*.yaml: a node and its nominal voltage. What a component costs there follows
// from the library (models/energy); a technology file may replace the energy of an action.
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
  /// Overrides: "<component>.<action>" -> energy at the nominal voltage ("matrix.mac_int8",
  /// "scratchpad.read_byte", ...), in place of what the library composes.
  std::map<std::string, Constant> energyPj;
};

} // namespace npucc
