//===- DramParameters.h - A DRAM channel in clocks -----------------*- C++ -*-===//
//
// What the scheduler of a channel needs of a standard: its times in whole clocks of the command
// bus, and where a page lies.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Machine.h"

#include <cstddef>

namespace npucc {

struct DramParameters {
  using Clock = int64_t; ///< of the command bus
  explicit DramParameters(const Machine &machine);

  /// Bank of a page's lane, and the row in it. A page is one row of `lanes` banks in different
  /// bank groups; neighbouring lanes are neighbouring banks.
  size_t bankOf(int64_t page, int64_t lane, int64_t &row) const;

  double clocksPerCycle; ///< of the core
  Clock burst;           ///< data of one column command
  Clock rcd, rcdWrite, rp, rpAll, ras, rc, cl, cwl, rtp, wr, faw, rrdShort, rrdLong;
  Clock ccdShort, ccdLong, ccdLongWrite, wtrShort, wtrLong, rtw;
  Clock refi, rfc, rfcBank; ///< refi 0: no refresh
  /// Bursts at the shortest distance that start until the precharge after a column command.
  int64_t closesAfterRead, closesAfterWrite;
  bool perBankRefresh;
  int64_t burstBytes;
  int64_t lanes;     ///< bank groups that the bursts of a page alternate between, to hide tCCD_L
  int64_t pageBytes; ///< over all lanes
  int64_t sets;      ///< of `lanes` banks
  size_t bankGroups, banks;
};

/// All higher bits folded into the low ones: a permutation-based interleaving in the manner of
/// Zhang, Zhu and Zhang (MICRO 2000).
inline uint64_t foldBits(uint64_t x) {
  for (int shift : {32, 16, 8, 4, 2})
    x ^= x >> shift;
  return x;
}

} // namespace npucc
