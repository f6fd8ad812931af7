//===- Phases.cpp - CPU time and progress of a run ----------------------------===//

#include "compiler/driver/Phases.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <sys/resource.h>

namespace npucc {

double cpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval &t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double Phases::finish(llvm::StringRef phase) {
  double now = cpuSeconds(), spent = now - last;
  last = now;
  sum += spent;
  if (verbose)
    llvm::errs() << "npucc: " << phase << ' ' << llvm::format("%.3f s", spent) << '\n';
  return spent;
}

ProgressBar::ProgressBar(llvm::StringRef what, bool wanted)
    : what(what), active(wanted && llvm::sys::Process::StandardErrIsDisplayed()) {}

void ProgressBar::show(double fraction) {
  int percent = static_cast<int>(fraction * 100);
  if (!active || percent == shown)
    return;
  shown = percent;
  llvm::errs() << '\r' << what << ' ' << llvm::format("%3d %%", percent);
  llvm::errs().flush();
}

void ProgressBar::clear() {
  if (active && shown >= 0)
    llvm::errs() << "\r\033[K";
  shown = -1;
}

} // namespace npucc
