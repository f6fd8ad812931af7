//===- DramChannel.h - The command scheduler of a DRAM channel ----*- C++ -*-===//
//
// Issues the commands of one channel in the order of docs/dram.md, jumping from each clock at
// which a command can issue to the next; the bursts of a streak are issued in one step.
// Nobody may ask for more at a clock before the one that advance() has reached.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/DramParameters.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <vector>

namespace npucc {

/// What the channels share: requests that wait for them, and counts.
struct DramLedger {
  struct Request {
    int64_t waitsFor = 0; ///< bursts of reads, and drains that hold writes back
    int64_t done = 0;     ///< clock at which the last of them is over
    int64_t cycle = 0;    ///< of the core, at which it was made
    int64_t shares = 0;   ///< pieces of a channel, at least the number of channels
    bool writes = false;
    size_t owner = 0;
  };
  std::vector<Request> requests;
  struct Counts {
    int64_t rowHits = 0; ///< requests' shares of a bank that found their row open
    int64_t activates = 0, readBursts = 0, writeBursts = 0, refreshes = 0;
  } counts;
  std::vector<int64_t> activatesByOwner;

  void over(size_t request, int64_t things, int64_t at) {
    requests[request].waitsFor -= things;
    requests[request].done = std::max(requests[request].done, at);
  }
};

class DramChannel {
public:
  using Clock = DramParameters::Clock;
  static constexpr Clock kForever = std::numeric_limits<Clock>::max() / 4;

  /// Both must outlive the channel.
  DramChannel(const DramParameters &parameters, DramLedger &ledger);

  /// Requests for the channel's bytes from `from` to `to`, made at clock `now`.
  void read(int64_t from, int64_t to, size_t request, Clock now);
  void write(int64_t from, int64_t to, size_t request, Clock now);
  /// Issues what can issue before `until`.
  void advance(Clock until) {
    if (next < until)
      schedule(until);
  }
  /// Writes what is posted and finishes everything.
  void flush(Clock now);
  Clock dataEnd() const { return lastDataEnd; }

  /// Posted writes that start a drain: 64 entries of 64 bytes.
  static constexpr int64_t kWriteQueueBytes = 4096;

private:
  static constexpr int32_t kNone = -1;
  static constexpr Clock kLongAgo = -kForever;
  /// Bursts of one request in one row of one bank. Orders of bursts are `lanes` apart.
  struct Run {
    int64_t row, order, bursts, batch;
    size_t request; ///< of writes: the drain
    size_t owner;
    int32_t previous, next; ///< in the bank's queue
    bool opened = false;    ///< the row was activated for it
  };
  struct Bank {
    int64_t row = -1;
    Clock activated = kLongAgo, precharged = kLongAgo;
    Clock activateReady = 0; ///< tRP, tRC, refresh
    Clock prechargeReady = 0;
    Clock refreshDue = 0, refreshEnd = 0; ///< of this bank alone
    int32_t head = kNone, tail = kNone;
    int32_t hit = kNone; ///< first run for the open row among those of the head's batch
    size_t position = 0; ///< in `wishes`
    size_t group = 0, nextLane = 0;
  };
  /// What a bank with requests needs next, as far as it depends on the bank alone.
  struct Wish {
    enum class Kind { Activate, Column, Precharge } kind = Kind::Activate;
    Clock ready = 0; ///< of a column: when the row was activated
    int64_t order = 0, batch = 0;
    size_t bank = 0, group = 0;
  };
  struct Group {
    Clock activateReady = kLongAgo, readReady = kLongAgo, writeReady = kLongAgo;
  };
  struct Posted {
    int64_t from, to;
    size_t owner;
  };
  /// Writes that went together.
  struct Drain {
    int64_t left = 0;
    Clock end = 0;
    std::vector<size_t> holdsBack; ///< requests that are taken when it is over
  };
  /// The oldest of the earliest.
  struct Choice {
    Clock at = kForever;
    int64_t order = 0;
    size_t bank = 0;
    void consider(Clock time, int64_t age, size_t id) {
      if (time < at || (time == at && age < order))
        *this = {time, age, id};
    }
  };

  void arrive(Clock now);
  int64_t enqueue(int64_t from, int64_t to, bool write, size_t request, size_t owner);
  void append(size_t bank, const Run &run);
  void remove(size_t bank, int32_t run);
  void findHit(Bank &bank, int32_t from);
  void wish(const Bank &bank);
  void startDrain();
  void schedule(Clock until);
  bool step(Clock until);
  void refreshUntil(Clock time);
  void refreshAll();
  Choice refreshOfBank() const;
  void refreshBank(size_t bank, Clock at);
  void activate(size_t bank, Clock at);
  void precharge(size_t bank, Clock at);
  void access(size_t bank, Clock at, Clock until);
  int64_t streak(size_t bank, Clock at, Clock until) const;
  bool writing() const { return oldestBatch % 2 == 1; }
  /// It is the bank's turn to be refreshed by itself.
  bool refreshes(const Bank &bank) const { return p.perBankRefresh && clock >= bank.refreshDue; }
  /// A row command that the bank waits for comes no earlier.
  Clock rowReady(const Bank &bank) const {
    if (bank.head == kNone || bank.hit != kNone)
      return kForever;
    return bank.row < 0 ? bank.activateReady : bank.prechargeReady;
  }
  Clock columnReady(const Bank &bank, bool write) const {
    const Group &group = groups[bank.group];
    return write ? std::max(bank.activated + p.rcdWrite, group.writeReady)
                 : std::max(bank.activated + p.rcd, group.readReady);
  }

  const DramParameters &p;
  DramLedger &ledger;
  std::vector<Bank> banks;
  std::vector<Group> groups;
  std::vector<Wish> wishes; ///< one for each bank with requests
  std::vector<Run> runs;
  std::vector<int32_t> freeRuns;
  std::vector<Posted> posted;
  int64_t postedBursts = 0;
  std::deque<Drain> drains;
  size_t firstDrain = 0; ///< number of drains.front()
  /// Batches alternate between reads (even) and writes (odd).
  int64_t oldestBatch = 0;
  std::deque<int64_t> batchLeft; ///< bursts, from the oldest batch
  int64_t left = 0, nextOrder = 0;
  Clock clock = 0;       ///< the first at which a command may issue
  Clock next = kForever; ///< nothing issues before
  Clock activateReady = kLongAgo, readReady = kLongAgo, writeReady = kLongAgo;
  /// What comes next as long as no row command is possible before `streakEnd`: the oldest burst, if
  /// that is `streakOrder` and its row is open. Where the latest requests start in the order tells
  /// the bank once a request is over.
  static constexpr size_t kNoBank = ~size_t(0), kStarts = 64;
  struct Start {
    int64_t order = -1;
    size_t bank = 0;
  };
  std::array<Start, kStarts> starts;
  size_t streakBank = kNoBank;
  int64_t streakOrder = 0;
  Clock streakEnd = 0;
  Clock lastDataEnd = 0, lastPost = 0;
  Clock refreshDue = 0; ///< of all banks, or of the bank whose turn comes first
  Clock lastActivates[4];
  size_t activateCount = 0;
};

} // namespace npucc
