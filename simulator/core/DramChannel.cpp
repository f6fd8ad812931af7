//===- DramChannel.cpp - The command scheduler of a DRAM channel --------------===//

#include "simulator/core/DramChannel.h"

#include <algorithm>

namespace npucc {

DramChannel::DramChannel(const DramParameters &parameters, DramLedger &ledger)
    : p(parameters), ledger(ledger), banks(p.banks), groups(p.bankGroups), batchLeft(1, 0) {
  std::fill(std::begin(lastActivates), std::end(lastActivates), kLongAgo);
  for (size_t b = 0; b < banks.size(); ++b) {
    const size_t lanes = static_cast<size_t>(p.lanes);
    banks[b].group = b % p.bankGroups;
    banks[b].nextLane = (b + 1) % lanes ? b + 1 : b + 1 - lanes;
  }
  refreshDue = p.refi;
  if (!p.perBankRefresh)
    return;
  // Refreshes of single banks take turns.
  const auto count = static_cast<int64_t>(p.banks);
  for (int64_t b = 0; b < count; ++b)
    banks[static_cast<size_t>(b)].refreshDue = p.refi * (b + 1) / count;
  refreshDue = banks.front().refreshDue;
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

void DramChannel::arrive(Clock now) {
  advance(now);
  if (left == 0) { // refreshes of an idle channel are made up for
    streakBank = kNoBank;
    refreshUntil(now);
  }
  clock = std::max(clock, now);
}

void DramChannel::read(int64_t from, int64_t to, size_t request, Clock now) {
  arrive(now);
  const int64_t bursts = enqueue(from, to, false, request, ledger.requests[request].owner);
  ledger.requests[request].waitsFor += bursts;
}

void DramChannel::write(int64_t from, int64_t to, size_t request, Clock now) {
  arrive(now);
  posted.push_back({from, to, ledger.requests[request].owner});
  postedBursts += (to - 1) / p.burstBytes - from / p.burstBytes + 1;
  lastPost = now;
  if (postedBursts * p.burstBytes >= kWriteQueueBytes) {
    // The queue is full: this write is taken when the writes before these have gone.
    if (!drains.empty() && drains.back().left > 0) {
      drains.back().holdsBack.push_back(request);
      ++ledger.requests[request].waitsFor;
    } else if (!drains.empty()) {
      ledger.over(request, 0, drains.back().end);
    }
    startDrain();
  }
  next = 0;
}

void DramChannel::startDrain() {
  while (!drains.empty() && drains.front().left == 0) {
    drains.pop_front();
    ++firstDrain;
  }
  drains.emplace_back();
  const size_t number = firstDrain + drains.size() - 1;
  for (const Posted &write : posted)
    drains.back().left += enqueue(write.from, write.to, true, number, write.owner);
  posted.clear();
  postedBursts = 0;
}

/// Reads and writes form batches in the order in which they come.
int64_t DramChannel::enqueue(int64_t from, int64_t to, bool write, size_t request, size_t owner) {
  int64_t newest = oldestBatch + static_cast<int64_t>(batchLeft.size()) - 1;
  if ((newest % 2 == 1) != write) {
    batchLeft.push_back(0);
    ++newest;
  }
  while (batchLeft.front() == 0 && batchLeft.size() > 1) {
    batchLeft.pop_front();
    ++oldestBatch;
  }
  int64_t total = 0;
  while (from < to) {
    const int64_t page = from / p.pageBytes, end = std::min(to, (page + 1) * p.pageBytes);
    const int64_t first = from % p.pageBytes / p.burstBytes;
    const int64_t count = (end - 1) % p.pageBytes / p.burstBytes - first + 1;
    const int64_t rounds = count / p.lanes, rest = count % p.lanes;
    Run run{0, 0, 0, newest, request, owner, kNone, kNone};
    size_t bank = p.bankOf(page, first % p.lanes, run.row);
    starts[static_cast<size_t>(nextOrder) % kStarts] = {nextOrder, bank};
    for (int64_t i = 0; i < std::min(p.lanes, count); ++i, bank = banks[bank].nextLane) {
      run.order = nextOrder + i;
      run.bursts = rounds + (i < rest);
      append(bank, run);
    }
    nextOrder += count;
    total += count;
    from = end;
  }
  batchLeft.back() += total;
  left += total;
  (write ? ledger.counts.writeBursts : ledger.counts.readBursts) += total;
  next = 0;
  return total;
}

void DramChannel::append(size_t id, const Run &run) {
  int32_t index = static_cast<int32_t>(runs.size());
  if (freeRuns.empty()) {
    runs.push_back(run);
  } else {
    index = freeRuns.back();
    freeRuns.pop_back();
    runs[static_cast<size_t>(index)] = run;
  }
  Bank &bank = banks[id];
  runs[static_cast<size_t>(index)].previous = bank.tail;
  if (bank.head == kNone) {
    bank.head = index;
    bank.position = wishes.size();
    wishes.emplace_back();
    wishes.back().bank = id;
    wishes.back().group = bank.group;
  } else {
    runs[static_cast<size_t>(bank.tail)].next = index;
  }
  bank.tail = index;
  if (bank.hit == kNone)
    findHit(bank, index);
  wish(bank);
  if (bank.head == index)
    streakEnd = std::min(streakEnd, rowReady(bank));
}

/// To be called when the bank's row, queue or times have changed.
void DramChannel::wish(const Bank &bank) {
  if (bank.head == kNone)
    return;
  Wish &wish = wishes[bank.position];
  const Run &head = runs[static_cast<size_t>(bank.head)];
  wish.batch = head.batch;
  wish.order = head.order;
  if (bank.row < 0) {
    wish.kind = Wish::Kind::Activate;
    wish.ready = bank.activateReady;
  } else if (bank.hit == kNone) {
    wish.kind = Wish::Kind::Precharge;
    wish.ready = bank.prechargeReady;
  } else {
    wish.kind = Wish::Kind::Column;
    wish.ready = bank.activated;
    wish.order = runs[static_cast<size_t>(bank.hit)].order;
  }
}

void DramChannel::findHit(Bank &bank, int32_t from) {
  bank.hit = kNone;
  if (bank.row < 0 || bank.head == kNone)
    return;
  const int64_t batch = runs[static_cast<size_t>(bank.head)].batch;
  for (int32_t i = from; i != kNone; i = runs[static_cast<size_t>(i)].next) {
    const Run &run = runs[static_cast<size_t>(i)];
    if (run.batch != batch)
      return;
    if (run.row == bank.row) {
      bank.hit = i;
      return;
    }
  }
}

void DramChannel::remove(size_t id, int32_t index) {
  Bank &bank = banks[id];
  const Run run = runs[static_cast<size_t>(index)];
  freeRuns.push_back(index);
  (run.previous == kNone ? bank.head : runs[static_cast<size_t>(run.previous)].next) = run.next;
  (run.next == kNone ? bank.tail : runs[static_cast<size_t>(run.next)].previous) = run.previous;
  findHit(bank, run.next);
  if (bank.head != kNone)
    return;
  banks[wishes.back().bank].position = bank.position;
  wishes[bank.position] = wishes.back();
  wishes.pop_back();
}

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

void DramChannel::schedule(Clock until) {
  for (;;) {
    if (left > 0) {
      if (!step(until))
        return;
      continue;
    }
    // A channel that has had nothing to do for a row cycle writes what is posted.
    const Clock idle = posted.empty() ? kForever : std::max(lastDataEnd, lastPost) + p.rc;
    if (idle >= until) {
      next = idle;
      return;
    }
    refreshUntil(idle);
    clock = std::max(clock, idle);
    startDrain();
  }
}

/// The next command before `until`. Row commands of all requests go ahead; columns are those
/// of the oldest batch. At a clock a column goes first, then an activate, then a precharge; of each
/// the oldest.
bool DramChannel::step(Clock until) {
  if (next >= until)
    return false;
  if (streakBank != kNoBank) {
    const Bank &bank = banks[streakBank];
    const Clock at = std::max(clock, writing() ? writeReady : readReady);
    const Clock end = std::min(until, streakEnd);
    if (at < end && bank.hit != kNone && columnReady(bank, writing()) <= at && !refreshes(bank))
      if (const Run &run = runs[static_cast<size_t>(bank.hit)];
          run.order == streakOrder && run.batch == oldestBatch) {
        access(streakBank, at, end);
        return true;
      }
  }
  Choice refresh, activation, column, closing;
  const bool refreshing = p.perBankRefresh && clock >= refreshDue; // some bank alone
  if (p.refi > 0) {
    refresh.at = std::max(clock, refreshDue);
    if (refreshing)
      refresh = refreshOfBank();
  }
  const bool write = writing();
  const Clock columnFloor = std::max(clock, write ? writeReady : readReady);
  const Clock activateFloor =
      std::max({clock, activateReady, lastActivates[activateCount % 4] + p.faw});
  int64_t oldest = std::numeric_limits<int64_t>::max();
  const Clock rcd = write ? p.rcdWrite : p.rcd;
  for (const Wish &wish : wishes) {
    if (refreshing && refreshes(banks[wish.bank]))
      continue;
    const Group &group = groups[wish.group];
    switch (wish.kind) {
    case Wish::Kind::Activate:
      activation.consider(std::max({activateFloor, wish.ready, group.activateReady}), wish.order,
                          wish.bank);
      break;
    case Wish::Kind::Precharge:
      closing.consider(std::max(clock, wish.ready), wish.order, wish.bank);
      break;
    case Wish::Kind::Column:
      if (wish.batch != oldestBatch)
        break;
      oldest = std::min(oldest, wish.order);
      column.consider(
          std::max({columnFloor, wish.ready + rcd, write ? group.writeReady : group.readReady}),
          wish.order, wish.bank);
      break;
    }
  }
  const Clock rows = std::min(activation.at, closing.at);
  const Clock at = std::min({refresh.at, rows, column.at});
  if (at >= until) {
    next = at;
    return false;
  }
  next = clock;
  streakBank = kNoBank;
  if (refresh.at == at) {
    if (!p.perBankRefresh)
      refreshAll();
    else if (clock >= banks[refresh.bank].refreshDue)
      refreshBank(refresh.bank, at);
    else
      clock = at; // one more bank's turn
  } else if (column.at == at) {
    // An older one that becomes ready comes before what follows.
    streakEnd = column.order == oldest ? std::min(rows, refresh.at) : at;
    access(column.bank, at, std::min(until, streakEnd));
  } else if (activation.at == at) {
    activate(activation.bank, at);
  } else {
    precharge(closing.bank, at);
  }
  return true;
}

void DramChannel::flush(Clock now) {
  arrive(now);
  if (!posted.empty())
    startDrain();
  advance(kForever);
}

} // namespace npucc
