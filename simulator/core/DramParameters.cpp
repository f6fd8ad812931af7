//===- DramParameters.cpp - A DRAM channel in clocks --------------------------===//

#include "simulator/core/DramParameters.h"

#include <algorithm>
#include <cmath>

namespace npucc {

DramParameters::DramParameters(const Machine &machine) {
  const DramStandard &d = machine.dram;
  const int64_t perClock = std::max<int64_t>(1, d.transfersPerClock);
  const double clockNs =
      1e3 * static_cast<double>(perClock) / std::max(d.megaTransfersPerSecond, 1e-3);
  clocksPerCycle = 1e9 / clockNs / std::max(machine.clockHz, 1.0);
  // Whole clocks that cover a time. Data sheets round to 10 ps: a twentieth of a clock at most.
  auto in = [&](double ns) -> Clock {
    return ns > 0 ? std::max<Clock>(1, std::llround(std::ceil(ns / clockNs - 0.05))) : 0;
  };
  burst = std::max<Clock>(1, d.burstLength / perClock);
  rcd = in(d.tRcdNs);
  rcdWrite = in(d.tRcdWriteNs);
  rp = in(d.tRpNs);
  rpAll = std::max(in(d.tRpAllNs), rp);
  ras = in(d.tRasNs);
  rc = in(d.tRcNs);
  cl = in(d.tClNs);
  cwl = in(d.tCwlNs);
  rtp = in(d.tRtpNs);
  wr = in(d.tWrNs);
  faw = in(d.tFawNs);
  rrdShort = in(d.tRrdShortNs);
  rrdLong = std::max(in(d.tRrdLongNs), rrdShort);
  ccdShort = std::max(in(d.tCcdShortNs), burst);
  ccdLong = std::max(in(d.tCcdLongNs), ccdShort);
  ccdLongWrite = std::max(in(d.tCcdLongWriteNs), ccdLong);
  wtrShort = in(d.tWtrShortNs);
  wtrLong = std::max(in(d.tWtrLongNs), wtrShort);
  rtw = in(d.tRtwNs);
  rfc = in(d.tRfcNs);
  rfcBank = in(d.tRfcBankNs);
  perBankRefresh = machine.dramRefreshPerBank && rfcBank > 0;
  refi = static_cast<Clock>(d.tRefiNs / clockNs);
  if (refi > 0) // work goes on between refreshes, whatever the file says
    refi = std::max(refi, 2 * (std::max(rfc, rfcBank) + rpAll + rc));

  closesAfterRead = rtp / ccdShort;
  closesAfterWrite = (cwl + burst + wr) / ccdShort;

  burstBytes = std::max<int64_t>(1, d.channelWidthBits * d.burstLength / 8);
  const int64_t groups = std::max<int64_t>(1, d.bankGroups);
  bankGroups = static_cast<size_t>(groups);
  lanes = std::clamp<int64_t>((ccdLongWrite + burst - 1) / burst, 1, groups);
  while (groups % lanes != 0)
    ++lanes;
  pageBytes = lanes * std::max(d.pageBytes, burstBytes);
  banks = static_cast<size_t>(groups * std::max<int64_t>(1, d.banksPerGroup));
  sets = static_cast<int64_t>(banks) / lanes;
}

size_t DramParameters::bankOf(int64_t page, int64_t lane, int64_t &row) const {
  row = page / sets;
  const auto set =
      static_cast<int64_t>((static_cast<uint64_t>(page) + foldBits(static_cast<uint64_t>(row))) %
                           static_cast<uint64_t>(sets));
  // Neighbouring sets lie in different bank groups.
  const int64_t groupSets = static_cast<int64_t>(bankGroups) / lanes;
  return static_cast<size_t>(set / groupSets * static_cast<int64_t>(bankGroups) +
                             set % groupSets * lanes + lane);
}

} // namespace npucc
