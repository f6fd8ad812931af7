//===- DramScheduler.h - An exact, slow DRAM controller -----------*- C++ -*-===//
//
// The judge of DramModel: steps over every clock of the command bus and issues at most one
// command a clock and channel, checking every constraint against the history of commands. It
// shares with the model the standard's parameters, the place of an address, and the policy
// of docs/dram.md, and no code.
//
// One clock is one cycle of the machine: tests set clockHz to the command clock.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/DramModel.h"

#include <deque>
#include <map>
#include <vector>

namespace npucc::test {

class DramScheduler {
public:
  explicit DramScheduler(const Machine &machine);

  /// A request made at this clock. Returns its number.
  size_t submit(int64_t address, int64_t bytes, bool write);
  /// One clock.
  void step();
  /// Posted writes go, too, from here on.
  void flush();
  bool idle() const;
  int64_t now() const { return clock; }

  /// Clock of the last byte (read) or of acceptance (write); -1: not yet known.
  int64_t doneAt(size_t request) const;
  /// Clock at which everything so far has been transferred.
  int64_t lastData() const { return lastDataEnd; }

  enum class Kind { Activate, Read, Write, Precharge, PrechargeAll, Refresh };
  struct Command {
    int64_t at;
    Kind kind;
    size_t bank;
    int64_t row;
  };
  const std::vector<Command> &commands(size_t channel) const { return channels[channel].log; }
  int64_t count(Kind kind) const;

private:
  static constexpr int64_t kLongAgo = -1000000000;
  struct Burst {
    size_t request, bank, drain;
    int64_t row, batch, order;
    bool write;
  };
  struct Bank {
    std::deque<Burst> queue;
    int64_t row = -1;
    int64_t activated = kLongAgo, precharged = kLongAgo, read = kLongAgo, written = kLongAgo;
    int64_t refreshEnd = 0, refreshDue = 0;
  };
  struct Channel {
    std::vector<Bank> banks;
    std::vector<Burst> posted;
    std::vector<size_t> drains; ///< of this channel
    int64_t batch = 0;
    std::map<int64_t, int64_t> left; ///< bursts by batch
    bool batchWrites = false;
    int64_t refreshDue = 0, refreshEnd = 0, dataEnd = 0, lastPost = 0, lastColumn = kLongAgo;
    std::vector<int64_t> activates;
    std::vector<Command> log;
  };
  struct Request {
    int64_t waitsFor = 0; ///< bursts of a read; drains that hold a write back
    int64_t done = 0;
  };
  /// Writes that went together.
  struct Drain {
    int64_t left = 0, end = 0;
    std::vector<size_t> holdsBack; ///< writes that are taken when it is over
  };
  struct Clocks { ///< the standard's times
    int64_t rcd, rcdWrite, rp, rpAll, ras, rc, cl, cwl, rtp, wr, faw, rrdShort, rrdLong, ccdShort,
        ccdLong, ccdLongWrite, wtrShort, wtrLong, rtw, refi, rfc, rfcBank, data;
  };

  bool sameGroup(size_t a, size_t b) const { return a % groups == b % groups; }
  bool mayActivate(const Channel &c, size_t bank) const;
  bool mayAccess(const Channel &c, size_t bank, bool write) const;
  bool mayPrecharge(const Bank &bank) const;
  void issue(Channel &c, Kind kind, size_t bank, int64_t row);
  void enqueue(Channel &c, const std::vector<Burst> &bursts);
  void drain(Channel &c);
  /// True when no other command may be issued.
  bool stepRefresh(Channel &c);
  bool stepColumn(Channel &c);
  bool stepRow(Channel &c, bool precharges);

  DramModel map; ///< for locate() only
  const bool perBank;
  size_t groups;
  Clocks n{};
  int64_t clock = 0, nextOrder = 0, lastDataEnd = 0;
  std::vector<Channel> channels;
  std::vector<Request> requests;
  std::vector<Drain> drains;
};

} // namespace npucc::test
