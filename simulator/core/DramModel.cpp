//===- DramModel.cpp - DRAM channels, banks and refresh -----------------------===//

#include "simulator/core/DramModel.h"

#include <algorithm>
#include <cmath>

namespace npucc {

namespace {

int64_t ps(double ns) { return std::llround(ns * 1e3); }

/// All higher bits folded into the low ones: a permutation-based interleaving in the manner
/// of Zhang, Zhu and Zhang (MICRO 2000).
uint64_t fold(uint64_t x) {
  x ^= x >> 32;
  x ^= x >> 16;
  x ^= x >> 8;
  x ^= x >> 4;
  x ^= x >> 2;
  return x;
}

} // namespace

DramModel::DramModel(const Machine &machine) : psPerCycle(1e12 / std::max(machine.clockHz, 1.0)) {
  const DramStandard &d = machine.dram;
  burst = std::max<int64_t>(1, d.channelWidthBits * d.burstLength / 8);
  tBurst = std::max<Ps>(
      1, ps(1e3 * static_cast<double>(d.burstLength) / std::max(d.megaTransfersPerSecond, 1e-3)));
  tRcd = ps(d.tRcdNs);
  tRp = ps(d.tRpNs);
  tRas = ps(d.tRasNs);
  tRc = std::max(ps(d.tRcNs), tRas + tRp);
  tCl = ps(d.tClNs);
  tCwl = ps(d.tCwlNs);
  tWr = ps(d.tWrNs);
  tFaw = ps(d.tFawNs);
  tRrd = ps(d.tRrdNs);
  tCcdLong = ps(d.tCcdLongNs);
  tWtr = ps(d.tWtrNs);
  tRtw = ps(d.tRtwNs);
  tRefi = ps(d.tRefiNs);
  tRfc = ps(d.tRfcNs);
  bankGroups = static_cast<size_t>(std::max<int64_t>(1, d.bankGroups));
  // Bursts alternate between as many groups as hide tCCD_L behind the data.
  lanes = std::clamp<int64_t>((tCcdLong + tBurst - 1) / tBurst, 1, d.bankGroups);
  while (static_cast<int64_t>(bankGroups) % lanes != 0)
    ++lanes;
  pageBytes = lanes * std::max(d.pageBytes, burst);
  const int64_t banks = static_cast<int64_t>(bankGroups) * std::max<int64_t>(1, d.banksPerGroup);
  sets = banks / lanes;
  const int64_t count =
      std::max<int64_t>(1, machine.dramWidthBits / std::max<int64_t>(1, d.channelWidthBits));
  channelState.resize(static_cast<size_t>(count));
  for (Channel &channel : channelState) {
    channel.banks.resize(static_cast<size_t>(banks));
    channel.groupNext.assign(bankGroups, 0);
    channel.lastActivates.fill(-tFaw);
    channel.lastActivate = -tRrd;
    channel.nextRefresh = tRefi;
  }
}

DramModel::Ps DramModel::toPs(int64_t cycles) const {
  return std::llround(static_cast<double>(cycles) * psPerCycle);
}

int64_t DramModel::toCycles(Ps time) const {
  // The tolerance keeps whole cycles whole when a period is not a whole number of ps.
  return static_cast<int64_t>(std::ceil(static_cast<double>(time) / psPerCycle - 1e-3));
}

size_t DramModel::rotation(int64_t group) const {
  return static_cast<size_t>(fold(static_cast<uint64_t>(group)) % channelState.size());
}

size_t DramModel::bankOf(int64_t page, int64_t lane, int64_t &row) const {
  row = page / sets;
  auto set = static_cast<int64_t>((static_cast<uint64_t>(page) + fold(static_cast<uint64_t>(row))) %
                                  static_cast<uint64_t>(sets));
  // Neighbouring sets lie in different bank groups.
  const int64_t groupSets = static_cast<int64_t>(bankGroups) / lanes;
  int64_t group = set % groupSets * lanes + lane;
  return static_cast<size_t>(set / groupSets * static_cast<int64_t>(bankGroups) + group);
}

DramModel::Location DramModel::locate(int64_t address) const {
  const auto count = static_cast<int64_t>(channelState.size());
  int64_t block = address / kInterleaveBytes, group = block / count;
  int64_t local = group * kInterleaveBytes + address % kInterleaveBytes;
  int64_t index = local % pageBytes / burst;
  Location result{};
  result.channel = (static_cast<size_t>(block % count) + rotation(group)) % channelState.size();
  result.bank = bankOf(local / pageBytes, index % lanes, result.row);
  result.burst = index / lanes;
  return result;
}

void DramModel::refresh(Channel &channel, Ps time) {
  if (tRefi <= 0 || time < channel.nextRefresh)
    return;
  // Refreshes of an idle time are over; the last one that is due may still be under way.
  int64_t due = (time - channel.nextRefresh) / tRefi;
  stats.refreshes += due + 1;
  Ps start = std::max(channel.nextRefresh + due * tRefi, channel.busFree);
  channel.nextRefresh += (due + 1) * tRefi;
  for (Bank &bank : channel.banks) {
    Ps closed = bank.row < 0 ? start : std::max(start, bank.prechargeReady) + tRp;
    bank.row = -1;
    bank.activateReady = std::max(bank.activateReady, closed + tRfc);
  }
}

DramModel::Ps DramModel::transfer(Channel &channel, const Piece &piece, bool write, Ps earliest) {
  refresh(channel, std::max(earliest, channel.busFree));
  const Ps cas = write ? tCwl : tCl;
  Ps start = std::max(earliest + cas, channel.busFree);
  if (channel.lastWasWrite != write)
    start = std::max(start, channel.busFree +
                                (write ? std::max<Ps>(0, tRtw + tCwl - tCl - tBurst) // command gap
                                       : tWtr + tCl));
  const int64_t touched = std::min(lanes, piece.bursts);
  std::array<size_t, 16> ids{};
  for (int64_t j = 0; j < touched && j < 16; ++j) {
    int64_t row;
    size_t id = ids[static_cast<size_t>(j)] =
        bankOf(piece.page, (piece.firstBurst + j) % lanes, row);
    Bank &bank = channel.banks[id];
    if (bank.row == row) {
      ++stats.rowHits;
    } else {
      Ps act = std::max(earliest, bank.activateReady);
      if (bank.row >= 0)
        act = std::max(act, std::max(earliest, bank.prechargeReady) + tRp);
      act = std::max(
          {act, channel.lastActivate + tRrd, channel.lastActivates[channel.oldestActivate] + tFaw});
      channel.lastActivate = channel.lastActivates[channel.oldestActivate] = act;
      channel.oldestActivate = (channel.oldestActivate + 1) % channel.lastActivates.size();
      bank.row = row;
      bank.activateReady = act + tRc;
      bank.columnReady = act + tRcd;
      bank.prechargeReady = act + tRas;
      ++stats.activates;
      if (piece.owner >= byOwner.size())
        byOwner.resize(piece.owner + 1);
      ++byOwner[piece.owner];
    }
    start = std::max({start, bank.columnReady + cas - j * tBurst,
                      channel.groupNext[id % bankGroups] - j * tBurst});
  }
  const Ps end = start + piece.bursts * tBurst;
  for (int64_t j = 0; j < touched && j < 16; ++j) {
    size_t id = ids[static_cast<size_t>(j)];
    // The last burst of this lane.
    Ps last = start + (j + (piece.bursts - 1 - j) / lanes * lanes) * tBurst;
    channel.groupNext[id % bankGroups] = last + std::max(tCcdLong, tBurst);
    Bank &bank = channel.banks[id];
    bank.prechargeReady = std::max(bank.prechargeReady, write ? end + tWr : last + tBurst - tCl);
  }
  channel.busFree = end;
  channel.lastWasWrite = write;
  (write ? stats.writeBursts : stats.readBursts) += piece.bursts;
  return end;
}

void DramModel::drainIdle(Channel &channel, Ps now) {
  // Writes go while nobody reads, as far as they end before `now` with the bus turned back.
  while (!channel.writes.empty()) {
    const Piece &piece = channel.writes.front();
    Ps earliest = std::max(piece.arrival, channel.busFree);
    if (earliest + tRp + tRcd + tCwl + piece.bursts * tBurst + tWtr > now)
      return;
    transfer(channel, piece, true, earliest);
    channel.queuedBytes -= piece.bursts * burst;
    channel.writes.pop_front();
  }
}

DramModel::Ps DramModel::drainAll(Channel &channel, Ps earliest) {
  Ps room = 0;
  for (const Piece &piece : channel.writes) {
    Ps end = transfer(channel, piece, true, std::max(earliest, piece.arrival));
    room = room ? room : end;
  }
  channel.writes.clear();
  channel.queuedBytes = 0;
  return room;
}

void DramModel::accessChannel(size_t index, int64_t from, int64_t to, bool write, Ps now,
                              size_t owner, Ps &done) {
  Channel &channel = channelState[index];
  drainIdle(channel, now);
  while (from < to) {
    int64_t page = from / pageBytes;
    int64_t end = std::min(to, (page + 1) * pageBytes);
    int64_t first = from % pageBytes / burst;
    int64_t last = (end - 1) % pageBytes / burst;
    Piece piece{page, first, last - first + 1, now, owner};
    if (!write) {
      done = std::max(done, transfer(channel, piece, false, now));
    } else {
      channel.writes.push_back(piece);
      channel.queuedBytes += piece.bursts * burst;
      done = std::max(done, now);
      if (channel.queuedBytes >= kWriteQueueBytes)
        done = std::max(done, drainAll(channel, now));
    }
    from = end;
  }
}

int64_t DramModel::access(int64_t address, int64_t bytes, bool write, int64_t now, size_t owner) {
  if (bytes <= 0)
    return now;
  const Ps time = toPs(now);
  Ps done = time;
  const auto count = static_cast<int64_t>(channelState.size());
  const int64_t firstBlock = address / kInterleaveBytes;
  const int64_t lastBlock = (address + bytes - 1) / kInterleaveBytes;
  const int64_t offset = address % kInterleaveBytes;
  const int64_t endOffset = (address + bytes - 1) % kInterleaveBytes + 1;
  if (lastBlock == firstBlock) {
    int64_t group = firstBlock / count, base = group * kInterleaveBytes;
    size_t channel =
        (static_cast<size_t>(firstBlock % count) + rotation(group)) % channelState.size();
    accessChannel(channel, base + offset, base + endOffset, write, time, owner, done);
    return std::max(now, toCycles(done));
  }
  // Every channel has one block of each group of `count`, so its share is one range.
  const int64_t firstGroup = firstBlock / count, lastGroup = lastBlock / count;
  const auto firstRotation = static_cast<int64_t>(rotation(firstGroup));
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
      accessChannel(static_cast<size_t>(c), from, to, write, time, owner, done);
  }
  return std::max(now, toCycles(done));
}

int64_t DramModel::flush(int64_t now) {
  Ps done = toPs(now);
  for (Channel &channel : channelState) {
    drainAll(channel, 0);
    if (channel.lastWasWrite)
      done = std::max(done, channel.busFree);
  }
  return std::max(now, toCycles(done));
}

} // namespace npucc
