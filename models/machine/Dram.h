//===- Dram.h - Organisation, timing and energy of a DRAM standard -*- C++ -*-===//
#pragma once

#include "models/machine/Technology.h"

#include <cstdint>
#include <string>

namespace npucc {

/// Energies of one channel. Reads and writes hold column access, data movement and the
/// interface at both ends; opening rows is counted apart (DramActivate), and so is what the
/// device draws merely by being on and refreshed. The voltage of the NPU does not scale them.
struct DramEnergy {
  Constant readPjPerBit, writePjPerBit;
  Constant activatePj;            ///< activate + precharge of one page (pageBytes)
  Constant backgroundWPerChannel; ///< standby and refresh, for channelWidthBits
};

/// One standard and speed grade; times in ns as in the data sheet (models/dram/*.yaml,
/// each with its source). A channel is the unit with its own command bus.
struct DramStandard {
  std::string name, source;
  double megaTransfersPerSecond = 0; ///< per pin
  int64_t channelWidthBits = 16;     ///< data pins of one channel
  int64_t burstLength = 16;          ///< transfers per column access
  int64_t bankGroups = 4, banksPerGroup = 4;
  int64_t pageBytes = 2048; ///< row buffer of one bank and channel
  double tRcdNs = 0, tRpNs = 0, tRasNs = 0, tRcNs = 0, tClNs = 0, tCwlNs = 0, tWrNs = 0;
  double tFawNs = 0, tRrdNs = 0, tCcdShortNs = 0, tCcdLongNs = 0, tWtrNs = 0, tRtwNs = 0;
  double tRefiNs = 0, tRfcNs = 0; ///< all-bank refresh
  DramEnergy energy;
};

} // namespace npucc
