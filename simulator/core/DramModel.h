//===- DramModel.h - DRAM channels, banks and refresh -------------*- C++ -*-===//
//
// Turns requests of a few KiB into accesses of rows and keeps, per channel and bank, the time
// from which it is free again. Open pages, FCFS per channel, activates ahead of the data,
// posted writes that drain in batches, all-bank refresh. No SystemC types: the caller's clock
// is the time. The constraints are those of JEDEC data sheets as Ramulator 2 and DRAMsim3 list
// them. Left out: reordering for row hits, per-bank refresh, ranks, tRTP, and the longer tRRD
// and shorter tWTR that depend on the bank group.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Machine.h"

#include <array>
#include <deque>
#include <vector>

namespace npucc {

class DramModel {
public:
  explicit DramModel(const Machine &machine);

  /// One request for `bytes` consecutive bytes, made at core cycle `now`, which must not go
  /// back from call to call. Returns the cycle at which the last byte has arrived (read) or
  /// the controller has taken it (write). `owner` is whom activates are counted for.
  int64_t access(int64_t address, int64_t bytes, bool write, int64_t now, size_t owner = 0);

  /// Cycle at which every posted write is in the arrays, at least `now`.
  int64_t flush(int64_t now);

  /// Where a byte lies. Blocks of kInterleaveBytes go round the channels; the order is rotated
  /// by a hash of the higher bits, so that no power-of-two pitch stays on one channel. The
  /// bursts of a channel alternate between the bank groups that full rate needs (tCCD_L).
  struct Location {
    size_t channel, bank;
    int64_t row, burst; ///< burst: within the row
    bool operator==(const Location &o) const {
      return channel == o.channel && bank == o.bank && row == o.row && burst == o.burst;
    }
  };
  Location locate(int64_t address) const;

  struct Statistics {
    int64_t rowHits = 0, activates = 0, readBursts = 0, writeBursts = 0, refreshes = 0;
  };
  const Statistics &statistics() const { return stats; }
  /// Activates counted for an owner so far.
  int64_t activates(size_t owner) const { return owner < byOwner.size() ? byOwner[owner] : 0; }
  size_t channels() const { return channelState.size(); }
  int64_t burstBytes() const { return burst; }

  static constexpr int64_t kInterleaveBytes = 256;
  /// Posted writes of one channel that start a drain: 64 entries of 64 bytes.
  static constexpr int64_t kWriteQueueBytes = 4096;

private:
  using Ps = int64_t; ///< picoseconds

  struct Bank {
    int64_t row = -1;
    Ps activateReady = 0;  ///< tRC since the last activate, or refresh
    Ps columnReady = 0;    ///< tRCD since the last activate
    Ps prechargeReady = 0; ///< tRAS, and the last access
  };
  /// Bursts of one row of the interleaved bank groups ("page").
  struct Piece {
    int64_t page, firstBurst, bursts;
    Ps arrival;
    size_t owner;
  };
  struct Channel {
    std::vector<Bank> banks;
    std::vector<Ps> groupNext; ///< earliest data of the next burst, by bank group
    std::array<Ps, 4> lastActivates{};
    size_t oldestActivate = 0;
    Ps lastActivate = 0;
    Ps busFree = 0, nextRefresh = 0;
    bool lastWasWrite = false;
    std::deque<Piece> writes;
    int64_t queuedBytes = 0;
  };

  Ps toPs(int64_t cycles) const;
  int64_t toCycles(Ps time) const; ///< rounded up
  size_t rotation(int64_t group) const;
  size_t bankOf(int64_t page, int64_t lane, int64_t &row) const;
  void accessChannel(size_t channel, int64_t from, int64_t to, bool write, Ps now, size_t owner,
                     Ps &done);
  Ps transfer(Channel &channel, const Piece &piece, bool write, Ps earliest);
  void refresh(Channel &channel, Ps time);
  void drainIdle(Channel &channel, Ps now);
  /// Writes everything; returns when the first piece has made room in the queue.
  Ps drainAll(Channel &channel, Ps earliest);

  double psPerCycle;
  int64_t burst = 32, lanes = 1, pageBytes = 2048, sets = 1;
  size_t bankGroups = 1;
  Ps tBurst, tRcd, tRp, tRas, tRc, tCl, tCwl, tWr, tFaw, tRrd, tCcdLong, tWtr, tRtw, tRefi, tRfc;
  std::vector<Channel> channelState;
  std::vector<int64_t> byOwner;
  Statistics stats;
};

} // namespace npucc
