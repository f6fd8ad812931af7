//===- Roofline.h - Time and energy of kernels on a GPU -----------*- C++ -*-===//
#pragma once

#include "simulator/baseline/Baseline.h"
#include "simulator/baseline/Workload.h"

namespace npucc {

/// Time of one kernel and what it moves and computes.
struct KernelCost {
  double seconds = 0;
  double tensorOps = 0, vectorOps = 0; ///< operations that cost energy
  double dramBytes = 0, l2Bytes = 0;
};

/// `scale`: batch over the graph's batch. `clockRatio`: of the rated clock.
KernelCost kernelCost(const Gpu &gpu, const GpuKernel &kernel, double scale,
                      llvm::StringRef precision, double clockRatio);

/// A workload at one batch; the clock is lowered until the board keeps to its power limit.
GpuRun runWorkload(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch, int64_t batch,
                   llvm::StringRef precision);

double bytesOf(llvm::StringRef precision);

} // namespace npucc
