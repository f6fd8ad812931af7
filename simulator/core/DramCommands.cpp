//===- DramCommands.cpp - What the commands of a DRAM channel do --------------===//

#include "simulator/core/DramChannel.h"

#include <algorithm>

namespace npucc {

void DramChannel::activate(size_t id, Clock at) {
  Bank &bank = banks[id];
  Run &head = runs[static_cast<size_t>(bank.head)];
  head.opened = true;
  bank.row = head.row;
  bank.hit = bank.head;
  bank.activated = at;
  bank.activateReady = at + p.rc;
  bank.prechargeReady = at + p.ras;
  activateReady = at + p.rrdShort;
  groups[bank.group].activateReady = at + p.rrdLong;
  lastActivates[activateCount++ % 4] = at;
  ++ledger.counts.activates;
  if (head.owner >= ledger.activatesByOwner.size())
    ledger.activatesByOwner.resize(head.owner + 1);
  ++ledger.activatesByOwner[head.owner];
  wish(bank);
  clock = at + 1;
}

void DramChannel::precharge(size_t id, Clock at) {
  Bank &bank = banks[id];
  bank.row = -1;
  bank.hit = kNone;
  bank.precharged = at;
  bank.activateReady = std::max(bank.activateReady, at + p.rp);
  wish(bank);
  clock = at + 1;
}

/// How many bursts from the bank's on follow each other at the shortest distance, each the
/// oldest of all when its time comes: those of one request that alternate between the lanes.
/// Only the first may come at `until` or later.
int64_t DramChannel::streak(size_t id, Clock at, Clock until) const {
  if (until <= at + p.ccdShort)
    return 1;
  const bool write = writing();
  const Run &first = runs[static_cast<size_t>(banks[id].hit)];
  int64_t count = (until - 1 - at) / p.ccdShort + 1;
  if (p.lanes * p.ccdShort < (write ? p.ccdLongWrite : p.ccdLong))
    count = std::min(count, p.lanes);
  // A bank with nothing left may close its row while the others' last bursts go.
  const int64_t after = std::min(p.lanes - 1, write ? p.closesAfterWrite : p.closesAfterRead);
  for (int64_t i = 0; i < std::min(count, p.lanes); ++i, id = banks[id].nextLane) {
    const Bank &bank = banks[id];
    if (bank.hit == kNone || refreshes(bank))
      return i;
    const Run &run = runs[static_cast<size_t>(bank.hit)];
    if (run.order != first.order + i || run.request != first.request || run.batch != oldestBatch ||
        columnReady(bank, write) > at + i * p.ccdShort)
      return i;
    count = std::min(count, i + (run.bursts - 1) * p.lanes + 1 + after);
  }
  return count;
}

/// Column commands of the bank's request from `at` on; further ones before `until`.
void DramChannel::access(size_t id, Clock at, Clock until) {
  const bool write = writing();
  size_t following = id;
  int64_t followingOrder = runs[static_cast<size_t>(banks[id].hit)].order;
  const size_t request = runs[static_cast<size_t>(banks[id].hit)].request;
  const int64_t count = streak(id, at, until);
  const int64_t rounds = count > p.lanes ? (count - 1) / p.lanes : 0;
  const int64_t more = count - 1 - rounds * p.lanes;
  const Clock last = at + (count - 1) * p.ccdShort;
  const bool oldest = streakEnd > at;
  bool ended = false;
  followingOrder += count;
  for (int64_t i = more + 1 == p.lanes ? 0 : more + 1; i > 0; --i)
    following = banks[following].nextLane;
  for (int64_t i = 0; i < std::min(count, p.lanes); ++i, id = banks[id].nextLane) {
    Bank &bank = banks[id];
    Group &group = groups[bank.group];
    const int64_t bursts = rounds + (i <= more);
    const Clock time = at + (i + (bursts - 1) * p.lanes) * p.ccdShort;
    if (write) {
      group.writeReady = time + p.ccdLongWrite;
      group.readReady = std::max(group.readReady, time + p.cwl + p.burst + p.wtrLong);
      bank.prechargeReady = std::max(bank.prechargeReady, time + p.cwl + p.burst + p.wr);
    } else {
      group.readReady = std::max(group.readReady, time + p.ccdLong);
      bank.prechargeReady = std::max(bank.prechargeReady, time + p.rtp);
    }
    Run &run = runs[static_cast<size_t>(bank.hit)];
    run.bursts -= bursts;
    run.order += bursts * p.lanes;
    if (run.bursts == 0) {
      ledger.counts.rowHits += !run.opened;
      remove(id, bank.hit);
      ended = true;
    }
    wish(bank);
    streakEnd = std::min(streakEnd, rowReady(bank));
  }
  clock = last + 1;
  const Clock end = last + (write ? p.cwl : p.cl) + p.burst;
  lastDataEnd = std::max(lastDataEnd, end);
  readReady = std::max(readReady, last + (write ? p.cwl + p.burst + p.wtrShort : p.ccdShort));
  writeReady = std::max(writeReady, last + (write ? p.ccdShort : std::max(p.rtw, p.ccdShort)));
  streakOrder = followingOrder;
  if (ended)
    if (const Start &start = starts[static_cast<size_t>(followingOrder) % kStarts];
        start.order == followingOrder)
      following = start.bank;
  streakBank = oldest ? following : kNoBank;
  next = streakBank == kNoBank ? clock : std::min(streakEnd, write ? writeReady : readReady);
  left -= count;
  batchLeft.front() -= count;
  while (batchLeft.front() == 0 && batchLeft.size() > 1) {
    batchLeft.pop_front();
    ++oldestBatch;
  }
  if (!write) {
    ledger.over(request, count, end);
    return;
  }
  Drain &drain = drains[request - firstDrain];
  drain.left -= count;
  drain.end = std::max(drain.end, end);
  if (drain.left == 0)
    for (size_t held : drain.holdsBack)
      ledger.over(held, 1, drain.end);
}

//===----------------------------------------------------------------------===//
// Refresh
//===----------------------------------------------------------------------===//

/// All banks are closed and refreshed; nothing else issues meanwhile.
void DramChannel::refreshAll() {
  Clock at = std::max(clock, refreshDue);
  Clock close = at;
  bool open = false;
  for (const Bank &bank : banks)
    if (bank.row >= 0) {
      open = true;
      close = std::max(close, bank.prechargeReady);
    }
  for (Bank &bank : banks) {
    if (bank.row >= 0)
      bank.precharged = close;
    bank.row = -1;
    bank.hit = kNone;
    at = std::max(at, bank.precharged + p.rpAll);
  }
  if (open)
    at = std::max(at, close + 1);
  for (Bank &bank : banks) {
    bank.activateReady = std::max(bank.activateReady, at + p.rfc);
    wish(bank);
  }
  ++ledger.counts.refreshes;
  refreshDue += p.refi;
  clock = at + 1;
}

/// The next refresh of a single bank, or precharge before it. A bank whose turn comes
/// later counts from then on.
DramChannel::Choice DramChannel::refreshOfBank() const {
  Choice choice;
  for (size_t b = 0; b < banks.size(); ++b) {
    const Bank &bank = banks[b];
    if (clock < bank.refreshDue)
      choice.consider(bank.refreshDue, -1, b);
    else
      choice.consider(std::max(clock, bank.row >= 0
                                          ? bank.prechargeReady
                                          : std::max(bank.precharged + p.rp, bank.refreshEnd)),
                      static_cast<int64_t>(b), b);
  }
  return choice;
}

void DramChannel::refreshBank(size_t id, Clock at) {
  Bank &bank = banks[id];
  if (bank.row >= 0) {
    precharge(id, at);
    return;
  }
  bank.refreshEnd = at + p.rfcBank;
  bank.activateReady = std::max(bank.activateReady, bank.refreshEnd);
  wish(bank);
  bank.refreshDue += p.refi;
  ++ledger.counts.refreshes;
  refreshDue = kForever;
  for (const Bank &each : banks)
    refreshDue = std::min(refreshDue, each.refreshDue);
  clock = at + 1;
}

/// Refreshes of an idle channel that are due before `time`.
void DramChannel::refreshUntil(Clock time) {
  if (p.refi <= 0)
    return;
  next = clock;
  if (!p.perBankRefresh) {
    while (refreshDue < time) {
      refreshAll();
      // All rows are closed now, so that only the last one matters.
      const int64_t passed = std::max<int64_t>(0, time - 1 - refreshDue) / p.refi;
      refreshDue += passed * p.refi;
      ledger.counts.refreshes += passed;
    }
    return;
  }
  const Clock closed = std::min(time, clock + 2 * p.refi);
  while (step(closed))
    ;
  const int64_t passed = (time - closed) / p.refi - 1;
  if (passed > 0) {
    for (Bank &bank : banks)
      bank.refreshDue += passed * p.refi;
    refreshDue += passed * p.refi;
    ledger.counts.refreshes += passed * static_cast<int64_t>(banks.size());
    clock = next = closed + passed * p.refi;
  }
  while (step(time))
    ;
}

} // namespace npucc
