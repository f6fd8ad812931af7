//===- Phases.h - CPU time and progress of a run -------------------*- C++ -*-===//
#pragma once

#include "llvm/ADT/StringRef.h"

namespace npucc {

/// CPU seconds of this process, user and system.
double cpuSeconds();

/// Adds up CPU time by phase, and says it on stderr when verbose.
class Phases {
public:
  explicit Phases(bool verbose) : verbose(verbose) {}

  /// The time since the previous call (or the start of the process) belongs to `phase`.
  double finish(llvm::StringRef phase);
  /// CPU seconds until the last finish().
  double total() const { return sum; }

private:
  bool verbose;
  double last = 0, sum = 0;
};

/// "simulate  42 %" on a terminal's last line; nothing where stderr is no terminal.
class ProgressBar {
public:
  ProgressBar(llvm::StringRef what, bool wanted);
  void show(double fraction);
  void clear();

private:
  llvm::StringRef what;
  bool active;
  int shown = -1;
};

} // namespace npucc
