//===- DramModel.h - DRAM channels, banks and refresh -------------*- C++ -*-===//
//
// Requests to a memory of several channels, each of which schedules its commands by itself
// (DramChannel, policy in docs/dram.md). What comes later may delay what has been asked for, so
// that the end of a request is known only when its last command has been issued. No SystemC
// types: the caller's clock is the time, and the caller says how far it is certain to ask for
// nothing more.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/DramChannel.h"

#include "llvm/ADT/ArrayRef.h"

#include <optional>

namespace npucc {

class DramModel {
public:
  explicit DramModel(const Machine &machine);
  DramModel(const DramModel &) = delete;
  DramModel &operator=(const DramModel &) = delete;

  /// A request, to which access() adds what it reads and writes. `owner` is whom activates are
  /// counted for. Numbers are used again after close().
  size_t open(size_t owner = 0);
  /// `bytes` consecutive bytes, at core cycle `now`. No call may go back in time, nor behind
  /// what advance() has returned.
  void access(size_t request, int64_t address, int64_t bytes, bool write, int64_t now);
  /// Cycle at which the last byte has arrived (reads) and the controller has taken all (writes),
  /// once it is known.
  std::optional<int64_t> done(size_t request) const;
  void close(size_t request) { freeRequests.push_back(request); }

  /// Goes on to cycle `limit`, or to where the first of the `awaited` requests is done if that is
  /// earlier. Returns the cycle.
  int64_t advance(int64_t limit, llvm::ArrayRef<size_t> awaited);

  /// Cycle at which everything is over, posted writes included; at least `now`.
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

  const DramLedger::Counts &statistics() const { return ledger.counts; }
  /// Activates counted for an owner so far.
  int64_t activates(size_t owner) const {
    return owner < ledger.activatesByOwner.size() ? ledger.activatesByOwner[owner] : 0;
  }
  size_t channels() const { return channelState.size(); }
  int64_t burstBytes() const { return parameters.burstBytes; }

  static constexpr int64_t kInterleaveBytes = 256;
  static constexpr int64_t kWriteQueueBytes = DramChannel::kWriteQueueBytes;

private:
  using Clock = DramParameters::Clock;

  Clock toClock(int64_t cycles) const; ///< rounded up
  int64_t toCycles(Clock time) const;  ///< rounded up
  size_t rotation(int64_t group) const {
    return static_cast<size_t>(foldBits(static_cast<uint64_t>(group)) % channelState.size());
  }
  void advanceTo(Clock time);
  void accessChannel(size_t channel, int64_t from, int64_t to, bool write, size_t request);

  const DramParameters parameters;
  DramLedger ledger;
  std::vector<DramChannel> channelState;
  std::vector<size_t> freeRequests;
  Clock time = 0; ///< that every channel has reached
};

} // namespace npucc
