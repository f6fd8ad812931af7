//===- PostTraining.h - int8 networks that keep their answers ---*- C++ -*-===//
#pragma once

#include "runtime/quantize/Quantize.h"
#include "runtime/quantize/Snr.h"

namespace npucc {

struct PostTrainingOptions {
  /// Layers leave int8 while an output, or a group of its channels, is noisier on the samples,
  double minSnrDb = 25;
  /// but never more than this share of the multiply-accumulates.
  double maxFloatShare = 0.05;
};

/// quantizeGraph() with ranges of the prepared float graph, then correctBiases() on the samples.
/// Where an output is then below the wanted SNR, the layers whose rounding disturbs it most for
/// their multiply-accumulates stay in floating point. Their share of the noise is measured: each
/// layer is quantised alone.
llvm::Expected<QuantizeReport> quantizeMeasured(Model &model,
                                                llvm::ArrayRef<std::vector<Tensor>> samples,
                                                Ranges ranges, const PostTrainingOptions &options);

} // namespace npucc
