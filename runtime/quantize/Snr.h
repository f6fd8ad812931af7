//===- Snr.h - Signal-to-noise ratios of outputs ------------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"

#include <array>
#include <string>
#include <vector>

namespace npucc {

/// Channels [begin, end) along one axis of an output.
struct ChannelGroup {
  int64_t begin, end;
};

/// How an output is judged: as a whole, and by the branches that a Concat along its channels
/// joins (boxes and scores of a detector).
struct OutputGroups {
  int64_t axis = 0;
  std::vector<ChannelGroup> groups; ///< none, or at least two
};
std::vector<OutputGroups> groupOutputs(const Graph &graph);

/// Signal and noise energy of one output, summed over samples.
struct SignalNoise {
  double signal = 0, noise = 0;
  double ratio() const { return signal > 0 ? noise / signal : noise > 0 ? 1 : 0; }
  /// 10 log10(signal / noise), at most 200.
  double decibels() const;
};

/// SNR of one output and of its groups, [whole, group, group...].
using OutputSnr = std::vector<SignalNoise>;

/// Adds one sample; outputs that are not floating point get nothing.
void addSnr(std::vector<OutputSnr> &sums, llvm::ArrayRef<OutputGroups> groups,
            llvm::ArrayRef<Tensor> reference, llvm::ArrayRef<Tensor> actual);

} // namespace npucc
