//===- DramPatterns.h - Traffic for the DRAM model and its judge --*- C++ -*-===//
//
// Requesters that keep a window of requests under way, in order, over addresses of their own.
// The same traffic is put to DramModel and to DramScheduler.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tests/simulator/core/DramScheduler.h"

#include <random>
#include <string>

namespace npucc::test {

struct Traffic {
  enum class Order { Streaming, Strided, Random };
  Order order = Order::Streaming;
  int requesters = 1;
  int64_t requests = 256; ///< of each requester
  int64_t bytes = 4096, stride = 0;
  int writeEvery = 0; ///< 1: all writes, 3: every third
  size_t window = 8;
  uint64_t seed = 1;
  int64_t skew = 0; ///< clocks by which each requester starts after the one before

  std::string text() const {
    static const char *const kOrders[] = {"streaming", "strided", "random"};
    std::string s = kOrders[static_cast<size_t>(order)];
    if (order == Order::Strided)
      s += " by " + std::to_string(stride);
    return s + ", " + std::to_string(requesters) + " x " + std::to_string(bytes) + " bytes, " +
           (writeEvery == 0   ? "reads"
            : writeEvery == 1 ? "writes"
                              : "mixed") +
           ", window " + std::to_string(window);
  }
};

struct Access {
  int64_t address;
  bool write;
};

/// What each requester asks for, in its order.
inline std::vector<std::vector<Access>> accesses(const Traffic &t) {
  std::vector<std::vector<Access>> all(static_cast<size_t>(t.requesters));
  std::mt19937_64 random(t.seed);
  for (size_t r = 0; r < all.size(); ++r) {
    // Not a power of two apart, as tensors are not.
    const int64_t base = static_cast<int64_t>(r) * ((int64_t(1) << 26) + 40960);
    for (int64_t i = 0; i < t.requests; ++i) {
      int64_t address = base + i * t.bytes;
      if (t.order == Traffic::Order::Strided)
        address = base + i * t.stride;
      if (t.order == Traffic::Order::Random)
        address = static_cast<int64_t>(random() % (1ull << 30)) / t.bytes * t.bytes;
      all[r].push_back({address, t.writeEvery > 0 && (i + 1) % t.writeEvery == 0});
    }
  }
  return all;
}

/// A request of its own.
inline size_t ask(DramModel &dram, int64_t address, int64_t bytes, bool write, int64_t now) {
  const size_t request = dram.open();
  dram.access(request, address, bytes, write, now);
  return request;
}

/// Cycle at which it is done, when nobody asks for more before that.
inline int64_t finish(DramModel &dram, size_t request) {
  dram.advance(INT64_MAX, request);
  const int64_t done = dram.done(request).value_or(-1);
  dram.close(request);
  return done;
}

/// The two sides as one interface: cycles are command clocks.
struct Outcome {
  int64_t clocks = 0, activates = 0;
};

/// A requester asks no faster than the memory could serve it alone.
inline int64_t issueInterval(const Machine &m, const Traffic &t) {
  const double bytesPerClock = static_cast<double>(m.dramWidthBits * m.dram.transfersPerClock) / 8;
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(t.bytes) / bytesPerClock));
}

inline Outcome runModel(const Machine &machine, const Traffic &t) {
  DramModel dram(machine);
  const auto all = accesses(t);
  const int64_t interval = issueInterval(machine, t);
  std::vector<std::deque<size_t>> inFlight(all.size());
  std::vector<size_t> next(all.size()), awaited;
  std::vector<int64_t> mayIssue(all.size());
  for (size_t r = 0; r < all.size(); ++r)
    mayIssue[r] = static_cast<int64_t>(r) * t.skew;
  int64_t now = 0;
  for (bool more = true; more;) {
    more = false;
    int64_t wake = INT64_MAX;
    awaited.clear();
    for (size_t r = 0; r < all.size(); ++r) {
      while (!inFlight[r].empty() && dram.done(inFlight[r].front()).value_or(INT64_MAX) <= now) {
        dram.close(inFlight[r].front());
        inFlight[r].pop_front();
      }
      if (next[r] < all[r].size() && inFlight[r].size() < t.window && mayIssue[r] <= now) {
        const Access &a = all[r][next[r]++];
        inFlight[r].push_back(dram.open(r));
        dram.access(inFlight[r].back(), a.address, t.bytes, a.write, now);
        mayIssue[r] = now + interval;
      }
      if (!inFlight[r].empty())
        awaited.push_back(inFlight[r].front());
      if (next[r] < all[r].size() && inFlight[r].size() < t.window)
        wake = std::min(wake, mayIssue[r]);
      more |= next[r] < all[r].size() || !inFlight[r].empty();
    }
    if (more)
      now = std::max(now + 1, dram.advance(wake, awaited));
  }
  return {dram.flush(now), dram.statistics().activates};
}

inline Outcome runScheduler(const Machine &machine, const Traffic &t) {
  DramScheduler dram(machine);
  const auto all = accesses(t);
  const int64_t interval = issueInterval(machine, t);
  std::vector<std::deque<size_t>> inFlight(all.size());
  std::vector<size_t> next(all.size());
  std::vector<int64_t> mayIssue(all.size());
  for (size_t r = 0; r < all.size(); ++r)
    mayIssue[r] = static_cast<int64_t>(r) * t.skew;
  auto over = [&](size_t id) {
    int64_t done = dram.doneAt(id);
    return done >= 0 && done <= dram.now();
  };
  for (bool more = true; more;) {
    more = false;
    for (size_t r = 0; r < all.size(); ++r) {
      while (!inFlight[r].empty() && over(inFlight[r].front()))
        inFlight[r].pop_front();
      if (next[r] < all[r].size() && inFlight[r].size() < t.window && mayIssue[r] <= dram.now()) {
        const Access &a = all[r][next[r]++];
        inFlight[r].push_back(dram.submit(a.address, t.bytes, a.write));
        mayIssue[r] = dram.now() + interval;
      }
      more |= next[r] < all[r].size() || !inFlight[r].empty();
    }
    if (more)
      dram.step();
  }
  dram.flush();
  while (!dram.idle())
    dram.step();
  return {std::max(dram.lastData(), dram.now()), dram.count(DramScheduler::Kind::Activate)};
}

/// A few channels of a standard from models/dram, with the command clock as the core's.
inline Machine dramMachine(const std::string &standard, int64_t channels) {
  Machine m;
  llvm::Expected<DramStandard> dram = loadDram(standard);
  if (!dram)
    return m;
  m.dram = *dram;
  m.dramStandard = standard;
  m.dramChannels = channels;
  m.dramWidthBits = channels * dram->channelWidthBits;
  m.clockHz = dram->megaTransfersPerSecond * 1e6 / static_cast<double>(dram->transfersPerClock);
  return m;
}

} // namespace npucc::test
