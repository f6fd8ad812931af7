//===- Roofline.h - Time and energy of kernels on a GPU -----------*- C++ -*-===//
#pragma once

#include "simulator/baseline/Baseline.h"
#include "simulator/baseline/Workload.h"

namespace npucc {

/// Who starts the kernels. An engine (TensorRT and its like) has timed its candidates, and
/// queues kernels back to back; a framework asks cuBLAS's heuristics for one kernel at a time.
enum class Launch { Engine, Framework };

/// Time of kernels and what they move and compute.
struct KernelCost {
  double seconds = 0;
  double tensorOps = 0, vectorOps = 0; ///< operations
  double reluOps = 0;                  ///< the part of tensorOps whose inputs are half zeros
  double dramBytes = 0, l2Bytes = 0;

  KernelCost &operator+=(const KernelCost &other);
};

/// `scale`: batch over the graph's batch. `clockRatio`: of the rated clock.
KernelCost kernelCost(const Gpu &gpu, const GpuKernel &kernel, double scale,
                      llvm::StringRef precision, double clockRatio, Launch launch);

/// Energy of a board that does this, at most the power limit's, with every constant at its value
/// (end 0), low (-1) or high (+1) end.
double boardEnergyJ(const Gpu &gpu, const KernelCost &work, llvm::StringRef precision,
                    double clockRatio, int end = 0);

/// What memory has no room for, at `scale` times the graph's batch.
double streamedBytes(const Gpu &gpu, const GpuWorkload &workload, double scale);

/// A workload at one batch; the clock is lowered until the board keeps to its power limit.
GpuRun runWorkload(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch, int64_t batch,
                   llvm::StringRef precision, Launch launch = Launch::Engine,
                   double highestClock = 1);
/// The batch with the highest throughput among powers of two that fit into memory.
GpuRun bestBatch(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch,
                 llvm::StringRef precision, double highestClock = 1);
/// The DLAs work beside the GPU.
void addDlas(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch,
             llvm::StringRef precision, GpuRun &run);

double bytesOf(llvm::StringRef precision);

} // namespace npucc
