//===- Dram.h - Organisation, timing and energy of a DRAM standard -*- C++ -*-===//
#pragma once

#include "models/machine/Technology.h"

#include <cstdint>
#include <string>

namespace npucc {

/// Energies of one channel. Reads and writes hold column access, data movement and the
/// interface at both ends; opening rows is counted apart (DramActivate). Refreshes come at a
/// fixed rate whatever the traffic, so that they are a static power beside that of standby. The
/// voltage of the NPU does not scale any of them.
struct DramEnergy {
  Constant readPjPerBit, writePjPerBit;
  Constant activatePj;            ///< activate + precharge of one page (pageBytes)
  Constant refreshPj;             ///< one all-bank refresh (every tREFI)
  Constant backgroundWPerChannel; ///< active standby, for channelWidthBits
};

/// One standard and speed grade; times in ns as in the data sheet (models/dram/*.yaml,
/// each with its source). A channel is the unit with its own command bus. Short (_S) spacings
/// hold between bank groups, long (_L) ones within a group.
struct DramStandard {
  std::string name, source;
  double megaTransfersPerSecond = 0; ///< per pin
  int64_t transfersPerClock = 2;     ///< of the clock that commands are issued with
  int64_t channelWidthBits = 16;     ///< data pins of one channel
  int64_t burstLength = 16;          ///< transfers per column access
  int64_t bankGroups = 4, banksPerGroup = 4;
  int64_t pageBytes = 2048;           ///< row buffer of one bank and channel
  double tRcdNs = 0, tRcdWriteNs = 0; ///< activate to read, to write
  double tRpNs = 0, tRpAllNs = 0;     ///< precharge of a bank, of all banks
  double tRasNs = 0, tRcNs = 0;       ///< activate to precharge, to activate
  double tClNs = 0, tCwlNs = 0;       ///< read and write command to data
  double tRtpNs = 0, tWrNs = 0;       ///< to precharge: from a read command, from written data
  double tFawNs = 0;                  ///< at most four activates within
  double tRrdShortNs = 0, tRrdLongNs = 0;
  double tCcdShortNs = 0, tCcdLongNs = 0, tCcdLongWriteNs = 0;
  double tWtrShortNs = 0, tWtrLongNs = 0; ///< written data to read command
  double tRtwNs = 0;                      ///< read to write command
  double tRefiNs = 0, tRfcNs = 0;         ///< all-bank refresh
  double tRfcBankNs = 0;                  ///< refresh of one bank; 0: the standard has none
  DramEnergy energy;
};

} // namespace npucc
