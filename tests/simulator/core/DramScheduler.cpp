//===- DramScheduler.cpp - An exact, slow DRAM controller -----------------===//

#include "tests/simulator/core/DramScheduler.h"

#include <algorithm>
#include <cmath>

namespace npucc::test {

DramScheduler::DramScheduler(const Machine &machine)
    : map(machine), perBank(machine.dramRefreshPerBank),
      groups(static_cast<size_t>(machine.dram.bankGroups)) {
  const DramStandard &d = machine.dram;
  const double clockNs = 1e9 / machine.clockHz;
  auto in = [&](double ns) { return static_cast<int64_t>(std::ceil(ns / clockNs - 0.05)); };
  n = {in(d.tRcdNs),
       in(d.tRcdWriteNs),
       in(d.tRpNs),
       in(d.tRpAllNs),
       in(d.tRasNs),
       in(d.tRcNs),
       in(d.tClNs),
       in(d.tCwlNs),
       in(d.tRtpNs),
       in(d.tWrNs),
       in(d.tFawNs),
       in(d.tRrdShortNs),
       in(d.tRrdLongNs),
       in(d.tCcdShortNs),
       in(d.tCcdLongNs),
       in(d.tCcdLongWriteNs),
       in(d.tWtrShortNs),
       in(d.tWtrLongNs),
       in(d.tRtwNs),
       0,
       in(d.tRfcNs),
       in(d.tRfcBankNs),
       0};
  n.refi = static_cast<int64_t>(std::floor(d.tRefiNs / clockNs));
  n.data = d.burstLength / d.transfersPerClock;
  channels.resize(map.channels());
  for (Channel &c : channels) {
    c.refreshDue = n.refi;
    c.banks.resize(groups * static_cast<size_t>(d.banksPerGroup));
    for (size_t b = 0; b < c.banks.size(); ++b)
      c.banks[b].refreshDue =
          n.refi * static_cast<int64_t>(b + 1) / static_cast<int64_t>(c.banks.size());
  }
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

size_t DramScheduler::submit(int64_t address, int64_t bytes, bool write) {
  const size_t id = requests.size();
  requests.push_back({0, clock});
  const int64_t size = map.burstBytes();
  std::map<size_t, std::vector<Burst>> split; // by channel
  for (int64_t a = address / size * size; a < address + bytes; a += size) {
    DramModel::Location place = map.locate(a);
    split[place.channel].push_back({id, place.bank, 0, place.row, 0, 0, write});
  }
  for (auto &[index, bursts] : split) {
    Channel &c = channels[index];
    if (!write) {
      requests[id].waitsFor += static_cast<int64_t>(bursts.size());
      enqueue(c, bursts);
      continue;
    }
    c.posted.insert(c.posted.end(), bursts.begin(), bursts.end());
    c.lastPost = clock;
    if (static_cast<int64_t>(c.posted.size()) * size >= DramModel::kWriteQueueBytes) {
      // The queue is full: this write is taken when the writes before these have gone.
      if (!c.drains.empty()) {
        Drain &before = drains[c.drains.back()];
        if (before.left > 0) {
          before.holdsBack.push_back(id);
          ++requests[id].waitsFor;
        } else {
          requests[id].done = std::max(requests[id].done, before.end);
        }
      }
      drain(c);
    }
  }
  return id;
}

/// Reads and writes form batches in the order in which they come; the bus turns in between.
void DramScheduler::enqueue(Channel &c, const std::vector<Burst> &bursts) {
  if (c.batchWrites != bursts.front().write) {
    ++c.batch;
    c.batchWrites = bursts.front().write;
  }
  for (Burst burst : bursts) {
    burst.batch = c.batch;
    burst.order = nextOrder++;
    ++c.left[c.batch];
    c.banks[burst.bank].queue.push_back(burst);
  }
}

void DramScheduler::drain(Channel &c) {
  if (c.posted.empty())
    return;
  for (Burst &burst : c.posted)
    burst.drain = drains.size();
  c.drains.push_back(drains.size());
  drains.push_back({static_cast<int64_t>(c.posted.size()), 0, {}});
  enqueue(c, c.posted);
  c.posted.clear();
}

int64_t DramScheduler::doneAt(size_t request) const {
  return requests[request].waitsFor == 0 ? requests[request].done : -1;
}

bool DramScheduler::idle() const {
  return std::all_of(channels.begin(), channels.end(),
                     [](const Channel &c) { return c.left.empty() && c.posted.empty(); });
}

void DramScheduler::flush() {
  for (Channel &c : channels)
    drain(c);
}

int64_t DramScheduler::count(Kind kind) const {
  int64_t total = 0;
  for (const Channel &c : channels)
    total += std::count_if(c.log.begin(), c.log.end(),
                           [&](const Command &command) { return command.kind == kind; });
  return total;
}

//===----------------------------------------------------------------------===//
// Legality
//===----------------------------------------------------------------------===//

bool DramScheduler::mayActivate(const Channel &c, size_t index) const {
  const Bank &bank = c.banks[index];
  if (bank.row >= 0 || clock < bank.precharged + n.rp || clock < bank.activated + n.rc ||
      clock < bank.refreshEnd || clock < c.refreshEnd)
    return false;
  for (size_t b = 0; b < c.banks.size(); ++b)
    if (b != index && clock < c.banks[b].activated + (sameGroup(b, index) ? n.rrdLong : n.rrdShort))
      return false;
  const size_t count = c.activates.size();
  return count < 4 || clock >= c.activates[count - 4] + n.faw;
}

bool DramScheduler::mayAccess(const Channel &c, size_t index, bool write) const {
  const Bank &bank = c.banks[index];
  if (clock < bank.activated + (write ? n.rcdWrite : n.rcd))
    return false;
  for (size_t b = 0; b < c.banks.size(); ++b) {
    const bool same = sameGroup(b, index);
    const Bank &other = c.banks[b];
    if (write) {
      if (clock < other.written + (same ? n.ccdLongWrite : n.ccdShort) ||
          clock < other.read + n.rtw)
        return false;
    } else {
      if (clock < other.read + (same ? n.ccdLong : n.ccdShort) ||
          clock < other.written + n.cwl + n.data + (same ? n.wtrLong : n.wtrShort))
        return false;
    }
  }
  return true;
}

bool DramScheduler::mayPrecharge(const Bank &bank) const {
  return clock >= bank.activated + n.ras && clock >= bank.read + n.rtp &&
         clock >= bank.written + n.cwl + n.data + n.wr;
}

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

void DramScheduler::issue(Channel &c, Kind kind, size_t index, int64_t row) {
  c.log.push_back({clock, kind, index, row});
  Bank &bank = c.banks[index];
  switch (kind) {
  case Kind::Activate:
    bank.row = row;
    bank.activated = clock;
    c.activates.push_back(clock);
    break;
  case Kind::Read:
    bank.read = clock;
    break;
  case Kind::Write:
    bank.written = clock;
    break;
  case Kind::Precharge:
    bank.row = -1;
    bank.precharged = clock;
    break;
  case Kind::PrechargeAll:
    for (Bank &each : c.banks)
      if (each.row >= 0) {
        each.row = -1;
        each.precharged = clock;
      }
    break;
  case Kind::Refresh:
    break;
  }
}

bool DramScheduler::stepRefresh(Channel &c) {
  if (n.refi <= 0)
    return false;
  if (perBank) {
    for (size_t b = 0; b < c.banks.size(); ++b) {
      Bank &bank = c.banks[b];
      if (clock < bank.refreshDue)
        continue;
      if (bank.row >= 0) {
        if (!mayPrecharge(bank))
          continue;
        issue(c, Kind::Precharge, b, 0);
        return true;
      }
      if (clock < bank.precharged + n.rp || clock < bank.refreshEnd)
        continue;
      issue(c, Kind::Refresh, b, 0);
      bank.refreshEnd = clock + n.rfcBank;
      bank.refreshDue += n.refi;
      return true;
    }
    return false;
  }
  if (clock < c.refreshDue)
    return false;
  bool open = false, ready = true;
  for (const Bank &bank : c.banks) {
    open |= bank.row >= 0;
    ready &= bank.row < 0 || mayPrecharge(bank);
  }
  if (open) {
    if (ready)
      issue(c, Kind::PrechargeAll, 0, 0);
    return true;
  }
  // A bank that was closed on its own needs tRP, all of them together tRPab.
  for (const Bank &bank : c.banks)
    if (clock < bank.precharged + n.rpAll)
      return true;
  issue(c, Kind::Refresh, 0, 0);
  c.refreshEnd = clock + n.rfc;
  c.refreshDue += n.refi;
  return true;
}

/// The oldest burst of the oldest batch whose row is open and whose command is legal.
bool DramScheduler::stepColumn(Channel &c) {
  if (clock < c.lastColumn + n.ccdShort) // as mayAccess() would find for each bank
    return false;
  const int64_t batch = c.left.begin()->first;
  const Burst *best = nullptr;
  std::deque<Burst>::iterator where;
  for (size_t b = 0; b < c.banks.size(); ++b) {
    Bank &bank = c.banks[b];
    if (bank.row < 0 || (perBank && clock >= bank.refreshDue))
      continue;
    for (auto it = bank.queue.begin(); it != bank.queue.end() && it->batch == batch; ++it) {
      if (it->row != bank.row)
        continue;
      if ((!best || it->order < best->order) && mayAccess(c, b, it->write)) {
        best = &*it;
        where = it;
      }
      break;
    }
  }
  if (!best)
    return false;
  const Burst burst = *best;
  c.banks[burst.bank].queue.erase(where);
  issue(c, burst.write ? Kind::Write : Kind::Read, burst.bank, burst.row);
  const int64_t end = clock + (burst.write ? n.cwl : n.cl) + n.data;
  lastDataEnd = std::max(lastDataEnd, end);
  c.dataEnd = std::max(c.dataEnd, end);
  c.lastColumn = clock;
  if (--c.left[batch] == 0)
    c.left.erase(batch);
  auto progress = [&](size_t id, int64_t at) {
    --requests[id].waitsFor;
    requests[id].done = std::max(requests[id].done, at);
  };
  if (!burst.write) {
    progress(burst.request, end);
  } else {
    Drain &drain = drains[burst.drain];
    drain.end = std::max(drain.end, end);
    if (--drain.left == 0)
      for (size_t id : drain.holdsBack)
        progress(id, drain.end);
  }
  return true;
}

/// The oldest bank head whose bank has nothing for its open row: close the row in its way, or open
/// its own.
bool DramScheduler::stepRow(Channel &c, bool precharges) {
  if (!precharges && !c.activates.empty() && clock < c.activates.back() + n.rrdShort)
    return false; // as mayActivate() would find for each bank
  std::vector<std::pair<int64_t, size_t>> heads;
  for (size_t b = 0; b < c.banks.size(); ++b) {
    const Bank &bank = c.banks[b];
    if (bank.queue.empty() || bank.queue.front().row == bank.row ||
        (perBank && clock >= bank.refreshDue))
      continue;
    const Burst &head = bank.queue.front();
    if (std::any_of(bank.queue.begin(), bank.queue.end(),
                    [&](const Burst &x) { return x.row == bank.row && x.batch == head.batch; }))
      continue; // these go first
    heads.push_back({bank.queue.front().order, b});
  }
  std::sort(heads.begin(), heads.end());
  for (const auto &[order, b] : heads) {
    Bank &bank = c.banks[b];
    if (precharges && bank.row >= 0 && mayPrecharge(bank)) {
      issue(c, Kind::Precharge, b, 0);
      return true;
    }
    if (!precharges && bank.row < 0 && mayActivate(c, b)) {
      issue(c, Kind::Activate, b, bank.queue.front().row);
      return true;
    }
  }
  return false;
}

void DramScheduler::step() {
  for (Channel &c : channels) {
    if (c.left.empty() && !c.posted.empty() && clock >= std::max(c.dataEnd, c.lastPost) + n.rc)
      drain(c); // nobody reads
    if (stepRefresh(c) || c.left.empty())
      continue;
    // Column commands leave every second clock or more to the others.
    if (!stepColumn(c) && !stepRow(c, false))
      stepRow(c, true);
  }
  ++clock;
}

} // namespace npucc::test
