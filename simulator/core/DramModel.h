//===- DramModel.h - DRAM channels, banks and refresh -------------*- C++ -*-===//
//
// Turns requests of a few KiB into accesses of rows ("pieces") and finds for each piece the
// time of its activates and of its data, in clocks of the command bus. The policy is that of
// docs/dram.md: order is kept within a bank, and across banks what is ready first goes first;
// rows stay open; writes are posted and drain in batches. What has its time keeps it, so that
// each piece is looked at once: a later piece takes bus and activate slots that earlier ones
// left free. No SystemC types: the caller's clock is the time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Machine.h"

#include <array>
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
  /// Posted writes of one channel that start a drain: 64 entries of 64 bytes. As many more may be
  /// posted while it lasts.
  static constexpr int64_t kWriteQueueBytes = 4096;

private:
  using Clock = int64_t; ///< of the command bus
  static constexpr Clock kNever = -(Clock(1) << 40);
  static constexpr size_t kMaxLanes = 16, kMaxActivates = 256, kFewActivates = 24, kMaxGaps = 128;

  /// The standard's times in clocks.
  struct Timing {
    Clock burst, rcd, rcdWrite, rp, rpAll, ras, rc, cl, cwl, rtp, wr, faw, rrdShort, rrdLong;
    Clock ccdLong, ccdLongWrite, wtrShort, wtrLong, rtw, refi, rfc, rfcBank;
  };
  struct Bank {
    int64_t row = -1;
    Clock activateReady = 0;  ///< tRC since the last activate, or the end of a refresh
    Clock activated = kNever; ///< tRCD runs from here
    Clock prechargeReady = 0; ///< tRAS, and the last access
    Clock nextData = 0;       ///< order within the bank
    Clock nextRefresh = 0;
  };
  /// Bursts of one row of the interleaved bank groups ("page").
  struct Piece {
    int64_t page, firstBurst, bursts;
    Clock arrival;
    size_t owner;
  };
  /// Free time on the data bus between bursts that have their time, and their bank groups.
  struct Gap {
    Clock start, end;
    size_t before, after;
  };
  struct Activate {
    Clock at;
    size_t group;
  };
  struct Channel {
    std::vector<Bank> banks;
    std::vector<Clock> groupData;  ///< start of the last burst, by bank group, this direction
    std::vector<Clock> groupWrite; ///< end of the last written burst, by bank group
    std::vector<Gap> gaps;
    std::vector<Activate> activates; ///< in order of time
    Clock activateFloor = kNever;
    Clock busEnd = 0;
    size_t lastGroup = 0;
    bool used = false, writing = false;
    std::vector<Piece> writes; ///< posted
    int64_t queuedBytes = 0;
    Clock drained = 0;                    ///< end of the last drain
    Clock refreshDue = 0, refreshEnd = 0; ///< of all banks, the latest that is known
  };
  /// The banks that a piece touches, one for each lane from its first.
  struct Touched {
    std::array<size_t, kMaxLanes> bank;
    int64_t row = 0, count = 0;
  };

  Clock toClock(int64_t cycles) const; ///< rounded up
  int64_t toCycles(Clock time) const;  ///< rounded up
  size_t rotation(int64_t group) const;
  size_t bankOf(int64_t page, int64_t lane, int64_t &row) const;
  size_t groupOf(size_t bank) const { return bank % bankGroups; }
  Clock pitch(bool write) const;
  void accessChannel(size_t channel, int64_t from, int64_t to, bool write, Clock now, size_t owner,
                     Clock &done);
  Clock transfer(Channel &channel, Piece piece, bool write, Clock earliest);
  void turn(Channel &channel, bool write);
  Clock open(Channel &channel, size_t bank, int64_t row, Clock earliest, size_t owner);
  Clock activateSlot(const Channel &channel, size_t group, Clock earliest) const;
  void recordActivate(Channel &channel, size_t bank, Clock at, size_t owner);
  int64_t place(Channel &channel, const Touched &touched, bool write, Clock earliest, Clock latest,
                int64_t bursts, Clock &start);
  void refresh(Channel &channel, size_t bank, Clock time);
  void drainIdle(Channel &channel, Clock now);
  void drainAll(Channel &channel, Clock earliest);

  double clocksPerCycle;
  int64_t burst = 32, lanes = 1, pageBytes = 2048, sets = 1;
  size_t bankGroups = 1;
  bool perBankRefresh = false;
  Timing t{};
  std::vector<Channel> channelState;
  std::vector<bool> bankTaken; ///< of drainAll
  std::vector<int64_t> byOwner;
  Statistics stats;
};

} // namespace npucc
