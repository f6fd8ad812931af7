//===- DramModel.cpp - DRAM channels, banks and refresh -----------------------===//

#include "simulator/core/DramModel.h"

#include <algorithm>
#include <cmath>

namespace npucc {

DramModel::DramModel(const Machine &machine) : parameters(machine) {
  const int64_t count = std::max<int64_t>(
      1, machine.dramWidthBits / std::max<int64_t>(1, machine.dram.channelWidthBits));
  channelState.reserve(static_cast<size_t>(count));
  for (int64_t c = 0; c < count; ++c)
    channelState.emplace_back(parameters, ledger);
}

DramModel::Clock DramModel::toClock(int64_t cycles) const {
  const double clocks = static_cast<double>(cycles) * parameters.clocksPerCycle - 1e-3;
  return clocks < static_cast<double>(DramChannel::kForever) ? static_cast<Clock>(std::ceil(clocks))
                                                             : DramChannel::kForever;
}

int64_t DramModel::toCycles(Clock clocks) const {
  // The tolerance keeps whole cycles whole.
  return static_cast<int64_t>(
      std::ceil(static_cast<double>(clocks) / parameters.clocksPerCycle - 1e-3));
}

DramModel::Location DramModel::locate(int64_t address) const {
  const auto count = static_cast<int64_t>(channelState.size());
  int64_t block = address / kInterleaveBytes, group = block / count;
  int64_t local = group * kInterleaveBytes + address % kInterleaveBytes;
  int64_t index = local % parameters.pageBytes / parameters.burstBytes;
  Location result{};
  result.channel = (static_cast<size_t>(block % count) + rotation(group)) % channelState.size();
  result.bank =
      parameters.bankOf(local / parameters.pageBytes, index % parameters.lanes, result.row);
  result.burst = index / parameters.lanes;
  return result;
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

size_t DramModel::open(size_t owner) {
  size_t request = ledger.requests.size();
  if (freeRequests.empty()) {
    ledger.requests.emplace_back();
  } else {
    request = freeRequests.back();
    freeRequests.pop_back();
  }
  ledger.requests[request] = {0, 0, 0, 0, false, owner};
  return request;
}

std::optional<int64_t> DramModel::done(size_t request) const {
  const DramLedger::Request &r = ledger.requests[request];
  if (r.waitsFor > 0)
    return std::nullopt;
  return std::max(r.cycle, toCycles(r.done));
}

void DramModel::accessChannel(size_t channel, int64_t from, int64_t to, bool write,
                              size_t request) {
  ++ledger.requests[request].shares;
  ledger.requests[request].writes |= write;
  if (write)
    channelState[channel].write(from, to, request, time);
  else
    channelState[channel].read(from, to, request, time);
}

void DramModel::access(size_t request, int64_t address, int64_t bytes, bool write, int64_t now) {
  advanceTo(toClock(now));
  ledger.requests[request].cycle = now;
  if (bytes <= 0)
    return;
  const auto count = static_cast<int64_t>(channelState.size());
  const int64_t firstBlock = address / kInterleaveBytes;
  const int64_t lastBlock = (address + bytes - 1) / kInterleaveBytes;
  const int64_t offset = address % kInterleaveBytes;
  const int64_t endOffset = (address + bytes - 1) % kInterleaveBytes + 1;
  const int64_t firstGroup = firstBlock / count, lastGroup = lastBlock / count;
  const auto firstRotation = static_cast<int64_t>(rotation(firstGroup));
  if (lastBlock == firstBlock) {
    const int64_t base = firstGroup * kInterleaveBytes;
    accessChannel(static_cast<size_t>((firstBlock % count + firstRotation) % count), base + offset,
                  base + endOffset, write, request);
    return;
  }
  // Every channel has one block of each group of `count`, so its share is one range.
  const auto lastRotation = static_cast<int64_t>(rotation(lastGroup));
  for (int64_t c = 0; c < count; ++c) {
    int64_t block = firstGroup * count + (c - firstRotation + count) % count;
    int64_t from = (firstGroup + (block < firstBlock ? 1 : 0)) * kInterleaveBytes +
                   (block == firstBlock ? offset : 0);
    block = lastGroup * count + (c - lastRotation + count) % count;
    int64_t to = block > lastBlock ? lastGroup * kInterleaveBytes
                                   : lastGroup * kInterleaveBytes +
                                         (block == lastBlock ? endOffset : kInterleaveBytes);
    if (from < to)
      accessChannel(static_cast<size_t>(c), from, to, write, request);
  }
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

void DramModel::advanceTo(Clock target) {
  if (target <= time)
    return;
  for (DramChannel &channel : channelState)
    channel.advance(target);
  time = target;
}

int64_t DramModel::advance(int64_t limit, llvm::ArrayRef<size_t> awaited) {
  const DramParameters &p = parameters;
  const Clock end = toClock(limit);
  const auto width = static_cast<int64_t>(channelState.size());
  for (;;) {
    // No channel may pass the end of an awaited request, which another one may be about to find:
    // that many bursts are still to come, the last one's data after its command.
    Clock safe = end, earliest = DramChannel::kForever;
    for (size_t request : awaited) {
      const DramLedger::Request &r = ledger.requests[request];
      if (r.waitsFor > 0)
        safe = std::min(safe, time + (r.waitsFor - 1) / std::min(width, r.shares) * p.ccdShort +
                                  p.burst + (r.writes ? std::min(p.cl, p.cwl) : p.cl));
      else
        earliest = std::min(earliest, r.done);
    }
    if (earliest <= time || end <= time || safe >= DramChannel::kForever)
      return earliest <= end ? std::min(limit, toCycles(earliest)) : limit;
    advanceTo(std::min(safe, earliest));
  }
}

int64_t DramModel::flush(int64_t now) {
  advanceTo(toClock(now));
  Clock end = 0;
  for (DramChannel &channel : channelState) {
    channel.flush(time);
    end = std::max(end, channel.dataEnd());
  }
  return std::max(now, toCycles(end));
}

} // namespace npucc
