//===- PortContention.h - Engines that share the scratchpad -------*- C++ -*-===//
//
// Engines that run at the same time share the scratchpad's ports. While their demands fit,
// nobody waits; when they exceed a port, an activity that starts is stretched by the ratio of
// demand to bandwidth, as a fair arbiter would do over its duration. Activities that already
// run keep their end: in a steady state each one is stretched when its turn comes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace npucc {

class PortContention {
public:
  explicit PortContention(size_t engines) : claims(engines) {}

  /// Share of each port (1: all of it) that an activity uses at full speed.
  struct Demand {
    double read = 0, write = 0;
  };

  /// Factor >= 1 by which the activity of `engine` that starts at `now` takes longer.
  double stretch(size_t engine, Demand demand, int64_t now) const {
    double read = demand.read, write = demand.write;
    for (size_t e = 0; e < claims.size(); ++e) {
      if (e == engine || claims[e].until <= now)
        continue;
      read += claims[e].demand.read;
      write += claims[e].demand.write;
    }
    double factor = 1;
    if (demand.read > 0)
      factor = std::max(factor, read);
    if (demand.write > 0)
      factor = std::max(factor, write);
    return factor;
  }

  void claim(size_t engine, Demand demand, int64_t until) { claims[engine] = {demand, until}; }

private:
  struct Claim {
    Demand demand;
    int64_t until = 0;
  };
  std::vector<Claim> claims;
};

} // namespace npucc
